//! Faults in plain words, with what they struck.

use std::{collections::BTreeMap, time::Duration};

use floodmark_sim::{
    CallSelector, Chronicle, Direction, DiskFate, DiskSelector, Fault, FrameFate, FrameId,
    Happening, LinkSelector, Operation, PlannedFault, StoreSelector, What, When,
};

use super::words::{at_most, count, frames, list, ordinal, seconds, share, span};

/// Victims of a fault that a story names.
const SHOWN_COUNT: usize = 2;

/// A fault of a run.
#[derive(Clone, Debug)]
pub(crate) struct Struck {
    /// Its number in the plan, from 1.
    pub(crate) number: u64,
    pub(crate) began: Duration,
    pub(crate) ended: Duration,
    pub(crate) fault: Fault,
    /// What it struck, in words: frames and operations, in order.
    pub(crate) victims: Vec<String>,
    /// By how much it held up the frame that waited longest.
    waited: Duration,
}

/// Returns the faults that struck in a run, with what each of them did.
#[expect(clippy::wildcard_enum_match_arm, reason = "faults meet a few kinds of happening")]
pub(crate) fn struck(chronicle: &Chronicle, end: Duration) -> Vec<Struck> {
    let mut faults: Vec<Struck> = Vec::new();
    let mut sent: BTreeMap<FrameId, Duration> = BTreeMap::new();
    for Happening { at, node, what } in &chronicle.0 {
        let node = node.as_deref().unwrap_or_default();
        match what {
            What::FaultBegan { number, fault } => faults.push(Struck {
                number: *number,
                began: *at,
                ended: end,
                fault: fault.clone(),
                victims: Vec::new(),
                waited: Duration::ZERO,
            }),
            What::FaultEnded { number } => {
                for fault in faults.iter_mut().filter(|fault| fault.number == *number) {
                    fault.ended = fault.ended.min(*at);
                }
            }
            What::Healed => faults.iter_mut().for_each(|fault| fault.ended = fault.ended.min(*at)),
            What::Sent { frame, kind, to, fate } => {
                sent.insert(*frame, *at);
                let strikes = |fault: &Struck| fault.strikes(*at, *fate, (node, to, kind));
                if let Some(fault) = faults.iter_mut().find(|fault| strikes(fault)) {
                    fault.victims.push(format!("from {node} to {to} at {}", seconds(*at)));
                }
            }
            What::Arrived { frame, kind, from } => {
                let Some(sent) = sent.remove(frame) else { continue };
                for fault in &mut faults {
                    if fault.holds(sent, *at, (from, node, kind)) {
                        fault.waited = fault.waited.max(*at - sent);
                    }
                }
            }
            What::StoreFailed { key, .. } => {
                let is_theirs = |fault: &&mut Struck| match &fault.fault {
                    Fault::StoreError { limit, .. } => {
                        fault.victims.len() < *limit as usize && fault.is_active(*at)
                    }
                    _ => false,
                };
                if let Some(fault) = faults.iter_mut().find(is_theirs) {
                    fault.victims.push(format!("{} at {}", object(node, key), seconds(*at)));
                }
            }
            _ => {}
        }
    }
    faults
}

impl Struck {
    fn is_active(&self, at: Duration) -> bool {
        self.began <= at && at <= self.ended
    }

    /// Returns how much it matters.
    #[expect(clippy::wildcard_enum_match_arm, reason = "most faults matter equally")]
    pub(crate) fn weight(&self) -> u8 {
        match self.fault {
            _ if self.is_harmless() => 15,
            // Slowness alone breaks little.
            Fault::Slow { .. } | Fault::StoreSlow { .. } | Fault::Clog { .. }
                if self.waited == Duration::ZERO =>
            {
                35
            }
            Fault::Jump { .. } | Fault::Drift { .. } => 35,
            _ => 70,
        }
    }

