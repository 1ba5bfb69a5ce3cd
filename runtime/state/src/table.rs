//! A table of keyed state: one ordered map per key group, frozen in constant time.

use std::{any::type_name, collections::BTreeMap, sync::Arc};

use floodmark_model::{KeyGroup, KeyGroupRange};
use floodmark_wire::{KeyGroupBytes, Section, codec};

use crate::{
    Data, FrozenSection, Key, StateError,
    snapshot::{check_type, decode, parts_in},
};

/// Values by key, for the key groups of one subtask.
///
/// A write after [`Table::freeze`] copies the map of the key group it falls into, once; so the cost
/// of a snapshot is spread over the writes that follow it.
#[derive(Clone, Debug)]
pub struct Table<K, V> {
    range: KeyGroupRange,
    /// The map of each key group of `range`.
    groups: Vec<Arc<BTreeMap<K, V>>>,
}

impl<K: Key, V: Data> Table<K, V> {
    /// Creates an empty table.
    pub fn new(range: KeyGroupRange) -> Self {
        Self { range, groups: vec![Arc::default(); usize::from(range.len())] }
    }

    /// Creates a table from the parts of `sections` that fall into `range`.
    ///
    /// # Errors
    ///
    /// When they were stored as another type, or are malformed.
    pub fn restore(range: KeyGroupRange, sections: &[Section]) -> Result<Self, StateError> {
        sections.iter().try_for_each(check_type::<(K, V)>)?;
        let mut table = Self::new(range);
        for (section, part) in parts_in(sections, range) {
            let entries: Vec<(K, V)> = decode(section, &part.bytes)?;
            table.group_mut(part.group).extend(entries);
        }
        Ok(table)
    }

    /// Returns the value of `key`.
    pub fn get(&self, group: KeyGroup, key: &K) -> Option<&V> {
        self.groups[self.range.position_of(group)].get(key)
    }

    /// Sets the value of `key`.
    pub fn insert(&mut self, group: KeyGroup, key: K, value: V) {
        self.group_mut(group).insert(key, value);
    }

    /// Returns the value of `key` for change, if there is one.
    pub fn get_mut(&mut self, group: KeyGroup, key: &K) -> Option<&mut V> {
        self.group_mut(group).get_mut(key)
    }

    /// Removes and returns the value of `key`.
    pub fn remove(&mut self, group: KeyGroup, key: &K) -> Option<V> {
        self.group_mut(group).remove(key)
    }

    /// Returns the number of values.
    pub fn entry_count(&self) -> usize {
        self.groups.iter().map(|group| group.len()).sum()
    }

    /// Fixes the content for a snapshot. Costs one reference count per key group.
    pub fn freeze(&self, operator: &str, name: &str) -> FrozenSection {
        let (operator, name) = (operator.to_owned(), name.to_owned());
        let frozen = self.clone();
        Box::new(move || Section {
            operator,
            name,
            type_name: type_name::<(K, V)>().to_owned(),
            entry_count: frozen.entry_count() as u64,
            groups: frozen.encode(),
        })
    }

    fn encode(&self) -> Vec<KeyGroupBytes> {
        let groups = self.range.iter().zip(&self.groups).filter(|(_, map)| !map.is_empty());
        groups
            .map(|(group, map)| {
                let entries: Vec<(&K, &V)> = map.iter().collect();
                let mut bytes = Vec::new();
                codec::encode_value(&entries, &mut bytes);
                KeyGroupBytes { group, bytes }
            })
            .collect()
    }

    fn group_mut(&mut self, group: KeyGroup) -> &mut BTreeMap<K, V> {
        Arc::make_mut(&mut self.groups[self.range.position_of(group)])
    }
}

#[cfg(test)]
mod tests {
    use floodmark_model::KeyGroupLayout;

    use super::*;

    fn range() -> KeyGroupRange {
        KeyGroupLayout { group_count: 4, parallelism: 1 }.range_of(0)
    }

    #[test]
    fn a_frozen_table_does_not_see_later_writes() {
        let mut table = Table::new(range());
        table.insert(KeyGroup(1), "a".to_owned(), 1_u64);
        let frozen = table.freeze("counts", "total");
        table.insert(KeyGroup(1), "a".to_owned(), 2);
        table.insert(KeyGroup(3), "b".to_owned(), 3);

        let restored = Table::<String, u64>::restore(range(), &[frozen()]).unwrap();
        assert_eq!(restored.get(KeyGroup(1), &"a".to_owned()), Some(&1));
        assert_eq!(restored.entry_count(), 1);
        assert_eq!(table.get(KeyGroup(1), &"a".to_owned()), Some(&2));
    }

    #[test]
    fn only_the_groups_of_the_range_are_restored() {
        let mut table = Table::new(range());
        for group in 0..4 {
            table.insert(KeyGroup(group), group, group);
        }
        let section = table.freeze("counts", "total")();
        let half = KeyGroupLayout { group_count: 4, parallelism: 2 }.range_of(1);
        let restored = Table::<u16, u16>::restore(half, &[section]).unwrap();
        assert_eq!(restored.entry_count(), 2);
        assert_eq!(restored.get(KeyGroup(3), &3), Some(&3));
    }

    #[test]
    fn another_type_is_refused() {
        let mut table = Table::new(range());
        table.insert(KeyGroup(0), 1_u64, 1_u64);
        let section = table.freeze("counts", "total")();
        let error = Table::<u64, i64>::restore(range(), &[section]).unwrap_err();
        assert_eq!(
            error.to_string(),
            "state counts/total was stored as (u64, u64), and is wanted as (u64, i64)"
        );
    }
}
