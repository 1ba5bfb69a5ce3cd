//! Several processes die at the same moment: all workers, or a worker and the coordinator, as when a
//! rack loses its power. Some lose their disks.
//!
//! Nothing is left but the object store. Everything must be found there.

use std::time::Duration;

use floodmark_sim::{DiskFate, Fault, FaultPlan};

use crate::{
    Draw, Group, Scenario, cluster,
    faults::at,
    jobs::{flights, transfers, word_count},
    probes,
};

/// The story above.
pub const SCENARIO: Scenario = Scenario {
    name: "blackout",
    group: Group::Process,
    tells: "all workers die at once, or a worker together with the coordinator, some with their disks",
    jobs: &[&flights::JOB, &transfers::JOB, &word_count::JOB],
    size: 1_200,
    worker_count: 3,
    faults: |seed| {
        let draw = Draw::new(seed);
        let all = [1, 2, 3].map(cluster::worker).to_vec();
        let some = vec![cluster::COORDINATOR.to_owned(), cluster::worker(2)];
        let blackout = |name: &str, nodes: Vec<String>| {
            let time = draw.millis(name, 500, 4_000);
            let death = |node: String| {
                let down_for = Some(draw.millis(&format!("{name} {node}"), 100, 2_000));
                let is_lost = draw.percent(&format!("{name} disk of {node}"), 50);
                let disk = if is_lost { DiskFate::Lost } else { DiskFate::Kept };
                at(time, Fault::Crash { node, down_for, disk })
            };
            nodes.into_iter().map(death).collect::<Vec<_>>()
        };
        FaultPlan([blackout("first", all), blackout("second", some)].concat())
    },
    must_reach: &[
        probes::ALL_WORKERS_DEAD,
        probes::COORDINATOR_AND_WORKER_DEAD,
        probes::RESTORED,
        probes::SECOND_TERM,
    ],
    finishes_within: Duration::from_secs(60),
    checkpoints: |drawn| drawn,
    standby_after: None,
    stops_after: None,
};
