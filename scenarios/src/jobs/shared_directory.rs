//! Two sinks of one job that write into one directory.
//!
//! Numbers are divided among them, and each makes parts of the same subtasks, attempts and sequence
//! numbers as the other. Nothing but the sink's own name keeps their parts apart.

use std::{collections::BTreeMap, time::Duration};

use floodmark::{Environment, FileSink};

use super::{Input, PreparedJob, ScenarioJob, mix};

/// The job, with numbers that the seed makes up.
pub const JOB: ScenarioJob = ScenarioJob { name: "shared_directory", prepare };

const OUTPUT: &str = "output/shared";

fn line(stream: u64, number: u64) -> String {
    format!("{stream},{number}")
}

fn prepare(input: &Input) -> PreparedJob {
    let seed = input.seed;
    let number = move |index| mix(seed ^ mix(index));
    // Every other record goes to the left.
    let lines = input.indices().into_iter().map(|index| line(index % 2, number(index)));
    let expected = lines.collect();
    let input = input.clone();
    let build = move |env: &Environment| {
        for (stream, name) in [(0, "left"), (1, "right")] {
            let numbers = input.source((stream, 2), Duration::from_secs(7), number);
            env.source(&format!("{name}-numbers"), numbers)
                .rebalance()
                .sink(name, FileSink::new(OUTPUT, move |number: &u64| line(stream, *number)));
        }
    };
    PreparedJob::new(build, BTreeMap::from([(OUTPUT, expected)]))
}