    /// Returns whether this is the fault that decided the fate of a frame.
    fn strikes(&self, at: Duration, fate: FrameFate, frame: (&str, &str, &str)) -> bool {
        let (link, limit) = match (&self.fault, fate) {
            (Fault::Lose { link, limit, .. }, FrameFate::Lose)
            | (Fault::Duplicate { link, limit, .. }, FrameFate::Duplicate)
            | (Fault::Reorder { link, limit, .. }, FrameFate::Reorder) => (link, limit),
            _ => return false,
        };
        self.victims.len() < *limit as usize && self.is_active(at) && matches(link, frame)
    }

    /// Returns whether a frame that was on its way met this fault, and had to wait.
    #[expect(clippy::wildcard_enum_match_arm, reason = "few faults hold frames up")]
    fn holds(&self, sent: Duration, arrived: Duration, frame: (&str, &str, &str)) -> bool {
        let is_theirs = match &self.fault {
            Fault::Clog { link, .. } | Fault::Slow { link, .. } => matches(link, frame),
            Fault::Partition { from, to, direction, .. } => {
                let cuts = |left: &str, right: &str| {
                    from.iter().any(|node| node == left) && to.iter().any(|node| node == right)
                };
                cuts(frame.0, frame.1) || *direction == Direction::Both && cuts(frame.1, frame.0)
            }
            _ => false,
        };
        // Less is the usual way of the network.
        let is_late = Duration::from_millis(20) < arrived - sent;
        is_theirs && is_late && sent <= self.ended && self.began <= arrived
    }

    /// Returns whether it is a fault that strikes one victim after the other, and found none.
    pub(crate) fn is_harmless(&self) -> bool {
        let has_victims = matches!(
            self.fault,
            Fault::Lose { .. }
                | Fault::Duplicate { .. }
                | Fault::Reorder { .. }
                | Fault::StoreError { .. }
        );
        has_victims && self.victims.is_empty()
    }

    /// Tells the fault.
    pub(crate) fn text(&self) -> String {
        let what = plain(&self.fault);
        if self.is_harmless() {
            return format!("{what}; it meets none");
        }
        if !self.victims.is_empty() {
            let victims = list(&self.victims, SHOWN_COUNT);
            return format!("{what}; {}: {victims}", count(self.victims.len() as u64, "time"));
        }
        if Duration::ZERO < self.waited {
            return format!("{what}; one takes {}", span(self.waited));
        }
        what
    }
}

/// Says what an object is, and who asked for it.
fn object(node: &str, key: &str) -> String {
    let what = match key {
        _ if key.contains("/data/") => "a snapshot",
        _ if key.contains("/log/") => "a manifest",
        _ if key.starts_with("output/") => "output",
        _ => key,
    };
    format!("{what} for {node}")
}

/// Returns operations on the object store in words.
fn operations(store: &StoreSelector) -> String {
    let what = match store.operation {
        None => "requests",
        Some(Operation::Get) => "reads",
        Some(Operation::List) => "listings",
        Some(Operation::Delete) => "removals",
        Some(Operation::Put | Operation::PutIfAbsent) => "writes",
    };
    let part = store.key_part.as_ref().map_or(String::new(), |part| format!(" of {part:?}"));
    let node = store.node.as_ref().map_or(String::new(), |node| format!(" by {node}"));
    format!("{what} to the object store{part}{node}")
}

fn matches(link: &LinkSelector, (from, to, kind): (&str, &str, &str)) -> bool {
    let is = |wanted: &Option<String>, name: &str| wanted.as_deref().is_none_or(|it| it == name);
    is(&link.from, from) && is(&link.to, to) && is(&link.kind, kind)
}

/// Returns frames of a selector in words.
fn messages(link: &LinkSelector) -> String {
    let mut text = frames(link.kind.as_deref());
    if let Some(from) = &link.from {
        text.push_str(&format!(" from {from}"));
    }
    if let Some(to) = &link.to {
        text.push_str(&format!(" to {to}"));
    }
    text
}

