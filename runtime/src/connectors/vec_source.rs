//! A source that yields given values.

use std::{
    sync::Arc,
    task::{Context, Poll},
};

use floodmark_dataflow::{BoxError, Source, SplitReader};
use floodmark_model::{Batch, Record};
use floodmark_platform::{BoxFuture, Machine};
use floodmark_state::Data;
use serde::{Deserialize, Serialize};

/// Values in one batch.
const BATCH_SIZE: usize = 256;

/// Yields the values of a vector; subtask `i` of `n` every `n`-th from the `i`-th on.
///
/// # Examples
///
/// ```
/// use floodmark::{Environment, VecSource};
///
/// # #[tokio::main]
/// # async fn main() -> Result<(), floodmark::Error> {
/// let env = Environment::new();
/// let words = env.source("words", VecSource::new(vec!["to".to_owned(), "be".to_owned()]));
/// let words = words.collect("words-seen");
/// env.execute("words").await?.wait().await?;
/// assert_eq!(words.values(), ["to", "be"]);
/// # Ok(())
/// # }
/// ```
#[derive(Clone)]
#[doc(alias = "fromCollection")]
pub struct VecSource<T> {
    values: Arc<Vec<T>>,
}

/// The values `next`, `next + step`, ….
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct VecSplit {
    next: usize,
    step: usize,
}

impl<T> VecSource<T> {
    /// Creates a source of `values`.
    pub fn new(values: Vec<T>) -> Self {
        Self { values: Arc::new(values) }
    }
}

impl<T: Data> Source for VecSource<T> {
    type Out = T;
    type Split = VecSplit;

    fn splits(&self, _: &Machine, parallelism: u16) -> BoxFuture<Result<Vec<VecSplit>, BoxError>> {
        let step = usize::from(parallelism);
        let splits = (0..step).map(|next| VecSplit { next, step }).collect();
        Box::pin(async { Ok(splits) })
    }

    fn read(&self, _: &Machine, split: VecSplit) -> Box<dyn SplitReader<Self>> {
        Box::new(VecReader { values: self.values.clone(), split })
    }
}

struct VecReader<T> {
    values: Arc<Vec<T>>,
    split: VecSplit,
}

impl<T: Data> SplitReader<VecSource<T>> for VecReader<T> {
    fn poll_next(&mut self, _: &mut Context<'_>) -> Poll<Result<Option<Batch<T>>, BoxError>> {
        let VecSplit { next, step } = self.split;
        let values = self.values.iter().skip(next).step_by(step).take(BATCH_SIZE);
        let batch: Batch<T> = values.cloned().map(Record::from).collect();
        self.split.next += step * batch.len();
        Poll::Ready(Ok((!batch.is_empty()).then_some(batch)))
    }

    fn position(&self) -> VecSplit {
        self.split
    }
}
