//! A source that makes its records up, the same ones for ever.

use std::{
    num::NonZeroU32,
    sync::Arc,
    task::{Context, Poll, ready},
};

use floodmark_dataflow::{BoxError, Source, SplitReader};
use floodmark_model::{Batch, Record};
use floodmark_platform::{BoxFuture, Machine};
use floodmark_state::Data;
use rand::{SeedableRng as _, seq::SliceRandom as _};
use rand_chacha::ChaCha8Rng;
use serde::{Deserialize, Serialize};

use super::pace::{Pace, rate_of};

/// Values in one batch.
const BATCH_SIZE: usize = 256;

/// Yields `make(0)`, `make(1)`, … in a disorder that a seed decides.
///
/// # Examples
///
/// ```
/// use floodmark::{Environment, Generator};
///
/// let env = Environment::new().parallelism(2);
/// let readings = env.source(
///     "sensor",
///     Generator::new(1_000, |index| (index % 7, index)).rate(100).disorder(42, 10),
/// );
/// # let _ = readings;
/// ```
pub struct Generator<T> {
    count: u64,
    make: Arc<dyn Fn(u64) -> T + Send + Sync>,
    is_made: Arc<dyn Fn(u64) -> bool + Send + Sync>,
    options: Options,
}

#[derive(Clone, Copy)]
struct Options {
    rate: Option<NonZeroU32>,
    seed: u64,
    /// Values that are shuffled among themselves.
    block_size: u64,
}

impl<T> Clone for Generator<T> {
    fn clone(&self) -> Self {
        Self {
            count: self.count,
            make: self.make.clone(),
            is_made: self.is_made.clone(),
            options: self.options,
        }
    }
}

impl<T: Data> Generator<T> {
    /// Creates a source of `count` values, in order, as fast as they are taken.
    pub fn new(count: u64, make: impl Fn(u64) -> T + Send + Sync + 'static) -> Self {
        let options = Options { rate: None, seed: 0, block_size: 1 };
        Self { count, make: Arc::new(make), is_made: Arc::new(|_| true), options }
    }

    /// Leaves out the values whose index is not among those that `is_made` names. They take their time
    /// and their place in the disorder all the same: nothing changes for the others.
    #[must_use]
    pub fn only(self, is_made: impl Fn(u64) -> bool + Send + Sync + 'static) -> Self {
        Self { is_made: Arc::new(is_made), ..self }
    }

    /// Yields at most so many values per second and subtask. At least 1.
    #[must_use]
    pub fn rate(self, per_second: u32) -> Self {
        Self { options: Options { rate: rate_of(per_second), ..self.options }, ..self }
    }

    /// Shuffles values of one subtask by at most `distance` places, as `seed` decides.
    #[must_use]
    pub fn disorder(self, seed: u64, distance: u16) -> Self {
        let block_size = u64::from(distance) + 1;
        Self { options: Options { seed, block_size, ..self.options }, ..self }
    }
}

/// The values with index `first`, `first + step`, …, from the `next`-th of them on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct GeneratorSplit {
    first: u64,
    step: u64,
    next: u64,
}

impl<T: Data> Source for Generator<T> {
    type Out = T;
    type Split = GeneratorSplit;

    fn splits(
        &self,
        _: &Machine,
        parallelism: u16,
    ) -> BoxFuture<Result<Vec<GeneratorSplit>, BoxError>> {
        let step = u64::from(parallelism);
        let splits = (0..step).map(|first| GeneratorSplit { first, step, next: 0 }).collect();
        Box::pin(async { Ok(splits) })
    }

    fn read(&self, machine: &Machine, split: GeneratorSplit) -> Box<dyn SplitReader<Self>> {
        Box::new(GeneratorReader {
            generator: self.clone(),
            split,
            pace: Pace::new(machine, self.options.rate),
            block: None,
        })
    }
}

struct GeneratorReader<T> {
    generator: Generator<T>,
    split: GeneratorSplit,
    pace: Pace,
    /// The block that was shuffled last, and the order in it.
    block: Option<(u64, Vec<u64>)>,
}

impl<T: Data> GeneratorReader<T> {
    /// Returns how many values the split has.
    fn len(&self) -> u64 {
        let GeneratorSplit { first, step, .. } = self.split;
        self.generator.count.saturating_sub(first).div_ceil(step)
    }

    /// Returns the value at `position` of the split's disorder, unless it is left out.
    fn value_at(&mut self, position: u64) -> Option<T> {
        let Options { seed, block_size, .. } = self.generator.options;
        let block = position / block_size;
        let start = block * block_size;
        if self.block.as_ref().is_none_or(|(known, _)| *known != block) {
            let mut order: Vec<u64> = (start..self.len().min(start + block_size)).collect();
            let mut random = ChaCha8Rng::seed_from_u64(seed);
            random.set_stream(self.split.first << 40 | block);
            order.shuffle(&mut random);
            self.block = Some((block, order));
        }
        let (_, order) = self.block.as_ref().expect("the block was just shuffled");
        let offset = usize::try_from(position - start).expect("a block is small");
        let GeneratorSplit { first, step, .. } = self.split;
        let index = first + order[offset] * step;
        (self.generator.is_made)(index).then(|| (self.generator.make)(index))
    }
}

impl<T: Data> SplitReader<Generator<T>> for GeneratorReader<T> {
    fn poll_next(&mut self, cx: &mut Context<'_>) -> Poll<Result<Option<Batch<T>>, BoxError>> {
        loop {
            let max = ready!(self.pace.poll_allowance(cx, BATCH_SIZE));
            let positions = self.split.next..self.len().min(self.split.next + max as u64);
            if positions.is_empty() {
                return Poll::Ready(Ok(None));
            }
            let values = positions.clone().filter_map(|position| self.value_at(position));
            let batch: Batch<T> = values.map(Record::from).collect();
            self.split.next = positions.end;
            self.pace.on_yield(usize::try_from(positions.end - positions.start).expect("a batch"));
            if !batch.is_empty() {
                return Poll::Ready(Ok(Some(batch)));
            }
        }
    }

    fn position(&self) -> GeneratorSplit {
        self.split
    }
}