/// Returns calls in words.
fn calls(call: &CallSelector) -> String {
    let operation = call.operation.as_ref().map_or(String::new(), |name| format!(" to {name}"));
    format!("calls{operation} of {}", call.system.as_deref().unwrap_or("outside systems"))
}

/// Returns a disk in words.
fn disk_of(disk: &DiskSelector) -> String {
    let whose = disk.node.as_ref().map_or("every disk".to_owned(), |node| format!("{node}'s disk"));
    let part = disk.name_part.as_ref().map_or(String::new(), |part| format!(" (files {part:?})"));
    format!("{whose}{part}")
}

/// Says of a fault of a plan when it happens, what it does, and how often at most.
pub fn fault_in_words(fault: &PlannedFault) -> String {
    let when = match &fault.when {
        When::At(at) => format!("at {}", seconds(*at)),
        When::After { event, occurrence, delay } => {
            let delay = if delay.is_zero() { "right".to_owned() } else { span(*delay) };
            format!("{delay} after the {} {event}", ordinal(*occurrence))
        }
    };
    let limit = limit(&fault.what).map_or(String::new(), |limit| format!(", {}", at_most(limit)));
    format!("{when}: {}{limit}", plain(&fault.what))
}

/// Returns how many victims a fault has at most, if it counts them.
fn limit(fault: &Fault) -> Option<u32> {
    match fault {
        Fault::Lose { limit, .. }
        | Fault::Duplicate { limit, .. }
        | Fault::Reorder { limit, .. }
        | Fault::StoreError { limit, .. }
        | Fault::CallError { limit, .. }
        | Fault::StoreCorruption { limit, .. }
        | Fault::ShortRead { limit, .. }
        | Fault::CorruptRead { limit, .. }
        | Fault::DiskError { limit, .. } => Some(*limit),
        Fault::Crash { .. }
        | Fault::Pause { .. }
        | Fault::Partition { .. }
        | Fault::Clog { .. }
        | Fault::Slow { .. }
        | Fault::Reset { .. }
        | Fault::Jump { .. }
        | Fault::Drift { .. }
        | Fault::StoreSlow { .. }
        | Fault::StaleListing { .. }
        | Fault::DiskFull { .. }
        | Fault::BitRot { .. } => None,
    }
}

