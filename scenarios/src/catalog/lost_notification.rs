//! The coordinator's word that a checkpoint is complete is lost, comes twice, or after the next one.
//!
//! A transaction is committed by the first notification of its checkpoint or of a later one that
//! arrives, or by the restore of the next attempt, and by all further ones once more: nothing may be
//! missing, and nothing may be there twice.

use std::time::Duration;

use floodmark_sim::{Fault, FaultPlan};

use crate::{
    Draw, Group, Scenario, cluster,
    faults::{at, crash, frames},
    jobs::{flights, transfers, word_count},
    probes,
};

/// The story above.
pub const SCENARIO: Scenario = Scenario {
    name: "lost_notification",
    group: Group::Checkpoint,
    tells: "notifications are lost, repeated and overtaken, and a worker dies on top of it",
    jobs: &[&flights::JOB, &transfers::JOB, &word_count::JOB],
    size: 1_200,
    worker_count: 3,
    faults: |seed| {
        let draw = Draw::new(seed);
        let number = |name: &str, bound: u64| {
            1 + u32::try_from(draw.below(name, bound)).expect("a small number")
        };
        let (per_mille, lasts) = (700, Duration::from_secs(4));
        let lose = Fault::Lose { link: frames(KIND), per_mille, limit: number("lost", 3), lasts };
        let repeat = Fault::Duplicate {
            link: frames(KIND),
            per_mille,
            limit: number("repeated", 20),
            lasts,
        };
        let reorder =
            Fault::Reorder { link: frames(KIND), per_mille, limit: number("overtaken", 6), lasts };
        let time = |name: &str| draw.millis(name, 200, 2_500);
        let crash = crash(cluster::worker(2), draw.millis("down", 100, 1_500));
        FaultPlan(vec![
            at(time("lose"), lose),
            at(time("repeat"), repeat),
            at(time("reorder"), reorder),
            at(draw.millis("crash", 1_000, 4_000), crash),
        ])
    },
    must_reach: &[
        probes::NOTIFICATION_LOST,
        probes::NOTIFICATION_REPEATED,
        probes::NOTIFICATION_OVERTAKEN,
        probes::COMMIT_MADE_GOOD,
        probes::RESTORED,
    ],
    finishes_within: Duration::from_secs(60),
    checkpoints: |drawn| drawn,
    standby_after: None,
    stops_after: None,
};

/// What gets lost.
const KIND: &str = "notification";
