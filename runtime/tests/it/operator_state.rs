//! Lists of subtasks: what a function without keys remembers is there again after a failure.

use std::{
    collections::BTreeMap,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use floodmark::{
    BoxError, CoProcess, Environment, FileSink, Generator, InitializeContext, OperatorListState,
    ProcessFunction, RecordContext, RestartStrategy, UnionListState,
};

use crate::machine::{Folder, Gate, Gated, run, sorted, until};

const COUNT: u64 = 2_000;
const PARALLELISM: u16 = 3;
const KEYS: u64 = 10;

/// Counts the numbers with each last digit. Every subtask sees all numbers and counts the digits that
/// are its own; which these are changes with every restart.
#[derive(Clone)]
struct Share {
    fatal: u64,
    has_failed: Arc<AtomicBool>,
    index: u64,
    restarts: u64,
    counts: BTreeMap<u64, u64>,
}

/// Restarts so far, and of some digits how often they were seen.
const COUNTS: UnionListState<(u64, BTreeMap<u64, u64>)> = UnionListState::new("counts");

/// All numbers that the subtask has seen, modulo 7.
const SEEN: OperatorListState<u64> = OperatorListState::new("seen");

impl Share {
    fn new(fatal: u64) -> Self {
        let (has_failed, counts) = (Arc::default(), BTreeMap::new());
        Self { fatal, has_failed, index: 0, restarts: 0, counts }
    }

    fn is_own(&self, digit: u64) -> bool {
        (digit + self.restarts) % u64::from(PARALLELISM) == self.index
    }
}

impl ProcessFunction for Share {
    type In = u64;
    type Out = String;

    fn initialize(&mut self, cx: &mut InitializeContext<'_>) -> Result<(), BoxError> {
        self.index = u64::from(cx.subtask_index());
        let all = cx.state(COUNTS).get();
        assert_eq!(cx.parallelism(), PARALLELISM);
        assert_eq!(cx.is_restored(), !all.is_empty());
        assert_eq!(cx.is_restored(), !cx.state(SEEN).is_empty());
        if cx.is_restored() {
            assert_eq!(all.len(), usize::from(PARALLELISM), "one of each subtask");
            self.restarts = all[0].0 + 1;
        }
        let counts = all.into_iter().flat_map(|(_, counts)| counts);
        let own: BTreeMap<_, _> = counts.filter(|(digit, _)| self.is_own(*digit)).collect();
        self.counts = own;
        cx.state(COUNTS).set([(self.restarts, self.counts.clone())]);
        Ok(())
    }

    fn on_element(
        &mut self,
        number: u64,
        cx: &mut RecordContext<'_, String>,
    ) -> Result<(), BoxError> {
        if number == self.fatal && !self.has_failed.swap(true, Ordering::Relaxed) {
            return Err("the fatal record".into());
        }
        cx.state(SEEN).push(number % 7);
        let seen = cx.state(SEEN).len();
        if seen.is_multiple_of(500) {
            let sum: u64 = cx.state(SEEN).iter().sum();
            let index = self.index;
            cx.emit(format!("subtask {index}: {seen} seen, {sum} in sum"));
        }
        let digit = number % KEYS;
        if self.is_own(digit) {
            let count = self.counts.entry(digit).or_default();
            *count += 1;
            cx.emit(format!("{digit} {count}"));
            cx.state(COUNTS).set([(self.restarts, self.counts.clone())]);
        }
        Ok(())
    }
}

/// What `Share` writes, by a computation that knows of no subtasks but their number.
fn expected() -> Vec<String> {
    let mut lines = Vec::new();
    for digit in 0..KEYS {
        lines.extend((1..=COUNT / KEYS).map(|count| format!("{digit} {count}")));
    }
    for seen in [500, 1_000, 1_500, 2_000_u64] {
        let sum: u64 = (0..seen).map(|number| number % 7).sum();
        let line = |index| format!("subtask {index}: {seen} seen, {sum} in sum");
        lines.extend((0..PARALLELISM).map(line));
    }
    sorted(lines)
}

fn connect(env: &Environment, folder: &Folder, source: Gated, share: Share) {
    env.source("numbers", source)
        .parallelism(1)
        .broadcast()
        .process(share)
        .uid("share")
        .sink("files", FileSink::new(&folder.path("output"), String::clone));
}

#[tokio::test(flavor = "multi_thread")]
async fn lists_survive_a_failure() {
    let folder = Arc::new(Folder::new());
    let restart = RestartStrategy::FixedDelay { attempts: 1, delay: Duration::from_millis(1) };
    let env = folder.checkpointed().restart(restart).parallelism(PARALLELISM);
    let for_gate = folder.clone();
    let gate = Gate::OpensWhen(Arc::new(move || !for_gate.lines("output").is_empty()));
    let share = Share::new(1_500);
    let has_failed = share.has_failed.clone();
    connect(&env, &folder, Gated { first: 0, count: COUNT, gate_at: COUNT / 2, gate }, share);
    run(&env).await.unwrap();
    assert!(has_failed.load(Ordering::Relaxed));
    assert_eq!(folder.lines("output"), expected());
}

#[tokio::test(flavor = "multi_thread")]
async fn lists_survive_a_stop() {
    let folder = Folder::new();
    let env = folder.checkpointed().parallelism(PARALLELISM);
    let unbounded = Gated { first: 0, count: u64::MAX, gate_at: COUNT / 2, gate: Gate::Closed };
    connect(&env, &folder, unbounded, Share::new(u64::MAX));
    let job = env.execute("job").await.unwrap();
    until(|| !folder.lines("output").is_empty()).await;
    job.stop(Duration::from_secs(20)).await.unwrap();

    let env = folder.checkpointed().parallelism(PARALLELISM);
    let bounded = Gated { first: 0, count: COUNT, gate_at: COUNT, gate: Gate::Closed };
    connect(&env, &folder, bounded, Share::new(u64::MAX));
    run(&env).await.unwrap();
    assert_eq!(folder.lines("output"), expected());
}

/// Numbers the records of both inputs together.
#[derive(Clone)]
struct NumberBoth(Arc<AtomicBool>);

const NUMBERED: OperatorListState<(bool, u64)> = OperatorListState::new("numbered");

impl CoProcess for NumberBoth {
    type First = u64;
    type Second = String;
    type Out = u64;

    fn initialize(&mut self, cx: &mut InitializeContext<'_>) -> Result<(), BoxError> {
        if !cx.is_restored() {
            cx.state(NUMBERED).extend([(true, 0), (false, 0)]);
        }
        Ok(())
    }

    fn on_first(&mut self, _: u64, cx: &mut RecordContext<'_, u64>) -> Result<(), BoxError> {
        self.number(true, cx)
    }

    fn on_second(&mut self, _: String, cx: &mut RecordContext<'_, u64>) -> Result<(), BoxError> {
        self.number(false, cx)
    }
}

impl NumberBoth {
    fn number(&self, is_first: bool, cx: &mut RecordContext<'_, u64>) -> Result<(), BoxError> {
        let mut counts = cx.state(NUMBERED).get();
        for (side, count) in &mut counts {
            *count += u64::from(*side == is_first);
        }
        let sum = counts.iter().map(|(_, count)| count).sum();
        cx.state(NUMBERED).set(counts);
        if sum == 900 && !self.0.swap(true, Ordering::Relaxed) {
            return Err("the fatal record".into());
        }
        cx.emit(sum);
        Ok(())
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_function_over_two_inputs_has_lists() {
    let folder = Folder::new();
    let restart = RestartStrategy::FixedDelay { attempts: 1, delay: Duration::from_millis(1) };
    let env = folder.checkpointed().restart(restart);
    let numbers = env.source("numbers", Generator::new(700, |index| index).rate(2_000));
    let words = env.source("words", Generator::new(500, |index| index.to_string()).rate(2_000));
    let has_failed = Arc::default();
    let both = NumberBoth(Arc::clone(&has_failed));
    let all = numbers.connect(words).process(both).uid("number").collect("all");
    run(&env).await.unwrap();
    assert!(has_failed.load(Ordering::Relaxed));
    assert_eq!(sorted(all.values()), (1..=1_200).collect::<Vec<_>>());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_function_without_a_uid_has_no_lists() {
    let folder = Folder::new();
    let env = folder.checkpointed();
    env.from_vec("numbers", vec![1]).process(Share::new(0)).collect("lines");
    let text = run(&env).await.unwrap_err().to_string();
    assert!(text.contains("belongs to an operator without a uid: give it one"), "{text}");
}
