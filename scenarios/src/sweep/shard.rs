//! Shards: a sweep divided among machines that know nothing of each other.

use std::{fmt, ops::Range, str::FromStr};

use serde::{Deserialize, Serialize};

/// Every n-th seed, for all scenarios. The shards of one `n` have no seed in common, and together
/// they have all.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Shard {
    /// Which one, from 1.
    pub number: u64,
    /// Of how many.
    pub count: u64,
}

impl Shard {
    /// The only shard of a sweep that is not divided.
    pub const WHOLE: Self = Self { number: 1, count: 1 };

    /// Returns whether a seed belongs to this shard.
    pub fn contains(self, seed: u64) -> bool {
        seed % self.count == self.number - 1
    }

    /// Returns the first seed of this shard that is `start` or greater, if there is one.
    fn first(self, start: u64) -> Option<u64> {
        let distance = (self.number - 1 + self.count - start % self.count) % self.count;
        start.checked_add(distance)
    }

    /// Returns the seed at a place among those that this shard has in a range.
    pub fn seed(self, seeds: &Range<u64>, place: u64) -> Option<u64> {
        let seed = self.first(seeds.start)?.checked_add(place.checked_mul(self.count)?)?;
        Some(seed).filter(|seed| seeds.contains(seed))
    }

    /// Returns how many seeds of a range belong to this shard.
    pub fn seed_count(self, seeds: &Range<u64>) -> u64 {
        let first = self.first(seeds.start).filter(|first| *first < seeds.end);
        first.map_or(0, |first| (seeds.end - first).div_ceil(self.count))
    }
}

impl fmt::Display for Shard {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.number, self.count)
    }
}

impl FromStr for Shard {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let expected = || format!("{text:?} is not a shard, as `2/5` is the second of five");
        let (number, count) = text.split_once('/').ok_or_else(expected)?;
        let number = number.parse().map_err(|_| expected())?;
        let count = count.parse().map_err(|_| expected())?;
        if (1..=count).contains(&number) {
            Ok(Self { number, count })
        } else {
            Err(format!("{text:?}: shards are numbered from 1 to their count"))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn seeds(text: &str, range: Range<u64>) -> Vec<u64> {
        let shard: Shard = text.parse().unwrap();
        let seeds: Vec<u64> = (0..).map_while(|place| shard.seed(&range, place)).collect();
        assert_eq!(seeds.len() as u64, shard.seed_count(&range));
        assert!(seeds.iter().all(|seed| shard.contains(*seed)));
        seeds
    }

    #[test]
    fn shards_are_disjoint_and_complete() {
        for range in [0..10, 7..8, 3..50, 5..5, u64::MAX - 9..u64::MAX] {
            for count in 1..8 {
                let shards = (1..=count).map(|number| format!("{number}/{count}"));
                let mut all: Vec<u64> =
                    shards.flat_map(|shard| seeds(&shard, range.clone())).collect();
                all.sort_unstable();
                assert_eq!(all, range.clone().collect::<Vec<_>>(), "{count} shards");
            }
        }
    }

    #[test]
    fn a_shard_of_one_is_everything() {
        assert_eq!(seeds("1/1", 4..8), [4, 5, 6, 7]);
        assert_eq!("2/5".parse::<Shard>().unwrap().to_string(), "2/5");
    }

    #[test]
    fn what_is_not_a_shard_is_refused() {
        for text in ["", "1", "0/2", "3/2", "1/0", "a/b", "1/2/3", "-1/2"] {
            assert!(text.parse::<Shard>().is_err(), "{text:?}");
        }
    }
}
