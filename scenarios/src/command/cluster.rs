//! `floodmark coordinator` and `floodmark worker`: the processes of a real cluster, for the jobs
//! that this command has in it.

use std::{
    fmt::Display,
    net::{IpAddr, SocketAddr},
    path::{Path, PathBuf},
    process::ExitCode,
    time::Duration,
};

use clap::{Args, ValueEnum};
use floodmark::{
    CheckpointConfig, ClusterConfig, Environment, Error, ErrorKind, Process, RestartStrategy,
    Secret,
};
use floodmark_scenarios::jobs::flights;

use super::log::{LogArguments, begin};

/// Pause between a failure and the next attempt.
const RESTART_DELAY: Duration = Duration::from_millis(200);

/// The exit status of a coordinator that has lost the job to another one.
const FENCED: u8 = 3;

/// The job. All processes of a cluster are given the same.
#[derive(Args)]
#[command(next_help_heading = "The job, the same for all processes")]
struct JobArguments {
    /// The job.
    #[arg(long, value_enum)]
    job: JobName,
    /// The file it reads.
    #[arg(long, value_name = "FILE")]
    input: PathBuf,
    /// The directory it writes into.
    #[arg(long, value_name = "DIR")]
    output: PathBuf,
    /// Subtasks per operator.
    #[arg(long, value_name = "N", default_value_t = 2, value_parser = clap::value_parser!(u16).range(1..=128))]
    parallelism: u16,
    /// Time between two checkpoints, in milliseconds.
    #[arg(long, value_name = "MS", default_value_t = 1_000, value_parser = positive())]
    checkpoint_ms: u64,
    /// Checkpoints in a row that may fail before the job is restarted.
    #[arg(long, value_name = "N", default_value_t = 3)]
    tolerable_failures: u32,
    /// Failures after which the job is restarted; one more ends it.
    #[arg(long, value_name = "N", default_value_t = 10)]
    restarts: u32,
    /// Rows of the input per second, if not as fast as it goes.
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    rate: Option<u32>,
    /// Silence after which a process is taken for dead, in milliseconds. Heartbeats come five times as
    /// often.
    #[arg(long, value_name = "MS", default_value_t = 5_000, value_parser = clap::value_parser!(u64).range(10..))]
    heartbeat_timeout_ms: u64,
}

/// The jobs there are.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum JobName {
    /// Departures per hour, carrier and airport, from a file of flights.
    Flights,
}

/// What every process has.
#[derive(Args)]
#[command(next_help_heading = "This process")]
struct ProcessArguments {
    /// The directory that all processes share: checkpoints are kept below it.
    #[arg(long, value_name = "DIR")]
    store: PathBuf,
    /// The address that others are told to connect to, if not the one listened on.
    #[arg(long, value_name = "IP")]
    advertise: Option<IpAddr>,
    /// The file with the secret that all processes share. Without one, only loopback is listened on.
    /// Connections are not encrypted.
    #[arg(long, value_name = "FILE")]
    secret_file: Option<PathBuf>,
    /// The directory of this process alone; a temporary one if not given.
    #[arg(long, value_name = "DIR")]
    disk: Option<PathBuf>,
    /// The most bytes that the store may hold: a disk that is full, for tests.
    #[arg(long, value_name = "BYTES", hide = true)]
    store_quota: Option<u64>,
    #[command(flatten)]
    log: LogArguments,
}

/// What a coordinator is told.
#[derive(Args)]
#[command(
    after_help = "SIGTERM or Ctrl-C stops the job with a last checkpoint; a second one cancels it.\n\
    Started again, the job goes on from its last completed checkpoint.\n\n\
    Exit status: 0 the job is finished or was stopped, 1 it failed, 2 wrong usage or a file,\n\
    directory or port that cannot be used, 3 another coordinator rules the job."
)]
pub(crate) struct CoordinatorArguments {
    #[command(flatten)]
    job: JobArguments,
    #[command(flatten)]
    process: ProcessArguments,
    /// Where workers connect.
    #[arg(long, value_name = "IP:PORT", default_value = "127.0.0.1:7100")]
    listen: SocketAddr,
    /// Time for the last checkpoint when the job is asked to stop, in seconds.
    #[arg(long, value_name = "SECONDS", default_value_t = 30)]
    stop_within: u64,
}

