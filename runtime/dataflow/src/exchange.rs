//! The end of a chain: records choose their channel.

use std::{
    marker::PhantomData,
    task::{Context, Poll},
    time::Duration,
};

use floodmark_model::{
    Attempt, Barrier, Batch, ChannelId, CheckpointId, EdgeId, Element, KeyGroup, KeyGroupLayout,
    RuntimeEvent, SubtaskId, Timestamp,
};
use floodmark_platform::{Machine, planted};
use floodmark_state::{Data, Key, Snapshot};
use floodmark_wire::key_hash;

use crate::{
    ChannelSender, Error, Push,
    chain::{Commit, OpenContext, Outlet, Split, Stage},
};

/// The batches that are being filled, one per channel.
pub type OpenBatches<T> = [Batch<T>];

/// Chooses the channel of a record. Called once per batch, so that the choice itself is inlined.
pub trait Partitioner<T>: Send {
    /// Moves every record of `batch` into the open batches of its channels.
    fn partition(&mut self, batch: Batch<T>, open: &mut OpenBatches<T>);
}

/// To the only channel there is.
pub struct Forward;

/// To the owner of the key group of the record's key.
pub struct HashPartitioner<K, F> {
    layout: KeyGroupLayout,
    /// The owner of each key group.
    owners: Vec<u16>,
    key_of: F,
    key: PhantomData<fn() -> K>,
}

/// To each channel in turn.
#[derive(Default)]
pub struct Rebalance {
    next: usize,
}

/// To every channel.
pub struct Broadcast;

impl<T: Data> Partitioner<T> for Forward {
    fn partition(&mut self, batch: Batch<T>, open: &mut OpenBatches<T>) {
        assert_eq!(open.len(), 1, "a forward exchange has one channel");
        append(batch, &mut open[0]);
    }
}

impl<K, F> HashPartitioner<K, F> {
    /// Creates the partitioner to the subtasks of `layout`.
    pub fn new(layout: KeyGroupLayout, key_of: F) -> Self {
        let owners = (0..layout.group_count).map(|group| layout.owner_of(KeyGroup(group)));
        Self { layout, owners: owners.collect(), key_of, key: PhantomData }
    }
}

impl<T: Data, K: Key, F: Fn(&T) -> K + Send> Partitioner<T> for HashPartitioner<K, F> {
    fn partition(&mut self, batch: Batch<T>, open: &mut OpenBatches<T>) {
        assert_eq!(open.len(), usize::from(self.layout.parallelism));
        if let [only] = open {
            return append(batch, only);
        }
        make_room(open, batch.len());
        for record in batch {
            let hash = key_hash(&(self.key_of)(&record.value));
            let mut owner = self.owners[usize::from(self.layout.group_of(hash).0)];
            if planted!(RoutingHashDiffers) {
                owner = u16::try_from(hash % u64::from(self.layout.parallelism)).unwrap_or(owner);
            }
            open[usize::from(owner)].push(record);
        }
    }
}

impl<T: Data> Partitioner<T> for Rebalance {
    fn partition(&mut self, batch: Batch<T>, open: &mut OpenBatches<T>) {
        make_room(open, batch.len());
        for record in batch {
            open[self.next].push(record);
            self.next = if self.next + 1 == open.len() { 0 } else { self.next + 1 };
        }
    }
}

impl<T: Data> Partitioner<T> for Broadcast {
    fn partition(&mut self, batch: Batch<T>, open: &mut OpenBatches<T>) {
        for copy in open {
            copy.extend(batch.iter().cloned());
        }
    }
}

/// Moves all records of `batch` into an open one.
fn append<T>(mut batch: Batch<T>, open: &mut Batch<T>) {
    if open.is_empty() {
        *open = batch;
    } else {
        open.append(&mut batch);
    }
}

/// Makes room in batches that were just begun, so that they do not grow step by step.
fn make_room<T>(open: &mut OpenBatches<T>, count: usize) {
    let begun = open.iter_mut().filter(|batch| batch.capacity() == 0);
    begun.for_each(|batch| batch.reserve(count));
}

/// Collects records into batches and sends them on their channels.
pub struct Exchange<T> {
    partitioner: Box<dyn Partitioner<T>>,
    open: Vec<Batch<T>>,
    channels: Vec<ChannelSender<T>>,
    batch_size: usize,
    /// Who sends; known once the exchange is open.
    sender: Option<(Machine, Attempt, SubtaskId)>,
}

impl<T: Data> Exchange<T> {
    /// Creates an exchange that closes a batch at `batch_size` records, or when its subtask has
    /// nothing else to do.
    pub fn new(
        partitioner: Box<dyn Partitioner<T>>,
        channels: Vec<ChannelSender<T>>,
        batch_size: usize,
    ) -> Self {
        assert!(!channels.is_empty());
        assert!(0 < batch_size);
        let open = channels.iter().map(|_| Batch::new()).collect();
        Self { partitioner, open, channels, batch_size, sender: None }
    }

    /// Sends the batches with at least `size` records.
    fn close_batches(&mut self, size: usize) {
        for (open, channel) in self.open.iter_mut().zip(&mut self.channels) {
            if size <= open.len() {
                channel.push(Element::Batch(std::mem::take(open)));
            }
        }
    }

