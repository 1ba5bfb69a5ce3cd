//! Where the records of a workload come from and where its rows go: a source and a sink like those
//! that users write.

use std::{
    collections::BTreeMap,
    marker::PhantomData,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    task::{Context, Poll},
};

use floodmark::{
    Attempt, Batch, BoxError, Data, Record, SinkContext, Source, SplitReader, TransactionId,
    TwoPhaseCommit, Work,
    platform::{BoxFuture, Machine},
};
use serde::{Deserialize, Serialize};

use super::{meter::Marks, tally::Tally};

/// Yields `make(i)` for every `i` below a count. Subtask `p` of `P` yields every `P`-th from the
/// `p`-th on.
pub(super) struct Made<T, F> {
    pub(super) count: u64,
    pub(super) make: F,
    /// Values that travel together.
    pub(super) batch_size: usize,
    /// Whether the last subtask yields them all, so that all others are elsewhere.
    pub(super) is_apart: bool,
    pub(super) marks: Arc<Marks>,
    pub(super) value: PhantomData<fn() -> T>,
}

impl<T, F: Clone> Clone for Made<T, F> {
    fn clone(&self) -> Self {
        let Self { count, make, batch_size, is_apart, marks, value } = self;
        let (make, marks) = (make.clone(), marks.clone());
        let (batch_size, is_apart) = (*batch_size, *is_apart);
        Self { count: *count, make, batch_size, is_apart, marks, value: *value }
    }
}

/// The values `next`, `next + step`, ….
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
pub(super) struct MadeSplit {
    next: u64,
    step: u64,
}

impl<T: Data, F> Source for Made<T, F>
where
    F: Fn(u64) -> T + Clone + Send + Sync + 'static,
{
    type Out = T;
    type Split = MadeSplit;

    fn splits(&self, _: &Machine, parallelism: u16) -> BoxFuture<Result<Vec<MadeSplit>, BoxError>> {
        let step = u64::from(parallelism);
        let split = |index| match self.is_apart {
            true if index + 1 == step => MadeSplit { next: 0, step: 1 },
            true => MadeSplit { next: self.count, step: 1 },
            false => MadeSplit { next: index, step },
        };
        let splits = (0..step).map(split).collect();
        Box::pin(async { Ok(splits) })
    }

    fn read(&self, _: &Machine, split: MadeSplit) -> Box<dyn SplitReader<Self>> {
        Box::new(MadeReader { source: self.clone(), split })
    }
}

struct MadeReader<T, F> {
    source: Made<T, F>,
    split: MadeSplit,
}

impl<T: Data, F> SplitReader<Made<T, F>> for MadeReader<T, F>
where
    F: Fn(u64) -> T + Clone + Send + Sync + 'static,
{
    fn poll_next(&mut self, _: &mut Context<'_>) -> Poll<Result<Option<Batch<T>>, BoxError>> {
        let Made { count, make, batch_size, marks, .. } = &self.source;
        let MadeSplit { next, step } = self.split;
        let left = count.saturating_sub(next).div_ceil(step);
        let len = left.min(*batch_size as u64);
        if len == 0 {
            return Poll::Ready(Ok(None));
        }
        marks.begin();
        if *count / 2 <= next {
            marks.half();
        }
        self.split.next = next + len * step;
        Poll::Ready(Ok(Some((0..len).map(|index| make(next + index * step).into()).collect())))
    }

    fn position(&self) -> MadeSplit {
        self.split
    }
}

/// The tallies that were committed, by transaction.
#[derive(Default)]
pub(super) struct Board(Mutex<BTreeMap<Transaction, Tally>>);

/// Attempt, subtask and sequence number of a transaction.
type Transaction = (Attempt, u16, u64);

impl Board {
    fn lock(&self) -> MutexGuard<'_, BTreeMap<Transaction, Tally>> {
        // The map is consistent between any two calls, so a panic elsewhere does not spoil it.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Returns the sum of all tallies.
    pub(super) fn total(&self) -> Tally {
        let mut total = Tally::default();
        self.lock().values().for_each(|tally| total += *tally);
        total
    }

    /// Returns the most transactions of one subtask: the checkpoints that cut its rows.
    pub(super) fn epoch_count(&self) -> u64 {
        let mut counts: BTreeMap<u16, u64> = BTreeMap::new();
        self.lock().keys().for_each(|(_, index, _)| *counts.entry(*index).or_default() += 1);
        counts.into_values().max().unwrap_or(0)
    }
}

/// Adds rows up, each exactly once whatever fails on the way.
pub(super) struct TallySink<F> {
    /// Adds one row.
    pub(super) add: F,
    pub(super) board: Arc<Board>,
    pub(super) marks: Arc<Marks>,
}

impl<T: Data, F: Fn(&mut Tally, T) + Send + Sync + 'static> TwoPhaseCommit<T> for TallySink<F> {
    type Open = (Transaction, Tally);
    type Handle = (Transaction, Tally);

    fn begin(&self, _: &SinkContext, id: TransactionId) -> Result<Self::Open, BoxError> {
        Ok(((id.attempt, id.index, id.sequence), Tally::default()))
    }

    fn write(&self, open: &mut Self::Open, record: Record<T>) -> Result<(), BoxError> {
        (self.add)(&mut open.1, record.value);
        Ok(())
    }

    fn pre_commit(
        &self,
        _: &SinkContext,
        open: Self::Open,
    ) -> Result<(Self::Handle, Work), BoxError> {
        self.marks.end();
        Ok((open, Box::new(|| Box::pin(async { Ok(()) }))))
    }

    fn commit(&self, _: &SinkContext, (transaction, tally): Self::Handle) -> Work {
        let board = self.board.clone();
        Box::new(move || {
            // Twice the same transaction is once the same entry.
            board.lock().insert(transaction, tally);
            Box::pin(async { Ok(()) })
        })
    }

    fn abort_others(&self, _: &SinkContext, _: Vec<Self::Handle>) -> Work {
        Box::new(|| Box::pin(async { Ok(()) }))
    }
}
