//! Real departures, in the order in which they left, while everything that can go wrong does.
//!
//! Flights that leave hours after their time come too late for their window, and must end up in the
//! late output: the same ones, whatever fails.

use std::time::Duration;

use crate::{Group, Scenario, faults, jobs::flights, probes};

/// The story above.
pub const SCENARIO: Scenario = Scenario {
    name: "flights",
    group: Group::Whole,
    tells: "real departures, late ones among them, under a mix of faults that each seed draws anew",
    jobs: &[&flights::JOB],
    size: 2_000,
    worker_count: 3,
    faults: |seed| faults::swarm(seed, 3),
    must_reach: &[
        probes::RESTORED,
        probes::LATE_RECORDS,
        probes::WATERMARK_RESTORED,
        probes::WORKER_LOST,
    ],
    finishes_within: Duration::from_secs(60),
    checkpoints: |drawn| drawn,
    standby_after: None,
    stops_after: None,
};
