//! A table of keyed state: one map per key group, frozen in constant time.

use std::{any::type_name, sync::Arc};

use floodmark_model::{KeyGroup, KeyGroupRange, KeyPlace};
use floodmark_wire::{KeyGroupBytes, Section, codec, key_hash};
use indexmap::map::{
    IndexMap,
    raw_entry_v1::{RawEntryApiV1 as _, RawEntryMut, RawVacantEntryMut},
};
use serde::{Serialize, Serializer};

use crate::{
    Data, FrozenSection, Key, StateError,
    snapshot::{check_type, decode, parts_in},
};

/// Values by key, for the key groups of one subtask.
///
/// The values of a key group lie in the order in which their keys came, and a snapshot keeps that
/// order: what is read in turn does not depend on a restore. A removal moves the last one into the
/// gap.
///
/// A write after [`Table::freeze`] copies the map of the key group it falls into, once; so the cost
/// of a snapshot is spread over the writes that follow it.
#[derive(Debug)]
pub struct Table<K, V> {
    range: KeyGroupRange,
    /// The map of each key group of `range`.
    groups: Vec<Group<K, V>>,
}

/// What a table has for a key.
#[derive(Debug)]
pub enum Entry<'a, K, V> {
    /// A value.
    Occupied(&'a mut V),
    /// Nothing.
    Vacant(Vacancy<'a, K, V>),
}

/// Room for a value.
#[derive(Debug)]
pub struct Vacancy<'a, K, V> {
    entry: RawVacantEntryMut<'a, K, V, ()>,
    hash: u64,
}

impl<'a, K, V> Vacancy<'a, K, V> {
    /// Sets the value of the key that was looked up, and no other.
    pub fn insert(self, key: K, value: V) -> &'a mut V {
        self.entry.insert_hashed_nocheck(self.hash, key, value).1
    }
}

/// Keys are hashed by those who look them up.
type Map<K, V> = IndexMap<K, V, ()>;

/// The values of one key group. Ours alone costs nothing to change, not even a look at a reference
/// count.
#[derive(Debug)]
enum Group<K, V> {
    Own(Map<K, V>),
    /// A snapshot holds it, too.
    Shared(Arc<Map<K, V>>),
}

impl<K: Key, V: Data> Group<K, V> {
    fn new() -> Self {
        Self::Own(Map::with_hasher(()))
    }

    fn map(&self) -> &Map<K, V> {
        match self {
            Self::Own(map) => map,
            Self::Shared(map) => map,
        }
    }

    fn map_mut(&mut self) -> &mut Map<K, V> {
        if let Self::Shared(map) = self {
            let map = std::mem::replace(map, Arc::new(Map::with_hasher(())));
            *self = Self::Own(Arc::unwrap_or_clone(map));
        }
        match self {
            Self::Own(map) => map,
            Self::Shared(_) => unreachable!("it was just made ours"),
        }
    }

    /// Returns what the group holds now, for good.
    fn freeze(&mut self) -> Arc<Map<K, V>> {
        if let Self::Own(map) = self {
            let map = std::mem::replace(map, Map::with_hasher(()));
            *self = Self::Shared(Arc::new(map));
        }
        match self {
            Self::Shared(map) => map.clone(),
            Self::Own(_) => unreachable!("it was just shared"),
        }
    }
}

