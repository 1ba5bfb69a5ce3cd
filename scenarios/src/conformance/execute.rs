//! Runs a case on a simulated cluster.

use std::{
    any::Any,
    collections::{BTreeMap, VecDeque},
    fmt,
    panic::{AssertUnwindSafe, catch_unwind},
    sync::PoisonError,
    time::Duration,
};

use floodmark::{CheckpointConfig, ClusterConfig, EndedInputs, Environment, Job, Timestamp};

use crate::{
    cluster::{self, Cluster, Trial, impatient},
    faults,
    scenario::Draw,
};

use super::{
    case::Case,
    compare,
    event::Step,
    pipeline::{self, Layout, Outputs},
    recorder::{Log, STEP, SharedLog},
    row::Row,
};

/// What became of a case.
#[derive(Clone, Debug)]
pub enum Outcome {
    /// The same came out.
    Passed,
    /// The job cannot be built.
    Unsupported(String),
    /// Something else came out, or nothing.
    Failed(Difference),
}

/// What came out and what was expected.
#[derive(Clone, Debug)]
pub struct Difference {
    /// What differs, in words.
    pub words: String,
    /// Both logs, for those who look closer.
    pub logs: String,
}

impl fmt::Display for Difference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}\n{}", self.words, self.logs)
    }
}

/// Subtasks of an operator whose input has keys, under faults; and workers.
const PARALLELISM: u16 = 3;

/// Time between two steps under faults: the faults of a seed strike within seconds.
const CHAOS_PACE: Duration = Duration::from_millis(250);

/// Runs a case under the faults of a seed and compares the records that come out: the same ones, each
/// once, and those that the case orders by key in the same order.
///
/// A case with several inputs is compared as a multiset, and must not depend on which of them is
/// faster: ask [`depends_on_interleaving`] first. One that has a second exchange, at which results of
/// several subtasks meet in any order, runs in one subtask.
pub fn run_case_in_chaos(case: &Case, seed: u64) -> Outcome {
    let names = || case.pipeline.iter().filter_map(|op| op.text("op"));
    let exchanges = names().filter(|name| matches!(*name, "key_by" | "window_all")).count();
    let parallelism = if 1 < exchanges { 1 } else { PARALLELISM };
    let env = with_checkpoints();
    let trial = Trial { seed, faults: faults::swarm(seed, PARALLELISM), ..Trial::default() };
    let outcome = run_for_records(case, &env, Layout { pace: CHAOS_PACE, parallelism }, trial);
    match outcome {
        Outcome::Failed(Difference { words, logs }) => {
            Outcome::Failed(Difference { words: format!("seed {seed}: {words}"), logs })
        }
        outcome @ (Outcome::Passed | Outcome::Unsupported(_)) => outcome,
    }
}

/// Other orders in which the inputs of a case are merged, to see whether that makes a difference.
const INTERLEAVING_COUNT: u64 = 12;

/// Returns whether the records that come out of a case with several inputs change when the steps of
/// the inputs are interleaved otherwise; found by trying.
pub fn depends_on_interleaving(case: &Case) -> bool {
    let differs = |number| {
        let other = Case { steps: interleaved(case, number), ..case.clone() };
        let trial = Trial { is_plain: true, ..Trial::default() };
        let layout = Layout { pace: STEP, parallelism: 1 };
        let outcome = run_for_records(&other, &with_checkpoints(), layout, trial);
        !matches!(outcome, Outcome::Passed)
    };
    1 < case.input_count && (0..INTERLEAVING_COUNT).any(differs)
}

/// Merges the inputs of a case in another order: the first before the second, the second before the
/// first, and then at random.
fn interleaved(case: &Case, number: u64) -> Vec<Step> {
    let of_input = |input| case.steps.iter().filter(move |step| step.input == input).cloned();
    let mut inputs: Vec<VecDeque<Step>> =
        (0..case.input_count).map(|input| of_input(input).collect()).collect();
    let draw = Draw::new(number);
    let mut steps = Vec::with_capacity(case.steps.len());
    while steps.len() < case.steps.len() {
        let left: Vec<_> = (0..inputs.len()).filter(|input| !inputs[*input].is_empty()).collect();
        let chosen = match number {
            0 => left[0],
            1 => left[left.len() - 1],
            _ => left[below(draw, steps.len(), left.len())],
        };
        steps.extend(inputs[chosen].pop_front());
    }
    steps
}

fn below(draw: Draw, step: usize, bound: usize) -> usize {
    let drawn = draw.below(&format!("step {step}"), bound as u64);
    usize::try_from(drawn).expect("it is below a small bound")
}

