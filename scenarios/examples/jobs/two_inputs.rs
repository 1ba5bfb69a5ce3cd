//! Two inputs: messages for everybody, rules that may change, and records that belong together.

use std::time::Duration;

use floodmark::{
    BoxError, BroadcastRead, BroadcastWrite, Context, Environment, Generator, Interval,
    KeyedBroadcastProcess, KeyedCoProcess, ListState, Offset, RuleContext, Stream, TimeDomain,
    Timestamp, ValueState, WatermarkStrategy,
};
use serde::{Deserialize, Serialize};

use crate::{Example, input, mix, shown, time_of};

pub(crate) const EXAMPLES: &[Example] = &[
    Example {
        name: "to_everybody",
        about: "messages that every subtask gets",
        build: |env| shown(to_everybody(messages(env))),
    },
    Example {
        name: "above_limit",
        about: "values above the limit of their machine, which is told at some time",
        build: |env| shown(above_limit(values(env), limits(env))),
    },
    Example {
        name: "answers",
        about: "requests, and whether they were answered in two seconds",
        build: |env| shown(answers(requests(env), responses(env), PATIENCE)),
    },
    Example {
        name: "clicks_on_ads",
        about: "clicks in the three seconds after an advertisement was shown",
        build: |env| shown(clicks_on_ads(shows(env), clicks(env))),
    },
];

fn messages(env: &Environment) -> Stream<String> {
    input(env, "messages", |index| format!("message {index}"))
}

/// Gives every message to every subtask of the next operator.
pub(crate) fn to_everybody(messages: Stream<String>) -> Stream<String> {
    messages.broadcast().map(|message| format!("broadcast: {message}"))
}

/// A machine and a value of it.
type Measured = (u64, u64);

/// Machines, each with a limit of its own.
const MACHINE_COUNT: u64 = 6;

fn value(index: u64) -> Measured {
    let random = mix(index);
    (random % MACHINE_COUNT, (random >> 8) % 100)
}

fn limit(machine: u64) -> Measured {
    (machine, 40 + 10 * machine)
}

fn values(env: &Environment) -> Stream<Measured> {
    input(env, "values", value)
}

/// The limits come one after the other while values are already coming.
fn limits(env: &Environment) -> Stream<Measured> {
    env.source("limits", Generator::new(MACHINE_COUNT, limit).rate(6)).parallelism(1)
}

const WAITING: ListState<u64> = ListState::new("waiting");

/// Compares values with limits. Values whose limit is not known yet wait for it.
#[derive(Clone)]
struct Compare;

impl KeyedBroadcastProcess for Compare {
    type Key = u64;
    type In = Measured;
    type Rule = Measured;
    type Name = u64;
    type Kept = u64;
    type Out = Measured;

    fn on_element(
        &mut self,
        (machine, value): Measured,
        limits: BroadcastRead<'_, u64, u64>,
        cx: &mut Context<'_, u64, Measured>,
    ) -> Result<(), BoxError> {
        match limits.get(&machine) {
            Some(limit) if *limit < value => cx.emit((machine, value)),
            Some(_) => {}
            None => cx.state(WAITING).push(value),
        }
        Ok(())
    }

    fn on_rule(
        &mut self,
        (machine, limit): Measured,
        mut limits: BroadcastWrite<'_, u64, u64>,
        cx: &mut RuleContext<'_, u64, Measured>,
    ) -> Result<(), BoxError> {
        limits.insert(machine, limit);
        cx.for_each_key(WAITING, |cx| {
            if *cx.key() == machine {
                let waiting = cx.state(WAITING).get();
                cx.state(WAITING).clear();
                let above = waiting.into_iter().filter(|value| limit < *value);
                above.for_each(|value| cx.emit((machine, value)));
            }
            Ok(())
        })
    }
}

