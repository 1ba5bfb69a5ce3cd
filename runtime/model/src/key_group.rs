//! Key groups: the unit in which keyed state moves between subtasks.
//!
//! A key hashes to one of a fixed number of key groups, and each subtask owns a contiguous range
//! of them. Rescaling a job moves whole key groups and never rehashes a key.

use std::fmt;

use serde::{Deserialize, Serialize};

/// The most key groups a job may have.
pub const KEY_GROUP_COUNT_MAX: u16 = 1 << 15;

// `bound` multiplies two counts in `u32`.
const _: () = assert!((KEY_GROUP_COUNT_MAX as u64).pow(2) <= u32::MAX as u64);

/// A key group of a job.
///
/// # Examples
///
/// ```
/// # use floodmark_model as floodmark;
/// use floodmark::KeyGroup;
///
/// assert_eq!(KeyGroup(127).to_string(), "key group 127");
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct KeyGroup(pub u16);

impl fmt::Display for KeyGroup {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "key group {}", self.0)
    }
}

/// Where the state of a key lies: in which key group, and by which hash in a table of that group.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct KeyPlace {
    /// The key group.
    pub group: KeyGroup,
    /// The hash of the key, from which the group follows.
    pub hash: u64,
}

/// How the subtasks of one vertex share the key groups of a job.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct KeyGroupLayout {
    /// Key groups of the job. Fixed for its whole life, across rescaling.
    pub group_count: u16,
    /// Subtasks that share them. At most `group_count`.
    pub parallelism: u16,
}

/// A half-open range of key groups, `start..end`.
///
/// Invariant: `start < end`; a range is never empty.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct KeyGroupRange {
    start: u16,
    end: u16,
    /// Key groups of the job.
    group_count: u16,
}

impl KeyGroupLayout {
    /// Returns the key groups owned by subtask `index`.
    ///
    /// Subtask `i` of `n` owns group `g` of `m` if `i = ⌊g · n / m⌋`, as in Flink. The ranges of all
    /// subtasks are disjoint, cover `0..group_count`, and differ in length by at
    /// most one.
    ///
    /// # Examples
    ///
    /// ```
    /// use floodmark_model::KeyGroupLayout;
    ///
    /// let layout = KeyGroupLayout { group_count: 128, parallelism: 3 };
    /// let lengths: Vec<u16> = (0..3).map(|index| layout.range_of(index).len()).collect();
    /// assert_eq!(lengths, [43, 43, 42]);
    /// ```
    pub fn range_of(&self, index: u16) -> KeyGroupRange {
        assert!(index < self.parallelism);
        assert!(self.parallelism <= self.group_count);
        assert!(self.group_count <= KEY_GROUP_COUNT_MAX);

        let (start, end) = (self.bound(index), self.bound(index + 1));
        let range = KeyGroupRange { start, end, group_count: self.group_count };
        assert!(range.start < range.end);
        range
    }

    /// Returns the key group of a key with this hash.
    pub fn group_of(&self, key_hash: u64) -> KeyGroup {
        group_of(key_hash, self.group_count)
    }

    /// Returns the place of a key with this hash.
    pub fn place_of(&self, hash: u64) -> KeyPlace {
        KeyPlace { group: self.group_of(hash), hash }
    }

    /// Returns the subtask that owns `group`.
    pub fn owner_of(&self, group: KeyGroup) -> u16 {
        assert!(group.0 < self.group_count);
        let share = u32::from(group.0) * u32::from(self.parallelism);
        let owner = u16::try_from(share / u32::from(self.group_count))
            .expect("an owner is below the parallelism");
        debug_assert!(self.range_of(owner).contains(group));
        owner
    }

    /// Returns the number of key groups owned by the subtasks before `index`.
    fn bound(&self, index: u16) -> u16 {
        let shares = u32::from(index) * u32::from(self.group_count);
        let groups = shares.div_ceil(u32::from(self.parallelism));
        u16::try_from(groups).expect("`index <= parallelism`, so `groups <= group_count`")
    }
}

#[expect(clippy::cast_possible_truncation, reason = "the product's high half is below u16")]
fn group_of(key_hash: u64, group_count: u16) -> KeyGroup {
    let group = ((u128::from(key_hash) * u128::from(group_count)) >> 64) as u16;
    debug_assert!(group < group_count);
    KeyGroup(group)
}

impl KeyGroupRange {
    /// Returns the key group of a key with this hash, whether it lies in the range or not.
    pub fn group_of(&self, key_hash: u64) -> KeyGroup {
        group_of(key_hash, self.group_count)
    }

    /// Returns the number of key groups in the range.
    #[expect(clippy::len_without_is_empty, reason = "a range is never empty")]
    pub fn len(&self) -> u16 {
        self.end - self.start
    }

    /// Returns the first key group of the range.
    pub fn start(&self) -> KeyGroup {
        KeyGroup(self.start)
    }

    /// Returns whether `group` lies in the range.
    pub fn contains(&self, group: KeyGroup) -> bool {
        self.start <= group.0 && group.0 < self.end
    }

    /// Returns the position of `group` within the range.
    pub fn position_of(&self, group: KeyGroup) -> usize {
        assert!(self.contains(group), "a record is processed by the owner of its key group");
        usize::from(group.0 - self.start)
    }

    /// Returns the groups of the range, in order.
    pub fn iter(&self) -> impl Iterator<Item = KeyGroup> + use<> {
        (self.start..self.end).map(KeyGroup)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_owner_of_a_group_is_the_subtask_whose_range_holds_it() {
        for group_count in 1..40 {
            for parallelism in 1..=group_count {
                let layout = KeyGroupLayout { group_count, parallelism };
                for group in (0..group_count).map(KeyGroup) {
                    assert!(layout.range_of(layout.owner_of(group)).contains(group));
                }
            }
        }
    }

    #[test]
    fn the_largest_hash_falls_into_the_last_group() {
        let layout = KeyGroupLayout { group_count: 128, parallelism: 1 };
        assert_eq!(layout.group_of(0), KeyGroup(0));
        assert_eq!(layout.group_of(u64::MAX), KeyGroup(127));
    }
}
