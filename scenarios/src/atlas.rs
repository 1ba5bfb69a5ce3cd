//! The atlas of faults: what the runtime survives, what it survives once it is over, and what nobody
//! does. `docs/fault-atlas.md` is the same for readers, with the guarantees.
//!
//! A new variant of [`Fault`] does not compile before it has a [`Kind`], and a kind not before it has
//! a [`Class`] and a place in the swarm.

use std::fmt;

use floodmark_sim::{Fault, FaultPlan, Operation, StoreSelector};

/// The fastest and the slowest clock that is injected differ from the true one by this much. Nothing
/// heals a clock, and the timeouts of a job are multiples of its other times.
const DRIFT_MAX_PPM: u32 = 200_000;

/// What can go wrong, without its numbers.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[expect(missing_docs, reason = "each is the variant of `Fault` of the same name")]
pub enum Kind {
    Crash,
    Pause,
    Partition,
    Clog,
    Slow,
    Lose,
    Duplicate,
    Reorder,
    Reset,
    Jump,
    Drift,
    StoreError,
    CallError,
    StoreSlow,
    StoreCorruption,
    StaleListing,
    ShortRead,
    CorruptRead,
    DiskError,
    DiskFull,
    BitRot,
}

/// What the runtime makes of a fault, in the forms in which it is injected.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Class {
    /// The job goes on, and everything it does is right.
    Tolerated,
    /// Everything the job does is right, but it may stand still, or begin again and again, until the
    /// fault is over.
    SafeMeanwhile,
}

/// Something that no runtime of this kind survives, or that this one is known not to survive.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limit {
    /// What goes wrong.
    pub what: &'static str,
    /// Why nothing can be promised then.
    pub reason: &'static str,
}

/// Why a plan of faults must not be held against the runtime.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Objection {
    /// The fault of the plan, in words.
    pub fault: String,
    /// What it may do.
    pub limit: &'static Limit,
}

/// A listing of the log that does not show what was stored before it.
pub const STALE_LOG: Limit = Limit {
    what: "a stale listing of the job's log",
    reason: "a listing of the log must show what was stored before it: retention empties old slots, so \
             a candidate that is shown too little could rule from an emptied slot, behind the newest \
             manifest",
};

/// Corrupt bytes in what a job reads from outside.
pub const CORRUPT_INPUT: Limit = Limit {
    what: "corrupt bytes in input files",
    reason: "input files are other people's and have no checksum: a changed byte is another input",
};

/// Corrupt bytes in a part that is being committed.
pub const CORRUPT_STAGED_PART: Limit = Limit {
    what: "a corrupt read of a staged part",
    reason: "the file sink commits a part by copying it, and keeps no checksum of what it staged: a \
             changed byte becomes part of the result (a known limit)",
};

/// A clock that is too far off.
pub const WILD_CLOCK: Limit = Limit {
    what: "a clock that is off by more than a fifth",
    reason: "nothing sets a clock right again, and on a clock that is fast enough every timeout is \
             shorter than what it waits for: nothing wrong happens, and nothing else either",
};

/// What is never injected. The first four are forms of a [`Fault`], which [`objection`] finds; of the
/// others no plan can speak, or they lie in the job and its options.
pub const LIMITS: [&Limit; 16] = [
    &STALE_LOG,
    &CORRUPT_INPUT,
    &CORRUPT_STAGED_PART,
    &WILD_CLOCK,
    &Limit {
        what: "loss of an acknowledged object of the store",
        reason: "a snapshot or manifest has one home, the object store; what it acknowledged and lost \
                 is nowhere else, and local copies are copies of the newest snapshots only",
    },
    &Limit {
        what: "corruption of an object at rest in the store",
        reason: "a checksum notices it, and nobody has the right bytes: the checkpoint is refused, \
                 again and again, because an older one would repeat what sinks have committed",
    },
    &Limit {
        what: "a put that replaces what put_if_absent should have kept",
        reason: "one winner per slot of the log is what makes a coordinator the only one; a store \
                 without conditional puts elects two",
    },
    &Limit {
        what: "loss of the source's retained data",
        reason: "what was read after the last checkpoint must be read again, and only the source has \
                 it",
    },
    &Limit {
        what: "a source that gives other records for the same position",
        reason: "the second reading would disagree with what sinks committed from the first",
    },
    &Limit {
        what: "a permanently unreadable newest manifest",
        reason: "what sinks have committed stands in it, so nobody may rule without it; a coordinator \
                 that cannot read it stops, and is safe, and never live",
    },
    &Limit {
        what: "checkpoint storage that is down for ever",
        reason: "without a manifest nothing is ever committed: the job is safe, and never live",
    },
    &Limit {
        what: "a transaction timeout shorter than the downtime",
        reason: "the external system aborts prepared transactions whose checkpoint is complete, and \
                 the sources have gone on: the epoch is lost",
    },
    &Limit {
        what: "a heartbeat timeout below the network's latency",
        reason: "every worker is taken for dead as soon as it is deployed: only liveness is lost",
    },
    &Limit {
        what: "a write in doubt that lands after the job has ended",
        reason: "the coordinator looks once more for what came late and then is gone; what lands after \
                 that is a file that nobody refers to, until a coordinator starts again (this happens, \
                 and is not held against a run)",
    },
    &Limit {
        what: "another job that writes below the same storage under the same name",
        reason: "two jobs with one log are one job to the runtime, with two codes",
    },
    &Limit {
        what: "user code that keeps state outside of state, reads clocks, or has effects",
        reason: "a restart begins from the checkpoint and processes records again: what is not in the \
                 checkpoint is not reset, and what is not a sink happens again",
    },
];

