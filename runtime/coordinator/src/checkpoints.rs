//! The schedule of checkpoints: when one begins, when it is given up, and which one is the last.
//!
//! ```text
//!   idle ── due ──▶ collecting ── last acknowledgement ──▶ storing ── manifest stored ──▶ idle
//!    ▲                  │                                    │
//!    └─ timeout, decline, failover                           └─ cannot be aborted: the write may
//!                                                               have had its effect already
//! ```
//!
//! When no source has more input, a *final* checkpoint follows as soon as none is in flight, and
//! after its manifest no other. When the job is to stop, a *stopping* checkpoint follows in the same
//! way, after which the sources read no further.
//!
//! # Invariants
//!
//! - At most one checkpoint is in flight, also across attempts.
//! - Ids grow for ever; none is used twice.

use std::{collections::BTreeSet, time::Duration};

use floodmark_model::{CheckpointConfig, CheckpointId, SubtaskId};
use floodmark_platform::planted;
use floodmark_wire::StoredFile;

use crate::pending::{Ack, PendingCheckpoint};

/// Longest pause between an aborted last checkpoint and the next: nothing but it is left to do.
const LAST_PAUSE_MAX: Duration = Duration::from_secs(1);

/// The checkpoints of one reign.
#[derive(Debug)]
pub(crate) struct Checkpoints {
    config: CheckpointConfig,
    next: CheckpointId,
    flight: Option<Flight>,
    /// The attempt that takes checkpoints; `None` while nothing runs.
    run: Option<Run>,
}

/// The part of the schedule that ends with the attempt.
#[derive(Debug)]
struct Run {
    subtasks: BTreeSet<SubtaskId>,
    /// When the next checkpoint begins, unless one is in flight.
    due: Duration,
    /// Checkpoints that failed since one was completed.
    failure_count: u32,
    stage: Stage,
}

/// How close the attempt is to its end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Stage {
    /// Some source has more input.
    Open,
    /// The next checkpoint is the final one.
    Exhausted,
    /// The next checkpoint is the one with which the job stops.
    Stopping,
    /// The last checkpoint of the attempt is complete.
    Complete(CheckpointId, Purpose),
}

/// What a checkpoint is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Purpose {
    /// The attempt goes on after it.
    Progress,
    /// All sources are exhausted, and the job is finished with it.
    Finish,
    /// The sources read no further, and the attempt is over with it.
    Stop,
}

impl Purpose {
    /// Returns whether the attempt is over when the checkpoint is complete.
    pub(crate) fn is_last(self) -> bool {
        self != Self::Progress
    }
}

#[derive(Debug)]
struct Flight {
    purpose: Purpose,
    started: Duration,
    state: FlightState,
}

#[derive(Debug)]
enum FlightState {
    Collecting(PendingCheckpoint),
    Storing(CheckpointId),
}

/// What the passing of time changed.
#[derive(Clone, Debug, PartialEq, Eq)]
#[must_use]
pub(crate) enum Step {
    /// Nothing.
    None,
    /// A checkpoint begins.
    Trigger {
        /// Which.
        checkpoint: CheckpointId,
        /// What for.
        purpose: Purpose,
    },
    /// A checkpoint is given up.
    Aborted(Aborted),
}

/// A checkpoint that was given up.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Aborted {
    /// Which.
    pub(crate) checkpoint: CheckpointId,
    /// Why.
    pub(crate) reason: String,
    /// Whether more checkpoints failed in a row than are tolerated.
    pub(crate) ends_attempt: bool,
}

/// What an acknowledgement changed.
#[derive(Clone, Debug, PartialEq, Eq)]
#[must_use]
pub(crate) enum Acknowledged {
    /// It counts.
    Accepted,
    /// It counts and was the last: store the manifest.
    Complete {
        /// What the checkpoint is for.
        purpose: Purpose,
        /// What the manifest lists.
        snapshots: Vec<(SubtaskId, Vec<StoredFile>)>,
    },
    /// Nobody waits for it.
    Ignored,
}

