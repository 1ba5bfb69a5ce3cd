//! The alarm of a river: a gauge whose water stays above the threshold for a second.
//!
//! A rise sets an event-time timer, a fall before its time deletes it, and a timer that fires writes an
//! alarm. What a gauge's last level was matters here, so its readings must be processed in order: one
//! subtask reads them in the order of their times. Each is followed by a watermark, so that a timer
//! has fired before a reading exactly if an earlier reading, of whatever gauge, was later than the
//! timer's time; what is written is a function of the input alone.
//!
//! [`mistakes`] has the same alarm as it is often written.

pub mod mistakes;

use std::{collections::BTreeMap, time::Duration};

use floodmark::{
    BoxError, Context, Environment, FileSink, KeyedProcess, TimeDomain, Timestamp, ValueState,
    WatermarkStrategy,
};
use serde::{Deserialize, Serialize};

use super::{Input, PreparedJob, ScenarioJob, mix};

/// The job, with readings that the seed makes up.
pub const JOB: ScenarioJob =
    ScenarioJob { name: "water_level", prepare: |input| prepare(input, Alarm) };

const OUTPUT: &str = "output/alarms";
const GAUGE_COUNT: u64 = 12;
/// A level above this is too high.
const THRESHOLD: u64 = 100;
/// For so long the water may stay too high.
const TOLERATED: Duration = Duration::from_secs(1);
/// Event time from one reading to the next.
const STEP_MS: i64 = 25;
/// For so long a gauge has high water, or low.
const SPELL_MS: i64 = 550;

/// What a gauge shows.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Reading {
    gauge: u64,
    time_ms: i64,
    level: u64,
}

/// What is known of a gauge.
#[derive(Clone, Copy, Debug, Default, Serialize, Deserialize)]
struct Gauge {
    /// Its last level.
    level: u64,
    /// The timer that is set.
    due: Option<Timestamp>,
}

/// How a reading compares with the one before.
enum Change {
    Rise,
    Fall,
    Neither,
}

impl Gauge {
    fn change_to(&self, level: u64) -> Change {
        match (THRESHOLD < self.level, THRESHOLD < level) {
            (false, true) => Change::Rise,
            (true, false) => Change::Fall,
            _ => Change::Neither,
        }
    }
}

/// Returns when an alarm is due if nothing falls any more.
fn due_after(reading: &Reading) -> Timestamp {
    Timestamp(reading.time_ms) + TOLERATED
}

/// The alarm as it should be: all that it knows is keyed state.
#[derive(Clone)]
struct Alarm;

const GAUGE: ValueState<Gauge> = ValueState::new("gauge");

impl KeyedProcess for Alarm {
    type Key = u64;
    type In = Reading;
    type Out = String;

    fn on_element(
        &mut self,
        reading: Reading,
        cx: &mut Context<'_, u64, String>,
    ) -> Result<(), BoxError> {
        let mut gauge = cx.state(GAUGE).or_default();
        match gauge.change_to(reading.level) {
            Change::Rise => {
                let due = due_after(&reading);
                cx.timers().register_event_time(due);
                gauge.due = Some(due);
            }
            Change::Fall => {
                if let Some(due) = gauge.due.take() {
                    cx.timers().delete_event_time(due);
                }
            }
            Change::Neither => {}
        }
        gauge.level = reading.level;
        cx.state(GAUGE).set(gauge);
        Ok(())
    }

    fn on_timer(
        &mut self,
        time: Timestamp,
        _: TimeDomain,
        cx: &mut Context<'_, u64, String>,
    ) -> Result<(), BoxError> {
        let mut gauge = cx.state(GAUGE).or_default();
        gauge.due = None;
        cx.state(GAUGE).set(gauge);
        let line = line(*cx.key(), time, gauge.level);
        cx.emit(line);
        Ok(())
    }
}

fn line(gauge: u64, time: Timestamp, level: u64) -> String {
    format!("{gauge},{},{level}", time.0)
}

/// Returns reading `index`. A gauge has spells of high and of low water, with a few strays.
fn reading(seed: u64, index: u64) -> Reading {
    let random = mix(seed ^ mix(index));
    let gauge = random % GAUGE_COUNT;
    let time_ms = i64::try_from(index).expect("a run is short") * STEP_MS;
    let spell = mix(seed ^ mix(gauge) ^ (time_ms / SPELL_MS).unsigned_abs()) % 5;
    let is_high = (spell < 3) != (random >> 8).is_multiple_of(12);
    let level = (random >> 16) % THRESHOLD + if is_high { THRESHOLD + 1 } else { 1 };
    Reading { gauge, time_ms, level }
}

fn prepare<P>(input: &Input, alarm: P) -> PreparedJob
where
    P: KeyedProcess<Key = u64, In = Reading, Out = String> + Clone + Sync,
{
    let expected = expected(input.seed, &input.indices());
    let input = input.clone();
    let build = move |env: &Environment| build(env, &input, alarm.clone());
    PreparedJob::new(build, BTreeMap::from([(OUTPUT, expected)]))
}

fn build<P>(env: &Environment, input: &Input, alarm: P)
where
    P: KeyedProcess<Key = u64, In = Reading, Out = String> + Clone + Sync,
{
    let seed = input.seed;
    let readings = input.source((0, 1), Duration::from_secs(8), move |index| reading(seed, index));
    env.source("readings", readings)
        .parallelism(1)
        .watermarks(
            WatermarkStrategy::ascending()
                .timestamps(|reading: &Reading| reading.time_ms)
                .emit_every(1),
        )
        .parallelism(1)
        .key_by(|reading| reading.gauge)
        .process(alarm)
        .uid("alarm")
        .sink("alarms", FileSink::new(OUTPUT, |line: &String| line.clone()));
}

/// The naive model: for each gauge its last level and the time of the alarm that threatens.
fn expected(seed: u64, indices: &[u64]) -> Vec<String> {
    let tolerated_ms = 1_000;
    let mut lines = Vec::new();
    let mut last_levels: BTreeMap<u64, u64> = BTreeMap::new();
    let mut threats: BTreeMap<u64, i64> = BTreeMap::new();
    let mut latest = i64::MIN;
    for Reading { gauge, time_ms, level } in indices.iter().map(|index| reading(seed, *index)) {
        let before = last_levels.insert(gauge, level).unwrap_or(0);
        if threats.get(&gauge).is_some_and(|due| *due < latest)
            && let Some(due) = threats.remove(&gauge)
        {
            lines.push(format!("{gauge},{due},{before}"));
        }
        if level <= THRESHOLD {
            threats.remove(&gauge);
        } else if before <= THRESHOLD {
            threats.insert(gauge, time_ms + tolerated_ms);
        }
        latest = time_ms;
    }
    // When the input has ended, nothing falls any more.
    lines
        .extend(threats.iter().map(|(gauge, due)| format!("{gauge},{due},{}", last_levels[gauge])));
    lines
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn there_are_alarms_and_falls_that_prevent_one() {
        let (mut rises, indices) = (0, (0..1_200).collect::<Vec<u64>>());
        let mut levels: BTreeMap<u64, u64> = BTreeMap::new();
        for Reading { gauge, level, .. } in indices.iter().map(|index| reading(7, *index)) {
            let before = levels.insert(gauge, level).unwrap_or(0);
            rises += u64::from(before <= THRESHOLD && THRESHOLD < level);
        }
        let alarms = expected(7, &indices).len() as u64;
        assert!(30 < alarms && alarms + 30 < rises, "{alarms} alarms of {rises} rises");
    }
}
