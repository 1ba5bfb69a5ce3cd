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
    /// How many frames of each kind were sent, for choices.
    kind_counts: Vec<(&'static str, u64)>,
    /// When the last one in order arrives.
    last: Duration,
    size: usize,
    receiver: Option<Waker>,
    sender: Option<Waker>,
    has_sender: bool,
    has_receiver: bool,
    /// When the sender learns that nobody receives any more, unless the news is held up.
    refused_at: Option<Duration>,
    is_reset: bool,
}

/// What rules see in place of a kind when a connection ends.
pub(crate) const CLOSE: &str = "close";

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
    /// A frame: its kind, its number on the link, and its content.
    Frame(&'static str, u64, Bytes),
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
            kind_counts: Vec::new(),
            last: Duration::ZERO,
            size: 0,
            receiver: None,
            sender: None,
            has_sender: true,
            has_receiver: true,
            refused_at: None,
            is_reset: false,
        }
    }

    /// Returns ready when one more frame may be sent; `is_held` tells whether news of the receiver
    /// must wait.
    pub(crate) fn poll_room(
        &mut self,
        now: Duration,
        is_held: impl FnOnce() -> bool,
        cx: &Context<'_>,
    ) -> Poll<io::Result<()>> {
        let is_refused = self.refused_at.is_some_and(|at| at <= now) && !is_held();
        if self.is_reset || is_refused {
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
        if let (Item::End, Some(((latest, _), _))) = (&item, self.queue.last_key_value()) {
            // Nothing follows the end, not even a frame that was overtaken.
            self.last = self.last.max(*latest);
        }
        self.send_at(self.last, item);
    }

    /// Sends something that arrives at `at`, whatever was sent before it.
    pub(crate) fn send_at(&mut self, at: Duration, item: Item) {
        if let Item::Frame(_, payload) = &item {
            self.size += payload.len();
        }
        let place = (at, self.sent_count);
        self.sent_count += 1;
        // A receiver that waits for an earlier one has a timer for it.
        let is_next = self.queue.first_key_value().is_none_or(|(first, _)| place < *first);
        self.queue.insert(place, item);
        if is_next {
            self.wake_receiver();
        }
    }

    /// Returns how many items were sent, those that were lost included.
    pub(crate) fn sent_count(&self) -> u64 {
        self.sent_count
    }

    /// Counts a frame of a kind, and returns how many there were before.
    pub(crate) fn count(&mut self, kind: &'static str) -> u64 {
        match self.kind_counts.iter_mut().find(|(known, _)| *known == kind) {
            Some((_, count)) => {
                *count += 1;
                *count - 1
            }
            None => {
                self.kind_counts.push((kind, 1));
                0
            }
        }
    }

    /// Counts a frame that vanishes.
    pub(crate) fn lose(&mut self) {
        self.sent_count += 1;
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
            Item::End | Item::Reset => CLOSE,
        };
        if is_held(kind) {
            return Arrival::None;
        }
        let ((_, number), item) = self.queue.pop_first().expect("the first entry was just seen");
        match item {
            Item::Frame(kind, payload) => {
                self.size -= payload.len();
                if let Some(sender) = self.sender.take() {
                    sender.wake();
                }
                Arrival::Frame(kind, number, payload)
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
    }

    /// Lets the sender learn at `at` that nobody receives any more; someone has to wake it then.
    pub(crate) fn refuse(&mut self, at: Duration) {
        self.refused_at = Some(self.refused_at.map_or(at, |earlier| earlier.min(at)));
    }

    /// Returns whether nobody holds the link any more.
    pub(crate) fn is_abandoned(&self) -> bool {
        !self.has_sender && !self.has_receiver
    }
}
