//! A wire between two processes that can be cut: a proxy that stops to forward.
//!
//! Cut means silent, as between two machines: connections stay open and nothing arrives. What was under
//! way is kept and arrives when the wire is whole again, late, which is the worst moment.

use std::{
    io::{ErrorKind, Read as _, Write as _},
    net::{Shutdown, SocketAddr, TcpListener, TcpStream},
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    thread,
    time::Duration,
};

/// How often a thread looks whether the wire is cut, or the test is over.
const LOOK_INTERVAL: Duration = Duration::from_millis(10);

/// Wires that are cut and mended together. Dropping it closes all connections.
#[derive(Default)]
pub(crate) struct Wires(Arc<State>);

/// What the threads of the proxy look at.
#[derive(Default)]
struct State {
    is_cut: AtomicBool,
    is_over: AtomicBool,
}

impl Wires {
    /// Forwards connections to `from`, an address that is free, to `to`.
    pub(crate) fn forward(&self, from: SocketAddr, to: SocketAddr) {
        let listener = TcpListener::bind(from).expect("the address is free");
        listener.set_nonblocking(true).expect("it is a socket");
        let state = self.0.clone();
        thread::spawn(move || {
            while !state.is_over() {
                match listener.accept() {
                    Ok((near, _)) => join(&state, near, to),
                    Err(_) => thread::sleep(LOOK_INTERVAL),
                }
            }
        });
    }

    /// Lets nothing through any more.
    pub(crate) fn cut(&self) {
        self.0.is_cut.store(true, Ordering::Relaxed);
    }

    /// Lets everything through again.
    pub(crate) fn mend(&self) {
        self.0.is_cut.store(false, Ordering::Relaxed);
    }
}

impl Drop for Wires {
    fn drop(&mut self) {
        self.0.is_over.store(true, Ordering::Relaxed);
    }
}

impl State {
    fn is_over(&self) -> bool {
        self.is_over.load(Ordering::Relaxed)
    }

    /// Waits until the wire is whole.
    fn wait(&self) {
        while self.is_cut.load(Ordering::Relaxed) && !self.is_over() {
            thread::sleep(LOOK_INTERVAL);
        }
    }
}

/// Connects further, as soon as the wire is whole, and forwards both ways.
fn join(state: &Arc<State>, near: TcpStream, to: SocketAddr) {
    let state = state.clone();
    thread::spawn(move || {
        state.wait();
        // Nobody listens there now: the near end is closed, as it would be without a proxy.
        let Ok(far) = TcpStream::connect(to) else { return };
        let (Ok(near_again), Ok(far_again)) = (near.try_clone(), far.try_clone()) else { return };
        let back = state.clone();
        thread::spawn(move || copy(&back, far_again, near_again));
        copy(&state, near, far);
    });
}

/// Forwards one direction until it ends. An end is forwarded like everything else.
fn copy(state: &State, mut from: TcpStream, mut to: TcpStream) {
    let ready = from
        .set_nonblocking(false)
        .and_then(|()| from.set_read_timeout(Some(LOOK_INTERVAL)))
        .and_then(|()| to.set_nodelay(true));
    ready.expect("they are sockets");
    let mut bytes = [0; 16 << 10];
    while !state.is_over() {
        let size = match from.read(&mut bytes) {
            Err(error) if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut) => {
                continue;
            }
            Ok(0) | Err(_) => break,
            Ok(size) => size,
        };
        state.wait();
        if to.write_all(&bytes[..size]).is_err() {
            break;
        }
    }
    state.wait();
    // The other end may be gone as well.
    let _ = to.shutdown(Shutdown::Write);
}
