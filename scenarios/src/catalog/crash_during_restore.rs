//! A worker dies, and another one while the job is being restored, and a third one while it is being
//! restored from that.
//!
//! Every attempt begins from the same manifest. Half-restored subtasks have committed what the manifest
//! promises, some of them twice, and have discarded what it does not mention.

use std::time::Duration;

use floodmark_sim::{Fault, FaultPlan, Operation, StoreSelector};

use crate::{
    Draw, Group, Scenario, cluster,
    faults::{after_event, at, crash, event_of},
    jobs::{flights, transfers, word_count},
    probes,
};

/// The story above.
pub const SCENARIO: Scenario = Scenario {
    name: "crash_during_restore",
    group: Group::Process,
    tells: "workers die while the job is being restored, and again while it is being restored from that",
    jobs: &[&flights::JOB, &transfers::JOB, &word_count::JOB],
    size: 1_200,
    worker_count: 3,
    faults: |seed| {
        let draw = Draw::new(seed);
        let slow = Fault::StoreSlow {
            store: StoreSelector { operation: Some(Operation::Get), ..StoreSelector::default() },
            extra: draw.millis("extra", 20, 200),
            lasts: Duration::from_secs(8),
        };
        let death = |name: &str, number: u16| {
            let down = draw.millis(&format!("{name} down"), 100, 1_200);
            crash(cluster::worker(number), down)
        };
        let restore = event_of("attempt_started", ("restored", 1));
        let delay = |name: &str| draw.millis(name, 0, 260);
        FaultPlan(vec![
            at(Duration::from_millis(500), slow),
            at(draw.millis("first", 900, 3_500), death("first", 1)),
            after_event(restore.clone(), 1, delay("second"), death("second", 2)),
            after_event(restore, 2, delay("third"), death("third", 3)),
        ])
    },
    must_reach: &[
        probes::CRASHED_WHILE_RESTORING,
        probes::CRASHED_WHILE_RESTORING_TWICE,
        probes::RESTORED,
    ],
    finishes_within: Duration::from_secs(60),
    checkpoints: |drawn| drawn,
    standby_after: None,
    stops_after: None,
};
