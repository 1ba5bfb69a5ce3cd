//! Chains: operators that follow each other inside one subtask.
//!
//! A batch is pushed from operator to operator by a call, without a queue, a clone or a choice per
//! record; the only indirect call is the one per batch and operator. Where a stream has several
//! consumers the chain branches, and all but the last branch get a copy.
//!
//! ```text
//! head ──push──▶ Chained(map) ──▶ Chained(window) ──▶ Exchange      leaves are exchanges or sinks
//!                                      └─ late ─────▶ Chained(sink)
//! ```
//!
//! Everything else a subtask does (barriers, watermarks, restoring, committing) visits the same tree
//! from the head to the leaves, so an operator always acts before those that follow it.

use std::{
    any::Any,
    marker::PhantomData,
    task::{Context, Poll},
    time::Duration,
};

use floodmark_model::{
    Attempt, Barrier, Batch, ChannelId, CheckpointId, KeyGroupRange, Record, SubtaskId, Timestamp,
};
use floodmark_platform::{BoxFuture, Machine};
use floodmark_state::{Data, RestoredState, Snapshot};

use crate::{BoxError, Delivery, Error, SourceDrift};

/// A part of a chain that takes batches of `T`.
#[expect(clippy::missing_errors_doc, reason = "each fails when an operator further down does")]
pub trait Push<T>: Stage {
    /// Processes `batch` and everything that follows from it.
    fn push(&mut self, batch: Batch<T>) -> Result<(), Error>;
}

/// What every part of a chain can do, whatever it takes.
#[expect(clippy::missing_errors_doc, reason = "each fails when an operator further down does")]
pub trait Stage: Send {
    /// Prepares for the first record, with restored state where there is some.
    fn open(&mut self, cx: &mut OpenContext<'_>) -> Result<(), Error>;

    /// Hears which split of the source the next records come from, or that one has ended, waits for
    /// others or has begun.
    fn on_split(&mut self, split: Split) -> Result<(), Error>;

    /// Advances event time.
    fn on_watermark(&mut self, watermark: Timestamp) -> Result<(), Error>;

    /// Tells that nothing will come for a while.
    fn on_idle(&mut self) -> Result<(), Error>;

    /// Ends an epoch: adds state to `snapshot` and passes the barrier on.
    fn on_barrier(&mut self, barrier: Barrier, snapshot: &mut Snapshot) -> Result<(), Error>;

    /// Adds state to `snapshot`, and does nothing else.
    fn freeze(&mut self, snapshot: &mut Snapshot);

    /// Hears that `checkpoint` is complete. What must become visible is added to `commits`.
    fn on_complete(&mut self, checkpoint: CheckpointId, commits: &mut Vec<Commit>);

    /// Ends the input of a job without checkpoints. What must become visible goes to `commits`.
    fn on_end(&mut self, commits: &mut Vec<Commit>) -> Result<(), Error>;

    /// Hears from time to time how long the subtask has been waiting for input or processing,
    /// in total; time spent waiting for those downstream does not count.
    fn on_tick(&mut self, activity: Duration) -> Result<(), Error>;

    /// Returns a moment of processing time before which no timer is due, if there are timers.
    fn next_timer(&mut self) -> Option<Timestamp>;

    /// Fires the processing-time timers that are due when the node's clock shows `now`.
    fn on_processing_time(&mut self, now: Timestamp) -> Result<(), Error>;

    /// Calls `visit` for every exchange at the end of the chain.
    fn visit_outlets(&mut self, visit: &mut dyn FnMut(&mut dyn Outlet));

    /// Returns whether some operator has requests that outlast a call. The answer is always the same;
    /// if it is no, nobody asks for the rest of this trait.
    fn has_requests(&mut self) -> bool {
        false
    }

    /// Returns how much is under way.
    fn load(&mut self) -> Load {
        Load::None
    }

    /// Goes on with what is under way, without passing anything on. Ready when there are results to
    /// pass on.
    fn poll_requests(&mut self, _cx: &mut Context<'_>) -> Poll<()> {
        Poll::Pending
    }

    /// Passes on the results that there are.
    fn on_results(&mut self) -> Result<(), Error> {
        Ok(())
    }
}

/// How much is under way in the operators of a chain.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Load {
    /// Nothing: what was taken in has been passed on.
    None,
    /// Something, and there is room for more.
    Some,
    /// As much as there is room for: nothing more is to be taken in.
    Full,
}

