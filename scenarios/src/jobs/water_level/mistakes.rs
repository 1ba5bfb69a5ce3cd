//! The alarm with the mistakes that are made in it, one at a time.
//!
//! Input and model are those of the right one. Each is a mistake of a user, not of the runtime, and
//! compiles, and looks well; the first one is even right as long as no process dies.

use std::collections::BTreeMap;

use floodmark::{BoxError, Context, KeyedProcess, TimeDomain, Timestamp};

use super::{Change, GAUGE, Gauge, Reading, TOLERATED, due_after, line, prepare};
use crate::jobs::ScenarioJob;

/// Level and timer are in plain fields, which no checkpoint has.
pub const PLAIN_FIELDS: ScenarioJob = ScenarioJob {
    name: "water_level_plain_fields",
    prepare: |input| prepare(input, PlainFields::default()),
};

/// One level and one timer for all gauges.
pub const SHARED_BY_ALL_KEYS: ScenarioJob = ScenarioJob {
    name: "water_level_shared_by_all_keys",
    prepare: |input| prepare(input, SharedByAllKeys::default()),
};

/// The times of readings are taken for times on the clock of the node.
pub const MIXED_TIME_DOMAINS: ScenarioJob = ScenarioJob {
    name: "water_level_mixed_time_domains",
    prepare: |input| prepare(input, MixedTimeDomains),
};

/// A fall deletes a timer that was never set, and leaves the one that was.
pub const WRONG_TIMER_DELETED: ScenarioJob = ScenarioJob {
    name: "water_level_wrong_timer_deleted",
    prepare: |input| prepare(input, WrongTimerDeleted),
};

/// The last level stays that of the beginning.
pub const LEVEL_NEVER_UPDATED: ScenarioJob = ScenarioJob {
    name: "water_level_level_never_updated",
    prepare: |input| prepare(input, LevelNeverUpdated),
};

/// W1.
#[derive(Clone, Default)]
struct PlainFields {
    levels: BTreeMap<u64, u64>,
    due: BTreeMap<u64, Timestamp>,
}

impl KeyedProcess for PlainFields {
    type Key = u64;
    type In = Reading;
    type Out = String;

    fn on_element(
        &mut self,
        reading: Reading,
        cx: &mut Context<'_, u64, String>,
    ) -> Result<(), BoxError> {
        let level = self.levels.insert(reading.gauge, reading.level).unwrap_or_default();
        match (Gauge { level, due: None }).change_to(reading.level) {
            Change::Rise => {
                let due = due_after(&reading);
                cx.timers().register_event_time(due);
                self.due.insert(reading.gauge, due);
            }
            Change::Fall => {
                if let Some(due) = self.due.remove(&reading.gauge) {
                    cx.timers().delete_event_time(due);
                }
            }
            Change::Neither => {}
        }
        Ok(())
    }

    fn on_timer(
        &mut self,
        time: Timestamp,
        _: TimeDomain,
        cx: &mut Context<'_, u64, String>,
    ) -> Result<(), BoxError> {
        let gauge = *cx.key();
        self.due.remove(&gauge);
        let level = self.levels.get(&gauge).copied().unwrap_or_default();
        cx.emit(line(gauge, time, level));
        Ok(())
    }
}

/// W2.
#[derive(Clone, Default)]
struct SharedByAllKeys {
    gauge: Gauge,
}

impl KeyedProcess for SharedByAllKeys {
    type Key = u64;
    type In = Reading;
    type Out = String;

    fn on_element(
        &mut self,
        reading: Reading,
        cx: &mut Context<'_, u64, String>,
    ) -> Result<(), BoxError> {
        match self.gauge.change_to(reading.level) {
            Change::Rise => {
                let due = due_after(&reading);
                cx.timers().register_event_time(due);
                self.gauge.due = Some(due);
            }
            Change::Fall => {
                if let Some(due) = self.gauge.due.take() {
                    cx.timers().delete_event_time(due);
                }
            }
            Change::Neither => {}
        }
        self.gauge.level = reading.level;
        Ok(())
    }

    fn on_timer(
        &mut self,
        time: Timestamp,
        _: TimeDomain,
        cx: &mut Context<'_, u64, String>,
    ) -> Result<(), BoxError> {
        self.gauge.due = None;
        let line = line(*cx.key(), time, self.gauge.level);
        cx.emit(line);
        Ok(())
    }
}

/// W3.
#[derive(Clone)]
struct MixedTimeDomains;

impl KeyedProcess for MixedTimeDomains {
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
                let now = cx.timers().current_processing_time();
                cx.timers().register_processing_time(now + TOLERATED);
                gauge.due = Some(due_after(&reading));
            }
            Change::Fall => {
                if let Some(due) = gauge.due.take() {
                    cx.timers().delete_processing_time(due);
                }
            }
            Change::Neither => {}
        }
        gauge.level = reading.level;
        cx.state(GAUGE).set(gauge);
        Ok(())
    }

    /// The alarm says when it was due in event time, so that nothing in a line tells what is wrong.
    fn on_timer(
        &mut self,
        _: Timestamp,
        _: TimeDomain,
        cx: &mut Context<'_, u64, String>,
    ) -> Result<(), BoxError> {
        let mut gauge = cx.state(GAUGE).or_default();
        let Some(due) = gauge.due.take() else { return Ok(()) };
        cx.state(GAUGE).set(gauge);
        let line = line(*cx.key(), due, gauge.level);
        cx.emit(line);
        Ok(())
    }
}

/// W4.
#[derive(Clone)]
struct WrongTimerDeleted;

impl KeyedProcess for WrongTimerDeleted {
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
                cx.timers().delete_event_time(due_after(&reading));
                gauge.due = None;
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

/// W5.
#[derive(Clone)]
struct LevelNeverUpdated;

impl KeyedProcess for LevelNeverUpdated {
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
