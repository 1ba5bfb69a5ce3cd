//! Faults in plain words, with what they struck.

use std::{collections::BTreeMap, time::Duration};

use floodmark_sim::{
    Chronicle, Direction, DiskFate, Fault, FrameFate, FrameId, Happening, LinkSelector, Operation,
    StoreSelector, What,
};

use super::words::{count, frames, list, seconds, share, span};

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

/// Says what a fault does.
#[expect(clippy::wildcard_enum_match_arm, reason = "other faults speak for themselves")]
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
        other => other.to_string(),
    }
}
