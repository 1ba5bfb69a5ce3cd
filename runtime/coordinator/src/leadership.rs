//! Leadership: how a coordinator takes a term in the log.
//!
//! A candidate writes its reign into the slot after the newest one. Each slot has one winner, so
//! whoever held the term before finds its next slot taken and can store no manifest any more.
//!
//! Retention empties old slots, which makes one thing dangerous: a candidate that slept after its
//! listing may write into a slot that was filled and emptied meanwhile, far behind the newest. So a
//! stored reign counts only when a listing *made after it* shows nothing newer. The newest entry is
//! never deleted, hence every such listing shows it.
//!
//! # Invariants
//!
//! - The term of a claim is one more than that of the entry in the slot before.
//! - What may be the newest manifest is never skipped: if it cannot be read, nobody rules.

use std::collections::{BTreeMap, BTreeSet};

use floodmark_model::Term;
use floodmark_platform::planted;
use floodmark_wire::{LogEntry, Manifest, WireError};

use crate::append::{Appended, Found};

/// A term that was taken.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Reign {
    /// The term.
    pub(crate) term: Term,
    /// What tells this reign from one that competed for the same term.
    pub(crate) claim: u64,
    /// The slot in which the reign stands; the next entry goes into the one after it.
    pub(crate) slot: u64,
    /// The manifests of earlier reigns, by slot.
    pub(crate) manifests: BTreeMap<u64, Manifest>,
    /// Older slots that hold what could not be read, which may be a manifest.
    pub(crate) unreadable: BTreeSet<u64>,
}

/// What the candidate is told.
#[derive(Clone, Debug)]
pub(crate) enum Event {
    /// The slots that hold something.
    Listed(BTreeSet<u64>),
    /// What the slot it asked for holds.
    Found(Found),
    /// How its append ended.
    Appended(Appended),
}

/// What the candidate asks to be done.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Command {
    /// List the log.
    List,
    /// Read a slot.
    Read(u64),
    /// Append an entry.
    Append {
        /// Where.
        slot: u64,
        /// What.
        entry: LogEntry,
    },
    /// Begin to rule.
    Rule(Reign),
    /// Give up: the entry in this slot decides, and cannot be read.
    Refuse {
        /// Which.
        slot: u64,
        /// What is wrong with it.
        error: WireError,
    },
}

/// A coordinator that wants to rule.
#[derive(Debug)]
pub(crate) struct Candidate {
    claim: u64,
    state: State,
}

#[derive(Debug)]
enum State {
    /// Looks for the newest slot.
    Listing,
    /// Reads the newest slot.
    Reading { slot: u64 },
    /// Writes its reign.
    Claiming { slot: u64, term: Term },
    /// Looks whether its reign is the newest entry.
    Verifying { slot: u64, term: Term },
    /// Reads the slots before its reign, newest first; `earlier` ends with the one being read.
    Recalling { reign: Reign, earlier: Vec<u64> },
    /// Rules, or has given up.
    Over,
}

impl Candidate {
    /// Creates a candidate, to be told the slots of the log first.
    pub(crate) fn new(claim: u64) -> Self {
        Self { claim, state: State::Listing }
    }

    /// Takes the answer to the last command and returns the next.
    pub(crate) fn on_event(&mut self, event: Event) -> Command {
        match (std::mem::replace(&mut self.state, State::Over), event) {
            (State::Listing, Event::Listed(slots)) => self.seek(&slots),
            (State::Reading { slot }, Event::Found(found)) => self.on_newest(slot, found),
            (State::Claiming { slot, term }, Event::Appended(appended)) => {
                self.on_claimed(slot, term, appended)
            }
            (State::Verifying { slot, term }, Event::Listed(slots)) => {
                self.on_verified(slot, term, slots)
            }
            (State::Recalling { reign, earlier }, Event::Found(found)) => {
                self.on_recalled(reign, earlier, found)
            }
            (state, event) => unreachable!("{event:?} answers no command of {state:?}"),
        }
    }

    fn list(&mut self) -> Command {
        self.state = State::Listing;
        Command::List
    }

