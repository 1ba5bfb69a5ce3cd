//! A sink that collects values in memory, exactly once.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use floodmark_dataflow::{BoxError, SinkContext, TransactionId, TwoPhaseCommit, Work};
use floodmark_model::Record;
use floodmark_state::Data;

/// The values that a stream ended in, readable while the job runs and after it.
///
/// Only committed values are in it, each once, whatever failed on the way. It lives in the process
/// that built the job, so it suits tests and small results.
///
/// # Examples
///
/// ```
/// use floodmark::{Collected, Environment};
///
/// # #[tokio::main]
/// # async fn main() -> Result<(), floodmark::Error> {
/// let env = Environment::new();
/// let doubled: Collected<u64> =
///     env.from_vec("numbers", vec![1, 2, 3]).map(|number| number * 2).collect("doubled");
/// env.execute("doubles").await?.wait().await?;
/// assert_eq!(doubled.values(), [2, 4, 6]);
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Default)]
pub struct Collected<T> {
    transactions: Arc<Mutex<BTreeMap<Transaction, Vec<T>>>>,
}

/// Attempt, subtask and sequence number of a transaction.
type Transaction = (floodmark_model::Attempt, u16, u64);

impl<T: Data> Collected<T> {
    pub(crate) fn new() -> Self {
        Self { transactions: Arc::default() }
    }

    /// Returns all values committed so far. Those of one subtask are in order.
    pub fn values(&self) -> Vec<T> {
        self.lock().values().flatten().cloned().collect()
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<Transaction, Vec<T>>> {
        // The map is consistent between any two calls, so a panic elsewhere does not spoil it.
        self.transactions.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<T: Data> TwoPhaseCommit<T> for Collected<T> {
    type Open = (Transaction, Vec<T>);
    type Handle = (Transaction, Vec<T>);

    fn begin(&self, _: &SinkContext, id: TransactionId) -> Result<Self::Open, BoxError> {
        Ok(((id.attempt, id.index, id.sequence), Vec::new()))
    }

    fn write(&self, open: &mut Self::Open, record: Record<T>) -> Result<(), BoxError> {
        open.1.push(record.value);
        Ok(())
    }

    fn pre_commit(
        &self,
        _: &SinkContext,
        open: Self::Open,
    ) -> Result<(Self::Handle, Work), BoxError> {
        // The values live in the checkpoint, so there is nothing to store elsewhere.
        Ok((open, Box::new(|| Box::pin(async { Ok(()) }))))
    }

    fn commit(&self, _: &SinkContext, (transaction, values): Self::Handle) -> Work {
        let this = self.clone();
        Box::new(move || {
            // Twice the same transaction is once the same entry.
            this.lock().insert(transaction, values.clone());
            Box::pin(async { Ok(()) })
        })
    }

    fn abort_others(&self, _: &SinkContext, _: Vec<Self::Handle>) -> Work {
        Box::new(|| Box::pin(async { Ok(()) }))
    }
}
