//! From attempt to attempt: deployment, progress, failure and the end of the job.

use std::time::Duration;

use floodmark_model::{Attempt, RuntimeEvent, SubtaskId, WorkerId};
use floodmark_wire::{Deployment, Manifest, StoredFile, ToWorker, name};

use super::{Command, Coordinator, Ending, Phase};
use crate::{
    JobStatus, attempt::DeployedAttempt, checkpoints::Purpose, failover::Verdict, membership::Lost,
};

impl Coordinator {
    /// Begins the next attempt when there is nothing more to wait for.
    pub(super) fn advance(&mut self) {
        if let Phase::Pausing { until } = self.phase
            && until <= self.now
        {
            self.phase = Phase::Waiting;
        }
        let is_waiting = matches!(self.phase, Phase::Waiting);
        let is_storing = self.ledger.as_ref().is_some_and(|one| one.checkpoints.is_storing());
        if !is_waiting || is_storing || self.membership.place(&self.graph).is_none() {
            return;
        }
        if self.ledger.is_none() {
            return self.deploy();
        }
        // A coordinator that slept through its own fall must not deploy: workers that have not
        // heard of its successor would obey it.
        self.phase = Phase::Confirming;
        self.read_log();
    }

    /// Orders a fresh attempt, if the slots are still there.
    pub(super) fn deploy(&mut self) {
        let Some(placement) = self.membership.place(&self.graph) else {
            self.phase = Phase::Waiting;
            return;
        };
        self.number += 1;
        self.groups.clear();
        let attempt = self.newest_attempt();
        let restored = self.newest_manifest().map(|manifest| manifest.checkpoint);
        self.observe(RuntimeEvent::AttemptStarted { attempt, restored });
        self.commands.push(Command::Report(JobStatus::Deploying { attempt }));
        let deployed = DeployedAttempt::new(attempt, &self.graph, placement);
        let workers = deployed.workers();
        let deadline = self.now + self.options.cluster.deployment_timeout;
        self.phase = Phase::Deploying { deployed, deadline };
        for worker in workers {
            self.order(worker);
        }
    }

    /// Tells `worker` what it runs. A repetition is harmless.
    pub(super) fn order(&mut self, worker: WorkerId) {
        let deployed = self.deployed().expect("who is given orders is part of an attempt");
        let manifest = self.newest_manifest();
        let own = deployed.placement().filter(|(_, one)| *one == worker);
        let subtasks = own.map(|(subtask, _)| {
            let files = manifest.map(|manifest| files_for(manifest, subtask));
            (subtask, files.unwrap_or_default())
        });
        let locations = deployed.placement().filter_map(|(subtask, worker)| {
            let address = self.membership.data_address_of(worker)?;
            Some((subtask, address.to_owned()))
        });
        let deployment = Deployment {
            attempt: deployed.attempt(),
            restored: manifest.map(|manifest| manifest.checkpoint),
            subtasks: subtasks.collect(),
            locations: locations.collect(),
        };
        self.send(worker, ToWorker::Deploy(deployment));
    }

    pub(super) fn newest_manifest(&self) -> Option<&Manifest> {
        self.ledger.as_ref()?.retention.newest()
    }

    /// Looks how far the attempt has come after a report.
    pub(super) fn on_progress(&mut self) {
        self.run_if_deployed();
        let Phase::Running(deployed) = &self.phase else { return };
        let (is_exhausted, is_finished) = (deployed.is_exhausted(), deployed.is_finished());
        if let Some(ledger) = &mut self.ledger {
            if is_exhausted {
                ledger.checkpoints.on_exhausted(self.now);
            }
            match ledger.checkpoints.completed_last() {
                Some((_, Purpose::Stop)) if is_finished => return self.stop_here(),
                None if is_finished => {
                    // What the sinks prepared since the last checkpoint was never committed.
                    return self.fail_attempt("all ended before a final checkpoint".to_owned());
                }
                Some(_) | None => {}
            }
        }
        if is_finished {
            self.observe(RuntimeEvent::JobEnded { failure: None });
            self.cancel_everywhere();
            self.end(Ending::Finished);
        }
    }

    /// Declares the attempt running once every subtask has started.
    fn run_if_deployed(&mut self) {
        let Phase::Deploying { deployed, .. } = &mut self.phase else { return };
        if !deployed.is_running() {
            return;
        }
        let (attempt, subtasks) = (deployed.attempt(), deployed.subtasks());
        if let Phase::Deploying { deployed, .. } = std::mem::replace(&mut self.phase, Phase::Ended)
        {
            self.phase = Phase::Running(deployed);
        }
        self.observe(RuntimeEvent::AttemptRunning { attempt });
        self.report_running(attempt);
        if let Some(ledger) = &mut self.ledger {
            ledger.checkpoints.start(self.now, subtasks);
        }
    }

    pub(super) fn report_running(&mut self, attempt: Attempt) {
        let completed = self.newest_manifest().map(|manifest| manifest.checkpoint);
        self.commands.push(Command::Report(JobStatus::Running { attempt, completed }));
    }

    /// Fails a deployment that takes too long.
    pub(super) fn on_deployment_time(&mut self) {
        let Phase::Deploying { deployed, deadline } = &self.phase else { return };
        if *deadline <= self.now {
            let subtask = deployed.first_not_running().expect("a deploying attempt does not run");
            let timeout = self.options.cluster.deployment_timeout;
            let name = self.name_of(subtask);
            self.fail_attempt(format!("{name} has not started within {timeout:?}"));
        }
    }

