//! The envelope around every blob, and the bytes of single values.
//!
//! ```text
//! magic (4) | version (2) | zero (2) | payload length (8) | xxh3 of the payload (8) | payload
//! ```
//!
//! Integers are little-endian. Values are bincode 1 with fixed-width integers, which is not
//! self-describing: whoever stores user types stores a fingerprint of them too.

use bincode::Options as _;
use bytes::Bytes;
use serde::{Serialize, de::DeserializeOwned};
use thiserror::Error;
use xxhash_rust::xxh3::xxh3_64;

/// The largest payload that is accepted, in bytes: 1 GiB.
pub const PAYLOAD_SIZE_MAX: u64 = 1 << 30;

pub(crate) const HEADER_SIZE: usize = 24;

/// Room that is made for a value at once, in bytes: most are smaller.
const VALUE_SIZE: usize = 96;

/// What a blob is, as its first bytes say.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Format {
    /// The first four bytes.
    pub magic: [u8; 4],
    /// The version of the payload. A reader accepts only its own.
    pub version: u16,
}

/// A blob that cannot be read.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[expect(missing_docs, reason = "the messages say it")]
pub enum WireError {
    #[error("{size_bytes} bytes are too few for a header")]
    Short { size_bytes: usize },
    #[error("the magic is {found:02x?}, not {expected:02x?}")]
    Magic { expected: [u8; 4], found: [u8; 4] },
    #[error("format version {found} is not {expected}, the only one known")]
    Version { expected: u16, found: u16 },
    #[error("the header announces {announced} payload bytes, {found} are here")]
    Length { announced: u64, found: u64 },
    #[error("the checksum does not match the payload")]
    Checksum,
    #[error("the payload is malformed: {reason}")]
    Malformed { reason: String },
}

/// Returns the blob that carries `value`.
pub fn encode<T: Serialize + ?Sized>(format: Format, value: &T) -> Bytes {
    let mut blob = Vec::with_capacity(HEADER_SIZE + VALUE_SIZE);
    blob.resize(HEADER_SIZE, 0);
    encode_value(value, &mut blob);
    seal(format, blob)
}

/// Writes the header of a blob whose payload begins after [`HEADER_SIZE`] bytes.
fn seal(format: Format, mut blob: Vec<u8>) -> Bytes {
    let (header, payload) = blob.split_at_mut(HEADER_SIZE);
    assert!(payload.len() as u64 <= PAYLOAD_SIZE_MAX, "a blob is at most 1 GiB");
    header[0..4].copy_from_slice(&format.magic);
    header[4..6].copy_from_slice(&format.version.to_le_bytes());
    header[8..16].copy_from_slice(&(payload.len() as u64).to_le_bytes());
    header[16..24].copy_from_slice(&xxh3_64(payload).to_le_bytes());
    blob.into()
}

/// Returns the value in `blob`.
///
/// # Errors
///
/// When the blob is not whole, not of this format, or not of this type.
pub fn decode<T: DeserializeOwned>(format: Format, blob: &[u8]) -> Result<T, WireError> {
    decode_value(open(format, blob)?)
}

/// Returns the payload of `blob` after checking its header.
fn open(format: Format, blob: &[u8]) -> Result<&[u8], WireError> {
    let Some((header, payload)) = blob.split_at_checked(HEADER_SIZE) else {
        return Err(WireError::Short { size_bytes: blob.len() });
    };
    let magic = [header[0], header[1], header[2], header[3]];
    if magic != format.magic {
        return Err(WireError::Magic { expected: format.magic, found: magic });
    }
    let version = u16::from_le_bytes([header[4], header[5]]);
    if version != format.version {
        return Err(WireError::Version { expected: format.version, found: version });
    }
    let announced = read_u64(&header[8..16]);
    if announced != payload.len() as u64 || PAYLOAD_SIZE_MAX < announced {
        return Err(WireError::Length { announced, found: payload.len() as u64 });
    }
    if xxh3_64(payload) != read_u64(&header[16..24]) {
        return Err(WireError::Checksum);
    }
    Ok(payload)
}

fn read_u64(bytes: &[u8]) -> u64 {
    u64::from_le_bytes(bytes.try_into().expect("the caller passes eight bytes"))
}

/// Appends the bytes of `value`, without an envelope.
pub fn encode_value<T: Serialize + ?Sized>(value: &T, bytes: &mut Vec<u8>) {
    bytes.reserve(VALUE_SIZE);
    bincode::serialize_into(bytes, value).expect("writing to memory, of a type that serialises");
}

/// Returns the value whose bytes are exactly `bytes`.
///
/// # Errors
///
/// When the bytes are not of this type.
pub fn decode_value<T: DeserializeOwned>(bytes: &[u8]) -> Result<T, WireError> {
    bincode::deserialize(bytes).map_err(|error| WireError::Malformed { reason: error.to_string() })
}

/// Returns the value at the beginning of `bytes`, which then begin behind it.
///
/// # Errors
///
/// When the bytes do not begin with a value of this type.
pub fn read_value<T: DeserializeOwned>(bytes: &mut &[u8]) -> Result<T, WireError> {
    // Nothing can be longer than what is there, whatever a length in it says.
    let options = bincode::DefaultOptions::new().with_fixint_encoding().allow_trailing_bytes();
    let options = options.with_limit(bytes.len() as u64);
    let read = options.deserialize_from(bytes);
    read.map_err(|error| WireError::Malformed { reason: error.to_string() })
}

/// Returns the checksum that manifests and traces use.
pub fn checksum(bytes: &[u8]) -> u64 {
    xxh3_64(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    const FORMAT: Format = Format { magic: *b"TEST", version: 3 };

    fn decoded(blob: &[u8]) -> Result<u32, WireError> {
        decode(FORMAT, blob)
    }

    #[test]
    fn what_was_encoded_is_decoded() {
        assert_eq!(decoded(&encode(FORMAT, &7_u32)), Ok(7));
    }

    #[test]
    fn every_changed_byte_is_noticed() {
        let blob = encode(FORMAT, &7_u32);
        // The two bytes after the version are padding.
        for index in (0..blob.len()).filter(|index| !(6..8).contains(index)) {
            let mut changed = blob.to_vec();
            changed[index] ^= 1;
            assert!(decoded(&changed).is_err(), "byte {index}");
        }
    }

    #[test]
    fn a_torn_blob_is_refused() {
        let blob = encode(FORMAT, &7_u32);
        for length in 0..blob.len() {
            assert!(decoded(&blob[..length]).is_err(), "length {length}");
        }
    }
}
