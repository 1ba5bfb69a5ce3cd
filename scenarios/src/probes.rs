//! Situations that scenarios must reach, or they do not test what they claim.
//!
//! Some show in a single event. Others only in what came before it: *a worker died while one of its
//! subtasks was aligning*. Those are asked with everything seen so far, as [`Progress`] keeps it.

use floodmark::{RuntimeEvent, SnapshotOrigin, Timestamp};
use floodmark_sim::Incident;

use crate::Progress;

/// A situation worth reaching.
#[derive(Clone, Copy)]
pub struct Probe {
    /// Its name.
    pub name: &'static str,
    sight: Sight,
}

#[derive(Clone, Copy)]
enum Sight {
    Event(fn(&RuntimeEvent) -> bool),
    Moment(fn(&Progress, Sighting<'_>) -> bool),
}

/// One thing that was seen.
#[derive(Clone, Copy, Debug)]
pub enum Sighting<'a> {
    /// A node said that something happened.
    Event(&'a str, &'a RuntimeEvent),
    /// A fault struck.
    Incident(&'a Incident),
}

impl Probe {
    /// Creates a probe that a single event reaches.
    pub const fn event(name: &'static str, is_reached: fn(&RuntimeEvent) -> bool) -> Self {
        Self { name, sight: Sight::Event(is_reached) }
    }

    /// Creates a probe that is reached by something seen after everything else that was seen.
    pub const fn moment(
        name: &'static str,
        is_reached: fn(&Progress, Sighting<'_>) -> bool,
    ) -> Self {
        Self { name, sight: Sight::Moment(is_reached) }
    }

    /// Returns whether `sighting`, after `progress`, is the situation.
    pub fn is_reached(&self, progress: &Progress, sighting: Sighting<'_>) -> bool {
        match (self.sight, sighting) {
            (Sight::Event(is_reached), Sighting::Event(_, event)) => is_reached(event),
            (Sight::Event(_), Sighting::Incident(_)) => false,
            (Sight::Moment(is_reached), _) => is_reached(progress, sighting),
        }
    }
}

/// An attempt began from a checkpoint.
pub const RESTORED: Probe = Probe::event("restored", |event| {
    matches!(event, RuntimeEvent::AttemptStarted { restored: Some(_), .. })
});

/// A worker was given up.
pub const WORKER_LOST: Probe =
    Probe::event("worker_lost", |event| matches!(event, RuntimeEvent::WorkerLost { .. }));

/// A second coordinator took over.
pub const SECOND_TERM: Probe = Probe::event(
    "second_term",
    |event| matches!(event, RuntimeEvent::TermTaken { term } if 1 < term.0),
);

/// A missing frame was noticed.
pub const GAP_DETECTED: Probe =
    Probe::event("gap_detected", |event| matches!(event, RuntimeEvent::GapDetected { .. }));

/// A repeated frame was dropped.
pub const REPEAT_DROPPED: Probe =
    Probe::event("repeat_dropped", |event| matches!(event, RuntimeEvent::RepeatDropped { .. }));

/// A checkpoint was given up.
pub const CHECKPOINT_ABORTED: Probe = Probe::event("checkpoint_aborted", |event| {
    matches!(event, RuntimeEvent::CheckpointAborted { .. })
});

/// A subtask stopped waiting for a barrier.
pub const ALIGNMENT_ABORTED: Probe = Probe::event("alignment_aborted", |event| {
    matches!(event, RuntimeEvent::AlignmentAborted { .. })
});

/// Something from the past was refused.
pub const STALE_REFUSED: Probe =
    Probe::event("stale_refused", |event| matches!(event, RuntimeEvent::StaleRefused { .. }));

/// A later checkpoint committed an earlier epoch.
pub const COMMIT_MADE_GOOD: Probe = Probe::event("commit_made_good", |event| {
    matches!(
        event,
        RuntimeEvent::TransactionCommitted { checkpoint, notified, .. }
            if checkpoint < notified
    )
});

/// What an earlier attempt had prepared in vain was discarded.
pub const TRANSACTION_ABORTED: Probe = Probe::event("transaction_aborted", |event| {
    matches!(event, RuntimeEvent::TransactionAborted { .. })
});

/// A coordinator found out that another one rules.
pub const STEPPED_DOWN: Probe =
    Probe::event("stepped_down", |event| matches!(event, RuntimeEvent::SteppedDown { .. }));

/// A snapshot was restored from the worker's own disk.
pub const FETCHED_LOCALLY: Probe = Probe::event("fetched_locally", |event| {
    matches!(event, RuntimeEvent::SnapshotFetched { origin: SnapshotOrigin::Local, .. })
});

/// A snapshot was restored from the object store.
pub const FETCHED_FROM_STORE: Probe = Probe::event("fetched_from_store", |event| {
    matches!(event, RuntimeEvent::SnapshotFetched { origin: SnapshotOrigin::Store, .. })
});

/// What a worker's own disk had of a snapshot was not the snapshot, or could not be read.
pub const LOCAL_COPY_REFUSED: Probe = Probe::event("local_copy_refused", |event| {
    matches!(event, RuntimeEvent::SnapshotRefused { origin: SnapshotOrigin::Local, .. })
});

/// What the object store returned was not the snapshot.
pub const STORED_COPY_REFUSED: Probe = Probe::event("stored_copy_refused", |event| {
    matches!(event, RuntimeEvent::SnapshotRefused { origin: SnapshotOrigin::Store, .. })
});

/// Records came too late for their window.
pub const LATE_RECORDS: Probe = Probe::event(
    "late_records",
    |event| matches!(event, RuntimeEvent::RecordsCounted { late, .. } if 0 < *late),
);

/// A subtask went on with the event time it had reached before a failure.
pub const WATERMARK_RESTORED: Probe = Probe::event("watermark_restored", |event| {
    matches!(
        event,
        RuntimeEvent::SubtaskStarted { restored: Some(_), watermark, .. }
            if Timestamp::MIN < *watermark
    )
});
