//! The input channels of a subtask.

use std::task::{Context, Poll};

use floodmark_model::{Barrier, ChannelId, Element};
use floodmark_state::Data;

use crate::{ChannelReceiver, Error};

/// Takes elements from several channels in turn.
pub struct Gate<T> {
    channels: Vec<GateChannel<T>>,
    /// The channel that is asked first the next time, so that none starves.
    next: usize,
}

struct GateChannel<T> {
    receiver: ChannelReceiver<T>,
    flow: Flow,
    /// Records delivered since the attempt began.
    record_count: u64,
}

/// What may be taken from a channel.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Flow {
    /// The next element.
    Open,
    /// Nothing, until the alignment is over.
    Blocked,
    /// Only another final barrier: the sender has said that no record follows, and may leave.
    Drained,
    /// Nothing: the sender has left after it was drained.
    Closed,
}

impl<T: Data> Gate<T> {
    /// Creates a gate over `channels`.
    pub fn new(channels: Vec<ChannelReceiver<T>>) -> Self {
        assert!(!channels.is_empty());
        let channels = channels.into_iter().map(|receiver| GateChannel {
            receiver,
            flow: Flow::Open,
            record_count: 0,
        });
        Self { channels: channels.collect(), next: 0 }
    }

    /// Returns the next element and the index of its channel.
    pub fn poll_next(&mut self, cx: &mut Context<'_>) -> Poll<Result<(usize, Element<T>), Error>> {
        for step in 0..self.channels.len() {
            let index = (self.next + step) % self.channels.len();
            let channel = &mut self.channels[index];
            if matches!(channel.flow, Flow::Blocked | Flow::Closed) {
                continue;
            }
            let element = match channel.receiver.poll_next(cx) {
                Poll::Pending => continue,
                Poll::Ready(Err(_)) if channel.flow == Flow::Drained => {
                    channel.flow = Flow::Closed;
                    continue;
                }
                Poll::Ready(element) => element?,
            };
            self.next = index + 1;
            channel.on_element(&element);
            return Poll::Ready(Ok((index, element)));
        }
        Poll::Pending
    }

    /// Takes nothing more from the channel at `index` until [`Gate::unblock`].
    pub fn block(&mut self, index: usize) {
        let channel = &mut self.channels[index];
        assert_ne!(channel.flow, Flow::Closed, "a channel is blocked when it delivers a barrier");
        // After a final barrier no record can come, so there is nothing to hold back.
        if channel.flow == Flow::Open {
            channel.flow = Flow::Blocked;
        }
    }

    /// Lets all channels flow again.
    pub fn unblock(&mut self) {
        let blocked = self.channels.iter_mut().filter(|channel| channel.flow == Flow::Blocked);
        blocked.for_each(|channel| channel.flow = Flow::Open);
    }

    /// Returns the id of the channel at `index`.
    pub fn channel(&self, index: usize) -> ChannelId {
        self.channels[index].receiver.id()
    }

    /// Returns per channel the records delivered since the attempt began.
    pub fn received(&self) -> Vec<(ChannelId, u64)> {
        let channels = self.channels.iter();
        channels.map(|channel| (channel.receiver.id(), channel.record_count)).collect()
    }

    /// Repeats the credit of all channels.
    pub fn pulse(&mut self, cx: &mut Context<'_>) {
        self.channels.iter_mut().for_each(|channel| channel.receiver.pulse(cx));
    }
}

impl<T> GateChannel<T> {
    fn on_element(&mut self, element: &Element<T>) {
        match element {
            Element::Batch(batch) => {
                assert_ne!(self.flow, Flow::Drained, "no record follows a final barrier");
                self.record_count += batch.len() as u64;
            }
            Element::Barrier(Barrier { is_final: true, .. }) | Element::End => {
                self.flow = Flow::Drained;
            }
            Element::Barrier(_) | Element::Watermark(_) | Element::Idle => {}
        }
    }
}
