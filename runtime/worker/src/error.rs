//! What a worker can fail at before or between subtasks.

use std::io;

use thiserror::Error;

/// A failure of the worker itself. Failures of subtasks are reported to the coordinator instead.
#[derive(Debug, Error)]
pub enum Error {
    /// The port for data connections cannot be used.
    #[error("listening for data connections on port {port}")]
    Listen {
        /// The port.
        port: u16,
        /// The network's own words.
        source: io::Error,
    },
}
