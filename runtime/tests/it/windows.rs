//! Windows of every kind on the real machine: what is left to users, and what is refused.

use std::time::Duration;

use floodmark::{
    Aggregate, BoxError, CountEvictor, DeltaTrigger, Environment, Error, Evictor, EvictorContext,
    FileSink, Global, OutputTag, Record, Session, Sliding, Stream, Timestamp, Trigger,
    TriggerContext, TriggerResult, Tumbling, ValueState, Values, WatermarkStrategy, Window,
    WindowContext, WindowProcess,
};
use serde::{Deserialize, Serialize};

use crate::machine::{Folder, Gate, Gated, run, sorted, until};

/// A name, when it happened, and a number.
type Event = (String, i64, i64);

const fn ms(millis: u64) -> Duration {
    Duration::from_millis(millis)
}

fn events(env: &Environment, events: &[(&str, i64, i64)]) -> Stream<Event> {
    let events = events.iter().map(|(name, time, number)| ((*name).to_owned(), *time, *number));
    let strategy = WatermarkStrategy::ascending().timestamps(|event: &Event| event.1);
    env.from_vec("events", events.collect()).watermarks(strategy.emit_every(1))
}

const EVENTS: &[(&str, i64, i64)] = &[
    ("a", 1, 5),
    ("a", 2, 3),
    ("b", 3, 3),
    ("a", 12, 4),
    ("b", 13, 1),
    ("b", 14, 1),
    ("a", 31, 9),
];

/// Runs a job of one subtask over the events and returns its results.
async fn results<T: floodmark::Data + Ord>(job: impl FnOnce(Stream<Event>) -> Stream<T>) -> Vec<T> {
    let folder = Folder::new();
    let env = folder.environment();
    let results = job(events(&env, EVENTS)).collect("results");
    run(&env).await.expect("the job can run");
    sorted(results.values())
}

fn span((key, window, result): (String, Window, i64)) -> (String, i64, i64, i64) {
    (key, window.start.0, window.end.0, result)
}

fn row(key: &str, start: i64, end: i64, result: i64) -> (String, i64, i64, i64) {
    (key.to_owned(), start, end, result)
}

