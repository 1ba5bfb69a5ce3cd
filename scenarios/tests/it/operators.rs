//! Every kind of operator, with crashes, against a computation in plain Rust that knows no time.
//!
//! What is compared does not depend on the order in which records of different sources arrive, so that
//! every difference is a record or a state that was lost or came twice.

use std::{
    collections::{BTreeMap, BTreeSet},
    time::Duration,
};

use floodmark::{
    Aggregate, AggregatingState, BoxError, BroadcastRead, BroadcastWrite, Context, Environment,
    Generator, Interval, KeyedBroadcastProcess, KeyedCoProcess, KeyedProcess, ListState, MapState,
    Offset, OutputTag, ProcessFunction, RecordContext, ReducingState, RuleContext, Stream,
    TimeDomain, Timestamp, Tumbling, ValueState, WatermarkStrategy,
};
use floodmark_scenarios::Simulation;

/// Records of each source, and how many of them come per second and subtask.
const COUNT: u64 = 240;
const RATE: u32 = 120;
const KEY_COUNT: u64 = 11;

fn numbers(env: &Environment, name: &str) -> Stream<u64> {
    env.source(name, Generator::new(COUNT, |number| number).rate(RATE))
}

/// Returns the numbers that have a key.
fn of_key(key: u64) -> impl Iterator<Item = u64> {
    (0..COUNT).filter(move |number| number % KEY_COUNT == key)
}

/// A key, what number of record it was, and what is known after it.
type Known = (u64, u64, Vec<u64>);

/// Every record of a key was counted once, and after the last one `expected` was known.
#[track_caller]
fn check_known(results: &[Known], expected: impl Fn(u64) -> Vec<u64>) {
    let seen: BTreeMap<(u64, u64), &Vec<u64>> =
        results.iter().map(|(key, number, known)| ((*key, *number), known)).collect();
    assert_eq!(seen.len(), results.len(), "no record is counted twice");
    assert_eq!(results.len() as u64, COUNT);
    for key in 0..KEY_COUNT {
        let last = of_key(key).count() as u64;
        assert_eq!(*seen[&(key, last)], expected(key), "key {key}");
    }
}

const ALL: ListState<u64> = ListState::new("all");
const BY_RESIDUE: MapState<u64, u64> = MapState::new("by-residue");
const SUM: ReducingState<u64> = ReducingState::new("sum", |left, right| left + right);
const RANGE: AggregatingState<Range> = AggregatingState::new("range", Range);

/// Least and greatest.
#[derive(Clone, Copy)]
struct Range;

impl Aggregate for Range {
    type In = u64;
    type Acc = (u64, u64);
    type Out = u64;

    fn init(&self) -> (u64, u64) {
        (u64::MAX, 0)
    }

    fn add(&self, (least, greatest): &mut (u64, u64), value: u64) {
        *least = value.min(*least);
        *greatest = value.max(*greatest);
    }

    fn finish(&self, (least, greatest): (u64, u64)) -> u64 {
        greatest - least
    }

    fn merge(&self, left: (u64, u64), right: (u64, u64)) -> (u64, u64) {
        (left.0.min(right.0), left.1.max(right.1))
    }
}

/// Keeps what it gets in every kind of state.
#[derive(Clone)]
struct Remember;

impl KeyedProcess for Remember {
    type Key = u64;
    type In = u64;
    type Out = Known;

    fn on_element(
        &mut self,
        number: u64,
        cx: &mut Context<'_, u64, Known>,
    ) -> Result<(), BoxError> {
        cx.state(ALL).push(number);
        cx.state(BY_RESIDUE).update(number % 3, |count| *count += 1);
        cx.state(SUM).add(number);
        cx.state(RANGE).add(number);
        let mut all = cx.state(ALL).get();
        let count = all.len() as u64;
        all.sort_unstable();
        all.extend(cx.state(BY_RESIDUE).iter().map(|(_, count)| *count));
        all.extend(cx.state(SUM).get());
        all.extend(cx.state(RANGE).get());
        let known = (*cx.key(), count, all);
        cx.emit(known);
        Ok(())
    }
}

