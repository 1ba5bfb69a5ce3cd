//! A worker falls asleep with a prepared transaction. The checkpoint completes, the worker is given up,
//! and its successor commits that transaction. Then it wakes up and finds in its socket the word that
//! the transaction may be committed.
//!
//! It may be: a manifest says so. But it has been, and doing it again must change nothing, whatever was
//! written since.

use std::time::Duration;

use floodmark_sim::{Fault, FaultPlan, LinkSelector, Operation, StoreSelector};

use crate::{
    Draw, Group, Scenario, cluster,
    faults::{after_event, event_of},
    jobs::{flights, transfers, word_count},
    probes,
};

/// The story above.
pub const SCENARIO: Scenario = Scenario {
    name: "zombie_commit",
    group: Group::Process,
    tells: "a worker sleeps with a prepared transaction and wakes up to the word that it may be committed",
    jobs: &[&flights::JOB, &transfers::JOB, &word_count::JOB],
    size: 1_200,
    worker_count: 3,
    faults: |seed| {
        let draw = Draw::new(seed);
        let checkpoint = 1 + draw.below("checkpoint", 5);
        let slow = Fault::StoreSlow {
            store: StoreSelector {
                operation: Some(Operation::PutIfAbsent),
                key_part: Some("/log/".to_owned()),
                ..StoreSelector::default()
            },
            extra: Duration::from_millis(300),
            lasts: Duration::from_secs(1),
        };
        let triggered = event_of("checkpoint_triggered", ("checkpoint", checkpoint));
        let sleep = |number: u16| {
            let lasts = draw.millis("lasts", 1_300, 4_000);
            let acknowledged = event_of("checkpoint_acknowledged", ("checkpoint", checkpoint));
            let pause = Fault::Pause { node: cluster::worker(number), lasts };
            after_event(acknowledged, 1, draw.millis("delay", 10, 300), pause)
        };
        let number = 1 + u16::try_from(draw.below("worker", 3)).expect("below 3");
        // The network holds back the news that its connection is closed, so that it first reads what
        // was sent before.
        let hold = Fault::Clog {
            link: LinkSelector {
                from: Some(cluster::COORDINATOR.to_owned()),
                to: Some(cluster::worker(number)),
                kind: Some("close".to_owned()),
            },
            lasts: Duration::from_secs(6),
        };
        FaultPlan(vec![
            after_event(triggered.clone(), 1, Duration::ZERO, slow),
            after_event(triggered, 1, Duration::ZERO, hold),
            sleep(number),
        ])
    },
    must_reach: &[
        probes::WOKE_WITH_TRANSACTION,
        probes::WOKE_TO_NOTIFICATION,
        probes::WORKER_LOST,
        probes::ZOMBIE_NOTIFIED,
    ],
    finishes_within: Duration::from_secs(60),
    checkpoints: |drawn| drawn,
    standby_after: None,
    stops_after: None,
};
