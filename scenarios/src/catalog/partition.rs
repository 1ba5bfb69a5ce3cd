//! A worker is cut off, from the coordinator or from another worker, in one direction or in both.
//!
//! Cut off from the coordinator it is given up, although it still works; cut off from a worker, the
//! records between them wait. Both end well when the network heals, and nothing is written twice.

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
    name: "partition",
    group: Group::Network,
    tells: "a worker is cut off from the coordinator, and another one from its neighbour",
    jobs: &[&flights::JOB, &transfers::JOB, &word_count::JOB],
    size: 1_200,
    worker_count: 3,
    faults: |seed| {
        let draw = Draw::new(seed);
        let cut = |name: &str, from: String, to: String| {
            let way = draw.percent(&format!("{name} way"), 50);
            let direction = if way { Direction::Both } else { Direction::OneWay };
            let lasts = draw.millis(&format!("{name} lasts"), 300, 3_000);
            let fault = Fault::Partition { from: vec![from], to: vec![to], direction, lasts };
            at(draw.millis(name, 200, 3_500), fault)
        };
        FaultPlan(vec![
            cut("coordinator", cluster::worker(1), cluster::COORDINATOR.to_owned()),
            cut("neighbour", cluster::worker(2), cluster::worker(3)),
        ])
    },
    must_reach: &[probes::WORKER_LOST, probes::RESTORED],
    finishes_within: Duration::from_secs(60),
    checkpoints: |drawn| drawn,
    standby_after: None,
    stops_after: None,
};
