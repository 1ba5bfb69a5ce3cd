//! What an operator remembers: keyed state, timers, snapshots.
//!
//! State lives in tables, whose entries lie in pages. Freezing a table for a snapshot shares the pages
//! and nothing else; serialising happens later, elsewhere, while the operator goes on and copies a page
//! the first time it writes to it. So the pause of a checkpoint hardly grows with the state.
//!
//! Nothing here knows channels, records or barriers.

mod copy_shelf;
mod index;
mod key_space;
mod keyed;
mod operator_store;
mod pages;
mod schema;
mod snapshot;
mod states;
mod table;
mod timers;
mod windows;

pub use copy_shelf::{Copy, CopyShelf};
pub use index::Fragment;
pub use key_space::KeySpace;
pub use keyed::KeyedStore;
pub use operator_store::{
    Distribution, OperatorListRef, OperatorStore, Place, is_subtask_list, redistribute,
};
pub use schema::{Declaration, MigrateTo, Migration, Migrations};
pub use snapshot::{Files, FrozenSection, RestoredState, Snapshot, StateError, freeze_value};
pub use states::{
    Entries, Expiring, ExpiringTable, Form, Lifetime, List, ListForm, ListRef, MapForm, MapRef,
    Mortal, ValueForm, ValueRef, keys_of,
};
pub use table::{Entry, Table, Vacancy};
pub use timers::Timers;
pub use windows::{Fired, Windows};

use serde::{Serialize, de::DeserializeOwned};

/// What can be a record or be kept in state.
///
/// `Sync` because a frozen snapshot is serialised on another thread than the one that goes on
/// reading the state.
///
/// # Examples
///
/// ```
/// # use floodmark_state as floodmark;
/// use floodmark::Data;
/// use serde::{Deserialize, Serialize};
///
/// #[derive(Clone, Serialize, Deserialize)]
/// struct Reading {
///     sensor: String,
///     level: f64,
/// }
///
/// /// Takes whatever can be a record.
/// fn takes(_: impl Data) {}
///
/// takes(Reading { sensor: "north".to_owned(), level: 1.5 });
/// takes(("to".to_owned(), 7));
/// ```
pub trait Data: Clone + Send + Sync + Serialize + DeserializeOwned + 'static {}

impl<T: Clone + Send + Sync + Serialize + DeserializeOwned + 'static> Data for T {}

/// What can be a key: [`Data`] with an order.
///
/// Equal keys must serialise to equal bytes, because the bytes choose the key group.
///
/// # Examples
///
/// ```
/// # use floodmark_state as floodmark;
/// use floodmark::Key;
/// use serde::{Deserialize, Serialize};
///
/// #[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
/// enum Side {
///     North,
///     South,
/// }
///
/// /// Takes whatever can be a key.
/// fn takes(_: impl Key) {}
///
/// takes(Side::North);
/// takes((Side::South, 7));
/// takes(Some("to".to_owned()));
/// ```
pub trait Key: Data + Ord {}

impl<T: Data + Ord> Key for T {}
