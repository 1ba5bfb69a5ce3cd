//! A table of keyed state: entries in the order in which their keys came, and an index by hash.

use std::{any::type_name, iter::zip, slice};

use floodmark_model::{KeyGroup, KeyPlace};
use floodmark_prefetch::prefetch;
use floodmark_wire::{KeyGroupBytes, Section, codec, key_hash};
use serde::Serialize;

use crate::{
    Data, Declaration, FrozenSection, Key, KeySpace, StateError,
    index::{Fragment, Index},
    pages::{FrozenPages, Pages},
    schema::{check_kind, fingerprint},
    snapshot::{check_type, decode, other_type, parts_in},
    states::Reader,
};

/// Values by key, for the key groups of one subtask.
///
/// Entries lie in the order in which their keys came, and a snapshot keeps that order: what is read in
/// turn does not depend on a restore. A removal moves the last entry into the gap.
///
/// A write after [`Table::freeze`] copies the page it falls into, once; so the cost of a snapshot is
/// spread over the writes that follow it.
#[derive(Debug)]
pub struct Table<K, V> {
    keys: KeySpace<K>,
    index: Index,
    entries: Pages<(K, V)>,
}

/// Size of a table from which on lookups are prepared, in bytes. Smaller ones stay in the memory that belongs
/// to one core, which is 1 MiB or more and also has all else that a record passes.
const EXPECT_FROM_BYTES: usize = 384 << 10;

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
    table: &'a mut Table<K, V>,
    place: KeyPlace,
}

impl<'a, K: Key, V: Data> Vacancy<'a, K, V> {
    /// Sets the value of the key that was looked up, and no other.
    pub fn insert(self, key: K, value: V) -> &'a mut V {
        let Self { table, place } = self;
        let number = table.push(place, key, value);
        table.at_mut(number).1
    }
}

/// An entry as a snapshot keeps it: with its number, which gives the order across key groups.
type Numbered<K, V> = (u32, K, V);

impl<K: Key, V: Data> Table<K, V> {
    /// Creates an empty table.
    pub fn new(keys: impl Into<KeySpace<K>>) -> Self {
        Self { keys: keys.into(), index: Index::default(), entries: Pages::default() }
    }

    /// Creates a table from the parts of `sections` that fall into the range of `keys`.
    ///
    /// # Errors
    ///
    /// When they were stored as another type, or are malformed.
    pub fn restore(keys: impl Into<KeySpace<K>>, sections: &[Section]) -> Result<Self, StateError> {
        let keys = keys.into();
        sections.iter().try_for_each(check_type::<(K, V)>)?;
        let mut entries = Vec::new();
        for (section, part) in parts_in(sections, keys.range()) {
            entries.append(&mut decode::<Vec<Numbered<K, V>>>(section, &part.bytes)?);
        }
        let mut table = Self::new(keys);
        table.extend(entries);
        Ok(table)
    }

    /// Creates a table from the parts of `sections` that fall into the range of `keys`, and migrates what was
    /// stored in an older version: `read` reads what a key has.
    ///
    /// # Errors
    ///
    /// When they were stored as another type or kind, or in a version from which there is no way, or
    /// are malformed.
    pub(crate) fn migrate<T>(
        keys: KeySpace<K>,
        sections: &[Section],
        declaration: &Declaration<T>,
        read: fn(&mut Reader<'_, T>) -> Result<V, StateError>,
    ) -> Result<Self, StateError> {
        let wanted = fingerprint(type_name::<(K, V)>(), declaration.current());
        let mut entries = Vec::new();
        for section in sections {
            check_kind::<K>(section, &wanted)?;
            let migration = declaration.way_from(section)?;
            if migration.is_none() && section.type_name != wanted {
                return Err(other_type(section, &wanted));
            }
            for (_, part) in parts_in(slice::from_ref(section), keys.range()) {
                let Some(migration) = migration else {
                    entries.append(&mut decode::<Vec<Numbered<K, V>>>(section, &part.bytes)?);
                    continue;
                };
                let mut reader = Reader::new(section, &part.bytes, migration);
                for _ in 0..reader.plain::<u64>()? {
                    entries.push((reader.plain()?, reader.plain()?, read(&mut reader)?));
                }
                reader.check_end()?;
            }
        }
        let mut table = Self::new(keys);
        table.extend(entries);
        Ok(table)
    }

    /// Adds entries of a snapshot, whose keys are not in the table, in the order that they had.
    pub(crate) fn extend(&mut self, mut entries: Vec<Numbered<K, V>>) {
        // Those of several subtasks may have one number; then the order of their key groups counts.
        entries.sort_by_key(|(number, ..)| *number);
        for (_, key, value) in entries {
            self.push(self.place_of(&key), key, value);
        }
    }

    fn find(&self, place: KeyPlace, key: &K) -> Option<usize> {
        self.number(place, key).map(|number| number as usize)
    }

    /// Adds an entry, whose key is not in the table, and returns its number.
    fn push(&mut self, place: KeyPlace, key: K, value: V) -> u32 {
        let number = self.append(place, key, value);
        self.index.insert(Fragment::of(place.hash), number);
        number
    }

    /// Adds an entry, whose key must not be in the table, and returns its number. It is found by its number
    /// only, not by its key: for those who know in which table they have which number, and never remove
    /// any by itself.
    pub fn append(&mut self, place: KeyPlace, key: K, value: V) -> u32 {
        debug_assert!(self.keys.range().contains(place.group), "a key is kept by its owner");
        let number = self.entries.push((key, value));
        u32::try_from(number).expect("a table holds fewer than 2³² entries")
    }

    /// Returns the place of a key.
    pub fn place_of(&self, key: &K) -> KeyPlace {
        self.keys.place_of(key)
    }

    /// Returns the value of `key`.
    pub fn get(&self, place: KeyPlace, key: &K) -> Option<&V> {
        self.find(place, key).map(|number| &self.entries.get(number).1)
    }

    /// Sets the value of `key`.
    pub fn insert(&mut self, place: KeyPlace, key: K, value: V) {
        match self.find(place, &key) {
            Some(number) => self.entries.get_mut(number).1 = value,
            None => _ = self.push(place, key, value),
        }
    }

    /// Returns the value of `key` for change, if there is one.
    pub fn get_mut(&mut self, place: KeyPlace, key: &K) -> Option<&mut V> {
        self.find(place, key).map(|number| &mut self.entries.get_mut(number).1)
    }

    /// Looks `key` up once, to change its value or to set it.
    #[inline]
    pub fn entry(&mut self, place: KeyPlace, key: &K) -> Entry<'_, K, V> {
        match self.find(place, key) {
            Some(number) => Entry::Occupied(&mut self.entries.get_mut(number).1),
            None => Entry::Vacant(Vacancy { table: self, place }),
        }
    }

