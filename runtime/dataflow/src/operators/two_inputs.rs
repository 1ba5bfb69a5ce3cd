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
