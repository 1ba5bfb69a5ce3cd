//! The windows of one operator: a table of accumulators for each window that is open.
//!
//! Records come for few windows at a time, so the window is found first, and then the key in its
//! table. A window that ends is read out whole, which needs neither an entry per key to say when nor
//! an order of times.

use std::{
    any::type_name,
    collections::{BTreeMap, VecDeque},
};

use floodmark_model::{KeyGroup, KeyGroupRange, Timestamp};
use floodmark_wire::{KeyGroupBytes, Section, key_hash};
use serde::{Deserialize, Serialize};

use crate::{
    Data, FrozenSection, Key, StateError, Table,
    snapshot::{check_type, decode, parts_in},
    table::{FrozenTable, encode},
};

/// Emptied tables that are kept, so that the next windows need no memory of their own.
const SPARE_COUNT_MAX: usize = 2;

/// Accumulators by window and key, for the key groups of one subtask.
///
/// Windows are told apart by their start.
#[derive(Debug)]
pub struct Windows<K, A> {
    range: KeyGroupRange,
    /// By start, ascending. There are few.
    open: VecDeque<(Timestamp, Table<K, A>)>,
    spare: Vec<Table<K, A>>,
    /// By key group of `range`: windows that ended at this time or earlier have fired.
    fired: Vec<Timestamp>,
}

/// Up to when windows have fired.
pub struct Fired<'a> {
    range: KeyGroupRange,
    times: &'a [Timestamp],
    /// If it is one time. Key groups that come from several subtasks may differ until event time has
    /// caught up.
    all: Option<Timestamp>,
}

impl Fired<'_> {
    /// Returns up to when windows of `key` have fired.
    #[inline]
    pub fn of<K: Key>(&self, key: &K) -> Timestamp {
        let group = || self.range.group_of(key_hash(key));
        self.all.unwrap_or_else(|| self.times[self.range.position_of(group())])
    }
}

/// What a snapshot holds of one key group.
#[derive(Serialize, Deserialize)]
struct Stored<G> {
    /// Windows that ended at this time or earlier have fired.
    fired: Timestamp,
    /// The accumulators of each window.
    windows: Vec<(Timestamp, G)>,
}

impl<K: Key, A: Data> Windows<K, A> {
    /// Begins without windows.
    pub fn new(range: KeyGroupRange) -> Self {
        let fired = vec![Timestamp::MIN; usize::from(range.len())];
        Self { range, open: VecDeque::new(), spare: Vec::new(), fired }
    }

    /// Creates the windows in those parts of `sections` that fall into `range`.
    ///
    /// # Errors
    ///
    /// When they were stored as another type, or are malformed.
    pub fn restore(range: KeyGroupRange, sections: &[Section]) -> Result<Self, StateError> {
        sections.iter().try_for_each(check_type::<(Timestamp, K, A)>)?;
        let mut this = Self::new(range);
        let mut windows: BTreeMap<Timestamp, Vec<_>> = BTreeMap::new();
        for (section, part) in parts_in(sections, range) {
            let stored: Stored<Vec<(u32, K, A)>> = decode(section, &part.bytes)?;
            this.fired[range.position_of(part.group)] = stored.fired;
            for (start, mut entries) in stored.windows {
                windows.entry(start).or_default().append(&mut entries);
            }
        }
        for (start, entries) in windows {
            let position = this.open(start);
            this.table_mut(position).extend(entries);
        }
        Ok(this)
    }

    /// Returns the position of the open window of this length that contains `timestamp`. Positions
    /// hold until a window is opened or closed.
    pub fn find(&self, timestamp: Timestamp, size_ms: i64) -> Option<usize> {
        // The newest window gets most records.
        let contains = |(start, _): &(Timestamp, _)| {
            start.0 <= timestamp.0 && timestamp.0.saturating_sub(start.0) < size_ms
        };
        self.open.iter().rposition(contains)
    }

    /// Opens the window that begins at `start`, unless it is open, and returns its position.
    pub fn open(&mut self, start: Timestamp) -> usize {
        match self.open.binary_search_by_key(&start, |(start, _)| *start) {
            Ok(position) => position,
            Err(position) => {
                let table = self.spare.pop().unwrap_or_else(|| Table::new(self.range));
                self.open.insert(position, (start, table));
                position
            }
        }
    }

    /// Returns the start of the window at a position, if there are so many.
    pub fn start(&self, position: usize) -> Option<Timestamp> {
        self.open.get(position).map(|(start, _)| *start)
    }

    /// Returns the number of open windows.
    pub fn open_count(&self) -> usize {
        self.open.len()
    }

    /// Returns the position of the window that begins at `start`, if it is open.
    pub fn position_of(&self, start: Timestamp) -> Option<usize> {
        self.open.binary_search_by_key(&start, |(start, _)| *start).ok()
    }

    /// Returns the accumulators of the window at a position.
    ///
    /// # Panics
    ///
    /// When there is none.
    pub fn table(&self, position: usize) -> &Table<K, A> {
        &self.open[position].1
    }

    /// Returns the accumulators of the window at a position, for change.
    ///
    /// # Panics
    ///
    /// When there is none.
    pub fn table_mut(&mut self, position: usize) -> &mut Table<K, A> {
        &mut self.open[position].1
    }

    /// Returns up to when windows of a key group have fired.
    pub fn fired(&self, group: KeyGroup) -> Timestamp {
        self.fired[self.range.position_of(group)]
    }

    /// Returns up to when windows of all key groups have fired.
    pub fn fired_earliest(&self) -> Timestamp {
        *self.fired.iter().min().expect("a range is never empty")
    }

