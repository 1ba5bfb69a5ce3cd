//! State that was frozen and restored is the state that was frozen.

use std::collections::BTreeMap;

use floodmark_model::{KeyGroupLayout, KeyPlace, Timestamp};
use floodmark_state::{RestoredState, Snapshot, Table, Timers, freeze_value};
use floodmark_wire::{SnapshotFile, decode_snapshot, key_hash};
use proptest::prelude::*;

const GROUP_COUNT: u16 = 8;

/// A change of a table: a key and its value, or its removal.
type Change = (u8, Option<i32>);

fn place_of(key: u8) -> KeyPlace {
    KeyGroupLayout { group_count: GROUP_COUNT, parallelism: 1 }.place_of(key_hash(&key))
}

fn apply(table: &mut Table<u8, i32>, (key, value): Change) {
    match value {
        Some(value) => table.insert(place_of(key), key, value),
        None => drop(table.remove(place_of(key), &key)),
    }
}

/// Writes the snapshot to bytes and reads it back.
fn through_bytes(snapshot: Snapshot) -> SnapshotFile {
    decode_snapshot(&snapshot.into_parts().0.encode()).expect("it was just encoded")
}

proptest! {
    /// A table restored by any number of subtasks holds, together, what was frozen, whatever was
    /// written to the original after that.
    #[test]
    fn a_frozen_table_is_restored_whole(
        before in prop::collection::vec(any::<Change>(), 0..60),
        after in prop::collection::vec(any::<Change>(), 0..60),
        parallelism in 1_u16..=GROUP_COUNT,
    ) {
        let whole = KeyGroupLayout { group_count: GROUP_COUNT, parallelism: 1 }.range_of(0);
        let mut table = Table::new(whole);
        let mut model = BTreeMap::new();
        for change in before {
            apply(&mut table, change);
            match change {
                (key, Some(value)) => drop(model.insert(key, value)),
                (key, None) => drop(model.remove(&key)),
            }
        }
        let mut snapshot = Snapshot::default();
        snapshot.add(table.freeze("operator", "state"));
        after.into_iter().for_each(|change| apply(&mut table, change));

        let file = through_bytes(snapshot);
        let layout = KeyGroupLayout { group_count: GROUP_COUNT, parallelism };
        let mut count = 0;
        for range in (0..parallelism).map(|index| layout.range_of(index)) {
            let restored = Table::<u8, i32>::restore(range, &file.sections).unwrap();
            count += restored.entry_count();
            for (key, value) in model.iter().filter(|(key, _)| range.contains(place_of(**key).group)) {
                prop_assert_eq!(restored.get(place_of(*key), key), Some(value));
            }
        }
        prop_assert_eq!(count, model.len());
    }

    /// Restored timers fire as the frozen ones would have: once each, in order.
    #[test]
    fn frozen_timers_fire_once_each_in_order(
        timers in prop::collection::vec((0_i64..50, 0_u8..20), 0..60),
        fired_before in 0_i64..50,
    ) {
        let range = KeyGroupLayout { group_count: GROUP_COUNT, parallelism: 1 }.range_of(0);
        let mut set = Timers::new(range);
        for (time, key) in &timers {
            set.register(place_of(*key).group, Timestamp(*time), *key);
        }
        while set.pop_due(Timestamp(fired_before)).is_some() {}
        let mut snapshot = Snapshot::default();
        snapshot.add(set.freeze("operator", "timers"));
        let file = through_bytes(snapshot);
        let mut restored = Timers::<u8>::restore(range, &file.sections).unwrap();

        let fired = std::iter::from_fn(|| restored.pop_due(Timestamp::MAX));
        let fired: Vec<_> = fired.map(|(time, _, key)| (time.0, key)).collect();
        let mut expected: Vec<_> =
            timers.into_iter().filter(|(time, _)| fired_before < *time).collect();
        // Of those at one time, those of the first key group come first.
        expected.sort_unstable_by_key(|(time, key)| (*time, place_of(*key).group, *key));
        expected.dedup();
        prop_assert_eq!(fired, expected);
    }

    /// A single value comes back, and only under its own name.
    #[test]
    fn a_frozen_value_is_restored(value in any::<(String, Vec<u64>)>()) {
        let mut snapshot = Snapshot::default();
        snapshot.add(freeze_value("source", "splits", value.clone()));
        let mut restored = RestoredState::new(vec![through_bytes(snapshot)]);
        prop_assert_eq!(restored.take_value::<u8>("source", "other"), Ok(None));
        prop_assert_eq!(restored.take_value("source", "splits"), Ok(Some(value)));
        prop_assert_eq!(restored.check_all_taken(), Ok(()));
    }
}