/// What a source says of one of its splits, which it counts from 0.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Split {
    /// The records that follow come from this split.
    Reading(usize),
    /// No record of this split follows.
    Ended(usize),
    /// No record of this split follows until it has begun: others come first.
    Waiting(usize),
    /// The turn of a split that was waiting has come.
    Begun(usize),
}

/// An exchange, without the type of its records.
pub trait Outlet {
    /// Returns whether a batch has records and is not full yet.
    fn has_open_batches(&self) -> bool;

    /// Sends the batches that are not full yet.
    fn close_open_batches(&mut self);

    /// Sends what is queued, as credit comes in. Ready when nothing is left.
    fn poll_flush(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Error>>;

    /// Gives a sign of life on every channel.
    fn pulse(&mut self, cx: &mut Context<'_>) -> Result<(), Error>;

    /// Adds per channel the records sent since the attempt began.
    fn sent(&self, counts: &mut Vec<(ChannelId, u64)>);
}

/// Effects of an epoch that must become visible.
pub struct Commit {
    /// The sink's name.
    pub operator: String,
    /// The checkpoint that ends the epoch.
    pub checkpoint: CheckpointId,
    /// Makes them visible. Repeating it after a crash must do no harm.
    pub work: BoxFuture<Result<(), BoxError>>,
}

/// What an operator can see while it opens.
pub struct OpenContext<'a> {
    /// The node.
    pub machine: &'a Machine,
    /// The attempt that begins.
    pub attempt: Attempt,
    /// The subtask the operator is part of.
    pub subtask: SubtaskId,
    /// The key groups of the subtask.
    pub key_groups: KeyGroupRange,
    /// The checkpoint that is being restored.
    pub checkpoint: Option<CheckpointId>,
    /// State to take.
    pub restored: &'a mut RestoredState,
    /// The event time that upstream operators had reached.
    pub watermark: Timestamp,
    /// The splits of the source that the chain begins with. Those of a gate are not known.
    pub split_count: Option<usize>,
    /// How far the source may run ahead of others, as the strategy behind it says.
    pub drift: Option<SourceDrift>,
    /// Work to be done before the first record.
    pub commits: Vec<Commit>,
    /// Clean-up to be done before the first record.
    pub cleanups: Vec<Cleanup>,
}

/// What older attempts have left behind, and must not stay.
pub struct Cleanup {
    /// The sink's name.
    pub operator: String,
    /// Ends it. Repeating it must do no harm.
    pub work: BoxFuture<Result<(), BoxError>>,
}

/// One step of processing: what becomes of the records of one input.
pub trait Operator: Send {
    /// What it takes.
    type In;
    /// What it emits.
    type Out: Data;

    /// Whether it has requests that outlast a call: then it is asked for them.
    const HAS_REQUESTS: bool = false;

    /// What it keeps in snapshots, in words; empty if that is nothing.
    const KEEPS: &'static str = "";

    /// How it treats records that come again, if streams end in it.
    const DELIVERY: Option<Delivery> = None;

    /// Prepares for the first record, with restored state where there is some.
    ///
    /// # Errors
    ///
    /// When restored state does not fit.
    fn open(&mut self, _cx: &mut OpenContext<'_>) -> Result<(), Error> {
        Ok(())
    }

    /// Processes a batch.
    ///
    /// # Errors
    ///
    /// When a function of the user fails.
    fn on_batch(
        &mut self,
        batch: Batch<Self::In>,
        out: &mut Emitter<Self::Out>,
    ) -> Result<(), Error>;

