//! The reign of one coordinator: what every event means for the job, and what must be done.
//!
//! ```text
//!  Waiting ──slots──▶ Confirming ──still ruling──▶ Deploying ──all run──▶ Running ──▶ Ended
//!     ▲                                                │                     │
//!     └──── Pausing ◀──────── failure: cancel, abort ──┴─────────────────────┘
//! ```
//!
//! This is the composition of the parts: membership says who is there, the attempt how its subtasks
//! are doing, the restart budget whether there is another try, the checkpoints what is in flight,
//! retention what is stored. Nothing here waits: whatever takes time is a command whose result comes
//! back as an event.
//!
//! # Invariants
//!
//! - An attempt begins only when no manifest is being stored, so that the newest one is known.
//! - Messages of other attempts than the current one change nothing.

mod lifecycle;
mod stopping;
#[cfg(test)]
mod tests;

use std::time::Duration;

use floodmark_model::{
    Attempt, CheckpointConfig, CheckpointId, ExecutionGraph, RuntimeEvent, SubtaskId, Term,
    Timestamp, WorkerId,
};
use floodmark_platform::planted;
use floodmark_wire::{
    LogEntry, Manifest, StoredFile, SubtaskReport, ToCoordinator, ToWorker, WireError,
};

use crate::{
    CoordinatorOptions, JobStatus,
    append::{Appended, Found},
    attempt::DeployedAttempt,
    checkpoints::{Aborted, Acknowledged, Checkpoints, Purpose, Step},
    failover::RestartBudget,
    groups::SourceGroups,
    leadership::Reign,
    membership::{ConnectionId, Lost, Membership, Offer, Registration},
    retention::{Cleaning, Retention},
};

/// What the coordinator is told.
#[derive(Clone, Debug)]
pub(crate) enum Event {
    /// Somebody connected.
    Connected(ConnectionId),
    /// Something arrived over a connection.
    Message(ConnectionId, ToCoordinator),
    /// A connection broke or was closed.
    Disconnected(ConnectionId),
    /// How the append of a manifest ended.
    Appended(Appended),
    /// What the slot after the newest entry holds.
    Found(Found),
    /// The checkpoints that the cleaning deleted, by slot.
    Cleaned(Vec<u64>),
    /// The user wants the job to be over, at whatever it is.
    Cancel,
    /// The user wants the job to stop with a last checkpoint.
    Stop {
        /// Time after which it stops without one.
        within: Duration,
    },
    /// The deadline has passed.
    Time,
}

/// What the coordinator asks to be done.
#[derive(Clone, Debug)]
pub(crate) enum Command {
    /// Send a message.
    Send(ConnectionId, ToWorker),
    /// Close a connection.
    Close(ConnectionId),
    /// Append an entry to the log, and tell how that ended.
    Append {
        /// Where.
        slot: u64,
        /// What.
        manifest: Manifest,
    },
    /// Read a slot of the log, and tell what it holds.
    Read(u64),
    /// Delete garbage, and tell what is gone.
    Clean(Cleaning),
    /// Say what happened.
    Observe(RuntimeEvent),
    /// Say how the job is doing.
    Report(JobStatus),
    /// Stop.
    End(Ending),
}

/// How a reign ends.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Ending {
    /// Everything is processed and committed.
    Finished,
    /// The user wanted it.
    Cancelled,
    /// The user wanted it, and the job goes on from a checkpoint when it is started again.
    Stopped {
        /// The newest complete checkpoint.
        checkpoint: Option<CheckpointId>,
    },
    /// The restarts are used up.
    Failed {
        /// The last failure.
        reason: String,
    },
    /// Another coordinator rules.
    Fenced {
        /// Its term.
        current: Term,
    },
    /// The next slot of the log holds what cannot be read.
    Unreadable {
        /// Which slot.
        slot: u64,
        /// What is wrong with it.
        error: WireError,
    },
    /// The next slot of the log was taken, and is empty.
    Vanished {
        /// Which slot.
        slot: u64,
    },
}

