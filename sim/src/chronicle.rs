//! A chronicle: what happened in a run, from its beginning to its end, for those who tell of it.
//!
//! It is kept on request and changes nothing: it makes no choices and is not part of the hash. It
//! holds values and not words, so that a layer above can say them in its own.

use std::{sync::Arc, time::Duration};

use floodmark_platform::Observation;

use crate::{DiskFate, Effect, Fault, FrameFate, Operation};

/// Happenings after which a chronicle ends, so that a livelock does not fill the memory.
const LENGTH_MAX: usize = 1_000_000;

/// What happened in a run, in order.
#[derive(Clone, Debug, Default)]
pub struct Chronicle(pub Vec<Happening>);

/// One thing that happened.
#[derive(Clone, Debug)]
pub struct Happening {
    /// Virtual time.
    pub at: Duration,
    /// The node it happened on, or that did it; none for faults.
    pub node: Option<Arc<str>>,
    /// What happened.
    pub what: What,
}

/// Names a frame of a run: its connection, and which frame of that.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct FrameId {
    /// Names the connection's direction.
    pub link: u64,
    /// Which frame, from 0. One that comes twice counts twice.
    pub number: u64,
}

/// What can happen.
#[derive(Clone, Debug)]
#[expect(missing_docs, reason = "the fields are what the variant's sentence names")]
pub enum What {
    /// The node said something.
    Observed(Arc<dyn Observation>),
    /// The node died.
    Crashed,
    /// The node started again.
    Restarted { disk: DiskFate },
    /// The node fell asleep.
    Paused,
    /// The node woke up.
    Resumed,
    /// A task of the node panicked.
    Panicked { task: String, message: String },
    /// A fault struck. Faults count from 1, in the order of the plan.
    FaultBegan { number: u64, fault: Fault },
    /// A fault was over.
    FaultEnded { number: u64 },
    /// All faults were over, and none followed.
    Healed,
    /// The node sent a frame, and this became of it.
    Sent { frame: FrameId, kind: &'static str, to: Arc<str>, fate: FrameFate },
    /// A frame arrived on the node.
    Arrived { frame: FrameId, kind: &'static str, from: Arc<str> },
    /// An operation of the node on the object store failed, or it cannot know.
    StoreFailed { operation: Operation, key: String, effect: Effect },
    /// The node changed an object: wrote or removed it.
    StoreChanged { operation: Operation, key: String },
}

/// A chronicle that is being written.
pub(crate) struct Chronicler {
    quiet_kinds: &'static [&'static str],
    chronicle: Chronicle,
}

impl Chronicler {
    /// Frames of `quiet_kinds` are left out unless a fault strikes them.
    pub(crate) fn new(quiet_kinds: &'static [&'static str]) -> Self {
        Self { quiet_kinds, chronicle: Chronicle::default() }
    }

    pub(crate) fn is_quiet(&self, kind: &str) -> bool {
        self.quiet_kinds.contains(&kind)
    }

    pub(crate) fn add(&mut self, happening: Happening) {
        if self.chronicle.0.len() < LENGTH_MAX {
            self.chronicle.0.push(happening);
        }
    }

    pub(crate) fn finish(self) -> Chronicle {
        self.chronicle
    }
}
