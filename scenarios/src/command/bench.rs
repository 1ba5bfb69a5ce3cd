//! `floodmark bench`: how much of the machine a workload takes, and how much a loop would take.
//!
//! Exit status: 0 if all went well, 1 if the runtime and the loop came to different results.

use std::{
    net::SocketAddr,
    path::{Path, PathBuf},
    process::Command,
    time::Duration,
};

use clap::Args;
use floodmark_scenarios::bench::{
    MeasureOptions, Measurement, PartOptions, Reading, SimulationSpeed, WORKLOADS, Workload,
    clocks, measure_simulation, memory_peak_kib,
};

/// Runs of the simulator, unless said otherwise.
const SIMULATION_COUNT: u64 = 100;

/// What is measured.
#[derive(Args)]
pub(crate) struct BenchArguments {
    /// A workload; `all` for a table of all of them; `sim` for the speed of the simulator.
    #[arg(value_parser = names())]
    what: String,
    /// Events of the whole job, or runs of the simulator; a number that suits if not given.
    #[arg(long, value_name = "N")]
    events: Option<u64>,
    /// Subtasks per operator.
    #[arg(long, value_name = "P", default_value_t = 1)]
    parallelism: u16,
    /// Time between checkpoints in milliseconds; 0 for none.
    #[arg(long, value_name = "T", default_value_t = 1_000)]
    checkpoint_ms: u64,
    /// Records that travel together.
    #[arg(long, value_name = "B", default_value_t = 512)]
    batch_size: usize,
    /// How often to run; the median counts.
    #[arg(long, value_name = "R", default_value_t = 1)]
    reps: u32,
    /// Puts the two sides of the exchange into two processes, with TCP on loopback between them, and a
    /// third that coordinates. Parallelism is 1.
    #[arg(long, conflicts_with = "parallelism")]
    remote: bool,
    /// Takes part in the measurement of another process.
    #[arg(long, hide = true, value_name = "IP:PORT", requires = "store")]
    part_of: Option<SocketAddr>,
    /// The directory of that measurement.
    #[arg(long, hide = true, value_name = "DIR")]
    store: Option<PathBuf>,
    /// Also does the same work in a loop of one thread, and says the ratio.
    #[arg(long)]
    baseline: bool,
    /// Only the loop.
    #[arg(long, conflicts_with = "baseline")]
    only_baseline: bool,
    /// One JSON object per run.
    #[arg(long)]
    json: bool,
}

fn names() -> Vec<&'static str> {
    WORKLOADS.iter().map(|workload| workload.name).chain(["all", "sim"]).collect()
}

/// The runs of one workload, in the order of their computing time.
struct Runs {
    peer: &'static str,
    variant: String,
    workload: &'static Workload,
    parallelism: u16,
    event_count: u64,
    runs: Vec<Measurement>,
}

/// Measures what was asked for, and shows it. Returns whether all results are right.
///
/// # Errors
///
/// When a job cannot be run.
pub(crate) fn bench(arguments: &BenchArguments) -> Result<bool, String> {
    match arguments.what.as_str() {
        "all" => return all(arguments),
        "sim" => return simulation(arguments),
        _ => {}
    }
    let workload = Workload::find(&arguments.what).expect("the parser knows all names");
    if let Some(coordinator) = arguments.part_of {
        let directory = arguments.store.clone().unwrap_or_default();
        let measure = options(arguments, workload, 1);
        let part = PartOptions { measure, directory, coordinator };
        println!("{}", workload.take_part(&part, clocks)?);
        return Ok(true);
    }
    let (mut by_hand, mut job) = runs(workload, arguments, arguments.parallelism);
    for rep in 0..arguments.reps.max(1) {
        if arguments.baseline || arguments.only_baseline || !workload.has_job() {
            by_hand.runs.push(workload.measure_loop(by_hand.event_count, clocks));
            by_hand.show_json(arguments, rep);
        }
        if !arguments.only_baseline && workload.has_job() {
            job.runs.push(measure(workload, arguments, arguments.parallelism)?);
            job.show_json(arguments, rep);
        }
    }
    by_hand.show_median(arguments);
    job.show_median(arguments);
    let Some(ratio) = job.ratio_to(&by_hand) else { return Ok(true) };
    if arguments.json {
        println!("{}", serde_json::json!({ "wl": workload.name, "cpu_ratio": ratio }));
    } else {
        println!("{:8} computes {ratio:.2} times as long as the loop", workload.name);
    }
    Ok(job.agrees_with(&by_hand))
}

