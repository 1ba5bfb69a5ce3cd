//! The jobs that scenarios run, each with its input and a naive model of its output.
//!
//! A model computes the expected output lines from the input alone. It shares no code with the
//! runtime: it parses, groups and formats by itself, in one pass over the whole input with sorted
//! maps, without streams, keys, windows as objects, or watermarks other than a running maximum. It
//! is right because there is nothing in it that could go wrong in an interesting way.

pub mod accounts;
pub mod flights;
pub mod gauges;
pub mod knocks;
pub mod ledger;
pub mod lookups;
pub mod outside;
pub mod purging_queue;
pub mod reminders;
pub mod shared_directory;
pub mod shares;
pub mod transfers;
pub mod visits;
pub mod water_level;
pub mod word_count;

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use floodmark::{Data, Environment, Generator};

/// Lines by output directory, in any order.
pub type Lines = BTreeMap<&'static str, Vec<String>>;

/// A job for scenarios.
pub struct ScenarioJob {
    /// Its name, under which its checkpoints are kept.
    pub name: &'static str,
    /// Prepares one run.
    pub prepare: fn(&Input) -> PreparedJob,
}

/// Returns the version of a job that takes its place when it is stopped, if there is one.
pub fn successor(job: &ScenarioJob) -> Option<&'static ScenarioJob> {
    (job.name == accounts::JOB.name).then_some(&accounts::SECOND)
}

/// The records that go into one run. The seed makes up a sequence; a run may leave some of it out.
#[derive(Clone, Debug)]
pub struct Input {
    /// The seed.
    pub seed: u64,
    /// Records of the whole sequence.
    pub size: usize,
    /// Which of them there are, in ascending order; all of them if not given.
    pub kept: Option<Arc<[u64]>>,
}

impl Input {
    /// Returns the places in the sequence of the records that there are, in order.
    pub fn indices(&self) -> Vec<u64> {
        (0..self.size as u64).filter(|place| self.has(*place)).collect()
    }

    /// Returns whether there is a record at this place in the sequence.
    pub fn has(&self, place: u64) -> bool {
        self.kept.as_ref().is_none_or(|kept| kept.binary_search(&place).is_ok())
    }

    /// Returns the rate, in records per second, at which `count` records take this long.
    pub fn rate_of(count: u64, lasts: Duration) -> u32 {
        u32::try_from(count / lasts.as_secs()).unwrap_or(u32::MAX).max(1)
    }

    /// Returns a source that makes every `step`-th record from its place in the sequence, beginning
    /// with place `first`, and takes this long at parallelism 1. What is left out takes its time all
    /// the same, so that what happens to the cluster happens to the same records.
    pub fn source<T: Data>(
        &self,
        (first, step): (u64, u64),
        lasts: Duration,
        make: impl Fn(u64) -> T + Send + Sync + 'static,
    ) -> Generator<T> {
        let count = (self.size as u64).saturating_sub(first).div_ceil(step);
        let input = self.clone();
        Generator::new(count, move |index| make(first + index * step))
            .only(move |index| input.has(first + index * step))
            .rate(Self::rate_of(count, lasts))
    }

    /// Returns the number of records between two watermarks, which is `usual` unless most of them are
    /// left out. Among a few, each is followed by one: otherwise there would be none.
    pub fn watermark_every(&self, usual: usize) -> usize {
        let is_sparse = self.kept.as_ref().is_some_and(|kept| kept.len() * 2 < self.size);
        if is_sparse { 1 } else { usual }
    }
}

/// A job together with its input.
pub struct PreparedJob {
    /// Objects that exist before the job starts.
    pub objects: Vec<(String, Vec<u8>)>,
    /// Builds the job's streams.
    pub build: Box<dyn Fn(&Environment) + Send + Sync>,
    /// What the naive model says the job must write, by directory.
    pub expected: Lines,
    /// A law that the actual output must fulfil on its own.
    pub law: fn(&Lines) -> Result<(), String>,
    /// The system outside the cluster that the job talks to, if there is one.
    pub outside: Option<Arc<dyn outside::OutsideSystem>>,
}

impl PreparedJob {
    /// Prepares a job whose output is checked against `expected` alone: it finds no objects, demands no
    /// law, and talks to nobody outside.
    pub fn new(build: impl Fn(&Environment) + Send + Sync + 'static, expected: Lines) -> Self {
        Self {
            objects: Vec::new(),
            build: Box::new(build),
            expected,
            law: |_| Ok(()),
            outside: None,
        }
    }
}

/// Mixes a number, for inputs that depend on a seed. The finaliser of SplitMix64 (Steele, Lea and
/// Flood, *Fast Splittable Pseudorandom Number Generators*, 2014).
pub(crate) fn mix(value: u64) -> u64 {
    let mut z = value.wrapping_add(0x9E37_79B9_7F4A_7C15);
    z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    z ^ (z >> 31)
}
