//! Faults, as data: what goes wrong, and when.

use std::{fmt, time::Duration};

use serde::{Deserialize, Serialize};

use crate::DiskFate;

/// All faults of a run.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct FaultPlan(pub Vec<PlannedFault>);

/// One fault and its moment.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PlannedFault {
    /// When it happens.
    pub when: When,
    /// What happens.
    pub what: Fault,
}

/// The moment of a fault.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum When {
    /// At this virtual time.
    At(Duration),
    /// This long after the n-th observation of a kind.
    After {
        /// Which kind.
        event: EventSelector,
        /// Which one, from 1, counted over all nodes that the selector admits.
        occurrence: u32,
        /// How long after it.
        delay: Duration,
    },
}

/// Observations of nodes. What is not named matches everything but the label.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct EventSelector {
    /// What happened.
    pub label: String,
    /// The node that says so.
    pub node: Option<String>,
    /// Numbers that the observation must have, by name: `("checkpoint", 3)`.
    pub fields: Vec<(String, u64)>,
}

/// Frames between nodes. What is not named matches everything.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct LinkSelector {
    /// The sending node.
    pub from: Option<String>,
    /// The receiving node.
    pub to: Option<String>,
    /// The kind of the frame.
    pub kind: Option<String>,
}

/// Operations on the object store. What is not named matches everything.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct StoreSelector {
    /// The node that asks.
    pub node: Option<String>,
    /// What it asks for.
    pub operation: Option<Operation>,
    /// What the key contains.
    pub key_part: Option<String>,
}

/// Calls to systems outside the cluster. What is not named matches everything.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct CallSelector {
    /// Who is called.
    pub system: Option<String>,
    /// What is asked for.
    pub operation: Option<String>,
}

/// An operation on the object store.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Operation {
    /// A conditional put.
    PutIfAbsent,
    /// A put.
    Put,
    /// A read, of a whole object or a part.
    Get,
    /// A listing.
    List,
    /// A removal.
    Delete,
}

/// Files on the disks of nodes. What is not named matches everything.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct DiskSelector {
    /// The node whose disk it is.
    pub node: Option<String>,
    /// What the file's name contains.
    pub name_part: Option<String>,
}

/// Which way a partition cuts.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Direction {
    /// Nothing passes.
    Both,
    /// Only the way back is open.
    OneWay,
}

/// What a failed operation has done.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Effect {
    /// Nothing, and the caller is told so.
    Before,
    /// One of the three that follow.
    InDoubt,
    /// What it should, but the answer is lost: the caller is told that it is in doubt.
    After,
    /// Nothing, but the caller is told that it is in doubt.
    Never,
    /// Nothing yet: it does what it should long after the caller was told that it is in doubt.
    Later,
}

/// What can go wrong.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[expect(missing_docs, reason = "the fields are what the variant's sentence names")]
pub enum Fault {
    /// A process dies, and starts again after a while, or only when everything heals.
    Crash { node: String, down_for: Option<Duration>, disk: DiskFate },
    /// A process does nothing for a while, and does not notice.
    Pause { node: String, lasts: Duration },
    /// Nodes cannot reach each other. Frames wait, as TCP would let them.
    Partition { from: Vec<String>, to: Vec<String>, direction: Direction, lasts: Duration },
    /// Frames wait, and those behind them.
    Clog { link: LinkSelector, lasts: Duration },
    /// Frames take longer.
    Slow { link: LinkSelector, extra: Duration, lasts: Duration },
    /// Frames vanish, at most `limit` of them.
    Lose { link: LinkSelector, per_mille: u16, limit: u32, lasts: Duration },
    /// Frames come twice, at most `limit` of them.
    Duplicate { link: LinkSelector, per_mille: u16, limit: u32, lasts: Duration },
    /// Frames are overtaken by those behind them, at most `limit` of them.
    Reorder { link: LinkSelector, per_mille: u16, limit: u32, lasts: Duration },
    /// Connections break.
    Reset { link: LinkSelector },
    /// A clock's date jumps, forwards or backwards.
    Jump { node: String, offset_ms: i64 },
    /// A clock goes too fast or too slow from now on.
    Drift { node: String, ppm: i32 },
    /// Operations on the object store fail, at most `limit` of them.
    StoreError { store: StoreSelector, effect: Effect, per_mille: u16, limit: u32, lasts: Duration },
    /// Calls to systems outside the cluster fail, at most `limit` of them.
    CallError { call: CallSelector, effect: Effect, per_mille: u16, limit: u32, lasts: Duration },
    /// Operations on the object store take longer.
    StoreSlow { store: StoreSelector, extra: Duration, lasts: Duration },
    /// Reads of the object store yield content with one byte changed, at most `limit` of them.
    StoreCorruption { store: StoreSelector, per_mille: u16, limit: u32, lasts: Duration },
    /// Listings do not show what other nodes stored in the time `age` before.
    StaleListing { store: StoreSelector, age: Duration, lasts: Duration },
    /// Reads of a disk yield fewer bytes than asked for, at most `limit` of them.
    ShortRead { disk: DiskSelector, per_mille: u16, limit: u32, lasts: Duration },
    /// Reads of a disk yield bytes of which one is changed, at most `limit` of them.
    CorruptRead { disk: DiskSelector, per_mille: u16, limit: u32, lasts: Duration },
    /// Operations on a disk fail, at most `limit` of them.
    DiskError { disk: DiskSelector, per_mille: u16, limit: u32, lasts: Duration },
    /// A disk has no room: writes fail half-way.
    DiskFull { disk: DiskSelector, lasts: Duration },
    /// One byte of one file changes on the disk.
    BitRot { disk: DiskSelector },
}

