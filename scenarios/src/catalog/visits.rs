//! Visits grow, and grow together, while one worker after the other dies.
//!
//! A session is state without a timer of its own that a snapshot could hold: when it ends is known only from
//! what it holds. After a restore each must end when it would have ended, with all its clicks.

use std::time::Duration;

use floodmark_sim::FaultPlan;

use crate::{Draw, Group, Scenario, faults::worker_dies, jobs::visits, probes};

/// The story above.
pub const SCENARIO: Scenario = Scenario {
    name: "visits",
    group: Group::Time,
    tells: "sessions that grow, and grow together, while one worker after the other dies",
    jobs: &[&visits::JOB],
    size: 1_200,
    worker_count: 3,
    faults: |seed| {
        let draw = Draw::new(seed);
        let crash = |number: u16| {
            let base = u64::from(number) * 1_200;
            worker_dies(draw, number, (base, base + 1_000), (100, 900))
        };
        FaultPlan((1..=3).map(crash).collect())
    },
    must_reach: &[probes::WATERMARK_RESTORED, probes::RESTORED, probes::WORKER_LOST],
    finishes_within: Duration::from_secs(60),
    checkpoints: |drawn| drawn,
    standby_after: None,
    stops_after: None,
};
