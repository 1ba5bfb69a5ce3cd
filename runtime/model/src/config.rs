//! How a job is checkpointed, restarted and watched.

use std::{num::NonZeroU32, time::Duration};

use thiserror::Error;

/// When checkpoints of a job start, when they are given up, and how many are kept.
///
/// There is no `Default`: the right interval depends on the job, so its author names it.
///
/// # Examples
///
/// ```
/// # use floodmark_model as floodmark;
/// use floodmark::CheckpointConfig;
/// use std::{num::NonZeroU32, time::Duration};
///
/// let checkpoints = CheckpointConfig::every(Duration::from_secs(10))
///     .timeout(Duration::from_secs(60))
///     .min_pause(Duration::from_secs(1))
///     .tolerable_failures(3)
///     .retain(NonZeroU32::new(2).expect("more than zero"));
/// assert!(checkpoints.check().is_ok());
/// assert!(checkpoints.timeout(Duration::from_secs(5)).check().is_err(), "shorter than the interval");
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CheckpointConfig {
    /// Time from the start of one checkpoint to the start of the next. More than zero.
    ///
    /// Shorter means less to replay after a failure and more work spent on snapshots.
    pub interval: Duration,

    /// Time after which an unfinished checkpoint is aborted. At least `interval`.
    ///
    /// Longer tolerates slow storage; shorter notices a stuck subtask sooner.
    pub timeout: Duration,

    /// Least time from the end of one checkpoint to the start of the next.
    ///
    /// Longer leaves more of the machine to records when checkpoints are slow.
    pub min_pause: Duration,

    /// Consecutive checkpoints that may fail before the job is restarted.
    ///
    /// More rides out a longer outage of the object store, and replays more afterwards.
    pub tolerable_failure_count: u32,

    /// Completed checkpoints kept; older ones are deleted.
    pub retained_count: NonZeroU32,

    /// Which snapshots the workers keep a second time, on disks of their own.
    pub local_copies: LocalCopies,

    /// Most bytes that the state of one subtask may take in a checkpoint, from 1 to 2⁶³ − 1; without it,
    /// any number.
    ///
    /// Less finds out sooner that a job keeps what it should forget; more leaves room for a rush.
    pub state_size_max: Option<u64>,
}

/// Which snapshots a worker keeps a second time, on its own disk.
///
/// A copy makes a restart faster and the object store less busy; it is never needed. Whatever is
/// wrong with it, the snapshot is read from the object store.
///
/// # Examples
///
/// ```
/// # use floodmark_model as floodmark;
/// use floodmark::{CheckpointConfig, LocalCopies};
/// use std::time::Duration;
///
/// let checkpoints = CheckpointConfig::every(Duration::from_secs(10));
/// assert_eq!(checkpoints.local_copies, LocalCopies::None);
/// let checkpoints = checkpoints.local_copies(LocalCopies::Newest);
/// # let _ = checkpoints;
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[doc(alias = "local recovery")]
pub enum LocalCopies {
    /// None: every restore reads the object store.
    #[default]
    None,
    /// Those of its own subtasks, of the newest completed checkpoint and of later ones.
    ///
    /// Takes about twice the size of the state on the disk, and the time to write and sync it.
    Newest,
}

/// What follows a failure.
///
/// # Examples
///
/// ```
/// # use floodmark_model as floodmark;
/// use floodmark::RestartStrategy;
/// use std::time::Duration;
///
/// let restart = RestartStrategy::FixedDelay { attempts: 3, delay: Duration::from_secs(10) };
/// assert_ne!(restart, RestartStrategy::None);
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RestartStrategy {
    /// The first failure ends the job.
    None,
    /// The job is restarted after a pause.
    FixedDelay {
        /// Restarts before a failure ends the job.
        attempts: u32,
        /// The pause.
        delay: Duration,
    },
}

/// How the processes of a cluster watch each other. The same on all of them.
///
/// # Examples
///
/// ```
/// # use floodmark_model as floodmark;
/// use floodmark::ClusterConfig;
/// use std::time::Duration;
///
/// let patient =
///     ClusterConfig { heartbeat_timeout: Duration::from_secs(60), ..ClusterConfig::default() };
/// assert!(patient.check().is_ok());
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ClusterConfig {
    /// Time between two heartbeats, in each direction.
    ///
    /// Shorter notices a loss sooner and costs more messages.
    pub heartbeat_interval: Duration,

    /// Silence after which a peer is taken for dead. More than twice the interval.
    ///
    /// Longer survives a pause without a failover; shorter recovers sooner.
    pub heartbeat_timeout: Duration,

    /// Time in which all subtasks of an attempt must run.
    pub deployment_timeout: Duration,
}

/// The most that a limit for state can be: what a file of options can hold.
const STATE_SIZE_MAX_BOUND: u64 = i64::MAX.unsigned_abs();

