//! Failures of a sweep, one for each cause: a thousand seeds that fail for one reason are one bug.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::{RunReport, report::command};

/// Runs that are kept of each kind of failure: those with the smallest seeds.
const KEPT_COUNT: usize = 5;

/// Failures in which the same check spoke for the same cause.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct FailureKind {
    /// The check that spoke.
    pub check: String,
    /// Its reason, without what differs from seed to seed.
    pub cause: String,
    /// Runs that failed so.
    pub count: u64,
    /// Those of them with the smallest seeds.
    pub runs: Vec<FailedRun>,
}

/// A run that failed.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct FailedRun {
    /// The scenario.
    pub scenario: String,
    /// The seed.
    pub seed: u64,
    /// What the check said.
    pub reason: String,
    /// Everything that is known about the run, in the process that ran it.
    #[serde(skip)]
    pub report: Option<Box<RunReport>>,
}

impl FailedRun {
    /// Returns the command that repeats the run.
    pub fn command(&self) -> String {
        command(&self.scenario, self.seed)
    }
}

/// All failures of a sweep, by check and cause.
#[derive(Clone, Debug, Default)]
pub struct Failures(BTreeMap<(String, String), FailureKind>);

impl Failures {
    /// Counts a run, if it failed.
    pub fn add(&mut self, report: RunReport) {
        let Some(failure) = &report.failure else { return };
        let run = FailedRun {
            scenario: report.scenario.to_owned(),
            seed: report.seed,
            reason: failure.reason.clone(),
            report: None,
        };
        let (check, cause) = (failure.check.clone(), cause_of(&failure.reason));
        let run = FailedRun { report: Some(Box::new(report)), ..run };
        self.merge(FailureKind { check, cause, count: 1, runs: vec![run] });
    }

    /// Counts what another sweep found.
    pub fn merge(&mut self, kind: FailureKind) {
        let key = (kind.check.clone(), kind.cause.clone());
        let FailureKind { check, cause, .. } = &kind;
        let known = self.0.entry(key).or_insert_with(|| FailureKind {
            check: check.clone(),
            cause: cause.clone(),
            count: 0,
            runs: Vec::new(),
        });
        known.count += kind.count;
        known.runs.extend(kind.runs);
        known.runs.sort_by(|a, b| (a.seed, &a.scenario).cmp(&(b.seed, &b.scenario)));
        known.runs.truncate(KEPT_COUNT);
    }

    /// Returns whether no run failed.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Returns how many runs failed.
    pub fn run_count(&self) -> u64 {
        self.0.values().map(|kind| kind.count).sum()
    }

    /// Returns how many kinds of failure a single run has shown.
    pub fn singleton_count(&self) -> u64 {
        self.0.values().filter(|kind| kind.count == 1).count() as u64
    }

    /// Returns every kind of failure, the most frequent first.
    pub fn kinds(&self) -> Vec<&FailureKind> {
        let mut kinds: Vec<_> = self.0.values().collect();
        kinds.sort_by_key(|kind| std::cmp::Reverse(kind.count));
        kinds
    }

    /// Returns the first failed run whose report is known, for those who want just one.
    pub fn first(&self) -> Option<&RunReport> {
        let runs = self.0.values().flat_map(|kind| &kind.runs);
        runs.filter_map(|run| run.report.as_deref()).min_by_key(|report| report.seed)
    }
}

/// Returns a reason without what differs between two failures of one cause: numbers, what is quoted,
/// what is listed in brackets, and what explains it behind a dash.
pub(crate) fn cause_of(reason: &str) -> String {
    let reason = reason.split_once(" — ").map_or(reason, |(reason, _)| reason);
    let mut cause = String::with_capacity(reason.len());
    // A hash has letters, too.
    let is_hash = |word: &&str| 12 <= word.len() && word.chars().all(|c| c.is_ascii_hexdigit());
    let words = reason.split(|character: char| !character.is_ascii_alphanumeric());
    let reason =
        words.filter(is_hash).fold(reason.to_owned(), |text, hash| text.replace(hash, "0"));
    let mut rest = reason.chars().peekable();
    while let Some(character) = rest.next() {
        let close = match character {
            '"' => Some('"'),
            '[' => Some(']'),
            _ => None,
        };
        if character.is_ascii_digit() {
            while rest.next_if(|next| next.is_ascii_digit() || *next == '.').is_some() {}
            cause.push('#');
        } else if let Some(close) = close {
            cause.push(character);
            let mut is_empty = true;
            while rest.next_if(|next| *next != close).is_some() {
                is_empty = false;
            }
            // That nothing is listed is part of the cause.
            cause.push_str(if is_empty { "" } else { "…" });
        } else {
            cause.push(character);
        }
        if close.is_some()
            && let Some(close) = rest.next()
        {
            cause.push(close);
        }
    }
    cause
}

#[cfg(test)]
mod tests {
    use super::*;

    fn kind(reason: &str, seed: u64) -> FailureKind {
        let run = FailedRun {
            scenario: "calm".to_owned(),
            seed,
            reason: reason.to_owned(),
            report: None,
        };
        let cause = cause_of(reason);
        FailureKind { check: "two_phase".to_owned(), cause, count: 1, runs: vec![run] }
    }

    #[test]
    fn a_cause_has_no_numbers_and_no_content() {
        let check = |reason: &str, cause: &str| assert_eq!(cause_of(reason), cause);
        check(
            "4.0 (hours → late) was told that checkpoint 12 is complete",
            "# (hours → late) was told that checkpoint # is complete",
        );
        check(
            "output/late: 3 lines written, 4 expected; missing: [AA17,JFK]; too many: []",
            "output/late: # lines written, # expected; missing: […]; too many: []",
        );
        check("the object \"checkpoints/job/00017\" is gone", "the object \"…\" is gone");
        check("worker-2, then worker-13", "worker-#, then worker-#");
        check("an open [bracket", "an open […");
        check("1 entry is lost — that is what 2.1 stored", "# entry is lost");
    }

    #[test]
    fn failures_of_one_cause_are_one_kind_and_the_smallest_seeds_are_kept() {
        let mut failures = Failures::default();
        for seed in (0..10).rev() {
            failures.merge(kind(&format!("checkpoint {seed} is lost"), seed));
        }
        failures.merge(kind("checkpoint 3 is there twice", 3));
        assert_eq!(failures.run_count(), 11);
        assert_eq!(failures.singleton_count(), 1);
        let kinds = failures.kinds();
        assert_eq!((kinds.len(), kinds[0].count), (2, 10));
        let seeds: Vec<u64> = kinds[0].runs.iter().map(|run| run.seed).collect();
        assert_eq!(seeds, [0, 1, 2, 3, 4]);
    }
}
