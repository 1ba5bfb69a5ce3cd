//! The timers of one operator, in one domain of time.
//!
//! A timer is keyed state: it belongs to a key (or a key and a window), exists once per time, is
//! part of every snapshot, and fires in the order of time.

use std::{any::type_name, collections::BTreeSet, sync::Arc};

use floodmark_model::{KeyGroup, KeyGroupRange, Timestamp};
use floodmark_wire::{KeyGroupBytes, Section, codec};

use crate::{
    FrozenSection, Key, StateError,
    snapshot::{check_type, decode, parts_in},
};

/// Timers by owner, for the key groups of one subtask.
#[derive(Clone, Debug)]
pub struct Timers<N> {
    range: KeyGroupRange,
    /// The timers of each key group of `range`.
    groups: Vec<Arc<BTreeSet<(Timestamp, N)>>>,
    /// The time of each group's earliest timer, and the group's position in `range`.
    heads: BTreeSet<(Timestamp, usize)>,
}

impl<N: Key> Timers<N> {
    /// Creates an empty set of timers.
    pub fn new(range: KeyGroupRange) -> Self {
        let groups = vec![Arc::default(); usize::from(range.len())];
        Self { range, groups, heads: BTreeSet::new() }
    }

    /// Creates the timers in those parts of `sections` that fall into `range`.
    ///
    /// # Errors
    ///
    /// When they were stored as another type, or are malformed.
    pub fn restore(range: KeyGroupRange, sections: &[Section]) -> Result<Self, StateError> {
        sections.iter().try_for_each(check_type::<(Timestamp, N)>)?;
        let mut timers = Self::new(range);
        for (section, part) in parts_in(sections, range) {
            let entries: Vec<(Timestamp, N)> = decode(section, &part.bytes)?;
            for (time, owner) in entries {
                timers.register(part.group, time, owner);
            }
        }
        Ok(timers)
    }

    /// Adds a timer. One that exists already is not added again. Returns whether it is new.
    pub fn register(&mut self, group: KeyGroup, time: Timestamp, owner: N) -> bool {
        self.change(group, |timers| timers.insert((time, owner)))
    }

    /// Removes a timer. Returns whether it existed.
    pub fn delete(&mut self, group: KeyGroup, time: Timestamp, owner: N) -> bool {
        self.change(group, |timers| timers.remove(&(time, owner)))
    }

    /// Changes the timers of a group, and what is known of its earliest.
    fn change<R>(
        &mut self,
        group: KeyGroup,
        change: impl FnOnce(&mut BTreeSet<(Timestamp, N)>) -> R,
    ) -> R {
        let position = self.range.position_of(group);
        let timers = Arc::make_mut(&mut self.groups[position]);
        let before = timers.first().map(|(time, _)| *time);
        let done = change(timers);
        let after = timers.first().map(|(time, _)| *time);
        if before != after {
            before.map(|time| self.heads.remove(&(time, position)));
            after.map(|time| self.heads.insert((time, position)));
        }
        done
    }

    /// Returns the time of the earliest timer; `None` if there are no timers.
    pub fn earliest(&self) -> Option<Timestamp> {
        self.heads.first().map(|(time, _)| *time)
    }

    /// Forgets when the timers of each group are due, until an earlier one is added to the group.
    #[doc(hidden)]
    pub fn disarm(&mut self) {
        self.heads.clear();
    }

    /// Removes and returns the earliest timer that is due at `now`. Of several at one time, the one of
    /// the smallest key group comes first, and in a key group that of the smallest owner.
    pub fn pop_due(&mut self, now: Timestamp) -> Option<(Timestamp, KeyGroup, N)> {
        let (time, position) = *self.heads.first()?;
        if now < time {
            return None;
        }
        let offset = u16::try_from(position).expect("there are at most 2^15 key groups");
        let group = KeyGroup(self.range.start().0 + offset);
        let (time, owner) = self.change(group, BTreeSet::pop_first)?;
        Some((time, group, owner))
    }

