//! What the runtime says it does, for those who watch.
//!
//! The simulator's checks are built on these events alone: an event must therefore tell the truth
//! at the place where the thing happens, not where it was intended.

mod fields;

use std::{fmt, time::Duration};

use crate::{
    Attempt, ChannelId, CheckpointId, EdgeId, KeyGroup, SubtaskId, Term, TimeDomain, Timestamp,
    WorkerId,
};

/// The size and hash of one section of a snapshot.
///
/// # Examples
///
/// ```
/// # use floodmark_model as floodmark;
/// use floodmark::SectionDigest;
///
/// let section = SectionDigest { name: "count/window".to_owned(), entry_count: 2, hash: 7 };
/// assert!(section.name.starts_with("count/"), "the operator comes first");
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct SectionDigest {
    /// Operator uid and state name, `word-count/window`.
    pub name: String,
    /// Entries in the section.
    pub entry_count: u64,
    /// Hash of its bytes.
    pub hash: u64,
}

/// A stored file, as the one who wrote or listed it describes it.
///
/// # Examples
///
/// ```
/// # use floodmark_model as floodmark;
/// use floodmark::FileDigest;
///
/// /// Returns how many bytes a checkpoint has that consists of these files.
/// fn size_bytes(files: &[FileDigest]) -> u64 {
///     files.iter().map(|file| file.size_bytes).sum()
/// }
///
/// let file = FileDigest { key: "a".to_owned(), size_bytes: 40, checksum: 7 };
/// assert_eq!(size_bytes(&[file.clone(), file]), 80);
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct FileDigest {
    /// Its key.
    pub key: String,
    /// Its length in bytes.
    pub size_bytes: u64,
    /// The hash of its content.
    pub checksum: u64,
}

/// Where a snapshot was read.
///
/// # Examples
///
/// ```
/// # use floodmark_model as floodmark;
/// use floodmark::SnapshotOrigin;
///
/// /// Returns how many of the snapshots needed no network.
/// fn local_count(origins: &[SnapshotOrigin]) -> usize {
///     origins.iter().filter(|origin| **origin == SnapshotOrigin::Local).count()
/// }
///
/// assert_eq!(local_count(&[SnapshotOrigin::Local, SnapshotOrigin::Store]), 1);
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum SnapshotOrigin {
    /// On the worker's own disk.
    Local,
    /// In the object store.
    Store,
}

/// One thing that happened. The variants of a checkpoint stand in the order of its life.
///
/// # Examples
///
/// ```
/// # use floodmark_model as floodmark;
/// use floodmark::{Attempt, RuntimeEvent, Term};
///
/// let attempt = Attempt { term: Term(1), number: 2 };
/// let event = RuntimeEvent::AttemptRunning { attempt };
/// assert_eq!(event.attempt(), Some(attempt));
/// assert_eq!(event.checkpoint(), None);
/// ```
#[derive(Clone, PartialEq, Eq, Hash)]
#[expect(missing_docs, reason = "the fields are the ids of what the variant's sentence names")]
pub enum RuntimeEvent {
    /// A coordinator began its reign.
    TermTaken { term: Term },
    /// A coordinator began its reign although it cannot read an older entry of the log. It spares
    /// whatever the entry may list.
    LogEntryUnreadable { term: Term, slot: u64 },
    /// A coordinator found a higher term and stopped.
    SteppedDown { held: Term, current: Term },
    /// A worker offered its slots.
    WorkerRegistered { worker: WorkerId },
    /// A worker was silent for too long, or its connection broke.
    WorkerLost { worker: WorkerId },
    /// A worker went down on request.
    WorkerLeft { worker: WorkerId },
    /// The coordinator deploys the job.
    AttemptStarted { attempt: Attempt, restored: Option<CheckpointId> },
    /// All subtasks of the attempt run.
    AttemptRunning { attempt: Attempt },
    /// The attempt is over; the reason names the culprit.
    AttemptFailed { attempt: Attempt, reason: String },
    /// The job is over.
    JobEnded { failure: Option<String> },
    /// The checkpoint that begins is the one with which the job stops: sources read no further.
    JobStopping { attempt: Attempt, checkpoint: CheckpointId },
    /// The job was stopped on request: when it is started again, it goes on from the checkpoint.
    JobStopped { checkpoint: Option<CheckpointId> },

