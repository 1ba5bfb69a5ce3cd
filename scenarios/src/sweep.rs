//! Many runs over all cores: every seed of every scenario, and what they reached together.

mod failures;
mod shard;
mod summary;

pub(crate) use failures::cause_of;
pub use failures::{FailedRun, FailureKind, Failures};
pub use shard::Shard;
pub use summary::{
    MergeError, MixedCommits, PROBE_SEED_COUNT, Part, ScenarioSummary, SweepEnd, SweepSummary,
    Totals,
};

use std::{
    ops::Range,
    sync::{
        Mutex, PoisonError,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    thread,
    time::{Duration, Instant},
};

use crate::{COMMIT, RunOptions, RunReport, Scenario, run};

/// One in so many seeds is run a second time, to see whether it does the same.
const REPEAT_EVERY: u64 = 20;

/// What to run.
pub struct SweepOptions {
    /// The scenarios.
    pub scenarios: Vec<&'static Scenario>,
    /// The seeds of each, before they are divided into shards.
    pub seeds: Range<u64>,
    /// The part of the seeds that is run.
    pub shard: Shard,
    /// Real time after which no further run is begun.
    pub time_budget: Option<Duration>,
    /// Threads; each runs one seed at a time.
    pub thread_count: usize,
}

impl SweepOptions {
    /// Returns how many runs that is, if there is time for all.
    pub fn run_count(&self) -> u64 {
        self.shard.seed_count(&self.seeds).saturating_mul(self.scenarios.len() as u64)
    }

    /// Returns the run at a place in the order of the sweep. Scenarios take turns, so that an early
    /// stop has seen something of each.
    fn run_at(&self, place: u64) -> Option<(&'static Scenario, u64)> {
        let turn_count = self.scenarios.len() as u64;
        let turn =
            usize::try_from(place.checked_rem(turn_count)?).expect("there are few scenarios");
        let seed = self.shard.seed(&self.seeds, place / turn_count)?;
        Some((self.scenarios[turn], seed))
    }
}

/// Runs every seed of every scenario. `on_run` hears of each run as it ends; `stop` ends the sweep
/// after the runs under way.
pub fn sweep(
    options: &SweepOptions,
    stop: &AtomicBool,
    on_run: impl Fn(&RunReport) + Sync,
) -> SweepSummary {
    let deadline = options.time_budget.and_then(|budget| now().checked_add(budget));
    let is_late = || deadline.is_some_and(|deadline| deadline <= now());
    let next = AtomicU64::new(0);
    let summary = Mutex::new(SweepSummary::default());
    thread::scope(|scope| {
        for _ in 0..options.thread_count.max(1) {
            scope.spawn(|| {
                while !stop.load(Ordering::Relaxed) && !is_late() {
                    let place = next.fetch_add(1, Ordering::Relaxed);
                    let Some((scenario, seed)) = options.run_at(place) else { return };
                    let is_repeated = seed.is_multiple_of(REPEAT_EVERY);
                    let report =
                        run(scenario, seed, &RunOptions { is_repeated, ..RunOptions::default() });
                    on_run(&report);
                    let mut summary = summary.lock().unwrap_or_else(PoisonError::into_inner);
                    summary.add(scenario, report);
                }
            });
        }
    });
    let mut summary = summary.into_inner().unwrap_or_else(PoisonError::into_inner);
    let begun = next.into_inner();
    let (end, seeds) = if options.run_count() <= begun {
        (SweepEnd::Complete, options.seeds.clone())
    } else {
        let last = begun.checked_sub(1).and_then(|place| options.run_at(place));
        let start = options.seeds.start;
        let is_stopped = stop.load(Ordering::Relaxed);
        let end = if is_stopped { SweepEnd::Interrupted } else { SweepEnd::OutOfTime };
        (end, start..last.map_or(start, |(_, seed)| seed + 1))
    };
    summary.finish(Part {
        commit: COMMIT.to_owned(),
        scenarios: options.scenarios.iter().map(|scenario| scenario.name.to_owned()).collect(),
        seeds,
        shard: options.shard,
        end,
    });
    summary
}

#[expect(clippy::disallowed_methods, reason = "real time, measured outside of any simulation")]
fn now() -> Instant {
    Instant::now()
}
