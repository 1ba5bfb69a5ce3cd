//! Situations that scenarios must reach, or they do not test what they claim.
//!
//! Some show in a single event. Others only in what came before it: *a worker died while one of its
//! subtasks was aligning*. Those are asked with everything seen so far, as [`Progress`] keeps it.

use floodmark::{Attempt, RuntimeEvent, SnapshotOrigin, SubtaskId, TimeDomain, Timestamp};
use floodmark_sim::{Effect, FrameFate, Incident, Operation};

use crate::{NodeProgress, Progress, checks::requests_under_way, cluster::COORDINATOR};

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

/// Returns by how many subtasks the parts of union lists were stored that a subtask begins with.
fn union_parts(event: &RuntimeEvent) -> usize {
    let RuntimeEvent::SubtaskStarted { sections, .. } = event else { return 0 };
    let parts = sections.iter().filter(|section| section.name.contains("/#union/"));
    let by = parts.filter_map(|section| section.name.rsplit_once(" of "));
    by.map(|(_, by)| by).collect::<std::collections::BTreeSet<_>>().len()
}

/// A subtask began with what several had stored in a union list.
pub const UNION_RESTORED: Probe = Probe::event("union_restored", |event| 1 < union_parts(event));

/// The same, and not for the first time.
pub const UNION_RESTORED_AGAIN: Probe = Probe::event("union_restored_again", |event| {
    1 < union_parts(event)
        && matches!(event, RuntimeEvent::SubtaskStarted { attempt, .. } if 2 < attempt.number)
});

/// A worker was given up.
pub const WORKER_LOST: Probe =
    Probe::event("worker_lost", |event| matches!(event, RuntimeEvent::WorkerLost { .. }));

/// A second coordinator took over.
pub const SECOND_TERM: Probe = Probe::event(
    "second_term",
    |event| matches!(event, RuntimeEvent::TermTaken { term } if 1 < term.0),
);

/// A job was stopped after a checkpoint, to go on from there.
pub const STOPPED: Probe = Probe::event("stopped", |event| {
    matches!(event, RuntimeEvent::JobStopped { checkpoint: Some(_) })
});

