//! Functions that go by rules.

use floodmark::{
    BoxError, BroadcastProcess, BroadcastRead, BroadcastWrite, Context, KeyedBroadcastProcess,
    OutputTag, RecordContext, RuleContext, Stream, TimeDomain, Timestamp, ValueState,
};

use super::keyed;
use crate::conformance::{
    event::{Event, Parameters},
    pipeline::{Building, Flow, tag},
    row::{Row, Value},
};

const SUM: ValueState<i64> = ValueState::new("sum");

type Cx<'a> = Context<'a, String, Row>;

pub(super) fn build(
    building: &Building<'_>,
    stream: Stream<Event>,
    rules: Stream<Event>,
) -> Result<Flow, String> {
    let function = building.op.part("function").unwrap_or_default();
    let rules = rules.as_rules();
    Ok(Flow::Rows(match keyed(building, stream) {
        Ok(stream) => stream.with_rules(rules).process(Library { function }).uid(&building.uid),
        Err(stream) => {
            let rejected = function.text("reject_tag").map(tag);
            let rejected = rejected.ok_or("a filter has a tag for what it rejects")?;
            let rows = stream.with_rules(rules).process(Filter { rejected }).uid(&building.uid);
            building.record_side(&rows, rejected);
            rows
        }
    }))
}

/// Sets or removes a rule.
fn apply(rule: Event, rules: &mut BroadcastWrite<'_, String, i64>) {
    match rule.c.as_str() {
        "set" => drop(rules.insert(rule.k, rule.v)),
        _ => drop(rules.remove(&rule.k)),
    }
}

fn count(rules: &BroadcastRead<'_, String, i64>) -> i64 {
    rules.iter().map(|_| 1).sum()
}

/// Emits a row with the key.
fn emit(cx: &mut Cx<'_>, fill: impl FnOnce(Row) -> Row) {
    let row = fill(Row::default().with("key", cx.key().clone()));
    cx.emit(row);
}

/// One of the functions with keys.
#[derive(Clone)]
struct Library {
    function: Parameters,
}

impl KeyedBroadcastProcess for Library {
    type Key = String;
    type In = Event;
    type Rule = Event;
    type Name = String;
    type Kept = i64;
    type Out = Row;

    fn on_element(
        &mut self,
        event: Event,
        rules: BroadcastRead<'_, String, i64>,
        cx: &mut Cx<'_>,
    ) -> Result<(), BoxError> {
        match self.function.kind() {
            "threshold_rules" => {
                for (name, threshold) in rules.iter().filter(|(_, rule)| **rule <= event.v) {
                    let row = Row::default().with("rule", name.clone()).with("v", event.v);
                    emit(cx, |to| to.and(row.with("threshold", *threshold)));
                }
            }
            "broadcast_flush" => cx.state(SUM).update(|sum| *sum += event.v),
            "broadcast_timeout" => {
                let given = self.function.needed("timeout")?;
                let timeout = rules.get("timeout").copied().unwrap_or(given);
                let time = Timestamp(cx.timestamp().0.wrapping_add(timeout));
                cx.timers().register_event_time(time);
            }
            "broadcast_probe" => {
                let watermark = cx.timers().current_watermark();
                let row = Row::default().with("v", event.v).with("wm", watermark);
                emit(cx, |to| to.and(row.with("rules", count(&rules))));
            }
            kind => return Err(format!("{kind} is no function").into()),
        }
        Ok(())
    }

    fn on_rule(
        &mut self,
        rule: Event,
        mut rules: BroadcastWrite<'_, String, i64>,
        cx: &mut RuleContext<'_, String, Row>,
    ) -> Result<(), BoxError> {
        match (self.function.kind(), rule.c.as_str()) {
            ("broadcast_flush", "flush") => cx.for_each_key(SUM, |cx| {
                let sum = cx.state(SUM).get();
                emit(cx, |row| row.with("sum", sum));
                Ok(())
            })?,
            ("broadcast_flush", "add") => cx.for_each_key(SUM, |cx| {
                cx.state(SUM).update(|sum| *sum += rule.v);
                Ok(())
            })?,
            ("broadcast_flush", _) => cx.for_each_key(SUM, |cx| {
                cx.state(SUM).clear();
                Ok(())
            })?,
            ("broadcast_probe", _) => {
                let row = Row::default().with("key", Value::Null).with("rule", rule.k.clone());
                apply(rule, &mut rules);
                let row = row.with("rules", count(&rules.read()));
                cx.emit(row.with("wm", cx.current_watermark()));
            }
            _ => apply(rule, &mut rules),
        }
        Ok(())
    }

    fn on_timer(
        &mut self,
        time: Timestamp,
        _: TimeDomain,
        rules: BroadcastRead<'_, String, i64>,
        cx: &mut Cx<'_>,
    ) -> Result<(), BoxError> {
        let timeout = rules.get("timeout").copied();
        emit(cx, |row| row.with("timer", time).with("timeout_now", timeout));
        Ok(())
    }
}

/// The function without keys.
#[derive(Clone)]
struct Filter {
    rejected: OutputTag<Event>,
}

impl BroadcastProcess for Filter {
    type In = Event;
    type Rule = Event;
    type Name = String;
    type Kept = i64;
    type Out = Row;

    fn on_element(
        &mut self,
        event: Event,
        rules: BroadcastRead<'_, String, i64>,
        cx: &mut RecordContext<'_, Row>,
    ) -> Result<(), BoxError> {
        if rules.iter().any(|(_, rule)| event.v < *rule) {
            cx.emit_to(self.rejected, event);
        } else {
            cx.emit(Row::default().with("k", event.k).with("v", event.v));
        }
        Ok(())
    }

    fn on_rule(
        &mut self,
        rule: Event,
        mut rules: BroadcastWrite<'_, String, i64>,
        _: &mut RecordContext<'_, Row>,
    ) -> Result<(), BoxError> {
        apply(rule, &mut rules);
        Ok(())
    }
}
