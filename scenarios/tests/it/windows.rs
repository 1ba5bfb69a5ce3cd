//! Windows by the clock of the node, on a cluster whose clocks are virtual.

use std::time::Duration;

use floodmark::{Generator, Session, Sliding, Stream, Tumbling, Window};
use floodmark_scenarios::Simulation;
use floodmark_sim::FaultPlan;

const fn ms(millis: u64) -> Duration {
    Duration::from_millis(millis)
}

/// A key, its window, and how many records were in it.
type Counted = (u64, Window, u64);

/// Runs a job over 60 records in three seconds, one every 50 ms, without faults.
fn counted(job: fn(Stream<u64>) -> Stream<Counted>) -> Vec<Counted> {
    let simulation = Simulation::new(move |env| {
        let numbers = env.source("numbers", Generator::new(60, |number| number).rate(20));
        job(numbers.parallelism(1)).uid("windows")
    });
    simulation.run(1, &FaultPlan(Vec::new())).expect("no promise is broken")
}

fn total(counted: &[Counted]) -> u64 {
    counted.iter().map(|(_, _, count)| count).sum()
}

#[test]
fn tumbling_windows_by_the_clock_hold_every_record_once() {
    let counted = counted(|numbers| {
        numbers.key_by(|number| number % 2).window(Tumbling::processing_time(ms(300))).count()
    });
    assert!(counted.iter().all(|(_, window, _)| window.end.0 - window.start.0 == 300));
    assert!(counted.iter().all(|(_, window, _)| window.start.0 % 300 == 0));
    // What the clock has not closed at the end of the input is dropped with the job.
    let total = total(&counted);
    assert!((48..=60).contains(&total), "{total}");
    assert!(16 < counted.len(), "{counted:?}");
}

#[test]
fn sliding_windows_by_the_clock_hold_every_record_several_times() {
    let counted = counted(|numbers| {
        let windows = Sliding::processing_time(ms(600), ms(200));
        numbers.key_by(|_| 0).window(windows).count()
    });
    assert!(counted.iter().all(|(_, window, _)| window.end.0 - window.start.0 == 600));
    let total = total(&counted);
    assert!((3 * 44..=3 * 60).contains(&total), "{total}");
}

#[test]
fn sessions_by_the_clock_end_when_nothing_has_come_for_the_gap() {
    let counted = counted(|numbers| {
        // Ten records in half a second, then as much silence.
        let busy = numbers.filter(|number| (number / 10) % 2 == 0);
        busy.key_by(|_| 0).window(Session::processing_time(ms(200))).count()
    });
    let counts: Vec<_> = counted.iter().map(|(_, _, count)| *count).collect();
    assert_eq!(counts, [10, 10, 10]);
}
