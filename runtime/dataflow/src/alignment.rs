//! Barrier alignment: the point in its input where a subtask takes its snapshot.
//!
//! A subtask with several input channels meets the barrier of a checkpoint once per channel, at
//! different moments. What follows a barrier belongs to the next epoch, so a channel that has
//! delivered its barrier waits for the others; when the last barrier arrives, the subtask takes
//! its snapshot and all channels flow again.
//!
//! ```text
//! channel 0   a b c |7| d e          d and e wait
//! channel 1   p q r s t |7| u        snapshot 7 = everything left of |7|
//! ```
//!
//! This module only decides. Blocking channels, taking snapshots and forwarding barriers is the
//! work of `subtask`, which makes every interleaving testable without a thread.
//!
//! # Invariants
//!
//! - A blocked channel delivers nothing.
//! - At most one checkpoint is being aligned; the barrier of a later one aborts it.
//! - Checkpoint ids only grow.
//!
//! # Sources
//!
//! - Carbone et al., *Lightweight Asynchronous Snapshots for Distributed Dataflows*, 2015.
//! - Chandy and Lamport, *Distributed Snapshots*, 1985.

use floodmark_model::CheckpointId;

/// The alignment of one subtask's input channels.
#[derive(Debug)]
pub struct Alignment {
    /// The latest checkpoint whose barrier was seen, or that was aborted.
    latest: Option<CheckpointId>,
    /// Per channel: has it delivered the barrier of `latest`, and waits for the others?
    blocked: Vec<bool>,
    /// How many channels wait. Zero when no checkpoint is being aligned.
    blocked_count: usize,
}

/// What the subtask must do after a barrier.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[must_use]
pub enum Step {
    /// Block the channel; if a checkpoint is named, it was aborted and its channels flow again.
    Block {
        /// The checkpoint overtaken by this barrier.
        aborted: Option<CheckpointId>,
    },
    /// Take the snapshot, forward the barrier, unblock every channel.
    Snapshot {
        /// The checkpoint overtaken by this barrier.
        aborted: Option<CheckpointId>,
    },
    /// Do nothing: the checkpoint is already over.
    Late,
}

impl Alignment {
    /// Creates the alignment of `channel_count` channels, all flowing.
    pub fn new(channel_count: usize) -> Self {
        assert!(0 < channel_count);
        Self { latest: None, blocked: vec![false; channel_count], blocked_count: 0 }
    }

    /// Records that the barrier of `checkpoint` arrived on `channel`.
    pub fn on_barrier(&mut self, channel: usize, checkpoint: CheckpointId) -> Step {
        assert!(channel < self.blocked.len());
        assert!(!self.blocked[channel], "a blocked channel delivers nothing");

        let aborted = match self.latest {
            Some(latest) if checkpoint < latest => return Step::Late,
            Some(latest) if checkpoint == latest && !self.is_aligning() => return Step::Late,
            Some(latest) if checkpoint == latest => None,
            _ => self.begin(checkpoint),
        };
        self.blocked[channel] = true;
        self.blocked_count += 1;

        let step = if self.blocked_count < self.blocked.len() {
            Step::Block { aborted }
        } else {
            self.unblock_all();
            Step::Snapshot { aborted }
        };
        self.check();
        step
    }

    /// Records that `checkpoint` will not complete. Returns whether it was being aligned, so that
    /// its channels flow again.
    pub fn on_abort(&mut self, checkpoint: CheckpointId) -> bool {
        if Some(checkpoint) < self.latest {
            return false;
        }
        let was_aligning = self.is_aligning() && self.latest == Some(checkpoint);
        self.latest = Some(checkpoint);
        self.unblock_all();
        self.check();
        was_aligning
    }

    /// Returns the checkpoint that is being aligned.
    pub fn aligning(&self) -> Option<CheckpointId> {
        if self.is_aligning() { self.latest } else { None }
    }

    fn is_aligning(&self) -> bool {
        0 < self.blocked_count
    }

    /// Starts aligning `checkpoint` and returns the one it aborts.
    fn begin(&mut self, checkpoint: CheckpointId) -> Option<CheckpointId> {
        assert!(self.latest < Some(checkpoint));
        let aborted = self.aligning();
        self.latest = Some(checkpoint);
        self.unblock_all();
        aborted
    }

    fn unblock_all(&mut self) {
        self.blocked.fill(false);
        self.blocked_count = 0;
    }

    /// Asserts what holds between any two calls.
    fn check(&self) {
        assert!(self.blocked_count < self.blocked.len(), "a complete alignment ends at once");
        assert!(self.latest.is_some() || !self.is_aligning());
        // Linear in the channels, so only in tests and simulation.
        debug_assert_eq!(self.blocked_count, self.blocked.iter().filter(|&&b| b).count());
    }
}

#[cfg(test)]
mod tests {
    use std::fmt::Write as _;

    use expect_test::{Expect, expect};

    use super::*;

    /// Feeds `(channel, checkpoint)` barriers in order and compares the steps.
    #[track_caller]
    fn check(channel_count: usize, barriers: &[(usize, u64)], want: Expect) {
        let mut alignment = Alignment::new(channel_count);
        let mut got = String::new();
        for &(channel, checkpoint) in barriers {
            let step = alignment.on_barrier(channel, CheckpointId(checkpoint));
            writeln!(got, "{channel} |{checkpoint}| {step:?}").unwrap();
        }
        want.assert_eq(&got);
    }

    #[test]
    fn one_channel_never_waits() {
        check(
            1,
            &[(0, 1), (0, 2)],
            expect![[r#"
                0 |1| Snapshot { aborted: None }
                0 |2| Snapshot { aborted: None }
            "#]],
        );
    }

    #[test]
    fn snapshot_waits_for_the_slowest_channel() {
        check(
            3,
            &[(2, 1), (0, 1), (1, 1)],
            expect![[r#"
                2 |1| Block { aborted: None }
                0 |1| Block { aborted: None }
                1 |1| Snapshot { aborted: None }
            "#]],
        );
    }

    #[test]
    fn a_later_barrier_aborts_and_the_earlier_ones_that_follow_are_late() {
        check(
            2,
            &[(0, 1), (1, 2), (0, 2), (1, 3), (0, 3), (1, 1)],
            expect![[r#"
                0 |1| Block { aborted: None }
                1 |2| Block { aborted: Some(CheckpointId(1)) }
                0 |2| Snapshot { aborted: None }
                1 |3| Block { aborted: None }
                0 |3| Snapshot { aborted: None }
                1 |1| Late
            "#]],
        );
    }

    #[test]
    fn an_aborted_checkpoint_is_not_aligned_again() {
        let mut alignment = Alignment::new(2);
        let _ = alignment.on_barrier(0, CheckpointId(5));
        assert!(!alignment.on_abort(CheckpointId(4)));
        assert!(alignment.on_abort(CheckpointId(5)));
        assert_eq!(alignment.on_barrier(1, CheckpointId(5)), Step::Late);
        assert_eq!(alignment.on_barrier(1, CheckpointId(6)), Step::Block { aborted: None });
    }
}
