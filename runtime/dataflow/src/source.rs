//! Sources: where records enter, and positions to which they can go back.

use std::{
    collections::VecDeque,
    pin::Pin,
    task::{Context, Poll, Waker},
};

use floodmark_model::{Attempt, Barrier, Batch, ChannelId, CheckpointId, RuntimeEvent, SubtaskId};
use floodmark_platform::{BoxFuture, Machine, planted};
use floodmark_state::{Data, Snapshot, freeze_value};
use serde::{Deserialize, Serialize};

use crate::{
    BoxError, Error, Push, SourceDrift, Split, Stage,
    chain::{Commit, OpenContext},
    head::{Head, Input},
};

/// Something that can be read in pieces, each from any position on.
///
/// A source is *replayable* if reading a split again from a position yields the same values. Without
/// that, no runtime can promise more than at-most-once; [`Source::is_replayable`] says so.
///
/// # Examples
///
/// ```
/// # mod floodmark { pub use floodmark_dataflow::{*, operators::*}; pub use floodmark_model::*; }
/// use floodmark::{Batch, BoxError, Record, Source, SplitReader};
/// # use floodmark_platform as platform;
/// use platform::{BoxFuture, Machine};
/// use std::task::{Context, Poll};
///
/// /// The numbers below a bound, in one split. The split is the next number.
/// #[derive(Clone)]
/// struct Below(u64);
///
/// impl Source for Below {
///     type Out = u64;
///     type Split = u64;
///
///     fn splits(&self, _: &Machine, _: u16) -> BoxFuture<Result<Vec<u64>, BoxError>> {
///         Box::pin(async { Ok(vec![0]) })
///     }
///
///     fn read(&self, _: &Machine, next: u64) -> Box<dyn SplitReader<Self>> {
///         Box::new(Reader { next, end: self.0 })
///     }
/// }
///
/// struct Reader {
///     next: u64,
///     end: u64,
/// }
///
/// impl SplitReader<Below> for Reader {
///     fn poll_next(&mut self, _: &mut Context<'_>) -> Poll<Result<Option<Batch<u64>>, BoxError>> {
///         let numbers = self.next..self.end.min(self.next + 100);
///         self.next = numbers.end;
///         let batch: Batch<u64> = numbers.map(Record::from).collect();
///         Poll::Ready(Ok((!batch.is_empty()).then_some(batch)))
///     }
///
///     fn position(&self) -> u64 {
///         self.next
///     }
/// }
/// ```
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

    /// Returns whether a split can be read again from any position of a checkpoint that is not yet
    /// complete, or is the last complete one. Unless a source says otherwise, it can be. One that
    /// cannot, as a socket, loses what it has yielded since the last checkpoint when an attempt fails:
    /// at most once.
    fn is_replayable(&self) -> bool {
        true
    }

    /// Returns when the turn of `split` comes. A subtask reads splits of a later stage only when all its
    /// splits of the earlier ones have ended, and until then they hold no event time back. A split has
    /// one stage, wherever its position is. Unless a source says otherwise, all are read side by side.
    fn stage(&self, split: &Self::Split) -> u32 {
        let _ = split;
        0
    }

    /// Begins to read `split` from its position. Called when the subtask starts, also for splits whose turn
    /// comes later, and for those that have ended.
    fn read(&self, machine: &Machine, split: Self::Split) -> Box<dyn SplitReader<Self>>;
}

