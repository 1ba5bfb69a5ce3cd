//! Workers die in the middle of their work: once at any time, once just after a snapshot.
//!
//! Their subtasks and everything since the last manifest are gone. The job goes on elsewhere from
//! the manifest; transactions that were prepared and not covered by one are never seen.

use std::time::Duration;

use floodmark_sim::FaultPlan;

use crate::{
    Draw, Group, Scenario, cluster,
    faults::{after, at, crash},
    jobs::{flights, transfers, word_count},
    probes,
};

/// The story above.
pub const SCENARIO: Scenario = Scenario {
    name: "worker_crash",
    group: Group::Process,
    tells: "workers die while they process, and just after a snapshot",
    jobs: &[&flights::JOB, &transfers::JOB, &word_count::JOB],
    size: 1_200,
    worker_count: 3,
    faults: |seed| {
        let draw = Draw::new(seed);
        let any_time = draw.millis("time", 200, 4_000);
        let down = |name| draw.millis(name, 100, 2_500);
        FaultPlan(vec![
            at(any_time, crash(cluster::worker(1), down("first"))),
            after(
                "transaction_prepared",
                2,
                draw.millis("delay", 0, 20),
                crash(cluster::worker(2), down("second")),
            ),
        ])
    },
    must_reach: &[probes::RESTORED, probes::WORKER_LOST, probes::TRANSACTION_ABORTED],
    finishes_within: Duration::from_secs(60),
    checkpoints: |drawn| drawn,
    standby_after: None,
    stops_after: None,
};
