//! When to look at which key: a timing wheel.
//!
//! Time is divided into buckets. A key is noted in the bucket of the time at which somebody must look at
//! it, and is looked at when event time comes there. Notes are not moved or taken back: a key that was noted
//! anew elsewhere is found again, and whoever finds it looks at where it is noted now.
//!
//! A note is the number of the key's entry in its table.
//!
//! # Sources
//!
//! The wheel is that of Varghese and Lauck (*Hashed and Hierarchical Timing Wheels*, 1987), with a sorted
//! map for what is too far ahead to lie on it.

use std::{
    collections::{BTreeMap, VecDeque},
    time::Duration,
};

use floodmark_model::Timestamp;

/// Which keys to look at when, by the end of their first session: in the bucket of that time as long
/// as event time has not come to the bucket, and then at exactly that time.
pub(super) struct Notes {
    /// Length of a bucket in milliseconds, as a power of two.
    bucket_ms_log2: u32,
    /// The bucket that event time has come to; its notes, and those of buckets before it, are exact.
    entered: i64,
    exact: BTreeMap<Timestamp, Vec<u32>>,
    /// The buckets behind that one, in turn.
    near: VecDeque<Vec<u32>>,
    /// What was noted in buckets that were too far ahead.
    far: BTreeMap<i64, Vec<u32>>,
    /// Notes in all lists.
    count: usize,
    /// Emptied lists, kept for their room.
    spare: Vec<Vec<u32>>,
}

/// A list of notes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum List {
    /// What ends at that time.
    Exact(Timestamp),
    /// What ends in that bucket.
    Bucket(i64),
}

/// Buckets per gap, at least, of 1 ms at least. With more, fewer keys are looked at before they are due and fewer lie in one,
/// which must be sorted; but there are more lists.
const BUCKETS_PER_GAP: i64 = 32;

/// The longest buckets, of 25 days: a place in one is half of what is sorted.
const BUCKET_MS_LOG2_MAX: u32 = 31;

/// Buckets that lie in turn: those of eight gaps, unless a gap is longer than years.
const NEAR_COUNT_MAX: usize = 512;

/// Emptied lists that are kept.
const SPARE_COUNT_MAX: usize = 64;

impl Notes {
    pub(super) fn new(gap_ms: i64, watermark: Timestamp) -> Self {
        let bucket_ms_log2 = (gap_ms / BUCKETS_PER_GAP).max(1).ilog2().min(BUCKET_MS_LOG2_MAX);
        let (exact, near, far) = (BTreeMap::new(), VecDeque::new(), BTreeMap::new());
        let entered = i64::MIN;
        let mut this =
            Self { bucket_ms_log2, entered, exact, near, far, count: 0, spare: Vec::new() };
        this.entered = this.bucket_of(first_after(watermark));
        this
    }

    fn bucket_of(&self, end: Timestamp) -> i64 {
        end.0 >> self.bucket_ms_log2
    }

    /// Returns the list of an end.
    #[inline]
    pub(super) fn list_of(&self, end: Timestamp) -> List {
        let bucket = self.bucket_of(end);
        if bucket <= self.entered { List::Exact(end) } else { List::Bucket(bucket) }
    }

    /// Returns whether an end belongs to a list that was taken.
    #[inline]
    pub(super) fn is_of(&self, end: Timestamp, list: List) -> bool {
        match list {
            List::Exact(at) => end == at,
            List::Bucket(bucket) => self.bucket_of(end) == bucket,
        }
    }

    /// Returns how far behind the beginning of its bucket an end is, in milliseconds.
    #[inline]
    pub(super) fn place_of(&self, end: Timestamp) -> u32 {
        let place = end.0 & ((1 << self.bucket_ms_log2) - 1);
        u32::try_from(place).expect("a bucket is shorter than that")
    }

    /// Notes a key in the list of `end`.
    #[inline]
    pub(super) fn add(&mut self, end: Timestamp, number: u32) {
        self.count += 1;
        let ahead = self.bucket_of(end).saturating_sub(self.entered).saturating_sub(1);
        match usize::try_from(ahead) {
            Ok(place) if place < self.near.len() => self.near[place].push(number),
            _ => self.add_elsewhere(end, number),
        }
    }

    /// Notes a key in a list that there may not be yet.
    #[cold]
    fn add_elsewhere(&mut self, end: Timestamp, number: u32) {
        let list = self.list_of(end);
        let Self { exact, near, far, spare, entered, .. } = self;
        let fresh = || spare.pop().unwrap_or_default();
        match list {
            List::Exact(end) => exact.entry(end).or_insert_with(fresh).push(number),
            List::Bucket(bucket) => match usize::try_from(bucket.saturating_sub(*entered) - 1) {
                Ok(place) if place < NEAR_COUNT_MAX => {
                    near.resize_with(place + 1, fresh);
                    near[place].push(number);
                }
                _ => far.entry(bucket).or_insert_with(fresh).push(number),
            },
        }
    }

    /// Returns the number of notes, with those that are out of date.
    pub(super) fn count(&self) -> usize {
        self.count
    }

    /// Forgets all notes.
    pub(super) fn clear(&mut self) {
        self.count = 0;
        self.exact.clear();
        self.near.clear();
        self.far.clear();
    }

    /// Returns the first bucket behind the one that was entered in which something is noted.
    fn first_bucket(&self) -> Option<i64> {
        let place = self.near.iter().position(|numbers| !numbers.is_empty());
        let place = place.map(|place| i64::try_from(place).expect("there are few"));
        let near = place.map(|place| self.entered + 1 + place);
        let far = self.far.first_key_value().map(|(bucket, _)| *bucket);
        near.into_iter().chain(far).min()
    }

