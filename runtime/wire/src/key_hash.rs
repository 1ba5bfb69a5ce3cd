//! The hash of a key, taken while the key is serialised and without its bytes ever being written.
//!
//! Where a record goes, in which key group its state lies, and where it lies in a table all follow
//! from one hash, so it must be fast and the same on every machine and in every version: stored state
//! depends on it. Numbers take one multiplication; text takes one per eight bytes.

use std::fmt;

use serde::{
    Serialize, Serializer,
    ser::{
        Error as _, SerializeMap, SerializeSeq, SerializeStruct, SerializeStructVariant,
        SerializeTuple, SerializeTupleStruct, SerializeTupleVariant,
    },
};

/// Odd constants with about as many ones as zeros. They never change.
const SEED: u64 = 0x9E6C_63D0_876A_68E5;
const STEP: u64 = 0xE7C2_1A5D_4B93_F06B;
const LAST: u64 = 0xD1B5_4A32_D192_ED03;

/// Returns the hash of a key: equal keys have equal hashes, and all 64 bits are well mixed.
///
/// # Panics
///
/// When the key refuses to be serialised.
pub fn key_hash<K: Serialize + ?Sized>(key: &K) -> u64 {
    let mut hasher = Hasher(SEED);
    key.serialize(&mut hasher).expect("a key serialises");
    fold(hasher.0, LAST)
}

/// Multiplies to 128 bits and adds the halves up without carry.
#[expect(clippy::cast_possible_truncation, reason = "the halves are taken apart")]
fn fold(left: u64, right: u64) -> u64 {
    let product = u128::from(left) * u128::from(right);
    product as u64 ^ (product >> 64) as u64
}

/// What was hashed so far.
struct Hasher(u64);

/// A key that refuses to be serialised.
#[derive(Debug)]
struct Refused(String);

impl fmt::Display for Refused {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for Refused {}

impl serde::ser::Error for Refused {
    fn custom<T: fmt::Display>(message: T) -> Self {
        Self(message.to_string())
    }
}

impl Hasher {
    fn number(&mut self, number: u64) {
        self.0 = fold(self.0 ^ number, STEP);
    }

    #[inline]
    fn bytes(&mut self, bytes: &[u8]) {
        self.number(bytes.len() as u64);
        let (chunks, rest) = bytes.as_chunks::<8>();
        chunks.iter().for_each(|chunk| self.number(u64::from_le_bytes(*chunk)));
        if !rest.is_empty() {
            self.number(padded(rest));
        }
    }
}

/// Returns the number of up to eight bytes, the lowest first. Without a copy of a length that is only
/// known then, which would be a call.
#[inline]
fn padded(bytes: &[u8]) -> u64 {
    let len = bytes.len();
    if let (Some(first), Some(last)) = (bytes.first_chunk::<4>(), bytes.last_chunk::<4>()) {
        // Where the two overlap they agree.
        let [first, last] = [first, last].map(|four| u64::from(u32::from_le_bytes(*four)));
        return first | last << (8 * (len - 4));
    }
    let byte = |index: usize| u64::from(bytes[index]) << (8 * index);
    if len == 0 { 0 } else { byte(0) | byte(len / 2) | byte(len - 1) }
}

type Done = Result<(), Refused>;

#[expect(clippy::cast_sign_loss, reason = "any number will do, if it is always the same")]
impl Serializer for &mut Hasher {
    type Ok = ();
    type Error = Refused;
    type SerializeSeq = Self;
    type SerializeTuple = Self;
    type SerializeTupleStruct = Self;
    type SerializeTupleVariant = Self;
    type SerializeMap = Self;
    type SerializeStruct = Self;
    type SerializeStructVariant = Self;

    fn serialize_bool(self, value: bool) -> Done {
        self.serialize_u64(u64::from(value))
    }

    fn serialize_i8(self, value: i8) -> Done {
        self.serialize_i64(i64::from(value))
    }

    fn serialize_i16(self, value: i16) -> Done {
        self.serialize_i64(i64::from(value))
    }

    fn serialize_i32(self, value: i32) -> Done {
        self.serialize_i64(i64::from(value))
    }

    fn serialize_i64(self, value: i64) -> Done {
        self.serialize_u64(value as u64)
    }

    fn serialize_i128(self, value: i128) -> Done {
        self.serialize_u128(value as u128)
    }

    fn serialize_u8(self, value: u8) -> Done {
        self.serialize_u64(u64::from(value))
    }

    fn serialize_u16(self, value: u16) -> Done {
        self.serialize_u64(u64::from(value))
    }

    fn serialize_u32(self, value: u32) -> Done {
        self.serialize_u64(u64::from(value))
    }

    fn serialize_u64(self, value: u64) -> Done {
        self.number(value);
        Ok(())
    }

    #[expect(clippy::cast_possible_truncation, reason = "the halves are taken apart")]
    fn serialize_u128(self, value: u128) -> Done {
        self.number(value as u64);
        self.number((value >> 64) as u64);
        Ok(())
    }

    fn serialize_f32(self, value: f32) -> Done {
        self.serialize_u32(value.to_bits())
    }

    fn serialize_f64(self, value: f64) -> Done {
        self.serialize_u64(value.to_bits())
    }

    fn serialize_char(self, value: char) -> Done {
        self.serialize_u32(u32::from(value))
    }

    #[inline]
    fn serialize_str(self, value: &str) -> Done {
        self.serialize_bytes(value.as_bytes())
    }

    #[inline]
    fn serialize_bytes(self, value: &[u8]) -> Done {
        self.bytes(value);
        Ok(())
    }

