//! Small jobs, one per idea, each with a test that runs it on a cluster whose parts fail.
//!
//! ```console
//! $ cargo run --example jobs
//! $ cargo run --example jobs -- rising_water silent_devices
//! $ cargo nextest run --package floodmark-scenarios --example jobs
//! ```
//!
//! The first runs all of them on threads of this process and prints what they found, the second those
//! that are named. The tests run the same functions in the simulator, and compare with a computation in
//! plain Rust.
//!
//! Their order matters to most of these jobs: a rise is a rise because of the reading before. So each
//! input is read by one subtask, and what follows it up to the keys runs in one, too. Behind
//! `key_by` they run in as many as the job has.

mod alarms;
mod archives;
mod counters;
mod flights;
mod lists;
mod lookups;
mod patterns;
mod splits;
mod two_inputs;
mod windows;

use std::{error::Error, fmt::Debug, io::Write as _, path::Path, time::Duration};

use floodmark::{CheckpointConfig, Data, Environment, Generator, RestartStrategy, Stream};

/// A job that can be run by its name.
struct Example {
    name: &'static str,
    about: &'static str,
    build: fn(&Environment) -> Results,
}

/// Returns what a job has found, once it has ended.
type Results = Box<dyn Fn() -> Vec<String>>;

/// Records of each input, and how many of them come per second: enough time for something to fail.
const COUNT: u64 = 400;
const RATE: u32 = 200;

/// Results that are shown of each job.
const SHOWN_COUNT: usize = 3;

/// Keeps the results of a job until they are shown.
fn shown<T: Data + Debug>(results: Stream<T>) -> Results {
    let collected = results.collect("results");
    Box::new(move || collected.values().iter().map(|result| format!("{result:?}")).collect())
}

/// Begins a stream of `make(0)`, `make(1)`, …, in this order.
fn input<T: Data>(
    env: &Environment,
    name: &str,
    make: impl Fn(u64) -> T + Send + Sync + 'static,
) -> Stream<T> {
    env.source(name, Generator::new(COUNT, make).rate(RATE)).parallelism(1)
}

/// Returns the event time of record `index`, when one comes every so many milliseconds.
fn time_of(index: u64, step_ms: u64) -> i64 {
    i64::try_from(index * step_ms).expect("an input is short")
}

/// Returns a number that looks random, and is the same in every run.
fn mix(number: u64) -> u64 {
    let mut mixed = number.wrapping_add(0x9e37_79b9_7f4a_7c15);
    mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    mixed ^ (mixed >> 31)
}

/// What a job that matters sets: how often it is saved, what a failure leads to, where it is kept.
fn environment(storage: &Path) -> Environment {
    let checkpoints = CheckpointConfig::every(Duration::from_secs(1))
        .timeout(Duration::from_secs(60))
        .min_pause(Duration::from_millis(500))
        .tolerable_failures(3);
    Environment::new()
        .parallelism(2)
        .checkpoints(checkpoints)
        .restart(RestartStrategy::FixedDelay { attempts: 3, delay: Duration::from_secs(10) })
        .storage(&storage.display().to_string())
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let wanted: Vec<String> = std::env::args().skip(1).collect();
    let all = [
        counters::EXAMPLES,
        lists::EXAMPLES,
        windows::EXAMPLES,
        alarms::EXAMPLES,
        splits::EXAMPLES,
        two_inputs::EXAMPLES,
        patterns::EXAMPLES,
        flights::EXAMPLES,
        lookups::EXAMPLES,
        archives::EXAMPLES,
    ];
    let all = all.into_iter().flatten();
    let is_wanted =
        |example: &&Example| wanted.is_empty() || wanted.iter().any(|name| name == example.name);
    let storage = tempfile::tempdir()?;
    // All at once: an input takes its time.
    let mut running = Vec::new();
    for example in all.filter(is_wanted) {
        let env = environment(storage.path());
        let results = (example.build)(&env);
        running.push((example, env.execute(example.name).await?, results));
    }
    for (example, handle, results) in running {
        handle.wait().await?;
        show(example, &results())?;
    }
    Ok(())
}

/// Prints the last results of a job.
fn show(example: &Example, results: &[String]) -> std::io::Result<()> {
    let mut out = std::io::stdout().lock();
    writeln!(out, "{}: {}", example.name, example.about)?;
    for result in &results[results.len().saturating_sub(SHOWN_COUNT)..] {
        writeln!(out, "    {result}")?;
    }
    writeln!(out, "    {} results", results.len())
}

/// Simulates a job with twenty mixes of faults.
#[cfg(test)]
fn simulate<T: Data>(
    build: impl Fn(&Environment) -> Stream<T> + 'static,
) -> floodmark_scenarios::Simulation<T> {
    floodmark_scenarios::Simulation::new(build).seeds(0..200)
}

/// Returns results in an order of their own: they come in any.
#[cfg(test)]
fn sorted<T: Ord + Clone>(results: impl IntoIterator<Item = T>) -> Vec<T> {
    let mut results: Vec<T> = results.into_iter().collect();
    results.sort();
    results
}