/// What a worker is told.
#[derive(Args)]
#[command(
    after_help = "SIGTERM or Ctrl-C makes it leave: the job goes on on the other workers.\n\n\
    Exit status: 0 the job is over or the worker has left, 2 wrong usage or a file, directory or\n\
    port that cannot be used."
)]
pub(crate) struct WorkerArguments {
    #[command(flatten)]
    job: JobArguments,
    #[command(flatten)]
    process: ProcessArguments,
    /// Where a coordinator listens; several are tried in turn.
    #[arg(long = "coordinator", value_name = "HOST:PORT", default_value = "127.0.0.1:7100")]
    coordinators: Vec<String>,
    /// Where other workers connect; port 0 lets the system choose.
    #[arg(long, value_name = "IP:PORT", default_value = "127.0.0.1:0")]
    listen: SocketAddr,
    /// Subtasks of each operator it has room for.
    #[arg(long, value_name = "N", default_value_t = 1, value_parser = clap::value_parser!(u32).range(1..))]
    slots: u32,
}

fn positive() -> clap::builder::RangedU64ValueParser {
    clap::value_parser!(u64).range(1..)
}

/// Coordinates a job to its end.
///
/// # Errors
///
/// When something given cannot be used.
pub(crate) fn coordinate(arguments: &CoordinatorArguments) -> Result<ExitCode, String> {
    let CoordinatorArguments { job, process, listen, stop_within } = arguments;
    let stop_within = Duration::from_secs(*stop_within);
    let coordinator = Process::coordinator(&process.store).stop_within(stop_within);
    run(job, process, coordinator.listen(*listen))
}

/// Works for a job to its end.
///
/// # Errors
///
/// When something given cannot be used.
pub(crate) fn work(arguments: &WorkerArguments) -> Result<ExitCode, String> {
    let WorkerArguments { job, process, coordinators, listen, slots } = arguments;
    let coordinators: Vec<&str> = coordinators.iter().map(String::as_str).collect();
    let worker = Process::worker(&process.store, &coordinators).slots(*slots);
    run(job, process, worker.listen(*listen))
}

fn run(
    job: &JobArguments,
    arguments: &ProcessArguments,
    process: Process,
) -> Result<ExitCode, String> {
    begin(&arguments.log)?;
    let process = placed(arguments, process)?;
    let environment = environment(job)?;
    let JobName::Flights = job.job;
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build();
    let runtime = runtime.map_err(|error| error.to_string())?;
    let ended = runtime.block_on(environment.run_as("flights", &process));
    // What still blocks (a read of a slow disk, say) is not waited for.
    runtime.shutdown_background();
    match ended {
        Ok(()) => Ok(ExitCode::SUCCESS),
        Err(error) => {
            tracing::error!(%error, "this process is over");
            match error.kind() {
                _ if matches!(error, Error::Fenced(_)) => Ok(ExitCode::from(FENCED)),
                ErrorKind::Failure => Ok(ExitCode::from(1)),
                ErrorKind::Job | ErrorKind::Machine => Err(error.to_string()),
            }
        }
    }
}

/// Puts the process in its place.
fn placed(arguments: &ProcessArguments, mut process: Process) -> Result<Process, String> {
    if let Some(address) = arguments.advertise {
        process = process.advertise(address);
    }
    if let Some(directory) = &arguments.disk {
        process = process.disk(directory);
    }
    if let Some(size_bytes) = arguments.store_quota {
        process = process.store_size_max(size_bytes);
    }
    if let Some(file) = &arguments.secret_file {
        process = process.secret(Secret::read(file).map_err(|error| error.to_string())?);
    }
    Ok(process)
}

/// Builds the job, up to its name.
fn environment(arguments: &JobArguments) -> Result<Environment, String> {
    let interval = Duration::from_millis(arguments.checkpoint_ms);
    let heartbeat_timeout = Duration::from_millis(arguments.heartbeat_timeout_ms);
    let attempts = arguments.restarts;
    let environment = Environment::new()
        .parallelism(arguments.parallelism)
        .checkpoints(
            CheckpointConfig::every(interval).tolerable_failures(arguments.tolerable_failures),
        )
        .restart(RestartStrategy::FixedDelay { attempts, delay: RESTART_DELAY })
        .cluster(ClusterConfig {
            heartbeat_interval: heartbeat_timeout / 5,
            heartbeat_timeout,
            ..ClusterConfig::default()
        });
    // Workers and coordinator may be started in different directories.
    let input = whole(&arguments.input, arguments.input.canonicalize())?;
    let created = std::fs::create_dir_all(&arguments.output);
    let output = whole(&arguments.output, created.and_then(|()| arguments.output.canonicalize()))?;
    match arguments.job {
        JobName::Flights => {
            let every = flights::WATERMARK_EVERY;
            flights::build(&environment, &input, &output, arguments.rate, every);
        }
    }
    Ok(environment)
}

/// Returns a path as a job takes it.
fn whole(given: &Path, found: Result<PathBuf, impl Display>) -> Result<String, String> {
    let found = found.map_err(|error| format!("{}: {error}", given.display()))?;
    let path = found.to_str().ok_or_else(|| format!("{}: not UTF-8", given.display()))?;
    Ok(path.to_owned())
}
