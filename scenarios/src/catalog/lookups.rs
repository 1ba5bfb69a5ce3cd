//! Orders wait for the answers of a directory, while workers die and barriers get lost.
//!
//! A question under way is state: after a failure it is asked again, in its place. Event time waits for
//! the answers, before a failure and after it, so that no order is late for its window. Before the last
//! barrier all answers are in, also where timers by the clock ask again and again: they are kept still
//! once the end waits. At times the directory is down, and the attempt fails aloud.

use std::time::Duration;

use floodmark_sim::{Fault, FaultPlan};

use crate::{
    Draw, Group, Scenario,
    faults::{at, frames, worker_dies},
    jobs::{knocks, lookups},
    probes,
};

/// The story above.
pub const SCENARIO: Scenario = Scenario {
    name: "lookups",
    group: Group::Edge,
    tells: "questions to somebody slow are under way when workers die and barriers get lost",
    jobs: &[&lookups::ORDERED, &lookups::UNORDERED, &knocks::JOB],
    size: 1_000,
    worker_count: 3,
    faults: |seed| {
        let draw = Draw::new(seed);
        let crash = |number: u16| {
            let base = u64::from(number) * 1_500;
            worker_dies(draw, number, (base, base + 2_000), (50, 700))
        };
        let lose = Fault::Lose {
            link: frames("barrier"),
            per_mille: 500,
            limit: 1,
            lasts: Duration::from_millis(900),
        };
        let mut plan: Vec<_> = (1..=3).map(crash).collect();
        plan.push(at(draw.millis("lost", 300, 4_500), lose));
        FaultPlan(plan)
    },
    must_reach: &[
        probes::RESTORED,
        probes::GAP_DETECTED,
        probes::REQUESTS_IN_CHECKPOINT,
        probes::REQUESTS_RESTORED,
        probes::REQUEST_FAILED,
    ],
    finishes_within: Duration::from_secs(60),
    checkpoints: |drawn| drawn,
    standby_after: None,
    stops_after: None,
};
