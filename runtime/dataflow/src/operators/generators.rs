//! Watermarks that the author of a job makes: what records say about those to come.

use floodmark_model::Timestamp;
use floodmark_state::{Data, FrozenSection, RestoredState, freeze_value};

use crate::Error;

/// Decides, record by record, what is promised about those to come.
///
/// Every split of a source has a generator of its own, which begins as a clone of the one that the
/// strategy was given, and is part of every snapshot: after a failure it goes on from where it was.
///
/// # Examples
///
/// ```
/// # mod floodmark { pub use floodmark_dataflow::{*, operators::*}; pub use floodmark_model::*; }
/// use floodmark::{Timestamp, WatermarkGenerator, WatermarkOutput};
/// use serde::{Deserialize, Serialize};
///
/// /// Promises, behind every record that says so, that everything before it was sent.
/// #[derive(Clone, Serialize, Deserialize)]
/// struct OnComplete;
///
/// /// A value, and whether everything before it was sent.
/// type Reading = (u64, bool);
///
/// impl WatermarkGenerator<Reading> for OnComplete {
///     fn on_record(
///         &mut self,
///         (_, is_complete): &Reading,
///         timestamp: Timestamp,
///         output: &mut WatermarkOutput,
///     ) {
///         if *is_complete {
///             output.emit(timestamp);
///         }
///     }
/// }
/// ```
pub trait WatermarkGenerator<T>: Data {
    /// Hears of a record. What is promised comes behind it.
    fn on_record(&mut self, value: &T, timestamp: Timestamp, output: &mut WatermarkOutput);

    /// Hears, about once in a heartbeat interval, that time has passed.
    ///
    /// # Determinism
    ///
    /// What is promised here depends on the clock, and so does what is late.
    #[doc(alias = "onPeriodicEmit")]
    fn on_tick(&mut self, _output: &mut WatermarkOutput) {}
}

/// Takes what a [`WatermarkGenerator`] says.
///
/// # Examples
///
/// ```
/// # mod floodmark { pub use floodmark_dataflow::{*, operators::*}; pub use floodmark_model::*; }
/// use floodmark::{Timestamp, WatermarkOutput};
///
/// /// Promises a time, or that nothing will come for a while.
/// fn say(next: Option<Timestamp>, output: &mut WatermarkOutput) {
///     match next {
///         Some(time) => output.emit(time),
///         None => output.mark_idle(),
///     }
/// }
///
/// say(Some(Timestamp(1_000)), &mut WatermarkOutput::default());
/// ```
#[derive(Debug, Default)]
pub struct WatermarkOutput {
    pub(crate) watermark: Option<Timestamp>,
    pub(crate) is_idle: bool,
}

impl WatermarkOutput {
    /// Promises that no record at or before `watermark` follows in this split. Of several promises
    /// the latest time counts; one that is not later than those before it changes nothing.
    pub fn emit(&mut self, watermark: Timestamp) {
        self.watermark = self.watermark.max(Some(watermark));
    }

    /// Says that nothing will come for a while, so that nobody waits for this split. The next record
    /// of the split ends that, unless the generator says so again with it.
    pub fn mark_idle(&mut self) {
        self.is_idle = true;
    }
}

/// The generators of all splits, without their type.
pub(crate) trait Generators<T>: Send {
    /// Takes those that were stored, and makes one for every other split.
    fn open(
        &mut self,
        operator: &str,
        restored: &mut RestoredState,
        split_count: usize,
    ) -> Result<(), Error>;

    fn on_record(&mut self, split: usize, value: &T, timestamp: Timestamp) -> WatermarkOutput;

    fn on_tick(&mut self, split: usize) -> WatermarkOutput;

    fn freeze(&self, operator: &str) -> Option<FrozenSection>;
}

/// A generator for each split.
pub(crate) struct PerSplit<G> {
    pub(crate) first: G,
    pub(crate) splits: Vec<G>,
}

/// What some records say of themselves.
pub(crate) struct Marked<F>(pub(crate) F);

/// The section of the generators.
const GENERATORS: &str = "generators";

impl<T, G: WatermarkGenerator<T>> Generators<T> for PerSplit<G> {
    fn open(
        &mut self,
        operator: &str,
        restored: &mut RestoredState,
        split_count: usize,
    ) -> Result<(), Error> {
        self.splits = restored.take_value(operator, GENERATORS)?.unwrap_or_default();
        self.splits.resize(split_count, self.first.clone());
        Ok(())
    }

    fn on_record(&mut self, split: usize, value: &T, timestamp: Timestamp) -> WatermarkOutput {
        let mut output = WatermarkOutput::default();
        self.splits[split].on_record(value, timestamp, &mut output);
        output
    }

    fn on_tick(&mut self, split: usize) -> WatermarkOutput {
        let mut output = WatermarkOutput::default();
        self.splits[split].on_tick(&mut output);
        output
    }

    fn freeze(&self, operator: &str) -> Option<FrozenSection> {
        Some(freeze_value(operator, GENERATORS, self.splits.clone()))
    }
}

impl<T, F> Generators<T> for Marked<F>
where
    F: Fn(&T, Timestamp) -> Option<Timestamp> + Send,
{
    fn open(&mut self, _: &str, _: &mut RestoredState, _: usize) -> Result<(), Error> {
        Ok(())
    }

    fn on_record(&mut self, _: usize, value: &T, timestamp: Timestamp) -> WatermarkOutput {
        WatermarkOutput { watermark: (self.0)(value, timestamp), is_idle: false }
    }

    fn on_tick(&mut self, _: usize) -> WatermarkOutput {
        WatermarkOutput::default()
    }

    fn freeze(&self, _: &str) -> Option<FrozenSection> {
        None
    }
}
