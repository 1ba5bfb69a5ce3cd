//! Thousands of timers on clocks that no two nodes share, and the coordinator and the workers die.
//!
//! A timer that was set before a failure fires after it, once, and as soon as the clock of its new
//! node allows.

use std::time::Duration;

use floodmark_sim::FaultPlan;

use crate::{
    Draw, Group, Scenario, cluster,
    faults::{at, crash},
    jobs::reminders,
    probes,
};

/// The story above.
pub const SCENARIO: Scenario = Scenario {
    name: "reminders",
    group: Group::Time,
    tells: "timers on the clocks of nodes, set before a crash and due after it",
    jobs: &[&reminders::JOB],
    size: 1_200,
    worker_count: 3,
    faults: |seed| {
        let draw = Draw::new(seed);
        let coordinator = crash(cluster::COORDINATOR.to_owned(), draw.millis("down 0", 50, 900));
        let mut plan = vec![at(draw.millis("time 0", 700, 1_700), coordinator)];
        plan.extend((1..=2).map(|number: u16| {
            let base = 1_500 + u64::from(number) * 900;
            let time = draw.millis(&format!("time {number}"), base, base + 900);
            at(
                time,
                crash(cluster::worker(number), draw.millis(&format!("down {number}"), 50, 600)),
            )
        }));
        FaultPlan(plan)
    },
    must_reach: &[probes::RESTORED, probes::PROCESSING_TIMER_FIRED],
    finishes_within: Duration::from_secs(60),
    checkpoints: |drawn| drawn,
    standby_after: None,
    stops_after: None,
};
