//! The coordinator dies when it has the last acknowledgement and its manifest is on its way.
//!
//! The manifest may land after its author's death, or not at all. The next term asks the log: if the
//! manifest is there, the job goes on from it and commits its transactions; if not, from the one before.

use std::time::Duration;

use floodmark_sim::{Fault, FaultPlan, Operation, StoreSelector};

use crate::{
    Draw, Group, Scenario, cluster,
    faults::{after_event, crash, event_of},
    jobs::{flights, transfers, word_count},
    probes,
};

/// The story above.
pub const SCENARIO: Scenario = Scenario {
    name: "crash_before_manifest",
    group: Group::Checkpoint,
    tells: "the coordinator dies when every snapshot is stored and its manifest is not",
    jobs: &[&flights::JOB, &transfers::JOB, &word_count::JOB],
    size: 1_200,
    worker_count: 3,
    faults: |seed| {
        let draw = Draw::new(seed);
        let checkpoint = 2 + draw.below("checkpoint", 4);
        let slow = Fault::StoreSlow {
            store: StoreSelector {
                operation: Some(Operation::PutIfAbsent),
                key_part: Some("/log/".to_owned()),
                ..StoreSelector::default()
            },
            extra: Duration::from_millis(400),
            lasts: Duration::from_millis(1_500),
        };
        let triggered = event_of("checkpoint_triggered", ("checkpoint", checkpoint));
        let acknowledged = event_of("checkpoint_acknowledged", ("checkpoint", checkpoint));
        let crash = crash(cluster::COORDINATOR.to_owned(), draw.millis("down", 50, 2_000));
        FaultPlan(vec![
            after_event(triggered, 1, Duration::ZERO, slow),
            after_event(acknowledged, 1, draw.millis("delay", 20, 420), crash),
        ])
    },
    must_reach: &[
        probes::DIED_BEFORE_MANIFEST,
        probes::MANIFEST_FOUND,
        probes::SECOND_TERM,
        probes::RESTORED,
    ],
    finishes_within: Duration::from_secs(60),
    checkpoints: |drawn| drawn,
    standby_after: None,
    stops_after: None,
};