    /// Answers the loss of a connection.
    pub(super) fn on_lost(&mut self, lost: Lost) {
        let Some(worker) = lost.worker else { return };
        self.observe(RuntimeEvent::WorkerLost { worker });
        if let Some(name) = self.first_subtask_of(worker) {
            self.fail_attempt(format!("{name}: {worker} is lost"));
        }
    }

    /// Answers the farewell of a worker. It is no failure, so it uses up no restart.
    pub(super) fn on_left(&mut self, lost: Lost) {
        let Some(worker) = lost.worker else { return };
        self.observe(RuntimeEvent::WorkerLeft { worker });
        if let Some(name) = self.first_subtask_of(worker) {
            let reason = format!("{name}: {worker} has left");
            if self.end_attempt(&reason) {
                self.restart(Duration::ZERO, reason);
            }
        }
    }

    /// Returns a subtask that runs on `worker`, as users know it.
    fn first_subtask_of(&self, worker: WorkerId) -> Option<String> {
        let mut placement = self.deployed()?.placement();
        let (subtask, _) = placement.find(|(_, one)| *one == worker)?;
        Some(self.name_of(subtask))
    }

    /// Ends the attempt, if there is one, and decides what follows.
    pub(super) fn fail_attempt(&mut self, reason: String) {
        if !self.end_attempt(&reason) {
            return;
        }
        match self.restarts.on_failure() {
            Verdict::Restart { delay } => self.restart(delay, reason),
            Verdict::GiveUp => {
                self.observe(RuntimeEvent::JobEnded { failure: Some(reason.clone()) });
                self.end(Ending::Failed { reason });
            }
        }
    }

    /// Lets the next attempt follow after a pause.
    fn restart(&mut self, delay: Duration, reason: String) {
        self.phase = Phase::Pausing { until: self.now + delay };
        self.commands.push(Command::Report(JobStatus::Restarting { reason }));
    }

    /// Ends the attempt, and returns whether there was one that another must follow.
    fn end_attempt(&mut self, reason: &str) -> bool {
        let Some(attempt) = self.deployed().map(DeployedAttempt::attempt) else { return false };
        let reason = reason.to_owned();
        self.observe(RuntimeEvent::AttemptFailed { attempt, reason });
        self.cancel_everywhere();
        let aborted = self.ledger.as_mut().and_then(|ledger| ledger.checkpoints.stop());
        if let Some(checkpoint) = aborted {
            let reason = "the attempt failed".to_owned();
            self.observe(RuntimeEvent::CheckpointAborted { attempt, checkpoint, reason });
        }
        if self.stop_by.is_some() {
            self.stop_here();
            return false;
        }
        true
    }

    /// Stops whatever runs, also on workers that take no part in the newest attempt any more.
    pub(super) fn cancel_everywhere(&mut self) {
        let attempt = self.newest_attempt();
        for worker in self.membership.workers() {
            self.send(worker, ToWorker::Cancel { attempt });
        }
    }
}

/// Returns what a subtask restores: what it has stored itself, and what other subtasks of its vertex
/// have stored for all.
fn files_for(manifest: &Manifest, subtask: SubtaskId) -> Vec<StoredFile> {
    let (own, others): (Vec<_>, Vec<_>) =
        manifest.snapshots.iter().partition(|(owner, _)| *owner == subtask);
    let others = others.into_iter().filter(|(owner, _)| owner.vertex == subtask.vertex);
    let others = others.flat_map(|(_, files)| files);
    let shared = others.filter(|file| name::parse_shared_snapshot(&file.key).is_some());
    own.into_iter().flat_map(|(_, files)| files).chain(shared).cloned().collect()
}

#[cfg(test)]
mod tests {
    use floodmark_model::{CheckpointId, JobGraph, Term, VertexId};

    use super::*;

    #[test]
    fn a_subtask_restores_its_own_files_and_what_others_of_its_vertex_stored_for_all() {
        let subtask = |vertex, index| SubtaskId { vertex: VertexId(vertex), index };
        let files = |subtask, names: &[fn(&str, SubtaskId) -> String]| {
            let files = names.iter().map(|name| StoredFile::describe(name("c", subtask), b""));
            (subtask, files.collect())
        };
        let manifest = Manifest {
            term: Term(1),
            attempt: Attempt::default(),
            checkpoint: CheckpointId(1),
            is_final: false,
            job: JobGraph {
                name: "job".to_owned(),
                key_group_count: 1,
                vertices: Vec::new(),
                edges: Vec::new(),
            },
            snapshots: vec![
                files(subtask(0, 0), &[name::snapshot, name::shared_snapshot]),
                files(subtask(0, 1), &[name::snapshot]),
                files(subtask(0, 2), &[name::snapshot, name::shared_snapshot]),
                files(subtask(1, 0), &[name::snapshot, name::shared_snapshot]),
            ],
        };
        let keys = |subtask| -> Vec<String> {
            files_for(&manifest, subtask).into_iter().map(|file| file.key).collect()
        };
        assert_eq!(
            keys(subtask(0, 0)),
            ["c/000-00000", "c/000-00000-shared", "c/000-00002-shared"]
        );
        assert_eq!(
            keys(subtask(0, 1)),
            ["c/000-00001", "c/000-00000-shared", "c/000-00002-shared"]
        );
        assert_eq!(keys(subtask(1, 0)), ["c/001-00000", "c/001-00000-shared"]);
        assert!(keys(subtask(1, 7)).contains(&"c/001-00000-shared".to_owned()));
    }
}
