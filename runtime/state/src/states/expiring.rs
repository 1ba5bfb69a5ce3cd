//! Contents of state that are forgotten some time after they were written.
//!
//! Time is the wall clock of the node. What has expired is never seen again; it is removed when its
//! key is written to, and otherwise by a look through the table once there were half as many writes
//! as it has keys, which costs each write a constant.

use std::time::Duration;

use floodmark_model::{KeyPlace, Timestamp};
use serde::{Deserialize, Serialize};

use crate::{Data, Entry, FrozenSection, Key, Table};

/// Writes to a table before it is searched, however few keys it has.
const SEARCH_AFTER_MIN: usize = 64;

/// Something and the moment from which it is forgotten.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Expiring<T> {
    pub(crate) value: T,
    pub(crate) expires: Timestamp,
}

/// What time it is, and how long lives what is written.
#[derive(Clone, Copy, Debug)]
pub struct Lifetime {
    now: Timestamp,
    end: Timestamp,
}

/// What can be dead as a whole.
pub trait Mortal: Data {
    /// Returns whether nothing of it is left at `now`.
    fn is_dead(&self, now: Timestamp) -> bool;

    /// Removes what is dead of something that is alive as a whole.
    fn bury(&mut self, now: Timestamp);
}

impl Lifetime {
    pub(super) fn begin(now: Timestamp, ttl: Duration) -> Self {
        Self { now, end: now + ttl }
    }

    /// Returns the processing time.
    pub fn now(self) -> Timestamp {
        self.now
    }

    pub(super) fn give<T>(self, value: T) -> Expiring<T> {
        Expiring { value, expires: self.end }
    }

    /// Returns the value if it is alive.
    pub(super) fn seen<T>(self, cell: &Expiring<T>) -> Option<&T> {
        cell.is_alive(self.now).then_some(&cell.value)
    }
}

impl<T> Expiring<T> {
    pub(super) fn is_alive(&self, now: Timestamp) -> bool {
        now < self.expires
    }
}

impl<T: Data> Mortal for Expiring<T> {
    fn is_dead(&self, now: Timestamp) -> bool {
        !self.is_alive(now)
    }

    fn bury(&mut self, _: Timestamp) {}
}

/// A table whose contents expire.
#[derive(Debug)]
pub struct ExpiringTable<K, V> {
    table: Table<K, V>,
    /// Writes since it was searched.
    write_count: usize,
}

impl<K: Key, V: Mortal> ExpiringTable<K, V> {
    /// Lets the contents of a table expire.
    pub(crate) fn of(table: Table<K, V>) -> Self {
        Self { table, write_count: 0 }
    }

    pub(crate) fn freeze(&mut self, operator: &str, name: &str) -> FrozenSection {
        self.table.freeze(operator, name)
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = (&K, &V)> {
        self.table.iter()
    }

    pub(super) fn get(&self, place: KeyPlace, key: &K) -> Option<&V> {
        self.table.get(place, key)
    }

    pub(super) fn remove(&mut self, place: KeyPlace, key: &K) {
        self.table.remove(place, key);
    }

    /// Looks a key up to write to it, at `now`.
    pub(super) fn entry(&mut self, now: Timestamp, place: KeyPlace, key: &K) -> Entry<'_, K, V> {
        self.search_in_turn(now);
        self.table.entry(place, key)
    }

    /// Removes what is dead, when it is time.
    fn search_in_turn(&mut self, now: Timestamp) {
        self.write_count += 1;
        if self.write_count < SEARCH_AFTER_MIN.max(self.table.entry_count() / 2) {
            return;
        }
        self.write_count = 0;
        let keys: Vec<K> = self.table.iter().map(|(key, _)| key.clone()).collect();
        for key in keys {
            let place = self.table.place_of(&key);
            match self.table.get_mut(place, &key) {
                Some(value) if value.is_dead(now) => drop(self.table.remove(place, &key)),
                Some(value) => value.bury(now),
                None => {}
            }
        }
    }

    #[cfg(test)]
    pub(super) fn entry_count(&self) -> usize {
        self.table.entry_count()
    }
}
