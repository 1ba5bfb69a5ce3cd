//! `floodmark conformance`: recorded cases of another engine, case by case.

use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
};

use clap::Args;
use floodmark::EndedInputs;
use floodmark_scenarios::conformance::{
    Case, CaseError, Outcome, depends_on_interleaving, run_case, run_case_in_chaos,
};

/// Which cases, and how much is said about them.
#[derive(Args)]
pub(crate) struct ConformanceArguments {
    /// Files of cases, or directories of such files.
    #[arg(required = true)]
    paths: Vec<PathBuf>,
    /// Only cases with this in their name.
    #[arg(long, value_name = "TEXT")]
    only: Option<String>,
    /// Failures that are shown with both logs; the others are named.
    #[arg(long, value_name = "COUNT", default_value_t = 3)]
    show: usize,
    /// Runs each case, besides, under the faults of so many seeds.
    #[arg(long, value_name = "SEEDS", default_value_t = 0)]
    chaos: u64,
}

/// What became of the cases of one feature.
#[derive(Default)]
struct Tally {
    passed: usize,
    failed: usize,
    /// Failed, where what was recorded is an accident of the other engine.
    quirk: usize,
}

/// Runs the cases. Returns whether all passed.
///
/// # Errors
///
/// When a file cannot be read.
pub(crate) fn conformance(arguments: &ConformanceArguments) -> Result<bool, String> {
    let mut tallies: BTreeMap<String, Tally> = BTreeMap::new();
    let (mut shown, mut dependent_count) = (0, 0);
    for path in files(&arguments.paths)? {
        if path.ends_with("key_groups.json") {
            println!(
                "{}: keys have other places here, which no case depends on; skipped",
                path.display()
            );
            continue;
        }
        for case in read(&path)? {
            let case = match case {
                Ok(case) => case,
                Err(error) => {
                    let feature = path.file_stem().unwrap_or_default().to_string_lossy();
                    tallies.entry(feature.clone().into_owned()).or_default().failed += 1;
                    println!("failed {feature}: {error}");
                    continue;
                }
            };
            if arguments.only.as_ref().is_some_and(|text| !case.name.contains(text)) {
                continue;
            }
            let tally = tallies.entry(case.feature.clone()).or_default();
            let is_dependent = 0 < arguments.chaos && depends_on_interleaving(&case);
            dependent_count += usize::from(is_dependent);
            let words = match run(&case, if is_dependent { 0 } else { arguments.chaos }) {
                Outcome::Passed => {
                    tally.passed += 1;
                    continue;
                }
                Outcome::Unsupported(reason) => reason,
                Outcome::Failed(difference) => {
                    shown += 1;
                    let is_shown = shown <= arguments.show;
                    if is_shown { difference.to_string() } else { difference.words }
                }
            };
            let (kind, count) = if case.is_quirk {
                ("quirk", &mut tally.quirk)
            } else {
                ("failed", &mut tally.failed)
            };
            *count += 1;
            println!("{kind} {}: {}: {words}", case.feature, case.name);
        }
    }
    if 0 < dependent_count {
        println!(
            "{dependent_count} cases depend on which input is faster, and were spared the faults"
        );
    }
    Ok(summary(&tallies))
}

/// Runs a case without faults, and then under those of some seeds, until it fails.
fn run(case: &Case, seed_count: u64) -> Outcome {
    let chaos = (0..seed_count).map(|seed| run_case_in_chaos(case, seed));
    let outcomes = std::iter::once_with(|| run_case(case, EndedInputs::PushOn)).chain(chaos);
    let mut failed = outcomes.filter(|outcome| !matches!(outcome, Outcome::Passed));
    failed.next().unwrap_or(Outcome::Passed)
}

fn summary(tallies: &BTreeMap<String, Tally>) -> bool {
    println!("{:20} passed / failed / quirk", "feature");
    for (feature, Tally { passed, failed, quirk }) in tallies {
        println!("{feature:20} {passed:6} / {failed:6} / {quirk:5}");
    }
    let sum = |count: fn(&Tally) -> usize| tallies.values().map(count).sum::<usize>();
    let failed = sum(|tally| tally.failed);
    println!("{} passed, {failed} failed", sum(|tally| tally.passed));
    failed == 0
}

#[expect(clippy::disallowed_methods, reason = "the files are the user's own, not a node's")]
fn files(paths: &[PathBuf]) -> Result<Vec<PathBuf>, String> {
    let mut files = Vec::new();
    for path in paths {
        if !path.is_dir() {
            files.push(path.clone());
            continue;
        }
        let entries = std::fs::read_dir(path).map_err(|error| named(path, &error))?;
        let inside = entries.filter_map(|entry| Some(entry.ok()?.path()));
        let mut inside: Vec<_> =
            inside.filter(|path| path.extension().is_some_and(|end| end == "json")).collect();
        inside.sort();
        files.append(&mut inside);
    }
    Ok(files)
}

#[expect(clippy::disallowed_methods, reason = "the files are the user's own, not a node's")]
fn read(path: &Path) -> Result<Vec<Result<Case, CaseError>>, String> {
    let content = std::fs::read_to_string(path).map_err(|error| named(path, &error))?;
    Case::read_all(&content).map_err(|error| named(path, &error))
}

fn named(path: &Path, error: &dyn std::error::Error) -> String {
    let source = error.source().map_or(String::new(), |source| format!(": {source}"));
    format!("{}: {error}{source}", path.display())
}
