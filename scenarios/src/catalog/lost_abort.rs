//! A worker dies with transactions open in a log outside the cluster, and the log does not hear that
//! they are to be aborted.
//!
//! Readers of the log wait behind an open transaction. Nobody but the sink that began it can end it,
//! so the sink's next attempt does not begin before that has worked.

use std::time::Duration;

use floodmark_sim::{CallSelector, Effect, Fault, FaultPlan};

use crate::{
    Draw, Group, Scenario, cluster,
    faults::{at, crash},
    jobs::ledger,
    probes,
};

/// The story above.
pub const SCENARIO: Scenario = Scenario {
    name: "lost_abort",
    group: Group::Edge,
    tells: "a worker dies with open transactions, and the request to abort them is lost, again and again",
    jobs: &[&ledger::JOB],
    size: 1_200,
    worker_count: 3,
    faults: |seed| {
        let draw = Draw::new(seed);
        let effects = [Effect::Before, Effect::Never];
        let down = draw.millis("down", 100, 1_500);
        let abort = Fault::CallError {
            call: CallSelector {
                system: Some("ledger".to_owned()),
                operation: Some("abort".to_owned()),
            },
            effect: effects[usize::try_from(draw.below("effect", 2)).expect("below 2")],
            per_mille: 1_000,
            limit: 200,
            lasts: draw.millis("lasts", 1_500, 4_000),
        };
        let crash_at = draw.millis("crash", 500, 4_000);
        FaultPlan(vec![at(crash_at, crash(cluster::worker(1), down)), at(crash_at, abort)])
    },
    must_reach: &[probes::RESTORED, probes::WORKER_LOST, probes::ABORT_FAILED],
    finishes_within: Duration::from_secs(60),
    checkpoints: |drawn| drawn,
    standby_after: None,
    stops_after: None,
};
