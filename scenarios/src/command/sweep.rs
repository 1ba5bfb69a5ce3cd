//! `floodmark sweep`: many seeds over all cores, on one machine or several.
//!
//! Exit status: 0 if every promise was kept and every probe reached, 1 if not, and 130 if the sweep
//! was interrupted before it found anything. Ctrl-C ends a sweep after the runs under way, with a
//! summary of what was run; a second Ctrl-C ends it at once.

use std::{
    fs,
    ops::Range,
    path::{Path, PathBuf},
    process::{self, ExitCode},
    sync::atomic::{AtomicBool, AtomicU64, Ordering},
    thread,
    time::Duration,
};

use clap::{Args, Subcommand};
use floodmark_scenarios::{
    RunOptions, catalog, replay_command, run,
    sweep::{
        FailureKind, MixedCommits, Shard, SweepEnd, SweepOptions, SweepSummary, Totals,
        sweep as run_all,
    },
};
use indicatif::{HumanDuration, ProgressBar, ProgressDrawTarget, ProgressStyle};

use crate::{find, record};

/// Kinds of failure of a sweep that are printed in full.
const SHOWN_FAILURE_COUNT: usize = 5;

/// Where the recordings of failures go.
const FAILURES: &str = "target/floodmark-failures";

/// Seeds of each scenario, if nothing bounds them.
const SEED_COUNT: u64 = 100;

/// The exit status of a program that was interrupted, as shells have it.
const INTERRUPTED: u8 = 130;

/// What is swept.
#[derive(Args)]
#[command(args_conflicts_with_subcommands = true)]
pub(crate) struct SweepArguments {
    #[command(subcommand)]
    action: Option<Action>,
    /// The scenarios; all of them if none is named.
    scenarios: Vec<String>,
    /// A count, or a range `A..B`; 100, or as many as there is time for, if not given.
    #[arg(long, value_parser = parse_seeds)]
    seeds: Option<Range<u64>>,
    /// Only every n-th seed: `2/5` is the second of five shards that have no seed in common.
    #[arg(long, value_name = "I/N", default_value = "1/1")]
    shard: Shard,
    /// Begins no run after this time: `90s`, `10m`, `1h30m`.
    #[arg(long, value_name = "TIME", value_parser = parse_duration)]
    time_budget: Option<Duration>,
    /// Threads; one per core if not given.
    #[arg(long)]
    threads: Option<usize>,
    /// Lines of JSON, which `sweep merge` understands.
    #[arg(long)]
    json: bool,
}

#[derive(Subcommand)]
enum Action {
    /// Puts the output of several `sweep --json` together, as if it had been one sweep.
    Merge {
        /// What they wrote.
        #[arg(required = true)]
        files: Vec<PathBuf>,
        /// Although they are of different commits.
        #[arg(long)]
        mixed_commits: bool,
        /// Lines of JSON, which can be merged again.
        #[arg(long)]
        json: bool,
    },
}

/// Sweeps, or puts sweeps together, and shows what came of it.
///
/// # Errors
///
/// When a scenario does not exist, or files cannot be merged.
pub(crate) fn sweep(arguments: &SweepArguments) -> Result<ExitCode, String> {
    match &arguments.action {
        Some(Action::Merge { files, mixed_commits, json }) => merge(files, *mixed_commits, *json),
        None => sweep_here(arguments),
    }
}

fn sweep_here(arguments: &SweepArguments) -> Result<ExitCode, String> {
    let options = options(arguments)?;
    let stop = stop_on_interrupt()?;
    let progress = Progress::new(&options, arguments.json);
    let summary = run_all(&options, stop, |report| progress.add(report.failure.is_some()));
    let elapsed = progress.finish();
    let recordings = record_failures(&summary)?;
    if arguments.json {
        summary.to_lines().iter().for_each(|line| println!("{line}"));
    } else {
        show_table(&summary);
        show_failures(&summary);
        for path in recordings {
            println!("{}\n{}", replay_command("replay", &path), replay_command("shrink", &path));
        }
        show_rate(&summary, elapsed);
        show_verdict(&summary);
    }
    Ok(exit_code(&summary))
}

fn options(arguments: &SweepArguments) -> Result<SweepOptions, String> {
    let names = &arguments.scenarios;
    let scenarios = if names.is_empty() {
        catalog::ALL.to_vec()
    } else {
        names.iter().map(|name| find(name)).collect::<Result<_, _>>()?
    };
    let seeds = match (&arguments.seeds, arguments.time_budget) {
        (Some(seeds), _) => seeds.clone(),
        (None, Some(_)) => 0..u64::MAX,
        (None, None) => 0..SEED_COUNT,
    };
    let cores = thread::available_parallelism().map_or(1, usize::from);
    Ok(SweepOptions {
        scenarios,
        seeds,
        shard: arguments.shard,
        time_budget: arguments.time_budget,
        thread_count: arguments.threads.unwrap_or(cores),
    })
}

