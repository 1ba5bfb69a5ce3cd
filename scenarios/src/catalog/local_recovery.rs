//! Workers lose power and come back with their disks: what they restore is on them already.
//!
//! Once a single worker, once all of them, each in the moment after a checkpoint was completed. The
//! copies of snapshots that were synced are restored without asking the object store. And each seed
//! has an ailment of the disks: they read in parts, lose or change bytes, are full or fail. What was
//! changed is refused, what is missing is not found, and the object store has it.

use std::time::Duration;

use floodmark_sim::{DiskSelector, Fault, FaultPlan};

use crate::{
    Draw, Group, Scenario, cluster,
    faults::{after, at, crash},
    jobs::{flights, transfers, word_count},
    probes,
};

/// The story above.
pub const SCENARIO: Scenario = Scenario {
    name: "local_recovery",
    group: Group::Process,
    tells: "workers lose power after a checkpoint, and restore the copies on their own disks",
    jobs: &[&flights::JOB, &transfers::JOB, &word_count::JOB],
    size: 1_200,
    worker_count: 3,
    faults: |seed| {
        let draw = Draw::new(seed);
        let power_loss = |name: &str, label, occurrence, number| {
            let delay = draw.millis(&format!("{name} delay"), 0, 8);
            let down = draw.millis(&format!("{name} down"), 20, 300);
            after(label, occurrence, delay, crash(cluster::worker(number), down))
        };
        let single = 1 + u16::try_from(draw.below("single", 3)).expect("below 3");
        let mut plan = vec![power_loss("single", "manifest_stored", 1, single)];
        plan.extend((1..=3).map(|number| power_loss("all", "checkpoint_notified", 9, number)));
        let (disk, lasts) = (DiskSelector::default(), Duration::from_secs(10));
        let (per_mille, limit) = (500, 20);
        let ailment = match draw.below("ailment", 6) {
            0 => Fault::CorruptRead { disk, per_mille, limit, lasts },
            1 => Fault::DiskError { disk, per_mille, limit, lasts },
            2 => Fault::DiskFull { disk, lasts: draw.millis("full", 100, 2_000) },
            3 => Fault::BitRot { disk },
            _ => Fault::ShortRead { disk, per_mille, limit, lasts },
        };
        plan.push(at(draw.millis("ailing", 300, 900), ailment));
        FaultPlan(plan)
    },
    must_reach: &[
        probes::RESTORED,
        probes::FETCHED_LOCALLY,
        probes::FETCHED_FROM_STORE,
        probes::LOCAL_COPY_REFUSED,
    ],
    finishes_within: Duration::from_secs(60),
    checkpoints: |drawn| drawn,
    standby_after: None,
    stops_after: None,
};
