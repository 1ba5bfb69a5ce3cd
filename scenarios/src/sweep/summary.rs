//! What came of a sweep, and of several that are put together.
//!
//! A summary is written as lines of JSON, one fact each, and read from them again: the summary of two
//! shards that were merged is that of one sweep over the seeds of both.

use std::{collections::BTreeMap, fmt, ops::Range};

use serde::{Deserialize, Serialize};
use thiserror::Error;

use super::{
    failures::{FailureKind, Failures},
    shard::Shard,
};
use crate::{
    RunReport, Scenario, catalog,
    situations::{Situations, share},
};

/// Seeds from which on a probe that none of them reached is a failure.
pub const PROBE_SEED_COUNT: u64 = 50;

/// What came of one scenario's seeds.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct ScenarioSummary {
    /// Runs that ended, well or not.
    #[serde(rename = "runs")]
    pub run_count: u64,
    /// Runs that broke a promise.
    #[serde(rename = "failed")]
    pub failed_count: u64,
    /// Sums over all runs.
    pub totals: Totals,
    /// Probes in the order of the scenario, and the runs that reached each.
    pub probes: Vec<(String, u64)>,
    /// Probes that should have been reached and were not.
    pub unreached: Vec<String>,
}

/// Sums over runs.
#[derive(Clone, Copy, Debug, Default, Serialize, Deserialize)]
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

/// How a sweep ended.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum SweepEnd {
    /// Every seed was run.
    #[default]
    Complete,
    /// Its time was up.
    OutOfTime,
    /// Somebody stopped it.
    Interrupted,
}

/// Which runs a summary is about.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Part {
    /// The commit that was swept.
    pub commit: String,
    /// The scenarios.
    pub scenarios: Vec<String>,
    /// The seeds that were begun, before they were divided.
    pub seeds: Range<u64>,
    /// The shard of these seeds.
    pub shard: Shard,
    /// How it ended.
    pub end: SweepEnd,
}

/// What came of a sweep.
#[derive(Debug, Default)]
pub struct SweepSummary {
    /// By scenario.
    pub scenarios: BTreeMap<String, ScenarioSummary>,
    /// The broken promises, by cause.
    pub failures: Failures,
    /// The situations that were reached.
    pub situations: Situations,
    /// The sweeps that this is about: one, or those that were merged.
    pub parts: Vec<Part>,
}

/// One line of a summary.
#[derive(Serialize, Deserialize)]
#[serde(tag = "line", rename_all = "snake_case")]
enum Line {
    Scenario {
        scenario: String,
        ok: bool,
        #[serde(flatten)]
        summary: ScenarioSummary,
    },
    Failure(FailureKind),
    Situations(Situations),
    Sweep {
        ok: bool,
        runs: u64,
        failed: u64,
        failure_kinds: u64,
        /// The chance that the next seed shows something new, in percent.
        new_percent: f64,
        parts: Vec<Part>,
    },
}

/// Why summaries cannot be put together.
#[derive(Debug, Error, PartialEq, Eq)]
pub enum MergeError {
    /// They are about different programs.
    #[error(
        "{first_name} is of commit {first} and {name} of {other}, and a seed of one is not a seed of \
         the other; `--mixed-commits` puts them together all the same"
    )]
    Commits {
        /// The first summary.
        first_name: String,
        /// Its commit.
        first: String,
        /// Another summary.
        name: String,
        /// Its commit.
        other: String,
    },
    /// A run would count twice.
    #[error("{first} and {second} both ran {scenario} with seed {seed}")]
    Overlap {
        /// A summary.
        first: String,
        /// Another one.
        second: String,
        /// The scenario that both ran.
        scenario: String,
        /// The seed that both ran.
        seed: u64,
    },
    /// It is not a summary.
    #[error("{name}, line {number}: {reason}")]
    Malformed {
        /// Its name.
        name: String,
        /// The line, from 1.
        number: usize,
        /// What is wrong.
        reason: String,
    },
    /// Its last line is missing.
    #[error("{name} has no line of the kind `sweep`: it is not the whole output of `sweep --json`")]
    Truncated {
        /// Its name.
        name: String,
    },
}

impl SweepSummary {
    /// Returns whether every promise was kept and every probe reached.
    pub fn is_green(&self) -> bool {
        let mut scenarios = self.scenarios.values();
        self.failures.is_empty() && scenarios.all(|scenario| scenario.unreached.is_empty())
    }