    fn seek(&mut self, slots: &BTreeSet<u64>) -> Command {
        let Some(&slot) = slots.last() else { return self.claim_after(0, Term(0)) };
        self.state = State::Reading { slot };
        Command::Read(slot)
    }

    fn on_newest(&mut self, slot: u64, found: Found) -> Command {
        match found {
            Found::Entry(entry) => self.claim_after(slot, entry.term()),
            // It was retired after the listing, so there is a newer one.
            Found::Missing => self.list(),
            Found::Unreadable(error) => Command::Refuse { slot, error },
        }
    }

    fn claim_after(&mut self, slot: u64, term: Term) -> Command {
        let (slot, term) = (slot + 1, Term(term.0 + 1));
        self.state = State::Claiming { slot, term };
        Command::Append { slot, entry: LogEntry::Reign { term, claim: self.claim } }
    }

    fn on_claimed(&mut self, slot: u64, term: Term, appended: Appended) -> Command {
        match appended {
            Appended::Stored => {
                self.state = State::Verifying { slot, term };
                Command::List
            }
            Appended::Taken(entry) => self.claim_after(slot, entry.term()),
            Appended::Vanished => self.list(),
            Appended::Unreadable(error) => Command::Refuse { slot, error },
        }
    }

    fn on_verified(&mut self, slot: u64, term: Term, mut slots: BTreeSet<u64>) -> Command {
        slots.insert(slot);
        if slots.last() != Some(&slot) {
            return self.seek(&slots);
        }
        slots.remove(&slot);
        let (manifests, unreadable) = (BTreeMap::new(), BTreeSet::new());
        let reign = Reign { term, claim: self.claim, slot, manifests, unreadable };
        self.recall(reign, slots.into_iter().collect())
    }

    fn recall(&mut self, reign: Reign, earlier: Vec<u64>) -> Command {
        let Some(&slot) = earlier.last() else { return Command::Rule(reign) };
        assert!(slot < reign.slot, "nothing is newer than the reign");
        self.state = State::Recalling { reign, earlier };
        Command::Read(slot)
    }

    fn on_recalled(&mut self, mut reign: Reign, mut earlier: Vec<u64>, found: Found) -> Command {
        let slot = earlier.pop().expect("the slot being read is the last of the earlier ones");
        match found {
            Found::Entry(LogEntry::Manifest(manifest)) => {
                reign.manifests.insert(slot, manifest);
            }
            // An older coordinator may still be retiring manifests, but never the newest.
            Found::Entry(LogEntry::Reign { .. }) | Found::Missing => {}
            Found::Unreadable(error) if reign.manifests.is_empty() && !planted!(SilentFallback) => {
                return Command::Refuse { slot, error };
            }
            // A newer manifest was read: this one would not be restored anyway. What it lists must
            // stay all the same, for those who can read it.
            Found::Unreadable(_) => {
                reign.unreadable.insert(slot);
            }
        }
        self.recall(reign, earlier)
    }
}

#[cfg(test)]
mod tests {
    use expect_test::{Expect, expect};
    use floodmark_model::{Attempt, CheckpointId, JobGraph};

    use super::*;

    /// A log too simple to be wrong.
    type Log = BTreeMap<u64, LogEntry>;

    /// A candidate with the command it wants performed next.
    struct Runner {
        candidate: Candidate,
        command: Command,
    }

    impl Runner {
        fn new(claim: u64) -> Self {
            Self { candidate: Candidate::new(claim), command: Command::List }
        }

        fn step(&mut self, log: &mut Log) {
            let event = match self.command.clone() {
                Command::List => Event::Listed(log.keys().copied().collect()),
                Command::Read(slot) => {
                    Event::Found(log.get(&slot).cloned().map_or(Found::Missing, Found::Entry))
                }
                Command::Append { slot, entry } => Event::Appended(match log.get(&slot) {
                    Some(taken) if *taken != entry => Appended::Taken(taken.clone()),
                    _ => {
                        log.insert(slot, entry);
                        Appended::Stored
                    }
                }),
                Command::Rule(_) | Command::Refuse { .. } => return,
            };
            self.command = self.candidate.on_event(event);
        }

