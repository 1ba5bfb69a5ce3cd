//! The named states of one keyed operator.

use std::{any::Any, collections::BTreeMap};

use floodmark_model::{KeyGroupRange, KeyPlace};
use floodmark_wire::Section;

use crate::{Data, Entry, FrozenSection, Key, RestoredState, Snapshot, StateError, Table};

/// All states of one operator, created when they are first used.
///
/// State that was restored and not yet used stays in its stored form and goes into the next
/// snapshot unchanged: an operator that has not met a state again does not lose it.
pub struct KeyedStore<K> {
    operator: String,
    range: KeyGroupRange,
    /// The states in use, in the order of their first use; there are few.
    tables: Vec<(&'static str, Box<dyn NamedTable<K>>)>,
    /// Restored states not in use yet.
    unclaimed: BTreeMap<String, Vec<Section>>,
}

/// A table whose value type is known only to the handle that asks for it.
trait NamedTable<K>: Send {
    fn as_any_mut(&mut self) -> &mut dyn Any;
    fn freeze(&mut self, operator: &str, name: &str) -> FrozenSection;
}

impl<K: Key, V: Data> NamedTable<K> for Table<K, V> {
    fn as_any_mut(&mut self) -> &mut dyn Any {
        self
    }

    fn freeze(&mut self, operator: &str, name: &str) -> FrozenSection {
        Self::freeze(self, operator, name)
    }
}

impl<K: Key> KeyedStore<K> {
    /// Creates the store of `operator`, with everything `restored` still holds for it.
    pub fn new(operator: &str, range: KeyGroupRange, restored: &mut RestoredState) -> Self {
        let unclaimed = restored.take_rest(operator);
        Self { operator: operator.to_owned(), range, tables: Vec::new(), unclaimed }
    }

    /// Returns the table of the state `name`.
    ///
    /// # Errors
    ///
    /// When the state was stored, or is already in use, with another type.
    pub fn table<V: Data>(&mut self, name: &'static str) -> Result<&mut Table<K, V>, StateError> {
        let index = match self.tables.iter().position(|(used, _)| *used == name) {
            Some(index) => index,
            None => {
                let sections = self.unclaimed.get(name).map_or(&[][..], Vec::as_slice);
                let table = Table::<K, V>::restore(self.range, sections)?;
                self.unclaimed.remove(name);
                self.tables.push((name, Box::new(table)));
                self.tables.len() - 1
            }
        };
        let table = self.tables[index].1.as_any_mut().downcast_mut();
        table.ok_or_else(|| StateError::Type {
            operator: self.operator.clone(),
            name: name.to_owned(),
            stored: "another type of this job".to_owned(),
            wanted: std::any::type_name::<(K, V)>(),
        })
    }

    /// Adds all states to `snapshot`.
    pub fn freeze(&mut self, snapshot: &mut Snapshot) {
        for (name, table) in &mut self.tables {
            snapshot.add(table.freeze(&self.operator, name));
        }
        for section in self.unclaimed.values().flatten().cloned() {
            snapshot.add(Box::new(move || section));
        }
    }
}

/// One value of one key.
pub struct ValueRef<'a, K, V> {
    table: &'a mut Table<K, V>,
    place: KeyPlace,
    key: &'a K,
}

impl<'a, K: Key, V: Data> ValueRef<'a, K, V> {
    /// Points at the value of `key`, which lies at `place`.
    pub fn new(table: &'a mut Table<K, V>, place: KeyPlace, key: &'a K) -> Self {
        Self { table, place, key }
    }

    /// Returns the value, if it is set.
    pub fn get(&self) -> Option<V> {
        self.table.get(self.place, self.key).cloned()
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
        self.table.insert(self.place, self.key.clone(), value);
    }

    /// Changes the value in place, beginning with the type's default.
    pub fn update(&mut self, change: impl FnOnce(&mut V))
    where
        V: Default,
    {
        change(match self.table.entry(self.place, self.key) {
            Entry::Occupied(value) => value,
            Entry::Vacant(vacancy) => vacancy.insert(self.key.clone(), V::default()),
        });
    }

    /// Unsets the value.
    pub fn clear(&mut self) {
        self.table.remove(self.place, self.key);
    }
}

#[cfg(test)]
mod tests {
    use floodmark_model::KeyGroupLayout;
    use floodmark_wire::{SnapshotFile, key_hash};

    use super::*;

    const LAYOUT: KeyGroupLayout = KeyGroupLayout { group_count: 4, parallelism: 1 };

    fn store(files: Vec<SnapshotFile>) -> KeyedStore<u8> {
        KeyedStore::new("alarm", LAYOUT.range_of(0), &mut RestoredState::new(files))
    }

    fn file(store: &mut KeyedStore<u8>) -> SnapshotFile {
        let mut snapshot = Snapshot::default();
        store.freeze(&mut snapshot);
        snapshot.into_parts().0
    }

    #[test]
    fn state_nobody_touched_since_the_restore_is_in_the_next_snapshot() {
        let mut first = store(Vec::new());
        let place = LAYOUT.place_of(key_hash(&1_u8));
        first.table::<u32>("level").unwrap().insert(place, 1, 40);
        let stored = file(&mut first);
        let mut untouched = store(vec![stored.clone()]);
        assert_eq!(file(&mut untouched), stored);
        let mut touched = store(vec![stored]);
        assert_eq!(touched.table::<u32>("level").unwrap().get(place, &1), Some(&40));
    }

    #[test]
    fn one_name_has_one_type() {
        let mut store = store(Vec::new());
        store.table::<u32>("level").unwrap();
        assert!(store.table::<u64>("level").is_err());
    }
}
