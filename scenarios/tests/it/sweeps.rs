//! Every scenario, for as many seeds as it takes to reach all its probes.

use std::sync::atomic::AtomicBool;

use floodmark_scenarios::{
    catalog,
    sweep::{PROBE_SEED_COUNT, Shard, SweepOptions, sweep},
};

/// Sweeps a scenario and demands that every promise was kept and every probe reached.
#[track_caller]
fn check(name: &str) {
    // One seed in a hundred of everything at once refuses what is stale.
    let seed_count = if name == "chaos" { 8 } else { 2 } * PROBE_SEED_COUNT;
    let scenario = catalog::find(name).expect("the scenario is in the catalog");
    let options = SweepOptions {
        scenarios: vec![scenario],
        // Not the first seeds, which everybody looks at anyway.
        seeds: 1_000..1_000 + seed_count,
        shard: Shard::WHOLE,
        time_budget: None,
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
    chaos
    crash_before_alignment
    crash_while_aligning
    crash_after_alignment
    lost_trigger
    lost_barrier
    lost_acknowledgement
    crash_before_manifest
    manifest_in_doubt
    crash_before_notification
    lost_notification
    worker_crash
    crash_during_restore
    zombie_worker
    zombie_commit
    zombie_cleanup
    coordinator_crash
    two_coordinators
    stop_and_resume
    upgrade
    changing_hands
    late_uploads
    lost_abort
    blackout
    local_recovery
    partition
    deaf_coordinator
    deaf_worker
    unruly_frames
    slow_store
    upload_errors
    single_checkpoint
    late_events
    skewed_splits
    aligned_sources
    idle_and_finished_sources
    visits
    reminders
    skewed_clocks
    water_level
    written_and_live
    empty_epochs
    sink_errors
    flaky_recovery
    failed_cleaning
    forgetful_queue
    transaction_timeout
    outside_ledger
    shared_directory
    lookups
}
