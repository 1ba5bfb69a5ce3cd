//! Sources of a group wait for each other, and for nothing longer than they must.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    time::Duration,
};

use floodmark::{CheckpointId, Environment, JobHandle, JobStatus, Stream, WatermarkStrategy};

use crate::machine::{Folder, Gate, Gated, ended, run, sorted, until};

const COUNT: u64 = 1_000;

/// Where the slow source stops until its gate opens.
const GATE_AT: u64 = 10;

/// Numbers are ten milliseconds of event time apart.
fn strategy() -> WatermarkStrategy<u64> {
    WatermarkStrategy::ascending()
        .timestamps(|number: &u64| i64::try_from(*number).unwrap_or(i64::MAX).saturating_mul(10))
        .emit_every(1)
        .align("numbers", Duration::from_millis(100))
        .align_every(Duration::from_millis(10))
}

fn read(env: &Environment, name: &str, gate: Gate) -> Stream<u64> {
    let gate_at = if matches!(gate, Gate::Closed) { COUNT } else { GATE_AT };
    env.source(name, Gated { first: 0, count: COUNT, gate_at, gate }).watermarks(strategy())
}

fn completed(job: &JobHandle) -> CheckpointId {
    let JobStatus::Running { completed, .. } = job.status() else { return CheckpointId::default() };
    completed.unwrap_or_default()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_fast_source_waits_for_a_slow_one_and_checkpoints_do_not() {
    let folder = Folder::new();
    let env = folder.checkpointed();
    let is_open = Arc::new(AtomicBool::new(false));
    let for_gate = is_open.clone();
    let gate = Gate::OpensWhen(Arc::new(move || for_gate.load(Ordering::Relaxed)));
    let visited = Arc::new(AtomicU64::new(0));
    let visits = visited.clone();
    let fast = read(&env, "fast", Gate::Closed).map(move |number| {
        visits.fetch_add(1, Ordering::Relaxed);
        number
    });
    let all = fast.union(read(&env, "slow", gate)).map(|number| number).collect("all");
    let job = env.execute("job").await.unwrap();
    // The slow one has promised 89 ms, so 189 may be promised of the fast one: it stops behind 200.
    let stops_after = 2 * GATE_AT + 1;
    until(|| visited.load(Ordering::Relaxed) == stops_after).await;
    let before = completed(&job);
    until(|| before.0 + 5 < completed(&job).0).await;
    assert_eq!(visited.load(Ordering::Relaxed), stops_after);
    is_open.store(true, Ordering::Relaxed);
    ended(job).await.unwrap();
    assert_eq!(sorted(all.values()), sorted((0..COUNT).chain(0..COUNT)));
}

#[tokio::test(flavor = "multi_thread")]
async fn nobody_waits_for_a_source_that_is_idle() {
    let folder = Folder::new();
    let env = folder.checkpointed();
    let is_open = Arc::new(AtomicBool::new(false));
    let for_gate = is_open.clone();
    let gate = Gate::OpensWhen(Arc::new(move || for_gate.load(Ordering::Relaxed)));
    let visited = Arc::new(AtomicU64::new(0));
    let visits = visited.clone();
    let fast = read(&env, "fast", Gate::Closed).map(move |number| {
        visits.fetch_add(1, Ordering::Relaxed);
        number
    });
    let slow = env.source("slow", Gated { first: 0, count: COUNT, gate_at: GATE_AT, gate });
    let slow = slow.watermarks(strategy().idle_after(Duration::from_millis(50)));
    let all = fast.union(slow).map(|number| number).collect("all");
    let job = env.execute("job").await.unwrap();
    until(|| visited.load(Ordering::Relaxed) == COUNT).await;
    is_open.store(true, Ordering::Relaxed);
    ended(job).await.unwrap();
    assert_eq!(sorted(all.values()), sorted((0..COUNT).chain(0..COUNT)));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_strategy_with_a_group_follows_its_source() {
    let env = Environment::new();
    let numbers = env.from_vec("numbers", vec![1_u64, 2]).rebalance().watermarks(strategy());
    numbers.parallelism(2).collect("all");
    let text = run(&env).await.unwrap_err().to_string();
    assert!(text.contains("a strategy with a group must follow its source directly"), "{text}");
}
