//! Retention: which checkpoints are kept, and what is garbage.
//!
//! A checkpoint is deleted data first, slot last, so that a crash between leaves an entry from
//! which the next coordinator can finish the work. Reigns are never deleted: a coordinator that
//! slept writes into the slot after the last one it knows, and finds there the reign that fences
//! it; an empty slot would let it rule.
//!
//! # Why an old coordinator deletes nothing a new one needs
//!
//! - It cleans only after it has itself stored a manifest. From that manifest, or from a newer one,
//!   every later coordinator starts.
//! - It deletes only what is older than that manifest and what it does not retain. Ids grow for
//!   ever, so whatever a later coordinator writes has a larger id; and files of higher terms are
//!   spared even if they did not.
//!
//! What an entry lists that cannot be read is unknown, so a reign that found one deletes nothing of
//! earlier terms but what it retires itself. The next reign may be able to read it.

use std::{
    collections::{BTreeMap, BTreeSet},
    num::NonZeroU32,
    ops::RangeInclusive,
};

use floodmark_model::{CheckpointId, Term};
use floodmark_platform::planted;
use floodmark_wire::{LogEntry, Manifest, name};

use crate::leadership::Reign;

/// The checkpoints in the log.
#[derive(Debug)]
pub(crate) struct Retention {
    retained_count: NonZeroU32,
    term: Term,
    claim: u64,
    /// Kept, by slot.
    retained: BTreeMap<u64, Manifest>,
    /// Whether earlier reigns left something that could not be read, and may be a manifest.
    spares_earlier: bool,
    /// To be deleted, by slot.
    retired: BTreeMap<u64, Manifest>,
    work: Work,
}

/// Whether a cleaning is under way.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Work {
    Idle,
    Cleaning,
    /// Under way, and there is more to clean since it began.
    CleaningAndDue,
}

/// What a cleaning does, in this order.
#[derive(Clone, Debug)]
pub(crate) struct Cleaning {
    /// The retired checkpoints.
    pub(crate) expired: Vec<Expired>,
    /// Files that a retained manifest lists.
    kept: BTreeSet<String>,
    /// Files of this checkpoint and of later ones are spared.
    newest: CheckpointId,
    /// Files of terms outside of these are spared.
    terms: RangeInclusive<Term>,
}

/// A retired checkpoint.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Expired {
    /// Its slot.
    pub(crate) slot: u64,
    /// Its files.
    pub(crate) files: Vec<String>,
    /// What takes its place in the slot; `None` empties it.
    pub(crate) replacement: Option<LogEntry>,
}

impl Retention {
    /// Creates the retention of a reign that found the manifests of earlier ones.
    pub(crate) fn new(retained_count: NonZeroU32, reign: Reign) -> Self {
        Self {
            retained_count,
            term: reign.term,
            claim: reign.claim,
            retained: reign.manifests,
            spares_earlier: !reign.unreadable.is_empty(),
            retired: BTreeMap::new(),
            work: Work::Idle,
        }
    }

    /// Returns the newest complete checkpoint.
    pub(crate) fn newest(&self) -> Option<&Manifest> {
        self.retained.values().next_back()
    }

    /// Records that `manifest` was stored in `slot`, and returns the checkpoints it makes
    /// superfluous.
    pub(crate) fn on_stored(&mut self, slot: u64, manifest: Manifest) -> Vec<CheckpointId> {
        assert!(
            self.newest().is_none_or(|newest| newest.checkpoint < manifest.checkpoint),
            "ids of completed checkpoints grow"
        );
        self.retained.insert(slot, manifest);
        let mut retired = Vec::new();
        while (self.retained_count.get() as usize) < self.retained.len() {
            let (slot, manifest) = self.retained.pop_first().expect("more than one is retained");
            retired.push(manifest.checkpoint);
            self.retired.insert(slot, manifest);
        }
        retired
    }

