//! What can end a subtask other than well.

use floodmark_model::{ChannelId, CheckpointId};
use floodmark_platform::StoreError;
use floodmark_state::StateError;
use floodmark_wire::WireError;
use thiserror::Error;

/// An error of user code or of a connector.
///
/// # Examples
///
/// ```
/// # mod floodmark { pub use floodmark_dataflow::{*, operators::*}; pub use floodmark_model::*; }
/// use floodmark::BoxError;
///
/// fn parsed(text: &str) -> Result<u64, BoxError> {
///     if text.is_empty() {
///         return Err("there is nothing to read".into());
///     }
///     Ok(text.parse()?)
/// }
///
/// assert_eq!(parsed("7").ok(), Some(7));
/// assert_eq!(parsed("").unwrap_err().to_string(), "there is nothing to read");
/// ```
pub type BoxError = Box<dyn std::error::Error + Send + Sync>;

/// A failure of a subtask. All of them end the attempt; the restart strategy decides what follows.
#[derive(Debug, Error)]
pub enum Error {
    /// A function of the job, a source or a sink reported an error.
    #[error("operator {operator}: {source}")]
    Operator {
        /// The operator's name.
        operator: String,
        /// Its own error.
        source: BoxError,
    },
    /// State does not fit the operator that asks for it.
    #[error(transparent)]
    State(#[from] StateError),
    /// A frame is missing.
    #[error("{channel} lost a frame: expected number {expected}, found {found}")]
    Gap {
        /// Where.
        channel: ChannelId,
        /// The first missing number.
        expected: u64,
        /// The number that came.
        found: u64,
    },
    /// The other side is gone.
    #[error("{channel} was closed by the other side")]
    Closed {
        /// Which channel.
        channel: ChannelId,
    },
    /// The connection broke.
    #[error("{channel} broke: {source}")]
    Broken {
        /// Which channel.
        channel: ChannelId,
        /// The network's own words.
        source: std::io::Error,
    },
    /// A frame cannot be read.
    #[error("{channel} carried a frame that cannot be read: {source}")]
    Frame {
        /// Which channel.
        channel: ChannelId,
        /// What is wrong with it.
        source: WireError,
    },
    /// A part of the restored snapshot cannot be had.
    #[error("snapshot {key}: {reason}")]
    Snapshot {
        /// The file.
        key: String,
        /// Why not.
        reason: String,
    },
    /// The object store refused for good.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The state of a subtask is larger than the job allows.
    #[error(
        "the state takes {size} bytes in {checkpoint}, and may take {size_max}; \
         {operator}/{name} takes {largest} of them"
    )]
    StateSize {
        /// The checkpoint that found it out.
        checkpoint: CheckpointId,
        /// Bytes of the subtask's state in it.
        size: u64,
        /// Bytes that are allowed.
        size_max: u64,
        /// The operator with the largest state.
        operator: String,
        /// The name of that state.
        name: String,
        /// Its bytes.
        largest: u64,
    },
    /// A sink could not make an epoch ready to commit.
    #[error("pre-commit of {checkpoint}: {reason}")]
    PreCommit {
        /// The checkpoint that ends the epoch.
        checkpoint: CheckpointId,
        /// The sink's own words.
        reason: String,
    },
    /// A sink could not discard what earlier attempts have left open.
    #[error("discarding what earlier attempts of {operator} have left open: {source}")]
    Abort {
        /// The sink's name.
        operator: String,
        /// The sink's own words.
        source: BoxError,
    },
    /// A sink could not make a completed epoch visible.
    #[error("commit of {checkpoint} in {operator}: {reason}")]
    Commit {
        /// The checkpoint that ends the epoch.
        checkpoint: CheckpointId,
        /// The sink's name.
        operator: String,
        /// The sink's own words.
        reason: String,
    },
}