    /// A checkpoint began.
    CheckpointTriggered { attempt: Attempt, checkpoint: CheckpointId, is_final: bool },
    /// A source emitted the barrier.
    BarrierEmitted { attempt: Attempt, subtask: SubtaskId, checkpoint: CheckpointId },
    /// A barrier arrived on a channel.
    BarrierArrived { attempt: Attempt, channel: ChannelId, checkpoint: CheckpointId },
    /// A subtask gave up waiting for the other barriers.
    AlignmentAborted { attempt: Attempt, subtask: SubtaskId, checkpoint: CheckpointId },
    /// A subtask froze its state. Counts are of records, per channel, since the attempt began.
    SnapshotTaken {
        attempt: Attempt,
        subtask: SubtaskId,
        checkpoint: CheckpointId,
        watermark: Timestamp,
        received: Vec<(ChannelId, u64)>,
        sent: Vec<(ChannelId, u64)>,
        /// The state at the barrier.
        sections: Vec<SectionDigest>,
    },
    /// A sink made an epoch ready to commit.
    TransactionPrepared {
        attempt: Attempt,
        subtask: SubtaskId,
        operator: String,
        checkpoint: CheckpointId,
    },
    /// A snapshot is in the object store.
    SnapshotStored {
        attempt: Attempt,
        subtask: SubtaskId,
        checkpoint: CheckpointId,
        sections: Vec<SectionDigest>,
        files: Vec<FileDigest>,
    },
    /// A snapshot could not be stored, and the coordinator will be told.
    SnapshotDeclined {
        attempt: Attempt,
        subtask: SubtaskId,
        checkpoint: CheckpointId,
        reason: String,
    },
    /// The coordinator accepted an acknowledgement.
    CheckpointAcknowledged { attempt: Attempt, checkpoint: CheckpointId, subtask: SubtaskId },
    /// The coordinator was told of a snapshot it does not wait for.
    AcknowledgementIgnored { attempt: Attempt, checkpoint: CheckpointId, subtask: SubtaskId },
    /// The manifest is stored: the checkpoint is complete.
    ManifestStored {
        term: Term,
        attempt: Attempt,
        checkpoint: CheckpointId,
        files: Vec<(SubtaskId, FileDigest)>,
    },
    /// A subtask heard that the checkpoint is complete.
    CheckpointNotified { attempt: Attempt, subtask: SubtaskId, checkpoint: CheckpointId },
    /// A sink made the effects of an epoch visible. `notified` is what it was told is complete.
    TransactionCommitted {
        attempt: Attempt,
        subtask: SubtaskId,
        operator: String,
        checkpoint: CheckpointId,
        notified: CheckpointId,
    },
    /// A sink discarded the effects of an epoch.
    TransactionAborted {
        attempt: Attempt,
        subtask: SubtaskId,
        operator: String,
        transaction: String,
    },
    /// The checkpoint will not complete.
    CheckpointAborted { attempt: Attempt, checkpoint: CheckpointId, reason: String },
    /// A newer checkpoint made this one superfluous; its files are being deleted.
    CheckpointRetired { checkpoint: CheckpointId },

