//! What a subtask is given and told, and what it tells.

use std::time::Duration;

use floodmark_model::{Attempt, Barrier, CheckpointId, KeyGroupRange, SubtaskId, Timestamp};
use floodmark_platform::Machine;
use floodmark_state::{CopyShelf, RestoredState};
use floodmark_wire::StoredFile;
use tokio::sync::mpsc;

/// What the coordinator tells a subtask.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Command {
    /// Emit the barrier of this checkpoint. Only sources act on it.
    Trigger(Barrier),
    /// Emit the barrier of this checkpoint, and read no further. Only sources act on it. What is under
    /// way in operators is part of the snapshots.
    Stop(CheckpointId),
    /// The checkpoint will not complete.
    Abort(CheckpointId),
    /// The checkpoint is complete; after a final one there is nothing left to do.
    Complete(Barrier),
    /// How far the slowest source of a group has come. Only its sources care.
    Announce {
        /// The group.
        group: String,
        /// Its least promise; `None` if nobody has to be waited for.
        least: Option<Timestamp>,
    },
}

/// What a subtask tells its worker, and who it is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Report {
    /// The attempt it is part of.
    pub attempt: Attempt,
    /// Which subtask.
    pub subtask: SubtaskId,
    /// What it tells.
    pub news: News,
}

/// What a subtask tells its worker.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum News {
    /// State is restored, channels are open.
    Running,
    /// The source has no more input.
    Exhausted,
    /// A snapshot is stored.
    Acknowledged {
        /// Of which checkpoint.
        checkpoint: CheckpointId,
        /// Where it is.
        files: Vec<StoredFile>,
    },
    /// How far a source of a group has come.
    Watermark {
        /// The group.
        group: String,
        /// The least promise of its splits; `None` if nobody has to wait for it.
        watermark: Option<Timestamp>,
    },
    /// A snapshot could not be stored.
    Declined {
        /// Of which checkpoint.
        checkpoint: CheckpointId,
        /// Why.
        reason: String,
    },
}

/// What a subtask is given to run.
pub struct SubtaskOptions {
    /// The node.
    pub machine: Machine,
    /// The attempt it is part of.
    pub attempt: Attempt,
    /// Which subtask it is.
    pub subtask: SubtaskId,
    /// Its key groups.
    pub key_groups: KeyGroupRange,
    /// The checkpoint it starts from, and its state.
    pub restored: Option<(CheckpointId, RestoredState)>,
    /// Whether the job takes checkpoints. Without them, input ends as soon as it is processed.
    pub has_checkpoints: bool,
    /// Prefix of the job's objects, and the job's name.
    pub storage: (String, String),
    /// Where copies of snapshots go, if there are to be any.
    pub copies: Option<CopyShelf>,
    /// Most bytes that the state may take in a checkpoint, if there is a limit.
    pub state_size_max: Option<u64>,
    /// Time between two signs of life on a silent channel.
    pub pulse_interval: Duration,
    /// Commands of the coordinator.
    pub commands: mpsc::UnboundedReceiver<Command>,
    /// Where to report.
    pub reports: mpsc::UnboundedSender<Report>,
}
