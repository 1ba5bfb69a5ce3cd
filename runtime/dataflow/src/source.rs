//! Sources: where records enter, and positions to which they can go back.

use std::{
    pin::Pin,
    task::{Context, Poll, Waker},
};

use floodmark_model::{
    Attempt, Barrier, Batch, ChannelId, Record, RuntimeEvent, SubtaskId, Timestamp,
};
use floodmark_platform::{BoxFuture, Machine, planted};
use floodmark_state::{Data, Snapshot, freeze_value};
use serde::{Deserialize, Serialize};

use crate::{
    BoxError, Error, Push, Split, Stage,
    chain::OpenContext,
    head::{Head, Input},
};

/// Something that can be read in pieces, each from any position on.
///
/// A source is *replayable*: reading a split again from a position yields the same values. Without
/// that, no runtime can promise more than at-most-once.
pub trait Source: Clone + Send + Sync + 'static {
    /// What it yields.
    type Out: Data;
    /// A piece of the source together with a position in it. Kept in snapshots.
    type Split: Data;

    /// Lists all splits, each at its beginning, in an order that is the same at every call. Subtask
    /// `i` of `n` reads every `n`-th split from the `i`-th on.
    fn splits(
        &self,
        machine: &Machine,
        parallelism: u16,
    ) -> BoxFuture<Result<Vec<Self::Split>, BoxError>>;

    /// Begins to read `split` from its position.
    fn read(&self, machine: &Machine, split: Self::Split) -> Box<dyn SplitReader<Self>>;
}

/// Reads one split.
pub trait SplitReader<S: Source>: Send {
    /// Returns the next values, never none of them; `None` at the end of the split.
    ///
    /// # Cancel safety
    ///
    /// No value is lost when the caller stops polling.
    fn poll_next(&mut self, cx: &mut Context<'_>) -> Poll<Result<Option<Vec<S::Out>>, BoxError>>;

    /// Returns the split, positioned behind the last value that was returned.
    fn position(&self) -> S::Split;
}

/// The head of a subtask that reads from a source.
pub struct SourceHead<S: Source> {
    name: String,
    source: S,
    machine: Machine,
    parallelism: u16,
    index: u16,
    /// Who reads; known once the head is open.
    reader: Option<(Attempt, SubtaskId)>,
    splits: Vec<SplitState<S>>,
    /// The split that is asked first the next time.
    next: usize,
    chain: Box<dyn Push<S::Out>>,
}

enum SplitState<S: Source> {
    Open(Box<dyn SplitReader<S>>),
    Ended(S::Split),
}

/// How far a split was read, as a snapshot keeps it. One that has ended is not opened again.
#[derive(Clone, Serialize, Deserialize)]
enum Progress<P> {
    At(P),
    Ended(P),
}

impl<S: Source> SourceHead<S> {
    /// Creates the head of subtask `index` of `parallelism`. `name` is the source's uid.
    pub fn new(
        name: String,
        source: S,
        machine: Machine,
        (index, parallelism): (u16, u16),
        chain: Box<dyn Push<S::Out>>,
    ) -> Self {
        let (reader, splits, next) = (None, Vec::new(), 0);
        Self { name, source, machine, parallelism, index, reader, splits, next, chain }
    }

    fn freeze_positions(&self, snapshot: &mut Snapshot) {
        let positions = self.splits.iter().map(|split| match split {
            SplitState::Open(reader) => Progress::At(reader.position()),
            SplitState::Ended(position) => Progress::Ended(position.clone()),
        });
        snapshot.add(freeze_value(&self.name, "splits", positions.collect::<Vec<_>>()));
    }

    /// Opens the chain. Every split counts from now on, also those that have no records yet.
    fn open_chain(&mut self, cx: &mut OpenContext<'_>) -> Result<(), Error> {
        let (attempt, subtask, restored) = (cx.attempt, cx.subtask, cx.checkpoint);
        self.reader = Some((attempt, subtask));
        let count = |count: usize| u32::try_from(count).expect("splits fit into memory");
        let ended = self.splits.iter().filter(|split| matches!(split, SplitState::Ended(_)));
        self.machine.observe(|| RuntimeEvent::SplitsAssigned {
            attempt,
            subtask,
            restored,
            split_count: count(self.splits.len()),
            ended_count: count(ended.count()),
        });
        cx.split_count = Some(self.splits.len());
        self.chain.open(cx)?;
        for index in 0..self.splits.len() {
            if matches!(self.splits[index], SplitState::Ended(_)) {
                self.end(index)?;
            }
        }
        Ok(())
    }

