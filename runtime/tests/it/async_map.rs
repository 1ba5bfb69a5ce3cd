//! Requests that take longer than a call: their order, their number, their failures, and that each
//! record has one answer, whatever fails.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    time::Duration,
};

use floodmark::{
    AsyncContext, AsyncOptions, AsyncRetryStrategy, BoxError, ClusterConfig, Context, Environment,
    Error, FileSink, Generator, KeyedProcess, RestartStrategy, TimeDomain, Timestamp, Tumbling,
    WatermarkStrategy,
};

use crate::machine::{Folder, Gate, Gated, ended, run, sorted, until};

const LONG: Duration = Duration::from_secs(100);
const MOMENT: Duration = Duration::from_millis(1);

fn once() -> RestartStrategy {
    RestartStrategy::FixedDelay { attempts: 1, delay: MOMENT }
}

/// Runs a job whose first request waits for all others, and returns the answers.
async fn first_is_last(options: AsyncOptions<u64, u64>) -> Vec<u64> {
    const COUNT: u64 = 50;
    let folder = Folder::new();
    let env = folder.checkpointed();
    let done_count = Arc::new(AtomicU64::new(0));
    let counter = done_count.clone();
    let answers = env
        .from_vec("numbers", (0..COUNT).collect())
        .async_map(options, move |number, cx| {
            let done_count = counter.clone();
            async move {
                while number == 0 && done_count.load(Ordering::SeqCst) < COUNT - 1 {
                    cx.sleep(MOMENT).await;
                }
                done_count.fetch_add(1, Ordering::SeqCst);
                Ok(number)
            }
        })
        .uid("answers")
        .collect("collected");
    run(&env).await.expect("the job ends");
    assert_eq!(done_count.load(Ordering::SeqCst), COUNT);
    answers.values()
}

#[tokio::test(flavor = "multi_thread")]
async fn ordered_answers_come_in_the_order_of_their_records() {
    let answers = first_is_last(AsyncOptions::ordered(100, LONG)).await;
    assert_eq!(answers, (0..50).collect::<Vec<_>>());
}

#[tokio::test(flavor = "multi_thread")]
async fn unordered_answers_overtake_one_that_takes_long() {
    let answers = first_is_last(AsyncOptions::unordered(100, LONG)).await;
    assert_eq!(answers.last(), Some(&0));
    assert_eq!(sorted(answers), (0..50).collect::<Vec<_>>());
}

#[tokio::test(flavor = "multi_thread")]
async fn as_many_requests_are_under_way_as_the_capacity_says() {
    const CAPACITY: usize = 7;
    for options in [AsyncOptions::ordered, AsyncOptions::unordered] {
        let env = Environment::new();
        let (now, most) = (Arc::new(AtomicU64::new(0)), Arc::new(AtomicU64::new(0)));
        let (counter, peak) = (now.clone(), most.clone());
        let answers = env
            .from_vec("numbers", (0..200).collect::<Vec<u64>>())
            .async_map(options(CAPACITY, LONG), move |number, cx| {
                let (now, most) = (counter.clone(), peak.clone());
                async move {
                    most.fetch_max(now.fetch_add(1, Ordering::SeqCst) + 1, Ordering::SeqCst);
                    cx.sleep(MOMENT).await;
                    now.fetch_sub(1, Ordering::SeqCst);
                    Ok(number)
                }
            })
            .collect("collected");
        run(&env).await.unwrap();
        assert_eq!(most.load(Ordering::SeqCst), CAPACITY as u64);
        assert_eq!(sorted(answers.values()), (0..200).collect::<Vec<_>>());
    }
}

