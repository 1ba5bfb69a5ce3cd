//! A worker dies when its snapshots are taken: before they are stored, or when they are stored and
//! the checkpoint is not complete.
//!
//! Files of a checkpoint that never was remain in the store. No later attempt may take them for its own,
//! and what was prepared for it is never seen.

use std::time::Duration;

use floodmark_sim::{EventSelector, Fault, FaultPlan, StoreSelector};

use crate::{
    Draw, Group, Scenario, cluster,
    faults::{after_event, at, crash, event_of},
    jobs::{flights, transfers, word_count},
    probes,
};

/// The story above.
pub const SCENARIO: Scenario = Scenario {
    name: "crash_after_alignment",
    group: Group::Checkpoint,
    tells: "a worker dies after its snapshot was taken: before it is stored, or after it was acknowledged",
    jobs: &[&flights::JOB, &transfers::JOB, &word_count::JOB],
    size: 1_200,
    worker_count: 3,
    faults: |seed| {
        let draw = Draw::new(seed);
        let checkpoint = 2 + draw.below("checkpoint", 5);
        let label = if draw.percent("early", 50) { "snapshot_taken" } else { "snapshot_stored" };
        let moment = EventSelector {
            node: Some(cluster::worker(1)),
            ..event_of(label, ("checkpoint", checkpoint))
        };
        let slow = Fault::StoreSlow {
            store: StoreSelector {
                key_part: Some("/data/".to_owned()),
                ..StoreSelector::default()
            },
            extra: draw.millis("extra", 1, 60),
            lasts: Duration::from_secs(6),
        };
        let crash = crash(cluster::worker(1), draw.millis("down", 100, 2_000));
        let occurrence = 1 + u32::try_from(draw.below("occurrence", 2)).expect("below 2");
        FaultPlan(vec![
            at(Duration::from_millis(200), slow),
            after_event(moment, occurrence, draw.millis("delay", 0, 8), crash),
        ])
    },
    must_reach: &[
        probes::CRASHED_WHILE_UPLOADING,
        probes::CRASHED_AFTER_SNAPSHOT,
        probes::WORKER_LOST,
        probes::RESTORED,
        probes::TRANSACTION_ABORTED,
    ],
    finishes_within: Duration::from_secs(60),
    checkpoints: |drawn| drawn,
    standby_after: None,
    stops_after: None,
};
