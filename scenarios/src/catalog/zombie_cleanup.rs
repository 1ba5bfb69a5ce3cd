//! A worker falls asleep while it is being restored, and wakes up when its successors have prepared
//! transactions.
//!
//! It goes on where it was: it discards what earlier attempts have staged in vain. What later attempts
//! have staged is not in vain, and not its business.

use std::time::Duration;

use floodmark_sim::{Fault, FaultPlan, LinkSelector, StoreSelector};

use crate::{
    Draw, Group, Scenario, cluster,
    faults::{after_event, at, crash, event_of},
    jobs::{flights, transfers, word_count},
    probes,
};

/// The story above.
pub const SCENARIO: Scenario = Scenario {
    name: "zombie_cleanup",
    group: Group::Process,
    tells: "a worker falls asleep while it is being restored, and cleans up among its successors",
    jobs: &[&word_count::JOB, &transfers::JOB, &flights::JOB],
    size: 1_600,
    worker_count: 3,
    faults: |seed| {
        let draw = Draw::new(seed);
        let number = 1 + u16::try_from(draw.below("worker", 2)).expect("below 2");
        let sleeper = cluster::worker(number);
        let restored = event_of("attempt_started", ("restored", 1));
        let sleep =
            Fault::Pause { node: sleeper.clone(), lasts: draw.millis("lasts", 1_400, 3_000) };
        // It must not hear too soon that it was given up.
        let hold = Fault::Clog {
            link: LinkSelector {
                from: Some(cluster::COORDINATOR.to_owned()),
                to: Some(sleeper.clone()),
                kind: Some("close".to_owned()),
            },
            lasts: Duration::from_secs(8),
        };
        let slow = Fault::StoreSlow {
            store: StoreSelector { node: Some(sleeper), ..StoreSelector::default() },
            extra: draw.millis("extra", 5, 60),
            lasts: Duration::from_secs(6),
        };
        // What its successors prepare is long prepared before it is committed.
        let late = Fault::StoreSlow {
            store: StoreSelector { key_part: Some("/log/".to_owned()), ..StoreSelector::default() },
            extra: draw.millis("late", 300, 900),
            lasts: Duration::from_secs(8),
        };
        let down = draw.millis("down", 100, 400);
        FaultPlan(vec![
            at(draw.millis("crash", 800, 3_000), crash(cluster::worker(3), down)),
            after_event(restored.clone(), 1, Duration::ZERO, hold),
            after_event(restored.clone(), 1, Duration::ZERO, slow),
            after_event(restored.clone(), 1, Duration::from_millis(300), late),
            after_event(restored, 1, draw.millis("delay", 5, 250), sleep),
        ])
    },
    must_reach: &[probes::RESTORED, probes::WORKER_LOST, probes::ZOMBIE_STARTED],
    finishes_within: Duration::from_secs(60),
    checkpoints: |drawn| drawn,
    standby_after: None,
    stops_after: None,
};