    /// Returns the number of the entry of `key`, if there is one. Entries keep their numbers until one is
    /// removed.
    #[inline]
    pub fn number(&self, place: KeyPlace, key: &K) -> Option<u32> {
        let is_it = |number: u32| self.entries.get(number as usize).0 == *key;
        self.index.find(Fragment::of(place.hash), is_it)
    }

    /// Returns the number of the entry of `key`, and adds one with the value that `make` returns if there is
    /// none.
    #[inline]
    pub fn number_of(&mut self, place: KeyPlace, key: &K, make: impl FnOnce() -> V) -> u32 {
        self.number(place, key).unwrap_or_else(|| self.push(place, key.clone(), make()))
    }

    /// Returns the key of the entry with this number, and its value for change.
    ///
    /// # Panics
    ///
    /// When there is none.
    #[inline]
    pub fn at_mut(&mut self, number: u32) -> (&K, &mut V) {
        let (key, value) = self.entries.get_mut(number as usize);
        (key, value)
    }

    /// Returns the key of the entry with this number.
    ///
    /// # Panics
    ///
    /// When there is none.
    pub fn key_at(&self, number: u32) -> &K {
        &self.entries.get(number as usize).0
    }

    /// Asks for the memory of keys with these parts of their hashes, which will be looked up soon. Does
    /// nothing if all of the table is close to the processor anyway.
    #[inline]
    pub fn expect(&self, parts: impl Iterator<Item = Fragment> + Clone) {
        if self.index.size_bytes() + self.entries.size_bytes() < EXPECT_FROM_BYTES {
            return;
        }
        parts.clone().for_each(|part| self.index.prefetch(part));
        for number in parts.filter_map(|part| self.index.first(part)) {
            prefetch(self.entries.get(number as usize));
        }
    }

    /// Asks for the memory of the entries with these numbers, a few, which will be looked at soon.
    #[inline]
    pub fn expect_at(&self, numbers: &[u32]) {
        numbers.iter().for_each(|number| prefetch(self.entries.get(*number as usize)));
    }

    /// Removes and returns the value of `key`.
    pub fn remove(&mut self, place: KeyPlace, key: &K) -> Option<V> {
        let number = self.find(place, key)?;
        Some(self.remove_number(Fragment::of(place.hash), number).1)
    }

    fn remove_number(&mut self, fragment: Fragment, number: usize) -> (K, V) {
        let last = self.entries.len() - 1;
        let entry = |number| u32::try_from(number).expect("it is in the index");
        self.index.remove(fragment, entry(number));
        if number != last {
            let moved = Fragment::of(key_hash(&self.entries.get(last).0));
            self.index.renumber(moved, entry(last), entry(number));
        }
        self.entries.swap_remove(number)
    }

    /// Removes the values that `is_kept` does not accept.
    pub fn retain(&mut self, mut is_kept: impl FnMut(&V) -> bool) {
        // A removal moves the last entry; from the last to the first, that one has been visited.
        for number in (0..self.entries.len()).rev() {
            let (key, value) = self.entries.get(number);
            if !is_kept(value) {
                let part = Fragment::of(key_hash(key));
                self.remove_number(part, number);
            }
        }
    }

    /// Hands every value to `visit` for change, with the number of its entry.
    pub fn for_each_mut(&mut self, mut visit: impl FnMut(u32, &mut V)) {
        for number in 0..self.entries.len() {
            let entry = u32::try_from(number).expect("a table holds fewer than 2³² entries");
            visit(entry, &mut self.entries.get_mut(number).1);
        }
    }

