//! The kinds of keyed state: a value, a list, a map; each with an end of life, if one is wanted.
//!
//! A kind is a view of one key's entry in a [`Table`]: what is stored per key is one value, one
//! [`List`] or one [`Entries`], so that every kind is frozen, stored and restored like any other
//! table, and a state that was stored as one kind is not restored as another.

mod expiring;
mod list;
mod map;
mod value;

pub use expiring::{Expiring, ExpiringTable, Lifetime, Mortal};
pub use list::{List, ListRef};
pub use map::{Entries, MapRef};
pub use value::ValueRef;

#[cfg(test)]
mod tests;

use std::time::Duration;

use floodmark_model::KeyPlace;
use floodmark_wire::key_hash;

use crate::{Data, Key, KeyedStore, StateError, Table};

/// The table of a state, whose contents expire or do not.
enum Cells<'a, K, V, M> {
    Lasting(&'a mut Table<K, V>),
    Expiring(&'a mut ExpiringTable<K, M>, Lifetime),
}

impl<'a, K: Key, V: Data, M: Mortal> Cells<'a, K, V, M> {
    /// Finds the table of the state `name`, whose contents live for `ttl` if that is given.
    fn find(
        store: &'a mut KeyedStore<K>,
        name: &'static str,
        ttl: Option<Duration>,
    ) -> Result<Self, StateError> {
        match ttl {
            None => Ok(Self::Lasting(store.table(name)?)),
            Some(ttl) => {
                let lifetime = Lifetime::begin(store.now(), ttl);
                Ok(Self::Expiring(store.expiring(name)?, lifetime))
            }
        }
    }
}

/// Returns every key that has something in the state `name`, with its place. `V` is stored if nothing
/// expires, and `M` otherwise.
///
/// # Errors
///
/// When the state has another type.
pub fn keys_of<K: Key, V: Data, M: Mortal>(
    store: &mut KeyedStore<K>,
    name: &'static str,
    ttl: Option<Duration>,
) -> Result<Vec<(K, KeyPlace)>, StateError> {
    let range = store.range();
    let placed = |key: &K| {
        let hash = key_hash(key);
        (key.clone(), KeyPlace { group: range.group_of(hash), hash })
    };
    Ok(match Cells::<K, V, M>::find(store, name, ttl)? {
        Cells::Lasting(table) => table.iter().map(|(key, _)| placed(key)).collect(),
        Cells::Expiring(table, lifetime) => {
            let alive = table.iter().filter(|(_, cell)| !cell.is_dead(lifetime.now()));
            alive.map(|(key, _)| placed(key)).collect()
        }
    })
}
