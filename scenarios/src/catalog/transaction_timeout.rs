//! The log outside the cluster aborts a transaction that is begun and not prepared in time, and triggers
//! are late and workers sleep, so some are not.
//!
//! What was in it comes again from the sources in the next attempt. That a transaction cannot be
//! prepared must end the attempt: an epoch that is gone must not be acknowledged.

use std::time::Duration;

use floodmark_sim::{Fault, FaultPlan};

use crate::{
    Draw, Group, Scenario, cluster,
    faults::{at, frames},
    jobs::ledger,
    probes,
};

/// The story above.
pub const SCENARIO: Scenario = Scenario {
    name: "transaction_timeout",
    group: Group::Edge,
    tells: "the log outside aborts transactions that are not prepared in time",
    jobs: &[&ledger::IMPATIENT_JOB],
    size: 1_200,
    worker_count: 3,
    faults: |seed| {
        let draw = Draw::new(seed);
        let slow = Fault::Clog { link: frames("trigger"), lasts: draw.millis("late", 900, 1_400) };
        let sleep = |name: &str, number: u16| {
            let lasts = draw.millis(&format!("{name} lasts"), 300, 1_400);
            at(draw.millis(name, 300, 4_000), Fault::Pause { node: cluster::worker(number), lasts })
        };
        FaultPlan(vec![
            at(draw.millis("triggers", 300, 3_000), slow),
            sleep("first", 1),
            sleep("second", 2),
        ])
    },
    must_reach: &[probes::RESTORED, probes::PRECOMMIT_FAILED],
    finishes_within: Duration::from_secs(60),
    checkpoints: |drawn| drawn,
    standby_after: None,
    stops_after: None,
};