fn merge(files: &[PathBuf], mixed_commits: bool, json: bool) -> Result<ExitCode, String> {
    let read = |path: &PathBuf| {
        let name = path.display().to_string();
        let text = read_file(path).map_err(|error| format!("{name}: {error}"))?;
        let summary = SweepSummary::from_lines(&name, &text).map_err(|error| error.to_string())?;
        Ok((name, summary))
    };
    let summaries = files.iter().map(read).collect::<Result<_, String>>()?;
    let mixed = if mixed_commits { MixedCommits::Allowed } else { MixedCommits::Refused };
    let summary = SweepSummary::merge(summaries, mixed).map_err(|error| error.to_string())?;
    if json {
        summary.to_lines().iter().for_each(|line| println!("{line}"));
    } else {
        show_table(&summary);
        show_failures(&summary);
        println!("{} clusters in {} sweeps", summary.run_count(), summary.parts.len());
        show_verdict(&summary);
    }
    Ok(exit_code(&summary))
}

#[expect(clippy::disallowed_methods, reason = "a file of the user's, not a node's")]
fn read_file(path: &Path) -> std::io::Result<String> {
    fs::read_to_string(path)
}

fn exit_code(summary: &SweepSummary) -> ExitCode {
    match (summary.is_green(), summary.end()) {
        (false, _) => ExitCode::from(1),
        (true, SweepEnd::Interrupted) => ExitCode::from(INTERRUPTED),
        (true, SweepEnd::Complete | SweepEnd::OutOfTime) => ExitCode::SUCCESS,
    }
}

/// Returns what the first Ctrl-C sets; the second one does not wait.
fn stop_on_interrupt() -> Result<&'static AtomicBool, String> {
    static STOP: AtomicBool = AtomicBool::new(false);
    let on_interrupt = || {
        if STOP.swap(true, Ordering::Relaxed) {
            process::exit(i32::from(INTERRUPTED));
        }
    };
    ctrlc::set_handler(on_interrupt).map_err(|error| format!("listening to Ctrl-C: {error}"))?;
    Ok(&STOP)
}

/// A bar that fills with the runs or with the time, whichever comes to its end first.
struct Progress {
    bar: ProgressBar,
    run_count: u64,
    time_budget: Option<Duration>,
    ended: AtomicU64,
    failed: AtomicU64,
}

impl Progress {
    fn new(options: &SweepOptions, is_hidden: bool) -> Self {
        let bar = ProgressBar::new(1_000);
        if is_hidden {
            bar.set_draw_target(ProgressDrawTarget::hidden());
        }
        let style = ProgressStyle::with_template("{bar:40} {msg}");
        bar.set_style(style.expect("the template is well-formed"));
        let (run_count, time_budget) = (options.run_count(), options.time_budget);
        Self { bar, run_count, time_budget, ended: AtomicU64::new(0), failed: AtomicU64::new(0) }
    }

    #[expect(
        clippy::cast_precision_loss,
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "a display for people"
    )]
    fn add(&self, is_failed: bool) {
        let ended = self.ended.fetch_add(1, Ordering::Relaxed) + 1;
        let failed = self.failed.fetch_add(u64::from(is_failed), Ordering::Relaxed);
        let failed = failed + u64::from(is_failed);
        let elapsed = self.bar.elapsed().as_secs_f64().max(0.001);
        let by_runs = ended as f64 / self.run_count as f64;
        let by_time = self.time_budget.map_or(0.0, |budget| elapsed / budget.as_secs_f64());
        let done = by_runs.max(by_time).clamp(0.000_001, 1.0);
        let remaining = HumanDuration(Duration::from_secs_f64(elapsed / done - elapsed));
        let rate = ended as f64 / elapsed;
        let failed = if failed == 0 { String::new() } else { format!(", {failed} FAILED") };
        self.bar.set_position((1_000.0 * done) as u64);
        self.bar.set_message(format!("{ended} clusters, {rate:.0}/s, {remaining} to go{failed}"));
    }

    /// Removes the bar and returns how long it was there.
    fn finish(&self) -> Duration {
        let elapsed = self.bar.elapsed();
        self.bar.finish_and_clear();
        elapsed
    }
}

/// Runs one seed of each kind of failure again, recording it.
fn record_failures(summary: &SweepSummary) -> Result<Vec<PathBuf>, String> {
    let mut paths = Vec::new();
    for kind in summary.failures.kinds().into_iter().take(SHOWN_FAILURE_COUNT) {
        let Some(first) = kind.runs.first() else { continue };
        let options = RunOptions { is_recorded: true, ..RunOptions::default() };
        let recorded = run(find(&first.scenario)?, first.seed, &options);
        let path = Path::new(FAILURES).join(format!("{}-{}.json", first.scenario, first.seed));
        record(&recorded, &path)?;
        paths.push(path);
    }
    Ok(paths)
}

