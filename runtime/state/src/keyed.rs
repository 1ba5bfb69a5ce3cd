//! The named states of one keyed operator.

use std::{
    any::{Any, type_name},
    collections::BTreeMap,
};

use floodmark_model::Timestamp;
use floodmark_platform::Machine;
use floodmark_wire::Section;

use crate::{
    Data, Declaration, FrozenSection, Key, KeySpace, RestoredState, Snapshot, StateError, Table,
    schema::fingerprint,
    states::{ExpiringTable, Mortal, Reader},
};

/// All states of one operator, created when they are first used.
///
/// State that was restored and not yet used stays in its stored form and goes into the next
/// snapshot unchanged: an operator that has not met a state again does not lose it.
pub struct KeyedStore<K> {
    operator: String,
    keys: KeySpace<K>,
    /// Tells what has expired. Absent where nothing does.
    machine: Option<Machine>,
    /// The states in use, in the order of their first use; there are few.
    tables: Vec<Named>,
    /// Restored states not in use yet.
    unclaimed: BTreeMap<String, Vec<Section>>,
}

/// A state in use.
struct Named {
    name: &'static str,
    version: u32,
    /// The type of its entries.
    type_name: &'static str,
    table: Box<dyn NamedTable>,
}

/// Reads what a key has in a state of an older version.
type Read<V, T> = fn(&mut Reader<'_, T>) -> Result<V, StateError>;

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
    pub fn new(operator: &str, keys: impl Into<KeySpace<K>>, restored: &mut RestoredState) -> Self {
        let unclaimed = restored.take_rest(operator);
        let (operator, keys) = (operator.to_owned(), keys.into());
        Self { operator, keys, machine: None, tables: Vec::new(), unclaimed }
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

    /// Returns where keys lie.
    pub(crate) fn keys(&self) -> KeySpace<K> {
        self.keys
    }

    /// Returns the table of the state `name`.
    ///
    /// # Errors
    ///
    /// When the state was stored, or is already in use, with another type.
    pub fn table<V: Data>(&mut self, name: &'static str) -> Result<&mut Table<K, V>, StateError> {
        self.named::<V, _>((name, 1), Table::<K, V>::restore)
    }

    /// Returns the table of a state whose contents last; those of an older version are read by
    /// `read`.
    pub(crate) fn declared<V: Data, T>(
        &mut self,
        declaration: &Declaration<T>,
        read: Read<V, T>,
    ) -> Result<&mut Table<K, V>, StateError> {
        let version = (declaration.name(), declaration.current());
        self.named::<V, _>(version, |keys, sections| {
            Table::migrate(keys, sections, declaration, read)
        })
    }

    /// Returns the table of a state whose contents expire; those of an older version are read by
    /// `read`.
    pub(crate) fn declared_expiring<V: Mortal, T>(
        &mut self,
        declaration: &Declaration<T>,
        read: Read<V, T>,
    ) -> Result<&mut ExpiringTable<K, V>, StateError> {
        let version = (declaration.name(), declaration.current());
        self.named::<V, _>(version, |keys, sections| {
            let table = Table::migrate(keys, sections, declaration, read)?;
            Ok(ExpiringTable::of(table))
        })
    }

    fn named<V: Data, N: NamedTable + 'static>(
        &mut self,
        (name, version): (&'static str, u32),
        restore: impl FnOnce(KeySpace<K>, &[Section]) -> Result<N, StateError>,
    ) -> Result<&mut N, StateError> {
        let type_name = type_name::<(K, V)>();
        let index = match self.tables.iter().position(|used| used.name == name) {
            Some(index) => index,
            None => {
                let sections = self.unclaimed.get(name).map_or(&[][..], Vec::as_slice);
                let table = Box::new(restore(self.keys, sections)?);
                self.unclaimed.remove(name);
                self.tables.push(Named { name, version, type_name, table });
                self.tables.len() - 1
            }
        };
        let used = &mut self.tables[index];
        let table = if used.version == version { Some(used.table.as_any_mut()) } else { None };
        table.and_then(|table| table.downcast_mut()).ok_or_else(|| StateError::InUse {
            operator: self.operator.clone(),
            name: name.to_owned(),
            first: fingerprint(used.type_name, used.version),
            second: fingerprint(type_name, version),
        })
    }

    /// Adds all states to `snapshot`.
    pub fn freeze(&mut self, snapshot: &mut Snapshot) {
        for Named { name, version, table, .. } in &mut self.tables {
            let frozen = table.freeze(&self.operator, name);
            let version = *version;
            snapshot.add(Box::new(move || {
                let section = frozen();
                Section { type_name: fingerprint(&section.type_name, version), ..section }
            }));
        }
        for section in self.unclaimed.values().flatten().cloned() {
            snapshot.add(Box::new(move || section));
        }
    }
}

#[cfg(test)]
mod tests {
    use floodmark_model::{KeyGroupLayout, KeyPlace};
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
        let error = store.table::<u64>("level").unwrap_err();
        let text = "state alarm/level is used as (u8, u32) and as (u8, u64)";
        assert_eq!(error.to_string(), text);
    }

    #[test]
    fn what_a_key_has_under_a_name_stays_with_the_key() {
        let layout = |parallelism| KeyGroupLayout { group_count: 16, parallelism };
        let place = |key: u8, name: u64| KeyPlace {
            hash: key_hash(&(key, name)),
            ..layout(1).place_of(key_hash(&key))
        };
        let keys = (0..40_u8).flat_map(|key| [(key, 7_u64), (key, 8)]);
        let mut file = SnapshotFile { sections: Vec::new() };
        for index in 0..2 {
            let space = KeySpace::with_namespace(layout(2).range_of(index));
            let mut half = KeyedStore::new("alarm", space, &mut RestoredState::default());
            let table = half.table::<u64>("level").unwrap();
            for (key, name) in keys.clone() {
                if space.range().contains(place(key, name).group) {
                    table.insert(place(key, name), (key, name), name);
                }
            }
            let mut snapshot = Snapshot::default();
            half.freeze(&mut snapshot);
            file.sections.append(&mut snapshot.into_parts().0.sections);
        }
        for index in 0..3 {
            let range = layout(3).range_of(index);
            let space = KeySpace::with_namespace(range);
            let mut restored = RestoredState::new(vec![file.clone()]);
            let mut third = KeyedStore::new("alarm", space, &mut restored);
            let table = third.table::<u64>("level").unwrap();
            for (key, name) in keys.clone() {
                let is_ours = range.contains(place(key, name).group);
                let expected = is_ours.then_some(&name);
                assert_eq!(table.get(place(key, name), &(key, name)), expected, "{key} {name}");
            }
        }
    }
}
