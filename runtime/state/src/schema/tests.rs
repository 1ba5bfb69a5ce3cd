//! What was stored by an older version of a job, in the hands of a newer one.

use std::{collections::BTreeMap, time::Duration};

use floodmark_model::{KeyGroupLayout, KeyPlace, Timestamp};
use floodmark_wire::{SnapshotFile, key_hash};
use serde::{Deserialize, Serialize};

use super::*;
use crate::{
    KeyedStore, ListRef, MapRef, RestoredState, Snapshot, ValueRef,
    states::{Entries, Expiring, ExpiringTable, List},
};

const LAYOUT: KeyGroupLayout = KeyGroupLayout { group_count: 4, parallelism: 1 };
const KEYS: u8 = 50;

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
struct Euros(u32);

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
struct Cents {
    cents: u64,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
struct Money {
    currency: String,
    cents: u64,
}

fn in_cents(Euros(euros): Euros) -> Cents {
    Cents { cents: u64::from(euros) * 100 }
}

fn with_currency(Cents { cents }: Cents) -> Money {
    Money { currency: "EUR".to_owned(), cents }
}

const FIRST: Declaration<Euros> = Declaration::new("balance");
const SECOND: Declaration<Cents> =
    Declaration::new("balance").version(2, &[&Migration(1, in_cents)]);
const THIRD: Declaration<Money> = Declaration::new("balance").version(
    3,
    &[&Migration(1, |euros: Euros| with_currency(in_cents(euros))), &Migration(2, with_currency)],
);

fn store(files: Vec<SnapshotFile>) -> KeyedStore<u8> {
    KeyedStore::new("account", LAYOUT.range_of(0), &mut RestoredState::new(files))
}

fn file(store: &mut KeyedStore<u8>) -> SnapshotFile {
    let mut snapshot = Snapshot::default();
    store.freeze(&mut snapshot);
    snapshot.into_parts().0
}

fn place(key: u8) -> KeyPlace {
    LAYOUT.place_of(key_hash(&key))
}

fn value<T: Data>(store: &mut KeyedStore<u8>, of: Declaration<T>, key: u8) -> Option<T> {
    ValueRef::find(store, &of, place(key), &key).unwrap().get()
}

/// Returns what goes wrong when the value of a state is asked for.
fn refusal<T: Data>(files: Vec<SnapshotFile>, of: Declaration<T>) -> String {
    let mut store = store(files.clone());
    let refused = ValueRef::find(&mut store, &of, place(0), &0).err();
    assert_eq!(file(&mut store), files[0], "what is refused is not lost");
    refused.expect("it is refused").to_string()
}

fn stored_by_the_first() -> SnapshotFile {
    let mut first = store(Vec::new());
    for key in 0..KEYS {
        let mut state = ValueRef::find(&mut first, &FIRST, place(key), &key).unwrap();
        state.set(Euros(u32::from(key)));
    }
    file(&mut first)
}

#[test]
fn the_first_version_is_stored_as_if_there_were_none() {
    let file = stored_by_the_first();
    assert_eq!(file.sections[0].type_name, type_name::<(u8, Euros)>());
    assert_eq!(value(&mut store(vec![file]), FIRST, 7), Some(Euros(7)));
}

#[test]
fn each_version_migrates_to_each_later_one() {
    let first = stored_by_the_first();
    let mut second = store(vec![first.clone()]);
    assert!((0..KEYS).all(|key| {
        value(&mut second, SECOND, key) == Some(Cents { cents: u64::from(key) * 100 })
    }));
    let second = file(&mut second);
    let migrated = &second.sections[0];
    assert_eq!(migrated.type_name, format!("{} version 2", type_name::<(u8, Cents)>()));
    assert_eq!(migrated.entry_count, u64::from(KEYS));
    for older in [first, second.clone()] {
        let mut third = store(vec![older]);
        assert!((0..KEYS).all(|key| {
            let expected = with_currency(Cents { cents: u64::from(key) * 100 });
            value(&mut third, THIRD, key) == Some(expected)
        }));
        let mut again = store(vec![file(&mut third)]);
        assert_eq!(value(&mut again, THIRD, 3), Some(with_currency(Cents { cents: 300 })));
    }
    assert_eq!(value(&mut store(vec![second]), SECOND, 3), Some(Cents { cents: 300 }));
}

#[test]
fn a_table_keeps_its_order_through_a_migration() {
    let (first, range) = (stored_by_the_first(), LAYOUT.range_of(0));
    let plain = crate::Table::<u8, Euros>::restore(range, &first.sections).unwrap();
    let mut second = store(vec![first]);
    let mut keys = Vec::new();
    let table = second
        .declared::<Cents, _>(&SECOND, <crate::ValueForm<Cents> as crate::Form>::read_lasting);
    keys.extend(table.unwrap().iter().map(|(key, _)| *key));
    assert!(plain.iter().map(|(key, _)| *key).eq(keys));
}

#[test]
fn what_was_not_used_stays_in_its_old_version() {
    let first = stored_by_the_first();
    assert_eq!(file(&mut store(vec![first.clone()])), first);
}

#[test]
fn values_of_lists_and_entries_of_maps_migrate() {
    let mut first = store(Vec::new());
    let list: Declaration<Euros> = Declaration::new("list");
    let map: Declaration<(u8, Euros)> = Declaration::new("map");
    let mut state = ListRef::find(&mut first, &list, place(1), &1).unwrap();
    state.extend([Euros(3), Euros(1), Euros(2)]);
    let mut state = MapRef::find(&mut first, &map, place(1), &1).unwrap();
    (0..9).for_each(|name| state.insert(name, Euros(u32::from(name))));

    let mut second = store(vec![file(&mut first)]);
    let list: Declaration<Cents> = Declaration::new("list").version(2, &[&Migration(1, in_cents)]);
    let map: Declaration<(String, Cents)> = Declaration::new("map").version(
        2,
        &[&Migration(1, |(name, euros): (u8, Euros)| (name.to_string(), in_cents(euros)))],
    );
    let state = ListRef::find(&mut second, &list, place(1), &1).unwrap();
    assert!(state.iter().map(|value| value.cents).eq([300, 100, 200]));
    let state = MapRef::find(&mut second, &map, place(1), &1).unwrap();
    let found: BTreeMap<_, _> =
        state.iter().map(|(name, value)| (name.clone(), value.cents)).collect();
    assert_eq!(found, (0..9).map(|name: u64| (name.to_string(), name * 100)).collect());
}

#[test]
fn two_entries_of_a_map_do_not_become_one() {
    let mut first = store(Vec::new());
    let map: Declaration<(u8, Euros)> = Declaration::new("map");
    let mut state = MapRef::find(&mut first, &map, place(1), &1).unwrap();
    (0..2).for_each(|name| state.insert(name, Euros(1)));
    let map: Declaration<(bool, Cents)> = Declaration::new("map")
        .version(2, &[&Migration(1, |(_, euros): (u8, Euros)| (true, in_cents(euros)))]);
    let mut second = store(vec![file(&mut first)]);
    let refused = MapRef::find(&mut second, &map, place(1), &1).err().unwrap();
    let text = "the migration of state account/map gives two entries of a map one name";
    assert_eq!(refused.to_string(), text);
}

#[test]
fn life_times_stay() {
    let range = LAYOUT.range_of(0);
    let expires = |file: &SnapshotFile, of: &str| -> Vec<u8> {
        let section = file.sections.iter().find(|section| section.name == of).unwrap();
        let bytes = &section.groups[0].bytes;
        bytes[bytes.len() - size_of::<Timestamp>()..].to_vec()
    };
    let freeze = |name: &str, table: &mut dyn FnMut(&str) -> crate::FrozenSection| table(name)();
    let at = Timestamp(1_234);
    let mut values = crate::Table::<u8, Expiring<Euros>>::new(range);
    values.insert(place(1), 1, Expiring { value: Euros(5), expires: at });
    let mut lists = crate::Table::<u8, List<Expiring<Euros>>>::new(range);
    let cells = codec_round(&vec![Expiring { value: Euros(5), expires: at }]);
    lists.insert(place(1), 1, cells);
    let mut maps = crate::Table::<u8, Entries<u8, Expiring<Euros>>>::new(range);
    let cells = BTreeMap::from([(3_u8, Expiring { value: Euros(5), expires: at })]);
    maps.insert(place(1), 1, codec_round(&cells));
    let sections = vec![
        freeze("value", &mut |name| values.freeze("account", name)),
        freeze("list", &mut |name| lists.freeze("account", name)),
        freeze("map", &mut |name| maps.freeze("account", name)),
    ];
    let old = SnapshotFile { sections };
    let mut new = store(vec![old.clone()]);
    let ttl = Duration::from_secs(1);
    let value: Declaration<Cents> =
        Declaration::new("value").ttl(ttl).version(2, &[&Migration(1, in_cents)]);
    let list: Declaration<Cents> =
        Declaration::new("list").ttl(ttl).version(2, &[&Migration(1, in_cents)]);
    let map: Declaration<(u8, Cents)> = Declaration::new("map")
        .ttl(ttl)
        .version(2, &[&Migration(1, |(name, euros): (u8, Euros)| (name, in_cents(euros)))]);
    fn migrate<F: crate::Form>(store: &mut KeyedStore<u8>, of: &Declaration<F::Item>) -> usize {
        let table: &mut ExpiringTable<u8, F::Mortal> =
            store.declared_expiring(of, F::read_mortal).unwrap();
        table.iter().count()
    }
    assert_eq!(migrate::<crate::ValueForm<Cents>>(&mut new, &value), 1);
    assert_eq!(migrate::<crate::ListForm<Cents>>(&mut new, &list), 1);
    assert_eq!(migrate::<crate::MapForm<u8, Cents>>(&mut new, &map), 1);
    let new = file(&mut new);
    for name in ["value", "list", "map"] {
        assert_eq!(expires(&new, name), expires(&old, name), "{name}");
        assert_eq!(expires(&new, name), 1_234_i64.to_le_bytes(), "{name}");
    }
}

/// Returns the value of another type that has the same bytes.
fn codec_round<A: Serialize, B: serde::de::DeserializeOwned>(value: &A) -> B {
    let mut bytes = Vec::new();
    codec::encode_value(value, &mut bytes);
    codec::decode_value(&bytes).unwrap()
}

#[test]
fn what_cannot_be_migrated_is_refused_and_stays() {
    let first = stored_by_the_first();
    let mut second = store(vec![first.clone()]);
    value(&mut second, SECOND, 0);
    let second = file(&mut second);
    let no_way: Declaration<Money> =
        Declaration::new("balance").version(3, &[&Migration(2, with_currency)]);
    assert_eq!(
        refusal(vec![first.clone()], no_way),
        "state account/balance was stored in version 1, and this job expects version 3 and has no \
         migration from 1"
    );
    assert_eq!(
        refusal(vec![second], FIRST),
        "state account/balance was stored in version 2, and this job expects version 1, which is older"
    );
    let other: Declaration<Cents> = Declaration::new("balance");
    let text = refusal(vec![first.clone()], other);
    assert!(text.contains("::Euros)") && text.contains("::Cents)"), "{text}");
    // An old type that is longer than what was stored, and one that is shorter.
    let long: Declaration<u64> =
        Declaration::new("balance").version(2, &[&Migration(1, |text: String| text.len() as u64)]);
    let text = refusal(vec![first.clone()], long);
    assert!(text.starts_with("state account/balance cannot be read: "), "{text}");
    let short: Declaration<u64> =
        Declaration::new("balance").version(2, &[&Migration(1, |one: u8| u64::from(one))]);
    let text = refusal(vec![first], short);
    assert!(text.starts_with("state account/balance cannot be read: "), "{text}");
}

#[test]
fn a_kind_and_a_life_time_do_not_migrate() {
    let first = stored_by_the_first();
    let list: Declaration<Cents> =
        Declaration::new("balance").version(2, &[&Migration(1, in_cents)]);
    let mut store = store(vec![first]);
    let refused = ListRef::<u8, Cents>::find(&mut store, &list, place(0), &0).err().unwrap();
    assert_eq!(
        refused.to_string(),
        "state account/balance was stored as a value, and is wanted as a list"
    );
    let expiring = list.ttl(Duration::from_secs(1));
    let read = <crate::ValueForm<Cents> as crate::Form>::read_mortal;
    let refused = store.declared_expiring::<Expiring<Cents>, _>(&expiring, read).unwrap_err();
    assert_eq!(
        refused.to_string(),
        "state account/balance was stored as a value, and is wanted as a value with a life time"
    );
}

#[test]
fn one_name_is_used_in_one_version() {
    let mut store = store(Vec::new());
    value(&mut store, FIRST, 0);
    let second = FIRST.version(2, &[]);
    let refused = ValueRef::find(&mut store, &second, place(0), &0).err().unwrap();
    assert!(matches!(refused, StateError::InUse { .. }), "{refused}");
}

#[test]
fn a_fingerprint_is_split_again() {
    assert_eq!(fingerprint("(u8, u64)", 1), "(u8, u64)");
    for version in [1, 2, 70] {
        assert_eq!(split(&fingerprint("(u8, u64)", version)), ("(u8, u64)", version));
    }
}

#[test]
fn a_kind_is_known_by_the_stored_type() {
    type Name = (String, u8);
    let check = |type_name: &str, expected: &str| {
        assert_eq!(Kind::of::<Name>(type_name).unwrap().to_string(), expected);
    };
    check(type_name::<(Name, Vec<u64>)>(), "a value");
    check(type_name::<(Name, Expiring<u64>)>(), "a value with a life time");
    check(type_name::<(Name, List<u64>)>(), "a list");
    check(type_name::<(Name, List<Expiring<u64>>)>(), "a list with a life time");
    check(type_name::<(Name, Entries<u8, u64>)>(), "a map");
    check(type_name::<(Name, Entries<u8, Expiring<u64>>)>(), "a map with a life time");
    assert_eq!(Kind::of::<Name>(type_name::<(String, u8)>()), None);
}
