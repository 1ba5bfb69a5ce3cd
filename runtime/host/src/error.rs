//! Why a machine could not be set up.
//!
//! Once it is set up, its failures are those that `platform` names: of I/O, of the object store and
//! of tasks.

use std::{io, net::IpAddr, path::PathBuf};

use thiserror::Error;

/// A reason why there is no machine. The caller's environment or options must change.
///
/// # Examples
///
/// ```
/// # use floodmark_host as floodmark;
/// use floodmark::{HostError, Secret};
/// use std::path::Path;
///
/// let error = Secret::read(Path::new("no/such/file")).expect_err("there is none");
/// assert!(matches!(error, HostError::Secret { .. }));
/// ```
#[derive(Debug, Error)]
pub enum HostError {
    /// The caller does not run inside an asynchronous runtime.
    #[error("a machine is created inside a tokio runtime, and there is none")]
    NoRuntime,

    /// A directory of the options cannot be used.
    #[error("directory {}", path.display())]
    Directory {
        /// Which one.
        path: PathBuf,
        /// What the operating system said.
        source: io::Error,
    },

    /// The machine would listen where strangers can connect, and could not tell them apart.
    #[error("listening on {bind} needs a shared secret: whoever reaches it could take part")]
    Unprotected {
        /// The address that is not loopback.
        bind: IpAddr,
    },

    /// The secret cannot be used.
    #[error("the secret in {}: {reason}", path.display())]
    Secret {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        reason: String,
    },

    /// The signals that ask a process to stop cannot be heard.
    #[error("listening to the signals of the system")]
    Signals {
        /// What the operating system said.
        source: io::Error,
    },

    /// The machine would listen everywhere, and other nodes would not know where.
    #[error("listening on {bind} needs an advertised address that other nodes can reach")]
    Unreachable {
        /// The address that means "all of mine".
        bind: IpAddr,
    },
}