    /// Returns how the sweep ended: as the worst of its parts.
    pub fn end(&self) -> SweepEnd {
        self.parts.iter().map(|part| part.end).max().unwrap_or_default()
    }

    /// Returns how many runs ended.
    pub fn run_count(&self) -> u64 {
        self.scenarios.values().map(|scenario| scenario.run_count).sum()
    }

    /// Returns the chance that the next seed shows a situation that no run has shown.
    pub fn chance_of_new_situation(&self) -> f64 {
        self.situations.chance_of_new()
    }

    /// Returns the chance that the next seed shows a kind of failure that no run has shown: the share
    /// of runs that failed as no other did.
    pub fn chance_of_new_failure(&self) -> f64 {
        share(self.failures.singleton_count(), self.run_count())
    }

    pub(super) fn add(&mut self, scenario: &'static Scenario, report: RunReport) {
        let summary = self.scenarios.entry(scenario.name.to_owned()).or_insert_with(|| {
            let probes = scenario.must_reach.iter();
            ScenarioSummary {
                probes: probes.map(|probe| (probe.name.to_owned(), 0)).collect(),
                ..ScenarioSummary::default()
            }
        });
        summary.run_count += 1;
        summary.failed_count += u64::from(report.failure.is_some());
        summary.totals.add(&Totals {
            virtual_ms: u64::try_from(report.virtual_time.as_millis()).unwrap_or(u64::MAX),
            events: report.event_count,
            faults: report.counts.faults,
            recoveries: report.counts.recoveries,
            checkpoints: report.counts.checkpoints,
            lines: report.counts.lines,
        });
        for (name, count) in &mut summary.probes {
            *count += u64::from(report.reached.contains(name.as_str()));
        }
        self.situations.add(scenario.name, report.seed, &report.situations);
        self.failures.add(report);
    }

    /// Ends a sweep. A shard, or a sweep that was stopped, cannot tell what is never reached.
    pub(super) fn finish(&mut self, part: Part) {
        let is_whole = part.shard == Shard::WHOLE;
        self.parts = vec![part];
        if is_whole {
            self.judge_probes();
        }
    }

    fn judge_probes(&mut self) {
        let is_interrupted = self.end() == SweepEnd::Interrupted;
        for summary in self.scenarios.values_mut() {
            let is_judged = !is_interrupted && PROBE_SEED_COUNT <= summary.run_count;
            let unreached = summary.probes.iter().filter(|(_, count)| is_judged && *count == 0);
            summary.unreached = unreached.map(|(name, _)| name.clone()).collect();
        }
    }

    /// Returns the summary as lines of JSON.
    pub fn to_lines(&self) -> Vec<String> {
        let scenarios = self.scenarios.iter().map(|(scenario, summary)| Line::Scenario {
            scenario: scenario.clone(),
            ok: summary.failed_count == 0 && summary.unreached.is_empty(),
            summary: summary.clone(),
        });
        let failures = self.failures.kinds().into_iter().cloned().map(Line::Failure);
        let sweep = Line::Sweep {
            ok: self.is_green(),
            runs: self.run_count(),
            failed: self.failures.run_count(),
            failure_kinds: self.failures.kinds().len() as u64,
            new_percent: 100.0 * self.chance_of_new_situation(),
            parts: self.parts.clone(),
        };
        let lines = scenarios.chain(failures);
        let lines = lines.chain([Line::Situations(self.situations.clone()), sweep]);
        let text = |line| serde_json::to_string(&line).expect("a summary has only plain fields");
        lines.map(text).collect()
    }

    /// Reads what [`SweepSummary::to_lines`] wrote. `name` is what errors call it.
    ///
    /// # Errors
    ///
    /// When it is not a whole summary.
    pub fn from_lines(name: &str, text: &str) -> Result<Self, MergeError> {
        let mut summary = Self::default();
        for (index, line) in text.lines().enumerate() {
            let line = serde_json::from_str(line).map_err(|error| MergeError::Malformed {
                name: name.to_owned(),
                number: index + 1,
                reason: error.to_string(),
            })?;
            match line {
                Line::Scenario { scenario, summary: row, .. } => {
                    summary.scenarios.insert(scenario, row);
                }
                Line::Failure(kind) => summary.failures.merge(kind),
                Line::Situations(situations) => summary.situations = situations,
                Line::Sweep { parts, .. } => summary.parts = parts,
            }
        }
        if summary.parts.is_empty() {
            return Err(MergeError::Truncated { name: name.to_owned() });
        }
        Ok(summary)
    }