    /// Hears which split of the source the next records come from, or that one has ended, waits for
    /// others or has begun, and passes that on. Records that an operator makes of others count for
    /// the split of those.
    ///
    /// # Errors
    ///
    /// When those downstream fail.
    fn on_split(&mut self, split: Split, out: &mut Emitter<Self::Out>) -> Result<(), Error> {
        out.split(split)
    }

    /// Advances event time, and passes the watermark on unless the operator makes its own.
    ///
    /// # Errors
    ///
    /// When a function of the user fails.
    fn on_watermark(
        &mut self,
        watermark: Timestamp,
        out: &mut Emitter<Self::Out>,
    ) -> Result<(), Error> {
        out.watermark(watermark)
    }

    /// Tells that nothing will come for a while, and passes that on.
    ///
    /// # Errors
    ///
    /// When those downstream fail.
    fn on_idle(&mut self, out: &mut Emitter<Self::Out>) -> Result<(), Error> {
        out.idle()
    }

    /// Ends the epoch of `checkpoint`, before the state is frozen. Only sinks care.
    ///
    /// # Errors
    ///
    /// When an epoch cannot be made ready to commit.
    fn on_barrier(
        &mut self,
        _checkpoint: CheckpointId,
        _snapshot: &mut Snapshot,
    ) -> Result<(), Error> {
        Ok(())
    }

    /// Adds the operator's state to `snapshot`. Fast: it freezes, it does not serialise.
    fn freeze(&mut self, _snapshot: &mut Snapshot) {}

    /// Hears that `checkpoint` is complete.
    fn on_complete(&mut self, _checkpoint: CheckpointId, _commits: &mut Vec<Commit>) {}

    /// Ends the input of a job without checkpoints.
    ///
    /// # Errors
    ///
    /// When the last effects cannot be made ready to commit.
    fn on_end(&mut self, _commits: &mut Vec<Commit>) -> Result<(), Error> {
        Ok(())
    }

    /// Hears from time to time how long the subtask has been active in total.
    ///
    /// # Errors
    ///
    /// When those downstream fail.
    fn on_tick(&mut self, _activity: Duration, _out: &mut Emitter<Self::Out>) -> Result<(), Error> {
        Ok(())
    }

    /// Returns a moment of processing time before which the operator has no timer that is due, if it
    /// has timers.
    fn next_timer(&self) -> Option<Timestamp> {
        None
    }

    /// Fires the processing-time timers that are due when the node's clock shows `now`.
    ///
    /// # Errors
    ///
    /// When a function of the user fails.
    fn on_processing_time(
        &mut self,
        _now: Timestamp,
        _out: &mut Emitter<Self::Out>,
    ) -> Result<(), Error> {
        Ok(())
    }

    /// Returns how much is under way. Nothing may be left when the operator has passed on every
    /// result, for then the input may end.
    fn load(&self) -> Load {
        Load::None
    }

    /// Goes on with what is under way, without emitting anything. Ready when there are results.
    fn poll_requests(&mut self, _cx: &mut Context<'_>) -> Poll<()> {
        Poll::Pending
    }

    /// Emits the results that there are.
    ///
    /// # Errors
    ///
    /// When a request has failed, or those downstream do.
    fn on_results(&mut self, _out: &mut Emitter<Self::Out>) -> Result<(), Error> {
        Ok(())
    }
}

/// The consumers of a stream.
pub struct Output<T> {
    consumers: Vec<Box<dyn Push<T>>>,
}

impl<T: Data> Output<T> {
    /// Creates the output to `consumers`; without any, records vanish.
    pub fn new(consumers: Vec<Box<dyn Push<T>>>) -> Self {
        Self { consumers }
    }

