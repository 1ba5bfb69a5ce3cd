//! A source that goes on with another one where it ends.

use std::{
    marker::PhantomData,
    task::{Context, Poll},
};

use floodmark_dataflow::{BoxError, Source, SplitReader};
use floodmark_model::Batch;
use floodmark_platform::{BoxFuture, Machine};
use serde::{Deserialize, Serialize};

/// Reads a source that ends, and then another: first what has been written, then what comes.
///
/// Each subtask reads all its splits of the first source to their ends before it begins with those of
/// the second. Which records the second one begins with, it has to know itself: its positions join on
/// to the end of the first without a gap when both are chosen so. From there on a checkpoint holds the
/// position in both, so nothing is read twice and nothing left out, whenever an attempt fails.
///
/// Event time stands still while one subtask has ended the first source and has no record of the second
/// yet. The other subtasks do not wait at the change: where a source has several subtasks, records of
/// the second may come before others of the first, from another subtask. They are not late for that,
/// as event time is that of the slowest.
///
/// Both sources are listed when the job begins, and readers of both are made then: the second must be
/// there, and whoever opens a connection in [`Source::read`] rather than with the first poll holds it
/// for as long as the first source lasts.
///
/// A third source follows by `HybridSource::new(HybridSource::new(first, second), third)`.
///
/// # Examples
///
/// The numbers up to 99 from a list, and those from 100 on from a generator:
///
/// ```
/// use floodmark::{Environment, Generator, HybridSource, VecSource};
///
/// # #[tokio::main]
/// # async fn main() -> Result<(), floodmark::Error> {
/// let env = Environment::new().parallelism(1);
/// let written = VecSource::new((0..100).collect::<Vec<u64>>());
/// let live = Generator::new(50, |index| 100 + index);
/// let numbers = env.source("numbers", HybridSource::new(written, live)).collect("numbers-seen");
/// env.execute("numbers").await?.wait().await?;
/// assert_eq!(numbers.values(), (0..150).collect::<Vec<u64>>());
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug)]
pub struct HybridSource<A, B> {
    first: A,
    second: B,
}

impl<A: Source, B: Source<Out = A::Out>> HybridSource<A, B> {
    /// Creates a source that reads `first` to its end, and then `second`. A `second` that comes after a
    /// source without an end is never read.
    pub fn new(first: A, second: B) -> Self {
        Self { first, second }
    }
}

/// A split of one of the two, with the stages of the first one counted: those of the second follow.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum HybridSplit<A, B> {
    /// One of the source that is read first.
    First(A),
    /// One of the other, and the stage from which on it is read.
    Second(B, u32),
}

impl<A: Source, B: Source<Out = A::Out>> Source for HybridSource<A, B> {
    type Out = A::Out;
    type Split = HybridSplit<A::Split, B::Split>;

    fn splits(
        &self,
        machine: &Machine,
        parallelism: u16,
    ) -> BoxFuture<Result<Vec<Self::Split>, BoxError>> {
        let first = self.first.splits(machine, parallelism);
        let second = self.second.splits(machine, parallelism);
        let source = self.first.clone();
        Box::pin(async move {
            let first = first.await?;
            let next = first.iter().map(|split| source.stage(split) + 1).max().unwrap_or_default();
            let second = second.await?.into_iter().map(|split| HybridSplit::Second(split, next));
            Ok(first.into_iter().map(HybridSplit::First).chain(second).collect())
        })
    }

    fn is_replayable(&self) -> bool {
        self.first.is_replayable() && self.second.is_replayable()
    }

    fn stage(&self, split: &Self::Split) -> u32 {
        match split {
            HybridSplit::First(split) => self.first.stage(split),
            HybridSplit::Second(split, from) => from + self.second.stage(split),
        }
    }

    fn read(&self, machine: &Machine, split: Self::Split) -> Box<dyn SplitReader<Self>> {
        match split {
            HybridSplit::First(split) => Box::new(FirstReader {
                reader: self.first.read(machine, split),
                second: PhantomData,
            }),
            HybridSplit::Second(split, from) => Box::new(SecondReader {
                reader: self.second.read(machine, split),
                from,
                first: PhantomData,
            }),
        }
    }
}

struct FirstReader<A, B> {
    reader: Box<dyn SplitReader<A>>,
    second: PhantomData<fn() -> B>,
}

impl<A: Source, B: Source<Out = A::Out>> SplitReader<HybridSource<A, B>> for FirstReader<A, B> {
    fn poll_next(&mut self, cx: &mut Context<'_>) -> Poll<Result<Option<Batch<A::Out>>, BoxError>> {
        self.reader.poll_next(cx)
    }

    fn position(&self) -> HybridSplit<A::Split, B::Split> {
        HybridSplit::First(self.reader.position())
    }

    fn on_checkpoint_complete(&mut self, position: &HybridSplit<A::Split, B::Split>) {
        if let HybridSplit::First(position) = position {
            self.reader.on_checkpoint_complete(position);
        }
    }
}

struct SecondReader<A, B> {
    reader: Box<dyn SplitReader<B>>,
    from: u32,
    first: PhantomData<fn() -> A>,
}

impl<A: Source, B: Source<Out = A::Out>> SplitReader<HybridSource<A, B>> for SecondReader<A, B> {
    fn poll_next(&mut self, cx: &mut Context<'_>) -> Poll<Result<Option<Batch<A::Out>>, BoxError>> {
        self.reader.poll_next(cx)
    }

    fn position(&self) -> HybridSplit<A::Split, B::Split> {
        HybridSplit::Second(self.reader.position(), self.from)
    }

    fn on_checkpoint_complete(&mut self, position: &HybridSplit<A::Split, B::Split>) {
        if let HybridSplit::Second(position, _) = position {
            self.reader.on_checkpoint_complete(position);
        }
    }
}
