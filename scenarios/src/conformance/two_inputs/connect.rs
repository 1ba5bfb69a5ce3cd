//! Functions over two inputs.

use floodmark::{
    BoxError, CoProcess, Context, KeyedCoProcess, ListState, OutputTag, RecordContext, Stream,
    TimeDomain, Timestamp, ValueState,
};

use super::keyed;
use crate::conformance::{
    event::{Event, Parameters},
    pipeline::{Building, Flow},
    row::Row,
};

const REFERENCE: ValueState<i64> = ValueState::new("reference");
const WAITING: ListState<i64> = ListState::new("waiting");
const LEFT: ValueState<Event> = ValueState::new("left");
const RIGHT: ValueState<Event> = ValueState::new("right");
const UNTIL: ValueState<Timestamp> = ValueState::new("until");
const SUM: ValueState<i64> = ValueState::new("sum");
const UNMATCHED_LEFT: OutputTag<Event> = OutputTag::new("unmatched_left");
const UNMATCHED_RIGHT: OutputTag<Event> = OutputTag::new("unmatched_right");

type Cx<'a> = Context<'a, String, Row>;

pub(super) fn build(
    building: &Building<'_>,
    first: Stream<Event>,
    second: Stream<Event>,
) -> Result<Flow, String> {
    let function = building.op.part("function").unwrap_or_default();
    let (first, second) = match (keyed(building, first), keyed(building, second)) {
        (Ok(first), Ok(second)) => (first, second),
        (Err(first), Err(second)) => return Ok(Flow::Rows(first.connect(second).process(Tag))),
        _ => unreachable!("both inputs have the key of the operator"),
    };
    let has_sides = function.kind() == "match_expire";
    let rows = first.connect(second).process(Library { function }).uid(&building.uid);
    if has_sides {
        building.record_side(&rows, UNMATCHED_LEFT);
        building.record_side(&rows, UNMATCHED_RIGHT);
    }
    Ok(Flow::Rows(rows))
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

impl Library {
    fn after(&self, cx: &Cx<'_>, name: &str) -> Result<Timestamp, BoxError> {
        Ok(Timestamp(cx.timestamp().0.wrapping_add(self.function.needed(name)?)))
    }

    fn expiry(&self, event: &Event) -> Result<Timestamp, BoxError> {
        Ok(Timestamp(event.ts.wrapping_add(self.function.needed("timeout")?)))
    }

    /// Matches an element with one that waits on the other side, or lets it wait.
    fn match_or_wait(
        &self,
        event: Event,
        (ours, theirs): (ValueState<Event>, ValueState<Event>),
        row: impl FnOnce(Row, i64, i64) -> Row,
        cx: &mut Cx<'_>,
    ) -> Result<(), BoxError> {
        match cx.state(theirs).get() {
            Some(other) => {
                emit(cx, |to| row(to, event.v, other.v));
                let expiry = self.expiry(&other)?;
                cx.timers().delete_event_time(expiry);
                cx.state(theirs).clear();
            }
            None => {
                let expiry = self.expiry(&event)?;
                cx.timers().register_event_time(expiry);
                cx.state(ours).set(event);
            }
        }
        Ok(())
    }

    /// Processes what all sides have in common.
    fn both(&self, side: i64, event: &Event, cx: &mut Cx<'_>) -> Result<(), BoxError> {
        match self.function.kind() {
            "co_sum" => {
                let sum = cx.state(SUM).or_default() + if side == 0 { event.v } else { -event.v };
                cx.state(SUM).set(sum);
                emit(cx, |row| row.with("side", side).with("sum", sum));
            }
            "co_probe" => {
                let watermark = cx.timers().current_watermark();
                emit(cx, |row| row.with("side", side).with("v", event.v).with("wm", watermark));
            }
            "co_timers" => {
                let time = self.after(cx, if side == 0 { "delay0" } else { "delay1" })?;
                cx.timers().register_event_time(time);
            }
            kind => return Err(format!("{kind} is no function").into()),
        }
        Ok(())
    }
}

impl KeyedCoProcess for Library {
    type Key = String;
    type First = Event;
    type Second = Event;
    type Out = Row;

    fn on_first(&mut self, event: Event, cx: &mut Cx<'_>) -> Result<(), BoxError> {
        let reference = cx.state(REFERENCE).get();
        match self.function.kind() {
            "wait_enrich" if reference.is_none() => cx.state(WAITING).push(event.v),
            "enrich_latest" | "wait_enrich" => {
                emit(cx, |row| row.with("v", event.v).with("ref", reference));
            }
            "match_expire" => {
                let row = |row: Row, left, right| row.with("left", left).with("right", right);
                self.match_or_wait(event, (LEFT, RIGHT), row, cx)?;
            }
            "gate" => {
                if cx.state(UNTIL).get().is_some() {
                    emit(cx, |row| row.with("v", event.v));
                }
            }
            _ => self.both(0, &event, cx)?,
        }
        Ok(())
    }

    fn on_second(&mut self, event: Event, cx: &mut Cx<'_>) -> Result<(), BoxError> {
        match self.function.kind() {
            "enrich_latest" | "wait_enrich" => {
                cx.state(REFERENCE).set(event.v);
                let waiting = cx.state(WAITING).get();
                for v in waiting {
                    emit(cx, |row| row.with("v", v).with("ref", event.v));
                }
                cx.state(WAITING).clear();
            }
            "match_expire" => {
                let row = |row: Row, right, left| row.with("left", left).with("right", right);
                self.match_or_wait(event, (RIGHT, LEFT), row, cx)?;
            }
            "gate" => {
                let until = Timestamp(cx.timestamp().0.wrapping_add(event.v));
                cx.state(UNTIL).set(until);
                cx.timers().register_event_time(until);
            }
            _ => self.both(1, &event, cx)?,
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
            "match_expire" => {
                for (state, tag) in [(LEFT, UNMATCHED_LEFT), (RIGHT, UNMATCHED_RIGHT)] {
                    if let Some(event) = cx.state(state).get()
                        && self.expiry(&event)? == time
                    {
                        cx.emit_to(tag, event);
                        cx.state(state).clear();
                    }
                }
            }
            "gate" => {
                if cx.state(UNTIL).get() == Some(time) {
                    emit(cx, |row| row.with("closed", time));
                    cx.state(UNTIL).clear();
                }
            }
            _ => {
                let watermark = cx.timers().current_watermark();
                emit(cx, |row| row.with("timer", time).with("wm", watermark));
            }
        }
        Ok(())
    }
}

/// The function without keys.
#[derive(Clone)]
struct Tag;

impl CoProcess for Tag {
    type First = Event;
    type Second = Event;
    type Out = Row;

    fn on_first(&mut self, event: Event, cx: &mut RecordContext<'_, Row>) -> Result<(), BoxError> {
        tagged(0, event, cx);
        Ok(())
    }

    fn on_second(&mut self, event: Event, cx: &mut RecordContext<'_, Row>) -> Result<(), BoxError> {
        tagged(1, event, cx);
        Ok(())
    }
}

fn tagged(side: i64, event: Event, cx: &mut RecordContext<'_, Row>) {
    let row = Row::default().with("side", side).with("k", event.k).with("v", event.v);
    cx.emit(row.with("wm", cx.current_watermark()));
}
