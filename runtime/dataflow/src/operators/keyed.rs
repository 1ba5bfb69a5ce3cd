//! Where a record's key lies.

use std::marker::PhantomData;

use floodmark_model::{KeyGroup, KeyGroupLayout};
use floodmark_state::Key;
use floodmark_wire::codec;

/// Finds the key of a record and the key group of the key, as the exchange before it did.
pub struct KeyOf<T, K, F> {
    layout: KeyGroupLayout,
    key_of: F,
    scratch: Vec<u8>,
    types: PhantomData<fn(T) -> K>,
}

impl<T, K: Key, F: Fn(&T) -> K> KeyOf<T, K, F> {
    /// Finds keys with `key_of`.
    pub fn new(layout: KeyGroupLayout, key_of: F) -> Self {
        Self { layout, key_of, scratch: Vec::new(), types: PhantomData }
    }

    /// Returns the key of `value` and its key group.
    pub fn find(&mut self, value: &T) -> (K, KeyGroup) {
        let key = (self.key_of)(value);
        let hash = codec::key_hash(&key, &mut self.scratch);
        (key, self.layout.group_of(hash))
    }
}
