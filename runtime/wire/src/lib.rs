//! Every byte that leaves a process or outlives one.
//!
//! Formats live in one crate so that a change of bytes is seen as what it is: a change of version.
//! Each stored or sent blob is an envelope ([`codec`]) with magic, version, length and checksum;
//! what does not check out is refused where it enters, with an error that says why.

pub mod codec;
mod control;
mod data;
mod key_hash;
mod manifest;
pub mod name;
mod snapshot;

pub use codec::WireError;
pub use control::{
    Deployment, SubtaskReport, SubtaskStatus, ToCoordinator, ToWorker, decode_to_coordinator,
    decode_to_worker,
};
pub use data::{
    DataFrame, Handshake, ReverseFrame, decode_data, decode_handshake, decode_reverse, encode_data,
};
pub use key_hash::key_hash;
pub use manifest::{LogEntry, Manifest, StoredFile, decode_log_entry};
pub use snapshot::{
    KeyGroupBytes, SHARED_SECTION, Section, SnapshotFile, decode_snapshot, decode_whole_sections,
};
