//! Each reader has a fast gauge, a slow one, one that begins late and one that ends early, and dies in
//! the middle of it.
//!
//! What the fast gauge has promised says nothing about the slow one. After the restore a gauge that
//! has not sent anything yet counts as before, so no reading is late, whatever came first.

use std::time::Duration;

use floodmark_sim::FaultPlan;

use crate::{Draw, Group, Scenario, faults::worker_dies, jobs::gauges, probes};

/// The story above.
pub const SCENARIO: Scenario = Scenario {
    name: "skewed_splits",
    group: Group::Time,
    tells: "fast, slow, late and short splits of one reader, and workers that die meanwhile",
    jobs: &[&gauges::SKEWED],
    size: 600,
    worker_count: 3,
    faults: |seed| {
        let draw = Draw::new(seed);
        let crash = |number: u16| {
            let base = 400 + u64::from(number) * 700;
            worker_dies(draw, number, (base, base + 600), (50, 600))
        };
        FaultPlan((1..=3).map(crash).collect())
    },
    must_reach: &[probes::RESTORED, probes::WATERMARK_RESTORED, probes::ENDED_SPLIT_RESTORED],
    finishes_within: Duration::from_secs(60),
    checkpoints: |drawn| drawn,
    standby_after: None,
    stops_after: None,
};
