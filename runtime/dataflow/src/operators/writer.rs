//! Sinks that hear everything a stream carries, and promise nothing.

use std::marker::PhantomData;

use floodmark_model::{Batch, Record, Timestamp};
use floodmark_platform::Machine;
use floodmark_state::Data;

use crate::{
    BoxError, Delivery, Error,
    chain::{Emitter, OpenContext, Operator},
};

/// Writes the records of a stream somewhere, and hears of event time.
///
/// After a failure it gets records again that it has seen before: at least once. Every subtask, and
/// every attempt of it, has a clone of its own.
///
/// # Examples
///
/// ```
/// # mod floodmark { pub use floodmark_dataflow::{*, operators::*}; pub use floodmark_model::*; }
/// use floodmark::{BoxError, Delivery, Record, Writer};
/// use std::{collections::BTreeMap, sync::{Arc, Mutex}};
///
/// /// Writes values under their names; what comes again is written over what was there.
/// #[derive(Clone, Default)]
/// struct Table(Arc<Mutex<BTreeMap<String, u64>>>);
///
/// impl Writer<(String, u64)> for Table {
///     const DELIVERY: Delivery = Delivery::Idempotent;
///
///     fn write(&mut self, record: Record<(String, u64)>) -> Result<(), BoxError> {
///         let (name, value) = record.value;
///         self.0.lock().expect("nobody panics with it").insert(name, value);
///         Ok(())
///     }
/// }
///
/// let mut table = Table::default();
/// table.write(Record::from(("to".to_owned(), 1))).expect("there is room");
/// table.write(Record::from(("to".to_owned(), 1))).expect("there is room");
/// assert_eq!(table.0.lock().expect("nobody panics with it").len(), 1);
/// ```
#[doc(alias = "SinkWriter")]
pub trait Writer<T>: Clone + Send + Sync + 'static {
    /// How it treats records that come again. One that overwrites what it wrote before may say
    /// [`Delivery::Idempotent`]. Nothing depends on it but what a job says of itself.
    const DELIVERY: Delivery = Delivery::Plain;

    /// Prepares for the first record. Called once in every attempt.
    ///
    /// # Errors
    ///
    /// When nothing can be written; the attempt fails.
    fn open(&mut self, _machine: &Machine) -> Result<(), BoxError> {
        Ok(())
    }

    /// Writes one record.
    ///
    /// # Errors
    ///
    /// When it cannot be written; the attempt fails.
    fn write(&mut self, record: Record<T>) -> Result<(), BoxError>;

    /// Hears that no record at or before `watermark` is expected any more. A watermark that was heard
    /// before is repeated when the stream was idle and is not any more.
    ///
    /// # Errors
    ///
    /// When that cannot be noted; the attempt fails.
    #[doc(alias = "writeWatermark")]
    fn on_watermark(&mut self, _watermark: Timestamp) -> Result<(), BoxError> {
        Ok(())
    }

    /// Hears that nothing will come for a while. The next watermark ends that.
    ///
    /// # Errors
    ///
    /// When that cannot be noted; the attempt fails.
    fn on_idle(&mut self) -> Result<(), BoxError> {
        Ok(())
    }
}

/// Runs a [`Writer`].
pub struct WriterOperator<T, W> {
    name: String,
    writer: W,
    value: PhantomData<fn(T)>,
}

impl<T, W> WriterOperator<T, W> {
    /// Creates the operator; errors name `name`.
    pub fn new(name: String, writer: W) -> Self {
        Self { name, writer, value: PhantomData }
    }

    fn named(&self, done: Result<(), BoxError>) -> Result<(), Error> {
        done.map_err(|source| Error::Operator { operator: self.name.clone(), source })
    }
}

impl<T: Data, W: Writer<T>> Operator for WriterOperator<T, W> {
    type In = T;
    type Out = ();

    const DELIVERY: Option<Delivery> = Some(W::DELIVERY);

    fn open(&mut self, cx: &mut OpenContext<'_>) -> Result<(), Error> {
        let done = self.writer.open(cx.machine);
        self.named(done)
    }

    fn on_batch(&mut self, batch: Batch<T>, _: &mut Emitter<()>) -> Result<(), Error> {
        let done = batch.into_iter().try_for_each(|record| self.writer.write(record));
        self.named(done)
    }

    fn on_watermark(&mut self, watermark: Timestamp, _: &mut Emitter<()>) -> Result<(), Error> {
        let done = self.writer.on_watermark(watermark);
        self.named(done)
    }

    fn on_idle(&mut self, _: &mut Emitter<()>) -> Result<(), Error> {
        let done = self.writer.on_idle();
        self.named(done)
    }
}
