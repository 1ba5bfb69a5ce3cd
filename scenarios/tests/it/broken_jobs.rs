//! Jobs with a mistake of their author fail, for that mistake and for nothing else.

use floodmark_scenarios::{
    RunOptions,
    bugs::{ALL, BugState},
    catalog, run,
};
use floodmark_sim::FaultPlan;

/// Seeds in which each mistake must be found.
const SEED_COUNT: u64 = 50;

#[test]
fn each_mistake_is_found_and_the_right_job_passes_the_same_seed() {
    for bug in ALL {
        let BugState::BrokenJob { name, right, checks, .. } = bug.state else { continue };
        let [broken] = bug.scenarios()[..] else { panic!("{name} is in one scenario") };
        let failure = (0..SEED_COUNT).find_map(|seed| {
            let report = run(broken, seed, &RunOptions::default());
            report.failure.map(|failure| (seed, failure))
        });
        let Some((seed, failure)) = failure else { panic!("{name} survives {SEED_COUNT} seeds") };
        assert_eq!(failure.check, checks[0], "{name}, seed {seed}: {}", failure.reason);
        assert!(!failure.is_comparison, "{name}, seed {seed}: {}", failure.reason);
        let right = catalog::find(right).expect("the right scenario exists");
        let report = run(right, seed, &RunOptions::default());
        assert!(report.failure.is_none(), "{report}");
    }
}

#[test]
fn plain_fields_are_right_as_long_as_nothing_fails() {
    let broken = catalog::find("water_level_plain_fields").expect("the scenario exists");
    let calm = RunOptions { faults: Some(FaultPlan(Vec::new())), ..RunOptions::default() };
    for seed in 0..SEED_COUNT {
        let report = run(broken, seed, &calm);
        assert!(report.failure.is_none(), "{report}");
    }
}
