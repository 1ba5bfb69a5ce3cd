//! Alignment against a model that remembers everything.

use std::collections::{BTreeMap, BTreeSet};

use floodmark_dataflow::{Alignment, Step};
use floodmark_model::CheckpointId;
use proptest::prelude::*;

proptest! {
    /// A snapshot of a checkpoint is taken exactly when the last channel has delivered its barrier,
    /// unless the barrier of a later checkpoint came first; and never twice.
    #[test]
    fn a_snapshot_follows_the_last_barrier_and_nothing_else(
        channel_count in 1_usize..6,
        // Per channel the checkpoints whose barriers it delivers; each may be lost.
        delivered in prop::collection::vec(prop::collection::vec(any::<bool>(), 8), 6),
        order in prop::collection::vec(0_usize..6, 0..80),
    ) {
        let mut alignment = Alignment::new(channel_count);
        let mut waiting: Vec<Vec<u64>> = delivered[..channel_count]
            .iter()
            .map(|kept| {
                let kept = (1_u64..).zip(kept).filter(|(_, kept)| **kept);
                let mut ids: Vec<u64> = kept.map(|(id, _)| id).collect();
                ids.reverse();
                ids
            })
            .collect();
        let mut blocked = vec![false; channel_count];
        let mut seen: BTreeMap<u64, BTreeSet<usize>> = BTreeMap::new();
        let mut newest = 0;

        for channel in order.into_iter().filter(|channel| *channel < channel_count) {
            if blocked[channel] {
                continue;
            }
            let Some(id) = waiting[channel].pop() else { continue };
            let is_over = id < newest;
            newest = newest.max(id);
            let arrived = seen.entry(id).or_default();
            arrived.insert(channel);
            let is_last = !is_over && arrived.len() == channel_count;
            match alignment.on_barrier(channel, CheckpointId(id)) {
                Step::Late => prop_assert!(is_over),
                Step::Snapshot { .. } => {
                    prop_assert!(is_last, "checkpoint {} after {:?}", id, seen);
                    blocked.fill(false);
                }
                Step::Block { aborted } => {
                    prop_assert!(!is_last && !is_over);
                    if aborted.is_some() {
                        blocked.fill(false);
                    }
                    blocked[channel] = true;
                }
            }
        }
    }
}
