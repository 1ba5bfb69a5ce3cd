//! A worker sleeps for longer than the heartbeat timeout, in the middle of a checkpoint, and wakes up
//! when the job runs elsewhere.
//!
//! It believes that nothing has happened: it holds transactions that it has prepared, and messages
//! that wait in its connections. Nobody accepts anything from it, and it discards nothing that its
//! successors have prepared.

use std::time::Duration;

use floodmark_sim::{Fault, FaultPlan};

use crate::{
    Draw, Group, Scenario, cluster,
    faults::after,
    jobs::{flights, transfers, word_count},
    probes,
};

/// The story above.
pub const SCENARIO: Scenario = Scenario {
    name: "zombie_worker",
    group: Group::Process,
    tells: "a worker sleeps through its own funeral and goes on as if nothing had happened",
    jobs: &[&flights::JOB, &transfers::JOB, &word_count::JOB],
    size: 1_200,
    worker_count: 3,
    faults: |seed| {
        let draw = Draw::new(seed);
        let sleeper = |name: &str, number| {
            let lasts = draw.millis(&format!("{name} lasts"), 1_100, 3_500);
            let label = ["snapshot_taken", "transaction_prepared", "subtask_started"]
                [usize::try_from(draw.below(&format!("{name} moment"), 3)).expect("below 3")];
            let occurrence = 1 + draw.below(&format!("{name} occurrence"), 9);
            let occurrence = u32::try_from(occurrence).expect("at most 9");
            let delay = draw.millis(&format!("{name} delay"), 0, 10);
            after(label, occurrence, delay, Fault::Pause { node: cluster::worker(number), lasts })
        };
        FaultPlan(vec![sleeper("first", 1), sleeper("second", 3)])
    },
    must_reach: &[probes::WORKER_LOST, probes::STALE_REFUSED, probes::RESTORED],
    finishes_within: Duration::from_secs(60),
    checkpoints: |drawn| drawn,
    standby_after: None,
    stops_after: None,
};