    fn push(&mut self, batch: Batch<T>) -> Result<(), Error> {
        if batch.is_empty() {
            return Ok(());
        }
        let Some((last, others)) = self.consumers.split_last_mut() else { return Ok(()) };
        for consumer in others {
            consumer.push(batch.clone())?;
        }
        last.push(batch)
    }

    fn stages(&mut self) -> impl Iterator<Item = &mut Box<dyn Push<T>>> {
        self.consumers.iter_mut()
    }
}

/// Names a side output and the type of its records.
///
/// # Examples
///
/// ```
/// # mod floodmark { pub use floodmark_dataflow::{*, operators::*}; pub use floodmark_model::*; }
/// use floodmark::OutputTag;
///
/// const BROKEN: OutputTag<String> = OutputTag::new("broken");
///
/// // In a process function `cx.emit_to(BROKEN, line)`, and behind it `stream.side_output(BROKEN)`.
/// assert_eq!(BROKEN.name(), "broken");
/// ```
#[derive(Debug)]
pub struct OutputTag<T> {
    name: &'static str,
    value: PhantomData<fn() -> T>,
}

impl<T> OutputTag<T> {
    /// Creates the tag `name`. Two tags of one operator have different names.
    pub const fn new(name: &'static str) -> Self {
        Self { name, value: PhantomData }
    }

    /// Returns the name.
    pub fn name(self) -> &'static str {
        self.name
    }
}

impl<T> Clone for OutputTag<T> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<T> Copy for OutputTag<T> {}

/// The side outputs of one operator that someone consumes.
#[derive(Default)]
pub struct SideOutputs {
    sides: Vec<(&'static str, Box<dyn AnySide>)>,
}

struct Side<T> {
    batch: Batch<T>,
    output: Output<T>,
}

trait AnySide: Send {
    fn as_any_mut(&mut self) -> &mut dyn Any;
    fn flush(&mut self) -> Result<(), Error>;
    fn visit(
        &mut self,
        visit: &mut dyn FnMut(&mut dyn Stage) -> Result<(), Error>,
    ) -> Result<(), Error>;
}

impl<T: Data> AnySide for Side<T> {
    fn as_any_mut(&mut self) -> &mut dyn Any {
        self
    }

    fn flush(&mut self) -> Result<(), Error> {
        self.output.push(std::mem::take(&mut self.batch))
    }

    fn visit(
        &mut self,
        visit: &mut dyn FnMut(&mut dyn Stage) -> Result<(), Error>,
    ) -> Result<(), Error> {
        self.output.stages().try_for_each(|stage| visit(&mut **stage))
    }
}

impl SideOutputs {
    /// Adds the consumers of the side output `tag`.
    pub fn add<T: Data>(&mut self, tag: OutputTag<T>, output: Output<T>) {
        assert!(self.sides.iter().all(|(name, _)| *name != tag.name));
        self.sides.push((tag.name, Box::new(Side { batch: Batch::new(), output })));
    }

    fn emit<T: Data>(&mut self, tag: OutputTag<T>, record: Record<T>) {
        // What nobody consumes is not kept.
        let Some((_, side)) = self.sides.iter_mut().find(|(name, _)| *name == tag.name) else {
            return;
        };
        let side = side.as_any_mut().downcast_mut::<Side<T>>();
        side.expect("one tag name has one type within an operator").batch.push(record);
    }
}

/// Records that are worth a call of those downstream, however small the batches are that come in.
const FULL_COUNT_MIN: usize = 64;

/// Takes what an operator emits.
pub struct Emitter<O> {
    batch: Batch<O>,
    /// How many records the operator was given last; about as many come out, as a rule.
    expected_count: usize,
    output: Output<O>,
    sides: SideOutputs,
}

impl<O: Data> Emitter<O> {
    /// Emits a record to the main output.
    pub fn emit(&mut self, timestamp: Timestamp, value: O) {
        if self.batch.len() == self.batch.capacity() {
            self.make_room();
        }
        self.batch.push(Record { timestamp, value });
    }

