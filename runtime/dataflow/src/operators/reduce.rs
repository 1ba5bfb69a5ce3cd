//! Rolling reduce: one result per record, the running value of its key.

use floodmark_model::{Batch, Record};
use floodmark_state::{Data, Entry, Key, Snapshot, Table};

use crate::{
    Error,
    chain::{Emitter, OpenContext, Operator},
    operators::{KeyOf, keyed::parts},
};

/// Combines each record with what its key had so far, and emits the result.
pub struct RollingReduce<T, K, F, R> {
    uid: String,
    key_of: KeyOf<T, K, F>,
    reduce: R,
    /// Absent until opened.
    values: Option<Table<K, T>>,
}

impl<T, K, F, R> RollingReduce<T, K, F, R> {
    /// Creates the operator `uid`.
    pub fn new(uid: String, key_of: KeyOf<T, K, F>, reduce: R) -> Self {
        Self { uid, key_of, reduce, values: None }
    }
}

impl<T, K, F, R> Operator for RollingReduce<T, K, F, R>
where
    T: Data,
    K: Key,
    F: Fn(&T) -> K + Send,
    R: FnMut(T, T) -> T + Send,
{
    type In = T;
    type Out = T;

    const KEEPS: &'static str = "one record per key";

    fn open(&mut self, cx: &mut OpenContext<'_>) -> Result<(), Error> {
        let sections = cx.restored.take(&self.uid, "value");
        self.values = Some(Table::restore(cx.key_groups, &sections)?);
        self.key_of.open(&self.uid, cx);
        Ok(())
    }

    fn on_batch(&mut self, batch: Batch<T>, out: &mut Emitter<T>) -> Result<(), Error> {
        let values = self.values.as_mut().expect("an operator is opened before it is used");
        let mut results = Batch::with_capacity(batch.len());
        self.key_of.for_each(
            batch,
            values,
            |values, keys| values.expect(parts(keys)),
            |values, (key, place), Record { timestamp, value }| {
                let value = match values.entry(place, key) {
                    Entry::Occupied(running) => {
                        let result = (self.reduce)(running.clone(), value);
                        running.clone_from(&result);
                        result
                    }
                    Entry::Vacant(vacancy) => {
                        vacancy.insert(key.clone(), value.clone());
                        value
                    }
                };
                results.push(Record { timestamp, value });
            },
        );
        out.emit_batch(results);
        Ok(())
    }

    fn freeze(&mut self, snapshot: &mut Snapshot) {
        let values = self.values.as_mut().expect("an operator is opened before it is used");
        snapshot.add(values.freeze(&self.uid, "value"));
    }
}
