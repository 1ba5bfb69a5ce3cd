//! Channels: ordered lanes of elements between two subtasks, with credit.
//!
//! Inside a process a channel is a bounded queue through which batches are moved. Between processes
//! it is a connection of its own, on which the sender may have [`CREDIT`] elements under way that
//! the receiver has not taken yet. Both behave the same to those who use them.
//!
//! The network may lose and repeat frames. The receiver drops repeats and reports gaps as errors;
//! see `floodmark_wire::DataFrame` for how the loss of a *last* frame is noticed.

use std::{
    any::Any,
    collections::VecDeque,
    task::{Context, Poll, ready},
};

use floodmark_model::{Attempt, ChannelId, Element, RuntimeEvent};
use floodmark_platform::{
    Connection, Frame, FrameKind, FrameReceiver, FrameSender, Machine, planted,
};
use floodmark_state::Data;
use floodmark_wire::{
    DataFrame, ReverseFrame, WireError, decode_data, decode_handshake, decode_reverse, encode_data,
};
use tokio::sync::mpsc;
use tokio_util::sync::PollSender;

use crate::Error;

/// Elements that may be under way on one channel.
///
/// More hides a longer round trip; fewer hold less memory and let a barrier through sooner.
pub(crate) const CREDIT: u64 = 8;

/// The receiving end of a channel as the worker hands it over.
pub enum InputEnd {
    /// The other end is in this process: a receiver made by [`local_channel`].
    Local(Box<dyn Any + Send>),
    /// The other end is reached by this connection; its handshake was read.
    Remote(Connection),
}

/// The sending end of a channel as the worker hands it over.
pub enum OutputEnd {
    /// The other end is in this process: a sender made by [`local_channel`].
    Local(Box<dyn Any + Send>),
    /// The other end is reached by this connection; the handshake was sent.
    Remote(Connection),
}

/// Creates both ends of a channel of `T` inside a process.
pub fn local_channel<T: Data>() -> (OutputEnd, InputEnd) {
    let capacity = usize::try_from(CREDIT).expect("credit is a small number");
    let (sender, receiver) = mpsc::channel::<Element<T>>(capacity);
    (OutputEnd::Local(Box::new(sender)), InputEnd::Local(Box::new(receiver)))
}

/// The sending end of a channel.
pub struct ChannelSender<T> {
    channel: ChannelId,
    /// Elements that wait for credit.
    outbox: VecDeque<Element<T>>,
    link: SenderLink<T>,
    /// Records sent or waiting, since the attempt began.
    record_count: u64,
}

enum SenderLink<T> {
    Local(PollSender<Element<T>>),
    Remote(RemoteSender),
}

impl<T: Data> ChannelSender<T> {
    /// Makes a sender of what the worker wired.
    pub fn new(attempt: Attempt, channel: ChannelId, end: OutputEnd) -> Self {
        let link = match end {
            OutputEnd::Local(sender) => {
                let sender = sender.downcast::<mpsc::Sender<Element<T>>>();
                let sender = sender.expect("both ends of an edge carry the same type");
                SenderLink::Local(PollSender::new(*sender))
            }
            OutputEnd::Remote(connection) => {
                SenderLink::Remote(RemoteSender::new(attempt, channel, connection))
            }
        };
        Self { channel, outbox: VecDeque::new(), link, record_count: 0 }
    }

    /// Queues an element. The caller flushes before it produces much more.
    pub fn push(&mut self, element: Element<T>) {
        if let Element::Batch(batch) = &element {
            assert!(!batch.is_empty(), "an empty batch is not sent");
            self.record_count += batch.len() as u64;
        }
        self.outbox.push_back(element);
    }

