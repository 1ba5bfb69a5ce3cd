//! Numbers, and knocks between them: everything that comes is asked about, and the answers take their
//! time.
//!
//! Each key of the numbers has a timer by the clock that knocks and sets itself again, for ever. A knock
//! is asked about as a number is, and it takes longer to be answered than until the next one. So from
//! its first number on a key has something under way whenever one looks, and an end that waits until
//! there is nothing has to keep the timers still. Until then they fire in turn with the input, which
//! waits for room at times, and so do they.
//!
//! How many knocks there are is up to the clock. They are left out before the sink: what is written is
//! a function of the numbers alone.

use std::{collections::BTreeMap, time::Duration};

use floodmark::{
    AsyncContext, AsyncOptions, BoxError, Context, Environment, FileSink, KeyedProcess, TimeDomain,
    Timestamp, ValueState,
};
use serde::{Deserialize, Serialize};

use super::{Input, PreparedJob, ScenarioJob, mix};

/// The job, with numbers from 0.
pub const JOB: ScenarioJob = ScenarioJob { name: "knocks", prepare };

const OUTPUT: &str = "output/numbers";
/// A few, so that some subtasks have several timers and others none.
const KEY_COUNT: u64 = 3;
/// From one knock to the next: at least this, and less than that.
const PAUSE_MS: (u64, u64) = (36, 44);
/// Until an answer is there: at least this, and less than that.
const ANSWER_MS: (u64, u64) = (60, 80);
const TIMEOUT: Duration = Duration::from_secs(1);

const _: () = assert!(PAUSE_MS.1 <= ANSWER_MS.0, "there is a knock before the last is answered");

/// What is asked about.
#[derive(Clone, Debug, Serialize, Deserialize)]
enum Question {
    /// A number, with its key and its place among the numbers of the key.
    Number { key: u64, place: u64, number: u64 },
    /// The `count`-th knock of a key.
    Knock { key: u64, count: u64 },
}

/// What has come of a key.
#[derive(Clone, Copy, Debug, Default, Serialize, Deserialize)]
struct Door {
    number_count: u64,
    knock_count: u64,
}

const DOOR: ValueState<Door> = ValueState::new("door");

/// Passes numbers on, and knocks.
#[derive(Clone)]
struct Knock {
    seed: u64,
}

impl Knock {
    /// Sets the timer of the next knock.
    fn wait(&self, door: Door, cx: &mut Context<'_, u64, Question>) {
        let random = mix(self.seed ^ mix(*cx.key()) ^ door.knock_count);
        let mut timers = cx.timers();
        let next = timers.current_processing_time() + drawn(random, PAUSE_MS);
        timers.register_processing_time(next);
    }
}

impl KeyedProcess for Knock {
    type Key = u64;
    type In = u64;
    type Out = Question;

    fn on_element(
        &mut self,
        number: u64,
        cx: &mut Context<'_, u64, Question>,
    ) -> Result<(), BoxError> {
        let mut door = cx.state(DOOR).or_default();
        if door.number_count == 0 {
            self.wait(door, cx);
        }
        door.number_count += 1;
        cx.state(DOOR).set(door);
        let key = *cx.key();
        cx.emit(Question::Number { key, place: door.number_count, number });
        Ok(())
    }

    fn on_timer(
        &mut self,
        _time: Timestamp,
        domain: TimeDomain,
        cx: &mut Context<'_, u64, Question>,
    ) -> Result<(), BoxError> {
        if domain != TimeDomain::Processing {
            return Err("nobody knocks in event time".into());
        }
        let mut door = cx.state(DOOR).or_default();
        door.knock_count += 1;
        cx.state(DOOR).set(door);
        let key = *cx.key();
        cx.emit(Question::Knock { key, count: door.knock_count });
        self.wait(door, cx);
        Ok(())
    }
}

fn drawn(random: u64, (min_ms, end_ms): (u64, u64)) -> Duration {
    Duration::from_millis(min_ms + random % (end_ms - min_ms))
}

/// Waits as long as the answer takes, and says the same.
async fn answer(seed: u64, question: Question, cx: AsyncContext) -> Result<Question, BoxError> {
    let random = match question {
        Question::Number { number, .. } => mix(seed ^ mix(number)),
        Question::Knock { key, count } => mix(!seed ^ mix(key) ^ count),
    };
    cx.sleep(drawn(random, ANSWER_MS)).await;
    Ok(question)
}

fn options(seed: u64) -> AsyncOptions<Question, Question> {
    let random = mix(seed ^ 11);
    let capacity = usize::try_from(15 + (random >> 8) % 11).expect("a small number");
    if random.is_multiple_of(2) {
        AsyncOptions::ordered(capacity, TIMEOUT)
    } else {
        AsyncOptions::unordered(capacity, TIMEOUT)
    }
}

fn prepare(input: &Input) -> PreparedJob {
    let expected = expected(input.seed, &input.indices());
    let input = input.clone();
    PreparedJob::new(move |env| build(env, &input), BTreeMap::from([(OUTPUT, expected)]))
}

fn key_of(seed: u64, number: u64) -> u64 {
    mix(seed ^ mix(number)) % KEY_COUNT
}

fn line(key: u64, place: u64, number: u64) -> String {
    format!("{key},{place},{number}")
}

fn build(env: &Environment, input: &Input) {
    let seed = input.seed;
    let numbers = input.source((0, 1), Duration::from_secs(7), |number| number);
    env.source("numbers", numbers)
        .parallelism(1)
        .key_by(move |number| key_of(seed, *number))
        .process(Knock { seed })
        .uid("knock")
        .async_map(options(seed), move |question, cx| answer(seed, question, cx))
        .uid("asked")
        .flat_map(|question| match question {
            Question::Number { key, place, number } => Some(line(key, place, number)),
            Question::Knock { .. } => None,
        })
        .sink("numbers-seen", FileSink::new(OUTPUT, |line: &String| line.clone()));
}

/// The naive model: every number once, with its place among those of its key.
fn expected(seed: u64, indices: &[u64]) -> Vec<String> {
    let mut counts: BTreeMap<u64, u64> = BTreeMap::new();
    let number = |number: &u64| {
        let key = key_of(seed, *number);
        let count = counts.entry(key).or_default();
        *count += 1;
        line(key, *count, *number)
    };
    indices.iter().map(number).collect()
}