    /// Puts the summaries of several sweeps together, as if they had been one. Each has a name.
    ///
    /// # Errors
    ///
    /// When two have run the same seed of the same scenario, or, unless `mixed_commits`, are about
    /// different commits.
    pub fn merge(
        summaries: Vec<(String, Self)>,
        mixed_commits: MixedCommits,
    ) -> Result<Self, MergeError> {
        let mut merged = Self::default();
        let mut parts: Vec<(String, Part)> = Vec::new();
        for (name, summary) in summaries {
            for part in &summary.parts {
                for (other_name, other) in &parts {
                    part.check_beside(&name, other, other_name, mixed_commits)?;
                }
            }
            parts.extend(summary.parts.iter().map(|part| (name.clone(), part.clone())));
            for (scenario, row) in summary.scenarios {
                merged.scenarios.entry(scenario).or_default().add(row);
            }
            for kind in summary.failures.kinds() {
                merged.failures.merge(kind.clone());
            }
            merged.situations.merge(summary.situations);
        }
        merged.parts = parts.into_iter().map(|(_, part)| part).collect();
        merged.judge_probes();
        Ok(merged)
    }

    /// Returns the scenarios in the order of the catalog, those that it does not know last.
    pub fn rows(&self) -> Vec<(&str, &ScenarioSummary)> {
        let place = |name: &str| catalog::ALL.iter().position(|scenario| scenario.name == name);
        let mut rows: Vec<_> =
            self.scenarios.iter().map(|(name, row)| (name.as_str(), row)).collect();
        rows.sort_by_key(|(name, _)| place(name).unwrap_or(usize::MAX));
        rows
    }
}

/// Whether summaries of different commits may be put together.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MixedCommits {
    /// They may not.
    Refused,
    /// They may, by the user's wish.
    Allowed,
}

impl Part {
    /// Refuses a part that cannot be counted beside another one.
    fn check_beside(
        &self,
        name: &str,
        other: &Self,
        other_name: &str,
        mixed_commits: MixedCommits,
    ) -> Result<(), MergeError> {
        if self.commit != other.commit {
            if mixed_commits == MixedCommits::Allowed {
                return Ok(());
            }
            return Err(MergeError::Commits {
                first_name: other_name.to_owned(),
                first: other.commit.clone(),
                name: name.to_owned(),
                other: self.commit.clone(),
            });
        }
        let shared = self.scenarios.iter().find(|scenario| other.scenarios.contains(scenario));
        match (shared, self.shared_seed(other)) {
            (Some(scenario), Some(seed)) => Err(MergeError::Overlap {
                first: other_name.to_owned(),
                second: name.to_owned(),
                scenario: scenario.clone(),
                seed,
            }),
            _ => Ok(()),
        }
    }

    /// Returns a seed that both parts have run.
    fn shared_seed(&self, other: &Self) -> Option<u64> {
        let start = self.seeds.start.max(other.seeds.start);
        let end = self.seeds.end.min(other.seeds.end);
        // After so many seeds the two shards repeat their pattern.
        let period = self.shard.count.saturating_mul(other.shard.count);
        let end = end.min(start.saturating_add(period));
        (start..end).find(|seed| self.shard.contains(*seed) && other.shard.contains(*seed))
    }
}

impl ScenarioSummary {
    fn add(&mut self, other: Self) {
        self.run_count += other.run_count;
        self.failed_count += other.failed_count;
        self.totals.add(&other.totals);
        for (name, count) in other.probes {
            match self.probes.iter_mut().find(|(known, _)| *known == name) {
                Some((_, known)) => *known += count,
                None => self.probes.push((name, count)),
            }
        }
    }
}

impl Totals {
    fn add(&mut self, other: &Self) {
        self.virtual_ms += other.virtual_ms;
        self.events += other.events;
        self.faults += other.faults;
        self.recoveries += other.recoveries;
        self.checkpoints += other.checkpoints;
        self.lines += other.lines;
    }
}

/// In words, for people.
impl fmt::Display for SweepEnd {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Complete => "complete",
            Self::OutOfTime => "out of time",
            Self::Interrupted => "interrupted",
        })
    }
}

#[cfg(test)]
mod tests;
