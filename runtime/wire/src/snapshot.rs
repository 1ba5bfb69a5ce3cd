//! The file that holds the snapshot of one subtask.

use bytes::Bytes;
use floodmark_model::{KeyGroup, SectionDigest};
use serde::{Deserialize, Serialize};

use crate::{
    WireError,
    codec::{self, Format},
};

const SNAPSHOT: Format = Format { magic: *b"FMsn", version: 1 };

/// What the names of sections begin with that every subtask of a vertex restores. They lie in a file
/// of their own.
pub const SHARED_SECTION: &str = "#union/";

/// All sections of one subtask.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct SnapshotFile {
    /// In the order in which the chain wrote them.
    pub sections: Vec<Section>,
}

/// One named part of a snapshot: a state, the timers, the positions of a source.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Section {
    /// The operator's uid.
    pub operator: String,
    /// The name of the state within the operator.
    pub name: String,
    /// The Rust type of what is stored, and its version if that is not the first. Restoring into
    /// another type is an error, unless there is a migration.
    pub type_name: String,
    /// Entries in all groups.
    pub entry_count: u64,
    /// The bytes, by key group. State that is not keyed has one part, in group 0.
    pub groups: Vec<KeyGroupBytes>,
}

/// The part of a section that belongs to one key group.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct KeyGroupBytes {
    /// The group.
    pub group: KeyGroup,
    /// Entries, serialised in key order.
    #[serde(with = "raw_bytes")]
    pub bytes: Vec<u8>,
}

impl SnapshotFile {
    /// Returns the bytes of the file.
    pub fn encode(&self) -> Bytes {
        codec::encode(SNAPSHOT, self)
    }
}

impl Section {
    /// Returns size and hash of the section, for those who compare.
    pub fn digest(&self) -> SectionDigest {
        let size = self.groups.iter().map(|part| size_of::<u16>() + part.bytes.len());
        let mut bytes = Vec::with_capacity(size.sum());
        for part in &self.groups {
            bytes.extend_from_slice(&part.group.0.to_le_bytes());
            bytes.extend_from_slice(&part.bytes);
        }
        SectionDigest {
            name: format!("{}/{}", self.operator, self.name),
            entry_count: self.entry_count,
            hash: codec::checksum(&bytes),
        }
    }
}

/// Returns the snapshot in `bytes`.
///
/// # Errors
///
/// When the bytes are not a whole snapshot of this version.
pub fn decode_snapshot(bytes: &[u8]) -> Result<SnapshotFile, WireError> {
    codec::decode(SNAPSHOT, bytes)
}

/// Returns the sections that are whole in `bytes`, whatever length and checksum say: what a reader
/// gets that takes the end of the bytes for the end of the file. State that was behind it is lost
/// without a word, so only planted bugs read like that.
pub fn decode_whole_sections(bytes: &[u8]) -> SnapshotFile {
    let mut sections = Vec::new();
    let count_size = size_of::<u64>();
    let mut rest = bytes.get(codec::HEADER_SIZE + count_size..).unwrap_or_default();
    while let Ok(section) = codec::decode_value::<Section>(rest) {
        let mut taken = Vec::new();
        codec::encode_value(&section, &mut taken);
        rest = &rest[taken.len()..];
        sections.push(section);
    }
    SnapshotFile { sections }
}

/// A byte vector as one run of bytes; serde would visit each byte.
mod raw_bytes {
    use std::fmt;

    use serde::{Deserializer, Serializer, de};

    #[expect(clippy::ptr_arg, reason = "the signature serde calls")]
    pub(super) fn serialize<S: Serializer>(
        bytes: &Vec<u8>,
        serializer: S,
    ) -> Result<S::Ok, S::Error> {
        serializer.serialize_bytes(bytes)
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(
        deserializer: D,
    ) -> Result<Vec<u8>, D::Error> {
        struct Visitor;
        impl de::Visitor<'_> for Visitor {
            type Value = Vec<u8>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("bytes")
            }

            fn visit_byte_buf<E: de::Error>(self, bytes: Vec<u8>) -> Result<Vec<u8>, E> {
                Ok(bytes)
            }
        }
        deserializer.deserialize_byte_buf(Visitor)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn of_a_torn_file_the_sections_before_the_tear_are_whole() {
        let section = |name: &str| Section {
            operator: "operator".to_owned(),
            name: name.to_owned(),
            type_name: "u8".to_owned(),
            entry_count: 1,
            groups: vec![KeyGroupBytes { group: KeyGroup(0), bytes: vec![7] }],
        };
        let file = SnapshotFile { sections: vec![section("first"), section("second")] };
        let bytes = file.encode();
        assert_eq!(decode_whole_sections(&bytes), file);
        let torn = decode_whole_sections(&bytes[..bytes.len() - 1]);
        assert_eq!(torn.sections, [section("first")]);
        assert!(decode_snapshot(&bytes[..bytes.len() - 1]).is_err());
        assert_eq!(decode_whole_sections(&bytes[..10]), SnapshotFile::default());
    }
}
