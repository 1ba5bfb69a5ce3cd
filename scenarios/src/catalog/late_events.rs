//! Flights come out of order, some of them hours late, while workers die again and again.
//!
//! What is late is decided by the watermark, and the watermark is part of every snapshot: a record
//! that was late before a failure must be late after it, and none may become late because of it.

use std::time::Duration;

use floodmark_sim::FaultPlan;

use crate::{Draw, Group, Scenario, faults::worker_dies, jobs::flights, probes};

/// The story above.
pub const SCENARIO: Scenario = Scenario {
    name: "late_events",
    group: Group::Time,
    tells: "records out of order and far too late, while one worker after the other dies",
    jobs: &[&flights::JOB],
    size: 2_000,
    worker_count: 3,
    faults: |seed| {
        let draw = Draw::new(seed);
        let crash = |number: u16| {
            let base = u64::from(number) * 1_200;
            worker_dies(draw, number, (base, base + 1_000), (100, 900))
        };
        FaultPlan((1..=3).map(crash).collect())
    },
    must_reach: &[
        probes::LATE_RECORDS,
        probes::WATERMARK_RESTORED,
        probes::RESTORED,
        probes::WORKER_LOST,
    ],
    finishes_within: Duration::from_secs(60),
    checkpoints: |drawn| drawn,
    standby_after: None,
    stops_after: None,
};
