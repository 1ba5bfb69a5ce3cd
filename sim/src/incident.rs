//! What faults did, for those who ask whether a fault has met its moment.

use std::sync::Arc;

use crate::{Effect, Operation};

/// Something that a fault did. A fault that found nothing to harm leaves no incident.
#[derive(Clone, Debug, PartialEq, Eq)]
#[expect(missing_docs, reason = "the fields are what the variant's sentence names")]
pub enum Incident {
    /// A process died.
    Crashed { node: Arc<str> },
    /// A process that had died started again.
    Restarted { node: Arc<str> },
    /// A process stopped in the middle of what it did.
    FellAsleep { node: Arc<str> },
    /// A process that had stopped goes on.
    Woke { node: Arc<str> },
    /// The date of a clock jumped.
    ClockJumped { node: Arc<str> },
    /// A frame did not arrive as it was sent.
    FrameStruck { from: Arc<str>, to: Arc<str>, kind: &'static str, fate: FrameFate },
    /// A frame met a rule that makes it wait, or a partition.
    FrameHeld { from: Arc<str>, to: Arc<str>, kind: &'static str },
    /// An operation on the object store did not end well.
    OperationStruck { node: Arc<str>, operation: Operation, key: String, effect: Effect },
    /// A call to a system outside the cluster did not end well.
    CallStruck { system: &'static str, operation: &'static str, effect: Effect },
    /// An operation on the object store took longer.
    OperationSlowed { node: Arc<str>, operation: Operation, key: String },
    /// A read of the object store yielded what is not there.
    ObjectCorrupted { node: Arc<str>, key: String },
    /// A listing did not show what was there already.
    ListingStale { node: Arc<str>, prefix: String },
    /// An operation on a disk did not end well, or a file changed by itself.
    DiskStruck { node: Arc<str>, name: String, harm: DiskHarm },
}

impl Incident {
    /// Returns the name of what happened, the same for every occurrence.
    pub fn label(&self) -> &'static str {
        match self {
            Self::Crashed { .. } => "crashed",
            Self::Restarted { .. } => "restarted",
            Self::FellAsleep { .. } => "fell_asleep",
            Self::Woke { .. } => "woke",
            Self::ClockJumped { .. } => "clock_jumped",
            Self::FrameStruck { .. } => "frame_struck",
            Self::FrameHeld { .. } => "frame_held",
            Self::OperationStruck { .. } => "operation_struck",
            Self::CallStruck { .. } => "call_struck",
            Self::OperationSlowed { .. } => "operation_slowed",
            Self::ObjectCorrupted { .. } => "object_corrupted",
            Self::ListingStale { .. } => "listing_stale",
            Self::DiskStruck { .. } => "disk_struck",
        }
    }

    /// Returns the name of the node that it happened to: of a frame its sender, of a
    /// call the system that was called.
    pub fn node(&self) -> &str {
        match self {
            Self::Crashed { node }
            | Self::Restarted { node }
            | Self::FellAsleep { node }
            | Self::Woke { node }
            | Self::ClockJumped { node }
            | Self::FrameStruck { from: node, .. }
            | Self::FrameHeld { from: node, .. }
            | Self::OperationStruck { node, .. }
            | Self::OperationSlowed { node, .. }
            | Self::ObjectCorrupted { node, .. }
            | Self::ListingStale { node, .. }
            | Self::DiskStruck { node, .. } => node,
            Self::CallStruck { system, .. } => system,
        }
    }
}

/// What becomes of a frame that a rule strikes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum FrameFate {
    /// It arrives.
    Deliver,
    /// It does not arrive.
    Lose,
    /// It arrives twice.
    Duplicate,
    /// Those behind it overtake it.
    Reorder,
}

/// What a disk does to an operation or to a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum DiskHarm {
    /// A read yields fewer bytes than asked for.
    Short,
    /// A read yields a changed byte.
    Corrupt,
    /// The operation fails and has no effect.
    Error,
    /// A write fails half-way, for lack of room.
    Full,
    /// A byte of the file is changed.
    Rot,
}

/// Incidents that nobody has heard yet. Kept only if somebody listens.
#[derive(Debug, Default)]
pub(crate) struct Incidents {
    is_listened_to: bool,
    unheard: Vec<Incident>,
}

impl Incidents {
    pub(crate) fn begin(&mut self) {
        self.is_listened_to = true;
    }

    pub(crate) fn add(&mut self, incident: Incident) {
        if self.is_listened_to {
            self.unheard.push(incident);
        }
    }

    pub(crate) fn take(&mut self) -> Vec<Incident> {
        std::mem::take(&mut self.unheard)
    }
}
