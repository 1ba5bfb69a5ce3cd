//! A job is stopped, and a new version goes on, whose states have other types. Around that moment frames
//! get lost and somebody dies.
//!
//! Whatever checkpoint the new version begins from, and however often, it reads what is of the old
//! version and what is of its own. A worker of the old version that is late finds nothing to do.

use std::time::Duration;

use floodmark_sim::{Fault, FaultPlan};

use crate::{
    Draw, Group, Scenario, cluster,
    faults::{at, crash, frames},
    jobs::accounts,
    probes,
};

/// When the old version is asked to stop.
fn stops_after(seed: u64) -> Duration {
    Draw::new(seed).millis("stop", 500, 3_500)
}

/// The story above.
pub const SCENARIO: Scenario = Scenario {
    name: "upgrade",
    group: Group::Process,
    tells: "the job is stopped and a version with other types goes on, while frames and nodes fail",
    jobs: &[&accounts::JOB],
    size: 1_000,
    worker_count: 3,
    faults: |seed| {
        let draw = Draw::new(seed);
        let around = |name: &str| {
            (stops_after(seed) + draw.millis(name, 0, 1_500))
                .saturating_sub(Duration::from_millis(300))
        };
        let mut faults = Vec::new();
        for (kind, percent) in [("trigger", 30), ("notification", 30), ("deployment", 30)] {
            if draw.percent(kind, percent) {
                let (per_mille, limit, lasts) = (600, 3, Duration::from_secs(2));
                let lose = Fault::Lose { link: frames(kind), per_mille, limit, lasts };
                faults.push(at(around(kind), lose));
            }
        }
        if draw.percent("worker", 60) {
            let down = draw.millis("worker_down", 100, 1_500);
            faults.push(at(around("worker_dies"), crash(cluster::worker(2), down)));
        }
        if draw.percent("worker_later", 50) {
            let down = draw.millis("worker_later_down", 100, 1_000);
            let later = stops_after(seed) + draw.millis("worker_dies_later", 1_000, 4_000);
            faults.push(at(later, crash(cluster::worker(1), down)));
        }
        if draw.percent("coordinator", 20) {
            let down = draw.millis("coordinator_down", 100, 1_500);
            let crash = crash(cluster::COORDINATOR.to_owned(), down);
            faults.push(at(around("coordinator_dies"), crash));
        }
        FaultPlan(faults)
    },
    must_reach: &[probes::STOPPED, probes::SECOND_TERM, probes::WORKER_LOST, probes::RESTORED],
    finishes_within: Duration::from_secs(60),
    checkpoints: |drawn| drawn,
    standby_after: None,
    stops_after: Some(stops_after),
};