/// A checkpoint whose manifest is stored.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Completed {
    /// Which.
    pub(crate) checkpoint: CheckpointId,
    /// What it is for.
    pub(crate) purpose: Purpose,
}

impl Checkpoints {
    /// Creates a schedule whose first checkpoint is `next`.
    pub(crate) fn new(config: CheckpointConfig, next: CheckpointId) -> Self {
        Self { config, next, flight: None, run: None }
    }

    /// Records that all `subtasks` of an attempt run.
    pub(crate) fn start(&mut self, now: Duration, subtasks: BTreeSet<SubtaskId>) {
        assert!(self.run.is_none(), "one attempt runs at a time");
        assert!(self.flight.is_none(), "an attempt begins after everything earlier is resolved");
        let due = now + self.config.interval;
        self.run = Some(Run { subtasks, due, failure_count: 0, stage: Stage::Open });
    }

    /// Records that the attempt is over, and returns the checkpoint this aborts. One that is being
    /// stored stays in flight.
    pub(crate) fn stop(&mut self) -> Option<CheckpointId> {
        self.run = None;
        let flight = self.flight.take_if(|one| matches!(one.state, FlightState::Collecting(_)))?;
        Some(flight.id())
    }

    /// Returns whether a manifest is being stored, so that nobody knows which is the newest.
    pub(crate) fn is_storing(&self) -> bool {
        let state = self.flight.as_ref().map(|flight| &flight.state);
        matches!(state, Some(FlightState::Storing(_)))
    }

    /// Returns the last checkpoint of the attempt and what it is for, once it is complete.
    pub(crate) fn completed_last(&self) -> Option<(CheckpointId, Purpose)> {
        match self.run.as_ref()?.stage {
            Stage::Complete(checkpoint, purpose) => Some((checkpoint, purpose)),
            Stage::Open | Stage::Exhausted | Stage::Stopping => None,
        }
    }

    /// Returns the checkpoint that waits for acknowledgements.
    pub(crate) fn collecting(&self) -> Option<CheckpointId> {
        self.flight.as_ref().filter(|_| !self.is_storing()).map(Flight::id)
    }

    /// Records that no source has more input.
    pub(crate) fn on_exhausted(&mut self, now: Duration) {
        let Some(run) = &mut self.run else { return };
        if run.stage == Stage::Open {
            run.stage = Stage::Exhausted;
            run.due = now;
        }
    }

    /// Records that the job is to stop. One whose sources are exhausted is about to finish, and does.
    pub(crate) fn on_stop(&mut self, now: Duration) {
        let Some(run) = &mut self.run else { return };
        if run.stage == Stage::Open {
            run.stage = Stage::Stopping;
            run.due = now;
        }
    }

    /// Does what is due.
    pub(crate) fn on_time(&mut self, now: Duration) -> Step {
        let Some(run) = &self.run else { return Step::None };
        match &self.flight {
            Some(Flight { started, state: FlightState::Collecting(pending), .. })
                if *started + self.config.timeout <= now && !planted!(EndlessAlignment) =>
            {
                let missing: Vec<_> = pending.missing().map(|one| one.to_string()).collect();
                let timeout = self.config.timeout;
                let reason = format!("no snapshot of {} within {timeout:?}", missing.join(", "));
                Step::Aborted(self.abort(now, reason))
            }
            None if run.due <= now && !matches!(run.stage, Stage::Complete(..)) => {
                self.trigger(now)
            }
            Some(_) | None => Step::None,
        }
    }

    /// Returns when [`Checkpoints::on_time`] has something to do.
    pub(crate) fn deadline(&self) -> Option<Duration> {
        let run = self.run.as_ref()?;
        match &self.flight {
            Some(Flight { started, state: FlightState::Collecting(_), .. }) => {
                (!planted!(EndlessAlignment)).then(|| *started + self.config.timeout)
            }
            Some(Flight { state: FlightState::Storing(_), .. }) => None,
            None => (!matches!(run.stage, Stage::Complete(..))).then_some(run.due),
        }
    }

