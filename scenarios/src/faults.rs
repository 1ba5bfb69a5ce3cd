//! How a seed draws faults.

use std::time::Duration;

use floodmark_sim::{
    Direction, DiskFate, Effect, EventSelector, Fault, FaultPlan, LinkSelector, PlannedFault,
    StoreSelector, When,
};

use crate::{
    Draw,
    cluster::{COORDINATOR, worker},
};

/// Kinds of frames that the runtime sends.
const FRAME_KINDS: [&str; 12] = [
    "records",
    "barrier",
    "watermark",
    "idle",
    "credit",
    "pulse",
    "handshake",
    "acknowledgement",
    "trigger",
    "notification",
    "heartbeat",
    "deployment",
];

/// Labels of events after which a fault is most likely to hurt.
const MOMENTS: [&str; 10] = [
    "checkpoint_triggered",
    "barrier_emitted",
    "barrier_arrived",
    "snapshot_taken",
    "transaction_prepared",
    "checkpoint_acknowledged",
    "manifest_stored",
    "checkpoint_notified",
    "subtask_started",
    "attempt_started",
];

/// Returns a fault at a moment of virtual time.
pub fn at(time: Duration, what: Fault) -> PlannedFault {
    PlannedFault { when: When::At(time), what }
}

/// Returns a fault that follows the n-th event with a label.
pub fn after(label: &str, occurrence: u32, delay: Duration, what: Fault) -> PlannedFault {
    after_event(event(label), occurrence, delay, what)
}

/// Returns a fault that follows the n-th event that a selector admits.
pub fn after_event(
    event: EventSelector,
    occurrence: u32,
    delay: Duration,
    what: Fault,
) -> PlannedFault {
    PlannedFault { when: When::After { event, occurrence, delay }, what }
}

/// Selects events with a label, of any node, with any numbers.
pub fn event(label: &str) -> EventSelector {
    EventSelector { label: label.to_owned(), ..EventSelector::default() }
}

/// Selects events with a label and a number: `("checkpoint", 3)`.
pub fn event_of(label: &str, (name, value): (&str, u64)) -> EventSelector {
    EventSelector { fields: vec![(name.to_owned(), value)], ..event(label) }
}

/// Returns the crash of a process that starts again, with its disk.
pub fn crash(node: String, down_for: Duration) -> Fault {
    Fault::Crash { node, down_for: Some(down_for), disk: DiskFate::Kept }
}

/// Selects frames of one kind between any two nodes.
pub fn frames(kind: &str) -> LinkSelector {
    LinkSelector { kind: Some(kind.to_owned()), ..LinkSelector::default() }
}

/// Draws a mix of faults for a cluster with so many workers: the seed first decides which kinds of
/// fault there are at all, then how many of each, and when.
pub fn swarm(seed: u64, worker_count: u16) -> FaultPlan {
    let draw = Draw::new(seed);
    let count = 1 + draw.below("fault count", 8);
    let kinds: Vec<u64> =
        (0..KIND_COUNT).filter(|kind| draw.percent(&format!("kind {kind}"), 45)).collect();
    if kinds.is_empty() {
        return FaultPlan::default();
    }
    let fault = |number: u64| {
        let name = |what: &str| format!("{what} {number}");
        let index = draw.below(&name("which"), kinds.len() as u64);
        let kind = kinds[usize::try_from(index).expect("there are few kinds")];
        let what = fault_of(draw, number, kind, worker_count);
        if draw.percent(&name("by phase"), 50) {
            let moment = draw.below(&name("moment"), MOMENTS.len() as u64);
            let label = MOMENTS[usize::try_from(moment).expect("there are few moments")];
            let occurrence = 1 + draw.below(&name("occurrence"), 12);
            let occurrence = u32::try_from(occurrence).expect("at most 12");
            after(label, occurrence, draw.millis(&name("delay"), 0, 30), what)
        } else {
            at(draw.millis(&name("time"), 100, 6_000), what)
        }
    };
    FaultPlan((0..count).map(fault).collect())
}

/// How many kinds `fault_of` knows.
const KIND_COUNT: u64 = 15;

fn fault_of(draw: Draw, number: u64, kind: u64, worker_count: u16) -> Fault {
    let name = |what: &str| format!("{what} {number}");
    let any_worker = |what: &str| {
        let number = draw.below(&name(what), u64::from(worker_count)) + 1;
        worker(u16::try_from(number).expect("there are few workers"))
    };
    let any_node = |what: &str| {
        if draw.percent(&name(&format!("{what} role")), 30) {
            COORDINATOR.to_owned()
        } else {
            any_worker(what)
        }
    };
    let index = draw.below(&name("frames"), FRAME_KINDS.len() as u64);
    let link = frames(FRAME_KINDS[usize::try_from(index).expect("there are few kinds")]);
    let lasts = draw.millis(&name("lasts"), 50, 2_500);
    let per_mille =
        [1000, 300, 50][usize::try_from(draw.below(&name("rate"), 3)).expect("below 3")];
    let limit = u32::try_from(1 + draw.below(&name("limit"), 10)).expect("at most 10");
    let store = StoreSelector::default();
    match kind {
        0 | 1 => Fault::Crash {
            node: any_worker("node"),
            down_for: Some(draw.millis(&name("down"), 50, 3_000)),
            disk: if draw.percent(&name("disk"), 50) { DiskFate::Kept } else { DiskFate::Lost },
        },
        2 => crash(COORDINATOR.to_owned(), draw.millis(&name("down"), 50, 2_000)),
        3 => Fault::Pause { node: any_node("node"), lasts },
        4 => Fault::Partition {
            from: vec![any_node("left")],
            to: vec![any_node("right")],
            direction: if draw.percent(&name("way"), 50) {
                Direction::Both
            } else {
                Direction::OneWay
            },
            lasts,
        },
        5 | 6 => Fault::Lose { link, per_mille, limit, lasts },
        7 => Fault::Duplicate { link, per_mille, limit, lasts },
        8 => Fault::Reorder { link, per_mille, limit, lasts },
        9 => Fault::Reset {
            link: LinkSelector { from: Some(any_node("node")), ..LinkSelector::default() },
        },
        10 => Fault::StoreError {
            store,
            effect: if draw.percent(&name("doubt"), 50) { Effect::InDoubt } else { Effect::Before },
            per_mille,
            limit,
            lasts,
        },
        11 => Fault::StoreSlow { store, extra: draw.millis(&name("extra"), 10, 800), lasts },
        12 if draw.percent(&name("drifts"), 50) => Fault::Drift {
            node: any_node("node"),
            ppm: i32::try_from(draw.below(&name("drift"), 100_000)).expect("a tenth") - 50_000,
        },
        12 => Fault::Jump {
            node: any_node("node"),
            offset_ms: i64::try_from(draw.below(&name("jump"), 7_200_000)).expect("two hours")
                - 3_600_000,
        },
        13 => Fault::Clog { link, lasts },
        14 => Fault::Slow { link, extra: draw.millis(&name("extra"), 5, 400), lasts },
        _ => unreachable!("there are {KIND_COUNT} kinds"),
    }
}
