//! The object store is so slow that checkpoints come to their timeout while snapshots are under way.
//!
//! A snapshot that is stored after its checkpoint was given up belongs to nothing, although the attempt
//! is the same and the next checkpoint is already under way.

use std::time::Duration;

use floodmark_sim::{Fault, FaultPlan, StoreSelector};

use crate::{
    Draw, Group, Scenario, cluster,
    faults::{at, crash},
    jobs::{flights, transfers, word_count},
    probes,
};

/// The story above.
pub const SCENARIO: Scenario = Scenario {
    name: "slow_store",
    group: Group::Storage,
    tells: "the object store is so slow that checkpoints come to their timeout",
    jobs: &[&flights::JOB, &transfers::JOB, &word_count::JOB],
    size: 1_200,
    worker_count: 3,
    faults: |seed| {
        let draw = Draw::new(seed);
        let slow = |name: &str, part: &str| {
            let key_part = Some(part.to_owned());
            let fault = Fault::StoreSlow {
                store: StoreSelector { key_part, ..StoreSelector::default() },
                extra: draw.millis(&format!("{name} extra"), 300, 1_900),
                lasts: draw.millis(&format!("{name} lasts"), 1_000, 4_000),
            };
            at(draw.millis(name, 200, 2_500), fault)
        };
        let crash = crash(cluster::worker(1), draw.millis("down", 100, 1_500));
        let mut plan = vec![slow("data", "/data/"), slow("staged", "/_staged/")];
        if draw.percent("crashes", 50) {
            plan.push(at(draw.millis("crash", 1_000, 5_000), crash));
        }
        FaultPlan(plan)
    },
    must_reach: &[
        probes::CHECKPOINT_ABORTED,
        probes::ACKNOWLEDGEMENT_IGNORED,
        probes::COMPLETED_AFTER_ABORT,
        probes::RESTORED,
    ],
    finishes_within: Duration::from_secs(60),
    checkpoints: |drawn| drawn,
    standby_after: None,
    stops_after: None,
};