impl PlannedFault {
    /// Returns the fault without its numbers: what is left when it is made smaller.
    pub(crate) fn bare(&self) -> Self {
        let when = match self.when.clone() {
            When::At(_) => When::At(Duration::ZERO),
            When::After { event, occurrence, .. } => {
                When::After { event, occurrence, delay: Duration::ZERO }
            }
        };
        let mut what = self.what.clone();
        match &mut what {
            Fault::Crash { down_for, .. } => *down_for = None,
            Fault::Slow { extra, lasts, .. } | Fault::StoreSlow { extra, lasts, .. } => {
                (*extra, *lasts) = (Duration::ZERO, Duration::ZERO);
            }
            Fault::Lose { per_mille, limit, lasts, .. }
            | Fault::Duplicate { per_mille, limit, lasts, .. }
            | Fault::Reorder { per_mille, limit, lasts, .. }
            | Fault::StoreError { per_mille, limit, lasts, .. }
            | Fault::CallError { per_mille, limit, lasts, .. }
            | Fault::StoreCorruption { per_mille, limit, lasts, .. }
            | Fault::ShortRead { per_mille, limit, lasts, .. }
            | Fault::CorruptRead { per_mille, limit, lasts, .. }
            | Fault::DiskError { per_mille, limit, lasts, .. } => {
                (*per_mille, *limit, *lasts) = (0, 0, Duration::ZERO);
            }
            Fault::Pause { lasts, .. }
            | Fault::Partition { lasts, .. }
            | Fault::Clog { lasts, .. }
            | Fault::DiskFull { lasts, .. } => *lasts = Duration::ZERO,
            Fault::Jump { offset_ms, .. } => *offset_ms = 0,
            Fault::Drift { ppm, .. } => *ppm = 0,
            Fault::StaleListing { age, lasts, .. } => {
                (*age, *lasts) = (Duration::ZERO, Duration::ZERO);
            }
            Fault::Reset { .. } | Fault::BitRot { .. } => {}
        }
        Self { when, what }
    }
}

impl fmt::Display for When {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::At(time) => write!(f, "at {time:?}"),
            Self::After { event, occurrence, delay } => {
                write!(f, "{delay:?} after {event} number {occurrence}")
            }
        }
    }
}

impl fmt::Display for EventSelector {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.label)?;
        for (name, value) in &self.fields {
            write!(f, " of {name} {value}")?;
        }
        match &self.node {
            Some(node) => write!(f, " on {node}"),
            None => Ok(()),
        }
    }
}

impl fmt::Display for Effect {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Before => "fail",
            Self::InDoubt => "end in doubt",
            Self::After => "work, and end in doubt",
            Self::Never => "have no effect, and end in doubt",
            Self::Later => "end in doubt, and work later",
        })
    }
}

impl fmt::Display for PlannedFault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.when, self.what)
    }
}

impl fmt::Display for LinkSelector {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let any = "anyone".to_owned();
        let kind = self.kind.as_deref().unwrap_or("frames");
        let (from, to) = (self.from.as_ref().unwrap_or(&any), self.to.as_ref().unwrap_or(&any));
        write!(f, "{kind} from {from} to {to}")
    }
}