    /// Makes room for a whole batch at once, or for twice as much as there is.
    #[cold]
    fn make_room(&mut self) {
        self.batch.reserve(self.expected_count.max(1));
    }

    /// Passes on what was emitted so far, if that fills a batch: much that is emitted at once would
    /// otherwise have left the caches before anybody takes it.
    ///
    /// # Errors
    ///
    /// When those downstream fail.
    #[inline]
    pub fn pass_on_full(&mut self) -> Result<(), Error> {
        if self.expected_count.max(FULL_COUNT_MIN) <= self.batch.len() {
            self.flush()
        } else {
            Ok(())
        }
    }

    /// Emits many records to the main output.
    pub fn emit_batch(&mut self, mut batch: Batch<O>) {
        if self.batch.is_empty() {
            self.batch = batch;
        } else {
            self.batch.append(&mut batch);
        }
    }

    /// Emits a record to a side output.
    pub fn emit_to<T: Data>(&mut self, tag: OutputTag<T>, timestamp: Timestamp, value: T) {
        self.sides.emit(tag, Record { timestamp, value });
    }

    /// Advances the event time of those downstream, behind what was emitted so far.
    ///
    /// # Errors
    ///
    /// When those downstream fail.
    pub fn watermark(&mut self, watermark: Timestamp) -> Result<(), Error> {
        self.flush()?;
        self.visit(&mut |stage| stage.on_watermark(watermark))
    }

    /// Tells those downstream that nothing will come for a while.
    ///
    /// # Errors
    ///
    /// When those downstream fail.
    pub fn idle(&mut self) -> Result<(), Error> {
        self.flush()?;
        self.visit(&mut |stage| stage.on_idle())
    }

    /// Tells those downstream which split of the source the next records come from, or that one has
    /// ended.
    ///
    /// # Errors
    ///
    /// When those downstream fail.
    pub fn split(&mut self, split: Split) -> Result<(), Error> {
        self.flush()?;
        self.visit(&mut |stage| stage.on_split(split))
    }

    fn flush(&mut self) -> Result<(), Error> {
        self.output.push(std::mem::take(&mut self.batch))?;
        self.sides.sides.iter_mut().try_for_each(|(_, side)| side.flush())
    }

    fn visit(
        &mut self,
        visit: &mut dyn FnMut(&mut dyn Stage) -> Result<(), Error>,
    ) -> Result<(), Error> {
        self.output.stages().try_for_each(|stage| visit(&mut **stage))?;
        self.sides.sides.iter_mut().try_for_each(|(_, side)| side.visit(visit))
    }
}

/// An operator and everything that follows it.
pub struct Chained<P: Operator> {
    operator: P,
    emitter: Emitter<P::Out>,
}

impl<P: Operator> Chained<P> {
    /// Puts `operator` before its consumers.
    pub fn new(operator: P, output: Output<P::Out>, sides: SideOutputs) -> Self {
        Self {
            operator,
            emitter: Emitter { batch: Batch::new(), expected_count: 0, output, sides },
        }
    }

    /// Returns the operator.
    #[cfg(test)]
    pub(crate) fn operator(&self) -> &P {
        &self.operator
    }
}

impl<P: Operator> Push<P::In> for Chained<P> {
    fn push(&mut self, batch: Batch<P::In>) -> Result<(), Error> {
        self.emitter.expected_count = batch.len();
        self.operator.on_batch(batch, &mut self.emitter)?;
        self.emitter.flush()
    }
}

impl<P: Operator> Stage for Chained<P> {
    fn open(&mut self, cx: &mut OpenContext<'_>) -> Result<(), Error> {
        let outer = cx.watermark;
        self.operator.open(cx)?;
        let own = cx.watermark;
        self.emitter.visit(&mut |stage| {
            cx.watermark = own;
            stage.open(cx)
        })?;
        cx.watermark = outer;
        Ok(())
    }

