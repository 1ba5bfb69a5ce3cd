//! Choices: everything that could go one way or another.
//!
//! A choice has a name: where in the code it is made, by whom, and the how-manieth of that kind it
//! is. Its outcome is a function of the seed and that name, not the next number of a stream, so that
//! a choice added somewhere does not change the others. A tape overrides single choices.
//!
//! Names are chosen so that they survive small changes of a run: what a fault does to a frame is named
//! by the fault, the link, the kind of the frame and its number among those of its kind. Leaving out
//! another fault, or sending a frame more of another kind, shifts nothing.

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
    /// Whether choices that the tape does not make go the plain way, and not that of the seed.
    is_plain: bool,
    overrides: BTreeMap<String, BTreeMap<(u64, u64), u64>>,
    made: BTreeMap<(&'static str, u64), u64>,
    /// Present if the run is recorded.
    record: Option<Tape>,
}

impl Choices {
    pub(crate) fn new(seed: u64, tape: Option<Tape>, is_recorded: bool) -> Self {
        let mut overrides: BTreeMap<String, BTreeMap<(u64, u64), u64>> = BTreeMap::new();
        for RecordedChoice { site, actor, occurrence, value } in tape.unwrap_or_default().0 {
            overrides.entry(site).or_default().insert((actor, occurrence), value);
        }
        Self {
            seed,
            is_plain: false,
            overrides,
            made: BTreeMap::new(),
            record: is_recorded.then(Tape::default),
        }
    }

    /// Lets choices that the tape does not make go the plain way: the least delay, no damage.
    pub(crate) fn plain(self, is_plain: bool) -> Self {
        Self { is_plain, ..self }
    }

    /// Makes the next choice of `actor` at `site`. No way is plainer than another.
    pub(crate) fn choose(&mut self, site: &'static str, actor: u64) -> u64 {
        let occurrence = self.count(site, actor);
        self.decide(site, actor, occurrence, None)
    }

    /// Makes the next choice of `actor` at `site`, of which 0 is the plain way.
    pub(crate) fn choose_or_zero(&mut self, site: &'static str, actor: u64) -> u64 {
        let occurrence = self.count(site, actor);
        self.decide(site, actor, occurrence, Some(0))
    }

    /// Makes a choice, of which 0 is the plain way, and whose occurrences the caller counts: no other
    /// may be made at that site by that actor.
    pub(crate) fn choose_number(&mut self, site: &'static str, actor: u64, occurrence: u64) -> u64 {
        self.decide(site, actor, occurrence, Some(0))
    }

    fn count(&mut self, site: &'static str, actor: u64) -> u64 {
        let count = self.made.entry((site, actor)).or_default();
        let occurrence = *count;
        *count += 1;
        occurrence
    }

    fn decide(
        &mut self,
        site: &'static str,
        actor: u64,
        occurrence: u64,
        plain: Option<u64>,
    ) -> u64 {
        let plain = plain.filter(|_| self.is_plain);
        let made = self.overridden(site, actor, occurrence).or(plain);
        let value = made.unwrap_or_else(|| {
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
        if bound <= 1 { 0 } else { self.choose_or_zero(site, actor) % bound }
    }

    /// Chooses whether something with this probability, in thousandths, happens; plainly not. The
    /// caller counts occurrences.
    pub(crate) fn per_mille(
        &mut self,
        site: &'static str,
        actor: u64,
        occurrence: u64,
        probability: u16,
    ) -> bool {
        match probability {
            0 => false,
            1000.. => true,
            _ => {
                let value = self.decide(site, actor, occurrence, Some(999));
                value % 1000 < u64::from(probability)
            }
        }
    }

    /// Chooses whether something with this probability, in thousandths, happens; plainly not.
    pub(crate) fn next_per_mille(
        &mut self,
        site: &'static str,
        actor: u64,
        probability: u16,
    ) -> bool {
        let occurrence = self.count(site, actor);
        self.per_mille(site, actor, occurrence, probability)
    }

    pub(crate) fn into_tape(self) -> Tape {
        self.record.unwrap_or_default()
    }

    fn overridden(&self, site: &str, actor: u64, occurrence: u64) -> Option<u64> {
        self.overrides.get(site)?.get(&(actor, occurrence)).copied()
    }
}

/// Names an actor by what is known of it.
pub(crate) fn actor_of<const N: usize>(parts: [u64; N]) -> u64 {
    let mut hash = xxhash_rust::xxh3::Xxh3::new();
    parts.iter().for_each(|part| hash.update(&part.to_le_bytes()));
    hash.digest()
}

/// Names an actor by a number and a word.
pub(crate) fn actor_named(number: u64, word: &str) -> u64 {
    xxh3_64_with_seed(word.as_bytes(), number)
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

    #[test]
    fn what_a_tape_does_not_say_is_plain_on_request() {
        let mut choices = Choices::new(7, None, true);
        let value = choices.choose_or_zero("site", 1);
        let tape = choices.into_tape();
        let mut plain = Choices::new(7, Some(tape), false).plain(true);
        assert_eq!(plain.choose_or_zero("site", 1), value);
        assert_eq!(plain.choose_or_zero("site", 1), 0);
        assert!((0..100).all(|number| !plain.per_mille("fate", 1, number, 900)));
        // What has no plain way is still the seed's.
        assert_ne!(plain.choose("id", 1), plain.choose("id", 2));
    }
}
