//! The queue of requests: which may be issued, and which results may be passed on.
//!
//! Records wait here from when they come until their result is passed on, and what is said between them
//! (watermarks, idleness, the end of a split) waits with them. The queue only decides; issuing requests
//! and polling them is the work of the operator.
//!
//! ```text
//! ordered     a b |w| c d       b is passed on after a, w after both
//! unordered   a b |w| c d       a and b in any order, then w, then c and d in any order
//! ```
//!
//! # Invariants
//!
//! - At most so many requests are under way at once as the capacity says.
//! - Requests are issued in the order in which their records came.
//! - A mark is passed on after every result of a record before it, and before those of records behind.
//! - A record is part of the state until its result is passed on.
//!
//! # Sources
//!
//! Flink's `OrderedStreamElementQueue` and `UnorderedStreamElementQueue`, whose segments between two
//! watermarks these are. There, a watermark takes room of its own.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use floodmark_model::Timestamp;
use serde::{Deserialize, Serialize};

use crate::Load;

/// Marks that may wait at once. Where hardly a record comes between them, they are taken for a load.
const MARK_COUNT_MAX: usize = 1_024;

/// In which order results leave.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum ResultOrder {
    /// That of the records.
    Ordered,
    /// As they come, but within two marks.
    Unordered,
}

/// What is said between records, and must stay between their results.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) enum Mark {
    /// Event time advances, or those downstream are to wait for it again.
    Watermark(Timestamp),
    /// Nothing will come for a while.
    Idle,
    /// A split of the source has ended.
    SplitEnded(u32),
    /// A split of the source waits for others.
    SplitWaiting(u32),
    /// It waits no longer.
    SplitBegun(u32),
}

/// A record that came in.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Taken<T> {
    pub(super) timestamp: Timestamp,
    /// The split of the source that it comes from, if that is known.
    pub(super) split: Option<u32>,
    pub(super) value: T,
}

/// What waits, as a snapshot keeps it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) enum Queued<T> {
    Record(Taken<T>),
    Mark(Mark),
}

/// What may be passed on.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Next<O> {
    /// The result of a record.
    Result {
        timestamp: Timestamp,
        split: Option<u32>,
        output: O,
    },
    Mark(Mark),
}

/// A record whose result was not passed on.
struct Waiting<T, O> {
    record: Taken<T>,
    /// The result, once it is there.
    output: Option<O>,
}

/// Requests in the order of their records.
pub(super) struct RequestQueue<T, O> {
    order: ResultOrder,
    /// Requests that may be under way at once.
    capacity: usize,
    /// By place in the input.
    records: BTreeMap<u64, Waiting<T, O>>,
    /// By place in the input, in order.
    marks: VecDeque<(u64, Mark)>,
    /// The place of what comes next.
    next: u64,
    /// The place from which on nothing was issued.
    issued_until: u64,
    under_way_count: usize,
    /// The places of results that were not passed on.
    done: BTreeSet<u64>,
}

impl<T: Clone, O> RequestQueue<T, O> {
    /// Creates an empty queue.
    pub(super) fn new(order: ResultOrder, capacity: usize) -> Self {
        assert!(0 < capacity, "at least one request may be under way");
        let (records, marks) = (BTreeMap::new(), VecDeque::new());
        let (next, issued_until, under_way_count, done) = (0, 0, 0, BTreeSet::new());
        Self { order, capacity, records, marks, next, issued_until, under_way_count, done }
    }

    /// Adds a record, for which a request is to be issued.
    pub(super) fn push(&mut self, record: Taken<T>) {
        self.records.insert(self.next, Waiting { record, output: None });
        self.next += 1;
    }

    /// Adds a mark behind all records.
    pub(super) fn push_mark(&mut self, mark: Mark) {
        self.marks.push_back((self.next, mark));
        self.next += 1;
    }

    /// Returns the place and a copy of the record whose request is to be issued next, if there is one
    /// and another may be under way.
    pub(super) fn issue(&mut self) -> Option<(u64, Taken<T>)> {
        if self.under_way_count == self.capacity {
            return None;
        }
        let (place, waiting) = self.records.range(self.issued_until..).next()?;
        assert!(waiting.output.is_none(), "a request has no result before it is issued");
        self.issued_until = place + 1;
        self.under_way_count += 1;
        Some((*place, waiting.record.clone()))
    }

    /// Records the result of the request at `place`.
    pub(super) fn on_done(&mut self, place: u64, output: O) {
        assert!(place < self.issued_until, "only what was issued has a result");
        let waiting = self.records.get_mut(&place).expect("a record waits for its result");
        assert!(waiting.output.is_none(), "a request has one result");
        waiting.output = Some(output);
        self.under_way_count -= 1;
        self.done.insert(place);
    }

    /// Returns the place of what may be passed on next, if there is anything.
    fn ready(&self) -> Option<u64> {
        let mark = self.marks.front().map(|(place, _)| *place);
        let Some((first, _)) = self.records.first_key_value() else { return mark };
        if let Some(mark) = mark.filter(|mark| mark < first) {
            return Some(mark);
        }
        let done = self.done.first().copied();
        done.filter(|done| match self.order {
            ResultOrder::Ordered => done == first,
            ResultOrder::Unordered => mark.is_none_or(|mark| *done < mark),
        })
    }

    /// Returns whether anything may be passed on.
    pub(super) fn is_ready(&self) -> bool {
        self.ready().is_some()
    }

    /// Takes out what may be passed on next.
    pub(super) fn pop(&mut self) -> Option<Next<O>> {
        let place = self.ready()?;
        let Some(Waiting { record, output }) = self.records.remove(&place) else {
            let (at, mark) = self.marks.pop_front().expect("what is no record is a mark");
            assert_eq!(at, place, "marks leave in their order");
            return Some(Next::Mark(mark));
        };
        self.done.remove(&place);
        let Taken { timestamp, split, .. } = record;
        Some(Next::Result { timestamp, split, output: output.expect("it is done") })
    }

    /// Returns how much there is.
    pub(super) fn load(&self) -> Load {
        if self.capacity <= self.records.len() || MARK_COUNT_MAX <= self.marks.len() {
            Load::Full
        } else if self.is_empty() {
            Load::None
        } else {
            Load::Some
        }
    }

    /// Returns whether nothing waits.
    pub(super) fn is_empty(&self) -> bool {
        self.records.is_empty() && self.marks.is_empty()
    }

    /// Returns a copy of everything that waits, in order.
    pub(super) fn queued(&self) -> Vec<Queued<T>> {
        let mut marks = self.marks.iter().peekable();
        let mut queued = Vec::with_capacity(self.records.len() + self.marks.len());
        for (place, Waiting { record, .. }) in &self.records {
            while let Some((_, mark)) = marks.next_if(|(at, _)| at < place) {
                queued.push(Queued::Mark(*mark));
            }
            queued.push(Queued::Record(record.clone()));
        }
        queued.extend(marks.map(|(_, mark)| Queued::Mark(*mark)));
        queued
    }
}

#[cfg(test)]
mod tests;
