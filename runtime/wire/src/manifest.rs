//! The log of a job: who rules it, and which checkpoints are complete.
//!
//! Entries stand in numbered slots, and a slot is written with `put_if_absent` by whoever believes
//! to know the newest. So each slot has one winner, and:
//!
//! - a new coordinator that wrote its [`LogEntry::Reign`] into the next free slot has made sure that
//!   no older one can store another manifest: the slot it would need is taken;
//! - a stored [`LogEntry::Manifest`] *is* the completed checkpoint; there is no other commit point.
//!
//! Reigns are never deleted: they are what stops a coordinator that slept through several others.

use bytes::Bytes;
use floodmark_model::{Attempt, CheckpointId, FileDigest, JobGraph, SubtaskId, Term};
use serde::{Deserialize, Serialize};

use crate::{
    WireError,
    codec::{self, Format},
};

const LOG_ENTRY: Format = Format { magic: *b"FMlg", version: 1 };

/// One slot of the log.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum LogEntry {
    /// A coordinator begins to rule.
    Reign {
        /// Its term, one more than the last.
        term: Term,
        /// Tells apart two coordinators that compete for the same term.
        claim: u64,
    },
    /// A checkpoint is complete.
    Manifest(Manifest),
}

/// Everything needed to restore a checkpoint.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Manifest {
    /// The reign that completed it.
    pub term: Term,
    /// The attempt whose state it is.
    pub attempt: Attempt,
    /// Its id.
    pub checkpoint: CheckpointId,
    /// Whether all input had been processed.
    pub is_final: bool,
    /// The job it belongs to.
    pub job: JobGraph,
    /// The snapshot of every subtask.
    pub snapshots: Vec<(SubtaskId, Vec<StoredFile>)>,
}

/// A file in the object store.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct StoredFile {
    /// Its key.
    pub key: String,
    /// Its length in bytes.
    pub size_bytes: u64,
    /// The xxh3 of its content.
    pub checksum: u64,
}

impl StoredFile {
    /// Describes `content`, stored under `key`.
    pub fn describe(key: String, content: &[u8]) -> Self {
        Self { key, size_bytes: content.len() as u64, checksum: codec::checksum(content) }
    }

    /// Describes the file to those who watch.
    pub fn digest(&self) -> FileDigest {
        let Self { key, size_bytes, checksum } = self.clone();
        FileDigest { key, size_bytes, checksum }
    }

    /// Returns whether `content` is what was stored.
    pub fn matches(&self, content: &[u8]) -> bool {
        self.size_bytes == content.len() as u64 && self.checksum == codec::checksum(content)
    }
}

impl LogEntry {
    /// Returns the bytes of the entry.
    pub fn encode(&self) -> Bytes {
        codec::encode(LOG_ENTRY, self)
    }

    /// Returns the term of the coordinator that wrote the entry.
    pub fn term(&self) -> Term {
        match self {
            Self::Reign { term, .. } => *term,
            Self::Manifest(manifest) => manifest.term,
        }
    }
}

/// Returns the entry in `bytes`.
///
/// # Errors
///
/// When the bytes are not a whole entry of this version.
pub fn decode_log_entry(bytes: &[u8]) -> Result<LogEntry, WireError> {
    codec::decode(LOG_ENTRY, bytes)
}
