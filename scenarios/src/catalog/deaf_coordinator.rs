//! The coordinator does not hear a worker, which hears everything.
//!
//! It gives the worker up and starts the job elsewhere. The worker works on, takes its snapshots, and
//! its acknowledgements wait in the network. When they arrive they belong to the past.

use std::time::Duration;

use floodmark_sim::{Direction, Fault, FaultPlan};

use crate::{
    Draw, Group, Scenario, cluster,
    faults::at,
    jobs::{flights, transfers, word_count},
    probes,
};

/// The story above.
pub const SCENARIO: Scenario = Scenario {
    name: "deaf_coordinator",
    group: Group::Network,
    tells: "the coordinator does not hear a worker that hears the coordinator",
    jobs: &[&flights::JOB, &transfers::JOB, &word_count::JOB],
    size: 1_200,
    worker_count: 3,
    faults: |seed| {
        let draw = Draw::new(seed);
        let cut = |name: &str, number: u16| {
            let fault = Fault::Partition {
                from: vec![cluster::worker(number)],
                to: vec![cluster::COORDINATOR.to_owned()],
                direction: Direction::OneWay,
                lasts: draw.millis(&format!("{name} lasts"), 300, 3_500),
            };
            at(draw.millis(name, 300, 4_000), fault)
        };
        FaultPlan(vec![cut("first", 1), cut("second", 2)])
    },
    must_reach: &[
        probes::WORKER_UNHEARD,
        probes::WORKER_LOST,
        probes::STALE_REFUSED,
        probes::RESTORED,
    ],
    finishes_within: Duration::from_secs(60),
    checkpoints: |drawn| drawn,
    standby_after: None,
    stops_after: None,
};
