//! Barriers vanish on their way, and so do notifications and acknowledgements.
//!
//! A lost barrier shows as a gap in the channel, a lost acknowledgement as a checkpoint that times
//! out, and a lost notification as an epoch that a later checkpoint commits.

use std::time::Duration;

use floodmark_sim::{Fault, FaultPlan};

use crate::{
    Draw, Scenario,
    faults::{at, frames},
    jobs::{flights, transfers, word_count},
    probes,
};

/// The story above.
pub const SCENARIO: Scenario = Scenario {
    name: "lost_barrier",
    tells: "barriers, acknowledgements and notifications vanish",
    jobs: &[&flights::JOB, &transfers::JOB, &word_count::JOB],
    size: 1_200,
    worker_count: 3,
    faults: |seed| {
        let draw = Draw::new(seed);
        let lose = |kind: &str, limit| {
            let time = draw.millis(kind, 100, 3_500);
            let lasts = Duration::from_millis(900);
            at(time, Fault::Lose { link: frames(kind), per_mille: 500, limit, lasts })
        };
        FaultPlan(vec![lose("barrier", 1), lose("notification", 3), lose("acknowledgement", 1)])
    },
    must_reach: &[
        probes::GAP_DETECTED,
        probes::CHECKPOINT_ABORTED,
        probes::COMMIT_MADE_GOOD,
        probes::RESTORED,
    ],
    finishes_within: Duration::from_secs(60),
};
