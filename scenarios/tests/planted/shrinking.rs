//! Failures become small, and their tests speak as the recordings do.

use std::{num::NonZeroUsize, time::Duration};

use floodmark::platform::{PlantedBug, plant};
use floodmark_scenarios::{
    ReplayFile, RunOptions, ShrinkOptions, Shrunk, catalog, kill_matrix::one_at_a_time, run, shrink,
};

/// Bugs of different kinds, and a scenario that meets each.
const BUGS: [(PlantedBug, &str); 10] = [
    (PlantedBug::CommitOnlyLatest, "chaos"),
    (PlantedBug::UnblockedChannel, "chaos"),
    (PlantedBug::EpochRestarts, "chaos"),
    (PlantedBug::OffsetInWrongUnits, "chaos"),
    (PlantedBug::SharedSnapshot, "chaos"),
    (PlantedBug::ZombieCommits, "chaos"),
    (PlantedBug::RoutingHashDiffers, "unruly_frames"),
    (PlantedBug::CompleteBeforeManifest, "chaos"),
    (PlantedBug::GapAccepted, "chaos"),
    (PlantedBug::RepeatAccepted, "chaos"),
];

const LIMIT: Duration = Duration::from_secs(10);

/// Shrinks the first failure of a bug.
fn shrunk(bug: PlantedBug, scenario: &str) -> Shrunk {
    plant(Some(bug));
    let scenario = catalog::find(scenario).expect("it is in the catalog");
    let options = RunOptions { is_recorded: true, is_alone: true, ..RunOptions::default() };
    let found =
        (0..500).map(|seed| run(scenario, seed, &options)).find(|run| run.failure.is_some());
    let recorded = found.unwrap_or_else(|| panic!("{bug:?} is not found in {}", scenario.name));
    let options = ShrinkOptions { limit: LIMIT, thread_count: NonZeroUsize::new(2).expect("2") };
    let small = shrink(&ReplayFile::from(&recorded), options).expect("the scenario exists");
    let small = small.expect("it fails");
    let again = small.file.replay().expect("the scenario exists").failure;
    plant(None);
    let check = |failure: Option<floodmark_scenarios::Failure>| failure.map(|found| found.check);
    assert_eq!(check(again), check(recorded.failure), "{bug:?}");
    small
}

fn median<T: Ord + Copy>(values: impl Iterator<Item = T>) -> T {
    let mut values: Vec<T> = values.collect();
    values.sort();
    values[values.len() / 2]
}

#[test]
fn half_of_all_failures_become_three_faults_and_twenty_records() {
    let _switch = one_at_a_time();
    let mut all = Vec::new();
    for (bug, scenario) in BUGS {
        let small = shrunk(bug, scenario);
        let (before, after, seconds) = (small.before, small.after, small.elapsed.as_secs_f64());
        // Shown with `--no-capture`.
        #[expect(clippy::print_stderr, reason = "the numbers are what is measured here")]
        {
            eprintln!("{bug:?} {before:?} → {after:?} in {seconds:.1} s");
        }
        // Recording, measuring and the words of the result come after the search.
        assert!(small.elapsed < LIMIT + Duration::from_secs(5), "{bug:?}");
        assert!(after.faults <= before.faults && after.records <= before.records, "{bug:?}");
        all.push(after);
    }
    assert!(median(all.iter().map(|size| size.faults)) <= 3, "{all:?}");
    assert!(median(all.iter().map(|size| size.records)) <= 20, "{all:?}");
}

#[test]
fn a_failure_printed_as_a_test_holds_the_case() {
    let _switch = one_at_a_time();
    let small = shrunk(PlantedBug::CommitOnlyLatest, "chaos");
    let test = small.file.to_test();
    let (_, rest) = test.split_once("r##\"").expect("the case is a raw string");
    let (text, _) = rest.split_once("\"##").expect("the string ends");
    let embedded = ReplayFile::parse(text).expect("it is a case");
    plant(Some(PlantedBug::CommitOnlyLatest));
    let failure = embedded.replay().expect("the scenario exists").failure;
    plant(None);
    assert_eq!(failure.map(|failure| failure.check), small.file.check);
    assert!(embedded.replay().expect("the scenario exists").failure.is_none());
}
