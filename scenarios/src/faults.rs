//! How scenarios speak of faults, and how a seed draws them.

mod swarm;

use std::time::Duration;

use floodmark_sim::{
    DiskFate, EventSelector, Fault, LinkSelector, PlannedFault, StoreSelector, When,
};

pub use self::swarm::swarm;
use crate::{Draw, cluster};

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

/// Returns the crash of a worker at a moment that is drawn, and for a time that is drawn: from the first of two
/// numbers of milliseconds on, and below the second.
pub fn worker_dies(
    draw: Draw,
    number: u16,
    time_ms: (u64, u64),
    down_ms: (u64, u64),
) -> PlannedFault {
    let time = draw.millis(&format!("time {number}"), time_ms.0, time_ms.1);
    let down = draw.millis(&format!("down {number}"), down_ms.0, down_ms.1);
    at(time, crash(cluster::worker(number), down))
}

/// Selects frames of one kind between any two nodes.
pub fn frames(kind: &str) -> LinkSelector {
    LinkSelector { kind: Some(kind.to_owned()), ..LinkSelector::default() }
}

/// Selects objects whose key contains `part`, for any node and any operation.
pub fn keys_with(part: &str) -> StoreSelector {
    StoreSelector { key_part: Some(part.to_owned()), ..StoreSelector::default() }
}
