//! What gauges have written is read first, and then what they send, by one source. Workers die before,
//! at and after the change.
//!
//! A checkpoint holds how far both have come. Each subtask changes when it has read all that was written for
//! it, others earlier or later; from the last written reading to the first live one event time neither waits
//! for ever nor runs ahead, so nothing is late.

use std::time::Duration;

use floodmark_sim::FaultPlan;

use crate::{Draw, Group, Scenario, faults::worker_dies, jobs::gauges, probes};

/// The story above.
pub const SCENARIO: Scenario = Scenario {
    name: "written_and_live",
    group: Group::Edge,
    tells: "a source goes on with another where it ends, and workers die before, then and after",
    jobs: &[&gauges::WRITTEN_AND_LIVE],
    size: 600,
    worker_count: 3,
    faults: |seed| {
        let draw = Draw::new(seed);
        // Gauges take three seconds each, so the change comes after about three.
        let crash = |number: u16| {
            let base = 300 + u64::from(number - 1) * 1_700;
            worker_dies(draw, number, (base, base + 1_700), (50, 600))
        };
        FaultPlan((1..=3).map(crash).collect())
    },
    must_reach: &[probes::RESTORED, probes::WATERMARK_RESTORED, probes::ENDED_SPLIT_RESTORED],
    finishes_within: Duration::from_secs(60),
    checkpoints: |drawn| drawn,
    standby_after: None,
    stops_after: None,
};
