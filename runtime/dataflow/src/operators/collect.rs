//! One record in, any number out, handed over one by one.

use std::marker::PhantomData;

use floodmark_model::{Batch, Record, Timestamp};
use floodmark_state::Data;

use crate::{
    Error,
    chain::{Emitter, Operator},
};

/// Takes what a function makes of a record. All of it has the timestamp of the record.
///
/// # Examples
///
/// ```
/// # mod floodmark { pub use floodmark_dataflow::{*, operators::*}; }
/// use floodmark::Collector;
///
/// /// Takes a line apart, without a list of its words.
/// fn split(line: &str, words: &mut Collector<'_, String>) {
///     line.split(' ').for_each(|word| words.collect(word.to_owned()));
/// }
/// ```
pub struct Collector<'a, O> {
    timestamp: Timestamp,
    out: &'a mut Emitter<O>,
}

impl<O: Data> Collector<'_, O> {
    /// Emits a value.
    pub fn collect(&mut self, value: O) {
        self.out.emit(self.timestamp, value);
    }
}

/// Runs a function that hands over what it makes of a record.
pub struct CollectMap<T, O, F> {
    map: F,
    types: PhantomData<fn(T) -> O>,
}

impl<T, O, F> CollectMap<T, O, F> {
    /// Maps with `map`.
    pub fn new(map: F) -> Self {
        Self { map, types: PhantomData }
    }
}

impl<T: Data, O: Data, F> Operator for CollectMap<T, O, F>
where
    F: FnMut(T, &mut Collector<'_, O>) + Send,
{
    type In = T;
    type Out = O;

    fn on_batch(&mut self, batch: Batch<T>, out: &mut Emitter<O>) -> Result<(), Error> {
        for Record { timestamp, value } in batch {
            (self.map)(value, &mut Collector { timestamp, out });
            out.pass_on_full()?;
        }
        Ok(())
    }
}
