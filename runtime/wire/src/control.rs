//! Messages between coordinator and workers.
//!
//! Messages may be lost, repeated and reordered. Each carries the attempt or term it belongs to, and
//! each is either answered, repeated by a timer, or made superfluous by a later one; no receiver
//! relies on having seen the one before.

use bytes::Bytes;
use floodmark_model::{Attempt, CheckpointId, SubtaskId, Term, Timestamp, WorkerId};
use serde::{Deserialize, Serialize};

use crate::{
    WireError,
    codec::{self, Format},
    manifest::StoredFile,
};

const TO_COORDINATOR: Format = Format { magic: *b"FMtc", version: 1 };
const TO_WORKER: Format = Format { magic: *b"FMtw", version: 1 };

/// What a worker tells the coordinator.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum ToCoordinator {
    /// The first message of a connection, repeated until it is answered.
    Register {
        /// Who.
        worker: WorkerId,
        /// Subtasks it has room for.
        slot_count: u32,
        /// Where its data connections are accepted.
        data_address: String,
    },
    /// Alive, and what became of the subtasks of the newest attempt it knows. Sent at every
    /// interval and at every change, so that no change can be lost for good.
    Heartbeat {
        /// Who.
        worker: WorkerId,
        /// The newest attempt it knows.
        attempt: Attempt,
        /// All its subtasks of that attempt.
        subtasks: Vec<SubtaskReport>,
    },
    /// A snapshot is stored.
    Acknowledge {
        /// The attempt that took it.
        attempt: Attempt,
        /// The checkpoint it is part of.
        checkpoint: CheckpointId,
        /// Whose it is.
        subtask: SubtaskId,
        /// Where it is.
        files: Vec<StoredFile>,
    },
    /// A snapshot could not be stored.
    Decline {
        /// The attempt that tried.
        attempt: Attempt,
        /// The checkpoint that will not complete.
        checkpoint: CheckpointId,
        /// Whose it would have been.
        subtask: SubtaskId,
        /// Why.
        reason: String,
    },
    /// Going down on request. What it ran is over, and nobody needs to wait for its silence.
    Leave {
        /// Who.
        worker: WorkerId,
    },
    /// How far a source of a group has come. Repeated; each one is answered.
    Watermark {
        /// The attempt it is part of.
        attempt: Attempt,
        /// Whose it is.
        subtask: SubtaskId,
        /// The group of sources that wait for each other.
        group: String,
        /// The least promise of its splits; `None` if nobody has to wait for it.
        watermark: Option<Timestamp>,
    },
}

/// What the coordinator tells a worker.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum ToWorker {
    /// The answer to a registration.
    Registered {
        /// The reign it registered with.
        term: Term,
    },
    /// Alive, and what the newest attempt is: subtasks of older ones must stop.
    Heartbeat {
        /// The newest attempt.
        attempt: Attempt,
    },
    /// Run these subtasks.
    Deploy(Deployment),
    /// Emit the barrier of `checkpoint`, if you are a source.
    Trigger {
        /// The attempt it is for.
        attempt: Attempt,
        /// The checkpoint.
        checkpoint: CheckpointId,
        /// Whether all sources are exhausted.
        is_final: bool,
    },
    /// The checkpoint will not complete; stop aligning it.
    Abort {
        /// The attempt it is for.
        attempt: Attempt,
        /// The checkpoint.
        checkpoint: CheckpointId,
    },
    /// The manifest is stored: commit everything up to this checkpoint.
    Notify {
        /// The attempt it is for.
        attempt: Attempt,
        /// The checkpoint.
        checkpoint: CheckpointId,
        /// Whether the subtasks are done after this commit.
        is_final: bool,
    },
    /// Stop the subtasks of this attempt and of every older one.
    Cancel {
        /// The newest attempt to stop.
        attempt: Attempt,
    },
    /// Emit the barrier of `checkpoint`, if you are a source, and read no further: it is the last one
    /// of the attempt, although there is more input.
    Stop {
        /// The attempt it is for.
        attempt: Attempt,
        /// The checkpoint.
        checkpoint: CheckpointId,
    },
    /// The job is over, and no other coordinator follows: nothing is left to do here.
    End {
        /// The reign that ends.
        term: Term,
    },
    /// How far the slowest source of a group has come.
    Announce {
        /// The attempt it is for.
        attempt: Attempt,
        /// The group.
        group: String,
        /// The least promise of its sources; `None` if nobody has to be waited for.
        least: Option<Timestamp>,
    },
}

/// What one worker must run.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Deployment {
    /// The attempt that begins.
    pub attempt: Attempt,
    /// The checkpoint to restore; `None` starts empty.
    pub restored: Option<CheckpointId>,
    /// The subtasks of this worker, each with the files of its snapshot, and with those that others
    /// of its vertex have stored for all.
    pub subtasks: Vec<(SubtaskId, Vec<StoredFile>)>,
    /// Where every subtask of the job runs: the data address of its worker.
    pub locations: Vec<(SubtaskId, String)>,
}

/// How one subtask is doing.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SubtaskReport {
    /// Which.
    pub subtask: SubtaskId,
    /// How.
    pub status: SubtaskStatus,
}

/// The states of a deployed subtask.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum SubtaskStatus {
    /// Restoring its state and opening its channels.
    Starting,
    /// Processing.
    Running,
    /// A source whose input has ended; it still emits barriers.
    Exhausted,
    /// Everything is processed and committed.
    Finished,
    /// Ended by an error or a panic.
    Failed {
        /// The error, in words.
        reason: String,
    },
}

impl ToCoordinator {
    /// Returns the bytes of the message.
    pub fn encode(&self) -> Bytes {
        codec::encode(TO_COORDINATOR, self)
    }

    /// Returns what the message is, as the network calls it.
    pub fn label(&self) -> &'static str {
        match self {
            Self::Register { .. } => "registration",
            Self::Heartbeat { .. } => "heartbeat",
            Self::Acknowledge { .. } | Self::Decline { .. } => "acknowledgement",
            Self::Leave { .. } => "farewell",
            Self::Watermark { .. } => "progress",
        }
    }
}

impl ToWorker {
    /// Returns the bytes of the message.
    pub fn encode(&self) -> Bytes {
        codec::encode(TO_WORKER, self)
    }

    /// Returns what the message is, as the network calls it.
    pub fn label(&self) -> &'static str {
        match self {
            Self::Registered { .. } => "registration",
            Self::Heartbeat { .. } => "heartbeat",
            Self::Deploy(_) | Self::Cancel { .. } => "deployment",
            Self::Trigger { .. } | Self::Stop { .. } => "trigger",
            Self::Abort { .. } => "abort",
            Self::Notify { .. } => "notification",
            Self::End { .. } => "farewell",
            Self::Announce { .. } => "announcement",
        }
    }
}

/// Returns the message in `bytes`.
///
/// # Errors
///
/// When the bytes are not a whole message of this version.
pub fn decode_to_coordinator(bytes: &[u8]) -> Result<ToCoordinator, WireError> {
    codec::decode(TO_COORDINATOR, bytes)
}

/// Returns the message in `bytes`.
///
/// # Errors
///
/// When the bytes are not a whole message of this version.
pub fn decode_to_worker(bytes: &[u8]) -> Result<ToWorker, WireError> {
    codec::decode(TO_WORKER, bytes)
}