    /// A worker read a snapshot that was not what was acknowledged, and did not restore it.
    SnapshotRefused {
        attempt: Attempt,
        subtask: SubtaskId,
        checkpoint: CheckpointId,
        origin: SnapshotOrigin,
        reason: String,
    },
    /// A worker read the snapshot from which a subtask starts.
    SnapshotFetched {
        attempt: Attempt,
        subtask: SubtaskId,
        checkpoint: CheckpointId,
        origin: SnapshotOrigin,
    },
    /// A subtask is ready, with the state it restored.
    SubtaskStarted {
        attempt: Attempt,
        subtask: SubtaskId,
        restored: Option<CheckpointId>,
        watermark: Timestamp,
        sections: Vec<SectionDigest>,
    },
    /// A source was given its splits, or found them again; they are counted from 0.
    SplitsAssigned {
        attempt: Attempt,
        subtask: SubtaskId,
        restored: Option<CheckpointId>,
        split_count: u32,
        ended_count: u32,
    },
    /// The promise about a split grew. `operator` is the one that makes promises.
    SplitWatermark {
        attempt: Attempt,
        subtask: SubtaskId,
        operator: String,
        split: u32,
        watermark: Timestamp,
    },
    /// A split was silent for too long, or has records again.
    SplitIdle { attempt: Attempt, subtask: SubtaskId, operator: String, split: u32, is_idle: bool },
    /// A source belongs to a group, whose splits wait for each other.
    DriftLimited { attempt: Attempt, subtask: SubtaskId, group: String, max_drift: Duration },
    /// A split waits for others of its group that are far behind, or no longer does.
    SplitHeld { attempt: Attempt, subtask: SubtaskId, split: u32, is_held: bool },
    /// A source came to the end of a split, or found it ended.
    SplitEnded { attempt: Attempt, subtask: SubtaskId, split: u32 },
    /// An operator promised that no record at or before the watermark follows.
    WatermarkEmitted {
        attempt: Attempt,
        subtask: SubtaskId,
        operator: String,
        watermark: Timestamp,
    },
    /// An operator with requests has passed on a watermark, which had to wait for their results.
    WatermarkReleased {
        attempt: Attempt,
        subtask: SubtaskId,
        operator: String,
        watermark: Timestamp,
    },
    /// A watermark was sent on all channels of an edge. One that is not new says that the channels
    /// are active again.
    WatermarkSent { attempt: Attempt, subtask: SubtaskId, edge: EdgeId, watermark: Timestamp },
    /// That nothing will come for a while was sent on all channels of an edge.
    IdleSent { attempt: Attempt, subtask: SubtaskId, edge: EdgeId },
    /// The promise on a channel grew.
    ChannelWatermark { attempt: Attempt, channel: ChannelId, watermark: Timestamp },
    /// A channel became idle, or active again.
    ChannelIdle { attempt: Attempt, channel: ChannelId, is_idle: bool },
    /// The event time of a subtask advanced.
    WatermarkAdvanced { attempt: Attempt, subtask: SubtaskId, watermark: Timestamp },
    /// No input of a subtask can advance its event time: each is idle or has ended, and not all have.
    AllInputsIdle { attempt: Attempt, subtask: SubtaskId },
    /// A subtask merges the event time of these edges, its second input, apart from that of the others.
    SecondInput { attempt: Attempt, subtask: SubtaskId, edges: Vec<EdgeId> },
    /// An operator with timers begins at this event time.
    EventTimeRestored {
        attempt: Attempt,
        subtask: SubtaskId,
        operator: String,
        watermark: Timestamp,
    },
    /// A timer was set that was not set before. `key` is a hash of what it belongs to.
    TimerRegistered {
        attempt: Attempt,
        subtask: SubtaskId,
        operator: String,
        domain: TimeDomain,
        time: Timestamp,
        key: u64,
    },
    /// A timer was removed.
    TimerDeleted {
        attempt: Attempt,
        subtask: SubtaskId,
        operator: String,
        domain: TimeDomain,
        time: Timestamp,
        key: u64,
    },
    /// A timer fires, because time has reached `now`.
    TimerFired {
        attempt: Attempt,
        subtask: SubtaskId,
        operator: String,
        domain: TimeDomain,
        time: Timestamp,
        key: u64,
        now: Timestamp,
    },
    /// A subtask has fired every processing-time timer up to `now`.
    ProcessingTimeReached { attempt: Attempt, subtask: SubtaskId, now: Timestamp },
    /// A source has no more input.
    SourceExhausted { attempt: Attempt, subtask: SubtaskId },
    /// A subtask processed everything and committed everything.
    SubtaskFinished { attempt: Attempt, subtask: SubtaskId },
    /// Where the records of a window operator went, net of recovery.
    RecordsCounted {
        attempt: Attempt,
        subtask: SubtaskId,
        operator: String,
        received: u64,
        accepted: u64,
        late: u64,
        dropped: u64,
    },

    /// A keyed operator met a key group for the first time in the attempt.
    KeyGroupMet { attempt: Attempt, subtask: SubtaskId, operator: String, group: KeyGroup },

    /// A frame is missing on a channel.
    GapDetected { attempt: Attempt, channel: ChannelId, expected: u64, found: u64 },
    /// A frame came twice and was dropped.
    RepeatDropped { attempt: Attempt, channel: ChannelId, sequence: u64 },
    /// Something of an older attempt or term knocked, and was refused.
    StaleRefused { current: Attempt, stale: Attempt },
}

