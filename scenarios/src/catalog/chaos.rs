//! Everything at once: each seed draws its own kinds of fault, their number and their moments.
//!
//! Some strike at a time, some at a moment of the protocol. Whatever the mix, the job ends, and its
//! output is exactly right.

use std::time::Duration;

use crate::{
    Group, Scenario, faults,
    jobs::{flights, transfers, word_count},
    probes,
};

/// The story above.
pub const SCENARIO: Scenario = Scenario {
    name: "chaos",
    group: Group::Whole,
    tells: "crashes, sleep, partitions, lost and repeated frames, doubt: each seed draws its own mix",
    jobs: &[&flights::JOB, &transfers::JOB, &word_count::JOB],
    size: 1_600,
    worker_count: 3,
    faults: |seed| faults::swarm(seed, 3),
    must_reach: &[
        probes::RESTORED,
        probes::SECOND_TERM,
        probes::WORKER_LOST,
        probes::GAP_DETECTED,
        probes::REPEAT_DROPPED,
        probes::CHECKPOINT_ABORTED,
        probes::STALE_REFUSED,
        probes::TRANSACTION_ABORTED,
        probes::COMMIT_MADE_GOOD,
    ],
    finishes_within: Duration::from_secs(60),
    checkpoints: |drawn| drawn,
    standby_after: None,
    stops_after: None,
};
