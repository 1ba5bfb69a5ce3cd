//! The object store does not say whether it has stored a manifest: it has, it has not, or it will.
//!
//! Guessing either way is wrong. The coordinator writes the same slot again until the answer is
//! definite, and what it finds there may be its own entry.

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
    name: "manifest_in_doubt",
    group: Group::Checkpoint,
    tells: "the store does not say whether it has stored a manifest: it has, it has not, or it will",
    jobs: &[&flights::JOB, &transfers::JOB, &word_count::JOB],
    size: 1_200,
    worker_count: 3,
    faults: |seed| {
        let draw = Draw::new(seed);
        let effects = [Effect::After, Effect::Never, Effect::Later];
        let effect = effects[usize::try_from(draw.below("effect", 3)).expect("below 3")];
        let doubt = Fault::StoreError {
            store: StoreSelector {
                operation: Some(Operation::PutIfAbsent),
                key_part: Some("/log/".to_owned()),
                ..StoreSelector::default()
            },
            effect,
            per_mille: 1_000,
            limit: 1 + u32::try_from(draw.below("limit", 4)).expect("below 4"),
            lasts: Duration::from_secs(4),
        };
        let mut plan =
            vec![after("checkpoint_triggered", 1, draw.millis("delay", 0, 1_500), doubt)];
        if draw.percent("crashes", 40) {
            let crash = crash(cluster::COORDINATOR.to_owned(), draw.millis("down", 50, 1_000));
            plan.push(after("checkpoint_triggered", 3, draw.millis("death", 0, 900), crash));
        }
        FaultPlan(plan)
    },
    must_reach: &[
        probes::MANIFEST_IN_DOUBT_AND_STORED,
        probes::MANIFEST_IN_DOUBT_AND_NOT_STORED,
        probes::MANIFEST_STORED_LATE,
        probes::SECOND_TERM,
    ],
    finishes_within: Duration::from_secs(60),
    checkpoints: |drawn| drawn,
    standby_after: None,
    stops_after: None,
};
