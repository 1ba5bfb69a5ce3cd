//! A state of a map per key.

use std::{collections::BTreeMap, marker::PhantomData, ops::RangeBounds};

use floodmark_model::{KeyPlace, Timestamp};
use serde::{Deserialize, Serialize};

use super::{Cells, Expiring, Form, Mortal, Reader};
use crate::{Data, Declaration, Entry, Key, KeyedStore, StateError};

/// What is stored of a map.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(bound(
    deserialize = "N: Ord + serde::de::DeserializeOwned, V: serde::de::DeserializeOwned"
))]
pub struct Entries<N, V>(BTreeMap<N, V>);

impl<N: Key, V: Data> Mortal for Entries<N, Expiring<V>> {
    fn is_dead(&self, now: Timestamp) -> bool {
        !self.0.values().any(|cell| cell.is_alive(now))
    }

    fn bury(&mut self, now: Timestamp) {
        self.0.retain(|_, cell| cell.is_alive(now));
    }
}

/// Stores a map.
pub struct MapForm<N, V>(PhantomData<(N, V)>);

impl<N: Key, V: Data> Form for MapForm<N, V> {
    type Item = (N, V);
    type Lasting = Entries<N, V>;
    type Mortal = Entries<N, Expiring<V>>;

    fn read_lasting(reader: &mut Reader<'_, (N, V)>) -> Result<Entries<N, V>, StateError> {
        let entries = reader.many(Reader::item)?;
        collect(entries, reader)
    }

    fn read_mortal(reader: &mut Reader<'_, (N, V)>) -> Result<Entries<N, Expiring<V>>, StateError> {
        let entries = reader.many(Reader::mortal_item)?;
        let entries = entries
            .into_iter()
            .map(|Expiring { value: (name, value), expires }| (name, Expiring { value, expires }));
        collect(entries.collect(), reader)
    }
}

/// Makes a map, whose entries are as many as there were.
fn collect<N: Key, V, I>(
    entries: Vec<(N, V)>,
    reader: &Reader<'_, I>,
) -> Result<Entries<N, V>, StateError> {
    let count = entries.len();
    let entries = Entries(BTreeMap::from_iter(entries));
    if entries.0.len() == count { Ok(entries) } else { Err(reader.merged()) }
}

/// The map of one key. A map without entries and no map are the same.
///
/// # Examples
///
/// ```
/// # use floodmark_state as floodmark;
/// use floodmark::MapRef;
///
/// /// Forgets everything before a day, and returns the sum of the rest: `since(cx.state(DAYS), 7)`.
/// fn since(mut days: MapRef<'_, String, u32, u64>, day: u32) -> u64 {
///     let old: Vec<u32> = days.range(..day).map(|(day, _)| *day).collect();
///     old.iter().for_each(|day| days.remove(day));
///     days.iter().map(|(_, amount)| amount).sum()
/// }
/// ```
pub struct MapRef<'a, K, N: Key, V: Data> {
    cells: Cells<'a, K, MapForm<N, V>>,
    place: KeyPlace,
    key: &'a K,
}

impl<'a, K: Key, N: Key, V: Data> MapRef<'a, K, N, V> {
    /// Points at the map of `key`, which lies at `place`, in a state. With a life time each entry is
    /// forgotten so long after it was written.
    ///
    /// # Errors
    ///
    /// When the state has another type.
    pub fn find(
        store: &'a mut KeyedStore<K>,
        declaration: &Declaration<(N, V)>,
        place: KeyPlace,
        key: &'a K,
    ) -> Result<Self, StateError> {
        Ok(Self { cells: Cells::find(store, declaration)?, place, key })
    }

    fn seen(&self, name: &N) -> Option<&V> {
        match &self.cells {
            Cells::Lasting(table) => table.get(self.place, self.key)?.0.get(name),
            Cells::Expiring(table, lifetime) => {
                lifetime.seen(table.get(self.place, self.key)?.0.get(name)?)
            }
        }
    }

