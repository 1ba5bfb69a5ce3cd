//! The workloads that are measured: what the runtime comes to is what the loop comes to.

use std::time::Duration;

use floodmark_scenarios::bench::{MeasureOptions, Tally, WORKLOADS, Workload, clocks};

/// Events of a job; not a multiple of anything that matters.
const EVENT_COUNT: u64 = 30_010;

/// Runs a workload both ways with one, two and three subtasks, in batches that never end where a
/// watermark does.
fn check(name: &str) {
    let workload = Workload::find(name).expect("there is such a workload");
    let by_hand = workload.measure_loop(EVENT_COUNT, clocks).tally;
    assert!(0 < by_hand.rows);
    for parallelism in 1..=3 {
        let options = MeasureOptions {
            event_count: EVENT_COUNT,
            parallelism,
            checkpoint_interval: Some(Duration::from_millis(1)),
            batch_size: 37,
        };
        let directory = tempfile::tempdir().expect("a directory");
        let measured = workload.measure(&options, directory.path(), clocks).expect("it ends well");
        let Tally { rows, check, .. } = measured.tally;
        assert_eq!((rows, check), (by_hand.rows, by_hand.check), "{name}, {parallelism} subtasks");
        if parallelism == 1 {
            assert_eq!(measured.tally, by_hand, "{name}: one reader, one order");
        }
    }
}

#[test]
fn events_pass_the_runtime_unchanged() {
    check("gen");
}

#[test]
fn map_and_filter_come_to_the_same_as_by_hand() {
    check("w1");
}

#[test]
fn running_totals_come_to_the_same_as_by_hand() {
    check("w2_1k");
    check("w2_1m");
}

#[test]
fn windows_come_to_the_same_as_by_hand() {
    check("w3");
    check("w3_100");
}

#[test]
fn windows_that_overlap_come_to_the_same_as_by_hand() {
    check("w4");
}

#[test]
fn sessions_come_to_the_same_as_by_hand() {
    check("w5");
}

#[test]
fn words_are_counted_as_by_hand() {
    check("w6");
}

#[test]
fn every_workload_with_a_job_is_checked() {
    let checked = include_str!("workloads.rs");
    for workload in WORKLOADS.iter().filter(|workload| workload.has_job()) {
        assert!(checked.contains(&format!("check(\"{}\")", workload.name)), "{}", workload.name);
    }
}

#[test]
fn without_checkpoints_the_result_is_the_same() {
    let workload = Workload::find("w3").expect("there is such a workload");
    let options = MeasureOptions {
        event_count: EVENT_COUNT,
        parallelism: 2,
        checkpoint_interval: None,
        batch_size: 256,
    };
    let directory = tempfile::tempdir().expect("a directory");
    let measured = workload.measure(&options, directory.path(), clocks).expect("it ends well");
    let by_hand = workload.measure_loop(EVENT_COUNT, clocks);
    assert_eq!(measured.tally.rows, by_hand.tally.rows);
    assert_eq!(measured.tally.check, by_hand.tally.check);
}
