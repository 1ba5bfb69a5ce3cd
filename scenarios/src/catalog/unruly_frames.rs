//! What flows between subtasks comes twice, or after what was sent behind it, or one neighbour's is
//! late, and connections break.
//!
//! A repeat is dropped and a gap ends the attempt, before anything behind it is processed. Records of a
//! slow neighbour make the others wait at the next barrier.

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
    name: "unruly_frames",
    group: Group::Network,
    tells: "records, barriers and watermarks come twice, out of order, or late, and connections break",
    jobs: &[&flights::JOB, &transfers::JOB, &word_count::JOB],
    size: 1_200,
    worker_count: 3,
    faults: |seed| {
        let draw = Draw::new(seed);
        let kinds = ["records", "barrier", "watermark", "credit"];
        let index = draw.below("kind", 4);
        let link = || frames(kinds[usize::try_from(index).expect("below 4")]);
        let (per_mille, lasts) = (300, Duration::from_millis(1_500));
        let limit = |name: &str| 1 + u32::try_from(draw.below(name, 4)).expect("below 4");
        let time = |name: &str| draw.millis(name, 200, 4_000);
        let repeat =
            Fault::Duplicate { link: link(), per_mille, limit: limit("repeated") * 5, lasts };
        let reorder = Fault::Reorder { link: link(), per_mille, limit: limit("overtaken"), lasts };
        let slow = Fault::Slow {
            link: LinkSelector { from: Some(cluster::worker(2)), ..frames("records") },
            extra: draw.millis("extra", 20, 400),
            lasts: Duration::from_secs(2),
        };
        let reset = Fault::Reset {
            link: LinkSelector { from: Some(cluster::worker(3)), ..LinkSelector::default() },
        };
        FaultPlan(vec![
            at(time("repeat"), repeat),
            at(time("reorder"), reorder),
            at(time("slow"), slow),
            at(time("reset"), reset),
        ])
    },
    must_reach: &[
        probes::REPEAT_DROPPED,
        probes::GAP_DETECTED,
        probes::RECORDS_OVERTAKEN,
        probes::RESTORED,
    ],
    finishes_within: Duration::from_secs(60),
    checkpoints: |drawn| drawn,
    standby_after: None,
    stops_after: None,
};
