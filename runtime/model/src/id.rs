//! Names of the things a job consists of.
//!
//! Each is a type of its own, so that two ids of different kinds cannot be confused or compared.

use std::fmt;

use serde::{Deserialize, Serialize};

/// A vertex of the job graph. Valid within one build of a job; state is found by uid instead.
///
/// # Examples
///
/// ```
/// # use floodmark_model as floodmark;
/// use floodmark::VertexId;
///
/// assert_eq!(VertexId(2).to_string(), "vertex 2");
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct VertexId(pub u32);

/// An edge of the job graph.
///
/// # Examples
///
/// ```
/// # use floodmark_model as floodmark;
/// use floodmark::{ChannelId, EdgeId};
///
/// // From the first subtask of the sender to the second of the receiver.
/// let channel = ChannelId { edge: EdgeId(3), from: 0, to: 1 };
/// assert_eq!(channel.edge, EdgeId(3));
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct EdgeId(pub u32);

/// One parallel instance of a vertex.
///
/// # Examples
///
/// ```
/// # use floodmark_model as floodmark;
/// use floodmark::{SubtaskId, VertexId};
///
/// let second = SubtaskId { vertex: VertexId(0), index: 1 };
/// assert_eq!(second.to_string(), "subtask 0.1");
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[doc(alias = "ExecutionVertex")]
pub struct SubtaskId {
    /// Of which vertex.
    pub vertex: VertexId,
    /// Which instance, from 0.
    pub index: u16,
}

/// An ordered lane from one subtask to one subtask.
///
/// # Examples
///
/// ```
/// # use floodmark_model as floodmark;
/// use floodmark::{ChannelId, EdgeId};
///
/// let channel = ChannelId { edge: EdgeId(3), from: 0, to: 1 };
/// assert_eq!(channel.to_string(), "channel 3:0→1");
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct ChannelId {
    /// The edge it is part of.
    pub edge: EdgeId,
    /// Index of the sending subtask.
    pub from: u16,
    /// Index of the receiving subtask.
    pub to: u16,
}

/// A checkpoint of a job. Later checkpoints have larger ids, also across failures, and no id is ever
/// used twice: each term counts in a range of its own, because a coordinator cannot know how far a
/// predecessor came that left nothing behind.
///
/// # Examples
///
/// ```
/// # use floodmark_model as floodmark;
/// use floodmark::{CheckpointId, Term};
///
/// let (first, later) = (CheckpointId::first_of(Term(1)), CheckpointId::first_of(Term(2)));
/// assert!(first < first.next() && first.next() < later);
/// assert_eq!(later.to_string(), "checkpoint 2.1");
/// ```
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize,
)]
pub struct CheckpointId(pub u64);

/// One reign of a coordinator. A higher term fences every lower one.
///
/// # Examples
///
/// ```
/// # use floodmark_model as floodmark;
/// use floodmark::Term;
///
/// assert!(Term(1) < Term(2), "the higher one rules");
/// ```
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize,
)]
pub struct Term(pub u64);

/// One execution of a whole job; a failover begins the next. Ordered by term, then number.
///
/// # Examples
///
/// ```
/// # use floodmark_model as floodmark;
/// use floodmark::{Attempt, Term};
///
/// let before = Attempt { term: Term(1), number: 7 };
/// let after = Attempt { term: Term(2), number: 1 };
/// assert!(before < after);
/// assert_eq!(after.to_string(), "attempt 2.1");
/// ```
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize,
)]
pub struct Attempt {
    /// The reign that started it.
    pub term: Term,
    /// Which execution of that reign, from 1.
    pub number: u32,
}

/// A worker process. A restarted process has a new id.
///
/// # Examples
///
/// ```
/// # use floodmark_model as floodmark;
/// use floodmark::WorkerId;
///
/// assert_eq!(WorkerId(0xbeef).to_string(), "worker 000000000000beef");
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[doc(alias = "TaskManager")]
pub struct WorkerId(pub u64);

impl CheckpointId {
    /// Ids of one term: enough for a century of checkpoints every second.
    const PER_TERM: u64 = 1 << 32;

    /// Returns the first id of a term: 1 in the first one.
    pub fn first_of(term: Term) -> Self {
        assert!(0 < term.0, "terms count from 1");
        Self((term.0 - 1) * Self::PER_TERM + 1)
    }

    /// Returns the id after this one.
    #[must_use]
    pub fn next(self) -> Self {
        Self(self.0 + 1)
    }
}

impl fmt::Display for VertexId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "vertex {}", self.0)
    }
}

impl fmt::Display for SubtaskId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "subtask {}.{}", self.vertex.0, self.index)
    }
}

impl fmt::Display for ChannelId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "channel {}:{}→{}", self.edge.0, self.from, self.to)
    }
}

impl fmt::Display for CheckpointId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (self.0 / Self::PER_TERM, self.0 % Self::PER_TERM) {
            (0, number) => write!(f, "checkpoint {number}"),
            (earlier_terms, number) => write!(f, "checkpoint {}.{number}", earlier_terms + 1),
        }
    }
}

impl fmt::Display for Term {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "term {}", self.0)
    }
}

impl fmt::Display for Attempt {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "attempt {}.{}", self.term.0, self.number)
    }
}

impl fmt::Display for WorkerId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "worker {:016x}", self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_checkpoint_is_called_by_its_term_and_number() {
        let first = CheckpointId::first_of(Term(1));
        assert_eq!(first.next().to_string(), "checkpoint 2");
        let third_term = CheckpointId::first_of(Term(3));
        assert_eq!(third_term.to_string(), "checkpoint 3.1");
        assert!(first < third_term);
    }
}