/// A job was stopped before its last checkpoint was complete.
pub const STOP_CUT_SHORT: Probe = Probe::event(
    "stop_cut_short",
    |event| matches!(event, RuntimeEvent::CheckpointAborted { reason, .. } if reason.contains("to stop")),
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

/// A split waits for others of its group.
pub const SPLIT_HELD: Probe = Probe::event("split_held", |event| {
    matches!(event, RuntimeEvent::SplitHeld { is_held: true, .. })
});

/// A split has waited for others of its group, and is read again.
pub const SPLIT_GOES_ON: Probe = Probe::event("split_goes_on", |event| {
    matches!(event, RuntimeEvent::SplitHeld { is_held: false, .. })
});

/// A source was restored, and one of its splits had ended before.
pub const ENDED_SPLIT_RESTORED: Probe = Probe::event("ended_split_restored", |event| {
    matches!(
        event,
        RuntimeEvent::SplitsAssigned { restored: Some(_), ended_count, .. } if 0 < *ended_count
    )
});

/// A source was restored, and all of its splits had ended before.
pub const ENDED_SOURCE_RESTORED: Probe = Probe::event("ended_source_restored", |event| {
    matches!(
        event,
        RuntimeEvent::SplitsAssigned { restored: Some(_), ended_count, split_count, .. }
            if ended_count == split_count && 0 < *split_count
    )
});

/// A channel was idle.
pub const CHANNEL_IDLE: Probe = Probe::event("channel_idle", |event| {
    matches!(event, RuntimeEvent::ChannelIdle { is_idle: true, .. })
});

/// A channel that was idle was active again.
pub const CHANNEL_ACTIVE_AGAIN: Probe = Probe::event("channel_active_again", |event| {
    matches!(event, RuntimeEvent::ChannelIdle { is_idle: false, .. })
});

/// A subtask had no input that could advance its event time.
pub const ALL_INPUTS_IDLE: Probe =
    Probe::event("all_inputs_idle", |event| matches!(event, RuntimeEvent::AllInputsIdle { .. }));

/// A timer fired on the clock of a node.
pub const PROCESSING_TIMER_FIRED: Probe = Probe::event("processing_timer_fired", |event| {
    matches!(event, RuntimeEvent::TimerFired { domain: TimeDomain::Processing, .. })
});

/// A subtask fires an event-time timer that it has from a checkpoint.
pub const RESTORED_TIMER_FIRED: Probe =
    Probe::moment("restored_timer_fired", |progress, sighting| {
        let Sighting::Event(_, RuntimeEvent::TimerFired { attempt, subtask, domain, .. }) =
            sighting
        else {
            return false;
        };
        *domain == TimeDomain::Event && is_of_checkpoint(progress, *attempt, *subtask)
    });

/// A subtask deletes an event-time timer that it has from a checkpoint.
pub const RESTORED_TIMER_DELETED: Probe =
    Probe::moment("restored_timer_deleted", |progress, sighting| {
        let Sighting::Event(_, RuntimeEvent::TimerDeleted { attempt, subtask, domain, .. }) =
            sighting
        else {
            return false;
        };
        *domain == TimeDomain::Event && is_of_checkpoint(progress, *attempt, *subtask)
    });

/// Requests were under way when a subtask took its snapshot of a checkpoint.
pub const REQUESTS_IN_CHECKPOINT: Probe =
    Probe::moment("requests_in_checkpoint", |progress, sighting| {
        let Sighting::Event(_, RuntimeEvent::SnapshotTaken { checkpoint, sections, .. }) = sighting
        else {
            return false;
        };
        progress.in_flight.contains(checkpoint)
            && requests_under_way(sections).any(|(_, count)| 0 < count)
    });

/// A subtask was restored with requests that had been under way.
pub const REQUESTS_RESTORED: Probe = Probe::event("requests_restored", |event| {
    matches!(
        event,
        RuntimeEvent::SubtaskStarted { restored: Some(_), sections, .. }
            if requests_under_way(sections).any(|(_, count)| 0 < count)
    )
});

/// An attempt failed because a request did.
pub const REQUEST_FAILED: Probe = Probe::event(
    "request_failed",
    |event| matches!(event, RuntimeEvent::AttemptFailed { reason, .. } if reason.contains("is down")),
);

/// Returns whether a timer of a subtask is of a checkpoint for sure: the subtask has set none since.
fn is_of_checkpoint(progress: &Progress, attempt: Attempt, subtask: SubtaskId) -> bool {
    progress.attempt == Some(attempt) && !progress.timers_set.contains(&subtask)
}

/// Returns the node that dies, if that is what was seen.
fn victim<'a>(
    progress: &'a Progress,
    sighting: Sighting<'a>,
) -> Option<(&'a str, &'a NodeProgress)> {
    let Sighting::Incident(Incident::Crashed { node }) = sighting else { return None };
    progress.nodes.get_key_value(&**node).map(|(name, node)| (name.as_str(), node))
}

/// Returns whether a fault strikes a frame of a kind in a way.
fn is_struck(sighting: Sighting<'_>, kind: &str, fate: FrameFate) -> bool {
    let Sighting::Incident(incident) = sighting else { return false };
    matches!(incident, Incident::FrameStruck { kind: it, fate: its, .. } if *it == kind && *its == fate)
}

/// Returns whether an operation on an object ends in a way.
fn is_refused(sighting: Sighting<'_>, wanted: Operation, part: &str, how: Effect) -> bool {
    let Sighting::Incident(Incident::OperationStruck { operation, key, effect, .. }) = sighting
    else {
        return false;
    };
    *operation == wanted && key.contains(part) && *effect == how
}

/// A worker died when a checkpoint was under way and no barrier had reached it.
pub const CRASHED_BEFORE_ALIGNMENT: Probe =
    Probe::moment("crashed_before_alignment", |progress, sighting| {
        let Some((_, node)) = victim(progress, sighting) else { return false };
        let Some(checkpoint) = progress.in_flight.last() else { return false };
        let is_untouched = |subtask| {
            node.aligning.get(&subtask) != Some(checkpoint)
                && node.snapshots.get(&subtask) != Some(checkpoint)
        };
        let mut receivers = progress.receivers(node).peekable();
        receivers.peek().is_some() && receivers.all(is_untouched)
    });