/// Runs a case and compares the records alone.
fn run_for_records(case: &Case, env: &Environment, layout: Layout, trial: Trial) -> Outcome {
    let outputs = Outputs::collection();
    let worker_count = if trial.is_plain { 1 } else { PARALLELISM };
    let job = match built(case, env, &outputs, layout) {
        Ok(job) => job,
        Err(reason) => return Outcome::Unsupported(reason),
    };
    let ending = cluster_of(job, worker_count).simulate(trial);
    let Outputs::Collection(collection) = outputs else { unreachable!("it was made as one") };
    let collection = collection.into_inner().unwrap_or_else(PoisonError::into_inner);
    let actual = collection.iter().map(|(tag, rows)| (tag.clone(), rows.values())).collect();
    let words = match ending.result {
        Ok(()) => compare::difference_of_records(case, &actual),
        Err(error) => Some(error.to_string()),
    };
    match words {
        None => Outcome::Passed,
        Some(words) => Outcome::Failed(Difference { words, logs: records(&actual) }),
    }
}

fn cluster_of(job: Job, worker_count: u16) -> Cluster {
    Cluster {
        job,
        successor: None,
        objects: Vec::new(),
        outside: None,
        worker_count,
        finishes_within: Duration::from_secs(60),
        standby_after: None,
        stops_after: None,
    }
}

/// Runs a case without faults and compares its output. Recorded was it with Flink's rule about inputs
/// that have ended, [`EndedInputs::PushOn`].
pub fn run_case(case: &Case, ended_inputs: EndedInputs) -> Outcome {
    let log = SharedLog::default();
    let job = match job(case, &log, ended_inputs) {
        Ok(job) => job,
        Err(reason) => return Outcome::Unsupported(reason),
    };
    let trial = Trial { is_plain: true, ..Trial::default() };
    let ending = cluster_of(job, 1).simulate(trial);
    let actual = log.lock().clone();
    let words = match ending.result {
        Ok(()) => compare::difference(case, &actual),
        Err(error) => Some(error.to_string()),
    };
    match words {
        None => Outcome::Passed,
        Some(words) => Outcome::Failed(Difference { words, logs: logs(case, &actual) }),
    }
}

/// Returns what a panic says.
fn words(panic: &(dyn Any + Send)) -> String {
    let text = panic.downcast_ref::<&str>().map(|text| (*text).to_owned());
    text.or_else(|| panic.downcast_ref::<String>().cloned()).unwrap_or_default()
}

fn with_checkpoints() -> Environment {
    cluster::environment(impatient(CheckpointConfig::every(Duration::from_millis(300))))
}

fn job(case: &Case, log: &SharedLog, ended_inputs: EndedInputs) -> Result<Job, String> {
    let env = Environment::new().ended_inputs(ended_inputs).cluster(ClusterConfig {
        heartbeat_interval: Duration::from_secs(1),
        heartbeat_timeout: Duration::from_secs(5),
        deployment_timeout: Duration::from_secs(5),
    });
    let layout = Layout { pace: STEP, parallelism: 1 };
    built(case, &env, &Outputs::Log(log.clone()), layout)
}

/// Builds the job of a case. A parameter out of bounds panics there, as in a program.
fn built(case: &Case, env: &Environment, outputs: &Outputs, layout: Layout) -> Result<Job, String> {
    let build = || {
        pipeline::build(case, env, outputs, layout)?;
        env.build("conformance").map_err(|error| error.to_string())
    };
    let built = catch_unwind(AssertUnwindSafe(build));
    built.unwrap_or_else(|panic| Err(format!("no job can be built: {}", words(&*panic))))
}

/// Returns records in words, a line for each.
fn records(outputs: &BTreeMap<String, Vec<(Timestamp, Row)>>) -> String {
    let lines = outputs.iter().flat_map(|(tag, rows)| {
        rows.iter().map(move |(time, row)| format!("  to {tag:?}: ts {time}  {row}\n"))
    });
    lines.collect()
}

/// Returns both logs, one above the other; lines that the other one does not have are marked.
fn logs(case: &Case, actual: &Log) -> String {
    let lines_of = |log: &Log| -> Vec<String> {
        let main = log.main.iter().map(ToString::to_string);
        let sides = log
            .sides
            .iter()
            .flat_map(|(tag, lines)| lines.iter().map(move |line| format!("to {tag}: {line}")));
        main.chain(sides).collect()
    };
    let expected = Log { main: case.main.clone(), sides: case.sides.clone() };
    let (expected, actual) = (lines_of(&expected), lines_of(actual));
    let marked = |ours: &[String], others: &[String]| -> String {
        let mark = |line: &String| if others.contains(line) { "   " } else { " > " };
        ours.iter().map(|line| format!("  {}{line}\n", mark(line))).collect()
    };
    format!("  expected\n{}  actual\n{}", marked(&expected, &actual), marked(&actual, &expected))
}
