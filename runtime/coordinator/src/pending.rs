//! A checkpoint that waits for its snapshots.

use std::collections::{BTreeMap, BTreeSet};

use floodmark_model::{CheckpointId, SubtaskId};
use floodmark_wire::StoredFile;

/// A triggered checkpoint that waits for acknowledgements.
#[derive(Debug)]
pub struct PendingCheckpoint {
    id: CheckpointId,
    expected: BTreeSet<SubtaskId>,
    snapshots: BTreeMap<SubtaskId, Vec<StoredFile>>,
}

/// What an acknowledgement changed.
///
/// Messages are repeated and delayed, so `Repeated` and `Stale` are ordinary outcomes, not errors.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[must_use]
pub enum Ack {
    /// Accepted; others are missing.
    Waiting,
    /// Accepted, and it was the last: store the manifest.
    Complete,
    /// Already acknowledged.
    Repeated,
    /// Not ours: another checkpoint, or a subtask that takes no part in it.
    Stale,
}

impl PendingCheckpoint {
    /// Creates a checkpoint that waits for every one of `subtasks`.
    pub fn new(id: CheckpointId, subtasks: BTreeSet<SubtaskId>) -> Self {
        assert!(!subtasks.is_empty());
        Self { id, expected: subtasks, snapshots: BTreeMap::new() }
    }

    /// Returns the checkpoint.
    pub fn id(&self) -> CheckpointId {
        self.id
    }

    /// Returns whether `subtask` takes part in `checkpoint`, and it is this one.
    pub fn is_of(&self, checkpoint: CheckpointId, subtask: SubtaskId) -> bool {
        checkpoint == self.id && self.expected.contains(&subtask)
    }

    /// Records that `subtask` stored its snapshot for `checkpoint` in `files`.
    pub fn on_ack(
        &mut self,
        checkpoint: CheckpointId,
        subtask: SubtaskId,
        files: Vec<StoredFile>,
    ) -> Ack {
        assert!(!self.is_complete(), "a complete checkpoint is no longer pending");

        if !self.is_of(checkpoint, subtask) {
            return Ack::Stale;
        }
        if self.snapshots.contains_key(&subtask) {
            return Ack::Repeated;
        }
        self.snapshots.insert(subtask, files);
        if self.is_complete() { Ack::Complete } else { Ack::Waiting }
    }

    /// Returns the subtasks that have not acknowledged.
    pub fn missing(&self) -> impl Iterator<Item = SubtaskId> {
        self.expected.iter().filter(|subtask| !self.snapshots.contains_key(subtask)).copied()
    }

    /// Returns every subtask's snapshot. Only of a complete checkpoint.
    pub fn into_snapshots(self) -> Vec<(SubtaskId, Vec<StoredFile>)> {
        assert!(self.is_complete(), "a manifest lists the snapshot of every subtask");
        self.snapshots.into_iter().collect()
    }

    fn is_complete(&self) -> bool {
        self.snapshots.len() == self.expected.len()
    }
}

#[cfg(test)]
mod tests {
    use expect_test::{Expect, expect};
    use floodmark_model::VertexId;

    use super::*;

    fn subtask(index: u16) -> SubtaskId {
        SubtaskId { vertex: VertexId(0), index }
    }

    /// Acknowledges `(checkpoint, index)` in order to checkpoint 3 of two subtasks.
    #[track_caller]
    fn check(acks: &[(u64, u16)], want: Expect) {
        let mut pending = PendingCheckpoint::new(CheckpointId(3), [0, 1].map(subtask).into());
        let acks = acks.iter().map(|&(checkpoint, index)| {
            pending.on_ack(CheckpointId(checkpoint), subtask(index), Vec::new())
        });
        want.assert_eq(&format!("{:?}", acks.collect::<Vec<_>>()));
    }

    #[test]
    fn the_last_acknowledgement_completes() {
        check(&[(3, 1), (3, 0)], expect!["[Waiting, Complete]"]);
    }

    #[test]
    fn repeated_and_foreign_acknowledgements_change_nothing() {
        check(
            &[(3, 1), (3, 1), (2, 0), (4, 0), (3, 2), (3, 0)],
            expect!["[Waiting, Repeated, Stale, Stale, Stale, Complete]"],
        );
    }
}