/// A worker died while one of its subtasks waited for barriers.
pub const CRASHED_WHILE_ALIGNING: Probe =
    Probe::moment("crashed_while_aligning", |progress, sighting| {
        let Some((_, node)) = victim(progress, sighting) else { return false };
        node.aligning.values().any(|checkpoint| progress.in_flight.contains(checkpoint))
    });

/// A worker died after it had taken a snapshot and before it was stored.
pub const CRASHED_WHILE_UPLOADING: Probe =
    Probe::moment("crashed_while_uploading", |progress, sighting| {
        let Some((_, node)) = victim(progress, sighting) else { return false };
        node.uploading.iter().any(|(_, checkpoint)| progress.in_flight.contains(checkpoint))
    });

/// A worker died after it had stored its snapshots and before the checkpoint was complete.
pub const CRASHED_AFTER_SNAPSHOT: Probe =
    Probe::moment("crashed_after_snapshot", |progress, sighting| {
        let Some((_, node)) = victim(progress, sighting) else { return false };
        node.uploading.is_empty()
            && node.snapshots.values().any(|checkpoint| progress.in_flight.contains(checkpoint))
    });

/// A trigger vanished.
pub const TRIGGER_LOST: Probe =
    Probe::moment("trigger_lost", |_, seen| is_struck(seen, "trigger", FrameFate::Lose));

/// A trigger came twice.
pub const TRIGGER_REPEATED: Probe =
    Probe::moment("trigger_repeated", |_, seen| is_struck(seen, "trigger", FrameFate::Duplicate));

/// A trigger was overtaken.
pub const TRIGGER_OVERTAKEN: Probe =
    Probe::moment("trigger_overtaken", |_, seen| is_struck(seen, "trigger", FrameFate::Reorder));

/// An acknowledgement vanished.
pub const ACKNOWLEDGEMENT_LOST: Probe = Probe::moment("acknowledgement_lost", |_, seen| {
    is_struck(seen, "acknowledgement", FrameFate::Lose)
});

/// An acknowledgement came twice.
pub const ACKNOWLEDGEMENT_REPEATED: Probe = Probe::moment("acknowledgement_repeated", |_, seen| {
    is_struck(seen, "acknowledgement", FrameFate::Duplicate)
});

/// An acknowledgement was overtaken.
pub const ACKNOWLEDGEMENT_OVERTAKEN: Probe =
    Probe::moment("acknowledgement_overtaken", |_, seen| {
        is_struck(seen, "acknowledgement", FrameFate::Reorder)
    });

/// The coordinator was told of a snapshot for which it did not wait.
pub const ACKNOWLEDGEMENT_IGNORED: Probe = Probe::event("acknowledgement_ignored", |event| {
    matches!(event, RuntimeEvent::AcknowledgementIgnored { .. })
});

/// A notification vanished.
pub const NOTIFICATION_LOST: Probe =
    Probe::moment("notification_lost", |_, seen| is_struck(seen, "notification", FrameFate::Lose));

/// A notification came twice.
pub const NOTIFICATION_REPEATED: Probe = Probe::moment("notification_repeated", |_, seen| {
    is_struck(seen, "notification", FrameFate::Duplicate)
});

/// A notification was overtaken.
pub const NOTIFICATION_OVERTAKEN: Probe = Probe::moment("notification_overtaken", |_, seen| {
    is_struck(seen, "notification", FrameFate::Reorder)
});

/// The coordinator died when it had every acknowledgement and its manifest was not stored.
pub const DIED_BEFORE_MANIFEST: Probe =
    Probe::moment("died_before_manifest", |progress, sighting| {
        victim(progress, sighting).is_some_and(|(name, _)| name == COORDINATOR)
            && progress.is_manifest_due()
    });

