//! The `floodmark` command: stories of a cluster, seed by seed.

#![expect(clippy::print_stdout, reason = "this is the program's output")]

mod command;

use std::{
    ops::Range,
    path::{Path, PathBuf},
    process::ExitCode,
    sync::atomic::{AtomicBool, AtomicU64, Ordering},
    thread,
};

use clap::{Parser, Subcommand};
use command::bugs::BugsArguments;
#[cfg(feature = "planted-bugs")]
use floodmark::platform::{PlantedBug, plant};
use floodmark_scenarios::{
    ReplayFile, RunOptions, RunReport, Scenario, catalog, run,
    sweep::{ScenarioSummary, SweepOptions, SweepSummary, Totals, distinct_failures, sweep},
};
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};

/// Failures of a sweep that are printed in full.
const SHOWN_FAILURE_COUNT: usize = 5;

/// Where the recordings of failures go.
const FAILURES: &str = "target/floodmark-failures";

#[derive(Parser)]
#[command(
    name = "floodmark",
    version,
    about = "Stories of a stream processor's cluster, seed by seed"
)]
struct Arguments {
    /// Plants a bug in the runtime first, by its name.
    #[cfg(feature = "planted-bugs")]
    #[arg(long, global = true, value_name = "NAME", value_parser = parse_bug)]
    plant: Option<PlantedBug>,
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Shows the scenarios and what they tell.
    List {
        /// One JSON object per line.
        #[arg(long)]
        json: bool,
    },
    /// Runs one seed of one scenario, twice, and compares the two runs.
    Run {
        /// The scenario's name.
        scenario: String,
        /// The seed.
        #[arg(long, default_value_t = 0)]
        seed: u64,
        /// Writes a recording of the run that `replay` can repeat.
        #[arg(long, value_name = "FILE")]
        record: Option<PathBuf>,
        /// One JSON object.
        #[arg(long)]
        json: bool,
    },
    /// Runs many seeds over all cores.
    Sweep {
        /// The scenarios; all of them if none is named.
        scenarios: Vec<String>,
        /// A count, or a range `A..B`.
        #[arg(long, default_value = "100", value_parser = parse_seeds)]
        seeds: Range<u64>,
        /// Threads; one per core if not given.
        #[arg(long)]
        threads: Option<usize>,
        /// One JSON object per scenario and per failure.
        #[arg(long)]
        json: bool,
    },
    /// Plants bugs that others shipped, one after the other, and shows how soon each is found.
    Bugs(BugsArguments),
    /// Repeats a recorded run from its file.
    Replay {
        /// The file.
        file: PathBuf,
        /// One JSON object.
        #[arg(long)]
        json: bool,
    },
}

fn parse_seeds(text: &str) -> Result<Range<u64>, String> {
    let number = |text: &str| text.parse::<u64>().map_err(|error| format!("{text:?}: {error}"));
    let range = match text.split_once("..") {
        Some((start, end)) => number(start)?..number(end)?,
        None => 0..number(text)?,
    };
    if range.is_empty() { Err(format!("{text:?} has no seed in it")) } else { Ok(range) }
}

#[cfg(feature = "planted-bugs")]
fn parse_bug(name: &str) -> Result<PlantedBug, String> {
    let mut bugs = PlantedBug::ALL.iter();
    let bug = bugs.find(|bug| format!("{bug:?}") == name);
    bug.copied().ok_or_else(|| format!("there is no such bug; there are: {:?}", PlantedBug::ALL))
}

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    #[cfg(feature = "planted-bugs")]
    plant(arguments.plant);
    let result = match arguments.command {
        Command::List { json } => {
            list(json);
            Ok(true)
        }
        Command::Run { scenario, seed, record, json } => {
            run_one(&scenario, seed, record.as_deref(), json)
        }
        Command::Sweep { scenarios, seeds, threads, json } => {
            sweep_all(&scenarios, seeds, threads, json)
        }
        Command::Bugs(arguments) => command::bugs::bugs(&arguments),
        Command::Replay { file, json } => replay(&file, json),
    };
    match result {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::from(1),
        Err(message) => {
            #[expect(clippy::print_stderr, reason = "this is the program's complaint")]
            {
                eprintln!("floodmark: {message}");
            }
            ExitCode::from(2)
        }
    }
}

