//! Two sinks of one job write into one directory, with parts of the same numbers, while workers die and
//! commits end in doubt.
//!
//! Each finds and discards only what is its own, and neither takes a part of the other for its own.

use std::time::Duration;

use floodmark_sim::{Effect, Fault, FaultPlan, StoreSelector};

use crate::{
    Draw, Group, Scenario, cluster,
    faults::{at, crash},
    jobs::shared_directory,
    probes,
};

/// The story above.
pub const SCENARIO: Scenario = Scenario {
    name: "shared_directory",
    group: Group::Edge,
    tells: "two sinks of a job write into one directory, and workers die",
    jobs: &[&shared_directory::JOB],
    size: 1_200,
    worker_count: 3,
    faults: |seed| {
        let draw = Draw::new(seed);
        let crash = |number: u16| {
            let base = u64::from(number) * 1_200;
            let time = draw.millis(&format!("time {number}"), base, base + 1_100);
            at(time, crash(cluster::worker(number), draw.millis("down", 100, 900)))
        };
        let doubt = Fault::StoreError {
            store: StoreSelector {
                key_part: Some("/part-".to_owned()),
                ..StoreSelector::default()
            },
            effect: Effect::InDoubt,
            per_mille: 400,
            limit: 6,
            lasts: Duration::from_secs(3),
        };
        FaultPlan(vec![at(draw.millis("doubt", 200, 2_000), doubt), crash(1), crash(2)])
    },
    must_reach: &[probes::RESTORED, probes::WORKER_LOST, probes::TRANSACTION_ABORTED],
    finishes_within: Duration::from_secs(60),
    checkpoints: |drawn| drawn,
    standby_after: None,
    stops_after: None,
};
