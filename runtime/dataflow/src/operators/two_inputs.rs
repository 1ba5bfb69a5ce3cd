//! Functions over two inputs of different types.
//!
//! Both inputs of an operator travel as one type, [`Sided`], from the exchange on; so a vertex with two
//! inputs has one gate, and everything that holds for channels holds for those of both inputs. Only
//! event time knows them apart: it is merged over the channels of each input, and then over the inputs.

use floodmark_model::{Batch, Record, TimeDomain, Timestamp};
use floodmark_state::{Data, Key};
use serde::{Deserialize, Serialize};

use crate::{
    BoxError,
    chain::{Emitter, Operator},
    operators::{Context, InitializeContext, KeyedProcess, ProcessFunction, RecordContext},
};

/// A record of one of two inputs.
///
/// # Examples
///
/// ```
/// # mod floodmark { pub use floodmark_dataflow::{*, operators::*}; pub use floodmark_model::*; }
/// use floodmark::Sided;
///
/// let both: [Sided<u64, &str>; 2] = [Sided::First(7), Sided::Second("seven")];
/// let first_count = both.iter().filter(|value| matches!(value, Sided::First(_))).count();
/// assert_eq!(first_count, 1);
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Sided<A, B> {
    /// Of the first.
    First(A),
    /// Of the second.
    Second(B),
}

/// Marks the records of one input.
pub struct Mark<T, S> {
    mark: fn(T) -> S,
}

impl<T, S> Mark<T, S> {
    /// Marks with `mark`, a variant of [`Sided`].
    pub fn new(mark: fn(T) -> S) -> Self {
        Self { mark }
    }
}

impl<T: Data, S: Data> Operator for Mark<T, S> {
    type In = T;
    type Out = S;

    fn on_batch(&mut self, batch: Batch<T>, out: &mut Emitter<S>) -> Result<(), crate::Error> {
        let mark = |Record { timestamp, value }| Record { timestamp, value: (self.mark)(value) };
        out.emit_batch(batch.into_iter().map(mark).collect());
        Ok(())
    }
}

/// A function over two inputs that have one key, and share state and timers of that key.
///
/// The value that implements it is shared by all keys of a subtask and is *not* part of any
/// snapshot: what must survive a failure belongs in state.
///
/// # Examples
///
/// ```
/// # mod floodmark { pub use floodmark_dataflow::{*, operators::*}; pub use floodmark_model::*; }
/// use floodmark::{BoxError, Context, KeyedCoProcess, ValueState};
///
/// const NAME: ValueState<String> = ValueState::new("name");
///
/// /// Gives the visits of a user the user's latest name.
/// #[derive(Clone)]
/// struct Named;
///
/// impl KeyedCoProcess for Named {
///     type Key = u64;
///     type First = (u64, String);
///     type Second = u64;
///     type Out = String;
///
///     fn on_first(
///         &mut self,
///         (_, name): (u64, String),
///         cx: &mut Context<'_, u64, String>,
///     ) -> Result<(), BoxError> {
///         cx.state(NAME).set(name);
///         Ok(())
///     }
///
///     fn on_second(&mut self, _: u64, cx: &mut Context<'_, u64, String>) -> Result<(), BoxError> {
///         let name = cx.state(NAME).get().unwrap_or_else(|| "somebody".to_owned());
///         cx.emit(format!("{name} was here"));
///         Ok(())
///     }
/// }
/// ```
#[doc(alias = "KeyedCoProcessFunction")]
pub trait KeyedCoProcess: Send + 'static {
    /// What both streams are keyed by.
    type Key: Key;
    /// What the first input takes.
    type First: Data;
    /// What the second input takes.
    type Second: Data;
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

    /// Processes one record of the first input.
    ///
    /// # Errors
    ///
    /// When the record cannot be processed; the attempt fails.
    fn on_first(
        &mut self,
        value: Self::First,
        cx: &mut Context<'_, Self::Key, Self::Out>,
    ) -> Result<(), BoxError>;

    /// Processes one record of the second input.
    ///
    /// # Errors
    ///
    /// When the record cannot be processed; the attempt fails.
    fn on_second(
        &mut self,
        value: Self::Second,
        cx: &mut Context<'_, Self::Key, Self::Out>,
    ) -> Result<(), BoxError>;

    /// Hears that time has reached a timer that was set for the context's key.
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

