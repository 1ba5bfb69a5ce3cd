//! The library of keyed process functions.

use floodmark::{
    BoxError, Context, KeyedProcess, ListState, MapState, OutputTag, TimeDomain, Timestamp,
    ValueState,
};

use super::{super::pipeline::tag, state_script::average};
use crate::conformance::{
    event::{Event, Parameters},
    row::Row,
};

const SUM: ValueState<i64> = ValueState::new("sum");
const COUNT: ValueState<i64> = ValueState::new("count");
const LAST: ValueState<i64> = ValueState::new("last");
const FIRST: ValueState<i64> = ValueState::new("first");
const PENDING: ValueState<i64> = ValueState::new("pending");
const VALUES: ListState<i64> = ListState::new("values");
const WORDS: MapState<String, i64> = MapState::new("words");
const BY_TIME: MapState<i64, Vec<i64>> = MapState::new("by-time");

type Cx<'a> = Context<'a, String, Row>;

/// One of the functions.
#[derive(Clone)]
pub(super) struct Library {
    function: Parameters,
    late: Option<OutputTag<Event>>,
}

const KNOWN: &[&str] = &[
    "dedup_first",
    "dedup_within",
    "running_sum",
    "running_max",
    "running_avg",
    "count_with_timeout",
    "rising_alert",
    "top_n",
    "buffer_flush",
    "map_count",
    "timer_script",
    "event_sorter",
    "ordered_buffer",
    "manual_session",
    "pulse",
    "fraud",
    "inactivity",
    "probe",
    "late_split",
];

impl Library {
    pub(super) fn new(function: Parameters) -> Self {
        let late = function.text("late_tag").map(tag);
        Self { function, late }
    }

    pub(super) fn is_known(&self) -> bool {
        KNOWN.contains(&self.function.kind())
    }

    fn number(&self, name: &str) -> Result<i64, BoxError> {
        self.function.needed(name).map_err(Into::into)
    }

    fn late(&self, event: Event, cx: &mut Cx<'_>) -> Result<(), BoxError> {
        cx.emit_to(self.late.ok_or("a function for late elements has a tag")?, event);
        Ok(())
    }

    fn rising_alert(&self, event: &Event, cx: &mut Cx<'_>) -> Result<(), BoxError> {
        let before = cx.state(LAST).get();
        cx.state(LAST).set(event.v);
        let pending = cx.state(PENDING).get();
        if before.is_some_and(|before| before < event.v) {
            if pending.is_none() {
                register(cx, PENDING, after(cx, self.number("duration")?));
            }
        } else {
            unregister(cx, PENDING);
        }
        Ok(())
    }

    fn top_n(&self, event: &Event, cx: &mut Cx<'_>) -> Result<(), BoxError> {
        let before = cx.state(VALUES).get();
        let mut top = before.clone();
        top.push(event.v);
        top.sort_unstable_by(|left, right| right.cmp(left));
        top.truncate(usize::try_from(self.number("n")?)?);
        if top != before {
            cx.state(VALUES).set(top.clone());
            emit(cx, |row| row.with("top", top));
        }
        Ok(())
    }

    fn buffer_flush(&self, event: &Event, cx: &mut Cx<'_>) -> Result<(), BoxError> {
        cx.state(VALUES).push(event.v);
        let values = cx.state(VALUES).get();
        if usize::try_from(self.number("n")?)? <= values.len() {
            cx.state(VALUES).clear();
            emit(cx, |row| row.with("values", values));
        }
        Ok(())
    }

    fn timer_script(event: &Event, cx: &mut Cx<'_>) {
        let (time, watermark) = (cx.timestamp().0, cx.timers().current_watermark());
        let at = match event.c.as_str() {
            "wm" => return emit(cx, |row| row.with("wm", watermark)),
            "del" => return cx.timers().delete_event_time(Timestamp(event.v)),
            "reg_rel" => time.wrapping_add(event.v),
            "reg_wm" => watermark.0.wrapping_add(event.v),
            _ => event.v,
        };
        cx.timers().register_event_time(Timestamp(at));
    }