/// Returns the runs of the loop and of the job, before the first.
fn runs(workload: &'static Workload, arguments: &BenchArguments, parallelism: u16) -> (Runs, Runs) {
    let event_count = arguments.events.unwrap_or(workload.event_count);
    let variant = match arguments.checkpoint_ms {
        0 => "no checkpoints".to_owned(),
        millis => format!("exactly-once, {millis} ms"),
    };
    let variant = if arguments.remote { format!("{variant}, two processes") } else { variant };
    let of = |peer, variant, parallelism| Runs {
        peer,
        variant,
        workload,
        parallelism,
        event_count,
        runs: Vec::new(),
    };
    (of("loop", "by hand".to_owned(), 1), of("floodmark", variant, parallelism))
}

fn measure(
    workload: &Workload,
    arguments: &BenchArguments,
    parallelism: u16,
) -> Result<Measurement, String> {
    let options = options(arguments, workload, parallelism);
    let directory = tempfile::tempdir().map_err(|error| error.to_string())?;
    if arguments.remote {
        let program = std::env::current_exe().map_err(|error| error.to_string())?;
        let command = |part: &PartOptions| part_command(&program, workload, arguments, part);
        return workload.measure_remote(&options, directory.path(), clocks, command);
    }
    workload.measure(&options, directory.path(), clocks).map_err(|error| error.to_string())
}

fn options(arguments: &BenchArguments, workload: &Workload, parallelism: u16) -> MeasureOptions {
    let BenchArguments { events, checkpoint_ms, batch_size, .. } = *arguments;
    MeasureOptions {
        event_count: events.unwrap_or(workload.event_count),
        parallelism,
        checkpoint_interval: (checkpoint_ms != 0).then(|| Duration::from_millis(checkpoint_ms)),
        batch_size,
    }
}

/// Returns the command of a process that takes part.
fn part_command(
    program: &Path,
    workload: &Workload,
    arguments: &BenchArguments,
    part: &PartOptions,
) -> Command {
    let mut command = Command::new(program);
    command.arg("bench").arg(workload.name).arg("--store").arg(&part.directory);
    let numbers = [
        ("--part-of", part.coordinator.to_string()),
        ("--events", part.measure.event_count.to_string()),
        ("--checkpoint-ms", arguments.checkpoint_ms.to_string()),
        ("--batch-size", part.measure.batch_size.to_string()),
    ];
    for (name, value) in numbers {
        command.arg(name).arg(value);
    }
    command
}

impl Runs {
    /// Returns the run in the middle, by computing time.
    fn median(&self) -> Option<&Measurement> {
        let mut runs: Vec<&Measurement> = self.runs.iter().collect();
        runs.sort_by_key(|run| run.whole.0[1]);
        runs.get(runs.len() / 2).copied()
    }

    /// Returns the median's wall-clock time and computing time per event, in nanoseconds.
    fn nanos(&self) -> Option<[f64; 2]> {
        self.median().map(|run| run.whole.0.map(|nanos| per(nanos, self.event_count)))
    }

    fn ratio_to(&self, other: &Self) -> Option<f64> {
        Some(self.nanos()?[1] / other.nanos()?[1])
    }

    /// Returns whether all runs of both came to the same rows.
    fn agrees_with(&self, other: &Self) -> bool {
        let result = |run: &Measurement| (run.tally.rows, run.tally.check);
        let mut results = self.runs.iter().chain(&other.runs).map(result);
        let first = results.next();
        results.all(|result| Some(result) == first)
    }

    fn show_json(&self, arguments: &BenchArguments, rep: u32) {
        if let (true, Some(run)) = (arguments.json, self.runs.last()) {
            println!("{}", self.to_json(run, &rep.into()));
        }
    }