/// The coordinator died when its manifest was stored and nobody had been told.
pub const DIED_BEFORE_NOTIFICATION: Probe =
    Probe::moment("died_before_notification", |progress, sighting| {
        victim(progress, sighting).is_some_and(|(name, _)| name == COORDINATOR)
            && progress.is_notification_due()
    });

/// An attempt began from a checkpoint whose coordinator did not live to say that it is complete.
pub const MANIFEST_FOUND: Probe = Probe::moment("manifest_found", |progress, sighting| {
    let Sighting::Event(_, RuntimeEvent::AttemptStarted { restored: Some(checkpoint), .. }) =
        sighting
    else {
        return false;
    };
    !progress.manifests.contains(checkpoint)
});

/// A manifest was stored, and its coordinator was told that this is in doubt.
pub const MANIFEST_IN_DOUBT_AND_STORED: Probe =
    Probe::moment("manifest_in_doubt_and_stored", |_, seen| {
        is_refused(seen, Operation::PutIfAbsent, "/log/", Effect::After)
    });

/// A manifest was not stored, and its coordinator was told that this is in doubt.
pub const MANIFEST_IN_DOUBT_AND_NOT_STORED: Probe =
    Probe::moment("manifest_in_doubt_and_not_stored", |_, seen| {
        is_refused(seen, Operation::PutIfAbsent, "/log/", Effect::Never)
    });

/// A manifest was stored long after its coordinator had been told that this is in doubt.
pub const MANIFEST_STORED_LATE: Probe = Probe::moment("manifest_stored_late", |_, seen| {
    is_refused(seen, Operation::PutIfAbsent, "/log/", Effect::Later)
});

/// A node died while the job was being restored.
pub const CRASHED_WHILE_RESTORING: Probe =
    Probe::moment("crashed_while_restoring", |progress, sighting| {
        victim(progress, sighting).is_some() && progress.is_restoring
    });

/// A node died while the job was being restored, and that for the second time in the run.
pub const CRASHED_WHILE_RESTORING_TWICE: Probe =
    Probe::moment("crashed_while_restoring_twice", |progress, sighting| {
        victim(progress, sighting).is_some()
            && progress.is_restoring
            && 0 < progress.restore_crash_count
    });

/// A worker woke up with a prepared transaction when the job had moved on.
pub const WOKE_WITH_TRANSACTION: Probe =
    Probe::moment("woke_with_transaction", |progress, sighting| {
        let Sighting::Incident(Incident::Woke { node }) = sighting else { return false };
        let Some(node) = progress.nodes.get(&**node) else { return false };
        !node.slept_through.is_empty() && !node.prepared.is_empty()
    });

/// A worker woke up with a prepared transaction when the job had moved on, and found the message
/// that this transaction may be committed.
pub const WOKE_TO_NOTIFICATION: Probe =
    Probe::moment("woke_to_notification", |progress, sighting| {
        let Sighting::Incident(Incident::Woke { node }) = sighting else { return false };
        let Some(node) = progress.nodes.get(&**node) else { return false };
        let waits = |prepared| node.completed_asleep.range(prepared..).next().is_some();
        !node.slept_through.is_empty() && node.prepared.iter().any(|(_, epoch)| waits(*epoch))
    });

/// A heartbeat of a worker could not reach the coordinator.
pub const WORKER_UNHEARD: Probe = Probe::moment("worker_unheard", |_, sighting| {
    let Sighting::Incident(Incident::FrameHeld { to, kind, .. }) = sighting else { return false };
    **to == *COORDINATOR && *kind == "heartbeat"
});

/// Something of the coordinator could not reach a worker.
pub const COORDINATOR_UNHEARD: Probe = Probe::moment("coordinator_unheard", |_, sighting| {
    let Sighting::Incident(Incident::FrameHeld { from, .. }) = sighting else { return false };
    **from == *COORDINATOR
});

/// A checkpoint was given up and a later one completed, in the same attempt.
pub const COMPLETED_AFTER_ABORT: Probe =
    Probe::moment("completed_after_abort", |progress, sighting| {
        matches!(sighting, Sighting::Event(_, RuntimeEvent::ManifestStored { .. }))
            && !progress.aborted.is_empty()
    });

