//! Snapshots cannot be stored for a while, so a subtask declines a checkpoint; then it works again.
//!
//! The same attempt goes on to take the next checkpoint, from state that had been frozen for the one
//! that failed. Nothing that belonged to the declined one may be missing in it.

use std::time::Duration;

use floodmark_sim::{Effect, Fault, FaultPlan, StoreSelector};

use crate::{
    Draw, Group, Scenario, cluster,
    faults::{at, crash},
    jobs::{flights, transfers, word_count},
    probes,
};

/// The story above.
pub const SCENARIO: Scenario = Scenario {
    name: "upload_errors",
    group: Group::Storage,
    tells: "snapshots cannot be stored: a checkpoint is declined, and the next ones are not",
    jobs: &[&flights::JOB, &transfers::JOB, &word_count::JOB],
    size: 1_200,
    worker_count: 3,
    faults: |seed| {
        let draw = Draw::new(seed);
        let fail = |name: &str, effect, limit| {
            let key_part = Some("/data/".to_owned());
            let fault = Fault::StoreError {
                store: StoreSelector { key_part, ..StoreSelector::default() },
                effect,
                per_mille: 900,
                limit,
                lasts: draw.millis(&format!("{name} lasts"), 300, 900),
            };
            at(draw.millis(name, 200, 3_000), fault)
        };
        let down = draw.millis("down", 100, 1_500);
        FaultPlan(vec![
            fail("fails", Effect::Before, 20),
            fail("in doubt", Effect::InDoubt, 5),
            at(draw.millis("crash", 1_500, 4_500), crash(cluster::worker(2), down)),
        ])
    },
    must_reach: &[
        probes::UPLOAD_REFUSED,
        probes::CHECKPOINT_ABORTED,
        probes::COMPLETED_AFTER_ABORT,
        probes::RESTORED,
    ],
    finishes_within: Duration::from_secs(60),
    checkpoints: |drawn| drawn,
    standby_after: None,
    stops_after: None,
};
