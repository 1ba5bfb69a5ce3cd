//! Faults that last: rules that frames and operations are held against.

use std::{collections::BTreeMap, time::Duration};

use crate::{
    CallSelector, Direction, DiskHarm, DiskSelector, Effect, FrameFate, LinkSelector, NodeId,
    Operation, StoreSelector,
    choice::{Choices, actor_named, actor_of},
};

/// What a lasting fault does.
#[derive(Clone, Debug)]
pub(crate) enum Rule {
    Partition { from: Vec<NodeId>, to: Vec<NodeId>, direction: Direction },
    Hold(LinkSelector),
    Slow(LinkSelector, Duration),
    Frame { what: FrameFate, link: LinkSelector, per_mille: u16, left: u32 },
    StoreError { store: StoreSelector, effect: Effect, per_mille: u16, left: u32 },
    StoreSlow(StoreSelector, Duration),
    StoreCorruption { store: StoreSelector, per_mille: u16, left: u32 },
    StaleListing(StoreSelector, Duration),
    Disk { harm: DiskHarm, disk: DiskSelector, per_mille: u16, left: u32 },
    CallError { call: CallSelector, effect: Effect, per_mille: u16, left: u32 },
}

/// What names a fault in choices, whatever other faults there are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct FaultName(pub(crate) u64);

/// The rules in force, by the number of their fault.
#[derive(Debug, Default)]
pub(crate) struct Rules {
    rules: BTreeMap<u64, (FaultName, Rule)>,
}

/// A frame, as rules see it.
#[derive(Clone, Copy)]
pub(crate) struct FrameView<'a> {
    pub(crate) from: (NodeId, &'a str),
    pub(crate) to: (NodeId, &'a str),
    pub(crate) kind: &'static str,
    /// The link and the kind, for choices.
    pub(crate) actor: u64,
    /// Which of the frames of its kind on the link.
    pub(crate) number: u64,
}

/// An operation, as rules see it.
#[derive(Clone, Copy)]
pub(crate) struct OperationView<'a> {
    pub(crate) node: &'a str,
    pub(crate) operation: Operation,
    pub(crate) key: &'a str,
    /// The node, the operation and the key, for choices.
    pub(crate) actor: u64,
    /// Which of the same operations of the node on the key.
    pub(crate) number: u64,
}

/// An operation on a disk, as rules see it.
#[derive(Clone, Copy)]
pub(crate) struct DiskView<'a> {
    pub(crate) node: &'a str,
    pub(crate) operation: DiskOperation,
    pub(crate) name: &'a str,
    /// The node, for choices.
    pub(crate) actor: u64,
}

/// An operation on a disk.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum DiskOperation {
    Read,
    Write,
    Other,
}

/// A call to a system outside the cluster, as rules see it.
#[derive(Clone, Copy)]
pub(crate) struct CallView {
    pub(crate) system: &'static str,
    pub(crate) operation: &'static str,
    /// The system, for choices.
    pub(crate) actor: u64,
}

impl<'a> FrameView<'a> {
    /// Returns the same frame on the way back.
    pub(crate) fn back(self) -> Self {
        Self { from: self.to, to: self.from, ..self }
    }
}

impl Rules {
    pub(crate) fn add(&mut self, number: u64, name: FaultName, rule: Rule) {
        self.rules.insert(number, (name, rule));
    }

    pub(crate) fn remove(&mut self, number: u64) {
        self.rules.remove(&number);
    }

    pub(crate) fn clear(&mut self) {
        self.rules.clear();
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.rules.is_empty()
    }

    /// Returns whether a new connection between two nodes is impossible.
    pub(crate) fn is_cut(&self, from: NodeId, to: NodeId) -> bool {
        self.rules.values().any(|(_, rule)| match rule {
            Rule::Partition { from: left, to: right, .. } => {
                (left.contains(&from) && right.contains(&to))
                    || (left.contains(&to) && right.contains(&from))
            }
            Rule::Hold(_)
            | Rule::Slow(..)
            | Rule::Frame { .. }
            | Rule::StoreError { .. }
            | Rule::StoreSlow(..)
            | Rule::StoreCorruption { .. }
            | Rule::StaleListing(..)
            | Rule::CallError { .. }
            | Rule::Disk { .. } => false,
        })
    }

    /// Returns whether a frame must wait.
    pub(crate) fn is_held(&self, frame: FrameView<'_>) -> bool {
        self.rules.values().any(|(_, rule)| match rule {
            Rule::Partition { from, to, direction } => {
                let (sender, receiver) = (frame.from.0, frame.to.0);
                (from.contains(&sender) && to.contains(&receiver))
                    || (*direction == Direction::Both
                        && from.contains(&receiver)
                        && to.contains(&sender))
            }
            Rule::Hold(link) => link.matches(frame),
            Rule::Slow(..)
            | Rule::Frame { .. }
            | Rule::StoreError { .. }
            | Rule::StoreSlow(..)
            | Rule::StoreCorruption { .. }
            | Rule::StaleListing(..)
            | Rule::CallError { .. }
            | Rule::Disk { .. } => false,
        })
    }

    /// Returns how much longer a frame takes.
    pub(crate) fn delay_of(&self, frame: FrameView<'_>) -> Duration {
        let mut delay = Duration::ZERO;
        for (_, rule) in self.rules.values() {
            let Rule::Slow(link, extra) = rule else { continue };
            if link.matches(frame) {
                delay += *extra;
            }
        }
        delay
    }