/// A checkpoint was completed for which no sink had anything to prepare.
pub const EMPTY_EPOCH: Probe = Probe::moment("empty_epoch", |progress, sighting| {
    let Sighting::Event(_, RuntimeEvent::ManifestStored { checkpoint, .. }) = sighting else {
        return false;
    };
    !progress.prepared.contains(checkpoint)
});

/// A worker died when the last complete checkpoint was one for which no sink had prepared anything.
pub const CRASHED_AFTER_EMPTY_EPOCH: Probe =
    Probe::moment("crashed_after_empty_epoch", |progress, sighting| {
        let newest = progress.manifests.last();
        victim(progress, sighting).is_some_and(|(_, node)| !node.subtasks.is_empty())
            && newest.is_some_and(|newest| !progress.prepared.contains(newest))
    });

/// The date of a clock jumped.
pub const CLOCK_JUMPED: Probe = Probe::moment("clock_jumped", |_, sighting| {
    matches!(sighting, Sighting::Incident(Incident::ClockJumped { .. }))
});

/// A snapshot could not be stored at the first try.
pub const UPLOAD_REFUSED: Probe = Probe::moment("upload_refused", |_, seen| {
    is_refused(seen, Operation::Put, "/data/", Effect::Before)
});

/// A file of a retired checkpoint could not be deleted.
pub const DELETION_REFUSED: Probe = Probe::moment("deletion_refused", |_, seen| {
    is_refused(seen, Operation::Delete, "/data/", Effect::Before)
});

/// An object of the job's log did not yield what it holds.
pub const LOG_UNREADABLE: Probe = Probe::moment("log_unreadable", |_, seen| match seen {
    Sighting::Incident(Incident::ObjectCorrupted { key, .. }) => key.contains("/log/"),
    Sighting::Incident(_) | Sighting::Event(..) => {
        is_refused(seen, Operation::Get, "/log/", Effect::Before)
    }
});

/// A checkpoint was retired, and a node died before the next one began.
pub const CRASHED_AFTER_RETIREMENT: Probe =
    Probe::moment("crashed_after_retirement", |progress, sighting| {
        victim(progress, sighting).is_some() && progress.just_retired.is_some()
    });

/// The last living worker died.
pub const ALL_WORKERS_DEAD: Probe = Probe::moment("all_workers_dead", |progress, sighting| {
    victim(progress, sighting).is_some_and(|(name, _)| name.starts_with("worker"))
        && progress.living_count("worker") == 1
});

/// The coordinator and a worker were dead at the same time.
pub const COORDINATOR_AND_WORKER_DEAD: Probe =
    Probe::moment("coordinator_and_worker_dead", |progress, sighting| {
        let Some((name, _)) = victim(progress, sighting) else { return false };
        let is_dead = |(other, node): (&String, &NodeProgress)| {
            node.is_dead && (other == COORDINATOR) != (name == COORDINATOR)
        };
        progress.nodes.iter().any(is_dead)
    });

/// A sink could not stage a part.
pub const STAGING_REFUSED: Probe = Probe::moment("staging_refused", |_, seen| {
    is_refused(seen, Operation::Put, "/_staged/", Effect::Before)
});

/// A sink staged a part and was told that this is in doubt.
pub const STAGING_IN_DOUBT: Probe = Probe::moment("staging_in_doubt", |_, seen| {
    is_refused(seen, Operation::Put, "/_staged/", Effect::After)
});

/// A sink could not make a part visible.
pub const COMMIT_REFUSED: Probe = Probe::moment("commit_refused", |_, seen| {
    is_refused(seen, Operation::PutIfAbsent, "/part-", Effect::Before)
});

/// A sink made a part visible and was told that this is in doubt.
pub const COMMIT_IN_DOUBT_AND_DONE: Probe = Probe::moment("commit_in_doubt_and_done", |_, seen| {
    is_refused(seen, Operation::PutIfAbsent, "/part-", Effect::After)
});

/// A sink did not make a part visible and was told that this is in doubt.
pub const COMMIT_IN_DOUBT_AND_NOT_DONE: Probe =
    Probe::moment("commit_in_doubt_and_not_done", |_, seen| {
        is_refused(seen, Operation::PutIfAbsent, "/part-", Effect::Never)
    });

