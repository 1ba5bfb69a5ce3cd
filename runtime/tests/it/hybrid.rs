//! One source where another ends.

use std::{
    collections::BTreeMap,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    time::Duration,
};

use floodmark::{
    Environment, Generator, HybridSource, Tumbling, VecSource, WatermarkStrategy, Window,
};

use crate::machine::{Folder, Gate, Gated, ended, run, sorted, until};

const COUNT: u64 = 1_000;

#[tokio::test(flavor = "multi_thread")]
async fn each_source_is_read_to_its_end_before_the_next_one_begins() {
    let env = Environment::new();
    // Two splits each, and one of the middle: whoever has ended the first may not run ahead.
    let source = HybridSource::new(
        HybridSource::new(
            Generator::new(COUNT, |index| index).disorder(3, 20),
            VecSource::new((COUNT..2 * COUNT).collect()),
        ),
        Generator::new(COUNT, |index| 2 * COUNT + index),
    );
    let numbers = env.source("numbers", source).parallelism(1).collect("seen");
    run(&env).await.unwrap();
    let parts: Vec<u64> = numbers.values().iter().map(|number| number / COUNT).collect();
    assert!(parts.is_sorted(), "all of one source comes before all of the next");
    assert_eq!(sorted(numbers.values()), sorted(0..3 * COUNT));
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_written_is_counted_before_the_rest_comes_and_nothing_is_late() {
    let folder = Folder::new();
    let env = folder.checkpointed().parallelism(2);
    let is_open = Arc::new(AtomicBool::new(false));
    let for_gate = is_open.clone();
    let gate = Gate::OpensWhen(Arc::new(move || for_gate.load(Ordering::Relaxed)));
    let written = Generator::new(COUNT, |index| index).disorder(7, 30);
    let live = Gated { first: COUNT, count: 2 * COUNT, gate_at: 0, gate };
    // Two hundred milliseconds are more than the disorder of two subtasks.
    let strategy = WatermarkStrategy::bounded_out_of_orderness(Duration::from_millis(200))
        .timestamps(|number: &u64| i64::try_from(*number).expect("a small number"))
        .emit_every(1);
    let fired = Arc::new(AtomicU64::new(0));
    let fires = fired.clone();
    let counts = env
        .source("numbers", HybridSource::new(written, live))
        .watermarks(strategy)
        .key_by(|number| number % 3)
        .window(Tumbling::event_time(Duration::from_millis(100)))
        .fold(0, |count: &mut u64, _| *count += 1)
        .uid("counts")
        .map(move |(_, window, count): (u64, Window, u64)| {
            fires.fetch_add(1, Ordering::Relaxed);
            (window.start.0, count)
        })
        .collect("counts-seen");
    let job = env.execute("job").await.unwrap();
    // Event time is 200 ms behind what is written, so windows up to 700 or 800 have fired.
    until(|| 3 * 7 <= fired.load(Ordering::Relaxed)).await;
    assert!(fired.load(Ordering::Relaxed) <= 3 * 8);
    is_open.store(true, Ordering::Relaxed);
    ended(job).await.unwrap();
    let mut sums = BTreeMap::new();
    for (start, count) in counts.values() {
        *sums.entry(start).or_insert(0) += count;
    }
    assert_eq!(sums, (0..20).map(|window| (window * 100, 100)).collect());
}
