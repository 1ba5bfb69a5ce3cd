//! State may be limited: a job that never forgets ends in an error that names what it keeps.

use std::{
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use floodmark::{
    BoxError, CheckpointConfig, Context, Environment, Generator, KeyedProcess, ListState, Session,
    ValueState, WatermarkStrategy,
};

use crate::machine::{Folder, run};

const KEPT: ListState<u64> = ListState::new("kept");
const COUNT: ValueState<u64> = ValueState::new("count");

/// Keeps everything, if it is told to.
#[derive(Clone)]
struct Keep {
    keeps: bool,
}

impl KeyedProcess for Keep {
    type Key = u64;
    type In = u64;
    type Out = u64;

    fn on_element(&mut self, number: u64, cx: &mut Context<'_, u64, u64>) -> Result<(), BoxError> {
        cx.state(COUNT).update(|count| *count += 1);
        if self.keeps {
            cx.state(KEPT).push(number);
        }
        cx.emit(number);
        Ok(())
    }
}

const NUMBER_COUNT: u64 = 20_000;

fn environment(folder: &Folder, state_size_max: u64) -> Environment {
    let checkpoints = CheckpointConfig::every(Duration::from_millis(20));
    let checkpoints = checkpoints.state_size_max(state_size_max);
    folder.environment().checkpoints(checkpoints)
}

/// Returns how many numbers were seen so far.
fn connect(env: &Environment, keeps: bool) -> Arc<AtomicU64> {
    let seen = Arc::new(AtomicU64::new(0));
    let count = seen.clone();
    env.source("numbers", Generator::new(NUMBER_COUNT, |index| index).rate(20_000))
        .key_by(|number| number % 10)
        .process(Keep { keeps })
        .uid("keeper")
        .for_each("seen", move |_| {
            count.fetch_add(1, Ordering::Relaxed);
            Ok(())
        });
    seen
}

#[tokio::test(flavor = "multi_thread")]
async fn a_job_whose_state_grows_and_grows_ends_in_an_error_that_names_it() {
    let folder = Folder::new();
    let env = environment(&folder, 4_000);
    let seen = connect(&env, true);
    let text = run(&env).await.unwrap_err().to_string();
    assert!(text.contains("and may take 4000; keeper/kept takes"), "{text}");
    // It was noticed on the way.
    assert!(seen.load(Ordering::Relaxed) < NUMBER_COUNT);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_limit_that_is_kept_changes_nothing() {
    let folder = Folder::new();
    let env = environment(&folder, 4_000);
    let seen = connect(&env, false);
    run(&env).await.unwrap();
    assert_eq!(seen.load(Ordering::Relaxed), NUMBER_COUNT);
}

#[tokio::test(flavor = "multi_thread")]
async fn keys_whose_sessions_are_over_are_forgotten() {
    let folder = Folder::new();
    // All keys would take four times as much.
    let env = environment(&folder, 100_000);
    let sessions = Arc::new(AtomicU64::new(0));
    let count = sessions.clone();
    // Twenty records per millisecond of event time, each of another key.
    let time = |number: &u64| i64::try_from(number / 20).expect("there are few");
    env.source("numbers", Generator::new(NUMBER_COUNT, |index| index).rate(20_000))
        .watermarks(WatermarkStrategy::ascending().emit_every(1).timestamps(time))
        .key_by(|number| *number)
        .window(Session::event_time(Duration::from_millis(5)))
        .count()
        .uid("sessions")
        .for_each("count", move |_| {
            count.fetch_add(1, Ordering::Relaxed);
            Ok(())
        });
    run(&env).await.unwrap();
    assert_eq!(sessions.load(Ordering::Relaxed), NUMBER_COUNT);
}