    /// Returns the value under `name`, if there is one.
    pub fn get(&self, name: &N) -> Option<V> {
        self.seen(name).cloned()
    }

    /// Returns whether there is a value under `name`.
    pub fn contains(&self, name: &N) -> bool {
        self.seen(name).is_some()
    }

    /// Returns the entries, in the order of their names.
    pub fn iter(&self) -> impl Iterator<Item = (&N, &V)> {
        self.range(..)
    }

    /// Returns the entries whose names lie in `names`, in order.
    pub fn range(&self, names: impl RangeBounds<N> + Clone) -> impl Iterator<Item = (&N, &V)> {
        let (lasting, expiring) = match &self.cells {
            Cells::Lasting(table) => (table.get(self.place, self.key), None),
            Cells::Expiring(table, lifetime) => {
                (None, table.get(self.place, self.key).map(|map| (map, *lifetime)))
            }
        };
        let bounds = names.clone();
        let lasting = lasting.into_iter().flat_map(move |map| map.0.range(bounds.clone()));
        let expiring = expiring.into_iter().flat_map(move |(map, lifetime)| {
            let cells = map.0.range(names.clone());
            cells.filter_map(move |(name, cell)| Some((name, lifetime.seen(cell)?)))
        });
        lasting.chain(expiring)
    }

    /// Returns the names, in order.
    pub fn keys(&self) -> impl Iterator<Item = &N> {
        self.iter().map(|(name, _)| name)
    }

    /// Returns the number of entries.
    pub fn len(&self) -> usize {
        self.iter().count()
    }

    /// Returns whether there are no entries.
    pub fn is_empty(&self) -> bool {
        self.iter().next().is_none()
    }

    /// Sets the value under `name`.
    pub fn insert(&mut self, name: N, value: V) {
        match &mut self.cells {
            Cells::Lasting(table) => {
                let map = match table.entry(self.place, self.key) {
                    Entry::Occupied(map) => map,
                    Entry::Vacant(vacancy) => {
                        vacancy.insert(self.key.clone(), Entries(BTreeMap::new()))
                    }
                };
                map.0.insert(name, value);
            }
            Cells::Expiring(table, lifetime) => {
                let map = match table.entry(lifetime.now(), self.place, self.key) {
                    Entry::Occupied(map) => map,
                    Entry::Vacant(vacancy) => {
                        vacancy.insert(self.key.clone(), Entries(BTreeMap::new()))
                    }
                };
                map.0.insert(name, lifetime.give(value));
            }
        }
    }

    /// Changes the value under `name` in place, beginning with the type's default.
    pub fn update(&mut self, name: N, change: impl FnOnce(&mut V))
    where
        V: Default,
    {
        if let Cells::Lasting(table) = &mut self.cells
            && let Some(map) = table.get_mut(self.place, self.key)
        {
            return change(map.0.entry(name).or_default());
        }
        let mut value = self.get(&name).unwrap_or_default();
        change(&mut value);
        self.insert(name, value);
    }

    /// Removes the value under `name`.
    pub fn remove(&mut self, name: &N) {
        let is_empty = match &mut self.cells {
            Cells::Lasting(table) => match table.get_mut(self.place, self.key) {
                None => false,
                Some(map) => {
                    map.0.remove(name);
                    map.0.is_empty()
                }
            },
            Cells::Expiring(table, lifetime) => {
                if table.get(self.place, self.key).is_none() {
                    return;
                }
                match table.entry(lifetime.now(), self.place, self.key) {
                    Entry::Vacant(_) => false,
                    Entry::Occupied(map) => {
                        map.0.remove(name);
                        map.0.is_empty()
                    }
                }
            }
        };
        if is_empty {
            self.clear();
        }
    }

    /// Removes all entries.
    pub fn clear(&mut self) {
        match &mut self.cells {
            Cells::Lasting(table) => drop(table.remove(self.place, self.key)),
            Cells::Expiring(table, _) => table.remove(self.place, self.key),
        }
    }
}
