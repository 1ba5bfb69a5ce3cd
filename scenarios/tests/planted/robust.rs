//! A recording of a failure goes on failing when the run is disturbed.

use floodmark::platform::{PlantedBug, plant};
use floodmark_scenarios::{RunOptions, catalog, kill_matrix::one_at_a_time, run};

/// Bugs of different kinds that are found within a few seeds.
const BUGS: [PlantedBug; 6] = [
    PlantedBug::CommitOnlyLatest,
    PlantedBug::UnblockedChannel,
    PlantedBug::EpochRestarts,
    PlantedBug::OffsetInWrongUnits,
    PlantedBug::SharedSnapshot,
    PlantedBug::ZombieCommits,
];

/// Scenarios in which they are looked for.
const SCENARIOS: [&str; 4] = ["chaos", "single_checkpoint", "unruly_frames", "coordinator_crash"];

/// Failures of each bug.
const FAILURE_COUNT: usize = 6;

/// Seeds in which they are looked for.
const SEED_COUNT: u64 = 300;

#[test]
fn nine_in_ten_recordings_fail_in_the_same_way_among_a_hundred_more_choices() {
    let _switch = one_at_a_time();
    let (mut total, mut same, mut lost) = (0, 0, Vec::new());
    let alone = RunOptions { is_alone: true, ..RunOptions::default() };
    let scenarios = SCENARIOS.map(|name| catalog::find(name).expect("it is in the catalog"));
    for bug in BUGS {
        plant(Some(bug));
        let seeds = (0..SEED_COUNT).flat_map(|seed| scenarios.map(|scenario| (scenario, seed)));
        let failures = seeds.filter_map(|(scenario, seed)| {
            run(scenario, seed, &alone).failure.map(|failure| (scenario, seed, failure.check))
        });
        for (scenario, seed, check) in failures.take(FAILURE_COUNT) {
            let options = RunOptions { is_recorded: true, ..alone.clone() };
            let recorded = run(scenario, seed, &options);
            let options = RunOptions {
                faults: Some(recorded.faults),
                tape: Some(recorded.tape),
                dummy_choices: 100,
                ..alone.clone()
            };
            let disturbed = run(scenario, seed, &options);
            total += 1;
            match disturbed.failure {
                Some(failure) if failure.check == check => same += 1,
                other => {
                    lost.push((bug, scenario.name, seed, check, other.map(|other| other.check)))
                }
            }
        }
    }
    plant(None);
    assert!(30 <= total, "only {total} failures were found");
    // Shown with `--no-capture`.
    #[expect(clippy::print_stderr, reason = "the number is what is measured here")]
    {
        eprintln!("{same} of {total} failed again in the same way");
    }
    assert!(9 * total <= 10 * same, "{same} of {total} failed again; not {lost:#?}");
}