impl Ending {
    /// Returns whether the job is over, and not just this reign.
    fn is_of_job(&self) -> bool {
        match self {
            Self::Finished | Self::Cancelled | Self::Stopped { .. } | Self::Failed { .. } => true,
            Self::Fenced { .. } | Self::Unreadable { .. } | Self::Vanished { .. } => false,
        }
    }
}

/// The decisions of one reign.
#[derive(Debug)]
pub(crate) struct Coordinator {
    options: CoordinatorOptions,
    graph: ExecutionGraph,
    term: Term,
    /// The number of the newest attempt of this term that anybody knows.
    number: u32,
    membership: Membership,
    restarts: RestartBudget,
    phase: Phase,
    groups: SourceGroups,
    /// The time by which the job must have stopped, once it is to stop.
    stop_by: Option<Duration>,
    /// Absent in a job without checkpoints.
    ledger: Option<Ledger>,
    /// Whether the next slot of the log is being read.
    is_reading: bool,
    next_heartbeat: Duration,
    /// The time of the event being handled.
    now: Duration,
    /// What the event being handled asks for.
    commands: Vec<Command>,
}

/// Where the job is.
#[derive(Debug)]
enum Phase {
    /// There are too few slots, or the newest checkpoint is not known yet.
    Waiting,
    /// The log is asked whether this coordinator still rules.
    Confirming,
    /// Subtasks are starting.
    Deploying { deployed: DeployedAttempt, deadline: Duration },
    /// All subtasks run.
    Running(DeployedAttempt),
    /// An attempt failed; the next begins after a pause.
    Pausing { until: Duration },
    /// The reign is over.
    Ended,
}

/// Everything about checkpoints.
#[derive(Debug)]
struct Ledger {
    /// The newest slot of the log that is known to be taken.
    slot: u64,
    /// The manifest that is being stored into the slot after it.
    in_flight: Option<Manifest>,
    checkpoints: Checkpoints,
    retention: Retention,
}

impl Coordinator {
    /// Creates the coordinator of a job without checkpoints.
    pub(crate) fn new(now: Duration, options: CoordinatorOptions) -> Self {
        assert!(options.checkpoints.is_none(), "a job with checkpoints has a log");
        Self::with_ledger(now, options, Term(1), None)
    }

    /// Creates the coordinator that took a term. Its checkpoints begin with `next`.
    pub(crate) fn ruling(
        now: Duration,
        options: CoordinatorOptions,
        config: CheckpointConfig,
        reign: Reign,
        next: CheckpointId,
    ) -> Self {
        let term = reign.term;
        let ledger = Ledger {
            slot: reign.slot,
            in_flight: None,
            retention: Retention::new(config.retained_count, reign),
            checkpoints: Checkpoints::new(config, next),
        };
        Self::with_ledger(now, options, term, Some(ledger))
    }

    fn with_ledger(
        now: Duration,
        options: CoordinatorOptions,
        term: Term,
        ledger: Option<Ledger>,
    ) -> Self {
        Self {
            graph: ExecutionGraph::new(options.job.clone()),
            term,
            number: 0,
            membership: Membership::new(options.cluster.heartbeat_timeout),
            restarts: RestartBudget::new(options.restart),
            phase: Phase::Waiting,
            groups: SourceGroups::default(),
            stop_by: None,
            ledger,
            is_reading: false,
            next_heartbeat: now + options.cluster.heartbeat_interval,
            now,
            commands: Vec::new(),
            options,
        }
    }

    /// Returns the term it rules in.
    pub(crate) fn term(&self) -> Term {
        self.term
    }