    /// Returns the cleaning that is due after a completed checkpoint, unless one is under way: then
    /// it is due when that has ended.
    pub(crate) fn clean(&mut self) -> Option<Cleaning> {
        if self.work != Work::Idle {
            self.work = Work::CleaningAndDue;
            return None;
        }
        self.work = Work::Cleaning;
        let newest = self.newest().expect("a cleaning follows a completed checkpoint");
        assert_eq!(newest.term, self.term, "only who stored a manifest in this reign cleans");
        let newest = newest.checkpoint;
        let counted =
            self.retained.values().filter(|one| !planted!(ForgottenFloor) || one.term == self.term);
        let kept: BTreeSet<String> = counted.flat_map(files_of).collect();
        let expired = self.retired.iter().map(|(slot, manifest)| Expired {
            slot: *slot,
            files: files_of(manifest)
                .filter(|key| !kept.contains(key) && !planted!(NameWithoutAttempt))
                .collect(),
            replacement: self.replacement_of(manifest),
        });
        let first = if self.spares_earlier { self.term } else { Term(0) };
        Some(Cleaning { expired: expired.collect(), kept, newest, terms: first..=self.term })
    }

    /// Records the end of a cleaning that deleted the checkpoints in `slots`, and returns the next.
    /// What could not be deleted is part of it.
    pub(crate) fn on_cleaned(&mut self, slots: &[u64]) -> Option<Cleaning> {
        assert_ne!(self.work, Work::Idle, "what ends has begun");
        self.retired.retain(|slot, _| !slots.contains(slot));
        let is_due = self.work == Work::CleaningAndDue;
        self.work = Work::Idle;
        if is_due { self.clean() } else { None }
    }

    /// Returns what takes the place of a retired manifest.
    ///
    /// The last manifest of an earlier reign may still be in doubt for its coordinator, which will
    /// put it again when it wakes up. In an empty slot that would succeed and bring back a
    /// manifest whose files are gone; so the slot is not emptied but given to this reign.
    fn replacement_of(&self, manifest: &Manifest) -> Option<LogEntry> {
        let is_foreign = manifest.term != self.term;
        is_foreign.then_some(LogEntry::Reign { term: self.term, claim: self.claim })
    }
}

impl Cleaning {
    /// Returns whether the object `key` belongs to a checkpoint that is over and not retained.
    pub(crate) fn is_garbage(&self, key: &str) -> bool {
        let Some((attempt, checkpoint)) = name::parse_snapshot(key) else { return false };
        let is_over = checkpoint < self.newest && self.terms.contains(&attempt.term);
        is_over && !self.kept.contains(key)
    }
}

fn files_of(manifest: &Manifest) -> impl Iterator<Item = String> {
    let files = manifest.snapshots.iter().flat_map(|(_, files)| files);
    files.map(|file| file.key.clone())
}

#[cfg(test)]
mod tests {
    use expect_test::expect;
    use floodmark_model::{Attempt, JobGraph, SubtaskId, VertexId};
    use floodmark_wire::StoredFile;

    use super::*;

    fn file(term: u64, checkpoint: u64) -> String {
        let attempt = Attempt { term: Term(term), number: 1 };
        let prefix = name::checkpoint("s", "j", attempt, CheckpointId(checkpoint));
        name::snapshot(&prefix, SubtaskId { vertex: VertexId(0), index: 0 })
    }

    fn manifest(term: u64, checkpoint: u64, files: &[String]) -> Manifest {
        let files = files.iter().map(|key| StoredFile::describe(key.clone(), b""));
        Manifest {
            term: Term(term),
            attempt: Attempt { term: Term(term), number: 1 },
            checkpoint: CheckpointId(checkpoint),
            is_final: false,
            job: JobGraph {
                name: "j".to_owned(),
                key_group_count: 1,
                vertices: Vec::new(),
                edges: Vec::new(),
            },
            snapshots: vec![(SubtaskId { vertex: VertexId(0), index: 0 }, files.collect())],
        }
    }

