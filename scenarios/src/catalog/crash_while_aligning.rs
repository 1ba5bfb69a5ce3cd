//! A worker dies when some of the barriers of a checkpoint have reached it and others have not.
//!
//! Some of its channels are blocked, and hold records of the epoch after the barrier. None of that may
//! show: the records come again from the sources, behind a barrier of another checkpoint.

use std::time::Duration;

use floodmark_sim::{EventSelector, Fault, FaultPlan, LinkSelector};

use crate::{
    Draw, Group, Scenario, cluster,
    faults::{after_event, crash, event_of, frames},
    jobs::{flights, transfers, word_count},
    probes,
};

/// The story above.
pub const SCENARIO: Scenario = Scenario {
    name: "crash_while_aligning",
    group: Group::Checkpoint,
    tells: "a worker dies when some barriers of a checkpoint have reached it and others have not",
    jobs: &[&flights::JOB, &transfers::JOB, &word_count::JOB],
    size: 1_200,
    worker_count: 3,
    faults: |seed| {
        let draw = Draw::new(seed);
        let checkpoint = 2 + draw.below("checkpoint", 5);
        // The barriers of one neighbour are late, so the others wait for them.
        let hold = Fault::Clog {
            link: LinkSelector { from: Some(cluster::worker(2)), ..frames("barrier") },
            lasts: Duration::from_millis(700),
        };
        let arrived = EventSelector {
            node: Some(cluster::worker(1)),
            ..event_of("barrier_arrived", ("checkpoint", checkpoint))
        };
        let triggered = event_of("checkpoint_triggered", ("checkpoint", checkpoint));
        let crash = crash(cluster::worker(1), draw.millis("down", 100, 2_000));
        FaultPlan(vec![
            after_event(triggered, 1, Duration::ZERO, hold),
            after_event(arrived, 1, draw.millis("delay", 0, 60), crash),
        ])
    },
    must_reach: &[probes::CRASHED_WHILE_ALIGNING, probes::WORKER_LOST, probes::RESTORED],
    finishes_within: Duration::from_secs(60),
    checkpoints: |drawn| drawn,
    standby_after: None,
    stops_after: None,
};