    fn on_split(&mut self, split: Split) -> Result<(), Error> {
        self.operator.on_split(split, &mut self.emitter)?;
        self.emitter.flush()
    }

    fn on_watermark(&mut self, watermark: Timestamp) -> Result<(), Error> {
        self.operator.on_watermark(watermark, &mut self.emitter)?;
        self.emitter.flush()
    }

    fn on_idle(&mut self) -> Result<(), Error> {
        self.operator.on_idle(&mut self.emitter)?;
        self.emitter.flush()
    }

    fn on_barrier(&mut self, barrier: Barrier, snapshot: &mut Snapshot) -> Result<(), Error> {
        self.operator.on_barrier(barrier.checkpoint, snapshot)?;
        self.operator.freeze(snapshot);
        self.emitter.visit(&mut |stage| stage.on_barrier(barrier, snapshot))
    }

    fn freeze(&mut self, snapshot: &mut Snapshot) {
        self.operator.freeze(snapshot);
        let visited = self.emitter.visit(&mut |stage| {
            stage.freeze(snapshot);
            Ok(())
        });
        visited.expect("freezing cannot fail");
    }

    fn on_complete(&mut self, checkpoint: CheckpointId, commits: &mut Vec<Commit>) {
        self.operator.on_complete(checkpoint, commits);
        let visited = self.emitter.visit(&mut |stage| {
            stage.on_complete(checkpoint, commits);
            Ok(())
        });
        visited.expect("hearing of a checkpoint cannot fail");
    }

    fn on_end(&mut self, commits: &mut Vec<Commit>) -> Result<(), Error> {
        self.operator.on_end(commits)?;
        self.emitter.visit(&mut |stage| stage.on_end(commits))
    }

    fn on_tick(&mut self, activity: Duration) -> Result<(), Error> {
        self.operator.on_tick(activity, &mut self.emitter)?;
        self.emitter.flush()?;
        self.emitter.visit(&mut |stage| stage.on_tick(activity))
    }

    fn next_timer(&mut self) -> Option<Timestamp> {
        let mut next = self.operator.next_timer();
        let visited = self.emitter.visit(&mut |stage| {
            next = next.into_iter().chain(stage.next_timer()).min();
            Ok(())
        });
        visited.expect("asking for timers cannot fail");
        next
    }

    fn on_processing_time(&mut self, now: Timestamp) -> Result<(), Error> {
        self.operator.on_processing_time(now, &mut self.emitter)?;
        self.emitter.flush()?;
        self.emitter.visit(&mut |stage| stage.on_processing_time(now))
    }

    fn visit_outlets(&mut self, visit: &mut dyn FnMut(&mut dyn Outlet)) {
        let visited = self.emitter.visit(&mut |stage| {
            stage.visit_outlets(visit);
            Ok(())
        });
        visited.expect("visiting cannot fail");
    }

    fn has_requests(&mut self) -> bool {
        let mut has_requests = P::HAS_REQUESTS;
        let visited = self.emitter.visit(&mut |stage| {
            has_requests |= stage.has_requests();
            Ok(())
        });
        visited.expect("asking for requests cannot fail");
        has_requests
    }

    fn load(&mut self) -> Load {
        let mut load = self.operator.load();
        let visited = self.emitter.visit(&mut |stage| {
            load = load.max(stage.load());
            Ok(())
        });
        visited.expect("asking for the load cannot fail");
        load
    }

    fn poll_requests(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        let mut results = self.operator.poll_requests(cx);
        let visited = self.emitter.visit(&mut |stage| {
            if stage.poll_requests(cx).is_ready() {
                results = Poll::Ready(());
            }
            Ok(())
        });
        visited.expect("what fails is told when results are passed on");
        results
    }

    fn on_results(&mut self) -> Result<(), Error> {
        self.operator.on_results(&mut self.emitter)?;
        self.emitter.flush()?;
        self.emitter.visit(&mut |stage| stage.on_results())
    }
}