    /// Records that `subtask` stored its snapshot.
    pub(crate) fn on_ack(
        &mut self,
        checkpoint: CheckpointId,
        subtask: SubtaskId,
        files: Vec<StoredFile>,
    ) -> Acknowledged {
        let Some(Flight { state: FlightState::Collecting(pending), .. }) = &mut self.flight else {
            return Acknowledged::Ignored;
        };
        match pending.on_ack(checkpoint, subtask, files) {
            Ack::Waiting => Acknowledged::Accepted,
            Ack::Repeated | Ack::Stale => Acknowledged::Ignored,
            Ack::Complete => self.store(checkpoint),
        }
    }

    /// Records that `subtask` could not store its snapshot. `None` if nobody waits for it.
    pub(crate) fn on_decline(
        &mut self,
        now: Duration,
        checkpoint: CheckpointId,
        subtask: SubtaskId,
        reason: &str,
    ) -> Option<Aborted> {
        let FlightState::Collecting(pending) = &self.flight.as_ref()?.state else { return None };
        pending
            .is_of(checkpoint, subtask)
            .then(|| self.abort(now, format!("{subtask} declined: {reason}")))
    }

    /// Records that the manifest is stored.
    pub(crate) fn on_stored(&mut self, now: Duration) -> Completed {
        assert!(self.is_storing(), "only what is being stored gets stored");
        let flight = self.flight.take().expect("a checkpoint is in flight");
        let is_exhausted = self.run.as_ref().is_some_and(|run| run.stage == Stage::Exhausted);
        let purpose = if planted!(InFlightTakenForFinal) && is_exhausted {
            Purpose::Finish
        } else {
            flight.purpose
        };
        let checkpoint = flight.id();
        if let Some(run) = &mut self.run {
            run.failure_count = 0;
            run.due = match run.stage {
                Stage::Exhausted | Stage::Stopping => now,
                Stage::Open | Stage::Complete(..) => next_due(&self.config, flight.started, now),
            };
            if purpose.is_last() {
                run.stage = Stage::Complete(checkpoint, purpose);
            }
        }
        Completed { checkpoint, purpose }
    }

    fn trigger(&mut self, now: Duration) -> Step {
        assert!(self.flight.is_none(), "one checkpoint is in flight");
        let run = self.run.as_ref().expect("an attempt runs");
        let checkpoint = self.next;
        self.next = checkpoint.next();
        let purpose = match run.stage {
            Stage::Open => Purpose::Progress,
            Stage::Exhausted => Purpose::Finish,
            Stage::Stopping => Purpose::Stop,
            Stage::Complete(..) => unreachable!("no checkpoint follows the last one"),
        };
        let pending = PendingCheckpoint::new(checkpoint, run.subtasks.clone());
        let state = FlightState::Collecting(pending);
        self.flight = Some(Flight { purpose, started: now, state });
        Step::Trigger { checkpoint, purpose }
    }

    fn store(&mut self, checkpoint: CheckpointId) -> Acknowledged {
        let flight = self.flight.as_mut().expect("a checkpoint is in flight");
        let state = std::mem::replace(&mut flight.state, FlightState::Storing(checkpoint));
        let FlightState::Collecting(pending) = state else {
            unreachable!("acknowledgements are collected before the manifest is stored")
        };
        let purpose = flight.purpose;
        Acknowledged::Complete { purpose, snapshots: pending.into_snapshots() }
    }

    fn abort(&mut self, now: Duration, reason: String) -> Aborted {
        assert!(!self.is_storing(), "what is being stored is no longer abortable");
        let flight = self.flight.take().expect("a checkpoint is in flight");
        let run = self.run.as_mut().expect("checkpoints are collected while an attempt runs");
        run.failure_count += 1;
        run.due = match run.stage {
            Stage::Exhausted | Stage::Stopping if flight.purpose.is_last() => {
                now + self.config.interval.min(LAST_PAUSE_MAX)
            }
            Stage::Exhausted | Stage::Stopping => now,
            Stage::Open | Stage::Complete(..) => next_due(&self.config, flight.started, now),
        };
        let ends_attempt = self.config.tolerable_failure_count < run.failure_count;
        Aborted { checkpoint: flight.id(), reason, ends_attempt }
    }
}

