//! A state of many values per key, in the order in which they came.

use floodmark_model::{KeyPlace, Timestamp};
use serde::{Deserialize, Serialize};

use super::{Cells, Expiring, Form, Mortal, Reader};
use crate::{Data, Declaration, Entry, Key, KeyedStore, StateError};

/// What is stored of a list.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct List<T>(Vec<T>);

impl<T: Data> Mortal for List<Expiring<T>> {
    fn is_dead(&self, now: Timestamp) -> bool {
        !self.0.iter().any(|cell| cell.is_alive(now))
    }

    fn bury(&mut self, now: Timestamp) {
        self.0.retain(|cell| cell.is_alive(now));
    }
}

/// Stores a list.
pub struct ListForm<T>(std::marker::PhantomData<T>);

impl<T: Data> Form for ListForm<T> {
    type Item = T;
    type Lasting = List<T>;
    type Mortal = List<Expiring<T>>;

    fn read_lasting(reader: &mut Reader<'_, T>) -> Result<List<T>, StateError> {
        reader.many(Reader::item).map(List)
    }

    fn read_mortal(reader: &mut Reader<'_, T>) -> Result<List<Expiring<T>>, StateError> {
        reader.many(Reader::mortal_item).map(List)
    }
}

/// The list of one key. A list without values and no list are the same.
///
/// # Examples
///
/// ```
/// # use floodmark_state as floodmark;
/// use floodmark::ListRef;
///
/// /// Adds a value and keeps the newest three: `add(cx.state(LATEST), 7)`.
/// fn add(mut latest: ListRef<'_, String, u64>, value: u64) {
///     latest.push(value);
///     let values = latest.get();
///     latest.set(values[values.len().saturating_sub(3)..].to_vec());
/// }
/// ```
pub struct ListRef<'a, K, T: Data> {
    cells: Cells<'a, K, ListForm<T>>,
    place: KeyPlace,
    key: &'a K,
}

impl<'a, K: Key, T: Data> ListRef<'a, K, T> {
    /// Points at the list of `key`, which lies at `place`, in a state. With a life time each value is
    /// forgotten so long after it was added.
    ///
    /// # Errors
    ///
    /// When the state has another type.
    pub fn find(
        store: &'a mut KeyedStore<K>,
        declaration: &Declaration<T>,
        place: KeyPlace,
        key: &'a K,
    ) -> Result<Self, StateError> {
        Ok(Self { cells: Cells::find(store, declaration)?, place, key })
    }

    /// Returns the values, in the order in which they were added.
    pub fn iter(&self) -> impl Iterator<Item = &T> {
        let (lasting, expiring) = match &self.cells {
            Cells::Lasting(table) => (table.get(self.place, self.key), None),
            Cells::Expiring(table, lifetime) => {
                (None, table.get(self.place, self.key).map(|list| (list, *lifetime)))
            }
        };
        let lasting = lasting.into_iter().flat_map(|list| list.0.iter());
        let expiring = expiring
            .into_iter()
            .flat_map(|(list, lifetime)| list.0.iter().filter_map(move |cell| lifetime.seen(cell)));
        lasting.chain(expiring)
    }

    /// Returns a copy of the values, in the order in which they were added.
    pub fn get(&self) -> Vec<T> {
        self.iter().cloned().collect()
    }

    /// Returns the number of values.
    pub fn len(&self) -> usize {
        self.iter().count()
    }

    /// Returns whether there are no values.
    pub fn is_empty(&self) -> bool {
        self.iter().next().is_none()
    }

    /// Adds a value at the end.
    pub fn push(&mut self, value: T) {
        self.extend([value]);
    }

    /// Adds values at the end.
    pub fn extend(&mut self, values: impl IntoIterator<Item = T>) {
        let mut values = values.into_iter().peekable();
        if values.peek().is_none() {
            return;
        }
        match &mut self.cells {
            Cells::Lasting(table) => match table.entry(self.place, self.key) {
                Entry::Occupied(list) => list.0.extend(values),
                Entry::Vacant(vacancy) => {
                    vacancy.insert(self.key.clone(), List(values.collect()));
                }
            },
            Cells::Expiring(table, lifetime) => {
                let cells = values.map(|value| lifetime.give(value));
                match table.entry(lifetime.now(), self.place, self.key) {
                    Entry::Occupied(list) => list.0.extend(cells),
                    Entry::Vacant(vacancy) => {
                        vacancy.insert(self.key.clone(), List(cells.collect()));
                    }
                }
            }
        }
    }

    /// Replaces all values.
    pub fn set(&mut self, values: Vec<T>) {
        self.clear();
        self.extend(values);
    }

    /// Removes all values.
    pub fn clear(&mut self) {
        match &mut self.cells {
            Cells::Lasting(table) => drop(table.remove(self.place, self.key)),
            Cells::Expiring(table, _) => table.remove(self.place, self.key),
        }
    }
}
