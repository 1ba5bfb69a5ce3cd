//! The network: frames over TCP.
//!
//! ```text
//! frame     size, 4 bytes, little-endian | payload, size bytes
//! ```
//!
//! TCP keeps the order and slows the sender down when the receiver is slow, so this file only cuts
//! the stream into frames. Small payloads are copied into one staging area and leave together;
//! a large one is not copied and leaves right after what was staged before it.
//!
//! A size above the maximum is an error on both sides. It ends a connection to something that does
//! not speak our language before any memory is spent on it.
//!
//! # Invariants
//!
//! - A sender holds at most the staging area and one large payload.
//! - What was started but not flushed when a sender is dropped is lost.
//! - A receiver yields whole frames or an error, never a part of one.
//!
//! What was sent shortly before an end closes may be lost if that end had frames left to read: TCP
//! then resets the connection. Whoever needs certainty is acknowledged first.
//!
//! In a cluster with a secret, the frames follow a handshake (`handshake`).

mod handshake;
mod port;

use std::{
    io::{self, IoSlice},
    net::SocketAddr,
    pin::Pin,
    task::{Context, Poll, ready},
};

use bytes::{Buf as _, Bytes, BytesMut};
use floodmark_platform::{
    Address, BoxFuture, Connection, Frame, FrameReceiver, FrameSender, Listener, Network,
};
use tokio::{
    io::AsyncWrite as _,
    net::{
        TcpListener, TcpStream,
        tcp::{OwnedReadHalf, OwnedWriteHalf},
    },
};

use self::port::TcpPort;
use crate::{Secret, machine::Host};

/// The largest payload of a frame, in bytes.
const FRAME_SIZE_MAX: usize = 64 << 20;
/// The size of what precedes a payload.
const HEADER_SIZE: usize = size_of::<u32>();
/// A frame may be started while less than this is staged. More means fewer calls to the system
/// under load and more memory per connection.
const STAGED_SIZE_MAX: usize = 64 << 10;
/// A payload of at least this size is sent from where it lies. Smaller saves copying and costs a
/// call to the system sooner.
const LARGE_SIZE_MIN: usize = 16 << 10;
/// Room made for reading when less than [`READ_SIZE_MIN`] is left.
const READ_SIZE: usize = 64 << 10;
/// The least room worth a call to the system.
const READ_SIZE_MIN: usize = 4 << 10;

// The header holds every size.
const _: () = assert!(FRAME_SIZE_MAX <= u32::MAX as usize);
const _: () = assert!(READ_SIZE_MIN <= READ_SIZE);
// A handshake that nobody answers is not taken for a frame.
const _: () = assert!(FRAME_SIZE_MAX < u32::from_le_bytes(handshake::MAGIC) as usize);

impl Network for Host {
    fn listen(&self, port: u16) -> BoxFuture<io::Result<Box<dyn Listener>>> {
        let bind = SocketAddr::new(self.bind, port);
        let (advertised, secret) = (self.advertised, self.secret.clone());
        Box::pin(async move {
            let listener = TcpListener::bind(bind)
                .await
                .map_err(|error| named(&error, format_args!("listening on {bind}")))?;
            let port = listener.local_addr()?.port();
            let address = Address(SocketAddr::new(advertised, port).to_string());
            Ok(Box::new(TcpPort::new(listener, address, secret)) as Box<dyn Listener>)
        })
    }

    /// Also takes a host's name in place of its number, and asks the system for the number.
    fn connect(&self, to: &Address) -> BoxFuture<io::Result<Connection>> {
        let (to, secret) = (to.clone(), self.secret.clone());
        Box::pin(async move {
            open(&to, secret.as_ref())
                .await
                .map_err(|error| named(&error, format_args!("connecting to {to}")))
        })
    }
}

/// The sending half of a connection.
struct TcpSender {
    stream: OwnedWriteHalf,
    /// Headers and small payloads, in order. Never reallocated.
    staged: Vec<u8>,
    /// How much of `staged` was written.
    written: usize,
    /// What is left of a large payload that follows `staged`; empty if there is none.
    large: Bytes,
}

impl TcpSender {
    fn new(stream: OwnedWriteHalf) -> Self {
        let staged = Vec::with_capacity(STAGED_SIZE_MAX + HEADER_SIZE + LARGE_SIZE_MIN);
        Self { stream, staged, written: 0, large: Bytes::new() }
    }

