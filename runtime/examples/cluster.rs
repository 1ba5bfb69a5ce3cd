//! One binary, three ways to run it: alone, as a coordinator or as a worker.
//!
//! ```console
//! $ cargo build -p floodmark --example cluster
//! $ export FLOODMARK_STORE=/tmp/counts
//! $ FLOODMARK_ROLE=worker target/debug/examples/cluster &
//! $ FLOODMARK_ROLE=worker target/debug/examples/cluster &
//! $ FLOODMARK_ROLE=coordinator target/debug/examples/cluster
//! $ cat /tmp/counts/output/counts/part-*
//! ```
//!
//! Without `FLOODMARK_ROLE` the job runs on threads of this process. Stop the coordinator by Ctrl-C and
//! start all three again: the job goes on where it was.

use std::time::Duration;

use floodmark::{
    CheckpointConfig, Environment, Error, FileSink, Generator, Process, RestartStrategy, Tumbling,
    WatermarkStrategy, Window,
};

/// Counts the multiples of seven among the numbers below 20 000, thousand by thousand.
fn build(env: &Environment) {
    env.source("numbers", Generator::new(20_000, |number| number).rate(2_000))
        .watermarks(WatermarkStrategy::ascending().timestamps(|number: &u64| number.cast_signed()))
        .key_by(|number| number % 7 == 0)
        .window(Tumbling::event_time(Duration::from_secs(1)))
        .fold(0_u64, |count, _| *count += 1)
        .uid("per-thousand")
        .sink(
            "counts",
            FileSink::new("output/counts", |(is_multiple, window, count): &(bool, Window, u64)| {
                format!("{},{is_multiple},{count}", window.start.0)
            }),
        );
}

#[tokio::main]
async fn main() -> Result<(), Error> {
    let env = Environment::new()
        .parallelism(2)
        .checkpoints(CheckpointConfig::every(Duration::from_millis(500)))
        .restart(RestartStrategy::FixedDelay { attempts: 10, delay: Duration::from_secs(1) });
    build(&env);
    match Process::from_environment()? {
        Some(process) => env.run_as("counts", &process).await,
        None => env.execute("counts").await?.wait().await,
    }
}