    /// Returns when [`Event::Time`] is due.
    pub(crate) fn deadline(&self) -> Duration {
        let phase = match &self.phase {
            Phase::Deploying { deadline, .. } => Some(*deadline),
            Phase::Pausing { until } => Some(*until),
            Phase::Waiting | Phase::Confirming | Phase::Running(_) | Phase::Ended => None,
        };
        let checkpoint = self.ledger.as_ref().and_then(|ledger| ledger.checkpoints.deadline());
        let deadlines = [phase, checkpoint, self.stop_by, self.membership.deadline()];
        deadlines.into_iter().flatten().fold(self.next_heartbeat, Duration::min)
    }

    /// Takes what happened at `now` and returns what must be done, in order.
    pub(crate) fn on_event(&mut self, now: Duration, event: Event) -> Vec<Command> {
        assert!(self.now <= now, "time does not go back");
        self.now = now;
        match event {
            Event::Cleaned(slots) => self.on_cleaned(&slots),
            _ if self.is_ended() => {}
            Event::Connected(connection) => self.membership.on_connected(now, connection),
            Event::Message(connection, message) => self.on_message(connection, message),
            Event::Disconnected(connection) => {
                if let Some(lost) = self.membership.on_disconnected(connection) {
                    self.on_lost(lost);
                }
            }
            Event::Appended(appended) => self.on_appended(appended),
            Event::Found(found) => self.on_found(found),
            Event::Cancel => {
                self.cancel_everywhere();
                self.end(Ending::Cancelled);
            }
            Event::Stop { within } => self.on_stop(within),
            Event::Time => self.on_time(),
        }
        self.advance();
        std::mem::take(&mut self.commands)
    }

    fn is_ended(&self) -> bool {
        matches!(self.phase, Phase::Ended)
    }

    /// Returns the attempt that is deploying or running.
    fn deployed(&self) -> Option<&DeployedAttempt> {
        match &self.phase {
            Phase::Deploying { deployed, .. } | Phase::Running(deployed) => Some(deployed),
            Phase::Waiting | Phase::Confirming | Phase::Pausing { .. } | Phase::Ended => None,
        }
    }

    /// Returns the name of the newest attempt of this term.
    fn newest_attempt(&self) -> Attempt {
        Attempt { term: self.term, number: self.number }
    }

    fn on_time(&mut self) {
        for lost in self.membership.on_time(self.now) {
            self.commands.push(Command::Close(lost.connection));
            self.on_lost(lost);
        }
        self.on_deployment_time();
        if self.next_heartbeat <= self.now {
            self.heartbeat();
        }
        self.on_stop_time();
        let step = self.ledger.as_mut().map(|ledger| ledger.checkpoints.on_time(self.now));
        match step {
            Some(Step::Trigger { checkpoint, purpose }) => self.trigger(checkpoint, purpose),
            Some(Step::Aborted(aborted)) => self.on_checkpoint_aborted(aborted),
            Some(Step::None) | None => {}
        }
    }

    /// Says what must not be lost: who rules, which attempt is the newest, and what was ordered and
    /// is not known to have arrived.
    fn heartbeat(&mut self) {
        self.next_heartbeat = self.now + self.options.cluster.heartbeat_interval;
        let attempt = self.newest_attempt();
        for worker in self.membership.workers() {
            self.send(worker, ToWorker::Heartbeat { attempt });
        }
        match &self.phase {
            Phase::Deploying { deployed, .. } => {
                for worker in deployed.silent_workers() {
                    self.order(worker);
                }
            }
            Phase::Running(_) => self.notify_last(),
            Phase::Waiting if 0 < self.number => {
                self.cancel_everywhere();
                // The workers may have gone to a successor, which only the log can tell.
                self.read_log();
            }
            Phase::Pausing { .. } | Phase::Confirming if 0 < self.number => {
                self.cancel_everywhere();
            }
            Phase::Pausing { .. } | Phase::Waiting | Phase::Confirming | Phase::Ended => {}
        }
    }