    fn has_room(&self) -> bool {
        self.staged.len() < STAGED_SIZE_MAX && self.large.is_empty()
    }

    fn poll_drain(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        while self.written < self.staged.len() || !self.large.is_empty() {
            let parts = [IoSlice::new(&self.staged[self.written..]), IoSlice::new(&self.large)];
            let size = ready!(Pin::new(&mut self.stream).poll_write_vectored(cx, &parts))?;
            if size == 0 {
                return Poll::Ready(Err(io::ErrorKind::WriteZero.into()));
            }
            self.on_written(size);
        }
        self.staged.clear();
        self.written = 0;
        // An empty rest would keep the whole payload alive.
        self.large = Bytes::new();
        Poll::Ready(Ok(()))
    }

    fn on_written(&mut self, size: usize) {
        let staged = size.min(self.staged.len() - self.written);
        self.written += staged;
        self.large.advance(size - staged);
        assert!(self.written <= self.staged.len());
    }
}

impl FrameSender for TcpSender {
    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        if self.has_room() { Poll::Ready(Ok(())) } else { self.poll_drain(cx) }
    }

    /// Refuses a payload that is too large, which leaves the connection as it was.
    fn start_send(&mut self, frame: Frame) -> io::Result<()> {
        assert!(self.has_room(), "a frame is started after `poll_ready`");
        let payload = frame.payload;
        let size = payload.len();
        if FRAME_SIZE_MAX < size {
            return Err(oversize(size));
        }

        let header = u32::try_from(size).expect("the header holds every size");
        self.staged.extend_from_slice(&header.to_le_bytes());
        if size < LARGE_SIZE_MIN {
            self.staged.extend_from_slice(&payload);
        } else {
            self.large = payload;
        }
        assert!(self.staged.len() <= STAGED_SIZE_MAX + HEADER_SIZE + LARGE_SIZE_MIN);
        Ok(())
    }

    fn poll_flush(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.poll_drain(cx)
    }
}

/// The receiving half of a connection.
///
/// Payloads are cut from the buffer without copying, so a small one that is kept keeps its
/// neighbours: some tens of KiB.
struct TcpReceiver {
    stream: OwnedReadHalf,
    /// What was read and not yet yielded; begins with a header.
    buffer: BytesMut,
}

impl TcpReceiver {
    fn new(stream: OwnedReadHalf) -> Self {
        Self { stream, buffer: BytesMut::with_capacity(READ_SIZE) }
    }

    /// Returns the size that the header at the front announces, once the header is complete.
    fn announced(&self) -> Option<usize> {
        self.buffer.first_chunk().map(|header| u32::from_le_bytes(*header) as usize)
    }

    /// Takes the frame at the front, if it is complete.
    fn take_frame(&mut self) -> io::Result<Option<Bytes>> {
        let Some(size) = self.announced() else { return Ok(None) };
        if self.buffer.starts_with(&handshake::MAGIC) {
            let reason = "the peer demands a shared secret, and this process has none";
            return Err(io::Error::new(io::ErrorKind::PermissionDenied, reason));
        }
        if FRAME_SIZE_MAX < size {
            return Err(oversize(size));
        }
        if self.buffer.len() < HEADER_SIZE + size {
            return Ok(None);
        }
        self.buffer.advance(HEADER_SIZE);
        Ok(Some(self.buffer.split_to(size).freeze()))
    }

    /// Makes room for the rest of the frame at the front, whose size is in bounds.
    fn make_room(&mut self) {
        let frame_size = HEADER_SIZE + self.announced().unwrap_or(0);
        assert!(self.buffer.len() < frame_size, "a complete frame is taken before more is read");
        let missing = frame_size - self.buffer.len();
        let room = self.buffer.capacity() - self.buffer.len();
        if room < missing.max(READ_SIZE_MIN) {
            self.buffer.reserve(missing.max(READ_SIZE));
        }
    }

