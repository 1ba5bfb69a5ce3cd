//! A worker dies when a checkpoint has been triggered and no barrier has reached it.
//!
//! The barrier runs into a void: those upstream have taken their snapshots, those downstream wait. The
//! checkpoint is given up, and the next attempt begins from the one before it.

use std::time::Duration;

use floodmark_sim::{Fault, FaultPlan, LinkSelector};

use crate::{
    Draw, Group, Scenario, cluster,
    faults::{after_event, crash, event_of, frames},
    jobs::{flights, transfers, word_count},
    probes,
};

/// The story above.
pub const SCENARIO: Scenario = Scenario {
    name: "crash_before_alignment",
    group: Group::Checkpoint,
    tells: "a worker dies after the trigger, before a barrier has reached it",
    jobs: &[&flights::JOB, &transfers::JOB, &word_count::JOB],
    size: 1_200,
    worker_count: 3,
    faults: |seed| {
        let draw = Draw::new(seed);
        let checkpoint = 2 + draw.below("checkpoint", 5);
        let hold = Fault::Clog {
            link: LinkSelector { to: Some(cluster::worker(1)), ..frames("barrier") },
            lasts: Duration::from_millis(300),
        };
        let triggered = event_of("checkpoint_triggered", ("checkpoint", checkpoint));
        let crash = crash(cluster::worker(1), draw.millis("down", 100, 2_000));
        FaultPlan(vec![
            after_event(triggered.clone(), 1, Duration::ZERO, hold),
            after_event(triggered, 1, draw.millis("delay", 1, 200), crash),
        ])
    },
    must_reach: &[probes::CRASHED_BEFORE_ALIGNMENT, probes::WORKER_LOST, probes::RESTORED],
    finishes_within: Duration::from_secs(60),
    checkpoints: |drawn| drawn,
    standby_after: None,
    stops_after: None,
};
