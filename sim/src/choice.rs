//! Choices: everything that could go one way or another.
//!
//! A choice has a name: where in the code it is made, by whom, and the how-manieth of that kind it
//! is. Its outcome is a function of the seed and that name, not the next number of a stream, so that
//! a choice added somewhere does not change the others. A tape overrides single choices.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use xxhash_rust::xxh3::xxh3_64_with_seed;

/// A choice that was made.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RecordedChoice {
    /// Where in the code.
    pub site: String,
    /// By whom.
    pub actor: u64,
    /// How many choices that actor had made at that site before.
    pub occurrence: u64,
    /// What was chosen.
    pub value: u64,
}

/// Choices that are made in advance; all others follow from the seed.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Tape(pub Vec<RecordedChoice>);

/// The choices of one run.
pub(crate) struct Choices {
    seed: u64,
    overrides: BTreeMap<(String, u64, u64), u64>,
    made: BTreeMap<(&'static str, u64), u64>,
    /// Present if the run is recorded.
    record: Option<Tape>,
}

impl Choices {
    pub(crate) fn new(seed: u64, tape: Option<Tape>, is_recorded: bool) -> Self {
        let choices = tape.unwrap_or_default().0.into_iter();
        let overrides = choices.map(|RecordedChoice { site, actor, occurrence, value }| {
            ((site, actor, occurrence), value)
        });
        Self {
            seed,
            overrides: overrides.collect(),
            made: BTreeMap::new(),
            record: is_recorded.then(Tape::default),
        }
    }

    /// Makes the next choice of `actor` at `site`.
    pub(crate) fn choose(&mut self, site: &'static str, actor: u64) -> u64 {
        let count = self.made.entry((site, actor)).or_default();
        let occurrence = *count;
        *count += 1;
        self.choose_number(site, actor, occurrence)
    }

    /// Makes a choice whose occurrences the caller counts: no other may be made at that site by
    /// that actor.
    pub(crate) fn choose_number(&mut self, site: &'static str, actor: u64, occurrence: u64) -> u64 {
        let value = self.overridden(site, actor, occurrence).unwrap_or_else(|| {
            let site = xxh3_64_with_seed(site.as_bytes(), self.seed);
            let mut name = [0; 16];
            name[..8].copy_from_slice(&actor.to_le_bytes());
            name[8..].copy_from_slice(&occurrence.to_le_bytes());
            xxh3_64_with_seed(&name, site)
        });
        if let Some(tape) = &mut self.record {
            tape.0.push(RecordedChoice { site: site.to_owned(), actor, occurrence, value });
        }
        value
    }

    /// Chooses a number below `bound`; 0 if there is none.
    pub(crate) fn below(&mut self, site: &'static str, actor: u64, bound: u64) -> u64 {
        if bound <= 1 { 0 } else { self.choose(site, actor) % bound }
    }

    /// Chooses whether something with this probability, in thousandths, happens.
    pub(crate) fn per_mille(&mut self, site: &'static str, actor: u64, probability: u16) -> bool {
        match probability {
            0 => false,
            1000.. => true,
            _ => self.below(site, actor, 1000) < u64::from(probability),
        }
    }

    pub(crate) fn into_tape(self) -> Tape {
        self.record.unwrap_or_default()
    }

    fn overridden(&self, site: &str, actor: u64, occurrence: u64) -> Option<u64> {
        if self.overrides.is_empty() {
            return None;
        }
        self.overrides.get(&(site.to_owned(), actor, occurrence)).copied()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_choice_elsewhere_shifts_nothing() {
        let mut plain = Choices::new(7, None, false);
        let mut disturbed = Choices::new(7, None, false);
        for _ in 0..10 {
            disturbed.choose("other", 1);
            disturbed.choose("site", 2);
            assert_eq!(plain.choose("site", 1), disturbed.choose("site", 1));
        }
    }

    #[test]
    fn a_tape_overrides_what_it_names_and_nothing_else() {
        let mut first = Choices::new(7, None, true);
        let values = [first.choose("site", 1), first.choose("site", 1), first.choose("site", 2)];
        let mut tape = first.into_tape();
        let mut replayed = Choices::new(8, Some(tape.clone()), false);
        let again =
            [replayed.choose("site", 1), replayed.choose("site", 1), replayed.choose("site", 2)];
        assert_eq!(again, values);
        tape.0.remove(1);
        let mut edited = Choices::new(8, Some(tape), false);
        assert_eq!(edited.choose("site", 1), values[0]);
        assert_ne!(edited.choose("site", 1), values[1]);
        assert_eq!(edited.choose("site", 2), values[2]);
    }
}