    fn manual_session(&self, cx: &mut Cx<'_>) -> Result<(), BoxError> {
        let (gap, time) = (self.number("gap")?, cx.timestamp().0);
        let mut last = time;
        if let Some(open) = cx.state(LAST).get() {
            cx.timers().delete_event_time(Timestamp(open.wrapping_add(gap)));
            last = last.max(open);
        }
        cx.state(LAST).set(last);
        let first = cx.state(FIRST).get().map_or(time, |first| first.min(time));
        cx.state(FIRST).set(first);
        cx.state(COUNT).update(|count| *count += 1);
        cx.timers().register_event_time(Timestamp(last.wrapping_add(gap)));
        Ok(())
    }

    fn fraud(&self, event: &Event, cx: &mut Cx<'_>) -> Result<(), BoxError> {
        if cx.state(PENDING).get().is_some() {
            if self.number("large")? < event.v {
                emit(cx, |row| row.with("v", event.v));
            }
            unregister(cx, PENDING);
        }
        if event.v < self.number("small")? {
            register(cx, PENDING, after(cx, self.number("within")?));
        }
        Ok(())
    }
}

/// Emits a row with the key.
fn emit(cx: &mut Cx<'_>, fill: impl FnOnce(Row) -> Row) {
    let row = fill(Row::default().with("key", cx.key().clone()));
    cx.emit(row);
}

/// Returns the time so much after the context's.
fn after(cx: &Cx<'_>, pause: i64) -> i64 {
    cx.timestamp().0.wrapping_add(pause)
}

/// Registers a timer and remembers it.
fn register(cx: &mut Cx<'_>, pending: ValueState<i64>, time: i64) {
    cx.timers().register_event_time(Timestamp(time));
    cx.state(pending).set(time);
}

/// Deletes and forgets a timer, if there is one.
fn unregister(cx: &mut Cx<'_>, pending: ValueState<i64>) {
    if let Some(time) = cx.state(pending).get() {
        cx.timers().delete_event_time(Timestamp(time));
        cx.state(pending).clear();
    }
}

fn map_count(event: &Event, cx: &mut Cx<'_>) {
    match event.c.split_once(':').unwrap_or((&event.c, "")) {
        ("!dump", _) => {
            let entries = cx.state(WORDS);
            let entries = entries.iter();
            let row = entries.fold(Row::default(), |row, (word, count)| row.with(word, *count));
            emit(cx, |to| to.with("entries", row));
        }
        ("!clear", _) => cx.state(WORDS).clear(),
        ("!remove", word) => cx.state(WORDS).remove(&word.to_owned()),
        _ => {
            let count = cx.state(WORDS).get(&event.c).unwrap_or_default() + 1;
            cx.state(WORDS).insert(event.c.clone(), count);
            emit(cx, |row| row.with("c", event.c.clone()).with("count", count));
        }
    }
}

impl KeyedProcess for Library {
    type Key = String;
    type In = Event;
    type Out = Row;

    fn on_element(&mut self, event: Event, cx: &mut Cx<'_>) -> Result<(), BoxError> {
        let (time, watermark) = (cx.timestamp(), cx.timers().current_watermark());
        match self.function.kind() {
            "dedup_first" => {
                if cx.state(FIRST).get().is_none() {
                    cx.state(FIRST).set(event.v);
                    emit(cx, |row| row.with("v", event.v));
                }
            }
            "dedup_within" => {
                if cx.state(PENDING).get().is_none() {
                    register(cx, PENDING, after(cx, self.number("ttl")?));
                    emit(cx, |row| row.with("v", event.v));
                }
            }
            "running_sum" => {
                let sum = cx.state(SUM).or_default() + event.v;
                cx.state(SUM).set(sum);
                emit(cx, |row| row.with("sum", sum));
            }
            "running_max" => {
                let max = cx.state(LAST).get().map_or(event.v, |max| max.max(event.v));
                cx.state(LAST).set(max);
                emit(cx, |row| row.with("max", max));
            }
            "running_avg" => {
                let (sum, count) =
                    (cx.state(SUM).or_default() + event.v, cx.state(COUNT).or_default() + 1);
                cx.state(SUM).set(sum);
                cx.state(COUNT).set(count);
                emit(cx, |row| row.and(average((sum, count))));
            }
            "count_with_timeout" => {
                cx.state(COUNT).update(|count| *count += 1);
                cx.state(LAST).set(time.0);
                let timeout = after(cx, self.number("timeout")?);
                cx.timers().register_event_time(Timestamp(timeout));
            }
            "rising_alert" => self.rising_alert(&event, cx)?,
            "top_n" => self.top_n(&event, cx)?,
            "buffer_flush" => self.buffer_flush(&event, cx)?,
            "map_count" => map_count(&event, cx),
            "timer_script" => Self::timer_script(&event, cx),
            "event_sorter" | "late_split" if time <= watermark => self.late(event, cx)?,
            "event_sorter" => {
                let mut values = cx.state(BY_TIME).get(&time.0).unwrap_or_default();
                values.push(event.v);
                cx.state(BY_TIME).insert(time.0, values);
                cx.timers().register_event_time(time);
            }
            "ordered_buffer" => {
                cx.state(VALUES).push(event.v);
                let flush = after(cx, self.number("delay")?);
                cx.timers().register_event_time(Timestamp(flush));
            }
            "manual_session" => self.manual_session(cx)?,
            "pulse" => {
                cx.state(COUNT).update(|count| *count += 1);
                if cx.state(PENDING).get().is_none() {
                    let interval = self.number("interval")?;
                    let next = time.0 - time.0.rem_euclid(interval) + interval;
                    register(cx, PENDING, next);
                }
            }
            "fraud" => self.fraud(&event, cx)?,
            "inactivity" => {
                unregister(cx, PENDING);
                register(cx, PENDING, after(cx, self.number("timeout")?));
            }
            "probe" => emit(cx, |row| row.with("v", event.v).with("wm", watermark)),
            "late_split" => emit(cx, |row| row.with("v", event.v)),
            kind => return Err(format!("{kind} is no function").into()),
        }
        Ok(())
    }