    /// Returns all values with their keys, in their order.
    pub fn iter(&self) -> impl Iterator<Item = (&K, &V)> {
        self.entries.iter().map(|(key, value)| (key, value))
    }

    /// Removes and returns all values with their keys, in their order. The room stays.
    pub fn drain(&mut self) -> impl Iterator<Item = (K, V)> {
        self.index.clear();
        self.entries.drain()
    }

    /// Returns the number of values.
    pub fn entry_count(&self) -> usize {
        self.entries.len()
    }

    /// Fixes the content for a snapshot. Costs one reference count per page.
    pub fn freeze(&mut self, operator: &str, name: &str) -> FrozenSection {
        let (operator, name) = (operator.to_owned(), name.to_owned());
        let frozen = self.freeze_entries();
        Box::new(move || Section {
            operator,
            name,
            type_name: type_name::<(K, V)>().to_owned(),
            entry_count: frozen.entry_count(),
            groups: frozen.encode(),
        })
    }

    /// Returns what the table holds now, for good.
    pub(crate) fn freeze_entries(&mut self) -> FrozenTable<K, V> {
        FrozenTable { keys: self.keys, entries: self.entries.freeze() }
    }

    /// Removes all values. The room stays.
    pub fn clear(&mut self) {
        self.index.clear();
        self.entries.clear();
    }
}

/// What a table held when it was frozen.
pub(crate) struct FrozenTable<K, V> {
    keys: KeySpace<K>,
    entries: FrozenPages<(K, V)>,
}

impl<K: Key, V: Data> FrozenTable<K, V> {
    pub(crate) fn entry_count(&self) -> u64 {
        self.entries.len() as u64
    }

    /// Returns the entries of each key group of the range, in a form that serialises like
    /// [`Numbered`] ones.
    pub(crate) fn by_group(&self) -> Vec<Vec<(u32, &K, &V)>> {
        let range = self.keys.range();
        let mut groups = vec![Vec::new(); usize::from(range.len())];
        for (number, (key, value)) in zip(0.., self.entries.iter()) {
            let group = self.keys.group_of(key);
            groups[range.position_of(group)].push((number, key, value));
        }
        groups
    }

    fn encode(&self) -> Vec<KeyGroupBytes> {
        let groups = self.keys.range().iter().zip(self.by_group());
        let groups = groups.filter(|(_, entries)| !entries.is_empty());
        groups.map(|(group, entries)| encode(group, &entries)).collect()
    }
}

/// Returns the bytes of what belongs to a key group.
pub(crate) fn encode<T: Serialize + ?Sized>(group: KeyGroup, content: &T) -> KeyGroupBytes {
    let mut bytes = Vec::new();
    codec::encode_value(content, &mut bytes);
    KeyGroupBytes { group, bytes }
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
        let mut restored = Table::<u64, u64>::restore(LAYOUT.range_of(0), &[section]).unwrap();
        assert!(restored.iter().eq(table.iter()));
        for table in [&mut table, &mut restored] {
            assert_eq!(table.remove(place(&7_u64), &7), Some(7));
        }
        assert!(restored.iter().eq(table.iter()));
        assert_eq!(table.drain().map(|(key, _)| key).collect::<Vec<_>>(), [9, 2, 8, 1]);
    }

    #[test]
    fn what_is_not_kept_goes_and_the_rest_is_found() {
        let mut table = Table::new(LAYOUT.range_of(0));
        (0..100_u64).for_each(|key| insert(&mut table, key, key));
        table.retain(|value| value % 3 == 0);
        let found = |key: &u64| table.get(place(key), key).is_some();
        assert!((0..100).all(|key: u64| found(&key) == key.is_multiple_of(3)));
        assert_eq!(table.entry_count(), 34);
    }

    #[test]
    fn an_entry_is_found_by_its_number_until_one_is_removed() {
        let mut table = Table::new(LAYOUT.range_of(0));
        (0..100_u64).for_each(|key| insert(&mut table, key, key));
        let number = table.number(place(&7_u64), &7).expect("it is there");
        insert(&mut table, 100, 100);
        *table.at_mut(number).1 = 70;
        assert_eq!((table.key_at(number), table.get(place(&7_u64), &7)), (&7, Some(&70)));
        assert_eq!(table.number_of(place(&7_u64), &7, || unreachable!("it is there")), number);
        let last = table.number_of(place(&101_u64), &101, || 1);
        assert_eq!(table.at_mut(last), (&101, &mut 1));
        table.remove(place(&0_u64), &0);
        assert_eq!(table.number(place(&101_u64), &101), Some(0));
    }

    #[test]
    fn an_emptied_table_finds_nothing() {
        let mut table = Table::new(LAYOUT.range_of(0));
        (0..9_u64).for_each(|key| insert(&mut table, key, key));
        assert_eq!(table.drain().count(), 9);
        assert!((0..9_u64).all(|key| table.get(place(&key), &key).is_none()));
        insert(&mut table, 4, 1);
        assert!(table.iter().eq([(&4, &1)]));
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
