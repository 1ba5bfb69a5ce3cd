//! `floodmark shrink`: makes a recorded failure small.

use std::{
    num::NonZeroUsize,
    path::{Path, PathBuf},
    thread,
    time::Duration,
};

use clap::Args;
use floodmark_scenarios::{
    CaseSize, ReplayFile, ShrinkOptions, Shrunk, fault_in_words, replay_command,
};

/// What is made small, and how it is shown.
#[derive(Args)]
pub(crate) struct ShrinkArguments {
    /// The recording.
    file: PathBuf,
    /// Where the small case goes; beside the recording if not given.
    #[arg(long, value_name = "FILE")]
    out: Option<PathBuf>,
    /// Real time after which the best so far is the result.
    #[arg(long, default_value_t = 10, value_parser = clap::value_parser!(u64).range(1..=86_400))]
    seconds: u64,
    /// Runs at a time; one per core if not given.
    #[arg(long)]
    threads: Option<NonZeroUsize>,
    /// Prints a test in Rust that replays the small case.
    #[arg(long)]
    as_test: bool,
    /// One JSON object.
    #[arg(long, conflicts_with = "as_test")]
    json: bool,
}

/// Makes a failure small. Returns false: a check speaks, after all.
///
/// # Errors
///
/// When the recording cannot be used, or no check speaks.
pub(crate) fn shrink(arguments: &ShrinkArguments) -> Result<bool, String> {
    let ShrinkArguments { file: path, out, seconds, threads, as_test, json } = arguments;
    let cores = || thread::available_parallelism().unwrap_or(NonZeroUsize::MIN);
    let options = ShrinkOptions {
        limit: Duration::from_secs(*seconds),
        thread_count: threads.unwrap_or_else(cores),
    };
    let recorded = ReplayFile::read(path).map_err(|error| error.to_string())?;
    let shrunk = floodmark_scenarios::shrink(&recorded, options);
    let shrunk = shrunk.map_err(|error| error.to_string())?;
    let shrunk = shrunk.ok_or_else(|| format!("{}: no check speaks", path.display()))?;
    let out = out.clone().unwrap_or_else(|| path.with_extension("small.json"));
    shrunk.file.write(&out).map_err(|error| error.to_string())?;
    if *json {
        println!("{}", to_json(&shrunk, &out));
    } else if *as_test {
        println!("{}", shrunk.file.to_test());
    } else {
        show(&shrunk, &out);
    }
    Ok(false)
}

fn show(shrunk: &Shrunk, out: &Path) {
    let Shrunk { before, after, file, report, run_count, elapsed } = shrunk;
    let row = |name: &str, before: usize, after: usize| {
        println!("  {name:12} {before:>8}  → {after:>6}");
    };
    println!("{} runs in {:.1} s", run_count, elapsed.as_secs_f64());
    row("faults", before.faults, after.faults);
    row("workers", before.workers.into(), after.workers.into());
    row("parallelism", before.parallelism.into(), after.parallelism.into());
    row("records", before.records, after.records);
    row("choices", before.choices, after.choices);
    if let Some(failure) = &report.failure {
        println!("{}: {}", failure.check, failure.reason);
    }
    if file.faults.0.is_empty() {
        println!("without any fault");
    }
    for fault in &file.faults.0 {
        println!("  {}", fault_in_words(fault));
    }
    println!("written to {}", out.display());
    println!("{}", replay_command("replay", out));
}

fn to_json(shrunk: &Shrunk, out: &Path) -> serde_json::Value {
    let Shrunk { before, after, file, report, run_count, elapsed } = shrunk;
    let size = |size: &CaseSize| serde_json::json!(size);
    let faults: Vec<_> = file.faults.0.iter().map(fault_in_words).collect();
    serde_json::json!({
        "scenario": file.scenario,
        "seed": file.seed,
        "check": file.check,
        "reason": report.failure.as_ref().map(|failure| &failure.reason),
        "before": size(before),
        "after": size(after),
        "faults": faults,
        "runs": run_count,
        "seconds": elapsed.as_secs_f64(),
        "file": out.display().to_string(),
        "command": replay_command("replay", out),
    })
}
