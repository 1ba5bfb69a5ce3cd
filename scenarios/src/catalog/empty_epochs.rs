//! For long stretches no record reaches a sink: its epochs are empty, and it has nothing to prepare.
//!
//! An epoch without records is an epoch: it is acknowledged, its checkpoint completes, and a crash after
//! it goes back to it, not to the last one that wrote something.

use std::time::Duration;

use floodmark_sim::FaultPlan;

use crate::{
    Draw, Group, Scenario, cluster,
    faults::{at, crash},
    jobs::{transfers, word_count},
    probes,
};

/// The story above.
pub const SCENARIO: Scenario = Scenario {
    name: "empty_epochs",
    group: Group::Edge,
    tells: "for long stretches sinks have nothing to write, and workers die",
    jobs: &[&word_count::JOB, &transfers::JOB],
    size: 160,
    worker_count: 3,
    faults: |seed| {
        let draw = Draw::new(seed);
        let crash = |number: u16| {
            let base = u64::from(number) * 1_500;
            let time = draw.millis(&format!("time {number}"), base, base + 1_400);
            at(time, crash(cluster::worker(number), draw.millis("down", 100, 800)))
        };
        FaultPlan((1..=3).map(crash).collect())
    },
    must_reach: &[probes::EMPTY_EPOCH, probes::CRASHED_AFTER_EMPTY_EPOCH, probes::RESTORED],
    finishes_within: Duration::from_secs(60),
    checkpoints: |drawn| drawn,
    standby_after: None,
    stops_after: None,
};