    /// Sends what is queued, as credit comes in. Ready when nothing is left.
    pub fn poll_flush(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Error>> {
        let channel = self.channel;
        while !self.outbox.is_empty() {
            match &mut self.link {
                SenderLink::Local(sender) => {
                    // The other subtask has ended, which its worker knows: it is ours as well. To
                    // report it here would only hide the reason.
                    let Ok(()) = ready!(sender.poll_reserve(cx)) else { return Poll::Pending };
                    let element = self.outbox.pop_front().expect("the outbox is not empty");
                    sender.send_item(element).map_err(|_| Error::Closed { channel })?;
                }
                SenderLink::Remote(remote) => {
                    ready!(remote.poll_ready(cx))?;
                    let element = self.outbox.pop_front().expect("the outbox is not empty");
                    remote.start_send(element)?;
                }
            }
        }
        match &mut self.link {
            SenderLink::Local(_) => Poll::Ready(Ok(())),
            SenderLink::Remote(remote) => remote.poll_flush(cx),
        }
    }

    /// Tells the receiver how far it should have come, if that is possible without waiting.
    ///
    /// # Errors
    ///
    /// When the connection is broken.
    pub fn pulse(&mut self, cx: &mut Context<'_>) -> Result<(), Error> {
        match &mut self.link {
            SenderLink::Local(_) => Ok(()),
            SenderLink::Remote(remote) => remote.pulse::<T>(cx),
        }
    }

    /// Returns the channel and the records sent on it since the attempt began.
    pub fn sent(&self) -> (ChannelId, u64) {
        (self.channel, self.record_count)
    }
}

/// Sends on a connection, within credit.
struct RemoteSender {
    attempt: Attempt,
    channel: ChannelId,
    frames: Box<dyn FrameSender>,
    reverse: Box<dyn FrameReceiver>,
    /// The number of the next element.
    next: u64,
    /// Elements the receiver has taken, as far as we know.
    consumed: u64,
}

impl RemoteSender {
    fn new(attempt: Attempt, channel: ChannelId, connection: Connection) -> Self {
        let Connection { sender, receiver } = connection;
        Self { attempt, channel, frames: sender, reverse: receiver, next: 0, consumed: 0 }
    }

    /// Returns ready when there is credit for one element and room for its frame.
    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Error>> {
        loop {
            match self.reverse.poll_receive(cx) {
                Poll::Ready(Some(Ok(payload))) => self.on_reverse(&payload)?,
                Poll::Ready(Some(Err(error))) => return Poll::Ready(Err(self.broken(error))),
                Poll::Ready(None) => {
                    return Poll::Ready(Err(Error::Closed { channel: self.channel }));
                }
                Poll::Pending => break,
            }
        }
        if self.consumed + CREDIT <= self.next {
            // Only what has arrived earns credit, so nothing may wait here for a flush.
            return match self.poll_flush(cx) {
                Poll::Ready(Err(error)) => Poll::Ready(Err(error)),
                Poll::Ready(Ok(())) | Poll::Pending => Poll::Pending,
            };
        }
        self.frames.poll_ready(cx).map_err(|error| self.broken(error))
    }

    fn on_reverse(&mut self, payload: &[u8]) -> Result<(), Error> {
        let frame = decode_reverse(payload)
            .map_err(|source| Error::Frame { channel: self.channel, source })?;
        if frame.attempt == self.attempt {
            self.consumed = self.consumed.max(frame.consumed).min(self.next);
        }
        Ok(())
    }

    fn start_send<T: Data>(&mut self, element: Element<T>) -> Result<(), Error> {
        assert!(self.next < self.consumed + CREDIT, "an element is sent on credit");
        let kind = FrameKind(element.label());
        let Self { attempt, channel, next: sequence, .. } = *self;
        let frame = DataFrame::Element { attempt, channel, sequence, element };
        self.next += 1;
        let frame = Frame { kind, payload: encode_data(&frame) };
        self.frames.start_send(frame).map_err(|error| self.broken(error))
    }