    fn on_message(&mut self, connection: ConnectionId, message: ToCoordinator) {
        if !self.membership.on_heard(self.now, connection) {
            return;
        }
        match message {
            ToCoordinator::Register { worker, slot_count, data_address } => {
                self.on_register(connection, worker, Offer { slot_count, data_address });
            }
            ToCoordinator::Heartbeat { attempt, subtasks, .. } => {
                if let Some(worker) = self.membership.on_heartbeat(connection) {
                    self.on_heartbeat(worker, attempt, subtasks);
                }
            }
            ToCoordinator::Acknowledge { attempt, checkpoint, subtask, files } => {
                self.on_acknowledge(attempt, checkpoint, subtask, files);
            }
            ToCoordinator::Decline { attempt, checkpoint, subtask, reason } => {
                self.on_decline(attempt, checkpoint, subtask, &reason);
            }
            ToCoordinator::Watermark { attempt, subtask, group, watermark } => {
                self.on_watermark(connection, attempt, (subtask, group, watermark));
            }
            ToCoordinator::Leave { .. } => {
                self.commands.push(Command::Close(connection));
                if let Some(lost) = self.membership.on_disconnected(connection) {
                    self.on_left(lost);
                }
            }
        }
    }

    /// Tells the source of a group how far the slowest one has come, once all have had a chance to
    /// say how far they are.
    fn on_watermark(
        &mut self,
        connection: ConnectionId,
        attempt: Attempt,
        (subtask, group, watermark): (SubtaskId, String, Option<Timestamp>),
    ) {
        if !self.is_current(attempt) {
            return;
        }
        let least = self.groups.on_report(&group, subtask, watermark);
        if matches!(self.phase, Phase::Running(_)) {
            let announcement = ToWorker::Announce { attempt, group, least };
            self.commands.push(Command::Send(connection, announcement));
        }
    }

    fn on_register(&mut self, connection: ConnectionId, worker: WorkerId, offer: Offer) {
        let registration = self.membership.on_register(connection, worker, offer);
        match registration {
            Registration::Stale => return,
            Registration::Repeated => {}
            Registration::New => self.observe(RuntimeEvent::WorkerRegistered { worker }),
            Registration::Replaced(old) => {
                self.commands.push(Command::Close(old));
                self.on_lost(Lost { connection: old, worker: Some(worker) });
                self.observe(RuntimeEvent::WorkerRegistered { worker });
            }
        }
        let term = self.term;
        self.commands.push(Command::Send(connection, ToWorker::Registered { term }));
    }

    /// Takes the report of a worker about the newest attempt it knows.
    fn on_heartbeat(&mut self, worker: WorkerId, attempt: Attempt, reports: Vec<SubtaskReport>) {
        let current = self.newest_attempt();
        if current.term < attempt.term {
            return self.read_log();
        }
        if attempt < current {
            if !reports.is_empty() {
                self.observe(RuntimeEvent::StaleRefused { current, stale: attempt });
            }
            return;
        }
        if current < attempt {
            // Only without a log: the coordinator before this one had the same term.
            self.number = attempt.number;
            return self.fail_attempt(format!("{worker} knows {attempt}, a newer one"));
        }
        let (Phase::Deploying { deployed, .. } | Phase::Running(deployed)) = &mut self.phase else {
            return;
        };
        match deployed.on_report(worker, reports) {
            Ok(()) => self.on_progress(),
            Err(failure) => {
                let name = self.name_of(failure.subtask);
                self.fail_attempt(format!("{name}: {}", failure.reason));
            }
        }
    }

