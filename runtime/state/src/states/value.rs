//! A state of one value per key.

use std::marker::PhantomData;

use floodmark_model::KeyPlace;

use super::{Cells, Expiring, Form, Reader};
use crate::{Data, Declaration, Entry, Key, KeyedStore, StateError};

/// Stores a value.
pub struct ValueForm<V>(PhantomData<V>);

impl<V: Data> Form for ValueForm<V> {
    type Item = V;
    type Lasting = V;
    type Mortal = Expiring<V>;

    fn read_lasting(reader: &mut Reader<'_, V>) -> Result<V, StateError> {
        reader.item()
    }

    fn read_mortal(reader: &mut Reader<'_, V>) -> Result<Expiring<V>, StateError> {
        reader.mortal_item()
    }
}

/// One value of one key.
///
/// # Examples
///
/// ```
/// # use floodmark_state as floodmark;
/// use floodmark::ValueRef;
///
/// /// Counts one more, and returns how many there are: `counted(cx.state(COUNT))`.
/// fn counted(mut count: ValueRef<'_, String, u64>) -> u64 {
///     count.update(|count| *count += 1);
///     count.or_default()
/// }
/// ```
pub struct ValueRef<'a, K, V: Data> {
    cells: Cells<'a, K, ValueForm<V>>,
    place: KeyPlace,
    key: &'a K,
}

impl<'a, K: Key, V: Data> ValueRef<'a, K, V> {
    /// Points at the value of `key`, which lies at `place`, in a state. With a life time it is
    /// forgotten so long after it was written.
    ///
    /// # Errors
    ///
    /// When the state has another type.
    pub fn find(
        store: &'a mut KeyedStore<K>,
        declaration: &Declaration<V>,
        place: KeyPlace,
        key: &'a K,
    ) -> Result<Self, StateError> {
        Ok(Self { cells: Cells::find(store, declaration)?, place, key })
    }

    fn seen(&self) -> Option<&V> {
        match &self.cells {
            Cells::Lasting(table) => table.get(self.place, self.key),
            Cells::Expiring(table, lifetime) => {
                table.get(self.place, self.key).and_then(|cell| lifetime.seen(cell))
            }
        }
    }

    /// Returns the value, if it is set.
    pub fn get(&self) -> Option<V> {
        self.seen().cloned()
    }

    /// Returns the value, or the type's default if it is not set.
    pub fn or_default(&self) -> V
    where
        V: Default,
    {
        self.get().unwrap_or_default()
    }

    /// Sets the value.
    pub fn set(&mut self, value: V) {
        match &mut self.cells {
            Cells::Lasting(table) => table.insert(self.place, self.key.clone(), value),
            Cells::Expiring(table, lifetime) => {
                let value = lifetime.give(value);
                match table.entry(lifetime.now(), self.place, self.key) {
                    Entry::Occupied(cell) => *cell = value,
                    Entry::Vacant(vacancy) => drop(vacancy.insert(self.key.clone(), value)),
                }
            }
        }
    }

    /// Changes the value in place, beginning with the type's default.
    pub fn update(&mut self, change: impl FnOnce(&mut V))
    where
        V: Default,
    {
        self.update_or(V::default, change);
    }

    /// Changes the value in place, beginning with what `first` returns.
    pub fn update_or(&mut self, first: impl FnOnce() -> V, change: impl FnOnce(&mut V)) {
        match &mut self.cells {
            Cells::Lasting(table) => change(match table.entry(self.place, self.key) {
                Entry::Occupied(value) => value,
                Entry::Vacant(vacancy) => vacancy.insert(self.key.clone(), first()),
            }),
            Cells::Expiring(table, lifetime) => {
                match table.entry(lifetime.now(), self.place, self.key) {
                    Entry::Occupied(cell) => {
                        let is_alive = cell.is_alive(lifetime.now());
                        let mut value = if is_alive { cell.value.clone() } else { first() };
                        change(&mut value);
                        *cell = lifetime.give(value);
                    }
                    Entry::Vacant(vacancy) => {
                        let mut value = first();
                        change(&mut value);
                        vacancy.insert(self.key.clone(), lifetime.give(value));
                    }
                }
            }
        }
    }

    /// Unsets the value.
    pub fn clear(&mut self) {
        match &mut self.cells {
            Cells::Lasting(table) => drop(table.remove(self.place, self.key)),
            Cells::Expiring(table, _) => table.remove(self.place, self.key),
        }
    }
}
