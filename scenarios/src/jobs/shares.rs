//! Work that changes hands: every subtask sees all votes and counts those for the candidates that are
//! its own, and with every restart each candidate becomes the next subtask's.
//!
//! So whoever takes over a candidate must learn what another subtask had counted: the counts are a
//! union list. Besides, every subtask keeps a list of its own of the votes that it has seen since it
//! last wrote down their sum, which comes back to it and to nobody else.

use std::{collections::BTreeMap, time::Duration};

use floodmark::{
    BoxError, Environment, FileSink, InitializeContext, OperatorListState, ProcessFunction,
    RecordContext, UnionListState,
};
use serde::{Deserialize, Serialize};

use super::{Input, PreparedJob, ScenarioJob, mix};

/// The job, with votes that the seed makes up.
pub const JOB: ScenarioJob = ScenarioJob { name: "shares", prepare };

const OUTPUT: &str = "output/shares";
const CANDIDATE_COUNT: u64 = 20;

/// Subtasks that share the work.
const SHARE_COUNT: u16 = 3;

/// Votes after which a subtask writes down their sum.
const BUNDLE_LEN: usize = 40;

/// What a subtask has counted, and in which term of office.
#[derive(Clone, Debug, Serialize, Deserialize)]
struct Share {
    /// Restarts before.
    term: u64,
    counts: BTreeMap<u64, u64>,
}

const SHARES: UnionListState<Share> = UnionListState::new("shares");
const BUNDLE: OperatorListState<u64> = OperatorListState::new("bundle");

/// Counts votes.
#[derive(Clone)]
struct Count {
    index: u64,
    share: Share,
}

impl Count {
    fn is_own(&self, candidate: u64) -> bool {
        (candidate + self.share.term) % u64::from(SHARE_COUNT) == self.index
    }
}

impl ProcessFunction for Count {
    type In = (u64, u64);
    type Out = String;

    fn initialize(&mut self, cx: &mut InitializeContext<'_>) -> Result<(), BoxError> {
        self.index = u64::from(cx.subtask_index());
        let all = cx.state(SHARES).get();
        // Every subtask stored one, and was told that of each; else this one takes what others do not
        // give away.
        let term = all.iter().map(|share| share.term + 1).max();
        self.share = Share { term: term.unwrap_or(0), counts: BTreeMap::new() };
        for (candidate, count) in all.into_iter().flat_map(|share| share.counts) {
            if self.is_own(candidate) && self.share.counts.insert(candidate, count).is_some() {
                return Err(format!("two subtasks have counted for {candidate}").into());
            }
        }
        cx.state(SHARES).set([self.share.clone()]);
        Ok(())
    }

    fn on_element(
        &mut self,
        (candidate, weight): (u64, u64),
        cx: &mut RecordContext<'_, String>,
    ) -> Result<(), BoxError> {
        if self.is_own(candidate) {
            let count = self.share.counts.entry(candidate).or_default();
            *count += 1;
            cx.emit(format!("{candidate},{count}"));
            cx.state(SHARES).set([self.share.clone()]);
        }
        cx.state(BUNDLE).push(weight);
        if cx.state(BUNDLE).len() == BUNDLE_LEN {
            // The records of several splits come in any order, so the sum of a bundle may be any;
            // that it has as many as it should is not.
            let (count, least) = (cx.state(BUNDLE).len(), cx.state(BUNDLE).iter().min().copied());
            cx.state(BUNDLE).clear();
            let index = self.index;
            cx.emit(format!("subtask {index} has seen {count} of at least {least:?}"));
        }
        Ok(())
    }
}

/// Returns whom a vote is for, and a weight that all votes have.
fn vote(seed: u64, index: u64) -> (u64, u64) {
    (mix(seed ^ mix(index)) % CANDIDATE_COUNT, seed % 7)
}

fn prepare(input: &Input) -> PreparedJob {
    let expected = expected(input.seed, &input.indices());
    let input = input.clone();
    PreparedJob::new(move |env| build(env, &input), BTreeMap::from([(OUTPUT, expected)]))
}

fn build(env: &Environment, input: &Input) {
    let seed = input.seed;
    let votes = input.source((0, 1), Duration::from_secs(8), move |index| vote(seed, index));
    let share = Share { term: 0, counts: BTreeMap::new() };
    env.source("votes", votes)
        .broadcast()
        .process(Count { index: 0, share })
        .uid("count")
        .parallelism(SHARE_COUNT)
        .sink("counts", FileSink::new(OUTPUT, |line: &String| line.clone()));
}

/// The naive model: a counter per candidate, and as many bundles for each subtask as there are votes
/// for.
fn expected(seed: u64, indices: &[u64]) -> Vec<String> {
    let mut counts: BTreeMap<u64, u64> = BTreeMap::new();
    let mut lines = Vec::new();
    for index in indices {
        let (candidate, _) = vote(seed, *index);
        let count = counts.entry(candidate).or_default();
        *count += 1;
        lines.push(format!("{candidate},{count}"));
    }
    for subtask in 0..SHARE_COUNT {
        for _ in 0..indices.len() / BUNDLE_LEN {
            let line =
                format!("subtask {subtask} has seen {BUNDLE_LEN} of at least {:?}", Some(seed % 7));
            lines.push(line);
        }
    }
    lines
}
