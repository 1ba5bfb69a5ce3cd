//! Many runs over all cores: every seed of every scenario, and what they reached together.

use std::{
    collections::{BTreeMap, BTreeSet},
    ops::Range,
    sync::{
        Mutex, PoisonError,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    thread,
};

use serde::Serialize;

use crate::{RunOptions, RunReport, Scenario, run};

/// Seeds from which on a probe that none of them reached is a failure.
pub const PROBE_SEED_COUNT: u64 = 50;

/// One in so many seeds is run a second time, to see whether it does the same.
const REPEAT_EVERY: u64 = 20;

/// What to run.
pub struct SweepOptions {
    /// The scenarios.
    pub scenarios: Vec<&'static Scenario>,
    /// The seeds of each.
    pub seeds: Range<u64>,
    /// Threads; each runs one seed at a time.
    pub thread_count: usize,
}

/// What came of one scenario's seeds.
#[derive(Clone, Debug, Default, Serialize)]
pub struct ScenarioSummary {
    /// Runs that ended, well or not.
    pub run_count: u64,
    /// Sums over all runs.
    pub totals: Totals,
    /// Probes in the order of the scenario, and the runs that reached each.
    pub probes: Vec<(&'static str, u64)>,
    /// Probes that should have been reached and were not.
    pub unreached: Vec<&'static str>,
}

/// Sums over runs.
#[derive(Clone, Copy, Debug, Default, Serialize)]
pub struct Totals {
    /// Simulated milliseconds.
    pub virtual_ms: u64,
    /// Frames, timers, writes and other events of the simulated world.
    pub events: u64,
    /// Faults that were injected.
    pub faults: u64,
    /// Attempts that were started from a checkpoint.
    pub recoveries: u64,
    /// Checkpoints that were completed.
    pub checkpoints: u64,
    /// Output lines that were compared.
    pub lines: u64,
}

/// What came of a sweep.
#[derive(Debug, Default)]
pub struct SweepSummary {
    /// By scenario.
    pub scenarios: BTreeMap<&'static str, ScenarioSummary>,
    /// The runs that broke a promise, by scenario and seed.
    pub failures: Vec<RunReport>,
    /// Whether the sweep was stopped before its end.
    pub is_partial: bool,
}

impl SweepSummary {
    /// Returns whether every promise was kept and every probe reached.
    pub fn is_green(&self) -> bool {
        let mut scenarios = self.scenarios.values();
        self.failures.is_empty() && scenarios.all(|scenario| scenario.unreached.is_empty())
    }

    fn add(&mut self, scenario: &'static Scenario, report: RunReport) {
        let summary = self.scenarios.entry(scenario.name).or_insert_with(|| ScenarioSummary {
            probes: scenario.must_reach.iter().map(|probe| (probe.name, 0)).collect(),
            ..ScenarioSummary::default()
        });
        summary.run_count += 1;
        let totals = &mut summary.totals;
        totals.virtual_ms += u64::try_from(report.virtual_time.as_millis()).unwrap_or(u64::MAX);
        totals.events += report.event_count;
        totals.faults += report.counts.faults;
        totals.recoveries += report.counts.recoveries;
        totals.checkpoints += report.counts.checkpoints;
        totals.lines += report.counts.lines;
        for (name, count) in &mut summary.probes {
            *count += u64::from(report.reached.contains(name));
        }
        if report.failure.is_some() {
            self.failures.push(report);
        }
    }

    fn finish(&mut self, is_partial: bool) {
        self.is_partial = is_partial;
        self.failures.sort_by_key(|report| (report.scenario, report.seed));
        for summary in self.scenarios.values_mut() {
            if PROBE_SEED_COUNT <= summary.run_count {
                let unreached = summary.probes.iter().filter(|(_, count)| *count == 0);
                summary.unreached = unreached.map(|(name, _)| *name).collect();
            }
        }
    }
}

/// Runs every seed of every scenario. `on_run` hears of each run as it ends; `stop` ends the sweep
/// after the runs under way.
pub fn sweep(
    options: &SweepOptions,
    stop: &AtomicBool,
    on_run: impl Fn(&RunReport) + Sync,
) -> SweepSummary {
    let seed_count = options.seeds.end.saturating_sub(options.seeds.start);
    let total = seed_count * options.scenarios.len() as u64;
    let next = AtomicU64::new(0);
    let summary = Mutex::new(SweepSummary::default());
    thread::scope(|scope| {
        for _ in 0..options.thread_count.max(1) {
            scope.spawn(|| {
                while !stop.load(Ordering::Relaxed) {
                    let index = next.fetch_add(1, Ordering::Relaxed);
                    if total <= index {
                        return;
                    }
                    // Scenarios take turns, so that an early stop has seen something of each.
                    let turn = index % options.scenarios.len() as u64;
                    let turn = usize::try_from(turn).expect("there are few scenarios");
                    let scenario = options.scenarios[turn];
                    let seed = options.seeds.start + index / options.scenarios.len() as u64;
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
    summary.finish(stop.load(Ordering::Relaxed));
    summary
}

/// Returns the distinct reasons of failures: one report for each check of each scenario.
pub fn distinct_failures(failures: &[RunReport]) -> Vec<&RunReport> {
    let mut seen = BTreeSet::new();
    failures
        .iter()
        .filter(|report| {
            let check = report.failure.as_ref().map(|failure| failure.check.clone());
            seen.insert((report.scenario, check))
        })
        .collect()
}
