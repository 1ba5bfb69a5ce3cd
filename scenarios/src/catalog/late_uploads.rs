//! Snapshots that were given up arrive late, of all times when the job ends, and listings do not show
//! them at once.
//!
//! The last cleaning of a job finds nothing then, and no later one follows. So a job that has given a
//! checkpoint up looks again when nothing can be under way any more.

use std::time::Duration;

use floodmark_sim::{Effect, Fault, FaultPlan, Operation, StoreSelector};

use crate::{
    Draw, Group, Scenario,
    faults::{after, keys_with},
    jobs::{flights, transfers, word_count},
    probes,
};

/// The story above.
pub const SCENARIO: Scenario = Scenario {
    name: "late_uploads",
    group: Group::Storage,
    tells: "snapshots that were given up arrive when the job has ended, and are not listed at once",
    jobs: &[&flights::JOB, &transfers::JOB, &word_count::JOB],
    size: 1_200,
    worker_count: 3,
    faults: |seed| {
        let draw = Draw::new(seed);
        // Listings ask for the directory.
        let of_data =
            |operation, part| StoreSelector { operation: Some(operation), ..keys_with(part) };
        let late = Fault::StoreError {
            store: of_data(Operation::Put, "/data/"),
            effect: Effect::Later,
            per_mille: 1_000,
            limit: 30,
            lasts: draw.millis("late lasts", 100, 900),
        };
        let stale = Fault::StaleListing {
            store: of_data(Operation::List, "/data"),
            age: draw.millis("age", 300, 1_000),
            lasts: Duration::from_secs(4),
        };
        FaultPlan(vec![
            after("source_exhausted", 1, Duration::ZERO, late),
            after("source_exhausted", 1, draw.millis("stale", 0, 500), stale),
        ])
    },
    must_reach: &[probes::CHECKPOINT_ABORTED, probes::COMPLETED_AFTER_ABORT, probes::UPLOAD_LATE],
    finishes_within: Duration::from_secs(60),
    checkpoints: |drawn| drawn,
    standby_after: None,
    stops_after: None,
};