/// Asks a question that is never answered.
async fn never(number: u64, cx: AsyncContext) -> Result<u64, BoxError> {
    if number == 3 {
        cx.sleep(Duration::MAX).await;
    }
    Ok(number)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_request_that_takes_too_long_fails_the_job_by_its_name() {
    let env = Environment::new();
    env.from_vec("numbers", vec![1, 2, 3])
        .async_map(AsyncOptions::ordered(2, Duration::from_millis(20)), never)
        .uid("directory")
        .collect("collected");
    let error = run(&env).await.unwrap_err().to_string();
    assert!(error.contains("operator directory: a request took longer than 20ms"), "{error}");
}

#[tokio::test(flavor = "multi_thread")]
async fn something_else_can_take_the_place_of_an_answer_that_does_not_come() {
    let env = Environment::new();
    let options = AsyncOptions::ordered(2, Duration::from_millis(20));
    let answers = env
        .from_vec("numbers", vec![1, 2, 3, 4])
        .async_map(options.on_timeout(|number| Ok(number * 100)), never)
        .collect("collected");
    run(&env).await.unwrap();
    assert_eq!(answers.values(), [1, 2, 300, 4]);
}

/// Runs a job whose requests are refused until they have been made so often, and returns the answers.
async fn refused(retries: AsyncRetryStrategy, reason: &'static str) -> Result<Vec<u64>, Error> {
    let env = Environment::new();
    let answers = env
        .from_vec("numbers", vec![0_u64, 1, 2])
        .async_map(AsyncOptions::ordered(3, LONG).retry(retries), move |number, cx| async move {
            if u64::from(cx.retry_count()) < number { Err(reason.into()) } else { Ok(number) }
        })
        .uid("directory")
        .collect("collected");
    run(&env).await.map(|()| answers.values())
}

#[tokio::test(flavor = "multi_thread")]
async fn requests_that_fail_are_made_again_as_often_as_wanted() {
    let busy = |count| {
        let retries = AsyncRetryStrategy::exponential_backoff(count, MOMENT, 2 * MOMENT);
        retries.if_error(|error| error.to_string() == "busy")
    };
    assert_eq!(refused(busy(2), "busy").await.unwrap(), [0, 1, 2]);
    let error = refused(busy(1), "busy").await.unwrap_err().to_string();
    let words = "operator directory: a request failed 2 times, at last with: busy";
    assert!(error.contains(words), "{error}");
    let error = refused(busy(2), "no such number").await.unwrap_err().to_string();
    assert!(error.contains("operator directory: no such number"), "{error}");
    let error = refused(AsyncRetryStrategy::none(), "busy").await.unwrap_err().to_string();
    assert!(error.contains("operator directory: busy"), "{error}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_panic_in_a_request_fails_the_job() {
    let env = Environment::new();
    env.from_vec("numbers", vec![1_u64])
        .async_map(AsyncOptions::ordered(1, LONG), |number, cx| async move {
            cx.sleep(MOMENT).await;
            assert_ne!(number, 1, "the fatal record");
            Ok(number)
        })
        .collect("collected");
    let error = run(&env).await.unwrap_err().to_string();
    assert!(error.contains("the fatal record"), "{error}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_request_under_way_outlives_a_failure() {
    let folder = Folder::new();
    let env = folder.checkpointed().restart(once()).parallelism(2);
    let (is_broken, asked_count) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicU64::new(0)));
    let (breaks, asked) = (is_broken.clone(), asked_count.clone());
    let goes_on = is_broken.clone();
    let gate = Gate::OpensWhen(Arc::new(move || goes_on.load(Ordering::SeqCst)));
    let answers = env
        .source("numbers", Gated { first: 0, count: 110, gate_at: 100, gate })
        .rebalance()
        .async_map(AsyncOptions::unordered(100, LONG), move |number, cx| {
            let (is_broken, asked_count) = (breaks.clone(), asked.clone());
            async move {
                if number == 0 && asked_count.fetch_add(1, Ordering::SeqCst) == 0 {
                    while !is_broken.load(Ordering::SeqCst) {
                        cx.sleep(MOMENT).await;
                    }
                    return Err("as planned".into());
                }
                Ok(number)
            }
        })
        .uid("answers")
        .collect("collected");
    let job = env.execute("job").await.unwrap();
    // What is visible is part of a checkpoint, and the first request of another.
    until(|| answers.values().len() == 99).await;
    is_broken.store(true, Ordering::SeqCst);
    ended(job).await.unwrap();
    assert_eq!(asked_count.load(Ordering::SeqCst), 2);
    assert_eq!(sorted(answers.values()), (0..110).collect::<Vec<_>>());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_job_that_stops_goes_on_with_its_requests() {
    let folder = Folder::new();
    let is_open = Arc::new(AtomicBool::new(false));
    let build = |env: &Environment| {
        let is_open = is_open.clone();
        let answers = env
            .source("numbers", Generator::new(1_000_000, |index| index).rate(2_000))
            .rebalance()
            .async_map(AsyncOptions::unordered(100, LONG), move |number: u64, cx| {
                let is_open = is_open.clone();
                async move {
                    while number.is_multiple_of(10) && !is_open.load(Ordering::SeqCst) {
                        cx.sleep(MOMENT).await;
                    }
                    Ok(number)
                }
            })
            .uid("answers");
        answers.clone().sink("files", FileSink::new(&folder.path("output"), u64::to_string));
        answers.collect("collected")
    };
    let first = folder.checkpointed().parallelism(2);
    let before = build(&first);
    let job = first.execute("job").await.unwrap();
    until(|| 100 < before.values().len()).await;
    tokio::time::timeout(LONG, job.stop(LONG)).await.expect("the job stops").unwrap();
    assert!(before.values().iter().all(|number| number % 10 != 0), "nobody has answered");

    is_open.store(true, Ordering::SeqCst);
    let second = folder.checkpointed().parallelism(2);
    let after = build(&second);
    let job = second.execute("job").await.unwrap();
    until(|| 1_000 < after.values().len()).await;
    tokio::time::timeout(LONG, job.stop(LONG)).await.expect("the job stops").unwrap();
    let all = folder.lines("output");
    let all = sorted(all.iter().map(|line| line.parse::<u64>().unwrap()));
    assert!(all.is_sorted_by(|left, right| left < right), "no answer comes twice");
    // What was asked before the stop is answered after it: there is no gap before the last ones.
    let gap = (0..).zip(&all).find(|(index, number)| index != *number);
    let answered = gap.map_or(all.len() as u64, |(index, _)| index);
    assert!(1_000 < answered, "{gap:?} of {}", all.len());
}

/// Counts records in windows behind two lookups, and returns the counts.
async fn counted(env: Environment) -> Vec<(i64, u64)> {
    let by_time = WatermarkStrategy::ascending()
        .timestamps(|index: &u64| i64::try_from(*index).expect("a small number"))
        .emit_every(3);
    let pause = |index: u64, cx: AsyncContext| async move {
        assert_eq!(cx.timestamp(), Timestamp(i64::try_from(index).expect("a small number")));
        cx.sleep(Duration::from_micros(index * 7_919 % 4_000)).await;
        Ok(index)
    };
    let counts = env
        .source("numbers", Generator::new(1_000, |index| index))
        .parallelism(1)
        .watermarks(by_time)
        .parallelism(1)
        .async_map(AsyncOptions::unordered(20, LONG), pause)
        .uid("first")
        .async_flat_map(AsyncOptions::ordered(20, LONG), move |index, cx| {
            let answer = pause(index, cx);
            async move { answer.await.map(|index| vec![index; 2]) }
        })
        .uid("second")
        .window_all(Tumbling::event_time(Duration::from_millis(100)))
        .fold(0, |count, _| *count += 1)
        .uid("count")
        .collect("counts");
    run(&env).await.expect("the job ends");
    counts.values().into_iter().map(|((), window, count)| (window.start.0, count)).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn event_time_waits_for_answers_and_the_end_for_all_of_them() {
    let expected: Vec<_> = (0..10).map(|window| (window * 100, 200)).collect();
    for parallelism in [1, 3] {
        let folder = Folder::new();
        for env in [folder.checkpointed(), Environment::new()] {
            assert_eq!(sorted(counted(env.parallelism(parallelism)).await), expected);
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn to_wait_for_answers_is_not_to_be_idle() {
    const COUNT: u64 = 4;
    let answered_count = Arc::new(AtomicU64::new(0));
    let heartbeats =
        ClusterConfig { heartbeat_interval: Duration::from_millis(20), ..ClusterConfig::default() };
    let env = Environment::new().cluster(heartbeats);
    let by_time = || WatermarkStrategy::ascending().timestamps(|time: &i64| *time).emit_every(1);
    let time = |index: u64| i64::try_from(index).expect("a small number");
    let counter = answered_count.clone();
    let slow = env
        .source("slow", Gated { first: 0, count: COUNT, gate_at: COUNT, gate: Gate::Closed })
        .map(time)
        .watermarks(by_time().idle_after(Duration::from_millis(150)))
        // While one is asked for, there is no room for the next.
        .async_map(AsyncOptions::ordered(1, LONG), move |time, cx| {
            let answered_count = counter.clone();
            async move {
                cx.sleep(Duration::from_millis(400)).await;
                answered_count.fetch_add(1, Ordering::SeqCst);
                Ok(time)
            }
        });
    // The other one is far ahead, and does not end before the slow one.
    let is_done = move || answered_count.load(Ordering::SeqCst) == COUNT;
    let gate = Gate::OpensWhen(Arc::new(is_done));
    let ahead = env
        .source("ahead", Gated { first: 0, count: 2, gate_at: 1, gate })
        .map(move |index| 10_000 + time(index))
        .watermarks(by_time());
    let counts = slow
        .union(ahead)
        .window_all(Tumbling::event_time(Duration::from_secs(1)))
        .fold(0, |count, _| *count += 1)
        .collect("counts");
    run(&env).await.expect("the job ends");
    let counts: Vec<u64> = counts.values().into_iter().map(|((), _, count)| count).collect();
    assert_eq!(counts, [COUNT, 2]);
}

/// Passes numbers on, and emits another one every 5 ms of the clock.
#[derive(Clone)]
struct Beat;

impl KeyedProcess for Beat {
    type Key = ();
    type In = u64;
    type Out = u64;

    fn on_element(&mut self, number: u64, cx: &mut Context<'_, (), u64>) -> Result<(), BoxError> {
        cx.emit(number);
        self.on_timer(Timestamp(0), TimeDomain::Processing, cx)
    }

    fn on_timer(
        &mut self,
        _time: Timestamp,
        _domain: TimeDomain,
        cx: &mut Context<'_, (), u64>,
    ) -> Result<(), BoxError> {
        cx.emit(u64::MAX);
        let next = cx.timers().current_processing_time() + Duration::from_millis(5);
        cx.timers().register_processing_time(next);
        Ok(())
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_timer_that_asks_again_and_again_does_not_put_the_end_off() {
    let folder = Folder::new();
    for env in [folder.checkpointed(), folder.environment()] {
        let answers = env
            .from_vec("numbers", vec![1])
            .key_by(|_| ())
            .process(Beat)
            .uid("beat")
            .async_map(AsyncOptions::ordered(10, LONG), |number, cx| async move {
                // Longer than a beat, so something is under way whenever one looks.
                cx.sleep(Duration::from_millis(40)).await;
                Ok(number)
            })
            .uid("asked")
            .collect("answers");
        let ends = tokio::time::timeout(Duration::from_secs(60), run(&env)).await;
        ends.expect("the end is not put off").expect("the job ends well");
        assert!(answers.values().contains(&1));
    }
}