/// A configuration that contradicts itself.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[expect(missing_docs, reason = "the messages say it")]
pub enum ConfigError {
    #[error("the checkpoint interval is zero")]
    CheckpointIntervalZero,
    #[error("the checkpoint timeout ({timeout:?}) is shorter than the interval ({interval:?})")]
    CheckpointTimeoutShort { timeout: Duration, interval: Duration },
    #[error("the state may take {size} bytes, which is not between 1 and 9223372036854775807")]
    StateSizeMax { size: u64 },
    #[error("the heartbeat timeout ({timeout:?}) is not twice the interval ({interval:?})")]
    HeartbeatTimeoutShort { timeout: Duration, interval: Duration },
}

impl CheckpointConfig {
    /// Returns a configuration with `interval`, and with a timeout of ten minutes (or the interval,
    /// if that is longer), no pause, no tolerated failure, one retained checkpoint, no local copies and
    /// any size of state.
    pub fn every(interval: Duration) -> Self {
        Self {
            interval,
            timeout: interval.max(Duration::from_secs(600)),
            min_pause: Duration::ZERO,
            tolerable_failure_count: 0,
            retained_count: NonZeroU32::MIN,
            local_copies: LocalCopies::None,
            state_size_max: None,
        }
    }

    /// Sets [`CheckpointConfig::timeout`].
    #[must_use]
    pub fn timeout(self, timeout: Duration) -> Self {
        Self { timeout, ..self }
    }

    /// Sets [`CheckpointConfig::min_pause`].
    #[must_use]
    pub fn min_pause(self, min_pause: Duration) -> Self {
        Self { min_pause, ..self }
    }

    /// Sets [`CheckpointConfig::tolerable_failure_count`].
    #[must_use]
    pub fn tolerable_failures(self, tolerable_failure_count: u32) -> Self {
        Self { tolerable_failure_count, ..self }
    }

    /// Sets [`CheckpointConfig::retained_count`].
    #[must_use]
    pub fn retain(self, retained_count: NonZeroU32) -> Self {
        Self { retained_count, ..self }
    }

    /// Sets [`CheckpointConfig::local_copies`].
    ///
    /// # Examples
    ///
    /// ```
    /// use std::time::Duration;
    ///
    /// use floodmark_model::{CheckpointConfig, LocalCopies};
    ///
    /// let checkpoints =
    ///     CheckpointConfig::every(Duration::from_secs(10)).local_copies(LocalCopies::Newest);
    /// assert!(checkpoints.check().is_ok());
    /// ```
    #[must_use]
    pub fn local_copies(self, local_copies: LocalCopies) -> Self {
        Self { local_copies, ..self }
    }

    /// Sets [`CheckpointConfig::state_size_max`]: a job whose state grows beyond all bounds ends in an
    /// error that names the state, before it has used up the memory of its machines.
    ///
    /// State lies in memory, and takes a few times the bytes that it has in a checkpoint. It is looked at
    /// with every checkpoint, so it can be larger by what comes in between two of them. The attempt fails;
    /// the restart strategy decides how often the same is tried again. A job above its limit cannot be
    /// stopped with a last checkpoint either; it goes on from the one before with a higher limit.
    ///
    /// # Examples
    ///
    /// ```
    /// use std::time::Duration;
    ///
    /// use floodmark_model::CheckpointConfig;
    ///
    /// let hundred_megabytes = 100_000_000;
    /// let checkpoints =
    ///     CheckpointConfig::every(Duration::from_secs(10)).state_size_max(hundred_megabytes);
    /// assert!(checkpoints.check().is_ok());
    /// ```
    #[must_use]
    #[doc(alias = "maxStateSize")]
    pub fn state_size_max(self, size_bytes: u64) -> Self {
        Self { state_size_max: Some(size_bytes), ..self }
    }

    /// Returns whether the parts agree with each other.
    ///
    /// # Errors
    ///
    /// A [`ConfigError`] that names the parts that do not.
    pub fn check(&self) -> Result<(), ConfigError> {
        let Self { interval, timeout, state_size_max, .. } = *self;
        if interval.is_zero() {
            return Err(ConfigError::CheckpointIntervalZero);
        }
        if let Some(size) = state_size_max
            && !(1..=STATE_SIZE_MAX_BOUND).contains(&size)
        {
            return Err(ConfigError::StateSizeMax { size });
        }
        if timeout < interval {
            return Err(ConfigError::CheckpointTimeoutShort { timeout, interval });
        }
        Ok(())
    }
}

impl ClusterConfig {
    /// Returns whether the parts agree with each other.
    ///
    /// # Errors
    ///
    /// A [`ConfigError`] that names the parts that do not.
    pub fn check(&self) -> Result<(), ConfigError> {
        let Self { heartbeat_interval: interval, heartbeat_timeout: timeout, .. } = *self;
        if timeout < interval * 2 {
            return Err(ConfigError::HeartbeatTimeoutShort { timeout, interval });
        }
        Ok(())
    }
}

impl Default for ClusterConfig {
    /// Suits processes on one machine or in one data centre.
    fn default() -> Self {
        Self {
            heartbeat_interval: Duration::from_secs(1),
            heartbeat_timeout: Duration::from_secs(10),
            deployment_timeout: Duration::from_secs(30),
        }
    }
}