    /// Tells those who watch what was sent on all channels of the edge.
    fn observe(&self, event: impl FnOnce(Attempt, SubtaskId, EdgeId) -> RuntimeEvent) {
        if let Some((machine, attempt, subtask)) = &self.sender {
            let (channel, _) = self.channels[0].sent();
            machine.observe(|| event(*attempt, *subtask, channel.edge));
        }
    }

    /// Sends an element on every channel, behind all records so far.
    fn send_to_all(&mut self, element: &Element<T>) {
        self.close_batches(1);
        self.channels.iter_mut().for_each(|channel| channel.push(element.clone()));
    }
}

impl<T: Data> Push<T> for Exchange<T> {
    fn push(&mut self, batch: Batch<T>) -> Result<(), Error> {
        self.partitioner.partition(batch, &mut self.open);
        // Half full is full enough: a batch that grew beyond its room would be moved.
        self.close_batches(self.batch_size.div_ceil(2));
        Ok(())
    }
}

impl<T: Data> Stage for Exchange<T> {
    fn open(&mut self, cx: &mut OpenContext<'_>) -> Result<(), Error> {
        self.sender = Some((cx.machine.clone(), cx.attempt, cx.subtask));
        Ok(())
    }

    fn on_split(&mut self, _: Split) -> Result<(), Error> {
        Ok(())
    }

    fn on_watermark(&mut self, watermark: Timestamp) -> Result<(), Error> {
        self.observe(|attempt, subtask, edge| RuntimeEvent::WatermarkSent {
            attempt,
            subtask,
            edge,
            watermark,
        });
        self.send_to_all(&Element::Watermark(watermark));
        Ok(())
    }

    fn on_idle(&mut self) -> Result<(), Error> {
        self.observe(|attempt, subtask, edge| RuntimeEvent::IdleSent { attempt, subtask, edge });
        self.send_to_all(&Element::Idle);
        Ok(())
    }

    fn on_barrier(&mut self, barrier: Barrier, _: &mut Snapshot) -> Result<(), Error> {
        if planted!(FlushAfterBarrier) {
            let barrier = Element::Barrier(barrier);
            self.channels.iter_mut().for_each(|channel| channel.push(barrier.clone()));
            return Ok(());
        }
        self.send_to_all(&Element::Barrier(barrier));
        Ok(())
    }

    fn freeze(&mut self, _: &mut Snapshot) {}

    fn on_complete(&mut self, _: CheckpointId, _: &mut Vec<Commit>) {}

    fn on_end(&mut self, _: &mut Vec<Commit>) -> Result<(), Error> {
        self.send_to_all(&Element::End);
        Ok(())
    }

    fn on_tick(&mut self, _: Duration) -> Result<(), Error> {
        Ok(())
    }

    fn next_timer(&mut self) -> Option<Timestamp> {
        None
    }

    fn on_processing_time(&mut self, _: Timestamp) -> Result<(), Error> {
        Ok(())
    }

    fn visit_outlets(&mut self, visit: &mut dyn FnMut(&mut dyn Outlet)) {
        visit(self);
    }
}

impl<T: Data> Outlet for Exchange<T> {
    fn has_open_batches(&self) -> bool {
        self.open.iter().any(|batch| !batch.is_empty())
    }

    fn close_open_batches(&mut self) {
        self.close_batches(1);
    }

    fn poll_flush(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Error>> {
        let mut is_flushed = true;
        for channel in &mut self.channels {
            match channel.poll_flush(cx) {
                Poll::Ready(result) => result?,
                Poll::Pending => is_flushed = false,
            }
        }
        if is_flushed { Poll::Ready(Ok(())) } else { Poll::Pending }
    }

    fn pulse(&mut self, cx: &mut Context<'_>) -> Result<(), Error> {
        self.channels.iter_mut().try_for_each(|channel| channel.pulse(cx))
    }

    fn sent(&self, counts: &mut Vec<(ChannelId, u64)>) {
        let channels = self.channels.iter().zip(&self.open);
        counts.extend(channels.map(|(channel, open)| {
            let (id, count) = channel.sent();
            (id, count + open.len() as u64)
        }));
    }
}

#[cfg(test)]
mod tests {
    use floodmark_model::Record;

    use super::*;

    fn record(value: u64) -> Record<u64> {
        Record { timestamp: Timestamp::MIN, value }
    }

    fn partitioned(mut partitioner: impl Partitioner<u64>, channel_count: usize) -> Vec<Vec<u64>> {
        let mut open = vec![Batch::new(); channel_count];
        partitioner.partition((0..6).map(record).collect(), &mut open);
        let values = |batch: Batch<u64>| batch.into_iter().map(|record| record.value).collect();
        open.into_iter().map(values).collect()
    }

    #[test]
    fn rebalance_deals_records_out_in_turn() {
        assert_eq!(partitioned(Rebalance::default(), 2), [vec![0, 2, 4], vec![1, 3, 5]]);
    }

    #[test]
    fn broadcast_gives_every_channel_every_record() {
        assert_eq!(partitioned(Broadcast, 2), vec![vec![0, 1, 2, 3, 4, 5]; 2]);
    }

    #[test]
    fn records_with_one_key_share_a_channel() {
        let layout = KeyGroupLayout { group_count: 8, parallelism: 3 };
        let parity = HashPartitioner::new(layout, |value: &u64| value % 2);
        for batch in partitioned(parity, 3) {
            assert!(batch.len() % 3 == 0, "each parity arrives whole: {batch:?}");
        }
    }
}