    /// Enters a bucket before which nothing is noted, and returns what is noted in it.
    fn enter(&mut self, bucket: i64) -> Vec<u32> {
        let passed = usize::try_from(bucket.saturating_sub(self.entered)).unwrap_or(usize::MAX);
        self.entered = bucket;
        let mut numbers = Vec::new();
        for empty in self.near.drain(..passed.min(self.near.len())) {
            let empty = std::mem::replace(&mut numbers, empty);
            keep_room(&mut self.spare, empty);
        }
        if let Some(mut others) = self.far.remove(&bucket) {
            numbers.append(&mut others);
        }
        numbers
    }

    /// Removes and returns the first list whose time has come when windows fire that end at `until` or
    /// earlier. Enters its bucket.
    pub(super) fn take(&mut self, until: Timestamp) -> Option<(List, Vec<u32>)> {
        // Whatever is exact lies in buckets that were entered, so before those that were not.
        if let Some(first) = self.exact.first_entry().filter(|first| *first.key() <= until) {
            let (end, numbers) = first.remove_entry();
            self.count -= numbers.len();
            return Some((List::Exact(end), numbers));
        }
        let last = self.bucket_of(until);
        if let Some(bucket) = self.first_bucket().filter(|bucket| *bucket <= last) {
            let numbers = self.enter(bucket);
            self.count -= numbers.len();
            return Some((List::Bucket(bucket), numbers));
        }
        if self.entered < last {
            let numbers = self.enter(last);
            self.recycle(numbers);
        }
        None
    }

    pub(super) fn recycle(&mut self, mut list: Vec<u32>) {
        list.clear();
        keep_room(&mut self.spare, list);
    }
}

/// Keeps an empty list if it has room.
fn keep_room(spare: &mut Vec<Vec<u32>>, list: Vec<u32>) {
    if 0 < list.capacity() && spare.len() < SPARE_COUNT_MAX {
        spare.push(list);
    }
}

/// Returns the end of the windows that fire at a watermark, of those the latest.
pub(super) fn first_after(watermark: Timestamp) -> Timestamp {
    watermark + Duration::from_millis(1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_ends_in_one_bucket_is_ordered_by_end() {
        for gap_ms in [1, 500, 100_000, i64::MAX] {
            let notes = Notes::new(gap_ms, Timestamp(0));
            let length = 1 << notes.bucket_ms_log2;
            for first in [-3 * length, 0, 8 * length] {
                let ends = [first, first + length / 2, first + length - 1].map(Timestamp);
                assert_eq!(ends.map(|end| notes.bucket_of(end)), [notes.bucket_of(ends[0]); 3]);
                let places = ends.map(|end| i64::from(notes.place_of(end)));
                assert_eq!(places, [0, length / 2, length - 1], "gap {gap_ms}, from {first}");
            }
        }
    }

    /// Returns what is taken until a time: the buckets, and the keys in each.
    fn taken(notes: &mut Notes, until: i64) -> Vec<(List, Vec<u32>)> {
        let mut taken = Vec::new();
        while let Some((list, numbers)) = notes.take(Timestamp(until)) {
            taken.push((list, numbers));
        }
        taken
    }

    fn note(notes: &mut Notes, end: i64, number: u32) -> List {
        notes.add(Timestamp(end), number);
        notes.list_of(Timestamp(end))
    }

    #[test]
    fn what_is_noted_far_ahead_comes_in_its_turn_among_what_was_noted_later() {
        // A bucket is a millisecond long.
        let mut notes = Notes::new(BUCKETS_PER_GAP, Timestamp(0));
        let numbers = [10_000_u32, 1_500, 5, 1_500];
        let buckets = numbers.map(|number| note(&mut notes, number.into(), number));
        assert_eq!(buckets, numbers.map(|number| List::Bucket(number.into())));
        assert_eq!((notes.near.len(), notes.far.len()), (4, 2));
        assert_eq!(taken(&mut notes, 1_200), [(List::Bucket(5), vec![5])]);
        // Now they are near: the same bucket, one before it and one behind.
        for (end, number) in [(1_500, 1), (1_499, 2), (1_501, 3), (1_200, 4)] {
            note(&mut notes, end, number);
        }
        let mut all = taken(&mut notes, 1_600);
        all.iter_mut().for_each(|(_, numbers)| numbers.sort_unstable());
        assert_eq!(
            all,
            [
                (List::Exact(Timestamp(1_200)), vec![4]),
                (List::Bucket(1_499), vec![2]),
                (List::Bucket(1_500), vec![1, 1_500, 1_500]),
                (List::Bucket(1_501), vec![3]),
            ]
        );
        assert_eq!(taken(&mut notes, 20_000), [(List::Bucket(10_000), vec![10_000])]);
        assert_eq!((notes.entered, notes.count()), (20_000, 0));
    }

    #[test]
    fn before_the_first_watermark_everything_is_far_ahead() {
        let mut notes = Notes::new(BUCKETS_PER_GAP, Timestamp::MIN);
        [7, 3, i64::MAX].iter().for_each(|end| {
            note(&mut notes, *end, 1);
        });
        let buckets = [3, 7].map(|bucket| (List::Bucket(bucket), vec![1]));
        assert_eq!(taken(&mut notes, 8), buckets);
        assert_eq!(taken(&mut notes, i64::MAX), [(List::Bucket(i64::MAX), vec![1])]);
    }
}
