//! What a coordinator is told, and what it tells those who watch the job.

use std::time::Duration;

use floodmark_model::{
    Attempt, CheckpointConfig, CheckpointId, ClusterConfig, JobGraph, RestartStrategy,
};

/// What a coordinator rules, and how.
#[derive(Clone, Debug)]
pub struct CoordinatorOptions {
    /// The job.
    pub job: JobGraph,
    /// How it and the workers watch each other.
    pub cluster: ClusterConfig,
    /// When checkpoints are taken. `None`: never, and a failure starts the job from its beginning.
    pub checkpoints: Option<CheckpointConfig>,
    /// What follows a failure.
    pub restart: RestartStrategy,
    /// Prefix of the job's objects in the object store.
    pub storage: String,
}

/// How the job is doing.
///
/// # Examples
///
/// ```
/// # use floodmark_coordinator as floodmark;
/// use floodmark::JobStatus;
///
/// /// Returns whether nothing more will come of the job.
/// fn is_over(status: &JobStatus) -> bool {
///     match status {
///         JobStatus::Finished | JobStatus::Cancelled => true,
///         JobStatus::Stopped { .. } | JobStatus::Failed { .. } => true,
///         _ => false,
///     }
/// }
///
/// assert!(is_over(&JobStatus::Failed { reason: "out of luck".to_owned() }));
/// assert!(!is_over(&JobStatus::WaitingForWorkers));
/// ```
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum JobStatus {
    /// The coordinator takes its term.
    #[default]
    Starting,
    /// There are fewer slots than the job needs.
    WaitingForWorkers,
    /// Subtasks are starting.
    Deploying {
        /// The attempt that begins.
        attempt: Attempt,
    },
    /// All subtasks run.
    Running {
        /// The attempt they belong to.
        attempt: Attempt,
        /// The newest complete checkpoint.
        completed: Option<CheckpointId>,
    },
    /// An attempt failed; the next will follow.
    Restarting {
        /// Why it failed.
        reason: String,
    },
    /// Everything is processed and committed.
    Finished,
    /// Cancelled on request.
    Cancelled,
    /// Stopped on request: started again, it goes on from its newest complete checkpoint.
    Stopped {
        /// That checkpoint, if there is one.
        checkpoint: Option<CheckpointId>,
    },
    /// Over, without having finished.
    Failed {
        /// Why.
        reason: String,
    },
}

/// What may be asked of a coordinator.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Request {
    /// End the job at whatever it is. Its checkpoints stay.
    Cancel,
    /// Stop the job with a last checkpoint, so that everything it has processed is committed.
    Stop {
        /// Time after which it stops at its newest complete checkpoint instead.
        within: Duration,
    },
}