    fn poll_flush(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Error>> {
        self.frames.poll_flush(cx).map_err(|error| self.broken(error))
    }

    fn pulse<T: Data>(&mut self, cx: &mut Context<'_>) -> Result<(), Error> {
        let Poll::Ready(ready) = self.frames.poll_ready(cx) else { return Ok(()) };
        let Self { attempt, channel, next, .. } = *self;
        let payload = encode_data(&DataFrame::<T>::Pulse { attempt, channel, next });
        let frame = Frame { kind: FrameKind("pulse"), payload };
        let sent = ready.and_then(|()| self.frames.start_send(frame));
        sent.map_err(|error| self.broken(error))?;
        // What does not go out at once goes out with the next flush.
        match self.poll_flush(cx) {
            Poll::Ready(result) => result,
            Poll::Pending => Ok(()),
        }
    }

    fn broken(&self, source: std::io::Error) -> Error {
        Error::Broken { channel: self.channel, source }
    }
}

/// The receiving end of a channel.
pub struct ChannelReceiver<T> {
    channel: ChannelId,
    link: ReceiverLink<T>,
}

enum ReceiverLink<T> {
    Local(mpsc::Receiver<Element<T>>),
    Remote(RemoteReceiver),
}

impl<T: Data> ChannelReceiver<T> {
    /// Makes a receiver of what the worker wired.
    pub fn new(machine: Machine, attempt: Attempt, channel: ChannelId, end: InputEnd) -> Self {
        let link = match end {
            InputEnd::Local(receiver) => {
                let receiver = receiver.downcast::<mpsc::Receiver<Element<T>>>();
                ReceiverLink::Local(*receiver.expect("both ends of an edge carry the same type"))
            }
            InputEnd::Remote(connection) => {
                ReceiverLink::Remote(RemoteReceiver::new(machine, attempt, channel, connection))
            }
        };
        Self { channel, link }
    }

    /// Returns the channel's id.
    pub fn id(&self) -> ChannelId {
        self.channel
    }

    /// Returns the next element.
    pub fn poll_next(&mut self, cx: &mut Context<'_>) -> Poll<Result<Element<T>, Error>> {
        match &mut self.link {
            ReceiverLink::Local(receiver) => {
                // As for the sender: the end of a neighbour is not news from this channel.
                let Some(element) = ready!(receiver.poll_recv(cx)) else { return Poll::Pending };
                Poll::Ready(Ok(element))
            }
            ReceiverLink::Remote(remote) => remote.poll_next(cx),
        }
    }

    /// Repeats to the sender how much was taken, if that is possible without waiting.
    pub fn pulse(&mut self, cx: &mut Context<'_>) {
        if let ReceiverLink::Remote(remote) = &mut self.link {
            remote.announce(cx);
        }
    }
}

/// Receives from a connection, and notices what the network did to the frames.
struct RemoteReceiver {
    machine: Machine,
    attempt: Attempt,
    channel: ChannelId,
    frames: Box<dyn FrameReceiver>,
    reverse: Box<dyn FrameSender>,
    /// Elements taken, and so the number of the next one.
    consumed: u64,
    /// The last total that was sent to the other side.
    announced: u64,
}

impl RemoteReceiver {
    fn new(machine: Machine, attempt: Attempt, channel: ChannelId, connection: Connection) -> Self {
        let Connection { sender, receiver } = connection;
        Self {
            machine,
            attempt,
            channel,
            frames: receiver,
            reverse: sender,
            consumed: 0,
            announced: 0,
        }
    }

    fn poll_next<T: Data>(&mut self, cx: &mut Context<'_>) -> Poll<Result<Element<T>, Error>> {
        let channel = self.channel;
        loop {
            let payload = match ready!(self.frames.poll_receive(cx)) {
                Some(Ok(payload)) => payload,
                Some(Err(source)) => return Poll::Ready(Err(Error::Broken { channel, source })),
                None => return Poll::Ready(Err(Error::Closed { channel })),
            };
            let Some(element) = self.on_frame(&payload)? else { continue };
            if self.announced + CREDIT / 2 <= self.consumed {
                self.announce(cx);
            }
            return Poll::Ready(Ok(element));
        }
    }