impl From<&RuntimeEvent> for &'static str {
    fn from(event: &RuntimeEvent) -> Self {
        match event {
            RuntimeEvent::TermTaken { .. } => "term_taken",
            RuntimeEvent::LogEntryUnreadable { .. } => "log_entry_unreadable",
            RuntimeEvent::SteppedDown { .. } => "stepped_down",
            RuntimeEvent::WorkerRegistered { .. } => "worker_registered",
            RuntimeEvent::WorkerLost { .. } => "worker_lost",
            RuntimeEvent::WorkerLeft { .. } => "worker_left",
            RuntimeEvent::AttemptStarted { .. } => "attempt_started",
            RuntimeEvent::AttemptRunning { .. } => "attempt_running",
            RuntimeEvent::AttemptFailed { .. } => "attempt_failed",
            RuntimeEvent::JobEnded { .. } => "job_ended",
            RuntimeEvent::JobStopping { .. } => "job_stopping",
            RuntimeEvent::JobStopped { .. } => "job_stopped",
            RuntimeEvent::CheckpointTriggered { .. } => "checkpoint_triggered",
            RuntimeEvent::BarrierEmitted { .. } => "barrier_emitted",
            RuntimeEvent::BarrierArrived { .. } => "barrier_arrived",
            RuntimeEvent::AlignmentAborted { .. } => "alignment_aborted",
            RuntimeEvent::SnapshotTaken { .. } => "snapshot_taken",
            RuntimeEvent::TransactionPrepared { .. } => "transaction_prepared",
            RuntimeEvent::SnapshotStored { .. } => "snapshot_stored",
            RuntimeEvent::SnapshotDeclined { .. } => "snapshot_declined",
            RuntimeEvent::CheckpointAcknowledged { .. } => "checkpoint_acknowledged",
            RuntimeEvent::AcknowledgementIgnored { .. } => "acknowledgement_ignored",
            RuntimeEvent::ManifestStored { .. } => "manifest_stored",
            RuntimeEvent::CheckpointNotified { .. } => "checkpoint_notified",
            RuntimeEvent::TransactionCommitted { .. } => "transaction_committed",
            RuntimeEvent::TransactionAborted { .. } => "transaction_aborted",
            RuntimeEvent::CheckpointAborted { .. } => "checkpoint_aborted",
            RuntimeEvent::CheckpointRetired { .. } => "checkpoint_retired",
            RuntimeEvent::SnapshotRefused { .. } => "snapshot_refused",
            RuntimeEvent::SnapshotFetched { .. } => "snapshot_fetched",
            RuntimeEvent::SubtaskStarted { .. } => "subtask_started",
            RuntimeEvent::SplitsAssigned { .. } => "splits_assigned",
            RuntimeEvent::SplitWatermark { .. } => "split_watermark",
            RuntimeEvent::SplitIdle { .. } => "split_idle",
            RuntimeEvent::DriftLimited { .. } => "drift_limited",
            RuntimeEvent::SplitHeld { .. } => "split_held",
            RuntimeEvent::SplitEnded { .. } => "split_ended",
            RuntimeEvent::WatermarkEmitted { .. } => "watermark_emitted",
            RuntimeEvent::WatermarkReleased { .. } => "watermark_released",
            RuntimeEvent::WatermarkSent { .. } => "watermark_sent",
            RuntimeEvent::IdleSent { .. } => "idle_sent",
            RuntimeEvent::ChannelWatermark { .. } => "channel_watermark",
            RuntimeEvent::ChannelIdle { .. } => "channel_idle",
            RuntimeEvent::WatermarkAdvanced { .. } => "watermark_advanced",
            RuntimeEvent::AllInputsIdle { .. } => "all_inputs_idle",
            RuntimeEvent::SecondInput { .. } => "second_input",
            RuntimeEvent::EventTimeRestored { .. } => "event_time_restored",
            RuntimeEvent::TimerRegistered { .. } => "timer_registered",
            RuntimeEvent::TimerDeleted { .. } => "timer_deleted",
            RuntimeEvent::TimerFired { .. } => "timer_fired",
            RuntimeEvent::ProcessingTimeReached { .. } => "processing_time_reached",
            RuntimeEvent::SourceExhausted { .. } => "source_exhausted",
            RuntimeEvent::SubtaskFinished { .. } => "subtask_finished",
            RuntimeEvent::RecordsCounted { .. } => "records_counted",
            RuntimeEvent::KeyGroupMet { .. } => "key_group_met",
            RuntimeEvent::GapDetected { .. } => "gap_detected",
            RuntimeEvent::RepeatDropped { .. } => "repeat_dropped",
            RuntimeEvent::StaleRefused { .. } => "stale_refused",
        }
    }
}

impl fmt::Display for SnapshotOrigin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Local => "on the worker's disk",
            Self::Store => "in the object store",
        })
    }
}