/// Emits the values above the limit of their machine. Every subtask knows all limits.
pub(crate) fn above_limit(values: Stream<Measured>, limits: Stream<Measured>) -> Stream<Measured> {
    values
        .key_by(|(machine, _)| *machine)
        .with_rules(limits.as_rules())
        .process(Compare)
        .uid("compare")
}

/// A message of a service: what it is about, and when it was sent.
type Message = (u64, i64);

/// For so long an answer is waited for.
const PATIENCE: Duration = Duration::from_secs(2);
/// For so long an answer takes at most.
const DELAY_MAX_MS: u64 = 4_000;

fn request(index: u64) -> Message {
    (index, time_of(index, 50))
}

/// Returns the answer to a request, which comes after a while.
fn response(index: u64) -> Message {
    (index, time_of(index, 50) + time_of(mix(index) % DELAY_MAX_MS, 1))
}

/// Returns whether a request is answered at all.
fn has_response(index: u64) -> bool {
    !mix(!index).is_multiple_of(6)
}

fn requests(env: &Environment) -> Stream<Message> {
    let strategy = WatermarkStrategy::ascending();
    input(env, "requests", request)
        .watermarks(strategy.timestamps(|message: &Message| message.1))
        .parallelism(1)
}

fn responses(env: &Environment) -> Stream<Message> {
    let strategy = WatermarkStrategy::bounded_out_of_orderness(Duration::from_millis(DELAY_MAX_MS));
    input(env, "responses", response)
        .filter(|(id, _)| has_response(*id))
        .parallelism(1)
        .watermarks(strategy.timestamps(|message: &Message| message.1))
        .parallelism(1)
}

/// What became of a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub(crate) enum Answer {
    /// It was answered after so many milliseconds.
    After(i64),
    /// It was not answered in time.
    None,
}

const ASKED: ValueState<Timestamp> = ValueState::new("asked");
const ANSWERED: ValueState<Timestamp> = ValueState::new("answered");

/// Finds the answer to each request. Either may come first.
#[derive(Clone)]
struct Correlate {
    patience: Duration,
}

impl KeyedCoProcess for Correlate {
    type Key = u64;
    type First = Message;
    type Second = Message;
    type Out = (u64, Answer);

    fn on_first(
        &mut self,
        (id, _): Message,
        cx: &mut Context<'_, u64, (u64, Answer)>,
    ) -> Result<(), BoxError> {
        let asked = cx.timestamp();
        let due = asked + self.patience;
        match cx.state(ANSWERED).get() {
            Some(answered) => {
                cx.timers().delete_event_time(answered);
                cx.state(ANSWERED).clear();
                let is_in_time = answered <= due;
                cx.emit((id, if is_in_time { after(asked, answered) } else { Answer::None }));
            }
            None => {
                cx.state(ASKED).set(asked);
                cx.timers().register_event_time(due);
            }
        }
        Ok(())
    }

    fn on_second(
        &mut self,
        (id, _): Message,
        cx: &mut Context<'_, u64, (u64, Answer)>,
    ) -> Result<(), BoxError> {
        let answered = cx.timestamp();
        match cx.state(ASKED).get() {
            // The timer says that nobody waits any more, or has said so.
            Some(asked) if asked + self.patience < answered => {}
            Some(asked) => {
                cx.timers().delete_event_time(asked + self.patience);
                cx.state(ASKED).clear();
                cx.emit((id, after(asked, answered)));
            }
            None => {
                cx.state(ANSWERED).set(answered);
                // By then a request has come, or none was ever made, or it has been given up.
                cx.timers().register_event_time(answered);
            }
        }
        Ok(())
    }

    fn on_timer(
        &mut self,
        _: Timestamp,
        _: TimeDomain,
        cx: &mut Context<'_, u64, (u64, Answer)>,
    ) -> Result<(), BoxError> {
        if cx.state(ASKED).get().is_some() {
            let given_up = (*cx.key(), Answer::None);
            cx.emit(given_up);
        }
        cx.state(ASKED).clear();
        cx.state(ANSWERED).clear();
        Ok(())
    }
}