impl Flight {
    fn id(&self) -> CheckpointId {
        match &self.state {
            FlightState::Collecting(pending) => pending.id(),
            FlightState::Storing(checkpoint) => *checkpoint,
        }
    }
}

/// Returns when the checkpoint after one that took from `started` to `ended` begins.
fn next_due(config: &CheckpointConfig, started: Duration, ended: Duration) -> Duration {
    (started + config.interval).max(ended + config.min_pause)
}

#[cfg(test)]
mod tests {
    use std::fmt::Write as _;

    use expect_test::{Expect, expect};
    use floodmark_model::VertexId;

    use super::*;

    /// One thing that happens at a second.
    enum Do {
        Time,
        Ack(u64, u16),
        Decline(u64, u16),
        Stored,
        Exhausted,
        AskToStop,
        Stop,
        Start,
    }

    fn subtask(index: u16) -> SubtaskId {
        SubtaskId { vertex: VertexId(0), index }
    }

    fn step(checkpoints: &mut Checkpoints, now: Duration, action: &Do) -> String {
        match *action {
            Do::Time => format!("{:?}", checkpoints.on_time(now)),
            Do::Ack(id, index) => {
                format!("{:?}", checkpoints.on_ack(CheckpointId(id), subtask(index), Vec::new()))
            }
            Do::Decline(id, index) => {
                let id = CheckpointId(id);
                format!("{:?}", checkpoints.on_decline(now, id, subtask(index), "disk full"))
            }
            Do::Stored => format!("{:?}", checkpoints.on_stored(now)),
            Do::Exhausted => {
                checkpoints.on_exhausted(now);
                format!("due {:?}", checkpoints.deadline())
            }
            Do::AskToStop => {
                checkpoints.on_stop(now);
                format!("due {:?}", checkpoints.deadline())
            }
            Do::Stop => format!("aborts {:?}", checkpoints.stop()),
            Do::Start => {
                checkpoints.start(now, [0, 1].map(subtask).into());
                format!("due {:?}", checkpoints.deadline())
            }
        }
    }

    /// Runs a script with interval 10 s, timeout 30 s, pause 5 s and one tolerable failure.
    #[track_caller]
    fn check(script: &[(u64, Do)], want: Expect) {
        let config = CheckpointConfig::every(Duration::from_secs(10))
            .timeout(Duration::from_secs(30))
            .min_pause(Duration::from_secs(5))
            .tolerable_failures(1);
        let mut checkpoints = Checkpoints::new(config, CheckpointId(7));
        let mut got = String::new();
        for (second, action) in script {
            let line = step(&mut checkpoints, Duration::from_secs(*second), action);
            writeln!(got, "{second:<3} {line}").unwrap();
        }
        want.assert_eq(&got);
    }