    /// Reads what has arrived; 0 means that the peer sends no more.
    fn poll_read(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<usize>> {
        loop {
            ready!(self.stream.as_ref().poll_read_ready(cx))?;
            match self.stream.try_read_buf(&mut self.buffer) {
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                result => return Poll::Ready(result),
            }
        }
    }

    /// Returns what the end of the stream means here.
    fn end(&self) -> Option<io::Result<Bytes>> {
        let reason = "the peer closed the connection inside a frame";
        let torn = io::Error::new(io::ErrorKind::UnexpectedEof, reason);
        if self.buffer.is_empty() { None } else { Some(Err(torn)) }
    }
}

impl FrameReceiver for TcpReceiver {
    fn poll_receive(&mut self, cx: &mut Context<'_>) -> Poll<Option<io::Result<Bytes>>> {
        loop {
            if let Some(frame) = self.take_frame().transpose() {
                return Poll::Ready(Some(frame));
            }
            self.make_room();
            match ready!(self.poll_read(cx)) {
                Ok(0) => return Poll::Ready(self.end()),
                Ok(_) => {}
                Err(error) => return Poll::Ready(Some(Err(error))),
            }
        }
    }
}

/// Connects, and proves that we belong to the cluster if there is a secret.
async fn open(to: &Address, secret: Option<&Secret>) -> io::Result<Connection> {
    let stream = TcpStream::connect(&to.0).await?;
    stream.set_nodelay(true)?;
    connection(match secret {
        Some(secret) => handshake::ask_in(stream, secret).await?,
        None => stream,
    })
}

/// Makes a connection of a stream. Frames leave at once: the runtime decides when to flush.
fn connection(stream: TcpStream) -> io::Result<Connection> {
    stream.set_nodelay(true)?;
    let (read, write) = stream.into_split();
    Ok(Connection {
        sender: Box::new(TcpSender::new(write)),
        receiver: Box::new(TcpReceiver::new(read)),
    })
}

fn oversize(size: usize) -> io::Error {
    let reason = format!("a frame of {size} bytes; the maximum is {FRAME_SIZE_MAX}");
    io::Error::new(io::ErrorKind::InvalidData, reason)
}

fn named(error: &io::Error, what: std::fmt::Arguments<'_>) -> io::Error {
    io::Error::new(error.kind(), format!("{what}: {error}"))
}

#[cfg(test)]
mod tests {
    use std::future::poll_fn;

    use floodmark_platform::{FrameKind, Machine};
    use tokio::{io::AsyncWriteExt as _, task::yield_now};

    use super::*;
    use crate::machine::tests::machine_in;

    /// Returns both ends of a connection.
    async fn connected(machine: &Machine) -> (Connection, Connection) {
        let mut listener = machine.network().listen(0).await.unwrap();
        let near = machine.network().connect(&listener.address()).await.unwrap();
        (near, listener.accept().await.unwrap())
    }

    /// Returns a connection whose peer is a bare stream.
    async fn connected_to_stranger(machine: &Machine) -> (Connection, TcpStream) {
        let mut listener = machine.network().listen(0).await.unwrap();
        let stranger = TcpStream::connect(listener.address().0).await.unwrap();
        (listener.accept().await.unwrap(), stranger)
    }

    fn frame(payload: impl Into<Bytes>) -> Frame {
        Frame { kind: FrameKind("test"), payload: payload.into() }
    }

    /// Returns a payload whose content tells its size and position apart from others.
    fn payload(size: usize) -> Vec<u8> {
        (0..size).map(|index| (index * 31 + size).to_le_bytes()[0]).collect()
    }

    #[tokio::test]
    async fn every_frame_comes_back_unchanged_and_in_order() {
        const SIZES: &[usize] =
            &[0, 1, 3, 4, 5, 100, 16_383, 16_384, 16_385, 65_536, 0, 1 << 20, 7, 1 << 20, 0];
        let directory = tempfile::tempdir().unwrap();
        let machine = machine_in(directory.path());
        let (mut near, mut far) = connected(&machine).await;

        let echo = machine.spawn("echo", async move {
            while let Some(payload) = far.receiver.receive().await {
                far.sender.send(frame(payload.unwrap())).await.unwrap();
            }
        });
        let sender = machine.spawn("sender", async move {
            for &size in SIZES {
                poll_fn(|cx| near.sender.poll_ready(cx)).await.unwrap();
                near.sender.start_send(frame(payload(size))).unwrap();
            }
            poll_fn(|cx| near.sender.poll_flush(cx)).await.unwrap();
            near.sender
        });
        for &size in SIZES {
            let received = near.receiver.receive().await.unwrap().unwrap();
            assert!(received == payload(size), "a payload of {size} bytes");
        }
        drop(sender.await.unwrap());
        assert_eq!(echo.await, Ok(()));
        assert!(near.receiver.receive().await.is_none(), "an orderly close follows every frame");
    }

