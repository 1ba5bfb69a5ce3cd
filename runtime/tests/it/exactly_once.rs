//! Every record has its effect exactly once: in each kind of operator, across failures of user code,
//! and across a stop of the whole job.

use std::{
    collections::BTreeMap,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    time::Duration,
};

use floodmark::{
    BoxError, Context, Environment, FileSink, Generator, JobStatus, KeyedProcess, OutputTag,
    RestartStrategy, Stream, TimeDomain, Timestamp, Tumbling, ValueState, WatermarkStrategy,
};

use crate::machine::{Folder, Gate, Gated, cancelled, ended, run, sorted, until};

const SECOND: Duration = Duration::from_secs(1);

/// A word and when it was said.
type Said = (String, i64);

fn said(index: u64) -> Said {
    const WORDS: [&str; 5] = ["to", "be", "or", "not", "that"];
    (WORDS[(index * index % 7 % 5) as usize].to_owned(), index as i64 * 10)
}

/// Counts words in windows of a second, one line each.
fn count_words(words: Stream<Said>) -> Stream<String> {
    words
        .watermarks(
            WatermarkStrategy::bounded_out_of_orderness(SECOND).timestamps(|said: &Said| said.1),
        )
        .key_by(|(word, _)| word.clone())
        .window(Tumbling::event_time(SECOND))
        .fold(0_u64, |count, _| *count += 1)
        .uid("count")
        .map(|(word, window, count)| format!("{word} {} {count}", window.start.0))
}

/// The naive model of `count_words` on the first `count` words.
fn counted_words(count: u64) -> Vec<String> {
    let mut counts: BTreeMap<(String, i64), u64> = BTreeMap::new();
    for (word, time) in (0..count).map(said) {
        *counts.entry((word, time / 1_000 * 1_000)).or_default() += 1;
    }
    sorted(counts.into_iter().map(|((word, start), count)| format!("{word} {start} {count}")))
}

#[tokio::test(flavor = "multi_thread")]
async fn words_are_counted_in_windows() {
    let folder = Folder::new();
    let env = folder.checkpointed().parallelism(3);
    let words = env.source("words", Generator::new(6_000, said).rate(5_000).disorder(7, 20));
    let counts = count_words(words);
    counts.clone().sink("files", FileSink::new(&folder.path("output"), String::clone));
    let collected = counts.collect("collected");
    run(&env).await.unwrap();
    let expected = counted_words(6_000);
    assert_eq!(folder.lines("output"), expected);
    assert_eq!(sorted(collected.values()), expected);
}

