//! Barriers vanish on their way, and so do notifications and acknowledgements.
//!
//! A lost barrier shows as a gap in the channel, a lost acknowledgement as a checkpoint that times
//! out, and a lost notification as an epoch that a later checkpoint commits. A barrier that is held up
//! for longer than the timeout leaves subtasks waiting for it, until they hear of the abort.

use std::time::Duration;

use floodmark_sim::{Fault, FaultPlan, LinkSelector};

use crate::{
    Draw, Group, Scenario, cluster,
    faults::{at, frames},
    jobs::{flights, transfers, word_count},
    probes,
};

/// The story above.
pub const SCENARIO: Scenario = Scenario {
    name: "lost_barrier",
    group: Group::Checkpoint,
    tells: "barriers vanish or are held up for too long, acknowledgements and notifications get lost",
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
        let held = at(
            draw.millis("held", 100, 2_500),
            Fault::Clog {
                link: LinkSelector { to: Some(cluster::worker(1)), ..frames("barrier") },
                lasts: draw.millis("held lasts", 1_600, 2_400),
            },
        );
        let mut plan = vec![lose("notification", 3), lose("acknowledgement", 1)];
        plan.push(if draw.percent("held or lost", 40) { held } else { lose("barrier", 1) });
        FaultPlan(plan)
    },
    must_reach: &[
        probes::GAP_DETECTED,
        probes::CHECKPOINT_ABORTED,
        probes::ALIGNMENT_ABORTED,
        probes::COMMIT_MADE_GOOD,
        probes::RESTORED,
    ],
    finishes_within: Duration::from_secs(60),
    checkpoints: |drawn| drawn,
    standby_after: None,
    stops_after: None,
};