    fn on_timer(
        &mut self,
        time: Timestamp,
        _: TimeDomain,
        cx: &mut Cx<'_>,
    ) -> Result<(), BoxError> {
        match self.function.kind() {
            "dedup_within" | "fraud" => cx.state(PENDING).clear(),
            "count_with_timeout" => {
                let (count, last) = (cx.state(COUNT).or_default(), cx.state(LAST).or_default());
                if time.0 == last.wrapping_add(self.number("timeout")?) {
                    emit(cx, |row| row.with("count", count).with("last", last));
                }
            }
            "rising_alert" => {
                let last = cx.state(LAST).get();
                emit(cx, |row| row.with("alert", time).with("last", last));
                cx.state(PENDING).clear();
            }
            "timer_script" => {
                let watermark = cx.timers().current_watermark();
                emit(cx, |row| row.with("timer", time).with("wm", watermark));
                let chained = cx.state(COUNT).or_default();
                if chained < self.function.int("chain_times").unwrap_or_default() {
                    cx.state(COUNT).set(chained + 1);
                    let delta = self.function.int("chain_delta").unwrap_or_default();
                    cx.timers().register_event_time(Timestamp(time.0.wrapping_add(delta)));
                }
            }
            "event_sorter" => {
                let values = cx.state(BY_TIME).get(&time.0).unwrap_or_default();
                cx.state(BY_TIME).remove(&time.0);
                values.into_iter().for_each(|v| emit(cx, |row| row.with("t", time).with("v", v)));
            }
            "ordered_buffer" => {
                let values = cx.state(VALUES).get();
                if !values.is_empty() {
                    cx.state(VALUES).clear();
                    emit(cx, |row| row.with("timer", time).with("values", values));
                }
            }
            "manual_session" => {
                let (first, last) = (cx.state(FIRST).get(), cx.state(LAST).get());
                let count = cx.state(COUNT).or_default();
                emit(cx, |row| row.with("first", first).with("last", last).with("count", count));
                [FIRST, LAST, COUNT].into_iter().for_each(|state| cx.state(state).clear());
            }
            "pulse" => {
                let (count, reported) = (cx.state(COUNT).or_default(), cx.state(LAST).get());
                emit(cx, |row| row.with("pulse", time).with("count", count));
                if reported == Some(count) {
                    cx.state(PENDING).clear();
                } else {
                    cx.state(LAST).set(count);
                    register(cx, PENDING, after(cx, self.number("interval")?));
                }
            }
            "inactivity" => {
                let since = time.0.wrapping_sub(self.number("timeout")?);
                emit(cx, |row| row.with("idle_since", since));
                cx.state(PENDING).clear();
            }
            kind => return Err(format!("{kind} sets no timers").into()),
        }
        Ok(())
    }
}