    /// Ends a split: nothing waits for it any more.
    fn end(&mut self, index: usize) -> Result<(), Error> {
        if let Some((attempt, subtask)) = self.reader {
            let split = u32::try_from(index).expect("splits fit into memory");
            self.machine.observe(|| RuntimeEvent::SplitEnded { attempt, subtask, split });
        }
        self.chain.on_split(Split::Ended(index))
    }

    fn error(name: &str, source: BoxError) -> Error {
        Error::Operator { operator: name.to_owned(), source }
    }
}

impl<S: Source> Head for SourceHead<S> {
    fn open<'a>(
        &'a mut self,
        cx: &'a mut OpenContext<'_>,
    ) -> Pin<Box<dyn Future<Output = Result<(), Error>> + Send + 'a>> {
        Box::pin(async move {
            let restored =
                cx.restored.take_value::<Vec<Progress<S::Split>>>(&self.name, "splits")?;
            let splits = match restored {
                Some(splits) => splits,
                None => {
                    let all = self.source.splits(&self.machine, self.parallelism).await;
                    let all = all.map_err(|source| Self::error(&self.name, source))?;
                    let (first, step) = (usize::from(self.index), usize::from(self.parallelism));
                    all.into_iter().skip(first).step_by(step).map(Progress::At).collect()
                }
            };
            let open = |split| match split {
                Progress::At(split) => SplitState::Open(self.source.read(&self.machine, split)),
                Progress::Ended(split) => SplitState::Ended(split),
            };
            self.splits = splits.into_iter().map(open).collect();
            self.open_chain(cx)
        })
    }

    fn poll_advance(&mut self, cx: &mut Context<'_>) -> Poll<Result<Input, Error>> {
        let mut has_open = false;
        for step in 0..self.splits.len() {
            let index = (self.next + step) % self.splits.len();
            let SplitState::Open(reader) = &mut self.splits[index] else { continue };
            has_open = true;
            let Poll::Ready(values) = reader.poll_next(cx) else { continue };
            match values.map_err(|source| Self::error(&self.name, source))? {
                None => {
                    self.splits[index] = SplitState::Ended(reader.position());
                    self.end(index)?;
                }
                Some(values) => {
                    self.next = index + 1;
                    assert!(!values.is_empty(), "a split yields values, or ends");
                    let timestamp = Timestamp::MIN;
                    let record = |value| Record { timestamp, value };
                    self.chain.on_split(Split::Reading(index))?;
                    self.chain.push(values.into_iter().map(record).collect::<Batch<_>>())?;
                }
            }
            return Poll::Ready(Ok(Input::Records));
        }
        if has_open { Poll::Pending } else { Poll::Ready(Ok(Input::Exhausted)) }
    }

    fn on_barrier(&mut self, barrier: Barrier, snapshot: &mut Snapshot) -> Result<(), Error> {
        self.freeze_positions(snapshot);
        if planted!(RecordBetweenSnapshotAndBarrier) {
            // What comes first is emitted; anything else comes again.
            let _ = self.poll_advance(&mut Context::from_waker(Waker::noop()));
        }
        self.chain.on_barrier(barrier, snapshot)
    }

    fn freeze(&mut self, snapshot: &mut Snapshot) {
        self.freeze_positions(snapshot);
        self.chain.freeze(snapshot);
    }

    fn has_ended(&self) -> bool {
        self.splits.iter().all(|split| matches!(split, SplitState::Ended(_)))
    }

    fn block(&mut self, _: usize) {
        unreachable!("a source has no channels");
    }

    fn unblock(&mut self) {}

    fn channels(&self) -> Vec<ChannelId> {
        Vec::new()
    }

    fn received(&self) -> Vec<(ChannelId, u64)> {
        Vec::new()
    }

    fn pulse(&mut self, _: &mut Context<'_>) {}

    fn chain(&mut self) -> &mut dyn Stage {
        &mut *self.chain
    }
}
