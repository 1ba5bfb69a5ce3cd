//! Windows against the definition, and against each other.

use std::{
    collections::{BTreeMap, BTreeSet},
    time::Duration,
};

use floodmark::{
    Aggregate, Environment, EventTimeTrigger, KeyedStream, OutputTag, Session, Sliding, Stream,
    WatermarkStrategy, Window,
};
use floodmark_model::Timestamp;
use proptest::prelude::*;

/// Adds numbers up.
#[derive(Clone)]
struct Total<const IS_COMMUTATIVE: bool>;

impl<const IS_COMMUTATIVE: bool> Aggregate for Total<IS_COMMUTATIVE> {
    const IS_COMMUTATIVE: bool = IS_COMMUTATIVE;
    type In = Reading;
    type Acc = i64;
    type Out = i64;

    fn init(&self) -> i64 {
        0
    }

    fn add(&self, total: &mut i64, (_, _, number): Reading) {
        *total += number;
    }

    fn finish(&self, total: i64) -> i64 {
        total
    }

    fn merge(&self, left: i64, right: i64) -> i64 {
        left + right
    }
}

/// Time, key and number.
type Reading = (i64, u8, i64);

/// Rows of windows by time and key, and what was late.
type Results = (Vec<(u8, Window, i64)>, Vec<Reading>);

#[derive(Clone, Debug)]
struct Shape {
    slide: i64,
    slide_count: i64,
    offset: i64,
    bound: i64,
    emit_every: u64,
}

fn shapes() -> impl Strategy<Value = Shape> {
    (1..20_i64, 2..6_i64, -30..30_i64, 0..40_i64, 1..6_u64).prop_map(
        |(slide, slide_count, offset, bound, emit_every)| Shape {
            slide,
            slide_count,
            offset: offset.rem_euclid(slide),
            bound,
            emit_every,
        },
    )
}

fn millis(count: i64) -> Duration {
    Duration::from_millis(count.unsigned_abs())
}

const LATE: OutputTag<Reading> = OutputTag::new("late");

/// Runs a job on this machine that adds up readings by key and sliding window, by panes that windows
/// share or window by window.
fn run(readings: &[Reading], shape: &Shape, shares: bool) -> Results {
    let windows = Sliding::event_time(millis(shape.slide * shape.slide_count), millis(shape.slide));
    let windows = windows.offset(millis(shape.offset));
    let (mut rows, late) = run_job(readings, shape, |readings| {
        let windowed = readings.window(windows).late_to(LATE);
        if shares {
            windowed.aggregate(Total::<true>)
        } else {
            windowed.trigger(EventTimeTrigger).aggregate(Total::<false>)
        }
    });
    rows.sort_by_key(|(key, window, _)| (*window, *key));
    (rows, late)
}

/// As [`run`], with the sessions of each key, whose numbers are put together in a way that depends on
/// their order; by the operator for sessions or by that for windows of any kind.
fn run_sessions(readings: &[Reading], shape: &Shape, is_special: bool) -> Results {
    run_job(readings, shape, |readings| {
        let windowed = readings.window(Session::event_time(millis(shape.slide))).late_to(LATE);
        let put_together = |(time, key, left): Reading, (_, _, right): Reading| {
            (time, key, left.wrapping_mul(31).wrapping_add(right))
        };
        let sessions = if is_special {
            windowed.reduce(put_together)
        } else {
            windowed.trigger(EventTimeTrigger).reduce(put_together)
        };
        sessions.map(|(key, window, (_, _, number))| (key, window, number))
    })
}