/// Reads one split.
///
/// # Examples
///
/// ```
/// # mod floodmark { pub use floodmark_dataflow::{*, operators::*}; pub use floodmark_model::*; }
/// use floodmark::{Batch, BoxError, Source, SplitReader};
/// use std::task::{Context, Poll};
///
/// /// Passes on what another reader yields, and remembers how much that was.
/// struct Counted<R> {
///     reader: R,
///     record_count: usize,
/// }
///
/// impl<S: Source, R: SplitReader<S>> SplitReader<S> for Counted<R> {
///     fn poll_next(
///         &mut self,
///         cx: &mut Context<'_>,
///     ) -> Poll<Result<Option<Batch<S::Out>>, BoxError>> {
///         let polled = self.reader.poll_next(cx);
///         if let Poll::Ready(Ok(Some(batch))) = &polled {
///             self.record_count += batch.len();
///         }
///         polled
///     }
///
///     fn position(&self) -> S::Split {
///         self.reader.position()
///     }
/// }
/// ```
pub trait SplitReader<S: Source>: Send {
    /// Returns the next records, never none of them; `None` at the end of the split. A source that knows
    /// when they happened gives them their timestamps; the others turn values into records with
    /// [`Record::from`](floodmark_model::Record).
    ///
    /// # Cancel safety
    ///
    /// No value is lost when the caller stops polling.
    fn poll_next(&mut self, cx: &mut Context<'_>) -> Poll<Result<Option<Batch<S::Out>>, BoxError>>;

    /// Returns the split, positioned behind the last value that was returned.
    fn position(&self) -> S::Split;

    /// Hears that a checkpoint with this position is complete: no restart will ever go back behind
    /// it. What lies before it may be acknowledged to a system that forgets what was acknowledged.
    ///
    /// Heard once or more often per checkpoint, also after the end of the split, and also when the
    /// job restarts from the checkpoint; not of every checkpoint, since the word of it may be lost.
    fn on_checkpoint_complete(&mut self, position: &S::Split) {
        let _ = position;
    }
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
    /// Splits of later stages have to wait.
    stage: u32,
    /// Positions of the splits at barriers whose checkpoints may still complete, oldest first.
    unconfirmed: VecDeque<(CheckpointId, Vec<S::Split>)>,
    chain: Box<dyn Push<S::Out>>,
    drift: Option<SourceDrift>,
}

struct SplitState<S: Source> {
    reader: Box<dyn SplitReader<S>>,
    stage: u32,
    /// Whether the reader yields nothing more. It still hears of checkpoints.
    has_ended: bool,
    /// Whether it waits for splits that are far behind.
    is_held: bool,
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
        let (reader, splits, unconfirmed, next) = (None, Vec::new(), VecDeque::new(), 0);
        let drift = None;
        Self {
            name,
            source,
            machine,
            parallelism,
            index,
            reader,
            splits,
            next,
            stage: 0,
            unconfirmed,
            chain,
            drift,
        }
    }

    fn positions(&self) -> Vec<S::Split> {
        self.splits.iter().map(|split| split.reader.position()).collect()
    }

    fn freeze_positions(&self, snapshot: &mut Snapshot) {
        let progress = self.splits.iter().map(|SplitState { reader, has_ended, .. }| {
            let position = reader.position();
            if *has_ended { Progress::Ended(position) } else { Progress::At(position) }
        });
        snapshot.add(freeze_value(&self.name, "splits", progress.collect::<Vec<_>>()));
    }

    /// Tells the readers that nobody goes back behind `positions`.
    fn confirm(&mut self, positions: &[S::Split]) {
        for (split, position) in self.splits.iter_mut().zip(positions) {
            split.reader.on_checkpoint_complete(position);
        }
    }

    /// Opens the chain. Every split counts from now on, also those that have no records yet.
    fn open_chain(&mut self, cx: &mut OpenContext<'_>) -> Result<(), Error> {
        let (attempt, subtask, restored) = (cx.attempt, cx.subtask, cx.checkpoint);
        self.reader = Some((attempt, subtask));
        let count = |count: usize| u32::try_from(count).expect("splits fit into memory");
        let ended = self.splits.iter().filter(|split| split.has_ended);
        self.machine.observe(|| RuntimeEvent::SplitsAssigned {
            attempt,
            subtask,
            restored,
            split_count: count(self.splits.len()),
            ended_count: count(ended.count()),
        });
        cx.split_count = Some(self.splits.len());
        self.chain.open(cx)?;
        self.drift = cx.drift.clone();
        self.stage = self.open_stage().unwrap_or_default();
        for index in 0..self.splits.len() {
            if !self.splits[index].has_ended && self.stage < self.splits[index].stage {
                self.chain.on_split(Split::Waiting(index))?;
            }
            if self.splits[index].has_ended {
                self.end(index)?;
            }
        }
        Ok(())
    }

    /// Returns the earliest stage with splits that have not ended.
    fn open_stage(&self) -> Option<u32> {
        let open = self.splits.iter().filter(|split| !split.has_ended);
        open.map(|split| split.stage).min()
    }

