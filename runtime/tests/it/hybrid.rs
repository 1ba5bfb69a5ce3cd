//! One source where another ends.

use std::{
    collections::BTreeMap,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    task::{Context, Poll},
    time::Duration,
};

use floodmark::{
    Batch, BoxError, Environment, Generator, HybridSource, Source, SplitReader, Tumbling,
    VecSource, WatermarkStrategy, Window,
    platform::{BoxFuture, Machine},
};

use crate::machine::{Folder, Gate, Gated, ended, run, sorted, until};

const COUNT: u64 = 1_000;

/// Nothing here takes nearly as long.
const LONG: Duration = Duration::from_secs(60);

#[tokio::test(flavor = "multi_thread")]
async fn each_source_is_read_to_its_end_before_the_next_one_begins() {
    let env = Environment::new();
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

/// Numbers in splits of different lengths, all read by one subtask; none from a number on, if that is
/// wanted.
#[derive(Clone)]
struct Spans {
    spans: Vec<(u64, u64)>,
    stops_at: Option<u64>,
}

impl Source for Spans {
    type Out = u64;
    type Split = (u64, u64);

    fn splits(&self, _: &Machine, _: u16) -> BoxFuture<Result<Vec<(u64, u64)>, BoxError>> {
        let spans = self.spans.clone();
        Box::pin(async { Ok(spans) })
    }

    fn read(&self, _: &Machine, span: (u64, u64)) -> Box<dyn SplitReader<Self>> {
        Box::new(SpanReader { span, stops_at: self.stops_at })
    }
}

struct SpanReader {
    span: (u64, u64),
    stops_at: Option<u64>,
}

impl SplitReader<Spans> for SpanReader {
    fn poll_next(&mut self, _: &mut Context<'_>) -> Poll<Result<Option<Batch<u64>>, BoxError>> {
        let (next, end) = self.span;
        if next == end {
            return Poll::Ready(Ok(None));
        }
        if Some(next) == self.stops_at {
            return Poll::Pending;
        }
        self.span.0 += 1;
        Poll::Ready(Ok(Some(vec![next.into()])))
    }

    fn position(&self) -> (u64, u64) {
        self.span
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn all_splits_of_a_source_end_before_those_of_the_next_begin_also_after_a_stop() {
    let folder = Folder::new();
    let build = |env: &Environment, stops_at| {
        let first = Spans { spans: vec![(0, 10), (100, 150)], stops_at };
        let second = Spans { spans: vec![(200, 230), (300, 310)], stops_at };
        env.source("numbers", HybridSource::new(first, second)).collect("seen")
    };
    // The first split of the first source has ended, and the second one is on its way; then the second
    // source is on its way.
    let mut seen = Vec::new();
    for (stops_at, until_count) in [(Some(120), 30), (Some(215), 85)] {
        let env = folder.checkpointed();
        let part = build(&env, stops_at);
        let job = env.execute("job").await.unwrap();
        until(|| seen.len() + part.values().len() == until_count).await;
        tokio::time::timeout(LONG, job.stop(LONG)).await.expect("the job stops").unwrap();
        seen.append(&mut part.values());
    }
    let env = folder.checkpointed();
    let rest = build(&env, None);
    run(&env).await.unwrap();
    seen.append(&mut rest.values());
    let of_first = seen.iter().map(|number| *number < 200);
    assert!(of_first.rev().is_sorted(), "{seen:?}");
    let all = (0..10).chain(100..150).chain(200..230).chain(300..310);
    assert_eq!(sorted(seen), sorted(all));
}