impl Kind {
    /// All kinds.
    pub const ALL: [Self; Self::BitRot as usize + 1] = [
        Self::Crash,
        Self::Pause,
        Self::Partition,
        Self::Clog,
        Self::Slow,
        Self::Lose,
        Self::Duplicate,
        Self::Reorder,
        Self::Reset,
        Self::Jump,
        Self::Drift,
        Self::StoreError,
        Self::CallError,
        Self::StoreSlow,
        Self::StoreCorruption,
        Self::StaleListing,
        Self::ShortRead,
        Self::CorruptRead,
        Self::DiskError,
        Self::DiskFull,
        Self::BitRot,
    ];

    /// Returns the kind of a fault.
    pub fn of(fault: &Fault) -> Self {
        match fault {
            Fault::Crash { .. } => Self::Crash,
            Fault::Pause { .. } => Self::Pause,
            Fault::Partition { .. } => Self::Partition,
            Fault::Clog { .. } => Self::Clog,
            Fault::Slow { .. } => Self::Slow,
            Fault::Lose { .. } => Self::Lose,
            Fault::Duplicate { .. } => Self::Duplicate,
            Fault::Reorder { .. } => Self::Reorder,
            Fault::Reset { .. } => Self::Reset,
            Fault::Jump { .. } => Self::Jump,
            Fault::Drift { .. } => Self::Drift,
            Fault::StoreError { .. } => Self::StoreError,
            Fault::CallError { .. } => Self::CallError,
            Fault::StoreSlow { .. } => Self::StoreSlow,
            Fault::StoreCorruption { .. } => Self::StoreCorruption,
            Fault::StaleListing { .. } => Self::StaleListing,
            Fault::ShortRead { .. } => Self::ShortRead,
            Fault::CorruptRead { .. } => Self::CorruptRead,
            Fault::DiskError { .. } => Self::DiskError,
            Fault::DiskFull { .. } => Self::DiskFull,
            Fault::BitRot { .. } => Self::BitRot,
        }
    }

    /// Returns what the runtime makes of it.
    pub fn class(self) -> Class {
        match self {
            // A repeated frame is dropped, dates decide nothing, a disk holds only second copies, and
            // a listing of anything but the log is asked for again.
            Self::Duplicate
            | Self::Jump
            | Self::Drift
            | Self::StaleListing
            | Self::ShortRead
            | Self::CorruptRead
            | Self::DiskError
            | Self::DiskFull
            | Self::BitRot => Class::Tolerated,
            Self::Crash
            | Self::Pause
            | Self::Partition
            | Self::Clog
            | Self::Slow
            | Self::Lose
            | Self::Reorder
            | Self::Reset
            | Self::StoreError
            | Self::CallError
            | Self::StoreSlow
            | Self::StoreCorruption => Class::SafeMeanwhile,
        }
    }
}

impl Class {
    /// Returns the class as the page has it.
    pub fn title(self) -> &'static str {
        match self {
            Self::Tolerated => "tolerated",
            Self::SafeMeanwhile => "safe meanwhile",
        }
    }
}

impl fmt::Display for Objection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { fault, limit: Limit { what, reason } } = self;
        write!(f, "{fault}: this may be {what}, which no run is asked to survive: {reason}")
    }
}

/// Returns the first fault of a plan that the runtime does not promise to survive.
pub fn objection(plan: &FaultPlan) -> Option<Objection> {
    plan.0.iter().find_map(|planned| {
        Some(Objection { limit: limit_of(&planned.what)?, fault: planned.to_string() })
    })
}

/// Returns what a fault may do that is never injected.
fn limit_of(fault: &Fault) -> Option<&'static Limit> {
    match Kind::of(fault) {
        Kind::StaleListing | Kind::StoreCorruption | Kind::Drift => {}
        Kind::Crash
        | Kind::Pause
        | Kind::Partition
        | Kind::Clog
        | Kind::Slow
        | Kind::Lose
        | Kind::Duplicate
        | Kind::Reorder
        | Kind::Reset
        | Kind::Jump
        | Kind::StoreError
        | Kind::CallError
        | Kind::StoreSlow
        | Kind::ShortRead
        | Kind::CorruptRead
        | Kind::DiskError
        | Kind::DiskFull
        | Kind::BitRot => return None,
    }
    if let Fault::StaleListing { store, .. } = fault
        && may_strike(store, Operation::List)
        && !is_within(store, &["/data", "/_staged"])
    {
        return Some(&STALE_LOG);
    }
    if let Fault::StoreCorruption { store, .. } = fault
        && may_strike(store, Operation::Get)
        && !is_within(store, &["/data", "/log"])
    {
        let is_output = is_within(store, &["output", "_staged"]);
        return Some(if is_output { &CORRUPT_STAGED_PART } else { &CORRUPT_INPUT });
    }
    if let Fault::Drift { ppm, .. } = fault
        && DRIFT_MAX_PPM < ppm.unsigned_abs()
    {
        return Some(&WILD_CLOCK);
    }
    None
}

/// Returns whether operations of a kind are selected.
fn may_strike(store: &StoreSelector, operation: Operation) -> bool {
    store.operation.is_none_or(|selected| selected == operation)
}

/// Returns whether every key that is selected has one of the parts.
fn is_within(store: &StoreSelector, parts: &[&str]) -> bool {
    let selected = store.key_part.as_deref().unwrap_or_default();
    parts.iter().any(|part| selected.contains(part))
}

#[cfg(test)]
mod tests;
