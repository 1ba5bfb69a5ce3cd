//! How a seed draws faults.

use std::time::Duration;

use floodmark_sim::{
    Direction, DiskFate, DiskSelector, Effect, EventSelector, Fault, FaultPlan, LinkSelector,
    PlannedFault, StoreSelector, When,
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

/// Selects objects whose key contains `part`, for any node and any operation.
pub fn keys_with(part: &str) -> StoreSelector {
    StoreSelector { key_part: Some(part.to_owned()), ..StoreSelector::default() }
}

/// Draws a mix of faults for a cluster with so many workers: the seed first decides which kinds of
/// fault there are at all, then how many of each, and when. Up to three faults of what is stored come
/// on top.
pub fn swarm(seed: u64, worker_count: u16) -> FaultPlan {
    let draw = Draw::new(seed);
    let count = 1 + draw.below("fault count", 8);
    let kinds: Vec<u64> =
        (0..KIND_COUNT).filter(|kind| draw.percent(&format!("kind {kind}"), 45)).collect();
    let mut plan = Vec::new();
    if !kinds.is_empty() {
        plan.extend((0..count).map(|number| {
            let index = draw.below(&format!("which {number}"), kinds.len() as u64);
            let kind = kinds[usize::try_from(index).expect("there are few kinds")];
            at_some_moment(draw, number, fault_of(draw, number, kind, worker_count))
        }));
    }
    // With numbers of their own, so that they share no draw with those above.
    let stored = STORAGE_NUMBER_MIN..STORAGE_NUMBER_MIN + draw.below("storage fault count", 4);
    plan.extend(stored.map(|number| at_some_moment(draw, number, storage_fault_of(draw, number))));
    FaultPlan(plan)
}

/// Draws when fault `number` strikes.
fn at_some_moment(draw: Draw, number: u64, what: Fault) -> PlannedFault {
    let name = |what: &str| format!("{what} {number}");
    if !draw.percent(&name("by phase"), 50) {
        return at(draw.millis(&name("time"), 100, 6_000), what);
    }
    let moment = draw.below(&name("moment"), MOMENTS.len() as u64);
    let label = MOMENTS[usize::try_from(moment).expect("there are few moments")];
    let occurrence = 1 + draw.below(&name("occurrence"), 12);
    let occurrence = u32::try_from(occurrence).expect("at most 12");
    after(label, occurrence, draw.millis(&name("delay"), 0, 30), what)
}

/// Draws what is wrong with disks, or with what the object store answers.
fn storage_fault_of(draw: Draw, number: u64) -> Fault {
    let name = |what: &str| format!("{what} {number}");
    let lasts = draw.millis(&name("lasts"), 50, 4_000);
    let per_mille =
        [1000, 300, 50][usize::try_from(draw.below(&name("rate"), 3)).expect("below 3")];
    let limit = u32::try_from(1 + draw.below(&name("limit"), 10)).expect("at most 10");
    let disk = DiskSelector::default();
    match draw.below(&name("storage kind"), 7) {
        0 => Fault::ShortRead { disk, per_mille, limit, lasts },
        1 => Fault::CorruptRead { disk, per_mille, limit, lasts },
        2 => Fault::BitRot { disk },
        3 => Fault::DiskError { disk, per_mille, limit, lasts },
        4 => Fault::DiskFull { disk, lasts },
        // What users read has no checksum of ours.
        5 => Fault::StoreCorruption { store: keys_with("/data/"), per_mille, limit, lasts },
        _ => {
            // The log of a job relies on listings that show what was stored before.
            let parts = ["/data", "/_staged"];
            let part = usize::try_from(draw.below(&name("listed"), 2)).expect("below 2");
            let age = draw.millis(&name("age"), 10, 1_000);
            Fault::StaleListing { store: keys_with(parts[part]), age, lasts }
        }
    }
}

/// How many kinds `fault_of` knows.
const KIND_COUNT: u64 = 15;

/// The number of the first fault of what is stored.
const STORAGE_NUMBER_MIN: u64 = 100;

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
