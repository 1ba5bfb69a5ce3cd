//! The job is asked to stop, and started again; around that moment frames get lost and somebody dies.
//!
//! Sources emit one more barrier and read no further; when the manifest is stored, sinks commit and
//! subtasks end. A trigger that is lost is repeated with the next checkpoint, for sources that have
//! stopped and for those that have not. A notification that is lost is repeated by the heartbeat. A
//! worker that dies, or a time that runs out, ends the job at an older checkpoint. Whatever happens,
//! the next start goes on from the newest one, and nothing is missing and nothing comes twice.

use std::time::Duration;

use floodmark_sim::{Fault, FaultPlan};

use crate::{
    Draw, Group, Scenario, cluster,
    faults::{at, crash, frames},
    jobs::{flights, knocks, lookups, reminders, transfers, word_count},
    probes,
};

/// When the job is asked to stop.
fn stops_after(seed: u64) -> Duration {
    Draw::new(seed).millis("stop", 500, 3_500)
}

/// The story above.
pub const SCENARIO: Scenario = Scenario {
    name: "stop_and_resume",
    group: Group::Process,
    tells: "the job is stopped with a last checkpoint and started again, while frames and nodes fail",
    jobs: &[
        &flights::JOB,
        &transfers::JOB,
        &word_count::JOB,
        &reminders::JOB,
        &lookups::ORDERED,
        &lookups::UNORDERED,
        &knocks::JOB,
    ],
    size: 1_200,
    worker_count: 3,
    faults: |seed| {
        let draw = Draw::new(seed);
        // Shortly before or after.
        let around = |name: &str| {
            (stops_after(seed) + draw.millis(name, 0, 900))
                .saturating_sub(Duration::from_millis(300))
        };
        let mut faults = Vec::new();
        for (kind, percent) in [("trigger", 40), ("notification", 30), ("acknowledgement", 20)] {
            if draw.percent(kind, percent) {
                let (per_mille, limit, lasts) = (600, 3, Duration::from_secs(2));
                let lose = Fault::Lose { link: frames(kind), per_mille, limit, lasts };
                faults.push(at(around(kind), lose));
            }
        }
        if draw.percent("worker", 40) {
            let down = draw.millis("worker_down", 100, 1_500);
            faults.push(at(around("worker_dies"), crash(cluster::worker(2), down)));
        }
        if draw.percent("coordinator", 20) {
            let down = draw.millis("coordinator_down", 100, 1_500);
            let crash = crash(cluster::COORDINATOR.to_owned(), down);
            faults.push(at(around("coordinator_dies"), crash));
        }
        FaultPlan(faults)
    },
    must_reach: &[
        probes::STOPPED,
        probes::STOP_CUT_SHORT,
        probes::SECOND_TERM,
        probes::WORKER_LOST,
        probes::RESTORED,
    ],
    finishes_within: Duration::from_secs(60),
    checkpoints: |drawn| drawn,
    standby_after: None,
    stops_after: Some(stops_after),
};
