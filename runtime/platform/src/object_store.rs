//! The object store: what outlives every node.

use std::ops::Range;

use bytes::Bytes;
use thiserror::Error;

use crate::BoxFuture;

/// Shared, durable storage of whole objects under path-like keys (`checkpoints/7/state`).
///
/// An operation that succeeded is durable and visible to every node. One that ended *in doubt* may
/// or may not have taken effect, or may still take effect later; the caller reads or repeats.
pub trait ObjectStore {
    /// Stores `value` if no object has this key. Of several callers exactly one succeeds.
    fn put_if_absent(&self, key: &str, value: Bytes) -> BoxFuture<Result<(), StoreError>>;

    /// Stores `value`, replacing what was there.
    fn put(&self, key: &str, value: Bytes) -> BoxFuture<Result<(), StoreError>>;

    /// Returns a whole object.
    fn get(&self, key: &str) -> BoxFuture<Result<Bytes, StoreError>>;

    /// Returns the bytes in `range` of an object, fewer if it ends earlier.
    fn get_range(&self, key: &str, range: Range<u64>) -> BoxFuture<Result<Bytes, StoreError>>;

    /// Returns the objects whose key is `prefix` or begins with `prefix` and a `/`, in key order.
    fn list(&self, prefix: &str) -> BoxFuture<Result<Vec<ObjectEntry>, StoreError>>;

    /// Removes an object. Removing what is not there succeeds.
    fn delete(&self, key: &str) -> BoxFuture<Result<(), StoreError>>;
}

/// One object of a listing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ObjectEntry {
    /// Its full key.
    pub key: String,
    /// Its length in bytes.
    pub size_bytes: u64,
}

/// How an operation on the object store can end other than well.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum StoreError {
    /// There is no such object.
    #[error("object {key} does not exist")]
    NotFound {
        /// Whose.
        key: String,
    },
    /// `put_if_absent` found an object.
    #[error("object {key} exists already")]
    AlreadyExists {
        /// Whose.
        key: String,
    },
    /// The operation had no effect.
    #[error("object {key}: {reason}")]
    Failed {
        /// Whose.
        key: String,
        /// The store's own words.
        reason: String,
    },
    /// The operation may or may not have had its effect, and may still have it later.
    #[error("object {key}: the outcome is in doubt: {reason}")]
    InDoubt {
        /// Whose.
        key: String,
        /// The store's own words.
        reason: String,
    },
}
