//! The kinds of state against what they should hold, on a clock of the test's own.

use std::{collections::BTreeMap, time::Duration};

use floodmark_model::{KeyGroupLayout, KeyPlace, Timestamp};
use floodmark_wire::{SnapshotFile, key_hash};

use super::*;
use crate::{Entry, RestoredState, Snapshot, StateError};

const LAYOUT: KeyGroupLayout = KeyGroupLayout { group_count: 4, parallelism: 1 };
const KEY: u8 = 7;

fn store(files: Vec<SnapshotFile>) -> KeyedStore<u8> {
    KeyedStore::new("operator", LAYOUT.range_of(0), &mut RestoredState::new(files))
}

fn file(store: &mut KeyedStore<u8>) -> SnapshotFile {
    let mut snapshot = Snapshot::default();
    store.freeze(&mut snapshot);
    snapshot.into_parts().0
}

fn place(key: u8) -> KeyPlace {
    LAYOUT.place_of(key_hash(&key))
}

fn list(store: &mut KeyedStore<u8>) -> ListRef<'_, u8, u64> {
    ListRef::find(store, &Declaration::new("list"), place(KEY), &KEY).unwrap()
}

fn map(store: &mut KeyedStore<u8>) -> MapRef<'_, u8, String, u64> {
    MapRef::find(store, &Declaration::new("map"), place(KEY), &KEY).unwrap()
}

#[test]
fn a_list_keeps_its_order_across_a_restore() {
    let mut first = store(Vec::new());
    assert!(list(&mut first).is_empty());
    list(&mut first).extend([3, 1]);
    list(&mut first).push(2);
    let mut second = store(vec![file(&mut first)]);
    assert_eq!(list(&mut second).get(), [3, 1, 2]);
    list(&mut second).set(Vec::new());
    assert_eq!(list(&mut second).len(), 0);
    assert_eq!(list(&mut first).get(), [3, 1, 2]);
}

#[test]
fn a_map_is_a_map_across_a_restore() {
    let mut first = store(Vec::new());
    for (name, value) in [("b", 1), ("a", 2), ("b", 3)] {
        map(&mut first).insert(name.to_owned(), value);
    }
    map(&mut first).remove(&"c".to_owned());
    let mut second = store(vec![file(&mut first)]);
    let found: BTreeMap<_, _> =
        map(&mut second).iter().map(|(name, value)| (name.clone(), *value)).collect();
    assert_eq!(found, BTreeMap::from([("a".to_owned(), 2), ("b".to_owned(), 3)]));
    assert_eq!(map(&mut second).get(&"b".to_owned()), Some(3));
    map(&mut second).remove(&"a".to_owned());
    map(&mut second).remove(&"b".to_owned());
    assert!(map(&mut second).is_empty());
    let table = second.table::<Entries<String, u64>>("map").unwrap();
    assert_eq!(table.entry_count(), 0, "an empty map takes no room");
}

#[test]
fn a_list_is_not_a_value_of_the_same_type() {
    let mut first = store(Vec::new());
    list(&mut first).push(1);
    let wanted = Declaration::new("list");
    let refused = ValueRef::<u8, Vec<u64>>::find(&mut first, &wanted, place(KEY), &KEY);
    assert!(matches!(refused.err(), Some(StateError::InUse { .. })));
    let mut second = store(vec![file(&mut first)]);
    let refused = ValueRef::<u8, Vec<u64>>::find(&mut second, &wanted, place(KEY), &KEY);
    let text = "state operator/list was stored as a list, and is wanted as a value";
    assert_eq!(refused.err().unwrap().to_string(), text);
}

#[test]
fn all_keys_of_a_state_are_found() {
    let mut store = store(Vec::new());
    for key in 0..9 {
        ValueRef::find(&mut store, &Declaration::new("value"), place(key), &key)
            .unwrap()
            .set(u64::from(key));
    }
    let found = keys_of::<u8, ValueForm<u64>>(&mut store, &Declaration::new("value")).unwrap();
    let mut keys: Vec<u8> = found.iter().map(|(key, _)| *key).collect();
    keys.sort_unstable();
    assert_eq!(keys, (0..9).collect::<Vec<_>>());
    assert!(found.iter().all(|(key, at)| *at == place(*key)));
}

#[test]
fn what_has_expired_is_removed_in_turn() {
    let range = LAYOUT.range_of(0);
    let mut table = ExpiringTable::<u64, Expiring<u64>>::of(Table::new(range));
    // Every moment one key is written that is never seen again, and lives for 10 ms.
    for now in 0..10_000 {
        let lifetime = Lifetime::begin(Timestamp(now), Duration::from_millis(10));
        let key = u64::try_from(now).unwrap();
        let place = LAYOUT.place_of(key_hash(&key));
        match table.entry(Timestamp(now), place, &key) {
            Entry::Occupied(_) => panic!("{key} is new"),
            Entry::Vacant(vacancy) => vacancy.insert(key, lifetime.give(1)),
        };
        assert!(lifetime.seen(table.get(place, &key).unwrap()).is_some());
    }
    assert!(table.entry_count() < 1_000, "{} entries are left", table.entry_count());
}

#[test]
fn what_is_written_lives_as_long_as_it_should() {
    let ttl = Duration::from_millis(10);
    let cell = Lifetime::begin(Timestamp(100), ttl).give('a');
    let seen = |now| Lifetime::begin(Timestamp(now), ttl).seen(&cell).copied();
    assert_eq!((seen(100), seen(109), seen(110)), (Some('a'), Some('a'), None));
}