#[tokio::test(flavor = "multi_thread")]
async fn late_records_go_to_the_side_output() {
    const LATE: OutputTag<(u64, i64)> = OutputTag::new("late");
    let folder = Folder::new();
    let env = folder.checkpointed();
    let times = [1_000, 4_000, 9_000, 1_500, 5_000, 12_000, 9_999];
    let readings = env.from_vec("readings", (0..).zip(times).collect());
    let sums = readings
        .watermarks(
            WatermarkStrategy::ascending().timestamps(|one: &(u64, i64)| one.1).emit_every(1),
        )
        .key_by(|_| ())
        .window(Tumbling::event_time(5 * SECOND))
        .late_to(LATE)
        .fold(Vec::new(), |indices, (index, _)| indices.push(index))
        .uid("indices");
    let late = sums.side_output(LATE).collect("late");
    let sums = sums.collect("sums");
    run(&env).await.unwrap();
    let windows = sorted(sums.values().into_iter().map(|(_, window, all)| (window.start.0, all)));
    assert_eq!(windows, [(0, vec![0, 1]), (5_000, vec![2, 4]), (10_000, vec![5])]);
    assert_eq!(late.values(), [(3, 1_500), (6, 9_999)]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_rolling_reduction_emits_every_step() {
    let folder = Folder::new();
    let env = folder.checkpointed().parallelism(3);
    let ones = env.source("ones", Generator::new(3_000, |index| (index % 7, 1_u64)));
    let sums = ones.key_by(|(key, _)| *key).reduce(|(key, left), (_, right)| (key, left + right));
    let sums = sums.uid("sums").collect("collected");
    run(&env).await.unwrap();
    let count_of = |key: u64| (3_000 - key).div_ceil(7);
    let expected = (0..7).flat_map(|key| (1..=count_of(key)).map(move |sum| (key, sum)));
    assert_eq!(sorted(sums.values()), expected.collect::<Vec<_>>());
}

/// Counts the records of each key and second of event time, and emits the count when it is over.
#[derive(Clone)]
struct CountPerSecond;

const COUNT: ValueState<BTreeMap<i64, u64>> = ValueState::new("count");

impl KeyedProcess for CountPerSecond {
    type Key = String;
    type In = Said;
    type Out = String;

    fn on_element(
        &mut self,
        (_, time): Said,
        cx: &mut Context<'_, String, String>,
    ) -> Result<(), BoxError> {
        let start = time / 1_000 * 1_000;
        let mut counts = cx.state(COUNT).or_default();
        *counts.entry(start).or_default() += 1;
        cx.state(COUNT).set(counts);
        cx.timers().register_event_time(Timestamp(start + 999));
        Ok(())
    }

    fn on_timer(
        &mut self,
        time: Timestamp,
        _: TimeDomain,
        cx: &mut Context<'_, String, String>,
    ) -> Result<(), BoxError> {
        let start = time.0 - 999;
        let mut counts = cx.state(COUNT).or_default();
        let count = counts.remove(&start).ok_or("a timer without a count")?;
        cx.state(COUNT).set(counts);
        let line = format!("{} {start} {count}", cx.key());
        cx.emit(line);
        Ok(())
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn state_and_timers_of_a_process_function() {
    let folder = Folder::new();
    let env = folder.checkpointed().parallelism(3);
    let words = env.source("words", Generator::new(6_000, said).rate(10_000).disorder(3, 20));
    let strategy = WatermarkStrategy::bounded_out_of_orderness(SECOND);
    let counts = words
        .watermarks(strategy.timestamps(|said: &Said| said.1))
        .key_by(|(word, _)| word.clone())
        .process(CountPerSecond)
        .uid("count")
        .collect("counts");
    run(&env).await.unwrap();
    assert_eq!(sorted(counts.values()), counted_words(6_000));
}

#[tokio::test(flavor = "multi_thread")]
async fn union_rebalance_and_broadcast_lose_nothing_and_repeat_nothing() {
    let folder = Folder::new();
    let env = folder.checkpointed().parallelism(3);
    let low = env.source("low", Generator::new(1_000, |index| index));
    let high = env.source("high", Generator::new(500, |index| 1_000 + index)).parallelism(2);
    let all = low.union(high.clone());
    let direct = all.clone().map(|index| index).collect("direct");
    let rebalanced = all.clone().rebalance().map(|index| index).collect("rebalanced");
    let broadcast = all.clone().broadcast().map(|index| index).collect("broadcast");
    let doubled = all.union(high).rebalance().filter(|index| 990 <= *index).collect("doubled");
    run(&env).await.unwrap();
    let expected: Vec<u64> = (0..1_500).collect();
    assert_eq!(sorted(direct.values()), expected);
    assert_eq!(sorted(rebalanced.values()), expected);
    assert_eq!(sorted(broadcast.values()), sorted(expected.repeat(3)));
    let expected = sorted((990..1_500).chain(1_000..1_500));
    assert_eq!(sorted(doubled.values()), expected);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_generator_yields_every_index_in_whatever_disorder() {
    let folder = Folder::new();
    let env = folder.checkpointed();
    let mut outputs = Vec::new();
    for count in [0, 1, 2, 1_000] {
        for distance in [0, 1, 9, 300, u16::MAX] {
            for parallelism in [1, 3] {
                let way = format!("{count} within {distance} in {parallelism}");
                let generator = Generator::new(count, |index| index).disorder(5, distance);
                let indices = env.source(&way, generator).parallelism(parallelism);
                outputs.push((indices.collect(&format!("{way}, collected")), count, way));
            }
        }
    }
    run(&env).await.unwrap();
    for (output, count, way) in outputs {
        assert_eq!(sorted(output.values()), (0..count).collect::<Vec<_>>(), "{way}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn values_that_a_generator_leaves_out_change_nothing_for_the_others() {
    let folder = Folder::new();
    let env = folder.checkpointed();
    let generator = || Generator::new(1_000, |index| index).disorder(5, 9).rate(50_000);
    let few = |index: u64| index % 300 == 7;
    let collect = |name: &str, generator| {
        env.source(name, generator).parallelism(1).collect(&format!("{name}, collected"))
    };
    let all = collect("all", generator());
    let some = collect("some", generator().only(few));
    let none = collect("none", generator().only(|_| false));
    run(&env).await.unwrap();
    let in_order: Vec<_> = all.values().into_iter().filter(|index| few(*index)).collect();
    assert_eq!(in_order.len(), 4);
    assert_eq!(some.values(), in_order);
    assert!(none.values().is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn without_checkpoints_everything_appears_at_the_end() {
    let folder = Folder::new();
    let env = folder.environment().parallelism(3);
    let counts = count_words(env.source("words", Generator::new(1_000, said).disorder(7, 20)));
    counts.sink("files", FileSink::new(&folder.path("output"), String::clone));
    run(&env).await.unwrap();
    assert_eq!(folder.lines("output"), counted_words(1_000));
}

/// How user code fails.
#[derive(Clone, Copy)]
enum Failure {
    Error,
    Panic,
}

/// Counts records per key, and fails the first time it meets the fatal one.
#[derive(Clone)]
struct CountOrFail {
    failure: Failure,
    fatal: u64,
    has_failed: Arc<AtomicBool>,
}

/// Named like the operator's own timers, which it must not be confused with.
const SEEN: ValueState<u64> = ValueState::new("timers");

impl KeyedProcess for CountOrFail {
    type Key = u64;
    type In = u64;
    type Out = String;

    fn on_element(
        &mut self,
        value: u64,
        cx: &mut Context<'_, u64, String>,
    ) -> Result<(), BoxError> {
        if value == self.fatal && !self.has_failed.swap(true, Ordering::Relaxed) {
            match self.failure {
                Failure::Error => return Err("the fatal record".into()),
                Failure::Panic => panic!("the fatal record"),
            }
        }
        let seen = cx.state(SEEN).or_default() + 1;
        cx.state(SEEN).set(seen);
        let line = format!("{} {seen}", cx.key());
        cx.emit(line);
        Ok(())
    }
}

/// What `CountOrFail` counts in `0..count`, by the last digit.
fn digits_seen(count: u64) -> Vec<String> {
    let seen = (0..10).flat_map(|digit| {
        (1..=(count - digit).div_ceil(10)).map(move |seen| format!("{digit} {seen}"))
    });
    sorted(seen)
}

/// Runs a job at parallelism 3 whose process function fails at a record that it meets after the
/// first results are committed, so that the next attempt begins from a checkpoint.
async fn check_failure(failure: Failure, fatal: u64) {
    const COUNT: u64 = 2_000;
    let folder = Arc::new(Folder::new());
    let has_failed = Arc::new(AtomicBool::new(false));
    let restart = RestartStrategy::FixedDelay { attempts: 1, delay: Duration::from_millis(1) };
    let env = folder.checkpointed().restart(restart).parallelism(3);
    let for_gate = folder.clone();
    let is_committed = move || !for_gate.lines("output").is_empty();
    let gate = Gate::OpensWhen(Arc::new(is_committed));
    let seen = env
        .source("numbers", Gated { first: 0, count: COUNT, gate_at: COUNT / 2, gate })
        .key_by(|number| number % 10)
        .process(CountOrFail { failure, fatal, has_failed: has_failed.clone() })
        .uid("seen");
    seen.clone().sink("files", FileSink::new(&folder.path("output"), String::clone));
    let collected = seen.collect("collected");
    run(&env).await.expect("the job finishes");
    assert!(has_failed.load(Ordering::Relaxed));
    assert_eq!(folder.lines("output"), digits_seen(COUNT));
    assert_eq!(sorted(collected.values()), digits_seen(COUNT));
}

#[tokio::test(flavor = "multi_thread")]
async fn an_error_before_the_first_checkpoint_costs_nothing() {
    check_failure(Failure::Error, 0).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_error_after_a_checkpoint_costs_nothing() {
    check_failure(Failure::Error, 1_500).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_panic_after_a_checkpoint_costs_nothing() {
    check_failure(Failure::Panic, 1_500).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_error_at_the_last_record_costs_nothing() {
    check_failure(Failure::Error, 1_999).await;
}

/// Adds every number that comes by to `visited`, and sums them up.
fn connect_digits(env: &Environment, folder: &Folder, source: Gated, visited: &Arc<AtomicU64>) {
    let visited = visited.clone();
    let never = CountOrFail {
        failure: Failure::Error,
        fatal: u64::MAX,
        has_failed: Arc::new(AtomicBool::new(false)),
    };
    env.source("numbers", source)
        .map(move |number| {
            visited.fetch_add(1, Ordering::Relaxed);
            number
        })
        .key_by(|number| number % 10)
        .process(never)
        .uid("seen")
        .sink("files", FileSink::new(&folder.path("output"), String::clone));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_cancelled_job_goes_on_where_it_was() {
    const COUNT: u64 = 2_000;
    let folder = Folder::new();

    let env = folder.checkpointed().parallelism(3);
    let unbounded = Gated { first: 0, count: u64::MAX, gate_at: COUNT / 2, gate: Gate::Closed };
    connect_digits(&env, &folder, unbounded, &Arc::default());
    let job = env.execute("job").await.unwrap();
    until(|| !folder.lines("output").is_empty()).await;
    cancelled(job).await.unwrap();
    let committed = folder.lines("output").len() as u64;

    let env = folder.checkpointed().parallelism(3);
    let bounded = Gated { first: 0, count: COUNT, gate_at: COUNT, gate: Gate::Closed };
    let visited = Arc::default();
    connect_digits(&env, &folder, bounded, &visited);
    run(&env).await.unwrap();
    assert_eq!(folder.lines("output"), digits_seen(COUNT));
    assert!(0 < committed);
    assert!(visited.load(Ordering::Relaxed) <= COUNT - committed, "a checkpoint is gone on from");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stopped_job_has_committed_what_it_has_processed() {
    const COUNT: u64 = 2_000;
    let folder = Folder::new();

    let env = folder.checkpointed().parallelism(3);
    let unbounded = Gated { first: 0, count: u64::MAX, gate_at: COUNT / 2, gate: Gate::Closed };
    connect_digits(&env, &folder, unbounded, &Arc::default());
    let job = env.execute("job").await.unwrap();
    until(|| !folder.lines("output").is_empty()).await;
    job.stop(20 * SECOND).await.unwrap();
    let committed = folder.lines("output").len() as u64;

    let env = folder.checkpointed().parallelism(3);
    let bounded = Gated { first: 0, count: COUNT, gate_at: COUNT, gate: Gate::Closed };
    let visited = Arc::default();
    connect_digits(&env, &folder, bounded, &visited);
    run(&env).await.unwrap();
    assert_eq!(folder.lines("output"), digits_seen(COUNT));
    assert_eq!(visited.load(Ordering::Relaxed), COUNT - committed, "nothing is processed again");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_job_that_has_finished_has_nothing_left_to_do() {
    let folder = Folder::new();
    for _ in 0..2 {
        let env = folder.checkpointed().parallelism(2);
        let numbers = env.source("numbers", Generator::new(100, |index| index));
        numbers.sink("files", FileSink::new(&folder.path("output"), u64::to_string));
        run(&env).await.unwrap();
        assert_eq!(folder.lines("output"), sorted((0..100).map(|index: u64| index.to_string())));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_status_follows_the_job() {
    let folder = Folder::new();
    let env = folder.checkpointed();
    let is_open = Arc::new(AtomicBool::new(false));
    let for_gate = is_open.clone();
    let gate = Gate::OpensWhen(Arc::new(move || for_gate.load(Ordering::Relaxed)));
    let source = Gated { first: 0, count: 10, gate_at: 5, gate };
    let numbers = env.source("numbers", source).collect("collected");
    let job = env.execute("job").await.unwrap();
    until(|| matches!(job.status(), JobStatus::Running { completed: Some(_), .. })).await;
    is_open.store(true, Ordering::Relaxed);
    until(|| job.status() == JobStatus::Finished).await;
    ended(job).await.unwrap();
    assert_eq!(numbers.values(), (0..10).collect::<Vec<_>>());
}

#[tokio::test(flavor = "multi_thread")]
async fn the_status_of_a_failed_job_tells_why() {
    let folder = Folder::new();
    let env = folder.environment();
    env.from_vec("numbers", vec![1]).for_each("taster", |_| Err("bitter".into()));
    let job = env.execute("job").await.unwrap();
    let reason = "numbers → taster [0]: operator taster: bitter".to_owned();
    until(|| job.status() == JobStatus::Failed { reason: reason.clone() }).await;
    assert!(ended(job).await.is_err());
}

#[tokio::test(flavor = "multi_thread")]
async fn two_sinks_may_share_a_directory() {
    let folder = Folder::new();
    let env = folder.environment();
    let numbers = env.from_vec("numbers", (0..10_u32).collect());
    numbers.clone().sink("even", FileSink::new(&folder.path("output"), |n: &u32| format!("e{n}")));
    numbers.sink("odd", FileSink::new(&folder.path("output"), |n: &u32| format!("o{n}")));
    run(&env).await.unwrap();
    assert_eq!(folder.lines("output").len(), 20);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_part_of_another_job_is_not_taken_for_ones_own() {
    let folder = Folder::new();
    let write = async |from: u32| {
        let env = folder.environment();
        let numbers = env.from_vec("numbers", (from..from + 10).collect());
        numbers.sink("out", FileSink::new(&folder.path("output"), u32::to_string));
        run(&env).await
    };
    write(0).await.unwrap();
    let error = write(100).await.unwrap_err().to_string();
    assert!(error.contains("exists already with other content"), "{error}");
    assert_eq!(folder.lines("output").len(), 10);
}