impl<K: Key, V: Data> Table<K, V> {
    /// Creates an empty table.
    pub fn new(range: KeyGroupRange) -> Self {
        Self { range, groups: range.iter().map(|_| Group::new()).collect() }
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
            table.groups[range.position_of(part.group)].map_mut().reserve(entries.len());
            for (key, value) in entries {
                let place = KeyPlace { group: part.group, hash: key_hash(&key) };
                table.insert(place, key, value);
            }
        }
        Ok(table)
    }

    /// Returns the value of `key`.
    pub fn get(&self, place: KeyPlace, key: &K) -> Option<&V> {
        let map = self.groups[self.range.position_of(place.group)].map();
        map.raw_entry_v1().from_key_hashed_nocheck(place.hash, key).map(|(_, value)| value)
    }

    /// Sets the value of `key`.
    pub fn insert(&mut self, place: KeyPlace, key: K, value: V) {
        match self
            .group_mut(place.group)
            .raw_entry_mut_v1()
            .from_key_hashed_nocheck(place.hash, &key)
        {
            RawEntryMut::Occupied(mut entry) => drop(entry.insert(value)),
            RawEntryMut::Vacant(entry) => drop(entry.insert_hashed_nocheck(place.hash, key, value)),
        }
    }

    /// Returns the value of `key` for change, if there is one.
    pub fn get_mut(&mut self, place: KeyPlace, key: &K) -> Option<&mut V> {
        match self
            .group_mut(place.group)
            .raw_entry_mut_v1()
            .from_key_hashed_nocheck(place.hash, key)
        {
            RawEntryMut::Occupied(entry) => Some(entry.into_mut()),
            RawEntryMut::Vacant(_) => None,
        }
    }

    /// Looks `key` up once, to change its value or to set it.
    pub fn entry(&mut self, place: KeyPlace, key: &K) -> Entry<'_, K, V> {
        match self
            .group_mut(place.group)
            .raw_entry_mut_v1()
            .from_key_hashed_nocheck(place.hash, key)
        {
            RawEntryMut::Occupied(entry) => Entry::Occupied(entry.into_mut()),
            RawEntryMut::Vacant(entry) => Entry::Vacant(Vacancy { entry, hash: place.hash }),
        }
    }

    /// Removes and returns the value of `key`.
    pub fn remove(&mut self, place: KeyPlace, key: &K) -> Option<V> {
        match self
            .group_mut(place.group)
            .raw_entry_mut_v1()
            .from_key_hashed_nocheck(place.hash, key)
        {
            RawEntryMut::Occupied(entry) => Some(entry.swap_remove()),
            RawEntryMut::Vacant(_) => None,
        }
    }

    /// Returns the values of a key group with their keys, in their order.
    pub fn group(&self, group: KeyGroup) -> impl Iterator<Item = (&K, &V)> {
        self.groups[self.range.position_of(group)].map().iter()
    }

    /// Removes and returns the values of a key group with their keys, in their order. The room stays.
    pub fn drain(&mut self, group: KeyGroup) -> impl Iterator<Item = (K, V)> {
        self.group_mut(group).drain(..)
    }

    /// Returns the number of values.
    pub fn entry_count(&self) -> usize {
        self.groups.iter().map(|group| group.map().len()).sum()
    }

    /// Fixes the content for a snapshot. Costs one reference count per key group.
    pub fn freeze(&mut self, operator: &str, name: &str) -> FrozenSection {
        let (operator, name) = (operator.to_owned(), name.to_owned());
        let frozen = self.freeze_groups();
        Box::new(move || Section {
            operator,
            name,
            type_name: type_name::<(K, V)>().to_owned(),
            entry_count: frozen.entry_count(),
            groups: frozen.0.iter().map(|(group, map)| encode(*group, map)).collect(),
        })
    }

    /// Returns what every key group holds now, for good.
    pub(crate) fn freeze_groups(&mut self) -> FrozenTable<K, V> {
        let groups = self.range.iter().zip(&mut self.groups);
        let groups = groups.filter(|(_, group)| !group.map().is_empty());
        FrozenTable(groups.map(|(number, group)| (number, group.freeze())).collect())
    }

    /// Removes all values. The room stays.
    pub(crate) fn clear(&mut self) {
        self.groups.iter_mut().for_each(|group| match group {
            Group::Own(map) => map.clear(),
            Group::Shared(_) => *group = Group::new(),
        });
    }

    fn group_mut(&mut self, group: KeyGroup) -> &mut Map<K, V> {
        self.groups[self.range.position_of(group)].map_mut()
    }
}

/// The key groups of a table that held something when it was frozen, in order.
pub(crate) struct FrozenTable<K, V>(Vec<(KeyGroup, Arc<Map<K, V>>)>);