/// A sink made a part visible long after it had been told that this is in doubt.
pub const COMMIT_LATE: Probe = Probe::moment("commit_late", |_, seen| {
    is_refused(seen, Operation::PutIfAbsent, "/part-", Effect::Later)
});

/// A record was overtaken by those behind it on its channel.
pub const RECORDS_OVERTAKEN: Probe =
    Probe::moment("records_overtaken", |_, seen| is_struck(seen, "records", FrameFate::Reorder));

/// What a restored checkpoint promises was committed by the restore.
pub const COMMITTED_BY_RESTORE: Probe =
    Probe::moment("committed_by_restore", |progress, sighting| {
        let Sighting::Event(_, RuntimeEvent::TransactionCommitted { .. }) = sighting else {
            return false;
        };
        progress.is_restoring
    });

/// A subtask that has a successor was told that its checkpoint is complete.
pub const ZOMBIE_NOTIFIED: Probe = Probe::moment("zombie_notified", |progress, sighting| {
    let Sighting::Event(_, RuntimeEvent::CheckpointNotified { attempt, .. }) = sighting else {
        return false;
    };
    progress.attempt.is_some_and(|latest| *attempt < latest)
});

/// Returns whether a call to a system outside the cluster ends in a way.
fn is_unanswered(sighting: Sighting<'_>, (whom, what): (&str, &str), how: Effect) -> bool {
    let Sighting::Incident(Incident::CallStruck { system, operation, effect }) = sighting else {
        return false;
    };
    *system == whom && *operation == what && *effect == how
}

/// The ledger committed a transaction and did not say so.
pub const LEDGER_COMMIT_IN_DOUBT_AND_DONE: Probe =
    Probe::moment("ledger_commit_in_doubt_and_done", |_, seen| {
        is_unanswered(seen, ("ledger", "commit"), Effect::After)
    });

/// The ledger did not commit a transaction and did not say so.
pub const LEDGER_COMMIT_IN_DOUBT_AND_NOT_DONE: Probe =
    Probe::moment("ledger_commit_in_doubt_and_not_done", |_, seen| {
        is_unanswered(seen, ("ledger", "commit"), Effect::Never)
    });

/// The ledger refused to prepare a transaction.
pub const LEDGER_REFUSED: Probe = Probe::moment("ledger_refused", |_, seen| {
    is_unanswered(seen, ("ledger", "prepare"), Effect::Before)
});

/// An attempt failed because it could not end what its predecessors had left open.
pub const ABORT_FAILED: Probe = Probe::event(
    "abort_failed",
    |event| matches!(event, RuntimeEvent::AttemptFailed { reason, .. } if reason.contains("left open")),
);

/// A snapshot was stored after it had been given up.
pub const UPLOAD_LATE: Probe = Probe::moment("upload_late", |_, seen| {
    is_refused(seen, Operation::Put, "/data/", Effect::Later)
});

/// An attempt failed because an epoch could not be made ready to commit.
pub const PRECOMMIT_FAILED: Probe = Probe::event(
    "precommit_failed",
    |event| matches!(event, RuntimeEvent::AttemptFailed { reason, .. } if reason.contains("is aborted")),
);

/// The queue did not say whether it has forgotten what was acknowledged.
pub const QUEUE_ACKNOWLEDGEMENT_IN_DOUBT: Probe =
    Probe::moment("queue_acknowledgement_in_doubt", |_, seen| {
        [Effect::After, Effect::Never, Effect::Later]
            .iter()
            .any(|effect| is_unanswered(seen, ("queue", "acknowledge"), *effect))
    });

/// A subtask that has a successor was restored, and has cleaned up.
pub const ZOMBIE_STARTED: Probe = Probe::moment("zombie_started", |progress, sighting| {
    let Sighting::Event(_, RuntimeEvent::SubtaskStarted { attempt, .. }) = sighting else {
        return false;
    };
    progress.attempt.is_some_and(|latest| *attempt < latest)
});
