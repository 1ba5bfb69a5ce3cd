//! A source reads from a queue that forgets what was acknowledged, while processes die around its
//! checkpoints.
//!
//! Nothing may be acknowledged that a restart could ask for again: not at the barrier, not when the
//! snapshot is stored, only when the manifest is.

use std::time::Duration;

use floodmark_sim::{CallSelector, Effect, Fault, FaultPlan};

use crate::{
    Draw, Group, Scenario, cluster,
    faults::{after, at, crash},
    jobs::purging_queue,
    probes,
};

/// The story above.
pub const SCENARIO: Scenario = Scenario {
    name: "forgetful_queue",
    group: Group::Edge,
    tells: "a source acknowledges to a queue that forgets, and processes die around the checkpoints",
    jobs: &[&purging_queue::JOB],
    size: 1_200,
    worker_count: 3,
    faults: |seed| {
        let draw = Draw::new(seed);
        let number = 1 + u16::try_from(draw.below("worker", 3)).expect("below 3");
        let labels = ["barrier_emitted", "snapshot_stored", "manifest_stored"];
        let label = labels[usize::try_from(draw.below("label", 3)).expect("below 3")];
        let occurrence = 1 + u32::try_from(draw.below("occurrence", 30)).expect("below 30");
        let worker_down = crash(cluster::worker(number), draw.millis("down", 100, 1_500));
        let coordinator = cluster::COORDINATOR.to_owned();
        let coordinator_down = crash(coordinator, draw.millis("coordinator down", 50, 1_000));
        let fail = Fault::CallError {
            call: CallSelector { system: Some("queue".to_owned()), operation: None },
            effect: Effect::InDoubt,
            per_mille: 200,
            limit: 20,
            lasts: Duration::from_secs(3),
        };
        FaultPlan(vec![
            at(draw.millis("fail", 200, 3_000), fail),
            after(label, occurrence, draw.millis("delay", 0, 15), worker_down),
            at(draw.millis("coordinator", 800, 4_500), coordinator_down),
        ])
    },
    must_reach: &[
        probes::RESTORED,
        probes::WORKER_LOST,
        probes::SECOND_TERM,
        probes::QUEUE_ACKNOWLEDGEMENT_IN_DOUBT,
    ],
    finishes_within: Duration::from_secs(60),
    checkpoints: |drawn| drawn,
    standby_after: None,
    stops_after: None,
};
