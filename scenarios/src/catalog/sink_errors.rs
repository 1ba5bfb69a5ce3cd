//! What sinks ask of the object store fails, before it has its effect or after it, and nobody says
//! which.
//!
//! A part that is staged twice is one part; a part that is made visible twice is one part, even if the
//! first time it was told that it had not worked, and even if that comes true a second later.

use std::time::Duration;

use floodmark_sim::{Effect, Fault, FaultPlan, Operation, StoreSelector};

use crate::{
    Draw, Group, Scenario, cluster,
    faults::{at, crash},
    jobs::{flights, transfers, word_count},
    probes,
};

/// The story above.
pub const SCENARIO: Scenario = Scenario {
    name: "sink_errors",
    group: Group::Edge,
    tells: "staging and committing parts fails, or works and does not say so, or works later",
    jobs: &[&flights::JOB, &transfers::JOB, &word_count::JOB],
    size: 1_200,
    worker_count: 3,
    faults: |seed| {
        let draw = Draw::new(seed);
        let effects =
            [Effect::Before, Effect::After, Effect::Never, Effect::Later, Effect::InDoubt];
        let fail = |name: &str, part: &str, operation| {
            let index = draw.below(&format!("{name} effect"), 5);
            let key_part = Some(part.to_owned());
            // Some last longer than the sink's patience, so that the attempt has to fail.
            let is_long = draw.percent(&format!("{name} is long"), 30);
            let limit = 1 + u32::try_from(draw.below(&format!("{name} limit"), 8)).expect("few");
            let fault = Fault::StoreError {
                store: StoreSelector { operation: Some(operation), key_part, node: None },
                effect: effects[usize::try_from(index).expect("below 5")],
                per_mille: if is_long { 1_000 } else { 700 },
                limit: if is_long { 200 } else { limit },
                lasts: if is_long {
                    Duration::from_secs(5)
                } else {
                    draw.millis(&format!("{name} lasts"), 300, 3_000)
                },
            };
            at(draw.millis(name, 100, 3_500), fault)
        };
        let down = draw.millis("down", 100, 1_500);
        FaultPlan(vec![
            fail("stage", "/_staged/", Operation::Put),
            fail("commit", "/part-", Operation::PutIfAbsent),
            at(draw.millis("crash", 500, 4_500), crash(cluster::worker(1), down)),
        ])
    },
    must_reach: &[
        probes::STAGING_REFUSED,
        probes::STAGING_IN_DOUBT,
        probes::COMMIT_REFUSED,
        probes::COMMIT_IN_DOUBT_AND_DONE,
        probes::COMMIT_IN_DOUBT_AND_NOT_DONE,
        probes::COMMIT_LATE,
        probes::RESTORED,
    ],
    finishes_within: Duration::from_secs(60),
    checkpoints: |drawn| drawn,
    standby_after: None,
    stops_after: None,
};
