//! Only one checkpoint is retained, and processes die right after its predecessor was retired, or
//! while its files are being deleted.
//!
//! There is no second chance: every file of the one that is left must be there.

use std::{num::NonZeroU32, time::Duration};

use floodmark_sim::FaultPlan;

use crate::{
    Draw, Group, Scenario, cluster,
    faults::{after, crash},
    jobs::{flights, transfers, word_count},
    probes,
};

/// The story above.
pub const SCENARIO: Scenario = Scenario {
    name: "single_checkpoint",
    group: Group::Storage,
    tells: "one checkpoint is retained, and processes die right after the one before it was retired",
    jobs: &[&flights::JOB, &transfers::JOB, &word_count::JOB],
    size: 1_200,
    worker_count: 3,
    faults: |seed| {
        let draw = Draw::new(seed);
        let death = |name: &str, node: String, occurrence| {
            let down = draw.millis(&format!("{name} down"), 100, 1_500);
            let delay = draw.millis(&format!("{name} delay"), 0, 25);
            after("checkpoint_retired", occurrence, delay, crash(node, down))
        };
        let coordinator = cluster::COORDINATOR.to_owned();
        FaultPlan(vec![
            death("worker", cluster::worker(1), 1),
            death("coordinator", coordinator, 3),
            death("other", cluster::worker(2), 5),
        ])
    },
    must_reach: &[probes::CRASHED_AFTER_RETIREMENT, probes::RESTORED, probes::SECOND_TERM],
    finishes_within: Duration::from_secs(60),
    checkpoints: |drawn| drawn.retain(NonZeroU32::MIN),
    standby_after: None,
    stops_after: None,
};
