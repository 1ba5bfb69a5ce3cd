//! The named states of one keyed operator.

use std::{any::Any, collections::BTreeMap};

use floodmark_model::{KeyGroupRange, Timestamp};
use floodmark_platform::Machine;
use floodmark_wire::Section;

use crate::{
    Data, FrozenSection, Key, RestoredState, Snapshot, StateError, Table,
    states::{ExpiringTable, Mortal},
};

/// All states of one operator, created when they are first used.
///
/// State that was restored and not yet used stays in its stored form and goes into the next
/// snapshot unchanged: an operator that has not met a state again does not lose it.
pub struct KeyedStore<K> {
    operator: String,
    range: KeyGroupRange,
    /// Tells what has expired. Absent where nothing does.
    machine: Option<Machine>,
    /// The states in use, in the order of their first use; there are few.
    tables: Vec<(&'static str, Box<dyn NamedTable>)>,
    /// Restored states not in use yet.
    unclaimed: BTreeMap<String, Vec<Section>>,
    key: std::marker::PhantomData<fn() -> K>,
}

/// A table whose value type is known only to the handle that asks for it.
trait NamedTable: Send {
    fn as_any_mut(&mut self) -> &mut dyn Any;
    fn freeze(&mut self, operator: &str, name: &str) -> FrozenSection;
}

impl<K: Key, V: Data> NamedTable for Table<K, V> {
    fn as_any_mut(&mut self) -> &mut dyn Any {
        self
    }

    fn freeze(&mut self, operator: &str, name: &str) -> FrozenSection {
        Self::freeze(self, operator, name)
    }
}

impl<K: Key, V: Mortal> NamedTable for ExpiringTable<K, V> {
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
        let (operator, key) = (operator.to_owned(), std::marker::PhantomData);
        Self { operator, range, machine: None, tables: Vec::new(), unclaimed, key }
    }

    /// Lets states expire by the wall clock of `machine`.
    #[must_use]
    pub fn with_clock(self, machine: Machine) -> Self {
        Self { machine: Some(machine), ..self }
    }

    /// Returns the processing time.
    ///
    /// # Panics
    ///
    /// When the store has no clock.
    pub fn now(&self) -> Timestamp {
        let machine = self.machine.as_ref().expect("a store whose states expire has a clock");
        Timestamp::of_clock(machine.clock().wall())
    }

    /// Returns the key groups of the subtask.
    pub fn range(&self) -> KeyGroupRange {
        self.range
    }

    /// Returns the table of the state `name`.
    ///
    /// # Errors
    ///
    /// When the state was stored, or is already in use, with another type.
    pub fn table<V: Data>(&mut self, name: &'static str) -> Result<&mut Table<K, V>, StateError> {
        self.named(name, Table::<K, V>::restore)
    }

    /// Returns the table of the state `name`, whose values expire.
    ///
    /// # Errors
    ///
    /// When the state was stored, or is already in use, with another type or without an end.
    pub fn expiring<V: Mortal>(
        &mut self,
        name: &'static str,
    ) -> Result<&mut ExpiringTable<K, V>, StateError> {
        self.named(name, ExpiringTable::<K, V>::restore)
    }

    fn named<N: NamedTable + 'static>(
        &mut self,
        name: &'static str,
        restore: impl FnOnce(KeyGroupRange, &[Section]) -> Result<N, StateError>,
    ) -> Result<&mut N, StateError> {
        let index = match self.tables.iter().position(|(used, _)| *used == name) {
            Some(index) => index,
            None => {
                let sections = self.unclaimed.get(name).map_or(&[][..], Vec::as_slice);
                let table = restore(self.range, sections)?;
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
            wanted: std::any::type_name::<N>(),
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
