//! Two sources with gauges of very different speed wait for each other: what is read too early would
//! only fill the windows. Announcements get lost, and workers die.
//!
//! No split runs away from the slowest one, and yet nobody waits for ever: a lost announcement is
//! repeated, an attempt that begins anew knows of no one who is dead, and barriers pass while a source
//! waits.

use std::time::Duration;

use floodmark_sim::{Fault, FaultPlan};

use crate::{
    Draw, Group, Scenario,
    faults::{at, frames, worker_dies},
    jobs::gauges,
    probes,
};

/// The story above.
pub const SCENARIO: Scenario = Scenario {
    name: "aligned_sources",
    group: Group::Time,
    tells: "a fast source waits for a slow one; announcements get lost, and workers die",
    jobs: &[&gauges::ALIGNED],
    size: 600,
    worker_count: 3,
    faults: |seed| {
        let draw = Draw::new(seed);
        let mut faults = Vec::new();
        if draw.percent("lose", 60) {
            let lasts = draw.millis("lose_lasts", 300, 1_500);
            let lose =
                Fault::Lose { link: frames("announcement"), per_mille: 700, limit: 40, lasts };
            faults.push(at(draw.millis("lose", 200, 3_000), lose));
        }
        for number in 1..=2 {
            if draw.percent(&format!("dies {number}"), 60) {
                faults.push(worker_dies(draw, number, (400, 3_500), (50, 600)));
            }
        }
        FaultPlan(faults)
    },
    must_reach: &[
        probes::RESTORED,
        probes::WATERMARK_RESTORED,
        probes::SPLIT_HELD,
        probes::SPLIT_GOES_ON,
    ],
    finishes_within: Duration::from_secs(90),
    checkpoints: |drawn| drawn,
    standby_after: None,
    stops_after: None,
};
