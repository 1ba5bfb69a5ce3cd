//! Clocks jump, by hours, forwards and backwards, and some go too fast and some too slow.
//!
//! No decision compares the clocks of two nodes, and no result depends on any of them: what a record is
//! worth is decided by its own time.

use std::time::Duration;

use floodmark_sim::{Fault, FaultPlan};

use crate::{
    Draw, Group, Scenario, cluster,
    faults::{at, crash},
    jobs::{flights, transfers, word_count},
    probes,
};

/// The story above.
pub const SCENARIO: Scenario = Scenario {
    name: "skewed_clocks",
    group: Group::Time,
    tells: "clocks jump by hours and run at different speeds, and a worker dies",
    jobs: &[&flights::JOB, &transfers::JOB, &word_count::JOB],
    size: 1_200,
    worker_count: 3,
    faults: |seed| {
        let draw = Draw::new(seed);
        let hours = |name: &str| {
            i64::try_from(draw.below(name, 48 * 3_600_000)).expect("two days") - 24 * 3_600_000
        };
        let jump = |name: &str, node: String| {
            let fault = Fault::Jump { node, offset_ms: hours(&format!("{name} offset")) };
            at(draw.millis(name, 100, 4_000), fault)
        };
        let drift = |name: &str, node: String| {
            let ppm = i32::try_from(draw.below(&format!("{name} rate"), 400_000)).expect("small");
            let fault = Fault::Drift { node, ppm: ppm - 200_000 };
            at(draw.millis(name, 100, 3_000), fault)
        };
        let down = draw.millis("down", 100, 1_500);
        FaultPlan(vec![
            jump("coordinator jumps", cluster::COORDINATOR.to_owned()),
            jump("worker jumps", cluster::worker(1)),
            drift("coordinator drifts", cluster::COORDINATOR.to_owned()),
            drift("worker drifts", cluster::worker(2)),
            at(draw.millis("crash", 500, 4_000), crash(cluster::worker(3), down)),
        ])
    },
    must_reach: &[probes::CLOCK_JUMPED, probes::RESTORED],
    finishes_within: Duration::from_secs(60),
    checkpoints: |drawn| drawn,
    standby_after: None,
    stops_after: None,
};