impl<K, V> FrozenTable<K, V> {
    pub(crate) fn entry_count(&self) -> u64 {
        self.0.iter().map(|(_, map)| map.len() as u64).sum()
    }

    /// Returns what a key group held, if it held anything, in a form that serialises as pairs.
    pub(crate) fn entries(&self, group: KeyGroup) -> Option<Entries<'_, K, V>> {
        let position = self.0.binary_search_by_key(&group, |(group, _)| *group).ok()?;
        Some(Entries(&self.0[position].1))
    }
}

fn encode<K: Key, V: Data>(group: KeyGroup, map: &Map<K, V>) -> KeyGroupBytes {
    let mut bytes = Vec::new();
    codec::encode_value(&Entries(map), &mut bytes);
    KeyGroupBytes { group, bytes }
}

/// The entries of a map as a sequence of pairs.
pub(crate) struct Entries<'a, K, V>(&'a Map<K, V>);

impl<K: Serialize, V: Serialize> Serialize for Entries<'_, K, V> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_seq(self.0.iter())
    }
}

#[cfg(test)]
mod tests {
    use floodmark_model::KeyGroupLayout;

    use super::*;

    const LAYOUT: KeyGroupLayout = KeyGroupLayout { group_count: 4, parallelism: 1 };

    fn place<K: Serialize>(key: &K) -> KeyPlace {
        LAYOUT.place_of(key_hash(key))
    }

    fn insert<K: Key>(table: &mut Table<K, u64>, key: K, value: u64) {
        table.insert(place(&key), key, value);
    }

    #[test]
    fn a_frozen_table_does_not_see_later_writes() {
        let mut table = Table::new(LAYOUT.range_of(0));
        let (a, b) = ("a".to_owned(), "b".to_owned());
        insert(&mut table, a.clone(), 1);
        let frozen = table.freeze("counts", "total");
        insert(&mut table, a.clone(), 2);
        insert(&mut table, b, 3);

        let restored = Table::<String, u64>::restore(LAYOUT.range_of(0), &[frozen()]).unwrap();
        assert_eq!(restored.get(place(&a), &a), Some(&1));
        assert_eq!(restored.entry_count(), 1);
        assert_eq!(table.get(place(&a), &a), Some(&2));
    }

    #[test]
    fn only_the_groups_of_the_range_are_restored() {
        let mut table = Table::new(LAYOUT.range_of(0));
        (0..64_u16).for_each(|key| insert(&mut table, key, key.into()));
        let section = table.freeze("counts", "total")();
        let half = KeyGroupLayout { parallelism: 2, ..LAYOUT }.range_of(1);
        let restored = Table::<u16, u64>::restore(half, &[section]).unwrap();
        let (ours, others): (Vec<u16>, Vec<u16>) =
            (0..64).partition(|key| half.contains(place(key).group));
        assert!(!ours.is_empty() && !others.is_empty());
        assert_eq!(restored.entry_count(), ours.len());
        assert!(ours.iter().all(|key| restored.get(place(key), key) == Some(&(*key).into())));
    }

    #[test]
    fn a_restored_table_has_the_order_of_the_frozen_one() {
        let mut table = Table::new(LAYOUT.range_of(0));
        [9, 3, 7, 1, 8, 2_u64].into_iter().for_each(|key| insert(&mut table, key, key));
        table.remove(place(&3_u64), &3);
        let section = table.freeze("counts", "total")();
        let restored = Table::<u64, u64>::restore(LAYOUT.range_of(0), &[section]).unwrap();
        for group in LAYOUT.range_of(0).iter() {
            assert!(restored.group(group).eq(table.group(group)), "{group}");
        }
    }

    #[test]
    fn another_type_is_refused() {
        let mut table = Table::new(LAYOUT.range_of(0));
        insert(&mut table, 1_u64, 1);
        let section = table.freeze("counts", "total")();
        let error = Table::<u64, i64>::restore(LAYOUT.range_of(0), &[section]).unwrap_err();
        assert_eq!(
            error.to_string(),
            "state counts/total was stored as (u64, u64), and is wanted as (u64, i64)"
        );
    }
}
