//! The short form of a keyed function: one state per key, one result per record.

use floodmark_model::{Batch, Record};
use floodmark_state::{Data, Entry, Key, Snapshot, Table};

use crate::{
    Error,
    chain::{Emitter, OpenContext, Operator},
    operators::{KeyOf, keyed::parts},
};

/// Turns every record into another, with a state of its key at hand.
pub struct Stateful<T, K, S, F, U> {
    uid: String,
    key_of: KeyOf<T, K, F>,
    map: U,
    /// Absent until opened.
    states: Option<Table<K, S>>,
}

impl<T, K, S, F, U> Stateful<T, K, S, F, U> {
    /// Creates the operator `uid`.
    pub fn new(uid: String, key_of: KeyOf<T, K, F>, map: U) -> Self {
        Self { uid, key_of, map, states: None }
    }
}

impl<T, K, S, F, U, O> Operator for Stateful<T, K, S, F, U>
where
    T: Data,
    K: Key,
    S: Data + Default,
    F: Fn(&T) -> K + Send,
    U: FnMut(&K, &mut S, T) -> O + Send,
    O: Data,
{
    type In = T;
    type Out = O;

    const KEEPS: &'static str = "one value per key";

    fn open(&mut self, cx: &mut OpenContext<'_>) -> Result<(), Error> {
        let sections = cx.restored.take(&self.uid, "state");
        self.states = Some(Table::restore(cx.key_groups, &sections)?);
        self.key_of.open(&self.uid, cx);
        Ok(())
    }

    fn on_batch(&mut self, batch: Batch<T>, out: &mut Emitter<O>) -> Result<(), Error> {
        let states = self.states.as_mut().expect("an operator is opened before it is used");
        self.key_of.for_each(
            batch,
            states,
            |states, keys| states.expect(parts(keys)),
            |states, (key, place), Record { timestamp, value }| {
                let state = match states.entry(place, key) {
                    Entry::Occupied(state) => state,
                    Entry::Vacant(vacancy) => vacancy.insert(key.clone(), S::default()),
                };
                out.emit(timestamp, (self.map)(key, state, value));
            },
        );
        Ok(())
    }

    fn freeze(&mut self, snapshot: &mut Snapshot) {
        let states = self.states.as_mut().expect("an operator is opened before it is used");
        snapshot.add(states.freeze(&self.uid, "state"));
    }
}
