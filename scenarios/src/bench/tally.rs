//! What a workload comes to: a number of rows and a checksum that does not depend on their order.

use std::ops::AddAssign;

use serde::{Deserialize, Serialize};

use super::events::mix64;

const FACTORS: [u64; 5] = [
    0x9E37_79B9_7F4A_7C15,
    0xC2B2_AE3D_27D4_EB4F,
    0x1656_67B1_9E37_79F9,
    0xD6E8_FEB8_6659_FD93,
    0x9FB2_1C65_1E98_DF25,
];

/// Rows counted and summed up.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Tally {
    /// Rows.
    pub rows: u64,
    /// The sum of what each row is worth.
    pub check: u64,
    /// A second sum. It depends on the order of rows with one key, so it is the same only where one
    /// subtask reads the input.
    pub check2: u64,
}

impl Tally {
    /// Adds a row that is worth `check`.
    #[inline]
    pub fn add(&mut self, check: u64) {
        self.rows += 1;
        self.check = self.check.wrapping_add(check);
    }

    /// Adds a row that is worth `check` in the first sum and `check2` in the second.
    #[inline]
    pub fn add_both(&mut self, check: u64, check2: u64) {
        self.add(check);
        self.check2 = self.check2.wrapping_add(check2);
    }
}

impl AddAssign for Tally {
    fn add_assign(&mut self, other: Self) {
        self.rows += other.rows;
        self.check = self.check.wrapping_add(other.check);
        self.check2 = self.check2.wrapping_add(other.check2);
    }
}

/// Returns what a row of at most five columns is worth.
#[inline]
pub fn row<const N: usize>(columns: [u64; N]) -> u64 {
    const { assert!(N <= FACTORS.len()) };
    let products = columns.iter().zip(FACTORS).map(|(column, factor)| column.wrapping_mul(factor));
    mix64(products.fold(0, u64::wrapping_add))
}

/// Returns a number that stands for a word.
#[inline]
pub(super) fn signature(word: &str) -> u64 {
    let byte = |index| word.as_bytes().get(index).map_or(0, |byte| u64::from(*byte));
    word.len() as u64 + (byte(0) << 8) + (byte(1) << 16) + (byte(2) << 24)
}
