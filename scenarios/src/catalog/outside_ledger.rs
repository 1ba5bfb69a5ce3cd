//! A sink writes into a log with transactions outside the cluster. Calls to it fail, before or after
//! their effect, workers die with transactions that are begun, filled or prepared, and sleep through the
//! beginning of their successors.
//!
//! Readers of the log see every posting once and in order, and none of them waits for a transaction
//! that nobody will end.

use std::time::Duration;

use floodmark_sim::{CallSelector, Effect, Fault, FaultPlan};

use crate::{
    Draw, Group, Scenario, cluster,
    faults::{after, at, crash},
    jobs::ledger,
    probes,
};

/// The story above.
pub const SCENARIO: Scenario = Scenario {
    name: "outside_ledger",
    group: Group::Edge,
    tells: "a sink writes into a log with transactions: calls fail or do not answer, and processes die",
    jobs: &[&ledger::JOB],
    size: 1_200,
    worker_count: 3,
    faults: |seed| {
        let draw = Draw::new(seed);
        let operations = ["begin", "append", "prepare", "commit", "abort"];
        let effects = [Effect::Before, Effect::After, Effect::Never, Effect::Later];
        let fail = |name: &str| {
            let operation = draw.below(&format!("{name} operation"), 5);
            let effect = draw.below(&format!("{name} effect"), 4);
            let operation = operations[usize::try_from(operation).expect("below 5")];
            let fault = Fault::CallError {
                call: CallSelector {
                    system: Some("ledger".to_owned()),
                    operation: Some(operation.to_owned()),
                },
                effect: effects[usize::try_from(effect).expect("below 4")],
                per_mille: 700,
                limit: 1 + u32::try_from(draw.below(&format!("{name} limit"), 8)).expect("few"),
                lasts: draw.millis(&format!("{name} lasts"), 300, 2_000),
            };
            at(draw.millis(name, 100, 4_000), fault)
        };
        let down = draw.millis("down", 100, 1_500);
        let sleep =
            Fault::Pause { node: cluster::worker(2), lasts: draw.millis("lasts", 1_100, 3_000) };
        let occurrence = 1 + u32::try_from(draw.below("occurrence", 8)).expect("below 8");
        FaultPlan(vec![
            fail("first"),
            fail("second"),
            at(draw.millis("crash", 500, 4_000), crash(cluster::worker(1), down)),
            after("transaction_prepared", occurrence, draw.millis("sleep", 0, 20), sleep),
        ])
    },
    must_reach: &[
        probes::RESTORED,
        probes::WORKER_LOST,
        probes::LEDGER_COMMIT_IN_DOUBT_AND_DONE,
        probes::LEDGER_COMMIT_IN_DOUBT_AND_NOT_DONE,
        probes::LEDGER_REFUSED,
        probes::WOKE_WITH_TRANSACTION,
    ],
    finishes_within: Duration::from_secs(60),
    checkpoints: |drawn| drawn,
    standby_after: None,
    stops_after: None,
};