/// In words, because a trace is read by people.
impl fmt::Debug for RuntimeEvent {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl fmt::Display for RuntimeEvent {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::TermTaken { term } => write!(f, "{term} begins"),
            Self::LogEntryUnreadable { term, slot } => {
                write!(f, "{term} cannot read slot {slot} of the log, and spares what it may list")
            }
            Self::SteppedDown { held, current } => write!(f, "{held} ends: {current} rules"),
            Self::WorkerRegistered { worker } => write!(f, "{worker} registered"),
            Self::WorkerLost { worker } => write!(f, "{worker} is lost"),
            Self::WorkerLeft { worker } => write!(f, "{worker} has left"),
            Self::AttemptStarted { attempt, restored } => {
                write!(f, "{attempt} begins from {}", from(*restored))
            }
            Self::AttemptRunning { attempt } => write!(f, "{attempt} runs"),
            Self::AttemptFailed { attempt, reason } => write!(f, "{attempt} failed: {reason}"),
            Self::JobEnded { failure: None } => f.write_str("the job has finished"),
            Self::JobEnded { failure: Some(reason) } => write!(f, "the job has failed: {reason}"),
            Self::JobStopping { checkpoint, .. } => {
                write!(f, "the job is to stop with {checkpoint}")
            }
            Self::JobStopped { checkpoint } => {
                write!(f, "the job is stopped, to go on from {}", from(*checkpoint))
            }
            Self::CheckpointTriggered { attempt, checkpoint, is_final } => {
                let last = if *is_final { ", the last one," } else { "" };
                write!(f, "{checkpoint}{last} begins in {attempt}")
            }
            Self::BarrierEmitted { subtask, checkpoint, .. } => {
                write!(f, "{subtask} emitted the barrier of {checkpoint}")
            }
            Self::BarrierArrived { channel, checkpoint, .. } => {
                write!(f, "the barrier of {checkpoint} arrived on {channel}")
            }
            Self::AlignmentAborted { subtask, checkpoint, .. } => {
                write!(f, "{subtask} stopped aligning {checkpoint}")
            }
            Self::SnapshotTaken { subtask, checkpoint, watermark, .. } => {
                write!(f, "{subtask} took its snapshot of {checkpoint} at watermark {watermark}")
            }
            Self::TransactionPrepared { subtask, operator, checkpoint, .. } => {
                write!(f, "{operator} in {subtask} prepared its transaction of {checkpoint}")
            }
            Self::SnapshotStored { subtask, checkpoint, .. } => {
                write!(f, "{subtask} stored its snapshot of {checkpoint}")
            }
            Self::SnapshotDeclined { subtask, checkpoint, reason, .. } => {
                write!(f, "{subtask} could not store its snapshot of {checkpoint}: {reason}")
            }
            Self::CheckpointAcknowledged { subtask, checkpoint, .. } => {
                write!(f, "{subtask} acknowledged {checkpoint}")
            }
            Self::AcknowledgementIgnored { attempt, subtask, checkpoint } => {
                write!(
                    f,
                    "the acknowledgement of {checkpoint} by {subtask} in {attempt} is ignored"
                )
            }
            Self::ManifestStored { term, checkpoint, .. } => {
                write!(f, "{checkpoint} is complete: {term} has stored its manifest")
            }
            Self::CheckpointNotified { subtask, checkpoint, .. } => {
                write!(f, "{subtask} heard that {checkpoint} is complete")
            }
            Self::TransactionCommitted { subtask, operator, checkpoint, notified, .. } => {
                write!(
                    f,
                    "{operator} in {subtask} committed its transaction of {checkpoint}, told of \
                     {notified}"
                )
            }
            Self::TransactionAborted { subtask, operator, transaction, .. } => {
                write!(f, "{operator} in {subtask} discarded {transaction}")
            }
            Self::CheckpointAborted { checkpoint, reason, .. } => {
                write!(f, "{checkpoint} is given up: {reason}")
            }
            Self::CheckpointRetired { checkpoint } => write!(f, "{checkpoint} is retired"),
            Self::SnapshotRefused { subtask, checkpoint, origin, reason, .. } => {
                write!(f, "the snapshot of {checkpoint} of {subtask} {origin} is refused: {reason}")
            }
            Self::SnapshotFetched { subtask, checkpoint, origin, .. } => {
                write!(f, "the snapshot of {checkpoint} of {subtask} was read {origin}")
            }
            Self::SubtaskStarted { attempt, subtask, restored, watermark, .. } => {
                let from = from(*restored);
                write!(f, "{subtask} begins {attempt} from {from} at watermark {watermark}")
            }
            Self::SplitsAssigned { subtask, split_count, .. } => {
                write!(f, "{subtask} reads {split_count} splits")
            }
            Self::SplitWatermark { subtask, split, watermark, .. } => {
                write!(f, "watermark {watermark} of split {split} in {subtask}")
            }
            Self::SplitIdle { subtask, split, is_idle, .. } => {
                write!(f, "split {split} of {subtask} {}", becomes(*is_idle))
            }
            Self::DriftLimited { subtask, group, max_drift, .. } => {
                write!(f, "{subtask} waits for group {group} when it is {max_drift:?} ahead")
            }
            Self::SplitHeld { subtask, split, is_held, .. } => {
                let what = if *is_held { "waits for others" } else { "goes on" };
                write!(f, "split {split} of {subtask} {what}")
            }
            Self::SplitEnded { subtask, split, .. } => {
                write!(f, "split {split} of {subtask} has ended")
            }
            Self::WatermarkEmitted { subtask, operator, watermark, .. } => {
                write!(f, "watermark {watermark} promised by {operator} in {subtask}")
            }
            Self::WatermarkReleased { subtask, operator, watermark, .. } => {
                write!(f, "watermark {watermark} passed on by {operator} in {subtask}")
            }
            Self::WatermarkSent { subtask, edge, watermark, .. } => {
                write!(f, "watermark {watermark} sent by {subtask} on edge {}", edge.0)
            }
            Self::IdleSent { subtask, edge, .. } => {
                write!(f, "{subtask} is idle, and says so on edge {}", edge.0)
            }
            Self::ChannelIdle { channel, is_idle, .. } => {
                write!(f, "{channel} {}", becomes(*is_idle))
            }
            Self::AllInputsIdle { subtask, .. } => write!(f, "all inputs of {subtask} are idle"),
            Self::SecondInput { subtask, edges, .. } => {
                let edges: Vec<String> = edges.iter().map(|edge| edge.0.to_string()).collect();
                write!(f, "{subtask} has a second input: edge {}", edges.join(", edge "))
            }
            Self::EventTimeRestored { subtask, operator, watermark, .. } => {
                write!(f, "{operator} in {subtask} begins at watermark {watermark}")
            }
            Self::TimerRegistered { subtask, operator, domain, time, key, .. } => {
                write!(f, "timer of {operator} in {subtask} set to {domain} {time} for {key:016x}")
            }
            Self::TimerDeleted { subtask, operator, domain, time, key, .. } => {
                write!(
                    f,
                    "timer of {operator} in {subtask} at {domain} {time} for {key:016x} removed"
                )
            }
            Self::TimerFired { subtask, operator, domain, time, key, now, .. } => {
                write!(
                    f,
                    "timer of {operator} in {subtask} at {domain} {time} for {key:016x} fires at {now}"
                )
            }
            Self::ProcessingTimeReached { subtask, now, .. } => {
                write!(f, "timers of {subtask} have fired up to {now}")
            }
            Self::ChannelWatermark { channel, watermark, .. } => {
                write!(f, "watermark {watermark} on {channel}")
            }
            Self::WatermarkAdvanced { subtask, watermark, .. } => {
                write!(f, "watermark {watermark} in {subtask}")
            }
            Self::SourceExhausted { subtask, .. } => write!(f, "{subtask} has no more input"),
            Self::SubtaskFinished { subtask, .. } => write!(f, "{subtask} has finished"),
            Self::RecordsCounted { subtask, operator, received, late, dropped, .. } => {
                write!(
                    f,
                    "{operator} in {subtask}: {received} records, {late} late, {dropped} dropped"
                )
            }
            Self::KeyGroupMet { subtask, operator, group, .. } => {
                write!(f, "{operator} in {subtask} met {group}")
            }
            Self::GapDetected { channel, expected, found, .. } => {
                write!(f, "{channel} has a gap: frame {found} came instead of {expected}")
            }
            Self::RepeatDropped { channel, sequence, .. } => {
                write!(f, "{channel}: frame {sequence} came twice")
            }
            Self::StaleRefused { current, stale } => {
                write!(f, "something of {stale} is refused in {current}")
            }
        }
    }
}

/// Returns what happens to something, in words.
fn becomes(is_idle: bool) -> &'static str {
    if is_idle { "is idle" } else { "is active again" }
}

/// Returns where an attempt begins, in words.
fn from(restored: Option<CheckpointId>) -> String {
    restored.map_or("nothing".to_owned(), |checkpoint| checkpoint.to_string())
}
