//! Writing one entry into one slot of the log, until the outcome is definite.
//!
//! The store may answer *in doubt*: the write may have had its effect, or may have it later. So
//! reading that the slot is empty proves nothing, and only two answers are final: a put that
//! succeeded, and a put that found the slot taken. Whoever took it is then known by reading: an
//! entry that is equal to ours *is* ours, because a reign carries a random claim and a manifest its
//! term, attempt and checkpoint.

use floodmark_platform::StoreError;
use floodmark_wire::{LogEntry, WireError};

/// What a slot of the log was found to hold.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Found {
    /// An entry.
    Entry(LogEntry),
    /// Nothing.
    Missing,
    /// Something that cannot be read, however often.
    Unreadable(WireError),
}

/// How an append ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Appended {
    /// The slot holds our entry.
    Stored,
    /// The slot holds the entry of another.
    Taken(LogEntry),
    /// The slot was taken, and is empty again.
    Vanished,
    /// The slot was taken, by something that cannot be read.
    Unreadable(WireError),
}

/// What to do after a put.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[must_use]
pub(crate) enum PutStep {
    /// Nothing: the slot holds our entry.
    Stored,
    /// Read the slot, to learn who took it.
    Read,
    /// Put the entry again, after a pause.
    PutAgain,
}

/// Decides after a `put_if_absent` of the entry.
///
/// A failure that followed a doubt is still a doubt about the first try, which the next put that
/// ends definitely resolves.
pub(crate) fn after_put(result: Result<(), StoreError>) -> PutStep {
    match result {
        Ok(()) => PutStep::Stored,
        Err(StoreError::AlreadyExists { .. }) => PutStep::Read,
        Err(
            StoreError::InDoubt { .. } | StoreError::Failed { .. } | StoreError::NotFound { .. },
        ) => PutStep::PutAgain,
    }
}

/// Decides after reading a slot that was found taken.
pub(crate) fn after_read(entry: &LogEntry, found: Found) -> Appended {
    match found {
        Found::Entry(stored) if stored == *entry => Appended::Stored,
        Found::Entry(stored) => Appended::Taken(stored),
        Found::Missing => Appended::Vanished,
        Found::Unreadable(error) => Appended::Unreadable(error),
    }
}

#[cfg(test)]
mod tests {
    use std::collections::{BTreeMap, VecDeque};

    use expect_test::{Expect, expect};
    use floodmark_model::Term;

    use super::*;

    /// What the store does with one put.
    enum Put {
        Works,
        Fails,
        /// Answers in doubt; has its effect now, or not.
        InDoubt {
            lands: bool,
        },
        /// Fails, and another coordinator takes the slot.
        IsOvertaken,
    }

    fn reign(claim: u64) -> LogEntry {
        LogEntry::Reign { term: Term(3), claim }
    }

    /// Appends to slot 1 of a log that answers as told, and returns steps and outcome.
    #[track_caller]
    fn check(puts: impl Into<VecDeque<Put>>, want: Expect) {
        let (mut puts, mut log) = (puts.into(), BTreeMap::new());
        let mut got = Vec::new();
        loop {
            let step = after_put(answer(&mut log, puts.pop_front()));
            got.push(format!("{step:?}"));
            if step == PutStep::Read {
                let found = log.get(&1).cloned().map_or(Found::Missing, Found::Entry);
                got.push(format!("{:?}", after_read(&reign(1), found)));
            }
            if step != PutStep::PutAgain {
                break;
            }
        }
        want.assert_eq(&got.join(" → "));
    }

    fn answer(log: &mut BTreeMap<u64, LogEntry>, put: Option<Put>) -> Result<(), StoreError> {
        let (key, reason) = (String::new(), String::new());
        let is_taken = log.contains_key(&1);
        match put.unwrap_or(Put::Works) {
            Put::Fails => Err(StoreError::Failed { key, reason }),
            Put::IsOvertaken => {
                log.entry(1).or_insert(reign(2));
                Err(StoreError::Failed { key, reason })
            }
            Put::InDoubt { lands } => {
                if lands {
                    log.entry(1).or_insert(reign(1));
                }
                Err(StoreError::InDoubt { key, reason })
            }
            Put::Works if is_taken => Err(StoreError::AlreadyExists { key }),
            Put::Works => {
                log.insert(1, reign(1));
                Ok(())
            }
        }
    }

    #[test]
    fn a_put_in_doubt_that_landed_is_recognised() {
        check([Put::InDoubt { lands: true }], expect!["PutAgain → Read → Stored"]);
    }

    #[test]
    fn a_put_in_doubt_that_did_not_land_is_repeated() {
        check([Put::InDoubt { lands: false }, Put::Fails], expect!["PutAgain → PutAgain → Stored"]);
    }

    #[test]
    fn a_put_in_doubt_may_turn_out_to_have_lost() {
        check(
            [Put::InDoubt { lands: false }, Put::IsOvertaken],
            expect!["PutAgain → PutAgain → Read → Taken(Reign { term: Term(3), claim: 2 })"],
        );
    }
}