    fn on_acknowledge(
        &mut self,
        attempt: Attempt,
        checkpoint: CheckpointId,
        subtask: SubtaskId,
        files: Vec<StoredFile>,
    ) {
        let (mut attempt, mut checkpoint) = (attempt, checkpoint);
        if planted!(StaleAcknowledgement) {
            attempt = self.newest_attempt();
            let collecting = self.ledger.as_ref().and_then(|one| one.checkpoints.collecting());
            checkpoint = collecting.unwrap_or(checkpoint);
        }
        let acknowledged = if self.is_current(attempt) {
            self.ledger.as_mut().map(|ledger| ledger.checkpoints.on_ack(checkpoint, subtask, files))
        } else {
            None
        };
        match acknowledged {
            Some(Acknowledged::Accepted) => {
                self.observe(RuntimeEvent::CheckpointAcknowledged { attempt, checkpoint, subtask });
            }
            Some(Acknowledged::Complete { purpose, snapshots }) => {
                self.observe(RuntimeEvent::CheckpointAcknowledged { attempt, checkpoint, subtask });
                let (term, job) = (self.term, self.options.job.clone());
                let is_final = purpose == Purpose::Finish;
                self.store(Manifest { term, attempt, checkpoint, is_final, job, snapshots });
            }
            Some(Acknowledged::Ignored) | None => {
                self.observe(RuntimeEvent::AcknowledgementIgnored { attempt, checkpoint, subtask });
            }
        }
    }

    fn on_decline(
        &mut self,
        attempt: Attempt,
        checkpoint: CheckpointId,
        subtask: SubtaskId,
        reason: &str,
    ) {
        if !self.is_current(attempt) {
            return;
        }
        let Some(ledger) = &mut self.ledger else { return };
        let aborted = ledger.checkpoints.on_decline(self.now, checkpoint, subtask, reason);
        if let Some(aborted) = aborted {
            self.on_checkpoint_aborted(aborted);
        }
    }

    fn is_current(&self, attempt: Attempt) -> bool {
        self.deployed().is_some_and(|deployed| deployed.attempt() == attempt)
    }

    fn trigger(&mut self, checkpoint: CheckpointId, purpose: Purpose) {
        let attempt = self.newest_attempt();
        let is_final = purpose == Purpose::Finish;
        if purpose == Purpose::Stop {
            self.observe(RuntimeEvent::JobStopping { attempt, checkpoint });
        }
        self.observe(RuntimeEvent::CheckpointTriggered { attempt, checkpoint, is_final });
        self.send_to_attempt(&match purpose {
            Purpose::Progress | Purpose::Finish => {
                ToWorker::Trigger { attempt, checkpoint, is_final }
            }
            Purpose::Stop => ToWorker::Stop { attempt, checkpoint },
        });
    }

    fn on_checkpoint_aborted(&mut self, aborted: Aborted) {
        let Aborted { checkpoint, reason, ends_attempt } = aborted;
        let attempt = self.newest_attempt();
        let failure = format!("{checkpoint}: {reason}");
        self.observe(RuntimeEvent::CheckpointAborted { attempt, checkpoint, reason });
        self.send_to_attempt(&ToWorker::Abort { attempt, checkpoint });
        if ends_attempt {
            self.fail_attempt(failure);
        }
    }

    fn store(&mut self, manifest: Manifest) {
        let ledger = self.ledger.as_mut().expect("who takes checkpoints has a log");
        assert!(ledger.in_flight.is_none(), "one manifest is stored at a time");
        ledger.in_flight = Some(manifest.clone());
        let slot = ledger.slot + 1;
        if planted!(CompleteBeforeManifest) {
            let Manifest { attempt, checkpoint, .. } = manifest;
            self.send_to_attempt(&ToWorker::Notify { attempt, checkpoint, is_final: false });
        }
        self.commands.push(Command::Append { slot, manifest });
    }

    fn on_appended(&mut self, appended: Appended) {
        let slot = self.next_slot();
        match appended {
            Appended::Stored => self.on_stored(slot),
            Appended::Taken(LogEntry::Reign { term, .. }) => self.step_down(term),
            Appended::Taken(LogEntry::Manifest(manifest)) => self.step_down(manifest.term),
            Appended::Vanished => self.end(Ending::Vanished { slot }),
            Appended::Unreadable(error) => self.end(Ending::Unreadable { slot, error }),
        }
    }

