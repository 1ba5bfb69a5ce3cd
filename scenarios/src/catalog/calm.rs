//! Nothing goes wrong. Every other story is compared with this one.

use std::time::Duration;

use floodmark_sim::FaultPlan;

use crate::{
    Group, Scenario,
    jobs::{flights, transfers, word_count},
    probes,
};

/// The story above.
pub const SCENARIO: Scenario = Scenario {
    name: "calm",
    group: Group::Whole,
    tells: "nothing goes wrong, and checkpoints complete",
    jobs: &[&flights::JOB, &transfers::JOB, &word_count::JOB],
    size: 1_200,
    worker_count: 3,
    faults: |_| FaultPlan::default(),
    must_reach: &[probes::LATE_RECORDS],
    finishes_within: Duration::from_secs(30),
    checkpoints: |drawn| drawn,
    standby_after: None,
    stops_after: None,
};