    /// Returns the retention of term 2 that found checkpoint 5 of term 1 in slot 2.
    fn retention() -> Retention {
        let manifests = BTreeMap::from([(2, manifest(1, 5, &[file(1, 5)]))]);
        let unreadable = BTreeSet::new();
        let reign = Reign { term: Term(2), claim: 9, slot: 3, manifests, unreadable };
        Retention::new(NonZeroU32::MIN, reign)
    }

    #[test]
    fn what_an_unreadable_entry_may_list_is_spared() {
        let unreadable = BTreeSet::from([1]);
        let reign =
            Reign { term: Term(2), claim: 9, slot: 3, manifests: BTreeMap::new(), unreadable };
        let mut retention = Retention::new(NonZeroU32::MIN, reign);
        let _ = retention.on_stored(4, manifest(2, 8, &[file(2, 8)]));
        let cleaning = retention.clean().unwrap();
        assert!(!cleaning.is_garbage(&file(1, 5)), "it may be what the entry lists");
        assert!(cleaning.is_garbage(&file(2, 7)), "an aborted checkpoint of this term");
    }

    #[test]
    fn a_manifest_of_an_earlier_reign_leaves_a_reign_in_its_slot() {
        let mut retention = retention();
        let retired = retention.on_stored(4, manifest(2, 6, &[file(2, 6)]));
        assert_eq!(retired, [CheckpointId(5)]);
        let first = retention.clean().unwrap();
        assert!(retention.on_cleaned(&[2]).is_none());
        let retired = retention.on_stored(5, manifest(2, 7, &[file(2, 7)]));
        assert_eq!(retired, [CheckpointId(6)]);
        let second = retention.clean().unwrap();
        let slots = [first, second].map(|cleaning| {
            let expired = &cleaning.expired[0];
            format!("{}: {:?}", expired.slot, expired.replacement)
        });
        expect![[r#"
            2: Some(Reign { term: Term(2), claim: 9 })
            4: None"#]]
        .assert_eq(&slots.join("\n"));
    }

    #[test]
    fn a_file_of_a_retained_manifest_is_never_deleted() {
        let mut retention = retention();
        let _ = retention.on_stored(4, manifest(2, 6, &[file(1, 5), file(2, 6)]));
        let cleaning = retention.clean().unwrap();
        assert_eq!(cleaning.expired[0].files, Vec::<String>::new());
        assert!(!cleaning.is_garbage(&file(1, 5)));
    }

    #[test]
    fn only_what_is_older_than_the_newest_manifest_is_garbage() {
        let mut retention = retention();
        let _ = retention.on_stored(4, manifest(2, 8, &[file(2, 8)]));
        let cleaning = retention.clean().unwrap();
        assert!(cleaning.is_garbage(&file(1, 7)), "an aborted checkpoint of an older term");
        assert!(cleaning.is_garbage(&file(2, 7)), "an aborted checkpoint of this term");
        assert!(!cleaning.is_garbage(&file(2, 8)), "the newest");
        assert!(!cleaning.is_garbage(&file(2, 9)), "one in flight");
        assert!(!cleaning.is_garbage(&file(3, 7)), "one of a later term");
        assert!(!cleaning.is_garbage("s/j/data/else"), "not a snapshot");
    }

    #[test]
    fn what_could_not_be_deleted_is_tried_again() {
        let mut retention = retention();
        let _ = retention.on_stored(4, manifest(2, 6, &[]));
        let _first = retention.clean().unwrap();
        let _ = retention.on_stored(5, manifest(2, 7, &[]));
        assert!(retention.clean().is_none(), "one cleaning at a time");
        let second = retention.on_cleaned(&[]).unwrap();
        let slots: Vec<u64> = second.expired.iter().map(|expired| expired.slot).collect();
        assert_eq!(slots, [2, 4]);
    }
}