#[tokio::test(flavor = "multi_thread")]
async fn the_same_sums_come_from_windows_of_every_shape() {
    let sums = results(|events| {
        let windows = Tumbling::event_time(ms(10));
        events.key_by(|event| event.0.clone()).window(windows).sum_of(|event| event.2).map(span)
    });
    let want = [row("a", 0, 10, 8), row("a", 10, 20, 4), row("a", 30, 40, 9)];
    let want = want.into_iter().chain([row("b", 0, 10, 3), row("b", 10, 20, 2)]);
    assert_eq!(sums.await, want.collect::<Vec<_>>());

    let sums = results(|events| {
        let windows = Sliding::event_time(ms(20), ms(10)).offset(ms(5));
        events.key_by(|event| event.0.clone()).window(windows).sum_of(|event| event.2).map(span)
    });
    let want = [row("a", -15, 5, 8), row("a", -5, 15, 12), row("a", 5, 25, 4), row("a", 15, 35, 9)];
    let want = want.into_iter().chain([row("a", 25, 45, 9), row("b", -15, 5, 3)]);
    let want = want.chain([row("b", -5, 15, 5), row("b", 5, 25, 2)]);
    assert_eq!(sums.await, want.collect::<Vec<_>>());

    let sums = results(|events| {
        let windows = Session::dynamic(|event: &Event| ms(event.2.unsigned_abs() + 7));
        events.key_by(|event| event.0.clone()).window(windows).sum_of(|event| event.2).map(span)
    });
    let want = [row("a", 1, 23, 12), row("a", 31, 47, 9), row("b", 3, 22, 5)];
    assert_eq!(sums.await, want);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_aggregations_of_the_library_are_what_they_say() {
    let by_key = |events: Stream<Event>| {
        events.key_by(|event| event.0.clone()).window(Tumbling::event_time(ms(20)))
    };
    let of_first = |results: Vec<(String, Window, i64)>| results[0].2;
    let key_b = |event: &(String, Window, Event)| event.0 == "b";
    let counts = results(|events| by_key(events).count()).await;
    let counts: Vec<_> = counts.into_iter().map(|(key, _, count)| (key, count)).collect();
    assert_eq!(counts, [("a".to_owned(), 3), ("a".to_owned(), 1), ("b".to_owned(), 3)]);
    assert_eq!(of_first(results(|events| by_key(events).min_of(|event| event.2)).await), 3);
    assert_eq!(of_first(results(|events| by_key(events).max_of(|event| event.2)).await), 5);
    let means = results(|events| {
        let means = by_key(events).mean_of(|event| f64::from(i32::try_from(event.2).unwrap()));
        means.map(|(key, window, mean)| (key, window, i64::from(mean == 4.0)))
    });
    assert_eq!(of_first(means.await), 1);
    // Of equals, the first or the last.
    let first = results(|events| by_key(events).min_by(|event| event.2).filter(key_b)).await;
    assert_eq!(first[0].2, ("b".to_owned(), 13, 1));
    let last = results(|events| by_key(events).min_by_last(|event| event.2).filter(key_b)).await;
    assert_eq!(last[0].2, ("b".to_owned(), 14, 1));
    let first = results(|events| by_key(events).max_by(|event| event.2 / 2).filter(key_b)).await;
    assert_eq!(first[0].2, ("b".to_owned(), 3, 3));
    let last = results(|events| by_key(events).max_by_last(|event| event.2 / 4).filter(key_b));
    assert_eq!(last.await[0].2, ("b".to_owned(), 14, 1));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stream_without_keys_has_windows_in_one_subtask() {
    let folder = Folder::new();
    let env = folder.environment().parallelism(3);
    let keyed = env.from_vec("numbers", (0..300_i64).collect());
    let keyed = keyed.watermarks(WatermarkStrategy::ascending().timestamps(|time: &i64| *time));
    let counts = keyed.window_all(Tumbling::event_time(ms(100))).count();
    let counts = counts.map(|((), window, count)| (window.start.0, count)).collect("counts");
    run(&env).await.unwrap();
    assert_eq!(sorted(counts.values()), [(0, 100), (100, 100), (200, 100)]);
}

/// Fires at every record with an even number, and says so at the end of the window.
#[derive(Clone)]
struct Even;

#[derive(Clone, Copy, Debug, Default, Serialize, Deserialize)]
struct Fired(u32);

impl Trigger<Event> for Even {
    type State = Fired;

    fn on_element(
        &mut self,
        event: &Event,
        _: Timestamp,
        cx: &mut TriggerContext<'_, Fired>,
    ) -> TriggerResult {
        let end = cx.window().max_timestamp();
        cx.register_event_time(end);
        if event.2 % 2 == 0 {
            cx.state().0 += 1;
            TriggerResult::FireAndPurge
        } else {
            TriggerResult::Continue
        }
    }

    fn on_event_time(&mut self, _: Timestamp, cx: &mut TriggerContext<'_, Fired>) -> TriggerResult {
        // What was purged has nothing left to fire.
        if cx.state().0 == 0 { TriggerResult::Fire } else { TriggerResult::Continue }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn users_have_triggers_of_their_own() {
    let fired = results(|events| {
        let windows = events.key_by(|event| event.0.clone()).window(Tumbling::event_time(ms(20)));
        windows.trigger(Even).sum_of(|event| event.2).map(span)
    });
    let want = [row("a", 0, 20, 12), row("a", 20, 40, 9), row("b", 0, 20, 5)];
    assert_eq!(fired.await, want);
}

/// Leaves out what is smaller than the window is long.
struct Small;

impl Evictor<Event> for Small {
    fn before(&self, records: &mut Vec<Record<Event>>, cx: &EvictorContext) {
        let length = cx.window.end.0 - cx.window.start.0;
        records.retain(|record| length <= record.value.2 * 5);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn users_have_evictors_of_their_own() {
    let kept = results(|events| {
        let windows = events.key_by(|event| event.0.clone()).window(Tumbling::event_time(ms(20)));
        windows.evictor(Small).sum_of(|event| event.2).map(span)
    });
    assert_eq!(kept.await, [row("a", 0, 20, 9), row("a", 20, 40, 9)]);
}

/// Joins the numbers of a window, as they came and by time.
#[derive(Clone)]
struct BothOrders;

impl WindowProcess for BothOrders {
    type Key = String;
    type In = Event;
    type Out = (String, Vec<i64>, Vec<i64>);

    fn process(
        &mut self,
        values: Values<'_, Event>,
        cx: &mut WindowContext<'_, String, Self::Out>,
    ) -> Result<(), BoxError> {
        let came = values.iter().map(|event| event.2).collect();
        let happened = values.by_time().iter().map(|event| event.2).collect();
        let key = cx.key().clone();
        cx.emit((key, came, happened));
        Ok(())
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_function_can_have_its_records_in_the_order_of_their_times() {
    let env = Environment::new();
    let strategy = WatermarkStrategy::bounded_out_of_orderness(ms(100));
    let unsorted = [("a", 7, 1), ("a", 3, 2), ("a", 7, 3), ("a", 1, 4)];
    let unsorted = unsorted.map(|(name, time, number)| (name.to_owned(), time, number));
    let orders = env
        .from_vec("events", unsorted.to_vec())
        .watermarks(strategy.timestamps(|event: &Event| event.1))
        .key_by(|event| event.0.clone())
        .window(Tumbling::event_time(ms(20)))
        .process(BothOrders)
        .uid("orders")
        .collect("seen");
    run(&env).await.expect("the job can run");
    assert_eq!(orders.values(), [("a".to_owned(), vec![1, 2, 3, 4], vec![4, 2, 1, 3])]);
}

/// Leaves nothing.
struct Nothing;

impl<T: 'static> Evictor<T> for Nothing {
    fn before(&self, records: &mut Vec<Record<T>>, _: &EvictorContext) {
        records.clear();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_aggregate_of_what_an_evictor_has_left_may_be_one_of_nothing() {
    let counts = results(|events| {
        let windows = events.key_by(|event| event.0.clone()).window(Tumbling::event_time(ms(20)));
        windows.evictor(Nothing).fold(7, |count: &mut i64, _| *count += 1).map(span)
    });
    assert_eq!(counts.await, [row("a", 0, 20, 7), row("a", 20, 40, 7), row("b", 0, 20, 7)]);
    let reduced = results(|events| {
        let windows = events.key_by(|event| event.0.clone()).window(Tumbling::event_time(ms(20)));
        windows
            .evictor(Nothing)
            .reduce(|left, _| left)
            .map(|(key, window, event)| span((key, window, event.2)))
    });
    assert_eq!(reduced.await, []);
}

const WINDOWS: ValueState<u32> = ValueState::new("windows");
const FIRINGS: ValueState<u32> = ValueState::new("firings");
const ODD: OutputTag<i64> = OutputTag::new("odd");

/// Numbers the windows of a key, and the firings of a window.
#[derive(Clone)]
struct Numbered;

impl WindowProcess for Numbered {
    type Key = String;
    type In = i64;
    type Out = (String, i64, u32, u32);

    fn process(
        &mut self,
        sums: Values<'_, i64>,
        cx: &mut WindowContext<'_, String, Self::Out>,
    ) -> Result<(), BoxError> {
        cx.window_state(FIRINGS).update(|count| *count += 1);
        let firings = cx.window_state(FIRINGS).or_default();
        if firings == 1 {
            cx.state(WINDOWS).update(|count| *count += 1);
        }
        let windows = cx.state(WINDOWS).or_default();
        for sum in sums.iter() {
            if sum % 2 != 0 {
                cx.emit_to(ODD, *sum);
            }
            let key = cx.key().clone();
            cx.emit((key, *sum, windows, firings));
        }
        Ok(())
    }

    fn clear(&mut self, cx: &mut WindowContext<'_, String, Self::Out>) -> Result<(), BoxError> {
        cx.window_state(FIRINGS).clear();
        Ok(())
    }
}

/// Adds numbers up.
#[derive(Clone)]
struct Sum;

impl Aggregate for Sum {
    type In = Event;
    type Acc = i64;
    type Out = i64;

    fn init(&self) -> i64 {
        0
    }

    fn add(&self, sum: &mut i64, event: Event) {
        *sum += event.2;
    }

    fn finish(&self, sum: i64) -> i64 {
        sum
    }

    fn merge(&self, left: i64, right: i64) -> i64 {
        left + right
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_function_of_results_has_state_of_key_and_window() {
    let folder = Folder::new();
    let env = folder.environment();
    let input = [("a", 1, 1), ("a", 12, 2), ("a", 3, 4), ("a", 4, 8), ("a", 25, 16), ("a", 5, 32)];
    let windows = events(&env, &input)
        .key_by(|event| event.0.clone())
        .window(Tumbling::event_time(ms(10)))
        .allowed_lateness(ms(10));
    let numbered = windows.aggregate_then(Sum, Numbered);
    let odd = numbered.side_output(ODD).collect("odd");
    let numbered = numbered.collect("numbered");
    run(&env).await.unwrap();
    let row = |sum, windows, firings| ("a".to_owned(), sum, windows, firings);
    let want = [row(1, 1, 1), row(5, 1, 2), row(13, 1, 3), row(2, 2, 1), row(16, 3, 1)];
    assert_eq!(numbered.values(), want);
    assert_eq!(odd.values(), [1, 5, 13]);
}

#[test]
fn what_cannot_be_merged_is_refused_when_sessions_are() {
    let sessions = |env: &Environment| {
        let numbers = env.from_vec("numbers", vec![1_i64]);
        numbers.key_by(|_| ()).window(Session::event_time(ms(5)))
    };
    let message = |build: &dyn Fn(&Environment)| {
        let env = Environment::new();
        build(&env);
        match env.build("sessions") {
            Err(error @ Error::CannotMerge { .. }) => error.to_string(),
            Err(error) => panic!("{error}"),
            Ok(_) => panic!("the job can be built"),
        }
    };
    let folded = message(&|env| {
        sessions(env).fold(0, |sum, number| *sum += number).print();
    });
    assert_eq!(
        folded,
        "sessions merge, and what is folded cannot be merged; use `aggregate`, which says how"
    );
    let triggered = message(&|env| {
        let distance = |left: &i64, right: &i64| f64::from(i32::try_from(left - right).unwrap());
        sessions(env).trigger(DeltaTrigger::new(1.0, distance)).count().print();
    });
    assert_eq!(
        triggered,
        "sessions merge, and their trigger cannot be merged; use one that can, or other windows"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn groups_by_number_have_the_window_of_all_records() {
    let pairs = results(|events| {
        let pairs = events.key_by(|event| event.0.clone()).count_window(2);
        pairs.sum_of(|event| event.2).map(|(key, window, sum)| {
            assert!(window.is_global() && window.max_timestamp() == Timestamp::MAX);
            (key, sum)
        })
    });
    let row = |key: &str, sum| (key.to_owned(), sum);
    assert_eq!(pairs.await, [row("a", 8), row("a", 13), row("b", 4)]);
    let last = results(|events| {
        let global = events.key_by(|event| event.0.clone()).window(Global);
        let global = global.trigger(floodmark::CountTrigger::new(3)).evictor(CountEvictor::new(1));
        global.apply(|key, _, values| values.iter().map(|event| (key.clone(), event.2)).next())
    });
    assert_eq!(last.await, [row("a", 4), row("b", 1)]);
}

/// Connects windows of several kinds over the numbers of a source, which are their own event time.
fn connect_windows(env: &Environment, folder: &Folder, source: Gated, parallelism: u16) {
    let ascending = WatermarkStrategy::ascending().timestamps(|time: &u64| time.cast_signed());
    let numbers = env.source("numbers", source).parallelism(1).watermarks(ascending).parallelism(1);
    let sink = |name: &str| {
        FileSink::new(&folder.path(name), |(key, window, count): &(u64, Window, u64)| {
            format!("{key} {}..{} {count}", window.start.0, window.end.0)
        })
    };
    let slides = Sliding::event_time(ms(300), ms(100));
    let slides = numbers.clone().key_by(|number| number % 10).window(slides).count();
    slides.uid("slides").parallelism(parallelism).sink("slides-sink", sink("slides"));
    // One of ten keys pauses in every second hundred.
    let busy = numbers.clone().filter(|number| (number / 100 + number % 10) % 2 == 0);
    let sessions = busy.key_by(|number| number % 10).window(Session::event_time(ms(50))).count();
    sessions.uid("sessions").parallelism(parallelism).sink("sessions-sink", sink("sessions"));
    let pairs = numbers.key_by(|number| number % 10).count_window(7).count();
    pairs.uid("sevens").parallelism(parallelism).sink("sevens-sink", sink("sevens"));
}

#[tokio::test(flavor = "multi_thread")]
async fn windows_go_on_where_they_were_after_a_stop() {
    const COUNT: u64 = 2_000;
    const OUTPUTS: [&str; 3] = ["slides", "sessions", "sevens"];
    let whole = Folder::new();
    let env = whole.checkpointed();
    connect_windows(
        &env,
        &whole,
        Gated { first: 0, count: COUNT, gate_at: COUNT, gate: Gate::Closed },
        1,
    );
    run(&env).await.expect("the job can run");

    let folder = Folder::new();
    let env = folder.checkpointed();
    let unbounded = Gated { first: 0, count: u64::MAX, gate_at: COUNT / 2, gate: Gate::Closed };
    connect_windows(&env, &folder, unbounded, 3);
    let job = env.execute("job").await.expect("the job can run");
    until(|| !folder.lines("sevens").is_empty()).await;
    job.stop(20 * ms(1_000)).await.expect("the job stops");

    let env = folder.checkpointed();
    connect_windows(
        &env,
        &folder,
        Gated { first: 0, count: COUNT, gate_at: COUNT, gate: Gate::Closed },
        3,
    );
    run(&env).await.expect("the job goes on");
    for output in OUTPUTS {
        assert!(10 < whole.lines(output).len(), "{output}");
        assert_eq!(folder.lines(output), whole.lines(output), "{output}");
    }
}
