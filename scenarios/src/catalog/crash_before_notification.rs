//! The coordinator dies when its manifest is stored and nobody has been told.
//!
//! The checkpoint is complete, and every prepared transaction in it will be committed: by the restore of
//! the next attempt, since nobody else is left who knows.

use std::time::Duration;

use floodmark_sim::{Fault, FaultPlan};

use crate::{
    Draw, Group, Scenario, cluster,
    faults::{after_event, crash, event_of, frames},
    jobs::{flights, transfers, word_count},
    probes,
};

/// The story above.
pub const SCENARIO: Scenario = Scenario {
    name: "crash_before_notification",
    group: Group::Checkpoint,
    tells: "the coordinator dies when a manifest is stored and nobody knows",
    jobs: &[&flights::JOB, &transfers::JOB, &word_count::JOB],
    size: 1_200,
    worker_count: 3,
    faults: |seed| {
        let draw = Draw::new(seed);
        let checkpoint = 1 + draw.below("checkpoint", 5);
        let clog =
            Fault::Clog { link: frames("notification"), lasts: Duration::from_millis(1_500) };
        let triggered = event_of("checkpoint_triggered", ("checkpoint", checkpoint));
        let stored = event_of("manifest_stored", ("checkpoint", checkpoint));
        let crash = crash(cluster::COORDINATOR.to_owned(), draw.millis("down", 50, 2_000));
        FaultPlan(vec![
            after_event(triggered, 1, Duration::ZERO, clog),
            after_event(stored, 1, draw.millis("delay", 0, 100), crash),
        ])
    },
    must_reach: &[
        probes::DIED_BEFORE_NOTIFICATION,
        probes::SECOND_TERM,
        probes::RESTORED,
        probes::COMMITTED_BY_RESTORE,
    ],
    finishes_within: Duration::from_secs(60),
    checkpoints: |drawn| drawn,
    standby_after: None,
    stops_after: None,
};