    #[test]
    fn a_slow_checkpoint_is_followed_after_the_pause() {
        check(
            &[
                (0, Do::Start),
                (10, Do::Time),
                (18, Do::Ack(7, 0)),
                (18, Do::Ack(7, 0)),
                (18, Do::Ack(7, 1)),
                (19, Do::Stored),
                (20, Do::Time),
                (24, Do::Time),
            ],
            expect![[r#"
                0   due Some(10s)
                10  Trigger { checkpoint: CheckpointId(7), purpose: Progress }
                18  Accepted
                18  Ignored
                18  Complete { purpose: Progress, snapshots: [(SubtaskId { vertex: VertexId(0), index: 0 }, []), (SubtaskId { vertex: VertexId(0), index: 1 }, [])] }
                19  Completed { checkpoint: CheckpointId(7), purpose: Progress }
                20  None
                24  Trigger { checkpoint: CheckpointId(8), purpose: Progress }
            "#]],
        );
    }

    #[test]
    fn an_acknowledgement_after_the_abort_is_ignored() {
        check(
            &[(0, Do::Start), (10, Do::Time), (11, Do::Decline(7, 1)), (11, Do::Ack(7, 0))],
            expect![[r#"
                0   due Some(10s)
                10  Trigger { checkpoint: CheckpointId(7), purpose: Progress }
                11  Some(Aborted { checkpoint: CheckpointId(7), reason: "subtask 0.1 declined: disk full", ends_attempt: false })
                11  Ignored
            "#]],
        );
    }

    #[test]
    fn the_last_acknowledgement_and_the_timeout_exclude_each_other() {
        check(
            &[
                (0, Do::Start),
                (10, Do::Time),
                (11, Do::Ack(7, 0)),
                (40, Do::Time),
                (40, Do::Ack(7, 1)),
                (45, Do::Time),
                (50, Do::Ack(8, 0)),
                (75, Do::Ack(8, 1)),
                (75, Do::Time),
            ],
            expect![[r#"
                0   due Some(10s)
                10  Trigger { checkpoint: CheckpointId(7), purpose: Progress }
                11  Accepted
                40  Aborted(Aborted { checkpoint: CheckpointId(7), reason: "no snapshot of subtask 0.1 within 30s", ends_attempt: false })
                40  Ignored
                45  Trigger { checkpoint: CheckpointId(8), purpose: Progress }
                50  Accepted
                75  Complete { purpose: Progress, snapshots: [(SubtaskId { vertex: VertexId(0), index: 0 }, []), (SubtaskId { vertex: VertexId(0), index: 1 }, [])] }
                75  None
            "#]],
        );
    }

    #[test]
    fn more_failures_than_tolerated_end_the_attempt() {
        check(
            &[
                (0, Do::Start),
                (10, Do::Time),
                (11, Do::Decline(7, 0)),
                (11, Do::Decline(7, 1)),
                (20, Do::Time),
                (21, Do::Decline(8, 0)),
            ],
            expect![[r#"
                0   due Some(10s)
                10  Trigger { checkpoint: CheckpointId(7), purpose: Progress }
                11  Some(Aborted { checkpoint: CheckpointId(7), reason: "subtask 0.0 declined: disk full", ends_attempt: false })
                11  None
                20  Trigger { checkpoint: CheckpointId(8), purpose: Progress }
                21  Some(Aborted { checkpoint: CheckpointId(8), reason: "subtask 0.0 declined: disk full", ends_attempt: true })
            "#]],
        );
    }

    #[test]
    fn what_is_being_stored_survives_the_attempt() {
        check(
            &[
                (0, Do::Start),
                (10, Do::Time),
                (11, Do::Ack(7, 0)),
                (12, Do::Ack(7, 1)),
                (13, Do::Stop),
                (99, Do::Time),
                (99, Do::Stored),
                (99, Do::Start),
                (109, Do::Time),
                (110, Do::Stop),
            ],
            expect![[r#"
                0   due Some(10s)
                10  Trigger { checkpoint: CheckpointId(7), purpose: Progress }
                11  Accepted
                12  Complete { purpose: Progress, snapshots: [(SubtaskId { vertex: VertexId(0), index: 0 }, []), (SubtaskId { vertex: VertexId(0), index: 1 }, [])] }
                13  aborts None
                99  None
                99  Completed { checkpoint: CheckpointId(7), purpose: Progress }
                99  due Some(109s)
                109 Trigger { checkpoint: CheckpointId(8), purpose: Progress }
                110 aborts Some(CheckpointId(8))
            "#]],
        );
    }

    #[test]
    fn an_aborted_final_checkpoint_is_repeated_soon() {
        check(
            &[
                (0, Do::Start),
                (10, Do::Time),
                (11, Do::Exhausted),
                (11, Do::Time),
                (12, Do::Ack(7, 0)),
                (12, Do::Ack(7, 1)),
                (13, Do::Stored),
                (13, Do::Time),
                (14, Do::Decline(8, 0)),
                (15, Do::Time),
                (15, Do::Ack(9, 0)),
                (15, Do::Ack(9, 1)),
                (16, Do::Stored),
                (99, Do::Time),
            ],
            expect![[r#"
                0   due Some(10s)
                10  Trigger { checkpoint: CheckpointId(7), purpose: Progress }
                11  due Some(40s)
                11  None
                12  Accepted
                12  Complete { purpose: Progress, snapshots: [(SubtaskId { vertex: VertexId(0), index: 0 }, []), (SubtaskId { vertex: VertexId(0), index: 1 }, [])] }
                13  Completed { checkpoint: CheckpointId(7), purpose: Progress }
                13  Trigger { checkpoint: CheckpointId(8), purpose: Finish }
                14  Some(Aborted { checkpoint: CheckpointId(8), reason: "subtask 0.0 declined: disk full", ends_attempt: false })
                15  Trigger { checkpoint: CheckpointId(9), purpose: Finish }
                15  Accepted
                15  Complete { purpose: Finish, snapshots: [(SubtaskId { vertex: VertexId(0), index: 0 }, []), (SubtaskId { vertex: VertexId(0), index: 1 }, [])] }
                16  Completed { checkpoint: CheckpointId(9), purpose: Finish }
                99  None
            "#]],
        );
    }

    #[test]
    fn a_stop_waits_for_what_is_in_flight_and_is_repeated_until_it_is_complete() {
        check(
            &[
                (0, Do::Start),
                (10, Do::Time),
                (11, Do::AskToStop),
                (11, Do::Time),
                (12, Do::Ack(7, 0)),
                (12, Do::Ack(7, 1)),
                (13, Do::Stored),
                (13, Do::Time),
                (14, Do::Decline(8, 0)),
                (14, Do::Exhausted),
                (15, Do::Time),
                (15, Do::Ack(9, 0)),
                (15, Do::Ack(9, 1)),
                (16, Do::Stored),
                (99, Do::Time),
            ],
            expect![[r#"
                0   due Some(10s)
                10  Trigger { checkpoint: CheckpointId(7), purpose: Progress }
                11  due Some(40s)
                11  None
                12  Accepted
                12  Complete { purpose: Progress, snapshots: [(SubtaskId { vertex: VertexId(0), index: 0 }, []), (SubtaskId { vertex: VertexId(0), index: 1 }, [])] }
                13  Completed { checkpoint: CheckpointId(7), purpose: Progress }
                13  Trigger { checkpoint: CheckpointId(8), purpose: Stop }
                14  Some(Aborted { checkpoint: CheckpointId(8), reason: "subtask 0.0 declined: disk full", ends_attempt: false })
                14  due Some(15s)
                15  Trigger { checkpoint: CheckpointId(9), purpose: Stop }
                15  Accepted
                15  Complete { purpose: Stop, snapshots: [(SubtaskId { vertex: VertexId(0), index: 0 }, []), (SubtaskId { vertex: VertexId(0), index: 1 }, [])] }
                16  Completed { checkpoint: CheckpointId(9), purpose: Stop }
                99  None
            "#]],
        );
    }

    #[test]
    fn a_job_that_is_about_to_finish_is_not_stopped_before() {
        check(
            &[
                (0, Do::Start),
                (3, Do::Exhausted),
                (3, Do::AskToStop),
                (3, Do::Time),
                (4, Do::Ack(7, 0)),
                (4, Do::Ack(7, 1)),
                (5, Do::Stored),
                (5, Do::AskToStop),
                (99, Do::Time),
            ],
            expect![[r#"
                0   due Some(10s)
                3   due Some(3s)
                3   due Some(3s)
                3   Trigger { checkpoint: CheckpointId(7), purpose: Finish }
                4   Accepted
                4   Complete { purpose: Finish, snapshots: [(SubtaskId { vertex: VertexId(0), index: 0 }, []), (SubtaskId { vertex: VertexId(0), index: 1 }, [])] }
                5   Completed { checkpoint: CheckpointId(7), purpose: Finish }
                5   due None
                99  None
            "#]],
        );
    }
}
