//! ProcessFunction functions over records without a key: user code that sees timestamps and event time, and
//! has neither keyed state nor timers.

use floodmark_model::{Batch, Record, Timestamp};
use floodmark_state::Data;

use crate::{
    BoxError, Error, OutputTag,
    chain::{Emitter, OpenContext, Operator},
};

/// A function over the records of a stream, with side outputs.
///
/// It has no timers and no state: those belong to keys.
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
pub struct RecordContext<'a, O> {
    timestamp: Timestamp,
    watermark: Timestamp,
    out: &'a mut Emitter<O>,
}

impl<'a, O: Data> RecordContext<'a, O> {
    pub(crate) fn new(timestamp: Timestamp, watermark: Timestamp, out: &'a mut Emitter<O>) -> Self {
        Self { timestamp, watermark, out }
    }

    /// Returns the record's timestamp.
    pub fn timestamp(&self) -> Timestamp {
        self.timestamp
    }

    /// Returns the event time of the operator: no record at or before it is expected.
    pub fn current_watermark(&self) -> Timestamp {
        self.watermark
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
    name: String,
    process: P,
    watermark: Timestamp,
}

impl<P: ProcessFunction> RecordProcessOperator<P> {
    /// Creates the operator; errors name `name`.
    pub fn new(name: String, process: P) -> Self {
        Self { name, process, watermark: Timestamp::MIN }
    }

    fn error(name: &str, source: BoxError) -> Error {
        Error::Operator { operator: name.to_owned(), source }
    }
}

impl<P: ProcessFunction> Operator for RecordProcessOperator<P> {
    type In = P::In;
    type Out = P::Out;

    fn open(&mut self, cx: &mut OpenContext<'_>) -> Result<(), Error> {
        self.watermark = cx.watermark;
        self.process.open().map_err(|source| Self::error(&self.name, source))
    }

    fn on_batch(&mut self, batch: Batch<P::In>, out: &mut Emitter<P::Out>) -> Result<(), Error> {
        for Record { timestamp, value } in batch {
            let mut cx = RecordContext::new(timestamp, self.watermark, out);
            let done = self.process.on_element(value, &mut cx);
            done.map_err(|source| Self::error(&self.name, source))?;
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
}