    /// Returns the number of timers.
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
            type_name: type_name::<(Timestamp, N)>().to_owned(),
            entry_count: frozen.entry_count() as u64,
            groups: frozen.encode(),
        })
    }

    fn encode(&self) -> Vec<KeyGroupBytes> {
        let groups = self.range.iter().zip(&self.groups).filter(|(_, timers)| !timers.is_empty());
        groups
            .map(|(group, timers)| {
                let entries: Vec<&(Timestamp, N)> = timers.iter().collect();
                let mut bytes = Vec::new();
                codec::encode_value(&entries, &mut bytes);
                KeyGroupBytes { group, bytes }
            })
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use floodmark_model::KeyGroupLayout;

    use super::*;

    fn timers() -> Timers<u8> {
        Timers::new(KeyGroupLayout { group_count: 4, parallelism: 1 }.range_of(0))
    }

    /// Returns the owners that fire at `now`, in order.
    fn fire(timers: &mut Timers<u8>, now: i64) -> Vec<(i64, u8)> {
        let due = std::iter::from_fn(|| timers.pop_due(Timestamp(now)));
        due.map(|(time, _, owner)| (time.0, owner)).collect()
    }

    #[test]
    fn timers_fire_in_the_order_of_time_across_key_groups() {
        let mut timers = timers();
        timers.register(KeyGroup(3), Timestamp(10), 1);
        timers.register(KeyGroup(0), Timestamp(20), 2);
        timers.register(KeyGroup(1), Timestamp(10), 0);
        timers.register(KeyGroup(0), Timestamp(30), 3);
        assert_eq!(fire(&mut timers, 9), []);
        assert_eq!(fire(&mut timers, 20), [(10, 0), (10, 1), (20, 2)]);
        timers.delete(KeyGroup(0), Timestamp(30), 3);
        assert_eq!(timers.earliest(), None);
        timers.register(KeyGroup(0), Timestamp(30), 3);
        assert_eq!(fire(&mut timers, 29), []);
        assert_eq!(fire(&mut timers, 30), [(30, 3)]);
    }

    #[test]
    fn a_timer_registered_twice_fires_once_and_a_deleted_one_never() {
        let mut timers = timers();
        timers.register(KeyGroup(1), Timestamp(10), 1);
        timers.register(KeyGroup(1), Timestamp(10), 1);
        timers.register(KeyGroup(1), Timestamp(10), 2);
        timers.delete(KeyGroup(1), Timestamp(10), 2);
        timers.delete(KeyGroup(1), Timestamp(11), 2);
        assert_eq!(fire(&mut timers, 100), [(10, 1)]);
    }

    #[test]
    fn the_earliest_moment_is_known_without_a_search() {
        let mut timers = timers();
        assert_eq!(timers.earliest(), None);
        timers.register(KeyGroup(1), Timestamp(20), 1);
        timers.register(KeyGroup(2), Timestamp(10), 2);
        assert_eq!(timers.earliest(), Some(Timestamp(10)));
        assert_eq!(fire(&mut timers, 10), [(10, 2)]);
        assert_eq!(timers.earliest(), Some(Timestamp(20)));
        assert_eq!(fire(&mut timers, 20), [(20, 1)]);
        assert_eq!(timers.earliest(), None);
    }

    #[test]
    fn restored_timers_fire_like_the_frozen_ones() {
        let mut timers = timers();
        timers.register(KeyGroup(2), Timestamp(5), 7);
        let frozen = timers.freeze("windows", "timers");
        assert_eq!(fire(&mut timers, 5), [(5, 7)]);
        let range = timers.range;
        let mut restored = Timers::<u8>::restore(range, &[frozen()]).unwrap();
        assert_eq!(fire(&mut restored, 5), [(5, 7)]);
    }
}