    /// The checkpoint is complete: from here on it is what a failover restores.
    fn on_stored(&mut self, slot: u64) {
        let ledger = self.ledger.as_mut().expect("who stores manifests has a log");
        let manifest = ledger.in_flight.take().expect("what was stored was in flight");
        let completed = ledger.checkpoints.on_stored(self.now);
        assert_eq!(completed.checkpoint, manifest.checkpoint, "one checkpoint is in flight");
        ledger.slot = slot;
        let attempt = manifest.attempt;
        let retired = ledger.retention.on_stored(slot, manifest);
        let cleaning = ledger.retention.clean();
        if self.is_current(attempt) {
            let (checkpoint, is_final) = (completed.checkpoint, completed.purpose.is_last());
            self.send_to_attempt(&ToWorker::Notify { attempt, checkpoint, is_final });
            self.report_running(attempt);
        }
        for checkpoint in retired {
            self.observe(RuntimeEvent::CheckpointRetired { checkpoint });
        }
        self.commands.extend(cleaning.map(Command::Clean));
    }

    fn on_cleaned(&mut self, slots: &[u64]) {
        let ledger = self.ledger.as_mut().expect("who cleans has a log");
        self.commands.extend(ledger.retention.on_cleaned(slots).map(Command::Clean));
    }

    /// Repeats the last notification: without it no subtask finishes.
    fn notify_last(&mut self) {
        let ledger = self.ledger.as_ref();
        let Some((checkpoint, _)) = ledger.and_then(|one| one.checkpoints.completed_last()) else {
            return;
        };
        let attempt = self.newest_attempt();
        self.send_to_attempt(&ToWorker::Notify { attempt, checkpoint, is_final: true });
    }

    /// Asks the log whether this coordinator still rules, unless it is being asked.
    fn read_log(&mut self) {
        if self.ledger.is_some() && !self.is_reading {
            self.is_reading = true;
            self.commands.push(Command::Read(self.next_slot()));
        }
    }

    fn on_found(&mut self, found: Found) {
        assert!(self.is_reading, "an answer follows a question");
        self.is_reading = false;
        match found {
            Found::Entry(entry) if self.term < entry.term() => self.step_down(entry.term()),
            Found::Unreadable(error) => {
                let slot = self.next_slot();
                self.end(Ending::Unreadable { slot, error });
            }
            // A manifest of this reign was being stored while the slot was read.
            Found::Entry(_) | Found::Missing => {
                if matches!(self.phase, Phase::Confirming) {
                    self.deploy();
                }
            }
        }
    }

    fn next_slot(&self) -> u64 {
        self.ledger.as_ref().expect("only a job with checkpoints has a log").slot + 1
    }

    fn step_down(&mut self, current: Term) {
        self.observe(RuntimeEvent::SteppedDown { held: self.term, current });
        self.end(Ending::Fenced { current });
    }

    fn end(&mut self, ending: Ending) {
        assert!(!self.is_ended(), "a reign ends once");
        if ending.is_of_job() {
            let term = self.term;
            for worker in self.membership.workers() {
                self.send(worker, ToWorker::End { term });
            }
        }
        self.phase = Phase::Ended;
        self.commands.push(Command::End(ending));
    }

    fn observe(&mut self, event: RuntimeEvent) {
        self.commands.push(Command::Observe(event));
    }

    fn send(&mut self, worker: WorkerId, message: ToWorker) {
        // A worker that is gone is about to be noticed, or was.
        if let Some(connection) = self.membership.connection_of(worker) {
            self.commands.push(Command::Send(connection, message));
        }
    }

    fn send_to_attempt(&mut self, message: &ToWorker) {
        let mut workers = self.deployed().map(DeployedAttempt::workers).unwrap_or_default();
        if planted!(ZombieCommits) {
            workers = self.membership.workers().into_iter().collect();
        }
        for worker in workers {
            self.send(worker, message.clone());
        }
    }

    /// Returns the subtask as users know it.
    fn name_of(&self, subtask: SubtaskId) -> String {
        format!("{} [{}]", self.options.job.vertex(subtask.vertex).name, subtask.index)
    }
}
