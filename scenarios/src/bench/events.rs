//! What the workloads process: events with keys, and lines of words, all of them functions of a number.

use std::sync::LazyLock;

use serde::{Deserialize, Serialize};

const GOLDEN: u64 = 0x9E37_79B9_7F4A_7C15;

/// Events of its own after which a source makes a promise.
pub(super) const WATERMARK_EVERY: u64 = 1_000;

/// How far an event can be behind the latest one, in milliseconds, and a little more.
pub(super) const DISORDER_MAX_MILLIS: i64 = 250;

/// Words of one line.
pub(super) const WORDS_PER_LINE: u64 = 10;

const DICTIONARY_SIZE: u64 = 10_000;

/// Returns a number that has nothing to do with `z`, but is always the same one.
pub(super) fn mix64(z: u64) -> u64 {
    let z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    let z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    z ^ (z >> 31)
}

/// Returns the random number `index` of `seed`.
///
/// # Sources
///
/// SplitMix64: Steele, Lea, Flood, "Fast splittable pseudorandom number generators", 2014.
pub fn rnd(seed: u64, index: u64) -> u64 {
    mix64(seed.wrapping_add((index.wrapping_add(1)).wrapping_mul(GOLDEN)))
}

/// Turns the upper half of a random number into one below `count`, which is less than 2³².
fn below(random: u64, count: u64) -> u64 {
    ((random >> 32) * count) >> 32
}

/// One event of the workloads with keys.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Event {
    /// Below the workload's number of keys.
    pub key: u64,
    /// −32 768 to 32 767.
    pub value: i64,
    /// Event time in milliseconds: ten events in each, up to 200 ms out of order.
    pub time: i64,
}

impl Event {
    /// Returns the event `index` of a stream with `key_count` keys.
    #[inline]
    pub fn new(index: u64, key_count: u64) -> Self {
        let random = rnd(42, index);
        let jitter = (((random >> 16) & 0xFFFF) * 201) >> 16;
        Self {
            key: below(random, key_count),
            value: (random & 0xFFFF).cast_signed() - 32_768,
            time: (index / 10 + 200 - jitter).cast_signed(),
        }
    }

    /// Returns the event at the even millisecond at or before its own: sessions of such events are
    /// never apart by exactly the gap.
    #[inline]
    #[must_use]
    pub fn at_even_time(self) -> Self {
        Self { time: self.time & !1, ..self }
    }
}

/// The words of the word count, the frequent ones much more often than the others.
pub struct Dictionary {
    words: Vec<String>,
    /// The word that each of 65 536 equally likely numbers stands for.
    table: Vec<u16>,
}

/// There is only one.
static DICTIONARY: LazyLock<Dictionary> = LazyLock::new(|| Dictionary {
    words: (0..DICTIONARY_SIZE).map(word).collect(),
    table: table(),
});

impl Dictionary {
    /// Returns the dictionary. The first call builds it.
    pub fn get() -> &'static Self {
        &DICTIONARY
    }

    /// Returns line `index` of the text.
    pub fn line(&self, index: u64) -> String {
        let mut line = String::with_capacity(96);
        for position in index * WORDS_PER_LINE..(index + 1) * WORDS_PER_LINE {
            if !line.is_empty() {
                line.push(' ');
            }
            let drawn = usize::try_from(rnd(43, position) >> 48).expect("below 65 536");
            line.push_str(&self.words[usize::from(self.table[drawn])]);
        }
        line
    }
}

/// Returns a word of 3 to 12 letters.
fn word(number: u64) -> String {
    let len = 3 + below(rnd(44, number), 10);
    let letter = |place| {
        let drawn = below(rnd(45, number * 16 + place), 26);
        char::from(b'a' + u8::try_from(drawn).expect("below 26"))
    };
    (0..len).map(letter).collect()
}

/// Returns which rank each drawn number stands for, when rank `r` weighs 1 / (r + 1).
fn table() -> Vec<u16> {
    let weight = |rank: u64| (1 << 26) / (rank + 1);
    let total: u64 = (0..DICTIONARY_SIZE).map(weight).sum();
    let (mut rank, mut weight_so_far) = (0, weight(0));
    let entry = |number: u64| {
        while weight_so_far <= number * total / 65_536 {
            rank += 1;
            weight_so_far += weight(rank);
        }
        u16::try_from(rank).expect("ranks are below 10 000")
    };
    (0..65_536).map(entry).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn random_numbers_are_those_of_the_specification() {
        assert_eq!(rnd(42, 0), 0xBDD7_3226_2FEB_6E95);
        assert_eq!(rnd(42, 1), 0x28EF_E333_B266_F103);
    }

    #[test]
    fn events_are_in_bounds() {
        for index in 0..10_000 {
            let Event { key, value, time } = Event::new(index, 1_000);
            assert!(key < 1_000);
            assert!((-32_768..32_768).contains(&value));
            let on_time = (index / 10).cast_signed();
            assert!((on_time..=on_time + 200).contains(&time));
        }
    }

    #[test]
    fn a_line_has_ten_words_and_the_first_word_is_the_most_frequent() {
        let dictionary = Dictionary::get();
        let lines: Vec<String> = (0..2_000).map(|index| dictionary.line(index)).collect();
        assert!(lines.iter().all(|line| line.split(' ').count() == 10));
        let count = |wanted: &str| {
            lines.iter().flat_map(|line| line.split(' ')).filter(|word| *word == wanted).count()
        };
        // One in about ten: 1 / (ln 10 000 + 0.58).
        assert!((1_700..2_500).contains(&count(&dictionary.words[0])));
        assert!(count(&dictionary.words[99]) < 60);
    }
}
