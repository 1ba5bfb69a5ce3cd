//! Runs a case on a simulated cluster.

use std::{fmt, time::Duration};

use floodmark::{ClusterConfig, Environment, Job};

use crate::cluster::{Cluster, Trial};

use super::{
    case::Case,
    compare, pipeline,
    recorder::{Log, SharedLog},
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

/// Runs a case without faults and compares its output.
pub fn run_case(case: &Case) -> Outcome {
    let log = SharedLog::default();
    let job = match job(case, &log) {
        Ok(job) => job,
        Err(reason) => return Outcome::Unsupported(reason),
    };
    let cluster = Cluster {
        job,
        objects: Vec::new(),
        outside: None,
        worker_count: 1,
        finishes_within: Duration::from_secs(60),
        standby_after: None,
        stops_after: None,
    };
    let ending = cluster.simulate(Trial { is_plain: true, ..Trial::default() });
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

fn job(case: &Case, log: &SharedLog) -> Result<Job, String> {
    let env = Environment::new().cluster(ClusterConfig {
        heartbeat_interval: Duration::from_secs(1),
        heartbeat_timeout: Duration::from_secs(5),
        deployment_timeout: Duration::from_secs(5),
    });
    pipeline::build(case, &env, log)?;
    env.build("conformance").map_err(|error| error.to_string())
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