fn find(name: &str) -> Result<&'static Scenario, String> {
    catalog::find(name).ok_or_else(|| {
        let names: Vec<_> = catalog::ALL.iter().map(|scenario| scenario.name).collect();
        format!("there is no scenario {name:?}; there are: {}", names.join(", "))
    })
}

fn list(json: bool) {
    let mut last = None;
    for Scenario { name, group, tells, must_reach, .. } in catalog::ALL {
        if json {
            let probes: Vec<_> = must_reach.iter().map(|probe| probe.name).collect();
            println!(
                "{}",
                serde_json::json!({
                    "scenario": name,
                    "group": group.title(),
                    "tells": tells,
                    "must_reach": probes,
                })
            );
            continue;
        }
        if last != Some(*group) {
            println!("{}{}", if last.is_some() { "\n" } else { "" }, group.title());
            last = Some(*group);
        }
        println!("  {name:26} {tells}");
    }
}

fn show(report: &RunReport, json: bool) {
    if json {
        println!("{}", report.to_json());
    } else {
        println!("{report}");
    }
}

fn record(report: &RunReport, path: &Path) -> Result<(), String> {
    let file = ReplayFile {
        scenario: report.scenario.to_owned(),
        seed: report.seed,
        shape: report.shape.clone(),
        faults: report.faults.clone(),
        tape: report.tape.clone(),
        check: report.failure.as_ref().map(|failure| failure.check.clone()),
        hash: format!("{:032x}", report.hash),
    };
    file.write(path).map_err(|error| error.to_string())
}

fn run_one(name: &str, seed: u64, path: Option<&Path>, json: bool) -> Result<bool, String> {
    let options =
        RunOptions { is_repeated: true, is_recorded: path.is_some(), ..RunOptions::default() };
    let report = run(find(name)?, seed, &options);
    if let Some(path) = path {
        record(&report, path)?;
    }
    show(&report, json);
    Ok(report.failure.is_none())
}

fn replay(path: &Path, json: bool) -> Result<bool, String> {
    let file = ReplayFile::read(path).map_err(|error| error.to_string())?;
    let options = RunOptions {
        shape: file.shape,
        faults: Some(file.faults),
        tape: Some(file.tape),
        ..RunOptions::default()
    };
    let report = run(find(&file.scenario)?, file.seed, &options);
    show(&report, json);
    let hash = format!("{:032x}", report.hash);
    if !json && hash == file.hash {
        println!("  the same run as recorded");
    } else if !json {
        println!("  not the run that was recorded, which had the hash {}", file.hash);
    }
    Ok(report.failure.is_none())
}

fn sweep_all(
    names: &[String],
    seeds: Range<u64>,
    threads: Option<usize>,
    json: bool,
) -> Result<bool, String> {
    let scenarios = if names.is_empty() {
        catalog::ALL.to_vec()
    } else {
        names.iter().map(|name| find(name)).collect::<Result<_, _>>()?
    };
    let cores = thread::available_parallelism().map_or(1, usize::from);
    let options = SweepOptions { scenarios, seeds, thread_count: threads.unwrap_or(cores) };
    let bar = progress_bar(&options, json);
    let failed = AtomicU64::new(0);
    let summary = sweep(&options, &AtomicBool::new(false), |report| {
        if report.failure.is_some() {
            let count = failed.fetch_add(1, Ordering::Relaxed) + 1;
            bar.set_message(format!("{count} failed"));
        }
        bar.inc(1);
    });
    let elapsed = bar.elapsed().as_secs_f64();
    bar.finish_and_clear();
    let recordings = record_failures(&summary)?;
    if json {
        show_json(&options, &summary);
    } else {
        show_table(&options, &summary, elapsed);
        show_failures(&summary, &recordings);
    }
    Ok(summary.is_green())
}