    /// Returns the element of a frame, unless it is a repeat, a pulse or not for us.
    fn on_frame<T: Data>(&mut self, payload: &[u8]) -> Result<Option<Element<T>>, Error> {
        let (attempt, channel, sequence, element) = match decode_data(payload) {
            Ok(DataFrame::Element { attempt, channel, sequence, element }) => {
                (attempt, channel, sequence, Some(element))
            }
            Ok(DataFrame::Pulse { attempt, channel, next }) => (attempt, channel, next, None),
            // The network repeated the handshake.
            Err(WireError::Magic { .. }) if decode_handshake(payload).is_ok() => return Ok(None),
            Err(source) => return Err(Error::Frame { channel: self.channel, source }),
        };
        if (attempt, channel) != (self.attempt, self.channel) {
            let current = self.attempt;
            self.machine.observe(|| RuntimeEvent::StaleRefused { current, stale: attempt });
            return Ok(None);
        }
        let expected = self.consumed;
        if planted!(GapAccepted) && expected < sequence {
            self.consumed = sequence;
        }
        let expected = self.consumed;
        if expected < sequence {
            let found = sequence;
            self.machine.observe(|| RuntimeEvent::GapDetected {
                attempt,
                channel,
                expected,
                found,
            });
            return Err(Error::Gap { channel, expected, found });
        }
        if sequence < expected && element.is_some() && planted!(RepeatAccepted) {
            return Ok(element);
        }
        if sequence < expected && element.is_some() {
            self.machine.observe(|| RuntimeEvent::RepeatDropped { attempt, channel, sequence });
            return Ok(None);
        }
        self.consumed += u64::from(element.is_some());
        Ok(element)
    }

    /// Grants credit. If there is no room now, a later announcement makes up for it.
    fn announce(&mut self, cx: &mut Context<'_>) {
        let Poll::Ready(Ok(())) = self.reverse.poll_ready(cx) else { return };
        let frame = ReverseFrame { attempt: self.attempt, consumed: self.consumed };
        let frame = Frame { kind: FrameKind("credit"), payload: frame.encode() };
        // A broken connection is reported by its receiving half.
        if self.reverse.start_send(frame).is_ok() && self.reverse.poll_flush(cx).is_ready() {
            self.announced = self.consumed;
        }
    }
}

#[cfg(test)]
mod tests {
    use std::{
        io,
        sync::{
            Arc,
            atomic::{AtomicU64, Ordering},
        },
        task::Waker,
    };

    use bytes::Bytes;
    use floodmark_model::{EdgeId, Timestamp};

    use super::*;

    /// Frames that were started, and how many of them are with the network.
    #[derive(Clone, Default)]
    struct Staged {
        started: Arc<AtomicU64>,
        flushed: Arc<AtomicU64>,
    }

    impl FrameSender for Staged {
        fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<io::Result<()>> {
            Poll::Ready(Ok(()))
        }

        fn start_send(&mut self, _: Frame) -> io::Result<()> {
            self.started.fetch_add(1, Ordering::Relaxed);
            Ok(())
        }

        fn poll_flush(&mut self, _: &mut Context<'_>) -> Poll<io::Result<()>> {
            self.flushed.store(self.started.load(Ordering::Relaxed), Ordering::Relaxed);
            Poll::Ready(Ok(()))
        }
    }

    /// A peer that says nothing.
    struct Silent;

    impl FrameReceiver for Silent {
        fn poll_receive(&mut self, _: &mut Context<'_>) -> Poll<Option<io::Result<Bytes>>> {
            Poll::Pending
        }
    }

    #[test]
    fn what_is_sent_on_the_last_credit_is_on_its_way() {
        let frames = Staged::default();
        let connection =
            Connection { sender: Box::new(frames.clone()), receiver: Box::new(Silent) };
        let channel = ChannelId { edge: EdgeId(0), from: 0, to: 1 };
        let end = OutputEnd::Remote(connection);
        let mut sender = ChannelSender::<u8>::new(Attempt::default(), channel, end);
        for _ in 0..=CREDIT {
            sender.push(Element::Watermark(Timestamp(7)));
        }
        let mut cx = Context::from_waker(Waker::noop());
        assert!(sender.poll_flush(&mut cx).is_pending(), "one element is more than the credit");
        assert_eq!(frames.flushed.load(Ordering::Relaxed), CREDIT);
    }
}