/// A function over two inputs without keys. It has no timers and no state per key; what it remembers
/// are lists of its subtask.
///
/// # Examples
///
/// ```
/// # mod floodmark { pub use floodmark_dataflow::{*, operators::*}; pub use floodmark_model::*; }
/// use floodmark::{BoxError, CoProcess, RecordContext};
///
/// /// Brings numbers, and numbers as text, into one stream.
/// #[derive(Clone)]
/// struct Numbers;
///
/// impl CoProcess for Numbers {
///     type First = u64;
///     type Second = String;
///     type Out = u64;
///
///     fn on_first(&mut self, number: u64, cx: &mut RecordContext<'_, u64>) -> Result<(), BoxError> {
///         cx.emit(number);
///         Ok(())
///     }
///
///     fn on_second(&mut self, text: String, cx: &mut RecordContext<'_, u64>) -> Result<(), BoxError> {
///         cx.emit(text.parse()?);
///         Ok(())
///     }
/// }
/// ```
#[doc(alias = "CoProcessFunction")]
pub trait CoProcess: Send + 'static {
    /// What the first input takes.
    type First: Data;
    /// What the second input takes.
    type Second: Data;
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

    /// Processes one record of the first input.
    ///
    /// # Errors
    ///
    /// When the record cannot be processed; the attempt fails.
    fn on_first(
        &mut self,
        value: Self::First,
        cx: &mut RecordContext<'_, Self::Out>,
    ) -> Result<(), BoxError>;

    /// Processes one record of the second input.
    ///
    /// # Errors
    ///
    /// When the record cannot be processed; the attempt fails.
    fn on_second(
        &mut self,
        value: Self::Second,
        cx: &mut RecordContext<'_, Self::Out>,
    ) -> Result<(), BoxError>;
}

/// A function over two inputs as one over both.
#[derive(Clone)]
pub struct OverBoth<P>(pub P);

impl<P: KeyedCoProcess> KeyedProcess for OverBoth<P> {
    type Key = P::Key;
    type In = Sided<P::First, P::Second>;
    type Out = P::Out;

    fn open(&mut self) -> Result<(), BoxError> {
        self.0.open()
    }

    fn close(&mut self) -> Result<(), BoxError> {
        self.0.close()
    }

    fn on_element(
        &mut self,
        value: Self::In,
        cx: &mut Context<'_, P::Key, P::Out>,
    ) -> Result<(), BoxError> {
        match value {
            Sided::First(value) => self.0.on_first(value, cx),
            Sided::Second(value) => self.0.on_second(value, cx),
        }
    }

    fn on_timer(
        &mut self,
        time: Timestamp,
        domain: TimeDomain,
        cx: &mut Context<'_, P::Key, P::Out>,
    ) -> Result<(), BoxError> {
        self.0.on_timer(time, domain, cx)
    }
}

/// A function over two inputs without keys as one over both.
#[derive(Clone)]
pub struct OverBothRecords<P>(pub P);

impl<P: CoProcess> ProcessFunction for OverBothRecords<P> {
    type In = Sided<P::First, P::Second>;
    type Out = P::Out;

    fn open(&mut self) -> Result<(), BoxError> {
        self.0.open()
    }

    fn close(&mut self) -> Result<(), BoxError> {
        self.0.close()
    }

    fn initialize(&mut self, cx: &mut InitializeContext<'_>) -> Result<(), BoxError> {
        self.0.initialize(cx)
    }

    fn on_element(
        &mut self,
        value: Self::In,
        cx: &mut RecordContext<'_, P::Out>,
    ) -> Result<(), BoxError> {
        match value {
            Sided::First(value) => self.0.on_first(value, cx),
            Sided::Second(value) => self.0.on_second(value, cx),
        }
    }
}
