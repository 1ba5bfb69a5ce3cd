//! What ends a coordinator before its job is finished.

use std::io;

use floodmark_model::Term;
use floodmark_platform::TaskError;
use floodmark_wire::WireError;
use thiserror::Error;

/// A failure the coordinator cannot answer itself. Bugs panic instead.
#[derive(Debug, Error)]
pub enum Error {
    /// Workers cannot reach the coordinator.
    #[error("accepting connections of workers")]
    Accept {
        /// The network's own words.
        source: io::Error,
    },

    /// An entry of the log that may decide what to restore is damaged.
    #[error("reading the log entry {key}")]
    LogUnreadable {
        /// The object.
        key: String,
        /// What is wrong with it.
        source: WireError,
    },

    /// An entry of the log is gone although nobody may delete it.
    #[error("the log entry {key} was there and is gone")]
    LogTampered {
        /// The object.
        key: String,
    },

    /// The stored checkpoints belong to another shape of the job.
    #[error("the checkpoint in {key} is of another job graph: {difference}")]
    JobChanged {
        /// The object that holds the newest manifest.
        key: String,
        /// The first difference, in words.
        difference: String,
    },

    /// Another coordinator rules. This one must not write again.
    #[error("{held} is fenced by {current}")]
    Fenced {
        /// The term this coordinator held.
        held: Term,
        /// The term found in the log.
        current: Term,
    },

    /// The job failed and may not be restarted again.
    #[error("the job failed: {reason}")]
    JobFailed {
        /// The last failure, in words.
        reason: String,
    },

    /// A task of the coordinator ended without a result.
    #[error("the task {task} of the coordinator")]
    Background {
        /// The task.
        task: &'static str,
        /// How it ended.
        source: TaskError,
    },
}

/// What to do about an [`enum@Error`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Recovery {
    /// Start a coordinator again: nothing is lost, and the cause may pass.
    Restart,
    /// Leave the job to the coordinator that rules.
    StepDown,
    /// A person must change the job, its configuration or its storage first.
    Correct,
}

impl Error {
    /// Returns the one right answer to this error, so that no caller invents its own.
    pub fn recovery(&self) -> Recovery {
        match self {
            // What was read may have been damaged on its way, and not where it lies.
            Self::Accept { .. } | Self::Background { .. } | Self::LogUnreadable { .. } => {
                Recovery::Restart
            }
            Self::Fenced { .. } => Recovery::StepDown,
            Self::LogTampered { .. } | Self::JobChanged { .. } | Self::JobFailed { .. } => {
                Recovery::Correct
            }
        }
    }
}
