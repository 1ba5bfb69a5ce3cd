//! One execution of the job: which worker runs which subtask, and how each is doing.

use std::collections::{BTreeMap, BTreeSet};

use floodmark_model::{Attempt, ExecutionGraph, SubtaskId, WorkerId};
use floodmark_wire::{SubtaskReport, SubtaskStatus};

/// Which worker runs which subtask.
pub(crate) type Placement = BTreeMap<SubtaskId, WorkerId>;

/// A deployed execution of the job.
#[derive(Debug)]
pub(crate) struct DeployedAttempt {
    attempt: Attempt,
    subtasks: BTreeMap<SubtaskId, Deployed>,
}

#[derive(Debug)]
struct Deployed {
    worker: WorkerId,
    is_source: bool,
    progress: Progress,
}

/// How far a subtask has come. It never goes back.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Progress {
    /// Its worker has not said that it knows it.
    Ordered,
    Starting,
    Running,
    Exhausted,
    Finished,
}

/// A subtask that ended badly.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct SubtaskFailure {
    /// Which.
    pub(crate) subtask: SubtaskId,
    /// Its own words.
    pub(crate) reason: String,
}

impl DeployedAttempt {
    /// Creates the attempt that runs the subtasks of `graph` as placed.
    pub(crate) fn new(attempt: Attempt, graph: &ExecutionGraph, placement: Placement) -> Self {
        let is_source = |subtask: SubtaskId| graph.job().vertex(subtask.vertex).is_source;
        let subtasks = placement.into_iter().map(|(subtask, worker)| {
            let is_source = is_source(subtask);
            (subtask, Deployed { worker, is_source, progress: Progress::Ordered })
        });
        Self { attempt, subtasks: subtasks.collect() }
    }

    /// Returns its name.
    pub(crate) fn attempt(&self) -> Attempt {
        self.attempt
    }

    /// Returns all subtasks.
    pub(crate) fn subtasks(&self) -> BTreeSet<SubtaskId> {
        self.subtasks.keys().copied().collect()
    }

    /// Returns which worker runs which subtask.
    pub(crate) fn placement(&self) -> impl Iterator<Item = (SubtaskId, WorkerId)> {
        self.subtasks.iter().map(|(subtask, deployed)| (*subtask, deployed.worker))
    }

    /// Returns the workers that run a subtask.
    pub(crate) fn workers(&self) -> BTreeSet<WorkerId> {
        self.subtasks.values().map(|deployed| deployed.worker).collect()
    }

    /// Returns the workers that have not said that they know all their subtasks.
    pub(crate) fn silent_workers(&self) -> BTreeSet<WorkerId> {
        let silent = self.subtasks.values().filter(|one| one.progress == Progress::Ordered);
        silent.map(|deployed| deployed.worker).collect()
    }

    /// Takes the report of `worker`. Reports may be repeated or overtake each other: what was
    /// reached once stays reached.
    pub(crate) fn on_report(
        &mut self,
        worker: WorkerId,
        reports: Vec<SubtaskReport>,
    ) -> Result<(), SubtaskFailure> {
        for SubtaskReport { subtask, status } in reports {
            let Some(deployed) = self.subtasks.get_mut(&subtask) else { continue };
            if deployed.worker != worker {
                continue;
            }
            let progress = match status {
                SubtaskStatus::Starting => Progress::Starting,
                SubtaskStatus::Running => Progress::Running,
                SubtaskStatus::Exhausted => Progress::Exhausted,
                SubtaskStatus::Finished => Progress::Finished,
                SubtaskStatus::Failed { reason } => return Err(SubtaskFailure { subtask, reason }),
            };
            deployed.progress = deployed.progress.max(progress);
        }
        Ok(())
    }

    /// Returns whether every subtask has started.
    pub(crate) fn is_running(&self) -> bool {
        self.subtasks.values().all(|deployed| Progress::Running <= deployed.progress)
    }

    /// Returns whether no source has more input.
    pub(crate) fn is_exhausted(&self) -> bool {
        let mut sources = self.subtasks.values().filter(|deployed| deployed.is_source);
        sources.all(|deployed| Progress::Exhausted <= deployed.progress)
    }

    /// Returns whether every subtask has processed and committed everything.
    pub(crate) fn is_finished(&self) -> bool {
        self.subtasks.values().all(|deployed| deployed.progress == Progress::Finished)
    }

    /// Returns a subtask that has not started yet, if there is one.
    pub(crate) fn first_not_running(&self) -> Option<SubtaskId> {
        let mut subtasks = self.subtasks.iter();
        subtasks.find(|(_, one)| one.progress < Progress::Running).map(|(subtask, _)| *subtask)
    }
}
