//! The kinds of keyed state: a value, a list, a map; each with an end of life, if one is wanted.
//!
//! A kind is a view of one key's entry in a [`Table`]: what is stored per key is one value, one
//! [`List`] or one [`Entries`], so that every kind is frozen, stored and restored like any other
//! table, and a state that was stored as one kind is not restored as another. A [`Form`] says what is
//! stored of a kind, and reads it item by item where items are migrated.

mod expiring;
mod list;
mod map;
mod value;

pub use expiring::{Expiring, ExpiringTable, Lifetime, Mortal};
pub use list::{List, ListForm, ListRef};
pub use map::{Entries, MapForm, MapRef};
pub use value::{ValueForm, ValueRef};

#[cfg(test)]
mod tests;

use floodmark_model::KeyPlace;
use floodmark_wire::{Section, WireError};

use crate::{
    Data, Declaration, Key, KeyedStore, MigrateTo, StateError, Table,
    snapshot::{malformed, read},
};

/// What is stored per key, of which kind it is, and how it is read where its items are migrated.
pub trait Form: 'static {
    /// What is declared, and migrates one by one.
    type Item: 'static;
    /// What is stored if nothing expires.
    type Lasting: Data;
    /// What is stored otherwise.
    type Mortal: Mortal;

    /// Reads what is stored if nothing expires, and migrates its items.
    ///
    /// # Errors
    ///
    /// When the stored bytes are malformed, or a migration makes one of two items.
    fn read_lasting(reader: &mut Reader<'_, Self::Item>) -> Result<Self::Lasting, StateError>;

    /// Reads what is stored if it expires, and migrates its items.
    ///
    /// # Errors
    ///
    /// When the stored bytes are malformed, or a migration makes one of two items.
    fn read_mortal(reader: &mut Reader<'_, Self::Item>) -> Result<Self::Mortal, StateError>;
}

/// Reads a section of an older version.
pub struct Reader<'a, T: 'static> {
    section: &'a Section,
    bytes: &'a [u8],
    migration: &'static dyn MigrateTo<T>,
}

impl<'a, T> Reader<'a, T> {
    pub(crate) fn new(
        section: &'a Section,
        bytes: &'a [u8],
        migration: &'static dyn MigrateTo<T>,
    ) -> Self {
        Self { section, bytes, migration }
    }

    /// Makes sure that nothing is left: an old type that is not what was stored often leaves some.
    pub(crate) fn check_end(&self) -> Result<(), StateError> {
        if self.bytes.is_empty() {
            return Ok(());
        }
        let reason = format!("{} bytes are left", self.bytes.len());
        Err(malformed(self.section, WireError::Malformed { reason }))
    }

    /// Reads what is not migrated.
    pub(crate) fn plain<V: serde::de::DeserializeOwned>(&mut self) -> Result<V, StateError> {
        read(self.section, &mut self.bytes)
    }

    /// Reads an item.
    pub(crate) fn item(&mut self) -> Result<T, StateError> {
        let read = self.migration.read(&mut self.bytes);
        read.map_err(|source| malformed(self.section, source))
    }

    /// Reads an item and the moment from which it is forgotten, which stays.
    fn mortal_item(&mut self) -> Result<Expiring<T>, StateError> {
        Ok(Expiring { value: self.item()?, expires: self.plain()? })
    }

    /// Reads items in the number that stands before them.
    pub(crate) fn many<I>(
        &mut self,
        item: fn(&mut Self) -> Result<I, StateError>,
    ) -> Result<Vec<I>, StateError> {
        let count: u64 = self.plain()?;
        (0..count).map(|_| item(self)).collect()
    }

    fn merged(&self) -> StateError {
        let Section { operator, name, .. } = self.section;
        StateError::Merged { operator: operator.clone(), name: name.clone() }
    }
}

/// The table of a state, whose contents expire or do not.
enum Cells<'a, K, F: Form> {
    Lasting(&'a mut Table<K, F::Lasting>),
    Expiring(&'a mut ExpiringTable<K, F::Mortal>, Lifetime),
}

impl<'a, K: Key, F: Form> Cells<'a, K, F> {
    /// Finds the table of a state.
    fn find(
        store: &'a mut KeyedStore<K>,
        declaration: &Declaration<F::Item>,
    ) -> Result<Self, StateError> {
        match declaration.lifetime() {
            None => Ok(Self::Lasting(store.declared(declaration, F::read_lasting)?)),
            Some(ttl) => {
                let lifetime = Lifetime::begin(store.now(), ttl);
                let table = store.declared_expiring(declaration, F::read_mortal)?;
                Ok(Self::Expiring(table, lifetime))
            }
        }
    }
}

/// Returns every key that has something in a state, with its place.
///
/// # Errors
///
/// When the state has another type.
pub fn keys_of<K: Key, F: Form>(
    store: &mut KeyedStore<K>,
    declaration: &Declaration<F::Item>,
) -> Result<Vec<(K, KeyPlace)>, StateError> {
    let keys = store.keys();
    let placed = |key: &K| (key.clone(), keys.place_of(key));
    Ok(match Cells::<K, F>::find(store, declaration)? {
        Cells::Lasting(table) => table.iter().map(|(key, _)| placed(key)).collect(),
        Cells::Expiring(table, lifetime) => {
            let alive = table.iter().filter(|(_, cell)| !cell.is_dead(lifetime.now()));
            alive.map(|(key, _)| placed(key)).collect()
        }
    })
}
