//! A worker does not hear the coordinator, which hears everything.
//!
//! Its heartbeats arrive, so nobody gives it up; but no trigger, no notification and no order to stop
//! reaches it. Checkpoints time out until the attempt is given up, and the worker is told of the next
//! one when it can hear again.

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
    name: "deaf_worker",
    group: Group::Network,
    tells: "a worker does not hear the coordinator, which hears the worker",
    jobs: &[&flights::JOB, &transfers::JOB, &word_count::JOB],
    size: 1_200,
    worker_count: 3,
    faults: |seed| {
        let draw = Draw::new(seed);
        let cut = |name: &str, number: u16| {
            let fault = Fault::Partition {
                from: vec![cluster::COORDINATOR.to_owned()],
                to: vec![cluster::worker(number)],
                direction: Direction::OneWay,
                lasts: draw.millis(&format!("{name} lasts"), 300, 3_500),
            };
            at(draw.millis(name, 300, 4_000), fault)
        };
        FaultPlan(vec![cut("first", 1), cut("second", 2)])
    },
    must_reach: &[probes::COORDINATOR_UNHEARD, probes::CHECKPOINT_ABORTED, probes::RESTORED],
    finishes_within: Duration::from_secs(60),
    checkpoints: |drawn| drawn,
    standby_after: None,
    stops_after: None,
};