    /// Returns up to when windows of any key group have fired.
    pub fn fired_latest(&self) -> Timestamp {
        *self.fired.iter().max().expect("a range is never empty")
    }

    /// Returns the accumulators of the window at a position, and up to when windows have fired.
    ///
    /// # Panics
    ///
    /// When there is none.
    pub fn window_mut(&mut self, position: usize) -> (&mut Table<K, A>, Fired<'_>) {
        let Self { range, open, fired, .. } = self;
        let first = fired[0];
        let all = fired.iter().all(|fired| *fired == first).then_some(first);
        (&mut open[position].1, Fired { range: *range, times: fired, all })
    }

    /// Remembers that all windows that end at `time` or earlier have fired.
    pub fn on_fired(&mut self, time: Timestamp) {
        self.fired.iter_mut().for_each(|fired| *fired = time.max(*fired));
    }

    /// Closes the oldest window and forgets what is left in it.
    pub fn close_first(&mut self) {
        let Some((_, mut table)) = self.open.pop_front() else { return };
        if self.spare.len() < SPARE_COUNT_MAX {
            table.clear();
            self.spare.push(table);
        }
    }

    /// Returns the key groups.
    pub fn range(&self) -> KeyGroupRange {
        self.range
    }

    /// Fixes the content for a snapshot. Costs one reference count per key group and window.
    pub fn freeze(&mut self, operator: &str, name: &str) -> FrozenSection {
        let (operator, name) = (operator.to_owned(), name.to_owned());
        let windows: Vec<_> =
            self.open.iter_mut().map(|(start, table)| (*start, table.freeze_entries())).collect();
        let fired: Vec<_> = self.range.iter().zip(self.fired.iter().copied()).collect();
        Box::new(move || Section {
            operator,
            name,
            type_name: type_name::<(Timestamp, K, A)>().to_owned(),
            entry_count: windows.iter().map(|(_, table)| table.entry_count()).sum(),
            groups: encode_all(&fired, &windows),
        })
    }
}

/// Returns the bytes of every key group.
fn encode_all<K: Key, A: Data>(
    fired: &[(KeyGroup, Timestamp)],
    windows: &[(Timestamp, FrozenTable<K, A>)],
) -> Vec<KeyGroupBytes> {
    let mut stored: Vec<Stored<_>> =
        fired.iter().map(|(_, fired)| Stored { fired: *fired, windows: Vec::new() }).collect();
    for (start, table) in windows {
        for (stored, entries) in stored.iter_mut().zip(table.by_group()) {
            if !entries.is_empty() {
                stored.windows.push((*start, entries));
            }
        }
    }
    fired.iter().zip(&stored).map(|((group, _), stored)| encode(*group, stored)).collect()
}

#[cfg(test)]
mod tests {
    use floodmark_model::KeyGroupLayout;

    use super::*;

    const LAYOUT: KeyGroupLayout = KeyGroupLayout { group_count: 4, parallelism: 1 };

    fn add(windows: &mut Windows<u64, u64>, start: i64, key: u64) {
        let position = windows.open(Timestamp(start));
        let place = LAYOUT.place_of(key_hash(&key));
        windows.table_mut(position).insert(place, key, key + 1);
    }

    fn content(windows: &Windows<u64, u64>) -> Vec<(i64, u64, u64)> {
        let mut content = Vec::new();
        for (start, table) in &windows.open {
            content.extend(table.iter().map(|(key, value)| (start.0, *key, *value)));
        }
        content
    }

    #[test]
    fn a_timestamp_is_in_the_window_that_contains_it_if_that_is_open() {
        let mut windows = Windows::<u64, u64>::new(LAYOUT.range_of(0));
        for start in [20, 0, 10, 10] {
            windows.open(Timestamp(start));
        }
        let find = |time| windows.find(Timestamp(time), 10).and_then(|found| windows.start(found));
        assert_eq!(
            [-1, 0, 9, 10, 29, 30].map(find),
            [
                None,
                Some(Timestamp(0)),
                Some(Timestamp(0)),
                Some(Timestamp(10)),
                Some(Timestamp(20)),
                None
            ]
        );
    }

    #[test]
    fn a_window_at_the_beginning_of_time_does_not_contain_everything() {
        let mut windows = Windows::<u64, u64>::new(LAYOUT.range_of(0));
        windows.open(Timestamp::MIN);
        assert_eq!(windows.find(Timestamp::MIN, 10), Some(0));
        assert_eq!(windows.find(Timestamp(7), 10), None);
    }

    #[test]
    fn restored_windows_are_those_that_were_frozen() {
        let mut windows = Windows::new(LAYOUT.range_of(0));
        (0..9).for_each(|key| add(&mut windows, 10 * (key as i64 % 2), 8 - key));
        windows.on_fired(Timestamp(7));
        let (before, frozen) = (content(&windows), windows.freeze("hours", "windows"));
        add(&mut windows, 0, 77);
        windows.close_first();
        windows.on_fired(Timestamp(19));

        let restored = Windows::<u64, u64>::restore(LAYOUT.range_of(0), &[frozen()]).unwrap();
        assert_eq!(content(&restored), before);
        assert_eq!(before.len(), 9);
        assert!(LAYOUT.range_of(0).iter().all(|group| restored.fired(group) == Timestamp(7)));
    }

    #[test]
    fn a_closed_window_leaves_nothing_to_the_next() {
        let mut windows = Windows::new(LAYOUT.range_of(0));
        (0..9).for_each(|key| add(&mut windows, 0, key));
        windows.close_first();
        windows.open(Timestamp(10));
        assert_eq!(content(&windows), []);
    }
}