    fn show_median(&self, arguments: &BenchArguments) {
        let (Some(run), Some([wall, cpu])) = (self.median(), self.nanos()) else { return };
        if arguments.json && 1 < arguments.reps {
            println!("{}", self.to_json(run, &"median".into()));
        } else if !arguments.json {
            let Self { peer, workload, parallelism, event_count, .. } = self;
            let Measurement { tally, epoch_count, .. } = run;
            println!(
                "{:8} {peer:9} P={parallelism}  {cpu:8.1} ns computed and {wall:8.1} ns passed per \
                 event, {event_count} events, {epoch_count} epochs, {} rows, check {:016x}",
                workload.name, tally.rows, tally.check,
            );
        }
    }

    fn to_json(&self, run: &Measurement, rep: &serde_json::Value) -> serde_json::Value {
        let Self { peer, variant, workload, parallelism, event_count, .. } = self;
        let Measurement { tally, whole: Reading([wall, cpu]), epoch_count, .. } = run;
        serde_json::json!({
            "peer": peer,
            "variant": variant,
            "wl": workload.name,
            "p": parallelism,
            "n": event_count,
            "rep": rep,
            "wall_ns": wall,
            "cpu_ns": cpu,
            "rows": tally.rows,
            "check": format!("{:016x}", tally.check),
            "check2": format!("{:016x}", tally.check2),
            "rss_kb": memory_peak_kib(),
            "epochs": epoch_count,
        })
    }
}

/// Measures every workload with one and with two subtasks, and prints a table in Markdown.
fn all(arguments: &BenchArguments) -> Result<bool, String> {
    let mut all_agree = true;
    println!("| workload | what | loop | P=1 | ratio | P=2 | ratio | P=1 to P=2, passed |");
    println!("|---|---|--:|--:|--:|--:|--:|--:|");
    for workload in WORKLOADS {
        let (mut by_hand, mut one) = runs(workload, arguments, 1);
        let (_, mut two) = runs(workload, arguments, 2);
        for _ in 0..arguments.reps.max(1) {
            by_hand.runs.push(workload.measure_loop(by_hand.event_count, clocks));
            if workload.has_job() {
                one.runs.push(measure(workload, arguments, 1)?);
                two.runs.push(measure(workload, arguments, 2)?);
            }
        }
        all_agree &= one.agrees_with(&by_hand) && two.agrees_with(&by_hand);
        let cell = |number: Option<f64>| number.map_or_else(String::new, |n| format!("{n:.1}"));
        let cpu = |runs: &Runs| cell(runs.nanos().map(|[_, cpu]| cpu));
        let ratio = |runs: &Runs| cell(runs.ratio_to(&by_hand));
        let wall = |runs: &Runs| runs.nanos().map(|[wall, _]| wall);
        let speedup = wall(&one).zip(wall(&two)).map(|(one, two)| one / two);
        println!(
            "| {} | {} | {} | {} | {} | {} | {} | {} |",
            workload.name,
            workload.tells,
            cpu(&by_hand),
            cpu(&one),
            ratio(&one),
            cpu(&two),
            ratio(&two),
            cell(speedup),
        );
    }
    Ok(all_agree)
}

/// Measures the speed of the simulator.
fn simulation(arguments: &BenchArguments) -> Result<bool, String> {
    let speed = measure_simulation(arguments.events.unwrap_or(SIMULATION_COUNT), clocks)?;
    if arguments.json {
        let mut line = serde_json::to_value(speed).map_err(|error| error.to_string())?;
        line["wl"] = "sim".into();
        println!("{line}");
        return Ok(true);
    }
    let SimulationSpeed { run_count, runs_per_second, speed_up, check_share, .. } = speed;
    let SimulationSpeed { compared_runs_per_second, checkpoints_per_run, .. } = speed;
    let SimulationSpeed { worker_count, parallelism, record_count, fault_count, .. } = speed;
    println!(
        "sim      {runs_per_second:.0} runs per second and core ({run_count} runs: \
         {worker_count} workers, parallelism {parallelism}, {record_count} records, \
         {fault_count} faults, {checkpoints_per_run:.1} checkpoints), {speed_up:.0} times as fast as \
         the time they simulate; {:.0} % of it are checks; compared with runs without faults, as a \
         sweep does: {compared_runs_per_second:.0}",
        check_share * 100.0,
    );
    Ok(true)
}

#[expect(clippy::cast_precision_loss, reason = "shown with one digit")]
fn per(nanos: u64, count: u64) -> f64 {
    nanos as f64 / count.max(1) as f64
}
