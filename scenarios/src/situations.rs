//! Situations that runs have reached, and how likely the next one reaches another.
//!
//! A situation is a step on one node: something notable that happened to it, and what happened to it
//! next, as in *a worker: snapshot taken, then crashed*. Of runs that have been seen, the share that
//! holds a situation which no other run holds estimates the chance that the next run shows something
//! new: with each of them left out in turn, it is how often the run that was left out did.
//!
//! # Sources
//!
//! I. J. Good, "The population frequencies of species and the estimation of population parameters",
//! Biometrika 40, 1953, after A. M. Turing. There an observation is one species; here a run holds
//! many, and counts as new when one of them is.

use std::collections::{BTreeMap, BTreeSet};

use floodmark::{RuntimeEvent, platform::Observation as _};
use serde::{Deserialize, Serialize};

use crate::Sighting;

/// A step on a node: the node's role, what happened, and what happened next.
pub type Situation = (&'static str, &'static str, &'static str);

/// The steps of one run.
#[derive(Debug, Default)]
pub(crate) struct Steps {
    last: BTreeMap<String, &'static str>,
    seen: BTreeSet<Situation>,
}

impl Steps {
    pub(crate) fn see(&mut self, sighting: Sighting<'_>) {
        let Some((node, label)) = notable(sighting) else { return };
        let Some(last) = self.last.get_mut(node) else {
            self.last.insert(node.to_owned(), label);
            return;
        };
        // How often something repeats itself is not a situation.
        if *last != label {
            self.seen.insert((role(node), std::mem::replace(last, label), label));
        }
    }

    pub(crate) fn into_seen(self) -> BTreeSet<Situation> {
        self.seen
    }
}

/// Returns the role of a node: which of several workers it is does not matter.
fn role(node: &str) -> &'static str {
    if node.starts_with("worker") { "worker" } else { "coordinator" }
}

/// Returns what happened to whom, unless it happens all the time.
fn notable(sighting: Sighting<'_>) -> Option<(&str, &'static str)> {
    match sighting {
        Sighting::Event(
            _,
            RuntimeEvent::SplitWatermark { .. }
            | RuntimeEvent::WatermarkEmitted { .. }
            | RuntimeEvent::WatermarkReleased { .. }
            | RuntimeEvent::WatermarkSent { .. }
            | RuntimeEvent::ChannelWatermark { .. }
            | RuntimeEvent::WatermarkAdvanced { .. }
            | RuntimeEvent::TimerRegistered { .. }
            | RuntimeEvent::TimerDeleted { .. }
            | RuntimeEvent::TimerFired { .. }
            | RuntimeEvent::ProcessingTimeReached { .. }
            | RuntimeEvent::RecordsCounted { .. }
            | RuntimeEvent::KeyGroupMet { .. },
        ) => None,
        Sighting::Event(node, event) => Some((node, event.label())),
        Sighting::Incident(incident) => Some((incident.node(), incident.label())),
    }
}

/// The situations of many runs.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Situations {
    /// Runs that were looked at.
    pub run_count: u64,
    /// What they reached.
    pub seen: BTreeMap<String, Seen>,
}

/// How often a situation was reached.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Seen {
    /// By so many runs.
    pub count: u64,
    /// The scenario of one of them.
    pub scenario: String,
    /// Its seed.
    pub seed: u64,
}

impl Situations {
    /// Adds what a run has reached.
    pub fn add(&mut self, scenario: &str, seed: u64, reached: &BTreeSet<Situation>) {
        self.run_count += 1;
        for (role, first, next) in reached {
            let first_seen = || Seen { count: 0, scenario: scenario.to_owned(), seed };
            let name = format!("{role}: {first}, {next}");
            self.seen.entry(name).or_insert_with(first_seen).count += 1;
        }
    }

    /// Adds what the runs of another sweep have reached.
    pub fn merge(&mut self, other: Self) {
        self.run_count += other.run_count;
        for (name, seen) in other.seen {
            let known = self.seen.entry(name).or_insert(Seen { count: 0, ..seen });
            known.count += seen.count;
        }
    }

    /// Returns how many situations a single run has reached.
    pub fn singleton_count(&self) -> u64 {
        self.singletons().count() as u64
    }

    /// Returns the chance that one more run reaches a situation that none has reached: the share of
    /// runs that reached one alone. 1 if there was no run.
    pub fn chance_of_new(&self) -> f64 {
        let lonely: BTreeSet<(&str, u64)> =
            self.singletons().map(|seen| (seen.scenario.as_str(), seen.seed)).collect();
        share(lonely.len() as u64, self.run_count)
    }

    fn singletons(&self) -> impl Iterator<Item = &Seen> {
        self.seen.values().filter(|seen| seen.count == 1)
    }
}

/// Returns a part of a whole; 1 if there is no whole, because then nothing is known.
#[expect(clippy::cast_precision_loss, reason = "an estimate for people")]
pub(crate) fn share(part: u64, whole: u64) -> f64 {
    if whole == 0 { 1.0 } else { part as f64 / whole as f64 }
}

#[cfg(test)]
mod tests {
    use floodmark_sim::Incident;

    use super::*;

    fn situations(runs: &[&[&'static str]], first_seed: u64) -> Situations {
        let mut situations = Situations::default();
        for (seed, run) in (first_seed..).zip(runs) {
            let reached = run.iter().map(|name| ("worker", "began", *name)).collect();
            situations.add("calm", seed, &reached);
        }
        situations
    }

    #[test]
    fn the_chance_of_something_new_is_the_share_of_runs_that_showed_something_alone() {
        let chance = |runs: &[&[&'static str]]| situations(runs, 0).chance_of_new();
        assert_eq!(chance(&[]), 1.0);
        assert_eq!(chance(&[&["a"]]), 1.0);
        assert_eq!(chance(&[&["a"], &["a"]]), 0.0);
        // Two situations of one run are one run.
        assert_eq!(chance(&[&["a", "b", "c"], &["a"], &["a"], &["a"]]), 0.25);
        assert_eq!(chance(&[&["a", "b"], &["a", "c"], &["a"], &["a"]]), 0.5);
    }

    #[test]
    fn merged_situations_are_those_of_all_runs() {
        let runs: [&[&'static str]; 4] = [&["a", "b"], &["a"], &["b", "c"], &["d"]];
        let mut merged = situations(&runs[..2], 0);
        merged.merge(situations(&runs[2..], 2));
        assert_eq!(merged, situations(&runs, 0));
        assert_eq!(merged.singleton_count(), 2);
    }

    #[test]
    fn a_step_is_what_a_node_does_next() {
        let mut steps = Steps::default();
        let crash = |node: &str| Incident::Crashed { node: node.into() };
        let restart = |node: &str| Incident::Restarted { node: node.into() };
        let incidents = [crash("worker-1"), crash("worker-2"), restart("worker-2")];
        for incident in &incidents {
            steps.see(Sighting::Incident(incident));
        }
        assert_eq!(steps.into_seen(), BTreeSet::from([("worker", "crashed", "restarted")]));
    }
}