    /// Goes on to the next stage if the one before is over.
    fn begin_stage(&mut self) -> Result<(), Error> {
        let Some(stage) = self.open_stage().filter(|stage| self.stage < *stage) else {
            return Ok(());
        };
        self.stage = stage;
        for index in 0..self.splits.len() {
            if self.splits[index].stage == stage {
                self.chain.on_split(Split::Begun(index))?;
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

    /// Returns whether a split has to wait for others, and tells those who watch when that changes.
    fn is_held(&mut self, index: usize) -> bool {
        let Some(drift) = &self.drift else { return false };
        let is_held = drift.is_held(index) && !planted!(DriftIgnored);
        if is_held != self.splits[index].is_held
            && let Some((attempt, subtask)) = self.reader
        {
            self.splits[index].is_held = is_held;
            let split = u32::try_from(index).expect("splits fit into memory");
            self.machine.observe(|| RuntimeEvent::SplitHeld { attempt, subtask, split, is_held });
        }
        is_held
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
            let is_restored = restored.is_some();
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
                Progress::At(split) => (split, false),
                // Nothing is asked of its reader any more; it hears of checkpoints.
                Progress::Ended(split) => (split, true),
            };
            let splits = splits.into_iter().map(open);
            self.splits = splits
                .map(|(split, has_ended)| SplitState {
                    stage: self.source.stage(&split),
                    reader: self.source.read(&self.machine, split),
                    has_ended,
                    is_held: false,
                })
                .collect();
            if is_restored {
                // Those who were to be told that the checkpoint is complete may have died before.
                self.confirm(&self.positions());
            }
            self.open_chain(cx)
        })
    }

    fn poll_advance(&mut self, cx: &mut Context<'_>) -> Poll<Result<Input, Error>> {
        let mut has_open = false;
        for step in 0..self.splits.len() {
            let index = (self.next + step) % self.splits.len();
            if self.splits[index].has_ended {
                continue;
            }
            has_open = true;
            if self.stage < self.splits[index].stage || self.is_held(index) {
                continue;
            }
            let split = &mut self.splits[index];
            let Poll::Ready(batch) = split.reader.poll_next(cx) else { continue };
            match batch.map_err(|source| Self::error(&self.name, source))? {
                None => {
                    split.has_ended = true;
                    if planted!(StageEndsTooEarly) {
                        self.end(index)?;
                        self.begin_stage()?;
                    } else {
                        // Event time goes on from where it is only if those that follow count already.
                        self.begin_stage()?;
                        self.end(index)?;
                    }
                }
                Some(batch) => {
                    self.next = index + 1;
                    assert!(!batch.is_empty(), "a split yields records, or ends");
                    self.chain.on_split(Split::Reading(index))?;
                    self.chain.push(batch)?;
                }
            }
            return Poll::Ready(Ok(Input::Records));
        }
        if has_open { Poll::Pending } else { Poll::Ready(Ok(Input::Exhausted)) }
    }

    fn on_barrier(&mut self, barrier: Barrier, snapshot: &mut Snapshot) -> Result<(), Error> {
        self.freeze_positions(snapshot);
        let positions = self.positions();
        if planted!(AcknowledgedTooEarly) {
            self.confirm(&positions);
        }
        self.unconfirmed.push_back((barrier.checkpoint, positions));
        if planted!(RecordBetweenSnapshotAndBarrier) {
            // What comes first is emitted; anything else comes again.
            let _ = self.poll_advance(&mut Context::from_waker(Waker::noop()));
        }
        self.chain.on_barrier(barrier, snapshot)
    }

    fn on_complete(&mut self, checkpoint: CheckpointId, commits: &mut Vec<Commit>) {
        let mut complete = None;
        while self.unconfirmed.front().is_some_and(|(epoch, _)| *epoch <= checkpoint) {
            complete = self.unconfirmed.pop_front().filter(|(epoch, _)| *epoch == checkpoint);
        }
        if let Some((_, positions)) = complete {
            self.confirm(&positions);
        }
        self.chain.on_complete(checkpoint, commits);
    }

    fn freeze(&mut self, snapshot: &mut Snapshot) {
        self.freeze_positions(snapshot);
        self.chain.freeze(snapshot);
    }

    fn has_ended(&self) -> bool {
        self.splits.iter().all(|split| split.has_ended)
    }

    fn drift(&self) -> Option<&SourceDrift> {
        self.drift.as_ref()
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
