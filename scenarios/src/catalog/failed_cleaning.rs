//! Retired checkpoints cannot be deleted for a while, of all times when the job ends.
//!
//! A file that stays behind harms nobody and costs money for ever, because no later checkpoint comes
//! that would try again. So the last cleaning of a job is repeated until nothing is left.

use std::time::Duration;

use floodmark_sim::{Effect, Fault, FaultPlan, Operation, StoreSelector};

use crate::{
    Draw, Group, Scenario,
    faults::{after, at},
    jobs::{flights, transfers, word_count},
    probes,
};

/// The story above.
pub const SCENARIO: Scenario = Scenario {
    name: "failed_cleaning",
    group: Group::Storage,
    tells: "files of retired checkpoints cannot be deleted, last of all when the job ends",
    jobs: &[&flights::JOB, &transfers::JOB, &word_count::JOB],
    size: 1_200,
    worker_count: 3,
    faults: |seed| {
        let draw = Draw::new(seed);
        let fail = |name: &str, operation, limit| Fault::StoreError {
            store: StoreSelector { operation: Some(operation), ..StoreSelector::default() },
            effect: if draw.percent(&format!("{name} in doubt"), 30) {
                Effect::InDoubt
            } else {
                Effect::Before
            },
            per_mille: 800,
            limit,
            lasts: draw.millis(&format!("{name} lasts"), 300, 3_000),
        };
        let pause = draw.millis("pause", 0, 300);
        FaultPlan(vec![
            at(draw.millis("early", 300, 3_000), fail("early", Operation::Delete, 20)),
            after("source_exhausted", 1, pause, fail("late", Operation::Delete, 20)),
            after("source_exhausted", 1, pause, fail("lists", Operation::List, 5)),
        ])
    },
    must_reach: &[probes::DELETION_REFUSED],
    finishes_within: Duration::from_secs(60),
    checkpoints: |drawn| drawn,
    standby_after: None,
    stops_after: None,
};