    /// Decides what becomes of a frame.
    pub(crate) fn fate_of(&mut self, frame: FrameView<'_>, choices: &mut Choices) -> FrameFate {
        for (name, rule) in self.rules.values_mut() {
            let Rule::Frame { what, link, per_mille, left } = rule else { continue };
            let actor = actor_of([name.0, frame.actor]);
            if 0 < *left
                && link.matches(frame)
                && choices.per_mille("frame_fate", actor, frame.number, *per_mille)
            {
                *left -= 1;
                return *what;
            }
        }
        FrameFate::Deliver
    }

    /// Decides whether an operation fails, and how, and returns the fault that does it.
    pub(crate) fn failure_of(
        &mut self,
        view: OperationView<'_>,
        choices: &mut Choices,
    ) -> Option<(FaultName, Effect)> {
        for (name, rule) in self.rules.values_mut() {
            let Rule::StoreError { store, effect, per_mille, left } = rule else { continue };
            let actor = actor_of([name.0, view.actor]);
            if 0 < *left
                && store.matches(view)
                && choices.per_mille("store_fate", actor, view.number, *per_mille)
            {
                *left -= 1;
                return Some((*name, *effect));
            }
        }
        None
    }

    /// Decides whether a call fails, and how.
    pub(crate) fn failure_of_call(
        &mut self,
        view: CallView,
        choices: &mut Choices,
    ) -> Option<Effect> {
        for (name, rule) in self.rules.values_mut() {
            let Rule::CallError { call, effect, per_mille, left } = rule else { continue };
            let actor = actor_of([name.0, view.actor]);
            if 0 < *left
                && is_named(&call.system, view.system)
                && is_named(&call.operation, view.operation)
                && choices.next_per_mille("call_fate", actor, *per_mille)
            {
                *left -= 1;
                return Some(*effect);
            }
        }
        None
    }

    /// Returns how much longer an operation takes.
    pub(crate) fn store_delay_of(&self, view: OperationView<'_>) -> Duration {
        let mut delay = Duration::ZERO;
        for (_, rule) in self.rules.values() {
            let Rule::StoreSlow(store, extra) = rule else { continue };
            if store.matches(view) {
                delay += *extra;
            }
        }
        delay
    }
}

impl Rules {
    /// Decides whether a read of the object store yields a changed byte.
    pub(crate) fn is_corrupted(&mut self, view: OperationView<'_>, choices: &mut Choices) -> bool {
        self.rules.values_mut().any(|(name, rule)| {
            let Rule::StoreCorruption { store, per_mille, left } = rule else { return false };
            let actor = actor_of([name.0, view.actor]);
            let strikes = 0 < *left
                && view.operation == Operation::Get
                && store.matches(view)
                && choices.per_mille("store_corruption", actor, view.number, *per_mille);
            *left -= u32::from(strikes);
            strikes
        })
    }

    /// Returns for how long a listing does not show what others stored.
    pub(crate) fn staleness_of(&self, view: OperationView<'_>) -> Duration {
        let mut longest = Duration::ZERO;
        for (_, rule) in self.rules.values() {
            let Rule::StaleListing(store, age) = rule else { continue };
            if view.operation == Operation::List && store.matches(view) {
                longest = longest.max(*age);
            }
        }
        longest
    }

    /// Decides what a disk does to an operation.
    pub(crate) fn harm_of(
        &mut self,
        view: DiskView<'_>,
        choices: &mut Choices,
    ) -> Option<DiskHarm> {
        for (name, rule) in self.rules.values_mut() {
            let Rule::Disk { harm, disk, per_mille, left } = rule else { continue };
            let actor = actor_named(actor_of([name.0, view.actor]), view.name);
            if 0 < *left
                && harm.applies_to(view.operation)
                && disk.matches(view.node, view.name)
                && choices.next_per_mille("disk_fate", actor, *per_mille)
            {
                *left -= 1;
                return Some(*harm);
            }
        }
        None
    }
}

impl DiskHarm {
    fn applies_to(self, operation: DiskOperation) -> bool {
        match self {
            Self::Short | Self::Corrupt => operation == DiskOperation::Read,
            Self::Full => operation == DiskOperation::Write,
            Self::Error => true,
            // It strikes the file, and no operation.
            Self::Rot => false,
        }
    }
}

impl DiskSelector {
    pub(crate) fn matches(&self, node: &str, name: &str) -> bool {
        is_named(&self.node, node)
            && self.name_part.as_ref().is_none_or(|part| name.contains(part.as_str()))
    }
}

impl LinkSelector {
    pub(crate) fn matches(&self, frame: FrameView<'_>) -> bool {
        is_named(&self.from, frame.from.1)
            && is_named(&self.to, frame.to.1)
            && is_named(&self.kind, frame.kind)
    }
}

impl StoreSelector {
    fn matches(&self, view: OperationView<'_>) -> bool {
        is_named(&self.node, view.node)
            && self.operation.is_none_or(|operation| operation == view.operation)
            && self.key_part.as_ref().is_none_or(|part| view.key.contains(part.as_str()))
    }
}

fn is_named(selected: &Option<String>, name: &str) -> bool {
    selected.as_deref().is_none_or(|selected| selected == name)
}