fn after(asked: Timestamp, answered: Timestamp) -> Answer {
    Answer::After(answered.0 - asked.0)
}

/// Says of every request whether it was answered, and how long that took.
pub(crate) fn answers(
    requests: Stream<Message>,
    responses: Stream<Message>,
    patience: Duration,
) -> Stream<(u64, Answer)> {
    requests
        .key_by(|(id, _)| *id)
        .connect(responses.key_by(|(id, _)| *id))
        .process(Correlate { patience })
        .uid("correlate")
}

/// An advertisement, and the time.
type Seen = (u64, i64);

fn show(index: u64) -> Seen {
    (mix(index) % 20, time_of(index, 50))
}

fn click(index: u64) -> Seen {
    (mix(!index) % 20, time_of(index, 50) + 7)
}

fn seen(env: &Environment, name: &str, make: fn(u64) -> Seen) -> Stream<Seen> {
    input(env, name, make)
        .watermarks(WatermarkStrategy::ascending().timestamps(|(_, time): &Seen| *time))
        .parallelism(1)
}

fn shows(env: &Environment) -> Stream<Seen> {
    seen(env, "shows", show)
}

fn clicks(env: &Environment) -> Stream<Seen> {
    seen(env, "clicks", click)
}

/// Pairs clicks with what was shown in the three seconds before: advertisement and both times.
pub(crate) fn clicks_on_ads(shows: Stream<Seen>, clicks: Stream<Seen>) -> Stream<(u64, i64, i64)> {
    let within = Interval::new(Offset::ZERO, Offset::after(Duration::from_secs(3)));
    shows
        .key_by(|(ad, _)| *ad)
        .interval_join(clicks.key_by(|(ad, _)| *ad), within)
        .join(|ad, shown, clicked| Some((*ad, shown.timestamp.0, clicked.timestamp.0)))
        .uid("clicks-on-ads")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{COUNT, simulate, sorted};

    #[test]
    fn everybody_gets_every_message_once() {
        let subtask_count = 3;
        let copies =
            |index| vec![format!("broadcast: message {index}"); usize::from(subtask_count)];
        let expected = sorted((0..COUNT).flat_map(copies));
        simulate(|env| to_everybody(messages(env)))
            .parallelism(subtask_count)
            .check(|results| assert_eq!(sorted(results.to_vec()), expected));
    }

    #[test]
    fn no_value_escapes_a_limit_that_comes_later() {
        let above = (0..COUNT).map(value).filter(|(machine, value)| limit(*machine).1 < *value);
        let expected = sorted(above);
        simulate(|env| above_limit(values(env), limits(env)))
            .check(|results| assert_eq!(sorted(results.to_vec()), expected));
    }

    #[test]
    fn every_request_is_answered_or_given_up() {
        let outcome = |id| {
            let delay = response(id).1 - request(id).1;
            let is_in_time = has_response(id) && delay <= 2_000;
            (id, if is_in_time { Answer::After(delay) } else { Answer::None })
        };
        let expected: Vec<_> = (0..COUNT).map(outcome).collect();
        simulate(|env| answers(requests(env), responses(env), PATIENCE))
            .check(|results| assert_eq!(sorted(results.to_vec()), expected));
    }

    #[test]
    fn clicks_belong_to_what_was_shown_before() {
        let pairs = (0..COUNT).map(show).flat_map(|(ad, shown)| {
            let clicks = (0..COUNT).map(click);
            let clicks = clicks.filter(move |(clicked, time)| {
                ad == *clicked && (shown..=shown + 3_000).contains(time)
            });
            clicks.map(move |(_, time)| (ad, shown, time))
        });
        let expected = sorted(pairs);
        simulate(|env| clicks_on_ads(shows(env), clicks(env)))
            .check(|results| assert_eq!(sorted(results.to_vec()), expected));
    }
}
