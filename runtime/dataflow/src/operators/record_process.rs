//! Functions over records without a key: user code that sees timestamps and event time, and has lists of
//! its subtask, but neither keyed state nor timers.

use floodmark_model::{Batch, Record, Timestamp};
use floodmark_state::{Data, OperatorStore, Snapshot};

use crate::{
    BoxError, Error, OutputTag,
    chain::{Emitter, OpenContext, Operator},
    operators::{
        InitializeContext, OperatorStateHandle,
        lifecycle::Lifecycle,
        lists::{bind, opened, reported, restore},
    },
};

/// A function over the records of a stream, with side outputs.
///
/// It has no timers and no state per key. What it remembers are lists of its subtask:
/// [`OperatorListState`](crate::operators::OperatorListState) and
/// [`UnionListState`](crate::operators::UnionListState).
///
/// # Examples
///
/// ```
/// # mod floodmark { pub use floodmark_dataflow::{*, operators::*}; pub use floodmark_model::*; }
/// use floodmark::{BoxError, OutputTag, ProcessFunction, RecordContext};
///
/// const BROKEN: OutputTag<String> = OutputTag::new("broken");
///
/// /// Reads numbers; what is none goes aside.
/// #[derive(Clone)]
/// struct Parse;
///
/// impl ProcessFunction for Parse {
///     type In = String;
///     type Out = u64;
///
///     fn on_element(
///         &mut self,
///         line: String,
///         cx: &mut RecordContext<'_, u64>,
///     ) -> Result<(), BoxError> {
///         match line.parse() {
///             Ok(number) => cx.emit(number),
///             Err(_) => cx.emit_to(BROKEN, line),
///         }
///         Ok(())
///     }
/// }
/// ```
#[doc(alias = "CheckpointedFunction")]
pub trait ProcessFunction: Send + 'static {
    /// What it takes.
    type In: Data;
    /// What it emits.
    type Out: Data;

    /// Prepares for the first record. Called once in every attempt.
    ///
    /// # Errors
    ///
    /// When the function cannot work; the attempt fails.
    fn open(&mut self) -> Result<(), BoxError> {
        Ok(())
    }

    /// Lets go of what `open` took. Called once in every attempt whose `open` succeeded, when the subtask
    /// is done: at the end of the input, and also when the attempt has failed or is cancelled. Not called
    /// when the process dies. What happened since the last checkpoint may come again, so this is no place
    /// for results. Nobody waits for it: the next attempt may have opened its functions before, in the same
    /// process, so what can be held only once is better taken with patience.
    ///
    /// # Errors
    ///
    /// When it cannot; the error is logged, and changes nothing.
    fn close(&mut self) -> Result<(), BoxError> {
        Ok(())
    }

    /// Puts its lists in order, after they were restored. Called once in every attempt, behind `open`.
    ///
    /// # Errors
    ///
    /// When the function cannot work; the attempt fails.
    #[doc(alias = "initializeState")]
    fn initialize(&mut self, _cx: &mut InitializeContext<'_>) -> Result<(), BoxError> {
        Ok(())
    }

    /// Processes one record.
    ///
    /// # Errors
    ///
    /// When the record cannot be processed; the attempt fails.
    fn on_element(
        &mut self,
        value: Self::In,
        cx: &mut RecordContext<'_, Self::Out>,
    ) -> Result<(), BoxError>;
}

/// What a process function without keys can reach.
///
/// # Examples
///
/// ```
/// # mod floodmark { pub use floodmark_dataflow::{*, operators::*}; pub use floodmark_model::*; }
/// use floodmark::RecordContext;
/// use std::time::Duration;
///
/// /// Emits a value unless it is more than a minute behind event time.
/// fn emit_if_fresh(value: u64, cx: &mut RecordContext<'_, u64>) {
///     if cx.current_watermark() <= cx.timestamp() + Duration::from_secs(60) {
///         cx.emit(value);
///     }
/// }
/// ```
pub struct RecordContext<'a, O> {
    timestamp: Timestamp,
    watermark: Timestamp,
    lists: &'a mut OperatorStore,
    out: &'a mut Emitter<O>,
}

impl<'a, O: Data> RecordContext<'a, O> {
    pub(crate) fn new(
        (timestamp, watermark): (Timestamp, Timestamp),
        lists: &'a mut OperatorStore,
        out: &'a mut Emitter<O>,
    ) -> Self {
        Self { timestamp, watermark, lists, out }
    }

    /// Returns the record's timestamp.
    pub fn timestamp(&self) -> Timestamp {
        self.timestamp
    }

    /// Returns the event time of the operator: no record at or before it is expected.
    pub fn current_watermark(&self) -> Timestamp {
        self.watermark
    }

    /// Returns a list of the subtask.
    ///
    /// # Panics
    ///
    /// When the list was stored with another type, or is used with two types, or the operator has no
    /// uid.
    pub fn state<H: OperatorStateHandle>(&mut self, handle: H) -> H::Ref<'_> {
        bind(self.lists, handle)
    }

    /// Emits a value with the record's timestamp.
    pub fn emit(&mut self, value: O) {
        self.out.emit(self.timestamp, value);
    }

    /// Emits a value to a side output, with the record's timestamp.
    pub fn emit_to<T: Data>(&mut self, tag: OutputTag<T>, value: T) {
        self.out.emit_to(tag, self.timestamp, value);
    }
}

/// Runs a [`ProcessFunction`].
pub struct RecordProcessOperator<P> {
    name: &'static str,
    uid: String,
    parallelism: u16,
    process: Lifecycle<P>,
    watermark: Timestamp,
    lists: Option<OperatorStore>,
}

impl<P: ProcessFunction> RecordProcessOperator<P> {
    /// Creates the operator of `parallelism` subtasks; errors name `name`, and what it remembers is
    /// found by `uid`.
    pub fn new(name: &'static str, (uid, parallelism): (String, u16), process: P) -> Self {
        let process = Lifecycle::new(&uid, process, P::close);
        Self { name, uid, parallelism, process, watermark: Timestamp::MIN, lists: None }
    }
}

impl<P: ProcessFunction> Operator for RecordProcessOperator<P> {
    type In = P::In;
    type Out = P::Out;

    const KEEPS: &'static str = "lists";

    fn open(&mut self, cx: &mut OpenContext<'_>) -> Result<(), Error> {
        self.watermark = cx.watermark;
        let (lists, place) = restore(&self.uid, self.parallelism, cx);
        let lists = self.lists.insert(lists);
        reported(self.name, self.process.open(cx.machine, P::open))?;
        let mut cx = InitializeContext::new(lists, place, cx);
        reported(self.name, self.process.initialize(&mut cx))
    }

    fn on_batch(&mut self, batch: Batch<P::In>, out: &mut Emitter<P::Out>) -> Result<(), Error> {
        let lists = opened(&mut self.lists);
        for Record { timestamp, value } in batch {
            let mut cx = RecordContext::new((timestamp, self.watermark), lists, out);
            reported(self.name, self.process.on_element(value, &mut cx))?;
        }
        Ok(())
    }

    fn on_watermark(
        &mut self,
        watermark: Timestamp,
        out: &mut Emitter<P::Out>,
    ) -> Result<(), Error> {
        self.watermark = self.watermark.max(watermark);
        out.watermark(watermark)
    }

    fn freeze(&mut self, snapshot: &mut Snapshot) {
        opened(&mut self.lists).freeze(snapshot);
    }
}