#[test]
fn every_kind_of_state_survives() {
    let simulation = Simulation::new(|env| {
        let numbers = numbers(env, "numbers").key_by(|number| number % KEY_COUNT);
        numbers.process(Remember).uid("remember")
    });
    simulation.seeds(0..25).check(|results| {
        check_known(results, |key| {
            let all: Vec<u64> = of_key(key).collect();
            let residue = |residue| all.iter().filter(|number| *number % 3 == residue).count();
            let residues = [0, 1, 2].map(residue).into_iter().filter(|count| 0 < *count);
            let (sum, range) = (all.iter().sum::<u64>(), all[all.len() - 1] - all[0]);
            let others = residues.map(|count| count as u64).chain([sum, range]);
            all.iter().copied().chain(others).collect()
        });
    });
}

const TTL: Duration = Duration::from_millis(150);
const VISIT: ValueState<Timestamp> = ValueState::new("visit").ttl(TTL);
const VISITS: ListState<Timestamp> = ListState::new("visits").ttl(TTL);
const NUMBER: ValueState<u64> = ValueState::new("number");

/// Numbers the records of a key, and says how many it remembers.
#[derive(Clone)]
struct Forget;

impl KeyedProcess for Forget {
    type Key = u64;
    type In = u64;
    type Out = (u64, u64, usize);

    fn on_element(
        &mut self,
        _: u64,
        cx: &mut Context<'_, u64, (u64, u64, usize)>,
    ) -> Result<(), BoxError> {
        let now = cx.timers().current_processing_time();
        let remembered = cx.state(VISITS).get();
        let last = cx.state(VISIT).get();
        if let Some(visit) = remembered.iter().chain(&last).find(|visit| **visit + TTL <= now) {
            return Err(format!("at {now}, the visit at {visit} is remembered").into());
        }
        cx.state(VISIT).set(now);
        cx.state(VISITS).push(now);
        cx.state(NUMBER).update(|number| *number += 1);
        let number = cx.state(NUMBER).or_default();
        let seen = (*cx.key(), number, remembered.len());
        cx.emit(seen);
        Ok(())
    }
}

#[test]
fn what_has_expired_is_not_remembered_after_a_crash_either() {
    let simulation = Simulation::new(|env| {
        let numbers = numbers(env, "numbers").key_by(|number| number % KEY_COUNT);
        numbers.process(Forget).uid("forget")
    });
    simulation.seeds(0..15).check(|results| {
        let seen: BTreeSet<_> = results.iter().map(|(key, number, _)| (*key, *number)).collect();
        assert_eq!(seen.len() as u64, COUNT, "every record is counted once");
        let remembered: BTreeSet<usize> = results.iter().map(|(.., visits)| *visits).collect();
        assert!(remembered.contains(&0) && 1 < remembered.len(), "{remembered:?}");
    });
}

#[test]
fn running_results_survive() {
    let simulation = Simulation::new(|env| {
        let numbers = numbers(env, "numbers").map(|number| (number % KEY_COUNT, number));
        numbers
            .key_by(|(key, _)| *key)
            .sum(|(_, number)| number)
            .uid("sum")
            .key_by(|(key, _)| *key)
            .max(|(_, sum)| sum)
            .uid("max")
            .key_by(|(key, _)| *key)
            .stateful(|key, count: &mut u64, (_, sum)| {
                *count += 1;
                (*key, *count, vec![sum])
            })
            .uid("count")
    });
    simulation.seeds(0..25).check(|results| check_known(results, |key| vec![of_key(key).sum()]));
}

const LEFT: ValueState<u64> = ValueState::new("left");
const RIGHT: ValueState<u64> = ValueState::new("right");
const UNMATCHED: OutputTag<(u64, u64)> = OutputTag::new("unmatched");

/// Matches the two records of a key. One that waits until the end of time is unmatched.
#[derive(Clone)]
struct Match;

impl KeyedCoProcess for Match {
    type Key = u64;
    type First = u64;
    type Second = (u64, u64);
    type Out = (u64, u64);

    fn on_first(
        &mut self,
        left: u64,
        cx: &mut Context<'_, u64, (u64, u64)>,
    ) -> Result<(), BoxError> {
        match cx.state(RIGHT).get() {
            Some(right) => cx.emit((left, right)),
            None => {
                cx.state(LEFT).set(left);
                cx.timers().register_event_time(Timestamp::MAX);
            }
        }
        Ok(())
    }

