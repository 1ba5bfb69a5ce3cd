//! A run is repeated by its seed, and replayed by its tape.

use floodmark_scenarios::{RunOptions, catalog, run};

#[test]
fn a_recorded_run_is_replayed_event_by_event() {
    let scenario = catalog::find("chaos").expect("the scenario is in the catalog");
    for seed in 0..5 {
        let recorded =
            run(scenario, seed, &RunOptions { is_recorded: true, ..RunOptions::default() });
        assert!(recorded.failure.is_none(), "{recorded}");
        let replayed = run(
            scenario,
            seed,
            &RunOptions {
                faults: Some(recorded.faults.clone()),
                tape: Some(recorded.tape.clone()),
                ..RunOptions::default()
            },
        );
        assert_eq!(replayed.hash, recorded.hash, "seed {seed}");
        assert!(!recorded.tape.0.is_empty());
    }
}

#[test]
fn two_seeds_are_two_runs() {
    let scenario = catalog::find("calm").expect("the scenario is in the catalog");
    let hash = |seed| run(scenario, seed, &RunOptions::default()).hash;
    assert_ne!(hash(1), hash(2));
    assert_eq!(hash(1), hash(1));
}
