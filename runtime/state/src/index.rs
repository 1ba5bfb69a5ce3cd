//! Where entries lie, by hash: open addressing with linear probing.
//!
//! A slot is eight bytes: half of an entry's hash and the entry's number. A lookup therefore reads one
//! line of the index and one entry, as a rule; only entries whose halves are equal are compared. The
//! index grows without looking at entries.

use floodmark_prefetch::prefetch;

/// Entry numbers by hash. Entries themselves lie elsewhere.
#[derive(Clone, Debug)]
pub(crate) struct Index {
    /// A power of two of them; a slot is 0, or a fragment in its upper and a number + 1 in its lower
    /// half.
    slots: Vec<u64>,
    len: usize,
}

/// Slots of an empty index.
const SLOT_COUNT_MIN: usize = 16;

/// The part of a hash that the index looks at. Key groups follow from the other half, so all values
/// of it occur in each of them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Fragment(pub u32);

impl Fragment {
    /// Returns the part of a hash.
    #[expect(clippy::cast_possible_truncation, reason = "the lower half is what is wanted")]
    pub fn of(hash: u64) -> Self {
        Self(hash as u32)
    }
}

/// Returns the slot of an entry.
fn slot(fragment: Fragment, entry: u32) -> u64 {
    u64::from(fragment.0) << 32 | u64::from(entry + 1)
}

/// Returns what lies in a slot.
#[expect(clippy::cast_possible_truncation, reason = "a slot is two halves")]
fn content(slot: u64) -> Option<(Fragment, u32)> {
    let entry = (slot as u32).checked_sub(1)?;
    Some((Fragment((slot >> 32) as u32), entry))
}

impl Default for Index {
    fn default() -> Self {
        Self { slots: vec![0; SLOT_COUNT_MIN], len: 0 }
    }
}

impl Index {
    /// Returns the slot where the search for a fragment begins.
    fn home(&self, fragment: Fragment) -> usize {
        let bits = self.slots.len().trailing_zeros();
        usize::try_from(u64::from(fragment.0) >> (32 - bits)).expect("it is below the slots")
    }

    /// Returns the entry with this fragment that `is_it` accepts.
    #[inline]
    pub(crate) fn find(
        &self,
        fragment: Fragment,
        mut is_it: impl FnMut(u32) -> bool,
    ) -> Option<u32> {
        let mask = self.slots.len() - 1;
        let mut position = self.home(fragment);
        loop {
            let (found, entry) = content(self.slots[position & mask])?;
            if found == fragment && is_it(entry) {
                return Some(entry);
            }
            position += 1;
        }
    }

    /// Asks for the memory in which the search for a fragment begins.
    #[inline]
    pub(crate) fn prefetch(&self, fragment: Fragment) {
        prefetch(&self.slots[self.home(fragment)]);
    }

    /// Returns the entry at which the search for a fragment looks first, if there is one.
    #[inline]
    pub(crate) fn first(&self, fragment: Fragment) -> Option<u32> {
        content(self.slots[self.home(fragment)]).map(|(_, entry)| entry)
    }

    /// Returns the number of bytes in which searches look.
    pub(crate) fn size_bytes(&self) -> usize {
        size_of_val(self.slots.as_slice())
    }

    /// Adds an entry, which must not be there.
    pub(crate) fn insert(&mut self, fragment: Fragment, entry: u32) {
        assert!(entry < u32::MAX, "a table holds fewer than 2³² − 1 entries");
        // Three in four slots are full at most: longer searches cost more than the room.
        if self.slots.len() / 4 * 3 <= self.len {
            self.grow();
        }
        self.put(slot(fragment, entry));
        self.len += 1;
    }

    fn put(&mut self, slot: u64) {
        let (fragment, _) = content(slot).expect("it holds an entry");
        let mask = self.slots.len() - 1;
        let mut position = self.home(fragment);
        while self.slots[position & mask] != 0 {
            position += 1;
        }
        self.slots[position & mask] = slot;
    }

    #[cold]
    fn grow(&mut self) {
        let count = self.slots.len() * 2;
        assert!(count as u64 <= 1 << 32, "a fragment tells 2³² slots apart");
        let old = std::mem::replace(&mut self.slots, vec![0; count]);
        old.into_iter().filter(|slot| *slot != 0).for_each(|slot| self.put(slot));
    }

    /// Returns the position of the slot of an entry.
    fn position_of(&self, fragment: Fragment, entry: u32) -> usize {
        let mask = self.slots.len() - 1;
        let mut position = self.home(fragment);
        while self.slots[position & mask] != slot(fragment, entry) {
            assert!(self.slots[position & mask] != 0, "the entry is in the index");
            position += 1;
        }
        position & mask
    }

    /// Gives an entry another number.
    pub(crate) fn renumber(&mut self, fragment: Fragment, from: u32, to: u32) {
        let position = self.position_of(fragment, from);
        self.slots[position] = slot(fragment, to);
    }

    /// Removes an entry.
    pub(crate) fn remove(&mut self, fragment: Fragment, entry: u32) {
        let mask = self.slots.len() - 1;
        let mut gap = self.position_of(fragment, entry);
        let mut next = gap;
        loop {
            next = (next + 1) & mask;
            let Some((fragment, _)) = content(self.slots[next]) else { break };
            // What lies behind the gap moves into it, unless it would come before its home.
            let from_home = next.wrapping_sub(self.home(fragment)) & mask;
            if (next.wrapping_sub(gap) & mask) <= from_home {
                self.slots[gap] = self.slots[next];
                gap = next;
            }
        }
        self.slots[gap] = 0;
        self.len -= 1;
    }

    /// Removes all entries. The room stays.
    pub(crate) fn clear(&mut self) {
        self.slots.fill(0);
        self.len = 0;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_in_it_is_found_also_after_removals_among_equal_and_neighbouring_fragments() {
        let mut index = Index::default();
        // Entries of few fragments, at both ends of the slots, so that searches run into each other.
        let fragment = |entry: u32| Fragment([0, 1, u32::MAX, u32::MAX - 1][entry as usize % 4]);
        let count = 64;
        (0..count).for_each(|entry| index.insert(fragment(entry), entry));
        for removed in (0..count).map(|step| step * 29 % count) {
            index.remove(fragment(removed), removed);
            assert_eq!(index.find(fragment(removed), |entry| entry == removed), None);
            let is_left = |entry: &u32| {
                (0..count).all(|step| step * 29 % count != *entry)
                    || (0..count).position(|step| step * 29 % count == *entry)
                        > (0..count).position(|step| step * 29 % count == removed)
            };
            for entry in (0..count).filter(is_left) {
                assert_eq!(index.find(fragment(entry), |found| found == entry), Some(entry));
            }
        }
        assert_eq!(index.len, 0);
    }

    #[test]
    fn an_entry_can_be_given_another_number() {
        let mut index = Index::default();
        index.insert(Fragment(7), 3);
        index.renumber(Fragment(7), 3, 1);
        assert_eq!(index.find(Fragment(7), |_| true), Some(1));
    }
}