/// Runs a job on this machine, and returns its rows in their order.
fn run_job(
    readings: &[Reading],
    shape: &Shape,
    job: impl FnOnce(KeyedStream<u8, Reading>) -> Stream<(u8, Window, i64)>,
) -> Results {
    let env = Environment::new();
    let strategy = WatermarkStrategy::bounded_out_of_orderness(millis(shape.bound));
    let readings = env
        .from_vec("readings", readings.to_vec())
        .watermarks(
            strategy.emit_every(shape.emit_every).timestamps(|(time, _, _): &Reading| *time),
        )
        .key_by(|(_, key, _)| *key);
    let totals = job(readings);
    let late = totals.side_output(LATE).collect("late");
    let totals = totals.collect("totals");
    let threads =
        tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build();
    let threads = threads.expect("the system has threads to give");
    let run = async { env.execute("totals").await?.wait().await };
    threads.block_on(run).expect("the job ends well");
    (totals.values(), late.values())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    /// Windows that share their panes have the results of windows that do not, and the same is late.
    #[test]
    fn windows_that_share_panes_are_those_that_do_not(
        readings in prop::collection::vec((-100_i64..400, 0_u8..4, -9_i64..9), 0..60),
        shape in shapes(),
    ) {
        prop_assert_eq!(run(&readings, &shape, true), run(&readings, &shape, false));
    }

    /// Sessions are the same from the operator that is made for them: row by row in the order of each
    /// key, and the same is late.
    #[test]
    fn sessions_of_their_own_operator_are_those_of_the_general_one(
        readings in prop::collection::vec((-100_i64..400, 0_u8..4, -9_i64..9), 0..60),
        shape in shapes(),
    ) {
        let by_key = |(mut rows, late): Results| {
            rows.sort_by_key(|(key, ..)| *key);
            (rows, late)
        };
        let special = by_key(run_sessions(&readings, &shape, true));
        prop_assert_eq!(special, by_key(run_sessions(&readings, &shape, false)));
    }

    /// Sessions are runs of readings less than the gap apart, or as much, when nothing is late.
    #[test]
    fn a_session_lasts_until_nothing_comes_for_the_gap(
        mut readings in prop::collection::vec((-100_i64..400, 0_u8..4, -9_i64..9), 0..60),
        shape in shapes(),
    ) {
        readings.sort_unstable_by_key(|(time, key, _)| (*key, *time));
        let sessions = readings.chunk_by(|before, after| {
            before.1 == after.1 && after.0 - before.0 <= shape.slide
        });
        let expected: Vec<_> = sessions
            .map(|session| {
                let (first, last) = (session[0], session[session.len() - 1]);
                (first.1, first.0, last.0 + shape.slide)
            })
            .collect();
        readings.sort_by_key(|(time, ..)| *time);
        let patient = Shape { bound: 1_000, ..shape };
        let (rows, late) = run_sessions(&readings, &patient, true);
        prop_assert!(rows.is_sorted_by_key(|(_, window, _)| window.end));
        let mut rows: Vec<_> =
            rows.iter().map(|(key, window, _)| (*key, window.start.0, window.end.0)).collect();
        rows.sort_unstable();
        prop_assert_eq!(rows, expected);
        prop_assert_eq!(late, []);
    }

    /// Windows are what the definition says, when nothing is late.
    #[test]
    fn a_window_has_the_total_of_the_readings_in_it(
        mut readings in prop::collection::vec((-100_i64..400, 0_u8..4, -9_i64..9), 0..60),
        shape in shapes(),
    ) {
        readings.sort_unstable_by_key(|(time, ..)| *time);
        let mut totals: BTreeMap<(i64, u8), i64> = BTreeMap::new();
        for (time, key, number) in &readings {
            let size = shape.slide * shape.slide_count;
            let starts = (time - size + 1..=*time)
                .filter(|start| (start - shape.offset).rem_euclid(shape.slide) == 0);
            starts.for_each(|start| *totals.entry((start, *key)).or_default() += number);
        }
        let (rows, late) = run(&readings, &shape, true);
        let rows: Vec<_> = rows.iter().map(|(key, window, total)| ((window.start.0, *key), *total)).collect();
        prop_assert_eq!(rows, totals.into_iter().collect::<Vec<_>>());
        prop_assert_eq!(late, []);
    }
}

/// What nobody has given a time lies at the beginning of time, before which there is nothing to add.
#[test]
fn windows_that_share_panes_bear_records_without_a_time() {
    let shape = Shape { slide: 1, slide_count: 3, offset: 0, bound: 0, emit_every: 1 };
    let (rows, late) = run(&[(i64::MIN, 0, 5), (7, 0, 2)], &shape, true);
    assert!(late.is_empty());
    assert_eq!(rows.iter().filter(|(_, _, total)| *total == 2).count(), 3);
}

/// With an offset the first window begins behind the beginning of time; its records come all the same.
#[test]
fn records_without_a_time_come_together_whatever_the_offset() {
    let shape = Shape { slide: 10, slide_count: 3, offset: 3, bound: 0, emit_every: 1 };
    let (rows, late) = run(&[(i64::MIN, 0, 5), (i64::MIN, 0, 2), (i64::MIN, 1, 9)], &shape, true);
    let totals: BTreeSet<_> = rows.iter().map(|(key, _, total)| (*key, *total)).collect();
    assert_eq!(totals, BTreeSet::from([(0, 7), (1, 9)]));
    assert!(late.is_empty());
}

/// No window ends behind the end of time. The last millisecond of all is in one only if panes are longer.
#[test]
fn windows_that_share_panes_end_with_time() {
    for (slide, expected) in [(1, vec![0]), (10, vec![0, 1])] {
        let shape = Shape { slide, slide_count: 4, offset: 0, bound: 0, emit_every: 1 };
        let readings = [(i64::MAX - 3 * slide, 0, 5), (i64::MAX - 1, 0, 2), (i64::MAX, 1, 9)];
        let (rows, late) = run(&readings, &shape, true);
        let keys: BTreeSet<_> = rows.iter().map(|(key, ..)| *key).collect();
        assert_eq!(keys, expected.into_iter().collect(), "slide {slide}: {rows:?}");
        let windows: BTreeSet<_> = rows.iter().map(|(key, window, _)| (*key, *window)).collect();
        assert_eq!(windows.len(), rows.len(), "each fires once: {rows:?}");
        assert!(late.is_empty());
    }
}

proptest! {
    /// A timestamp lies in its window, the window has its size and is aligned to the epoch.
    #[test]
    fn a_timestamp_lies_in_its_aligned_window(
        timestamp in -1_000_000_000_000_i64..1_000_000_000_000,
        size in 1_i64..100_000_000,
    ) {
        let duration = Duration::from_millis(size.unsigned_abs());
        let window = Window::tumbling(Timestamp(timestamp), duration);
        prop_assert!(window.start.0 <= timestamp && timestamp <= window.max_timestamp().0);
        prop_assert_eq!(window.end.0 - window.start.0, size);
        prop_assert_eq!(window.start.0.rem_euclid(size), 0);
    }
}