    #[tokio::test]
    async fn a_slow_receiver_stops_the_sender_until_it_reads() {
        const FRAME_COUNT_MAX: usize = 4_096;
        for size in [1 << 10, 64 << 10] {
            let directory = tempfile::tempdir().unwrap();
            let machine = machine_in(directory.path());
            let (mut near, mut far) = connected(&machine).await;

            let mut sent = 0;
            while poll_fn(|cx| Poll::Ready(near.sender.poll_ready(cx))).await.is_ready() {
                near.sender.start_send(frame(payload(size))).unwrap();
                sent += 1;
                assert!(sent * size < FRAME_COUNT_MAX * (64 << 10), "the sender is bounded");
                yield_now().await;
            }

            let receiver = machine.spawn("receiver", async move {
                let mut received = 0;
                while let Some(payload) = far.receiver.receive().await {
                    assert_eq!(payload.unwrap().len(), size);
                    received += 1;
                }
                received
            });
            near.sender.send(frame(payload(size))).await.unwrap();
            drop(near);
            assert_eq!(receiver.await, Ok(sent + 1));
        }
    }

    #[tokio::test]
    async fn an_oversize_frame_is_refused_and_the_connection_lives() {
        let directory = tempfile::tempdir().unwrap();
        let machine = machine_in(directory.path());
        let (mut near, mut far) = connected(&machine).await;
        let refused = near.sender.send(frame(vec![0; FRAME_SIZE_MAX + 1])).await.unwrap_err();
        assert!(refused.to_string().contains("67108865 bytes"), "{refused}");

        near.sender.send(frame("small")).await.unwrap();
        assert_eq!(far.receiver.receive().await.unwrap().unwrap(), "small");
    }

    #[tokio::test]
    async fn a_stranger_is_told_apart_by_the_size_it_announces() {
        let directory = tempfile::tempdir().unwrap();
        let machine = machine_in(directory.path());
        let (mut near, mut stranger) = connected_to_stranger(&machine).await;
        stranger.write_all(b"GET / HTTP/1.1\r\n\r\n").await.unwrap();
        let refused = near.receiver.receive().await.unwrap().unwrap_err();
        assert_eq!(refused.kind(), io::ErrorKind::InvalidData);
        assert!(refused.to_string().contains("542393671 bytes"), "{refused}");
    }

    #[tokio::test]
    async fn an_end_inside_a_frame_is_an_error() {
        for torn in [&b"\x05"[..], b"\x05\0\0\0", b"\x05\0\0\0abcd"] {
            let directory = tempfile::tempdir().unwrap();
            let machine = machine_in(directory.path());
            let (mut near, mut stranger) = connected_to_stranger(&machine).await;
            stranger.write_all(b"\x02\0\0\0ok").await.unwrap();
            stranger.write_all(torn).await.unwrap();
            drop(stranger);
            assert_eq!(near.receiver.receive().await.unwrap().unwrap(), "ok");
            let error = near.receiver.receive().await.unwrap().unwrap_err();
            assert_eq!(error.kind(), io::ErrorKind::UnexpectedEof, "{torn:?}");
        }
    }

    #[tokio::test]
    async fn dropping_a_listener_frees_its_port() {
        let directory = tempfile::tempdir().unwrap();
        let machine = machine_in(directory.path());
        let listener = machine.network().listen(0).await.unwrap();
        let address = listener.address();
        let port = address.0.parse::<SocketAddr>().unwrap().port();
        let taken = machine.network().listen(port).await.err().unwrap();
        assert!(taken.to_string().contains(&address.0), "{taken}");

        drop(listener);
        let refused = machine.network().connect(&address).await.err().unwrap();
        assert!(refused.to_string().contains(&address.0), "{refused}");
        assert!(machine.network().listen(port).await.is_ok());
    }

    #[tokio::test]
    async fn a_malformed_address_is_an_error() {
        let directory = tempfile::tempdir().unwrap();
        let machine = machine_in(directory.path());
        for address in ["", "127.0.0.1", "127.0.0.1:", "127.0.0.1:65536", "[::1:7001"] {
            let refused = machine.network().connect(&Address(address.to_owned())).await;
            assert!(refused.is_err(), "{address:?}");
        }
    }

    #[tokio::test]
    async fn a_machine_listens_on_loopback_unless_told() {
        let directory = tempfile::tempdir().unwrap();
        let listener = machine_in(directory.path()).network().listen(0).await.unwrap();
        assert!(listener.address().0.starts_with("127.0.0.1:"));
    }
}
