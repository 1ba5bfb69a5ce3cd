//! Keyed process functions: user code with state and timers.

use floodmark_model::{Batch, Record, TimeDomain, Timestamp};
use floodmark_state::{Data, Key, Snapshot};

use crate::{
    BoxError, Error,
    chain::{Emitter, OpenContext, Operator},
    operators::{Context, KeyOf, context::KeyedRuntime, lifecycle::Lifecycle},
};

/// A function over the records of each key, with state and timers of that key.
///
/// The value that implements it is shared by all keys of a subtask and is *not* part of any
/// snapshot: what must survive a failure belongs in state.
///
/// # Examples
///
/// ```
/// # mod floodmark { pub use floodmark_dataflow::{*, operators::*}; pub use floodmark_model::*; }
/// use floodmark::{BoxError, Context, KeyedProcess, TimeDomain, Timestamp, ValueState};
/// use std::time::Duration;
///
/// const COUNT: ValueState<u64> = ValueState::new("count");
///
/// /// Counts records per key, and emits the number a minute after the first one.
/// #[derive(Clone)]
/// struct PerMinute;
///
/// impl KeyedProcess for PerMinute {
///     type Key = String;
///     type In = u64;
///     type Out = u64;
///
///     fn on_element(&mut self, _: u64, cx: &mut Context<'_, String, u64>) -> Result<(), BoxError> {
///         if cx.state(COUNT).get().is_none() {
///             let end = cx.timestamp() + Duration::from_secs(60);
///             cx.timers().register_event_time(end);
///         }
///         cx.state(COUNT).update(|count| *count += 1);
///         Ok(())
///     }
///
///     fn on_timer(
///         &mut self,
///         _: Timestamp,
///         _: TimeDomain,
///         cx: &mut Context<'_, String, u64>,
///     ) -> Result<(), BoxError> {
///         let count = cx.state(COUNT).or_default();
///         cx.state(COUNT).clear();
///         cx.emit(count);
///         Ok(())
///     }
/// }
/// ```
#[doc(alias = "KeyedProcessFunction")]
pub trait KeyedProcess: Send + 'static {
    /// What the stream is keyed by.
    type Key: Key;
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

    /// Processes one record.
    ///
    /// # Errors
    ///
    /// When the record cannot be processed; the attempt fails.
    fn on_element(
        &mut self,
        value: Self::In,
        cx: &mut Context<'_, Self::Key, Self::Out>,
    ) -> Result<(), BoxError>;

    /// Hears that time has reached a timer that was set for the context's key: event time or
    /// processing time, as `domain` says.
    ///
    /// # Errors
    ///
    /// When the timer cannot be processed; the attempt fails.
    fn on_timer(
        &mut self,
        _time: Timestamp,
        _domain: TimeDomain,
        _cx: &mut Context<'_, Self::Key, Self::Out>,
    ) -> Result<(), BoxError> {
        Ok(())
    }
}

/// Runs a [`KeyedProcess`].
pub struct ProcessOperator<P: KeyedProcess, F> {
    uid: String,
    process: Lifecycle<P>,
    key_of: KeyOf<P::In, P::Key, F>,
    keyed: Option<KeyedRuntime<P::Key>>,
}

impl<P: KeyedProcess, F> ProcessOperator<P, F> {
    /// Creates the operator `uid`.
    pub fn new(uid: String, process: P, key_of: KeyOf<P::In, P::Key, F>) -> Self {
        let process = Lifecycle::new(&uid, process, P::close);
        Self { uid, process, key_of, keyed: None }
    }

    fn error(uid: &str, source: BoxError) -> Error {
        Error::Operator { operator: uid.to_owned(), source }
    }

    /// Fires the timers of a domain that are due at `now`, in the order of their times.
    fn fire(
        &mut self,
        domain: TimeDomain,
        now: Timestamp,
        out: &mut Emitter<P::Out>,
    ) -> Result<(), Error> {
        let keyed = self.keyed.as_mut().expect("an operator is opened before it is used");
        while let Some(due) = keyed.pop_due(domain, now) {
            let done = self.process.on_timer(due.time, domain, &mut keyed.at_timer(&due, out));
            done.map_err(|source| Self::error(&self.uid, source))?;
        }
        Ok(())
    }
}

impl<P, F> Operator for ProcessOperator<P, F>
where
    P: KeyedProcess,
    F: Fn(&P::In) -> P::Key + Send,
{
    type In = P::In;
    type Out = P::Out;

    const KEEPS: &'static str = "state and timers per key";

    fn open(&mut self, cx: &mut OpenContext<'_>) -> Result<(), Error> {
        self.keyed = Some(KeyedRuntime::restore(&self.uid, cx)?);
        self.key_of.open(&self.uid, cx);
        self.process.open(cx.machine, P::open).map_err(|source| Self::error(&self.uid, source))
    }

    fn on_batch(&mut self, batch: Batch<P::In>, out: &mut Emitter<P::Out>) -> Result<(), Error> {
        let keyed = self.keyed.as_mut().expect("an operator is opened before it is used");
        for Record { timestamp, value } in batch {
            let (key, place) = self.key_of.find(&value);
            let mut cx = keyed.at_record((&key, place), timestamp, out);
            let done = self.process.on_element(value, &mut cx);
            done.map_err(|source| Self::error(&self.uid, source))?;
        }
        Ok(())
    }

    fn on_watermark(
        &mut self,
        watermark: Timestamp,
        out: &mut Emitter<P::Out>,
    ) -> Result<(), Error> {
        let keyed = self.keyed.as_mut().expect("an operator is opened before it is used");
        if keyed.advance(watermark) {
            self.fire(TimeDomain::Event, watermark, out)?;
        }
        out.watermark(watermark)
    }

    fn next_timer(&self) -> Option<Timestamp> {
        self.keyed.as_ref().and_then(KeyedRuntime::next_timer)
    }

    fn on_processing_time(
        &mut self,
        now: Timestamp,
        out: &mut Emitter<P::Out>,
    ) -> Result<(), Error> {
        self.fire(TimeDomain::Processing, now, out)
    }

    fn freeze(&mut self, snapshot: &mut Snapshot) {
        self.keyed.as_mut().expect("an operator is opened before it is used").freeze(snapshot);
    }
}
