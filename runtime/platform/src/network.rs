//! The network: ordered frame streams between nodes, which may break at any time.

use std::{
    fmt,
    future::poll_fn,
    io,
    task::{Context, Poll},
};

use bytes::Bytes;

use crate::BoxFuture;

/// Where a node listens, in the form its network understands: `127.0.0.1:7001` on the real one.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Address(pub String);

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// What a frame carries, as a label.
///
/// A network may treat kinds differently (a simulated one loses barriers and nothing else), but it
/// never looks inside a frame. The label does not travel.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct FrameKind(pub &'static str);

/// One message of a frame stream.
#[derive(Clone, Debug)]
pub struct Frame {
    /// What the payload carries.
    pub kind: FrameKind,
    /// The message. At most 64 MiB.
    pub payload: Bytes,
}

/// Opens and accepts connections.
pub trait Network {
    /// Listens on `port` of this node; port 0 lets the network choose.
    fn listen(&self, port: u16) -> BoxFuture<io::Result<Box<dyn Listener>>>;

    /// Opens a connection to a listener.
    ///
    /// The future may take arbitrarily long when the other node is silent; callers bound it.
    fn connect(&self, to: &Address) -> BoxFuture<io::Result<Connection>>;
}

/// Accepts connections. Dropping it frees the port.
pub trait Listener: Send {
    /// Returns where other nodes reach this listener.
    fn address(&self) -> Address;

    /// Returns the next connection.
    fn poll_accept(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<Connection>>;
}

impl dyn Listener {
    /// Waits for the next connection.
    ///
    /// # Errors
    ///
    /// What the network reports; the listener is then of no further use.
    ///
    /// # Cancel safety
    ///
    /// No connection is lost when the future is dropped.
    pub async fn accept(&mut self) -> io::Result<Connection> {
        poll_fn(|cx| self.poll_accept(cx)).await
    }
}

/// A pair of frame streams between two nodes. Dropping both halves closes it.
pub struct Connection {
    /// Frames to the peer.
    pub sender: Box<dyn FrameSender>,
    /// Frames from the peer.
    pub receiver: Box<dyn FrameReceiver>,
}

/// The sending half: bounded, poll-based, without an allocation per frame.
///
/// A network is hostile: frames may be lost, repeated or reordered although no error is reported.
/// Whoever needs more numbers its frames.
pub trait FrameSender: Send {
    /// Returns ready when one more frame may be started.
    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>>;

    /// Takes one frame. Only after [`FrameSender::poll_ready`] returned ready.
    ///
    /// # Errors
    ///
    /// When the connection is broken.
    fn start_send(&mut self, frame: Frame) -> io::Result<()>;

    /// Hands everything started to the network.
    fn poll_flush(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>>;
}

impl dyn FrameSender {
    /// Sends one frame and hands it to the network.
    ///
    /// # Errors
    ///
    /// When the connection is broken. Success does not mean that the frame arrives.
    pub async fn send(&mut self, frame: Frame) -> io::Result<()> {
        poll_fn(|cx| self.poll_ready(cx)).await?;
        self.start_send(frame)?;
        poll_fn(|cx| self.poll_flush(cx)).await
    }
}

/// The receiving half.
pub trait FrameReceiver: Send {
    /// Returns the next payload; `None` when the peer closed the connection.
    fn poll_receive(&mut self, cx: &mut Context<'_>) -> Poll<Option<io::Result<Bytes>>>;
}

impl dyn FrameReceiver {
    /// Waits for the next payload; `None` when the peer closed the connection.
    ///
    /// # Cancel safety
    ///
    /// No frame is lost when the future is dropped.
    pub async fn receive(&mut self) -> Option<io::Result<Bytes>> {
        poll_fn(|cx| self.poll_receive(cx)).await
    }
}
