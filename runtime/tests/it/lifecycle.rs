//! A function is opened before its first record, and closed once when it is done.

#![expect(clippy::unwrap_used, reason = "a test may panic, also where it is helped")]

use std::{
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
    time::Duration,
};

use floodmark::{
    BoxError, Context, Environment, KeyedProcess, ProcessFunction, RecordContext, RestartStrategy,
    Tumbling, Values, WatermarkStrategy, WindowContext, WindowProcess,
};

use crate::machine::{Folder, Gate, Gated, cancelled, run, until};

const COUNT: u64 = 100;

/// What happens to a function.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Step {
    Open,
    Use,
    Close,
}

/// What happened to each function, from its opening on.
#[derive(Clone, Default)]
struct Lives(Arc<Mutex<Vec<Vec<Step>>>>);

impl Lives {
    fn begin(&self) -> usize {
        let mut lives = self.0.lock().unwrap();
        lives.push(vec![Step::Open]);
        lives.len() - 1
    }

    fn note(&self, life: Option<usize>, step: Step) {
        self.0.lock().unwrap()[life.expect("a function is opened before it is used")].push(step);
    }

    /// Returns how many functions were opened, when all of them are closed.
    async fn all(&self) -> usize {
        let is_closed = |life: &Vec<Step>| life.contains(&Step::Close);
        until(|| self.0.lock().unwrap().iter().all(is_closed)).await;
        let lives = self.0.lock().unwrap();
        for life in &*lives {
            let (first, last) = (life[0], life[life.len() - 1]);
            assert_eq!((first, last), (Step::Open, Step::Close), "{life:?}");
            assert!(life[1..life.len() - 1].iter().all(|step| *step == Step::Use), "{life:?}");
        }
        lives.len()
    }
}

/// A function that tells its life. Functions of different kinds, all of which hand on what comes.
#[derive(Clone, Default)]
struct Told {
    lives: Lives,
    life: Option<usize>,
    /// How many more records make one of them fail, if that is wanted.
    fails_after: Option<Arc<AtomicUsize>>,
}

impl Told {
    fn open(&mut self) -> Result<(), BoxError> {
        self.life = Some(self.lives.begin());
        Ok(())
    }

    fn close(&mut self) -> Result<(), BoxError> {
        self.lives.note(self.life, Step::Close);
        Err("nobody minds".into())
    }

    fn take(&mut self) -> Result<(), BoxError> {
        self.lives.note(self.life, Step::Use);
        match &self.fails_after {
            Some(left) if left.fetch_sub(1, Ordering::Relaxed) == 1 => Err("enough".into()),
            _ => Ok(()),
        }
    }
}

#[derive(Clone, Default)]
struct OfKeys(Told);

impl KeyedProcess for OfKeys {
    type Key = u64;
    type In = u64;
    type Out = u64;

    fn open(&mut self) -> Result<(), BoxError> {
        self.0.open()
    }

    fn close(&mut self) -> Result<(), BoxError> {
        self.0.close()
    }

    fn on_element(&mut self, value: u64, cx: &mut Context<'_, u64, u64>) -> Result<(), BoxError> {
        cx.emit(value);
        self.0.take()
    }
}

#[derive(Clone, Default)]
struct OfRecords(Told);

impl ProcessFunction for OfRecords {
    type In = u64;
    type Out = u64;

    fn open(&mut self) -> Result<(), BoxError> {
        self.0.open()
    }

    fn close(&mut self) -> Result<(), BoxError> {
        self.0.close()
    }

    fn on_element(&mut self, value: u64, cx: &mut RecordContext<'_, u64>) -> Result<(), BoxError> {
        cx.emit(value);
        self.0.take()
    }
}

#[derive(Clone, Default)]
struct OfWindows(Told);

impl WindowProcess for OfWindows {
    type Key = u64;
    type In = u64;
    type Out = u64;

    fn open(&mut self) -> Result<(), BoxError> {
        self.0.open()
    }

    fn close(&mut self) -> Result<(), BoxError> {
        self.0.close()
    }

    fn process(
        &mut self,
        values: Values<'_, u64>,
        cx: &mut WindowContext<'_, u64, u64>,
    ) -> Result<(), BoxError> {
        cx.emit(values.len() as u64);
        self.0.take()
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn functions_are_closed_at_the_end_and_what_they_say_then_changes_nothing() {
    let env = Environment::new().parallelism(2);
    let told = Told::default();
    let time = |number: &u64| i64::try_from(*number).expect("a small number");
    let seen = env
        .from_vec("numbers", (0..COUNT).collect())
        .watermarks(WatermarkStrategy::ascending().timestamps(time))
        .process(OfRecords(told.clone()))
        .key_by(|number| number % 5)
        .process(OfKeys(told.clone()))
        .uid("of-keys")
        .key_by(|number| number % 5)
        .window(Tumbling::event_time(Duration::from_millis(20)))
        .process(OfWindows(told.clone()))
        .uid("of-windows")
        .collect("seen");
    run(&env).await.unwrap();
    assert_eq!(seen.values().into_iter().sum::<u64>(), COUNT);
    assert_eq!(told.lives.all().await, 3 * 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn functions_of_an_attempt_that_fails_are_closed_and_the_next_ones_opened() {
    let folder = Folder::new();
    let restart = RestartStrategy::FixedDelay { attempts: 1, delay: Duration::ZERO };
    let env = folder.checkpointed().restart(restart).parallelism(2);
    let fails_after = Some(Arc::new(AtomicUsize::new(40)));
    let told = Told { fails_after, ..Told::default() };
    let seen = env
        .from_vec("numbers", (0..COUNT).collect())
        .key_by(|number| number % 5)
        .process(OfKeys(told.clone()))
        .uid("of-keys")
        .collect("seen");
    run(&env).await.unwrap();
    assert_eq!(seen.values().len() as u64, COUNT);
    assert_eq!(told.lives.all().await, 2 * 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn functions_of_a_job_that_is_cancelled_are_closed() {
    let env = Environment::new().parallelism(2);
    let told = Told::default();
    let is_used = Arc::new(AtomicBool::new(false));
    let used = is_used.clone();
    let source = Gated { first: 0, count: COUNT, gate_at: COUNT / 2, gate: Gate::Closed };
    env.source("numbers", source)
        .key_by(|number| number % 5)
        .process(OfKeys(told.clone()))
        .uid("of-keys")
        .for_each("used", move |_| {
            used.store(true, Ordering::Relaxed);
            Ok(())
        });
    let job = env.execute("job").await.unwrap();
    until(|| is_used.load(Ordering::Relaxed)).await;
    cancelled(job).await.unwrap();
    assert_eq!(told.lives.all().await, 2);
}
