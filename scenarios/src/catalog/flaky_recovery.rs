//! The coordinator dies, and its successor can read the log only now and then: reads fail, or yield
//! bytes that do not check out.
//!
//! What cannot be read is read again. It is never taken for absent, and no older checkpoint is
//! restored in its place: sinks have committed since. A log that stays unreadable stops the
//! coordinator, and its supervisor starts it again.

use std::time::Duration;

use floodmark_sim::{Effect, Fault, FaultPlan, Operation, StoreSelector};

use crate::{
    Draw, Group, Scenario, cluster,
    faults::{after, crash},
    jobs::{flights, transfers, word_count},
    probes,
};

/// The story above.
pub const SCENARIO: Scenario = Scenario {
    name: "flaky_recovery",
    group: Group::Storage,
    tells: "the coordinator dies, and what its successor reads fails or is corrupt for a while",
    jobs: &[&flights::JOB, &transfers::JOB, &word_count::JOB],
    size: 1_200,
    worker_count: 3,
    faults: |seed| {
        let draw = Draw::new(seed);
        let occurrence = u32::try_from(2 + draw.below("occurrence", 5)).expect("at most 6");
        let down = draw.millis("down", 50, 600);
        let manifest = |delay, what| after("manifest_stored", occurrence, delay, what);
        let store = StoreSelector {
            operation: Some(Operation::Get),
            key_part: Some("/log/".to_owned()),
            ..StoreSelector::default()
        };
        let lasts = down + draw.millis("lasts", 500, 2_000);
        let trouble = if draw.percent("corrupt", 50) {
            Fault::StoreCorruption { store, per_mille: 700, limit: 30, lasts }
        } else {
            Fault::StoreError { store, effect: Effect::Before, per_mille: 600, limit: 10, lasts }
        };
        let pause = draw.millis("pause", 0, 200);
        FaultPlan(vec![
            manifest(pause, crash(cluster::COORDINATOR.to_owned(), down)),
            manifest(pause, trouble),
        ])
    },
    must_reach: &[probes::LOG_UNREADABLE, probes::SECOND_TERM, probes::RESTORED],
    finishes_within: Duration::from_secs(60),
    checkpoints: |drawn| drawn,
    standby_after: None,
    stops_after: None,
};
