//! The `floodmark` command: stories of a cluster, seed by seed; and a real cluster.

#![expect(clippy::print_stdout, reason = "this is the program's output")]

mod command;

use std::{
    path::{Path, PathBuf},
    process::ExitCode,
};

use clap::{Parser, Subcommand};
use command::{
    bench::BenchArguments,
    bugs::BugsArguments,
    cluster::{CoordinatorArguments, WorkerArguments},
    conformance::ConformanceArguments,
    explain::ExplainArguments,
    shrink::ShrinkArguments,
    sweep::SweepArguments,
    view::View,
};
#[cfg(feature = "planted-bugs")]
use floodmark::platform::{PlantedBug, plant};
use floodmark_scenarios::{ReplayFile, RunOptions, RunReport, Scenario, atlas, catalog, run};

#[derive(Parser)]
#[command(
    name = "floodmark",
    version,
    about = "Stories of a stream processor's cluster, seed by seed; and a real cluster"
)]
struct Arguments {
    /// Plants a bug in the runtime first, by its id or name.
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
    /// Shows what a scenario's job is made of, and what it promises, without running it.
    Explain(ExplainArguments),
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
        #[command(flatten)]
        view: View,
    },
    /// Runs many seeds over all cores.
    Sweep(SweepArguments),
    /// Plants bugs that others shipped, one after the other, and shows how soon each is found.
    Bugs(BugsArguments),
    /// Repeats a recorded run from its file.
    Replay {
        /// The file.
        file: PathBuf,
        #[command(flatten)]
        view: View,
    },
    /// Makes a recorded failure small: fewer faults, workers, records and choices.
    Shrink(ShrinkArguments),
    /// Measures the speed of the runtime on the real machine, beside loops written by hand.
    Bench(BenchArguments),
    /// Runs recorded cases of another engine and compares the output.
    Conformance(ConformanceArguments),
    /// Coordinates a real job: waits for workers, and decides what they run.
    Coordinator(CoordinatorArguments),
    /// Works for a real job: runs what a coordinator tells it to.
    Worker(WorkerArguments),
}

#[cfg(feature = "planted-bugs")]
fn parse_bug(name: &str) -> Result<PlantedBug, String> {
    let bug = floodmark_scenarios::bugs::Bug::find(name).and_then(|bug| bug.switch());
    bug.ok_or_else(|| format!("there is no such bug; there are: {:?}", PlantedBug::ALL))
}

fn main() -> ExitCode {
    command::reader::leave_with_the_reader();
    let arguments = Arguments::parse();
    #[cfg(feature = "planted-bugs")]
    plant(arguments.plant);
    let result = match arguments.command {
        Command::List { json } => {
            list(json);
            Ok(true)
        }
        Command::Explain(arguments) => find(&arguments.scenario)
            .and_then(|scenario| command::explain::explain(scenario, &arguments)),
        Command::Run { scenario, seed, record, view } => {
            run_one(&scenario, seed, record.as_deref(), &view)
        }
        Command::Sweep(arguments) => return exit(command::sweep::sweep(&arguments)),
        Command::Bugs(arguments) => command::bugs::bugs(&arguments),
        Command::Replay { file, view } => replay(&file, &view),
        Command::Shrink(arguments) => command::shrink::shrink(&arguments),
        Command::Bench(arguments) => command::bench::bench(&arguments),
        Command::Conformance(arguments) => command::conformance::conformance(&arguments),
        Command::Coordinator(arguments) => return exit(command::cluster::coordinate(&arguments)),
        Command::Worker(arguments) => return exit(command::cluster::work(&arguments)),
    };
    exit(result.map(|is_green| if is_green { ExitCode::SUCCESS } else { ExitCode::from(1) }))
}

/// Says what went wrong, if the command could not do what it was asked.
fn exit(result: Result<ExitCode, String>) -> ExitCode {
    match result {
        Ok(code) => code,
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

fn record(report: &RunReport, path: &Path) -> Result<(), String> {
    ReplayFile::from(report).write(path).map_err(|error| error.to_string())
}

fn run_one(name: &str, seed: u64, path: Option<&Path>, view: &View) -> Result<bool, String> {
    let options = RunOptions {
        is_repeated: true,
        is_recorded: path.is_some(),
        is_told: view.is_told(),
        ..RunOptions::default()
    };
    let report = run(find(name)?, seed, &options);
    if let Some(path) = path {
        record(&report, path)?;
    }
    view.show(&report)?;
    Ok(report.failure.is_none())
}

fn replay(path: &Path, view: &View) -> Result<bool, String> {
    let file = ReplayFile::read(path).map_err(|error| error.to_string())?;
    let options = RunOptions { is_told: view.is_told(), ..file.options() };
    if let Some(objection) = atlas::objection(&file.faults) {
        #[expect(clippy::print_stderr, reason = "this is the program's warning")]
        {
            eprintln!("floodmark: {objection}; whatever comes of it is no fault of the runtime");
        }
    }
    let mut report = run(find(&file.scenario)?, file.seed, &options);
    report.recording = Some(path.to_owned());
    view.show(&report)?;
    let json = view.json;
    let hash = format!("{:032x}", report.hash);
    if !json && hash == file.hash {
        println!("  the same run as recorded");
    } else if !json {
        println!("  not the run that was recorded, which had the hash {}", file.hash);
    }
    Ok(report.failure.is_none())
}