        fn finish(&mut self, log: &mut Log) -> String {
            while !matches!(self.command, Command::Rule(_) | Command::Refuse { .. }) {
                self.step(log);
            }
            describe(&self.command)
        }
    }

    fn describe(command: &Command) -> String {
        match command {
            Command::Rule(Reign { term, slot, manifests, .. }) => {
                let newest = manifests.values().last().map(|manifest| manifest.checkpoint.0);
                format!("{term} in slot {slot}, restores {newest:?}")
            }
            Command::List | Command::Read(_) | Command::Append { .. } | Command::Refuse { .. } => {
                format!("{command:?}")
            }
        }
    }

    fn manifest(term: u64, checkpoint: u64) -> LogEntry {
        LogEntry::Manifest(Manifest {
            term: Term(term),
            attempt: Attempt { term: Term(term), number: 1 },
            checkpoint: CheckpointId(checkpoint),
            is_final: false,
            job: JobGraph {
                name: "job".to_owned(),
                key_group_count: 1,
                vertices: Vec::new(),
                edges: Vec::new(),
            },
            snapshots: Vec::new(),
        })
    }

    fn reign(term: u64) -> LogEntry {
        LogEntry::Reign { term: Term(term), claim: 0 }
    }

    /// Lets one candidate take a term in `log`.
    #[track_caller]
    fn check(log: impl Into<Log>, want: Expect) {
        want.assert_eq(&Runner::new(7).finish(&mut log.into()));
    }

    #[test]
    fn the_first_term_of_a_job_is_one() {
        check([], expect!["term 1 in slot 1, restores None"]);
    }

    #[test]
    fn the_newest_manifest_is_found_behind_empty_reigns() {
        check(
            [(1, reign(1)), (4, manifest(1, 8)), (5, manifest(1, 9)), (6, reign(2)), (7, reign(3))],
            expect!["term 4 in slot 8, restores Some(9)"],
        );
    }

    #[test]
    fn of_two_candidates_the_later_fences_the_earlier() {
        // Every interleaving of two candidates, as the bits of a number.
        for order in 0_u32..1 << 12 {
            let mut log = Log::from([(1, reign(1)), (2, manifest(1, 5))]);
            let mut runners = [Runner::new(1), Runner::new(2)];
            for turn in 0..12 {
                runners[(order >> turn & 1) as usize].step(&mut log);
            }
            for runner in &mut runners {
                runner.finish(&mut log);
            }
            let reigns: Vec<_> = runners.iter().map(|runner| describe(&runner.command)).collect();
            assert_ne!(reigns[0], reigns[1], "order {order:b}: a term has one ruler");
            let newest = *log.keys().last().unwrap();
            let rules = reigns.iter().any(|reign| reign.contains(&format!("slot {newest},")));
            assert!(rules, "order {order:b}: the newest entry is of one who rules");
        }
    }

    #[test]
    fn a_candidate_that_slept_does_not_rule_from_an_emptied_slot() {
        let mut log = Log::from([(1, reign(1)), (2, manifest(1, 1))]);
        let mut sleeper = Runner::new(1);
        sleeper.step(&mut log);
        sleeper.step(&mut log);
        // It is about to write slot 3, which is filled and emptied while it sleeps.
        log.remove(&2);
        log.insert(4, manifest(1, 3));
        expect!["term 2 in slot 5, restores Some(3)"].assert_eq(&sleeper.finish(&mut log));
    }

    #[test]
    fn an_unreadable_newest_manifest_is_not_skipped() {
        let mut candidate = Candidate::new(7);
        let slots = BTreeSet::from([1, 2, 3]);
        candidate.on_event(Event::Listed(slots.clone()));
        candidate.on_event(Event::Found(Found::Entry(reign(2))));
        candidate.on_event(Event::Appended(Appended::Stored));
        candidate.on_event(Event::Listed(slots));
        candidate.on_event(Event::Found(Found::Entry(reign(2))));
        let command = candidate.on_event(Event::Found(Found::Unreadable(WireError::Checksum)));
        expect!["Refuse { slot: 2, error: Checksum }"].assert_eq(&describe(&command));
    }
}
