//! Links: one direction of a connection between two nodes.

use std::{
    collections::BTreeMap,
    io,
    task::{Context, Poll, Waker},
    time::Duration,
};

use bytes::Bytes;

use crate::node::Life;

/// Bytes that may be on their way before the sender must wait.
pub(crate) const WINDOW: usize = 256 << 10;

/// Frames on their way from one life of a node to one of another.
pub(crate) struct Link {
    /// Names the link in choices.
    pub(crate) actor: u64,
    pub(crate) from: Life,
    pub(crate) to: Life,
    /// What arrives, by when; of several at one moment, in the order they were sent.
    queue: BTreeMap<(Duration, u64), Item>,
    sent_count: u64,
    /// When the last one in order arrives.
    last: Duration,
    size: usize,
    receiver: Option<Waker>,
    sender: Option<Waker>,
    has_sender: bool,
    has_receiver: bool,
    is_reset: bool,
}

/// What a link carries.
pub(crate) enum Item {
    Frame(&'static str, Bytes),
    /// The sender has closed its end.
    End,
    /// The sender's node has died.
    Reset,
}

/// What a receiver finds.
pub(crate) enum Arrival {
    Frame(Bytes),
    End,
    Broken,
    /// Nothing before this moment.
    At(Duration),
    /// Nothing until something changes.
    None,
}

impl Link {
    pub(crate) fn new(actor: u64, from: Life, to: Life) -> Self {
        Self {
            actor,
            from,
            to,
            queue: BTreeMap::new(),
            sent_count: 0,
            last: Duration::ZERO,
            size: 0,
            receiver: None,
            sender: None,
            has_sender: true,
            has_receiver: true,
            is_reset: false,
        }
    }

    pub(crate) fn poll_room(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        if self.is_reset || !self.has_receiver {
            return Poll::Ready(Err(io::ErrorKind::BrokenPipe.into()));
        }
        if self.size < WINDOW {
            return Poll::Ready(Ok(()));
        }
        self.sender = Some(cx.waker().clone());
        Poll::Pending
    }

    /// Sends something that arrives at `at`, or as soon after it as order allows.
    pub(crate) fn send_in_order(&mut self, at: Duration, item: Item) {
        self.last = self.last.max(at);
        self.send_at(self.last, item);
    }

    /// Sends something that arrives at `at`, whatever was sent before it.
    pub(crate) fn send_at(&mut self, at: Duration, item: Item) {
        if let Item::Frame(_, payload) = &item {
            self.size += payload.len();
        }
        self.queue.insert((at, self.sent_count), item);
        self.sent_count += 1;
        self.wake_receiver();
    }

    /// Returns what has arrived by `now`, unless `is_held` says that it must wait.
    pub(crate) fn receive(
        &mut self,
        now: Duration,
        is_held: impl Fn(&'static str) -> bool,
    ) -> Arrival {
        if self.is_reset {
            return Arrival::Broken;
        }
        let Some(((at, _), item)) = self.queue.first_key_value() else { return Arrival::None };
        if now < *at {
            return Arrival::At(*at);
        }
        let kind = match item {
            Item::Frame(kind, _) => kind,
            Item::End | Item::Reset => "close",
        };
        if is_held(kind) {
            return Arrival::None;
        }
        let (_, item) = self.queue.pop_first().expect("the first entry was just seen");
        match item {
            Item::Frame(_, payload) => {
                self.size -= payload.len();
                if let Some(sender) = self.sender.take() {
                    sender.wake();
                }
                Arrival::Frame(payload)
            }
            Item::End => Arrival::End,
            Item::Reset => {
                self.is_reset = true;
                Arrival::Broken
            }
        }
    }

    pub(crate) fn wait(&mut self, cx: &Context<'_>) {
        self.receiver = Some(cx.waker().clone());
    }

    /// Breaks the link for both ends, now.
    pub(crate) fn reset(&mut self) {
        self.is_reset = true;
        self.queue.clear();
        self.wake();
    }

    pub(crate) fn wake(&mut self) {
        self.wake_receiver();
        if let Some(sender) = self.sender.take() {
            sender.wake();
        }
    }

    fn wake_receiver(&mut self) {
        if let Some(receiver) = self.receiver.take() {
            receiver.wake();
        }
    }

    /// Returns whether the sender was still there.
    pub(crate) fn drop_sender(&mut self) -> bool {
        std::mem::take(&mut self.has_sender)
    }

    pub(crate) fn drop_receiver(&mut self) {
        self.has_receiver = false;
        self.wake();
    }

    /// Returns whether nobody holds the link any more.
    pub(crate) fn is_abandoned(&self) -> bool {
        !self.has_sender && !self.has_receiver
    }
}
