//! How often does each workload ask the allocator, per record, once it has warmed up?
//!
//! Aimed at: never per record, only per batch. The first half of the events warms up; what follows, to
//! the last row, is counted over all threads. Not criterion's kind of question: the answer is a number
//! of calls, the same in nearly every run, so it is asked once.

#![expect(clippy::print_stdout, reason = "this is the answer")]

use std::{alloc::System, time::Duration};

use floodmark_scenarios::bench::{MeasureOptions, Reading, WORKLOADS};
use stats_alloc::{INSTRUMENTED_SYSTEM, StatsAlloc};

#[global_allocator]
static ALLOCATOR: &StatsAlloc<System> = &INSTRUMENTED_SYSTEM;

/// Reads the calls that ask for memory, and the bytes asked for.
fn allocations() -> Reading {
    let stats = ALLOCATOR.stats();
    let calls = stats.allocations + stats.reallocations;
    Reading([calls as u64, stats.bytes_allocated as u64])
}

#[expect(clippy::cast_precision_loss, reason = "shown with three digits")]
fn main() {
    let event_count = 400_000;
    println!("| workload | calls per event | bytes per event | calls per event, by hand |");
    println!("|---|--:|--:|--:|");
    for workload in WORKLOADS.iter().filter(|workload| workload.has_job()) {
        let options = MeasureOptions {
            event_count,
            parallelism: 1,
            checkpoint_interval: Some(Duration::from_secs(1)),
            batch_size: 512,
        };
        let directory = tempfile::tempdir().expect("there is room for a directory");
        let measured = workload.measure(&options, directory.path(), allocations);
        let Reading([calls, bytes]) = measured.expect("the job ends well").second_half;
        // A loop cannot be cut in half: what twice the events need more is what half of them need.
        let by_hand = |count| workload.measure_loop(count, allocations).whole.0[0];
        let by_hand = by_hand(event_count).saturating_sub(by_hand(event_count / 2));
        let per_event = |count: u64| count as f64 / (event_count / 2) as f64;
        println!(
            "| {} | {:.4} | {:.1} | {:.4} |",
            workload.name,
            per_event(calls),
            per_event(bytes),
            per_event(by_hand),
        );
    }
}
