//! Alarms of a river, while workers die, barriers get lost and a worker is cut off.
//!
//! A timer that was set before a failure fires or is deleted after it, by a subtask that has never
//! seen the reading that set it: only state knows of both. [`mistakes`] tells the same story of alarms
//! that are written wrongly; the simulator must find each.

pub mod mistakes;

use std::time::Duration;

use floodmark_sim::{Direction, Fault, FaultPlan};

use crate::{
    Draw, Group, Scenario, cluster,
    faults::{at, frames, worker_dies},
    jobs::water_level,
    probes,
};

/// The story above.
pub const SCENARIO: Scenario = Scenario {
    name: "water_level",
    group: Group::Time,
    tells: "alarms that are set and called off again, across crashes, partitions and lost barriers",
    jobs: &[&water_level::JOB],
    size: 1_200,
    worker_count: 3,
    faults: |seed| {
        let draw = Draw::new(seed);
        let mut plan: Vec<_> = (1..=2)
            .map(|number: u16| {
                let base = 700 + u64::from(number) * 1_200;
                worker_dies(draw, number, (base, base + 1_200), (50, 900))
            })
            .collect();
        if draw.percent("cut", 40) {
            let way = draw.percent("way", 50);
            let cut = Fault::Partition {
                from: vec![cluster::worker(3)],
                to: vec![cluster::COORDINATOR.to_owned()],
                direction: if way { Direction::Both } else { Direction::OneWay },
                lasts: draw.millis("cut lasts", 300, 2_500),
            };
            plan.push(at(draw.millis("cut at", 4_500, 6_500), cut));
        }
        if draw.percent("lost", 50) {
            let lost = Fault::Lose {
                link: frames("barrier"),
                per_mille: 500,
                limit: 1,
                lasts: Duration::from_millis(900),
            };
            plan.push(at(draw.millis("lost at", 100, 6_000), lost));
        }
        FaultPlan(plan)
    },
    must_reach: &[
        probes::RESTORED,
        probes::WORKER_LOST,
        probes::WATERMARK_RESTORED,
        probes::GAP_DETECTED,
        probes::RESTORED_TIMER_FIRED,
        probes::RESTORED_TIMER_DELETED,
    ],
    finishes_within: Duration::from_secs(60),
    checkpoints: |drawn| drawn,
    standby_after: None,
    stops_after: None,
};
