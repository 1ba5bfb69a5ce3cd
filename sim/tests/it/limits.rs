//! How runs end that do not end well, and that they leave nothing behind.

use std::{
    future::poll_fn,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    task::Poll,
    time::Duration,
};

use floodmark_sim::{Outcome, RunError, RunOptions, Seed, World, run};

use crate::{Said, accepted, connected, frame, millis, options};

const LONG: Duration = Duration::from_secs(600);

#[test]
fn a_violated_check_ends_the_run() {
    let outcome: Outcome<()> = run(options(1), async |world: World| {
        let failing = world.clone();
        world.listen(move |_| failing.fail("law", "broken".to_owned()));
        world.add_node("node", |machine| Box::pin(async move { machine.observe(|| Said(1)) }));
        world.sleep(LONG).await;
    });
    let Err(RunError::Failed { check, reason, .. }) = outcome.result else { panic!() };
    assert_eq!((check, reason.as_str()), ("law", "broken"));
    assert!(outcome.virtual_time < millis(1));
}

#[test]
fn a_run_that_does_too_much_is_given_up() {
    let limited = RunOptions { event_budget: 100, ..options(1) };
    let outcome: Outcome<()> = run(limited, async |world: World| {
        world.add_node("node", |machine| {
            Box::pin(async move {
                loop {
                    machine.observe(|| Said(1));
                    machine.sleep(Duration::from_nanos(1)).await;
                }
            })
        });
        world.sleep(LONG).await;
    });
    assert_eq!(outcome.result, Err(RunError::EventBudget { budget: 100 }));
}

#[test]
fn a_run_that_takes_too_long_is_given_up() {
    let limited = RunOptions { time_max: millis(500), ..options(1) };
    let outcome: Outcome<()> = run(limited, async |world: World| world.sleep(LONG).await);
    assert_eq!(outcome.result, Err(RunError::TimeLimit { limit: millis(500) }));
    assert_eq!(outcome.virtual_time.as_millis(), 500);
}

#[test]
fn a_livelock_without_events_is_seen_from_outside() {
    let is_over = Arc::new(AtomicBool::new(false));
    let stop = is_over.clone();
    let limited = RunOptions { watchdog: millis(200), ..options(1) };
    let outcome: Outcome<()> = run(limited, async |world: World| {
        world.add_node("node", move |_| {
            let stop = stop.clone();
            Box::pin(poll_fn(move |cx| {
                if stop.load(Ordering::Relaxed) {
                    return Poll::Ready(());
                }
                cx.waker().wake_by_ref();
                Poll::Pending
            }))
        });
        world.sleep(LONG).await;
    });
    is_over.store(true, Ordering::Relaxed);
    assert_eq!(outcome.result, Err(RunError::Watchdog { limit: millis(200) }));
}

#[test]
fn a_panic_of_the_story_is_an_error() {
    let outcome: Outcome<()> = run(options(1), async |world: World| {
        world.sleep(millis(1)).await;
        panic!("lost the plot");
    });
    assert_eq!(outcome.result, Err(RunError::Panicked { message: "lost the plot".to_owned() }));
}

#[test]
fn a_panic_of_a_listener_is_not_one_of_the_node() {
    let outcome: Outcome<()> = run(options(1), async |world: World| {
        world.listen(|_| panic!("a check without manners"));
        world.add_node("node", |machine| Box::pin(async move { machine.observe(|| Said(1)) }));
        world.sleep(LONG).await;
    });
    let message = "a check without manners".to_owned();
    assert_eq!(outcome.result, Err(RunError::Panicked { message }));
    assert!(!outcome.log.iter().any(|entry| entry.text.contains("panics")));
}

/// A run in which two nodes talk until one is killed and the story ends in the middle of it.
fn small_run(seed: u64) {
    let outcome = run(RunOptions::new(Seed(seed)), async |world: World| {
        let receiver = world.add_node("receiver", |machine| {
            Box::pin(async move {
                let mut connection = accepted(&machine, 1).await;
                while let Some(Ok(_)) = connection.receiver.receive().await {}
                machine.sleep(LONG).await;
            })
        });
        world.add_node("sender", |machine| {
            Box::pin(async move {
                let mut connection = connected(&machine, "receiver:1").await;
                while connection.sender.send(frame("any", 0)).await.is_ok() {
                    drop(machine.object_store().put("key", vec![0; 4096].into()).await);
                }
                machine.sleep(LONG).await;
            })
        });
        world.sleep(millis(50)).await;
        world.crash(receiver);
        world.sleep(millis(10)).await;
    });
    assert_eq!(outcome.result, Ok(()));
}

#[test]
fn runs_leave_nothing_behind() {
    (0..200).for_each(small_run);
    let before = resident_pages();
    (0..2_000).for_each(small_run);
    let grown = resident_pages().saturating_sub(before);
    // One task that is left behind by each run would be 250 pages or more.
    assert!(grown < 2_000, "{grown} pages more");
}

#[expect(clippy::disallowed_methods, reason = "the test looks at its own process")]
fn resident_pages() -> u64 {
    let numbers = std::fs::read_to_string("/proc/self/statm").unwrap();
    numbers.split(' ').nth(1).unwrap().parse().unwrap()
}
