//! What can go wrong for the author of a job.

use floodmark_model::ConfigError;
use thiserror::Error;

/// A job that cannot be built or run.
///
/// # Examples
///
/// ```
/// use floodmark::{Environment, Error};
///
/// let env = Environment::new().parallelism(200).key_groups(128);
/// env.from_vec("numbers", vec![1, 2, 3]).print();
/// let error = env.build("numbers").err().expect("there are too few key groups");
/// assert!(matches!(error, Error::ParallelismTooHigh { parallelism: 200, .. }));
/// ```
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum Error {
    /// More subtasks than key groups were asked for.
    #[error(
        "parallelism {parallelism} is zero or above the number of key groups, {key_group_count}; raise \
         `key_groups` or lower `parallelism`"
    )]
    ParallelismTooHigh {
        /// What was asked for.
        parallelism: u16,
        /// The most that is possible.
        key_group_count: u16,
    },
    /// A count that must be positive is zero, or above its bound.
    #[error("{name} is {value}, and must lie in 1..={max}")]
    OutOfBounds {
        /// Which option.
        name: &'static str,
        /// What was asked for.
        value: u64,
        /// The most that is possible.
        max: u64,
    },
    /// Two operators answer to the same uid, so neither could find its state again.
    #[error("the uid {uid:?} is used by {first:?} and by {second:?}")]
    DuplicateUid {
        /// The uid.
        uid: String,
        /// One operator's name.
        first: String,
        /// The other's.
        second: String,
    },
    /// A stateful operator could not find its state again after a restart.
    #[error("{operator:?} keeps state and has no uid; add `.uid(\"…\")` after it")]
    MissingUid {
        /// The operator's name.
        operator: String,
    },
    /// Something that belongs to one operator was asked of a stream that no single operator's main
    /// output is: a union, or a side output.
    #[error("{what} is for one operator, and this stream is a union or a side output")]
    NotOneOperator {
        /// What was asked.
        what: String,
    },
    /// One side output is consumed as two types.
    #[error("the side output {tag:?} of {operator:?} is consumed as two different types")]
    SideOutputType {
        /// The operator's name.
        operator: String,
        /// The tag's name.
        tag: &'static str,
    },
    /// Windows that merge, as sessions do, were given something that cannot be merged.
    #[error("sessions merge, and {what} cannot be merged; {instead}")]
    CannotMerge {
        /// What it is.
        what: &'static str,
        /// What can be used instead.
        instead: &'static str,
    },
    /// The job has no source.
    #[error("the job has no source")]
    Empty,
    /// The job's checkpoints could not be kept under its name.
    #[error("the job name {name:?} is no name of a directory below the storage")]
    JobName {
        /// The name.
        name: String,
    },
    /// A path leads through a parent directory.
    #[error("the path {path:?} contains `..`; write it without")]
    ParentInPath {
        /// The path.
        path: String,
    },
    /// A path has no part that is a name.
    #[error("the path {path:?} names no file and no directory")]
    NamelessPath {
        /// The path.
        path: String,
    },
    /// Options in a text or a file that cannot be understood.
    #[error("{}{reason}", in_file(file))]
    Options {
        /// The file; empty if the text was not read from one.
        file: String,
        /// The line, counted from 1.
        line: usize,
        /// What is wrong there, and what could be there instead.
        reason: String,
    },
    /// A file of options cannot be read.
    #[error("reading the options in {file:?}: {source}")]
    OptionsFile {
        /// The file.
        file: String,
        /// The system's own words.
        source: std::io::Error,
    },
    /// The configuration contradicts itself.
    #[error(transparent)]
    Config(#[from] ConfigError),
    /// The real machine cannot be used.
    #[error(transparent)]
    Host(#[from] floodmark_host::HostError),
    /// A variable of the environment has no meaning.
    #[error("the environment variable {name} is {value:?}: {reason}")]
    Variable {
        /// Its name.
        name: &'static str,
        /// What it is set to; empty if it is not set.
        value: String,
        /// What is wrong with that.
        reason: String,
    },
    /// Checkpoints cannot be stored: the directory is read-only or full, or is no directory.
    #[error("storing checkpoints under {storage:?}: {source}")]
    Storage {
        /// The directory.
        storage: String,
        /// The store's own words.
        source: floodmark_platform::StoreError,
    },
    /// Nobody can connect.
    #[error("listening on port {port}: {source}")]
    Listen {
        /// The port.
        port: u16,
        /// The network's own words.
        source: std::io::Error,
    },
    /// The job ended in a failure.
    #[error("the job failed: {reason}")]
    JobFailed {
        /// The failure that no restart was left for, in words.
        reason: String,
    },
    /// Another coordinator rules the job; this one has stopped.
    #[error("{0}")]
    Fenced(String),
    /// A process of the cluster ended in a failure.
    #[error("{0}")]
    Cluster(String),
}

fn in_file(file: &str) -> String {
    if file.is_empty() { String::new() } else { format!("{file:?}: ") }
}

/// What to do about an [`enum@Error`].
///
/// # Examples
///
/// ```
/// use floodmark::{Environment, ErrorKind};
///
/// let error = Environment::new().build("empty").err().expect("the job has no source");
/// match error.kind() {
///     ErrorKind::Job => println!("change the job: {error}"),
///     ErrorKind::Machine => println!("look at the machine: {error}"),
///     ErrorKind::Failure => println!("remove the cause, and start it again: {error}"),
/// }
/// # assert_eq!(error.kind(), ErrorKind::Job);
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ErrorKind {
    /// Change the job or its options; nothing was started.
    Job,
    /// Look at the named file, directory, port or variable; nothing was lost.
    Machine,
    /// Read the reason, remove the cause, and start the job again: it goes on from its last
    /// completed checkpoint.
    Failure,
}

impl Error {
    /// Returns what to do about the error.
    pub fn kind(&self) -> ErrorKind {
        match self {
            Self::ParallelismTooHigh { .. }
            | Self::OutOfBounds { .. }
            | Self::DuplicateUid { .. }
            | Self::MissingUid { .. }
            | Self::NotOneOperator { .. }
            | Self::SideOutputType { .. }
            | Self::CannotMerge { .. }
            | Self::Empty
            | Self::JobName { .. }
            | Self::ParentInPath { .. }
            | Self::NamelessPath { .. }
            | Self::Options { .. }
            | Self::Config(_) => ErrorKind::Job,
            Self::Host(_)
            | Self::Variable { .. }
            | Self::OptionsFile { .. }
            | Self::Storage { .. }
            | Self::Listen { .. } => ErrorKind::Machine,
            Self::JobFailed { .. } | Self::Fenced(_) | Self::Cluster(_) => ErrorKind::Failure,
        }
    }
}