/// Says what a fault does.
fn plain(fault: &Fault) -> String {
    match fault {
        Fault::Crash { node, down_for, disk } => {
            let disk = if *disk == DiskFate::Lost { ", with an empty disk" } else { "" };
            match down_for {
                Some(down_for) => format!("{node} dies, for {}{disk}", span(*down_for)),
                None => format!("{node} dies, for good{disk}"),
            }
        }
        Fault::Pause { node, lasts } => {
            format!("{node} freezes for {}, and does not notice", span(*lasts))
        }
        Fault::Partition { from, to, direction, lasts } => {
            let (from, to) = (from.join(", "), to.join(", "));
            let lasts = span(*lasts);
            match direction {
                Direction::Both => format!("{from} and {to} cannot reach each other for {lasts}"),
                Direction::OneWay => format!("nothing from {from} reaches {to} for {lasts}"),
            }
        }
        Fault::Clog { link, lasts } => {
            format!("{} are held up for {}", messages(link), span(*lasts))
        }
        Fault::Slow { link, extra, lasts } => {
            format!("{} take {} longer for {}", messages(link), span(*extra), span(*lasts))
        }
        Fault::Lose { link, per_mille, lasts, .. } => {
            format!("{} {} get lost for {}", share(*per_mille), messages(link), span(*lasts))
        }
        Fault::Duplicate { link, per_mille, lasts, .. } => {
            format!("{} {} come twice for {}", share(*per_mille), messages(link), span(*lasts))
        }
        Fault::Reorder { link, per_mille, lasts, .. } => {
            format!("{} {} are overtaken for {}", share(*per_mille), messages(link), span(*lasts))
        }
        Fault::Reset { link } => format!("connections that carry {} break", messages(link)),
        Fault::StoreError { store, effect, per_mille, lasts, .. } => {
            format!("{} {} {effect} for {}", share(*per_mille), operations(store), span(*lasts))
        }
        Fault::StoreSlow { store, extra, lasts } => {
            format!("{} take {} longer for {}", operations(store), span(*extra), span(*lasts))
        }
        Fault::StoreCorruption { store, per_mille, lasts, .. } => {
            let (share, lasts) = (share(*per_mille), span(*lasts));
            format!("{share} {} yield a changed byte for {lasts}", operations(store))
        }
        Fault::StaleListing { store, age, lasts } => {
            let (age, lasts) = (span(*age), span(*lasts));
            format!("{} do not show for {lasts} what others did {age} before", operations(store))
        }
        Fault::CallError { call, effect, per_mille, lasts, .. } => {
            format!("{} {} {effect} for {}", share(*per_mille), calls(call), span(*lasts))
        }
        Fault::ShortRead { disk, per_mille, lasts, .. } => {
            let (share, lasts) = (share(*per_mille), span(*lasts));
            format!("{share} reads of {} are short for {lasts}", disk_of(disk))
        }
        Fault::CorruptRead { disk, per_mille, lasts, .. } => {
            let (share, lasts) = (share(*per_mille), span(*lasts));
            format!("{share} reads of {} yield a changed byte for {lasts}", disk_of(disk))
        }
        Fault::DiskError { disk, per_mille, lasts, .. } => {
            let (share, lasts) = (share(*per_mille), span(*lasts));
            format!("{share} operations on {} fail for {lasts}", disk_of(disk))
        }
        Fault::DiskFull { disk, lasts } => {
            format!("{} has no room for {}", disk_of(disk), span(*lasts))
        }
        Fault::BitRot { disk } => format!("a byte changes on {}", disk_of(disk)),
        Fault::Jump { .. } | Fault::Drift { .. } => fault.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use floodmark_sim::{Effect, EventSelector};

    use super::*;

    #[test]
    fn a_planned_fault_is_told_in_plain_words() {
        let check = |when, what, expected| {
            assert_eq!(fault_in_words(&PlannedFault { when, what }), expected);
        };
        let millis = Duration::from_millis;
        let link =
            LinkSelector { kind: Some("notification".to_owned()), ..LinkSelector::default() };
        check(
            When::At(millis(600)),
            Fault::Lose { link, per_mille: 1000, limit: 1, lasts: millis(500) },
            "at 0.600 s: all notifications get lost for 500 ms, at most one",
        );
        let store =
            StoreSelector { key_part: Some("/data/".to_owned()), ..StoreSelector::default() };
        let (effect, lasts) = (Effect::Before, millis(1_320));
        check(
            When::At(millis(1_900)),
            Fault::StoreError { store, effect, per_mille: 50, limit: 20, lasts },
            "at 1.900 s: 1 in 20 of the requests to the object store of \"/data/\" fail for 1.32 s, \
             at most 20",
        );
        let event =
            EventSelector { label: "checkpoint_notified".to_owned(), ..EventSelector::default() };
        let node = "worker-1".to_owned();
        check(
            When::After { event, occurrence: 2, delay: Duration::ZERO },
            Fault::Crash { node, down_for: Some(millis(10)), disk: DiskFate::Kept },
            "right after the 2nd checkpoint_notified: worker-1 dies, for 10 ms",
        );
        let disk = DiskSelector { node: Some("worker-2".to_owned()), ..DiskSelector::default() };
        check(
            When::At(millis(2)),
            Fault::ShortRead { disk, per_mille: 300, limit: 2, lasts: millis(9) },
            "at 0.002 s: 30 % of the reads of worker-2's disk are short for 9 ms, at most 2",
        );
    }
}