    fn on_second(
        &mut self,
        (left, right): (u64, u64),
        cx: &mut Context<'_, u64, (u64, u64)>,
    ) -> Result<(), BoxError> {
        cx.state(RIGHT).set(right);
        if cx.state(LEFT).get().is_some() {
            cx.timers().delete_event_time(Timestamp::MAX);
            cx.emit((left, right));
        }
        Ok(())
    }

    fn on_timer(
        &mut self,
        _: Timestamp,
        _: TimeDomain,
        cx: &mut Context<'_, u64, (u64, u64)>,
    ) -> Result<(), BoxError> {
        let unmatched = (*cx.key(), 0);
        cx.emit_to(UNMATCHED, unmatched);
        Ok(())
    }
}

#[test]
fn two_inputs_share_what_they_remember_across_crashes() {
    let simulation = Simulation::new(|env| {
        // Every third number has no partner.
        let partners = numbers(env, "partners").filter(|number| number % 3 != 0);
        let partners = partners.map(|number| (number, number + 1_000));
        let matched = numbers(env, "numbers")
            .key_by(|number| *number)
            .connect(partners.key_by(|(number, _)| *number))
            .process(Match)
            .uid("match");
        let unmatched = matched.side_output(UNMATCHED);
        matched.union(unmatched)
    });
    simulation.seeds(0..40).check(|results| {
        let mut results = results.to_vec();
        results.sort_unstable();
        let partner = |number: u64| if number.is_multiple_of(3) { 0 } else { number + 1_000 };
        let expected: Vec<_> = (0..COUNT).map(|number| (number, partner(number))).collect();
        assert_eq!(results, expected);
    });
}

const WAITING: ListState<u64> = ListState::new("waiting");
const RULE_COUNT: u64 = 6;

/// Multiplies every number by the factor of its class, as soon as that is known.
#[derive(Clone)]
struct Multiply;

impl KeyedBroadcastProcess for Multiply {
    type Key = u64;
    type In = u64;
    type Rule = (u64, u64);
    type Name = u64;
    type Kept = u64;
    type Out = u64;

    fn on_element(
        &mut self,
        number: u64,
        rules: BroadcastRead<'_, u64, u64>,
        cx: &mut Context<'_, u64, u64>,
    ) -> Result<(), BoxError> {
        match rules.get(&(number % RULE_COUNT)) {
            Some(factor) => cx.emit(number * factor),
            None => cx.state(WAITING).push(number),
        }
        Ok(())
    }

    fn on_rule(
        &mut self,
        (class, factor): (u64, u64),
        mut rules: BroadcastWrite<'_, u64, u64>,
        cx: &mut RuleContext<'_, u64, u64>,
    ) -> Result<(), BoxError> {
        rules.insert(class, factor);
        cx.for_each_key(WAITING, |cx| {
            let waiting = cx.state(WAITING).get();
            let (due, others) =
                waiting.into_iter().partition(|number| number % RULE_COUNT == class);
            let due: Vec<u64> = due;
            cx.state(WAITING).set(others);
            due.into_iter().for_each(|number| cx.emit(number * factor));
            Ok(())
        })
    }
}

#[test]
fn rules_that_everybody_knows_are_known_after_a_crash() {
    let simulation = Simulation::new(|env| {
        let rules = Generator::new(RULE_COUNT, |class| (class, class + 10)).rate(4);
        let rules = env.source("rules", rules).as_rules();
        let numbers = numbers(env, "numbers").key_by(|number| number % KEY_COUNT);
        numbers.with_rules(rules).process(Multiply).uid("multiply")
    });
    simulation.seeds(0..40).check(|results| {
        let mut results = results.to_vec();
        results.sort_unstable();
        let product = |number: u64| number * (number % RULE_COUNT + 10);
        let mut expected: Vec<u64> = (0..COUNT).map(product).collect();
        expected.sort_unstable();
        assert_eq!(results, expected);
    });
}

/// A number happens at ten times itself, in milliseconds.
fn by_time() -> WatermarkStrategy<u64> {
    WatermarkStrategy::ascending().timestamps(|number| time_of(*number))
}

