//! A port on which we listen, and those who wait to be let in.
//!
//! Without a secret whoever connects is a peer at once. With one, connections that have not proved
//! themselves are kept apart, in bounded number, and nobody above hears of them before they have.

use std::{
    io,
    net::SocketAddr,
    task::{Context, Poll},
    time::{Duration, Instant},
};

use floodmark_platform::{Address, BoxFuture, Connection, Listener};
use futures_util::{StreamExt as _, stream::FuturesUnordered};
use tokio::net::{TcpListener, TcpStream};

use super::{connection, handshake::admit};
use crate::Secret;

/// Connections that may be proving themselves. Those beyond it wait in the system's own queue.
const WAITING_COUNT_MAX: usize = 64;

/// Least time between two lines of the log about those who were refused.
const REFUSAL_PAUSE: Duration = Duration::from_secs(1);

/// A port on which we listen.
pub(super) struct TcpPort {
    listener: TcpListener,
    address: Address,
    secret: Option<Secret>,
    waiting: FuturesUnordered<BoxFuture<(SocketAddr, io::Result<TcpStream>)>>,
    refusals: Refusals,
}

impl TcpPort {
    /// Lets those in who connect to `listener` and know the secret, if there is one.
    pub(super) fn new(listener: TcpListener, address: Address, secret: Option<Secret>) -> Self {
        let (waiting, refusals) = (FuturesUnordered::new(), Refusals::default());
        Self { listener, address, secret, waiting, refusals }
    }

    /// Returns the next of those who have proved themselves.
    fn poll_admitted(&mut self, cx: &mut Context<'_>) -> Poll<TcpStream> {
        while let Poll::Ready(Some((peer, admitted))) = self.waiting.poll_next_unpin(cx) {
            match admitted {
                Ok(stream) => return Poll::Ready(stream),
                Err(error) => self.refusals.tell(peer, &error),
            }
        }
        Poll::Pending
    }
}

impl Listener for TcpPort {
    fn address(&self) -> Address {
        self.address.clone()
    }

    fn poll_accept(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<Connection>> {
        loop {
            if let Poll::Ready(stream) = self.poll_admitted(cx) {
                match connection(stream) {
                    Err(error) if is_peer_gone(&error) => continue,
                    result => return Poll::Ready(result),
                }
            }
            if WAITING_COUNT_MAX <= self.waiting.len() {
                return Poll::Pending;
            }
            let Poll::Ready(accepted) = self.listener.poll_accept(cx) else { return Poll::Pending };
            // A peer that gave up while it waited says nothing about the port.
            let (stream, peer) = match accepted {
                Err(error) if is_peer_gone(&error) => continue,
                Err(error) => return Poll::Ready(Err(error)),
                Ok(accepted) => accepted,
            };
            let secret = self.secret.clone();
            self.waiting.push(Box::pin(async move {
                match secret {
                    Some(secret) => (peer, admit(stream, &secret).await),
                    None => (peer, Ok(stream)),
                }
            }));
        }
    }
}

/// Tells of refused connections, and not of each when they come in numbers.
#[derive(Default)]
struct Refusals {
    told: Option<Instant>,
    untold_count: u64,
}

impl Refusals {
    fn tell(&mut self, peer: SocketAddr, error: &io::Error) {
        if self.told.is_some_and(|told| told.elapsed() < REFUSAL_PAUSE) {
            self.untold_count += 1;
            return;
        }
        let others = std::mem::take(&mut self.untold_count);
        tracing::warn!(%peer, %error, others, "a connection is refused");
        self.told = Some(Instant::now());
    }
}

/// Returns whether an error of accepting is about one peer and not about the port.
fn is_peer_gone(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::ConnectionAborted
            | io::ErrorKind::ConnectionReset
            | io::ErrorKind::NotConnected
    )
}