fn progress_bar(options: &SweepOptions, json: bool) -> ProgressBar {
    let seed_count = options.seeds.end - options.seeds.start;
    let bar = ProgressBar::new(seed_count * options.scenarios.len() as u64);
    if json {
        bar.set_draw_target(ProgressDrawTarget::hidden());
    }
    let template = "{bar:40} {pos}/{len} clusters, {per_sec}, {eta} to go {msg:.red}";
    let style = ProgressStyle::with_template(template).expect("the template is well-formed");
    bar.set_style(style);
    bar
}

/// Runs one seed of each kind of failure again, recording it.
fn record_failures(summary: &SweepSummary) -> Result<Vec<PathBuf>, String> {
    let mut paths = Vec::new();
    for report in distinct_failures(&summary.failures).into_iter().take(SHOWN_FAILURE_COUNT) {
        let options = RunOptions { is_recorded: true, ..RunOptions::default() };
        let recorded = run(find(report.scenario)?, report.seed, &options);
        let path = Path::new(FAILURES).join(format!("{}-{}.json", report.scenario, report.seed));
        record(&recorded, &path)?;
        paths.push(path);
    }
    Ok(paths)
}

fn show_json(options: &SweepOptions, summary: &SweepSummary) {
    for scenario in &options.scenarios {
        let Some(ScenarioSummary { run_count, totals, probes, unreached }) =
            summary.scenarios.get(scenario.name)
        else {
            continue;
        };
        let failed = summary.failures.iter().filter(|report| report.scenario == scenario.name);
        let failed_count = failed.count();
        println!(
            "{}",
            serde_json::json!({
                "scenario": scenario.name,
                "ok": failed_count == 0 && unreached.is_empty(),
                "runs": run_count,
                "failed": failed_count,
                "totals": totals,
                "probes": probes,
                "unreached": unreached,
            })
        );
    }
    summary.failures.iter().for_each(|report| println!("{}", report.to_json()));
}

fn show_table(options: &SweepOptions, summary: &SweepSummary, elapsed: f64) {
    println!(
        "{:18} {:>7} {:>7} {:>8} {:>10} {:>11} {:>10} {:>10}",
        "scenario", "seeds", "failed", "faults", "recoveries", "checkpoints", "lines", "simulated"
    );
    let mut run_count = 0;
    for scenario in &options.scenarios {
        let Some(row) = summary.scenarios.get(scenario.name) else { continue };
        let failed = summary.failures.iter().filter(|report| report.scenario == scenario.name);
        let Totals { virtual_ms, faults, recoveries, checkpoints, lines, .. } = row.totals;
        println!(
            "{:18} {:>7} {:>7} {faults:>8} {recoveries:>10} {checkpoints:>11} {lines:>10} {:>8} s",
            scenario.name,
            row.run_count,
            failed.count(),
            virtual_ms / 1_000,
        );
        if !row.unreached.is_empty() {
            println!("  no seed reached: {}", row.unreached.join(", "));
        }
        run_count += row.run_count;
    }
    #[expect(clippy::cast_precision_loss, reason = "a rate for people")]
    let rate = run_count as f64 / elapsed.max(0.001);
    println!("{run_count} clusters in {elapsed:.1} s, {rate:.0} a second");
    if summary.is_green() {
        println!("Every line of output was written exactly once, and every promise kept.");
    }
}

fn show_failures(summary: &SweepSummary, recordings: &[PathBuf]) {
    let distinct = distinct_failures(&summary.failures);
    for report in distinct.iter().take(SHOWN_FAILURE_COUNT) {
        println!("\n{report}");
    }
    if SHOWN_FAILURE_COUNT < distinct.len() {
        println!("\n{} more kinds of failure", distinct.len() - SHOWN_FAILURE_COUNT);
    }
    for path in recordings {
        println!("recorded: cargo run --release -- replay {}", path.display());
    }
}