fn time_of(number: u64) -> i64 {
    i64::try_from(number * 10).expect("numbers are small")
}

#[test]
fn joined_intervals_are_whole_across_crashes() {
    let (before, after) = (200, 350);
    let simulation = Simulation::new(move |env| {
        let millis = Duration::from_millis;
        let interval = Interval::new(Offset::before(millis(before)), Offset::after(millis(after)));
        let left = numbers(env, "left").watermarks(by_time()).key_by(|number| number % KEY_COUNT);
        let right = numbers(env, "right").watermarks(by_time()).key_by(|number| number % KEY_COUNT);
        let joined = left.interval_join(right, interval);
        joined.join(|_, left, right| Some((left.value, right.value))).uid("join")
    });
    let (before, after) = (i64::try_from(before).unwrap(), i64::try_from(after).unwrap());
    simulation.seeds(0..40).check(|results| {
        let seen: BTreeSet<_> = results.iter().copied().collect();
        assert_eq!(seen.len(), results.len(), "no pair comes twice");
        let all = (0..COUNT).flat_map(|left| (0..COUNT).map(move |right| (left, right)));
        let expected = all.filter(|(left, right)| {
            let distance = time_of(*right) - time_of(*left);
            left % KEY_COUNT == right % KEY_COUNT && -before <= distance && distance <= after
        });
        assert_eq!(seen, expected.collect());
    });
}

#[test]
fn groups_of_two_inputs_are_whole_across_crashes() {
    const WINDOW_MS: i64 = 500;
    let simulation = Simulation::new(|env| {
        let left = numbers(env, "left").watermarks(by_time()).key_by(|number| number % KEY_COUNT);
        // Fewer come from the right, so that some groups have no right side.
        let right = numbers(env, "right").watermarks(by_time()).filter(|number| number % 5 == 0);
        let windows = Tumbling::event_time(Duration::from_millis(WINDOW_MS.unsigned_abs()));
        let joined = left.join(right.key_by(|number| number % KEY_COUNT)).window(windows);
        let grouped = joined.co_group(|key, window, left, right| {
            let sorted = |side: Vec<&u64>| {
                let mut side: Vec<u64> = side.into_iter().copied().collect();
                side.sort_unstable();
                side
            };
            Some((*key, window.start.0, sorted(left), sorted(right)))
        });
        grouped.uid("group")
    });
    simulation.seeds(0..25).check(|results| {
        let mut groups: BTreeMap<(u64, i64), (Vec<u64>, Vec<u64>)> = BTreeMap::new();
        for number in 0..COUNT {
            let start = time_of(number) / WINDOW_MS * WINDOW_MS;
            let group = groups.entry((number % KEY_COUNT, start)).or_default();
            group.0.push(number);
            group.1.extend((number % 5 == 0).then_some(number));
        }
        let groups = groups.into_iter();
        let expected = groups.map(|((key, start), (left, right))| (key, start, left, right));
        let mut results = results.to_vec();
        results.sort_unstable();
        assert_eq!(results, expected.collect::<Vec<_>>());
    });
}

const ODD: OutputTag<u64> = OutputTag::new("odd");

/// Sends odd numbers another way.
#[derive(Clone)]
struct Split;

impl ProcessFunction for Split {
    type In = u64;
    type Out = u64;

    fn on_element(&mut self, number: u64, cx: &mut RecordContext<'_, u64>) -> Result<(), BoxError> {
        if number.is_multiple_of(2) {
            cx.emit(number)
        } else {
            cx.emit_to(ODD, number)
        }
        Ok(())
    }
}

#[test]
fn what_was_split_is_whole() {
    let simulation = Simulation::new(|env| {
        let even = numbers(env, "numbers").process(Split);
        let odd = even.side_output(ODD).map(|number| number + 1_000);
        even.union(odd)
    });
    simulation.seeds(0..15).check(|results| {
        let mut results = results.to_vec();
        results.sort_unstable();
        let place = |number: u64| if number.is_multiple_of(2) { number } else { number + 1_000 };
        let mut expected: Vec<u64> = (0..COUNT).map(place).collect();
        expected.sort_unstable();
        assert_eq!(results, expected);
    });
}
