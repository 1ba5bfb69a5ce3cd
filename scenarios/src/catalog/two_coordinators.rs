//! A second coordinator is started while the first one rules, or sleeps, or has just written.
//!
//! The second takes a higher term in the log. Whatever the first believes, its next manifest finds its
//! slot taken, so it steps down; its workers look for another coordinator and find the second. There
//! is never a moment at which both have completed a checkpoint that the other does not know.

use std::time::Duration;

use floodmark_sim::{Fault, FaultPlan};

use crate::{
    Draw, Group, Scenario, cluster,
    faults::at,
    jobs::{flights, transfers, word_count},
    probes,
};

/// The story above.
pub const SCENARIO: Scenario = Scenario {
    name: "two_coordinators",
    group: Group::Process,
    tells: "a second coordinator is started although the first one is alive, and awake or asleep",
    jobs: &[&flights::JOB, &transfers::JOB, &word_count::JOB],
    size: 1_200,
    worker_count: 3,
    faults: |seed| {
        let draw = Draw::new(seed);
        if draw.percent("awake", 40) {
            return FaultPlan::default();
        }
        let lasts = draw.millis("lasts", 300, 3_500);
        let sleep = Fault::Pause { node: cluster::COORDINATOR.to_owned(), lasts };
        FaultPlan(vec![at(draw.millis("time", 300, 3_000), sleep)])
    },
    must_reach: &[probes::SECOND_TERM, probes::STEPPED_DOWN, probes::RESTORED],
    finishes_within: Duration::from_secs(60),
    checkpoints: |drawn| drawn,
    standby_after: Some(|seed| Draw::new(seed).millis("standby", 300, 3_500)),
    stops_after: None,
};
