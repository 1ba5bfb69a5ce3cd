//! Every scenario, for as many seeds as it takes to reach all its probes.

use std::sync::atomic::AtomicBool;

use floodmark_scenarios::{
    catalog,
    sweep::{PROBE_SEED_COUNT, SweepOptions, sweep},
};

/// Sweeps a scenario and demands that every promise was kept and every probe reached.
#[track_caller]
fn check(name: &str) {
    let scenario = catalog::find(name).expect("the scenario is in the catalog");
    let options = SweepOptions {
        scenarios: vec![scenario],
        // Not the first seeds, which everybody looks at anyway.
        seeds: 1_000..1_000 + 2 * PROBE_SEED_COUNT,
        thread_count: 1,
    };
    let summary = sweep(&options, &AtomicBool::new(false), |_| {});
    if let Some(failure) = summary.failures.first() {
        panic!("{failure}");
    }
    let unreached = &summary.scenarios[name].unreached;
    assert!(unreached.is_empty(), "{name}: no seed reached {unreached:?}");
}

macro_rules! sweeps {
    ($($name:ident)*) => {
        $(
            #[test]
            fn $name() {
                check(stringify!($name));
            }
        )*

        #[test]
        fn every_scenario_is_swept() {
            let swept = [$(stringify!($name)),*];
            for scenario in catalog::ALL {
                assert!(swept.contains(&scenario.name), "{} is not swept", scenario.name);
            }
        }
    };
}

sweeps! {
    flights
    calm
    worker_crash
    coordinator_crash
    lost_barrier
    partition
    zombie_worker
    two_coordinators
    late_events
    chaos
}