    fn serialize_none(self) -> Done {
        self.serialize_u64(0)
    }

    fn serialize_some<T: Serialize + ?Sized>(self, value: &T) -> Done {
        self.number(1);
        value.serialize(self)
    }

    fn serialize_unit(self) -> Done {
        Ok(())
    }

    fn serialize_unit_struct(self, _: &'static str) -> Done {
        Ok(())
    }

    fn serialize_unit_variant(self, _: &'static str, index: u32, _: &'static str) -> Done {
        self.serialize_u32(index)
    }

    fn serialize_newtype_struct<T: Serialize + ?Sized>(self, _: &'static str, value: &T) -> Done {
        value.serialize(self)
    }

    fn serialize_newtype_variant<T: Serialize + ?Sized>(
        self,
        _: &'static str,
        index: u32,
        _: &'static str,
        value: &T,
    ) -> Done {
        self.number(u64::from(index));
        value.serialize(self)
    }

    fn serialize_seq(self, length: Option<usize>) -> Result<Self, Refused> {
        let length = length.ok_or_else(|| Refused::custom("a sequence without a length"))?;
        self.number(length as u64);
        Ok(self)
    }

    fn serialize_tuple(self, _: usize) -> Result<Self, Refused> {
        Ok(self)
    }

    fn serialize_tuple_struct(self, _: &'static str, _: usize) -> Result<Self, Refused> {
        Ok(self)
    }

    fn serialize_tuple_variant(
        self,
        _: &'static str,
        index: u32,
        _: &'static str,
        _: usize,
    ) -> Result<Self, Refused> {
        self.number(u64::from(index));
        Ok(self)
    }

    fn serialize_map(self, length: Option<usize>) -> Result<Self, Refused> {
        self.serialize_seq(length)
    }

    fn serialize_struct(self, _: &'static str, _: usize) -> Result<Self, Refused> {
        Ok(self)
    }

    fn serialize_struct_variant(
        self,
        _: &'static str,
        index: u32,
        _: &'static str,
        _: usize,
    ) -> Result<Self, Refused> {
        self.number(u64::from(index));
        Ok(self)
    }

    fn is_human_readable(&self) -> bool {
        false
    }
}

/// The parts of something composed follow each other.
macro_rules! parts {
    ($composed:ident, $part:ident $(, $name:ty)?) => {
        impl $composed for &mut Hasher {
            type Ok = ();
            type Error = Refused;

            fn $part<T: Serialize + ?Sized>(&mut self, $(_: $name,)? value: &T) -> Done {
                value.serialize(&mut **self)
            }

            fn end(self) -> Done {
                Ok(())
            }
        }
    };
}

parts!(SerializeSeq, serialize_element);
parts!(SerializeTuple, serialize_element);
parts!(SerializeTupleStruct, serialize_field);
parts!(SerializeTupleVariant, serialize_field);
parts!(SerializeStruct, serialize_field, &'static str);
parts!(SerializeStructVariant, serialize_field, &'static str);

impl SerializeMap for &mut Hasher {
    type Ok = ();
    type Error = Refused;

    fn serialize_key<T: Serialize + ?Sized>(&mut self, key: &T) -> Done {
        key.serialize(&mut **self)
    }

    fn serialize_value<T: Serialize + ?Sized>(&mut self, value: &T) -> Done {
        value.serialize(&mut **self)
    }

    fn end(self) -> Done {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn a_rest_of_bytes_counts_as_if_zeros_followed() {
        for len in 1..=8 {
            let bytes: Vec<u8> = (0..len).map(|index| 200 + index).collect();
            let mut eight = [0; 8];
            eight[..bytes.len()].copy_from_slice(&bytes);
            assert_eq!(padded(&bytes), u64::from_le_bytes(eight), "{len}");
        }
    }

    #[test]
    fn the_hash_of_a_key_never_changes() {
        assert_eq!(key_hash("flood"), 6_978_332_241_400_073_693);
        assert_eq!(key_hash(&7_u64), 16_195_598_882_130_092_362);
        assert_eq!(
            key_hash(&("B6".to_owned(), Some(-1_i32), [true, false])),
            11_971_883_351_319_398_750
        );
    }

    #[test]
    fn what_is_not_equal_differs() {
        let texts = ["", "\0", "\0\0", "a", "aaaaaaaa", "aaaaaaaa\0", "aaaaaaaab"];
        let hashes: BTreeSet<u64> = texts.into_iter().map(key_hash).collect();
        assert_eq!(hashes.len(), texts.len());
        assert_ne!(key_hash(&("ab", "c")), key_hash(&("a", "bc")));
        assert_ne!(key_hash(&(1, 2)), key_hash(&(2, 1)));
        assert_ne!(key_hash(&Some(0)), key_hash(&None::<u64>));
    }

    #[test]
    fn small_numbers_are_dealt_out_evenly_by_high_and_by_low_bits() {
        const COUNT: u64 = 64_000;
        for stride in [1, 8, 1_000, 1 << 20, 1 << 40] {
            let (mut high, mut low) = ([0_u64; 64], [0_u64; 64]);
            for number in 0..COUNT {
                let hash = key_hash(&(number * stride));
                high[usize::try_from(hash >> 58).expect("below 64")] += 1;
                low[usize::try_from(hash & 63).expect("below 64")] += 1;
            }
            for count in high.into_iter().chain(low) {
                // Six standard deviations of a fair deal.
                assert!(count.abs_diff(COUNT / 64) < 190, "stride {stride}: {count}");
            }
        }
    }
}