fn show_table(summary: &SweepSummary) {
    println!(
        "{:24} {:>7} {:>7} {:>8} {:>10} {:>11} {:>10} {:>10}",
        "scenario", "seeds", "failed", "faults", "recoveries", "checkpoints", "lines", "simulated"
    );
    for (name, row) in summary.rows() {
        let Totals { virtual_ms, faults, recoveries, checkpoints, lines, .. } = row.totals;
        println!(
            "{name:24} {:>7} {:>7} {faults:>8} {recoveries:>10} {checkpoints:>11} {lines:>10} \
             {:>8} s",
            row.run_count,
            row.failed_count,
            virtual_ms / 1_000,
        );
        if !row.unreached.is_empty() {
            println!("  no seed reached: {}", row.unreached.join(", "));
        }
    }
}

fn show_failures(summary: &SweepSummary) {
    let kinds = summary.failures.kinds();
    for kind in kinds.iter().take(SHOWN_FAILURE_COUNT) {
        let FailureKind { check, cause, count, runs } = kind;
        println!("\n{count} × {check}: {cause}");
        let others: Vec<_> =
            runs.iter().map(|run| format!("{} --seed {}", run.scenario, run.seed)).collect();
        println!("  {}", others.join(", "));
        match runs.first().map(|run| (run, &run.report)) {
            Some((_, Some(report))) => println!("{report}"),
            Some((run, None)) => println!("  {}\n  {}", run.reason, run.command()),
            None => {}
        }
    }
    if SHOWN_FAILURE_COUNT < kinds.len() {
        println!("\n{} more kinds of failure", kinds.len() - SHOWN_FAILURE_COUNT);
    }
}

fn show_rate(summary: &SweepSummary, elapsed: Duration) {
    let run_count = summary.run_count();
    let elapsed = elapsed.as_secs_f64();
    #[expect(clippy::cast_precision_loss, reason = "a rate for people")]
    let rate = run_count as f64 / elapsed.max(0.001);
    let (part, end) = (summary.parts.first(), summary.end());
    let shard = part.map_or_else(String::new, |part| format!(", shard {}", part.shard));
    let shard = if part.is_none_or(|part| part.shard == Shard::WHOLE) { "" } else { &shard };
    println!("{run_count} clusters in {elapsed:.1} s, {rate:.0} a second{shard}, {end}");
}

fn show_verdict(summary: &SweepSummary) {
    let failures = summary.failures.kinds().len();
    println!(
        "{} situations, {} of them seen in a single run; {} kinds of failure, {} of them seen once",
        summary.situations.seen.len(),
        summary.situations.singleton_count(),
        failures,
        summary.failures.singleton_count(),
    );
    println!(
        "chance that the next seed shows something new: about {:.2} % for a situation, {:.2} % for a \
         kind of failure",
        100.0 * summary.chance_of_new_situation(),
        100.0 * summary.chance_of_new_failure(),
    );
    if summary.is_green() {
        println!("Every line of output was written exactly once, and every promise kept.");
    }
}

fn parse_seeds(text: &str) -> Result<Range<u64>, String> {
    let number = |text: &str| text.parse::<u64>().map_err(|error| format!("{text:?}: {error}"));
    let range = match text.split_once("..") {
        Some((start, end)) => number(start)?..number(end)?,
        None => 0..number(text)?,
    };
    if range.is_empty() { Err(format!("{text:?} has no seed in it")) } else { Ok(range) }
}

/// Reads a duration as people write it: numbers, each with its unit, the largest first.
fn parse_duration(text: &str) -> Result<Duration, String> {
    let expected = || format!("{text:?} is not a time like `90s`, `10m` or `1h30m`");
    let mut total = Duration::ZERO;
    let mut rest = text.trim();
    while !rest.is_empty() {
        let digits = rest.find(|letter: char| !letter.is_ascii_digit()).ok_or_else(expected)?;
        let number: u32 = rest[..digits].parse().map_err(|_| expected())?;
        let after = &rest[digits..];
        let letters = after.find(|letter: char| !letter.is_ascii_alphabetic());
        let (unit, after) = after.split_at(letters.unwrap_or(after.len()));
        let unit = match unit {
            "h" => Duration::from_secs(3_600),
            "m" | "min" => Duration::from_secs(60),
            "s" => Duration::from_secs(1),
            "ms" => Duration::from_millis(1),
            _ => return Err(expected()),
        };
        let part = unit.checked_mul(number).ok_or_else(expected)?;
        total = total.checked_add(part).ok_or_else(expected)?;
        rest = after.trim_start();
    }
    if total.is_zero() { Err(expected()) } else { Ok(total) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_are_read_as_people_write_them() {
        let check = |text, seconds| {
            assert_eq!(parse_duration(text), Ok(Duration::from_secs_f64(seconds)), "{text}");
        };
        check("90s", 90.0);
        check("10m", 600.0);
        check("1h30m", 5_400.0);
        check("1h 30min 5s", 5_405.0);
        check("250ms", 0.25);
    }

    #[test]
    fn what_is_not_a_duration_is_refused() {
        for text in ["", "10", "m", "10 x", "-5s", "0s", "1.5h", "9999999999h"] {
            assert!(parse_duration(text).is_err(), "{text:?}");
        }
    }
}
