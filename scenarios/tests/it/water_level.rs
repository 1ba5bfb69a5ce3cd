//! The example of `docs/testing-your-job.md`, run.

use floodmark::{
    BoxError, Context, Environment, Generator, KeyedProcess, Stream, TimeDomain, Timestamp,
    ValueState, WatermarkStrategy,
};
use floodmark_scenarios::Simulation;
use std::{collections::BTreeMap, time::Duration};

/// A gauge, the time of the reading in milliseconds, and whether the water is too high.
type Reading = (u64, i64, bool);

/// Warns of water that stays too high for a second: the timers that are set, by gauge.
#[derive(Clone, Default)]
struct Forgetful {
    due: BTreeMap<u64, Timestamp>,
}

impl KeyedProcess for Forgetful {
    type Key = u64;
    type In = Reading;
    type Out = (u64, i64);

    fn on_element(
        &mut self,
        (gauge, time, is_high): Reading,
        cx: &mut Context<'_, u64, (u64, i64)>,
    ) -> Result<(), BoxError> {
        match (is_high, self.due.get(&gauge).copied()) {
            (true, None) => {
                let due = Timestamp(time) + Duration::from_secs(1);
                cx.timers().register_event_time(due);
                self.due.insert(gauge, due);
            }
            (false, Some(due)) => {
                cx.timers().delete_event_time(due);
                self.due.remove(&gauge);
            }
            _ => {}
        }
        Ok(())
    }

    fn on_timer(
        &mut self,
        time: Timestamp,
        _: TimeDomain,
        cx: &mut Context<'_, u64, (u64, i64)>,
    ) -> Result<(), BoxError> {
        let gauge = *cx.key();
        cx.emit((gauge, time.0));
        Ok(())
    }
}

/// Four gauges. In every three seconds, each has high water for 1.4 s and once more for 0.4 s.
fn reading(index: u64) -> Reading {
    let (gauge, time) = (index % 4, i64::try_from(index / 4).expect("a small number") * 200);
    let place = time % 3_000;
    (gauge, time, place < 1_400 || (2_000..2_400).contains(&place))
}

fn alarms<P>(env: &Environment, alarm: P) -> Stream<(u64, i64)>
where
    P: KeyedProcess<Key = u64, In = Reading, Out = (u64, i64)> + Clone + Sync,
{
    env.source("readings", Generator::new(600, reading).rate(100))
        .parallelism(1)
        .watermarks(
            WatermarkStrategy::ascending().timestamps(|reading: &Reading| reading.1).emit_every(1),
        )
        .parallelism(1)
        .key_by(|(gauge, _, _)| *gauge)
        .process(alarm)
        .uid("alarm")
}

/// Thirty seconds of readings: each of four gauges warns ten times.
fn check(alarms: &[(u64, i64)]) {
    assert_eq!(alarms.len(), 40, "one alarm per flood");
}

#[test]
#[should_panic(expected = "one alarm per flood")]
fn fields_of_a_function_do_not_survive_a_crash() {
    Simulation::new(|env| alarms(env, Forgetful::default())).seeds(0..50).check(check);
}

/// The same with the timers that are set in state, by key.
#[derive(Clone)]
struct Alarm;

const DUE: ValueState<Timestamp> = ValueState::new("due");

impl KeyedProcess for Alarm {
    type Key = u64;
    type In = Reading;
    type Out = (u64, i64);

    fn on_element(
        &mut self,
        (_, time, is_high): Reading,
        cx: &mut Context<'_, u64, (u64, i64)>,
    ) -> Result<(), BoxError> {
        match (is_high, cx.state(DUE).get()) {
            (true, None) => {
                let due = Timestamp(time) + Duration::from_secs(1);
                cx.timers().register_event_time(due);
                cx.state(DUE).set(due);
            }
            (false, Some(due)) => {
                cx.timers().delete_event_time(due);
                cx.state(DUE).clear();
            }
            _ => {}
        }
        Ok(())
    }

    fn on_timer(
        &mut self,
        time: Timestamp,
        _: TimeDomain,
        cx: &mut Context<'_, u64, (u64, i64)>,
    ) -> Result<(), BoxError> {
        let gauge = *cx.key();
        cx.emit((gauge, time.0));
        Ok(())
    }
}

#[test]
fn state_survives_it() {
    Simulation::new(|env| alarms(env, Alarm)).seeds(0..50).check(check);
}
