//! Operators that keep nothing: map, filter, and the end of a stream.

use std::marker::PhantomData;

use floodmark_model::{Batch, Record, Timestamp};
use floodmark_state::Data;

use crate::{
    BoxError, Delivery, Error,
    chain::{Emitter, Operator},
};

/// One record in, one record out.
pub struct Map<T, F> {
    map: F,
    value: PhantomData<fn(T)>,
}

/// Keeps some records.
pub struct Filter<T, F> {
    is_kept: F,
    value: PhantomData<fn(T)>,
}

/// Hands every record to a function, and emits none.
pub struct ForEach<T, F> {
    name: String,
    visit: F,
    value: PhantomData<fn(T)>,
}

/// Pairs every value with the timestamp of its record.
pub struct Timestamped<T>(PhantomData<fn(T)>);

impl<T> Default for Timestamped<T> {
    fn default() -> Self {
        Self(PhantomData)
    }
}

impl<T, F> Map<T, F> {
    /// Maps with `map`.
    pub fn new(map: F) -> Self {
        Self { map, value: PhantomData }
    }
}

impl<T, F> Filter<T, F> {
    /// Keeps what `is_kept` accepts.
    pub fn new(is_kept: F) -> Self {
        Self { is_kept, value: PhantomData }
    }
}

impl<T, F> ForEach<T, F> {
    /// Hands every record to `visit`; errors name `name`.
    pub fn new(name: String, visit: F) -> Self {
        Self { name, visit, value: PhantomData }
    }
}

impl<T: Data, U: Data, F: FnMut(T) -> U + Send> Operator for Map<T, F> {
    type In = T;
    type Out = U;

    fn on_batch(&mut self, batch: Batch<T>, out: &mut Emitter<U>) -> Result<(), Error> {
        let map = |Record { timestamp, value }| Record { timestamp, value: (self.map)(value) };
        out.emit_batch(batch.into_iter().map(map).collect());
        Ok(())
    }
}

impl<T: Data> Operator for Timestamped<T> {
    type In = T;
    type Out = (Timestamp, T);

    fn on_batch(
        &mut self,
        batch: Batch<T>,
        out: &mut Emitter<(Timestamp, T)>,
    ) -> Result<(), Error> {
        let pair = |Record { timestamp, value }| Record { timestamp, value: (timestamp, value) };
        out.emit_batch(batch.into_iter().map(pair).collect());
        Ok(())
    }
}

impl<T: Data, F: FnMut(&T) -> bool + Send> Operator for Filter<T, F> {
    type In = T;
    type Out = T;

    fn on_batch(&mut self, mut batch: Batch<T>, out: &mut Emitter<T>) -> Result<(), Error> {
        // Without a branch on what is kept, which nobody could predict: every record is moved to where
        // the next one that is kept belongs.
        let mut kept = 0;
        for index in 0..batch.len() {
            let is_kept = (self.is_kept)(&batch[index].value);
            batch.swap(kept, index);
            kept += usize::from(is_kept);
        }
        batch.truncate(kept);
        out.emit_batch(batch);
        Ok(())
    }
}

impl<T: Data, F: FnMut(T) -> Result<(), BoxError> + Send> Operator for ForEach<T, F> {
    type In = T;
    type Out = ();

    const DELIVERY: Option<Delivery> = Some(Delivery::Plain);

    fn on_batch(&mut self, batch: Batch<T>, _: &mut Emitter<()>) -> Result<(), Error> {
        let visited = batch.into_iter().try_for_each(|record| (self.visit)(record.value));
        visited.map_err(|source| Error::Operator { operator: self.name.clone(), source })
    }
}
