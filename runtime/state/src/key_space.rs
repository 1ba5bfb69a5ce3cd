//! Where keys lie: the key groups of a subtask, and what decides which of them a key belongs to.

use floodmark_model::{KeyGroup, KeyGroupRange, KeyPlace};
use floodmark_wire::key_hash;

use crate::Key;

/// The keys of one subtask.
#[derive(Debug)]
pub struct KeySpace<K> {
    range: KeyGroupRange,
    /// Returns the hash of that part of a key which decides who owns it, if not all of it does.
    owner_hash: Option<fn(&K) -> u64>,
}

impl<K> Clone for KeySpace<K> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<K> Copy for KeySpace<K> {}

/// Keys that are owned as a whole.
impl<K: Key> From<KeyGroupRange> for KeySpace<K> {
    fn from(range: KeyGroupRange) -> Self {
        Self { range, owner_hash: None }
    }
}

impl<K: Key, N: Key> KeySpace<(K, N)> {
    /// Creates the space of pairs of a key and a namespace, which is what state belongs to besides its
    /// key, as a window. The key alone decides: what it has in several namespaces stays with it.
    pub fn with_namespace(range: KeyGroupRange) -> Self {
        Self { range, owner_hash: Some(|(key, _)| key_hash(key)) }
    }
}

impl<K: Key> KeySpace<K> {
    /// Returns the key groups of the subtask.
    pub fn range(&self) -> KeyGroupRange {
        self.range
    }

    /// Returns the key group of a key.
    pub fn group_of(&self, key: &K) -> KeyGroup {
        self.place_of(key).group
    }

    /// Returns the place of a key.
    pub fn place_of(&self, key: &K) -> KeyPlace {
        let hash = key_hash(key);
        let owner_hash = self.owner_hash.map_or(hash, |owner_hash| owner_hash(key));
        KeyPlace { group: self.range.group_of(owner_hash), hash }
    }
}
