//! Two sinks of one job that write into one directory.
//!
//! Numbers are divided among them, and each makes parts of the same subtasks, attempts and sequence
//! numbers as the other. Nothing but the sink's own name keeps their parts apart.

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use floodmark::{Environment, FileSink, Generator, Stream};

use super::{Input, PreparedJob, ScenarioJob, mix, no_law};

/// The job, with numbers that the seed makes up.
pub const JOB: ScenarioJob = ScenarioJob { name: "shared_directory", prepare };

const OUTPUT: &str = "output/shared";

fn line(stream: u64, number: u64) -> String {
    format!("{stream},{number}")
}

fn prepare(input: &Input) -> PreparedJob {
    let seed = input.seed;
    // Every other record goes to the left.
    let numbers = |stream| -> Arc<[u64]> {
        let ours = input.indices().into_iter().filter(move |index| index % 2 == stream);
        ours.map(move |index| mix(seed ^ mix(index))).collect()
    };
    let streams = [(0, "left", numbers(0)), (1, "right", numbers(1))];
    let lines = streams.iter().flat_map(|(stream, _, numbers)| {
        numbers.iter().map(|number| line(*stream, *number)).collect::<Vec<_>>()
    });
    let expected = lines.collect();
    let build = move |env: &Environment| {
        for (stream, name, numbers) in &streams {
            let (stream, numbers) = (*stream, numbers.clone());
            let rate = Input::rate_of(numbers.len(), Duration::from_secs(7));
            let count = numbers.len() as u64;
            let number =
                move |index| numbers[usize::try_from(index).expect("the input fits into memory")];
            let numbers: Stream<u64> =
                env.source(&format!("{name}-numbers"), Generator::new(count, number).rate(rate));
            let format = move |number: &u64| line(stream, *number);
            numbers.rebalance().sink(name, FileSink::new(OUTPUT, format));
        }
    };
    PreparedJob {
        objects: Vec::new(),
        build: Box::new(build),
        expected: BTreeMap::from([(OUTPUT, expected)]),
        law: no_law,
        outside: None,
    }
}