impl fmt::Display for StoreSelector {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.operation {
            Some(operation) => write!(f, "{operation:?}")?,
            None => f.write_str("any operation")?,
        }
        if let Some(part) = &self.key_part {
            write!(f, " of keys with {part:?}")?;
        }
        write!(f, " by {}", self.node.as_deref().unwrap_or("anyone"))
    }
}

impl fmt::Display for DiskSelector {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let node = self.node.as_deref().unwrap_or("anyone");
        match &self.name_part {
            Some(part) => write!(f, "files with {part:?} on the disk of {node}"),
            None => write!(f, "the disk of {node}"),
        }
    }
}

impl fmt::Display for CallSelector {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let operation = self.operation.as_deref().unwrap_or("any");
        write!(f, "{operation} calls to {}", self.system.as_deref().unwrap_or("any system"))
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Crash { node, down_for: Some(down_for), disk } => {
                write!(f, "{node} crashes, and starts again after {down_for:?}, {disk}")
            }
            Self::Crash { node, down_for: None, .. } => write!(f, "{node} crashes and stays down"),
            Self::Pause { node, lasts } => write!(f, "{node} sleeps for {lasts:?}"),
            Self::Partition { from, to, direction, lasts } => {
                let way = if *direction == Direction::Both { "and" } else { "towards" };
                write!(f, "{} {way} {} are cut off for {lasts:?}", from.join(", "), to.join(", "))
            }
            Self::Clog { link, lasts } => write!(f, "{link} wait for {lasts:?}"),
            Self::Slow { link, extra, lasts } => {
                write!(f, "{link} take {extra:?} longer for {lasts:?}")
            }
            Self::Lose { link, per_mille, limit, lasts } => {
                write!(f, "{per_mille} ‰ of {link} vanish for {lasts:?}, at most {limit}")
            }
            Self::Duplicate { link, per_mille, limit, lasts } => {
                write!(f, "{per_mille} ‰ of {link} come twice for {lasts:?}, at most {limit}")
            }
            Self::Reorder { link, per_mille, limit, lasts } => {
                write!(f, "{per_mille} ‰ of {link} are overtaken for {lasts:?}, at most {limit}")
            }
            Self::Reset { link } => write!(f, "connections that carry {link} break"),
            Self::Jump { node, offset_ms } => {
                write!(f, "the clock of {node} jumps by {offset_ms} ms")
            }
            Self::Drift { node, ppm } => write!(f, "the clock of {node} drifts by {ppm} ppm"),
            Self::StoreError { store, effect, per_mille, limit, lasts } => {
                write!(f, "{per_mille} ‰ of {store} {effect} for {lasts:?}, at most {limit}")
            }
            Self::CallError { call, effect, per_mille, limit, lasts } => {
                write!(f, "{per_mille} ‰ of {call} {effect} for {lasts:?}, at most {limit}")
            }
            Self::StoreSlow { store, extra, lasts } => {
                write!(f, "{store} take {extra:?} longer for {lasts:?}")
            }
            Self::StoreCorruption { store, per_mille, limit, lasts } => {
                write!(
                    f,
                    "{per_mille} ‰ of {store} yield a changed byte for {lasts:?}, at most {limit}"
                )
            }
            Self::StaleListing { store, age, lasts } => {
                write!(f, "{store} do not show what others did in the last {age:?}, for {lasts:?}")
            }
            Self::ShortRead { disk, per_mille, limit, lasts } => {
                write!(
                    f,
                    "{per_mille} ‰ of reads of {disk} are short for {lasts:?}, at most {limit}"
                )
            }
            Self::CorruptRead { disk, per_mille, limit, lasts } => {
                write!(
                    f,
                    "{per_mille} ‰ of reads of {disk} yield a changed byte for {lasts:?}, at most \
                     {limit}"
                )
            }
            Self::DiskError { disk, per_mille, limit, lasts } => {
                write!(
                    f,
                    "{per_mille} ‰ of operations on {disk} fail for {lasts:?}, at most {limit}"
                )
            }
            Self::DiskFull { disk, lasts } => write!(f, "{disk} has no room for {lasts:?}"),
            Self::BitRot { disk } => write!(f, "a byte changes on {disk}"),
        }
    }
}
