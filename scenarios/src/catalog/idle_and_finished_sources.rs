//! One source ends at once, the readers of the other fall silent together and wake up again, and
//! workers die before, during and after the silence.
//!
//! Silence is no promise, and neither is the end of another input: as long as every input is idle or
//! over, event time stands still. What was idle before a restore is idle after it, and what had ended
//! says so again.

use std::time::Duration;

use floodmark_sim::FaultPlan;

use crate::{Draw, Group, Scenario, faults::worker_dies, jobs::gauges, probes};

/// The story above.
pub const SCENARIO: Scenario = Scenario {
    name: "idle_and_finished_sources",
    group: Group::Time,
    tells: "sources fall silent, wake up and end, and workers die in every one of these states",
    jobs: &[&gauges::IDLE],
    size: 600,
    worker_count: 3,
    faults: |seed| {
        let draw = Draw::new(seed);
        let crash = |number: u16| {
            let base = 300 + u64::from(number) * 900;
            worker_dies(draw, number, (base, base + 900), (50, 500))
        };
        FaultPlan((1..=3).map(crash).collect())
    },
    must_reach: &[
        probes::RESTORED,
        probes::ENDED_SOURCE_RESTORED,
        probes::ALL_INPUTS_IDLE,
        probes::CHANNEL_IDLE,
        probes::CHANNEL_ACTIVE_AGAIN,
    ],
    finishes_within: Duration::from_secs(60),
    checkpoints: |drawn| drawn,
    standby_after: None,
    stops_after: None,
};
