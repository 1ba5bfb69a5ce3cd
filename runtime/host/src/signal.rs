//! The signals by which a system asks a process to stop.

use std::future::poll_fn;
#[cfg(unix)]
use std::task::Poll;

use crate::HostError;

/// Hears `SIGTERM` and `SIGINT` (Ctrl-C). From the first on they no longer end the process by
/// themselves: that is up to whoever hears them.
#[cfg(unix)]
pub struct StopSignals {
    terminate: tokio::signal::unix::Signal,
    interrupt: tokio::signal::unix::Signal,
}

#[cfg(unix)]
impl StopSignals {
    /// Begins to listen. Inside a tokio runtime with its driver of I/O.
    ///
    /// # Errors
    ///
    /// When the operating system does not let us.
    pub fn listen() -> Result<Self, HostError> {
        use tokio::signal::unix::{SignalKind, signal};

        let hear = |kind| signal(kind).map_err(|source| HostError::Signals { source });
        Ok(Self {
            terminate: hear(SignalKind::terminate())?,
            interrupt: hear(SignalKind::interrupt())?,
        })
    }

    /// Waits for the next signal. Several that come at once may count as one.
    ///
    /// # Cancel safety
    ///
    /// No signal is lost when the future is dropped.
    pub async fn next(&mut self) {
        poll_fn(|cx| {
            let is_heard = self.terminate.poll_recv(cx).is_ready();
            if self.interrupt.poll_recv(cx).is_ready() || is_heard {
                Poll::Ready(())
            } else {
                Poll::Pending
            }
        })
        .await;
    }
}

/// Hears Ctrl-C.
#[cfg(not(unix))]
pub struct StopSignals;

#[cfg(not(unix))]
impl StopSignals {
    /// Begins to listen.
    ///
    /// # Errors
    ///
    /// None here.
    pub fn listen() -> Result<Self, HostError> {
        Ok(Self)
    }

    /// Waits for the next signal.
    pub async fn next(&mut self) {
        if tokio::signal::ctrl_c().await.is_err() {
            poll_fn::<(), _>(|_| std::task::Poll::Pending).await;
        }
    }
}
