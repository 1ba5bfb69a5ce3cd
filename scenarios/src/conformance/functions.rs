//! The functions with state and timers, and the running aggregations.

mod keyed;
mod state_script;

use floodmark::{BoxError, KeyedStream, OutputTag, ProcessFunction, RecordContext, Stream};

use super::{
    event::{Event, Parameters},
    pipeline::{Building, Flow, tag},
    row::Row,
};
use keyed::Library;
use state_script::StateScript;

pub(crate) fn build(building: &Building<'_>, flow: Flow) -> Result<Flow, String> {
    match (building.name(), flow) {
        ("rolling", Flow::Keyed(events, _)) => rolling(building, events),
        ("process", Flow::Keyed(events, _)) => keyed(building, events),
        ("process", Flow::Events(events)) => unkeyed(building, events),
        _ => Err(building.unsupported()),
    }
}

fn rolling(building: &Building<'_>, events: KeyedStream<String, Event>) -> Result<Flow, String> {
    let rolled = match building.op.text("fn").unwrap_or_default() {
        "sum" => events.sum(|event| &mut event.v),
        "min" => events.min(|event| &mut event.v),
        "max" => events.max(|event| &mut event.v),
        "min_by" => events.min_by(|event| event.v),
        "max_by" => events.max_by(|event| event.v),
        "min_by_last" => events.min_by_last(|event| event.v),
        "max_by_last" => events.max_by_last(|event| event.v),
        "reduce_sum" => events.reduce(|so_far, next| Event { v: so_far.v + next.v, ..so_far }),
        "reduce_concat" => events.reduce(|so_far, next| {
            let c = so_far.c + &next.c;
            Event { v: so_far.v + next.v, c, ..next_key(so_far.k, so_far.ts) }
        }),
        "reduce_last" => events.reduce(|_, next| next),
        _ => return Err(building.unsupported()),
    };
    Ok(Flow::Events(rolled.uid(&building.uid)))
}

/// An element of a key and a time, and nothing else.
fn next_key(k: String, ts: i64) -> Event {
    Event { k, v: 0, c: String::new(), ts }
}

fn keyed(building: &Building<'_>, events: KeyedStream<String, Event>) -> Result<Flow, String> {
    let function = building.op.part("function").unwrap_or_default();
    if function.kind() == "state_script" {
        return Ok(Flow::Rows(events.process(StateScript).uid(&building.uid)));
    }
    let library = Library::new(function.clone());
    if !library.is_known() {
        return Err(format!("function {} is not supported", function.kind()));
    }
    let rows = events.process(library).uid(&building.uid);
    if let Some(late) = function.text("late_tag") {
        building.record_side(&rows, tag(late));
    }
    Ok(Flow::Rows(rows))
}

fn unkeyed(building: &Building<'_>, events: Stream<Event>) -> Result<Flow, String> {
    let function = building.op.part("function").unwrap_or_default();
    let rows = match function.kind() {
        "probe" | "late_split" | "split_mod" => {
            events.process(Unkeyed { tags: Tags::of(&function), function: function.clone() })
        }
        kind => return Err(format!("function {kind} is not supported")),
    };
    Tags::of(&function).0.into_iter().for_each(|tag| building.record_side(&rows, tag));
    Ok(Flow::Rows(rows))
}

/// The side outputs of a function without keys, in order.
#[derive(Clone)]
struct Tags(Vec<OutputTag<Event>>);

impl Tags {
    fn of(function: &Parameters) -> Self {
        let late = function.text("late_tag").map(tag);
        let prefix = function.text("tag_prefix").unwrap_or_default();
        let parts = (1..function.int("n").unwrap_or(1)).map(|part| tag(&format!("{prefix}{part}")));
        Self(late.into_iter().chain(parts).collect())
    }
}

/// The functions without keys.
#[derive(Clone)]
struct Unkeyed {
    function: Parameters,
    tags: Tags,
}

impl ProcessFunction for Unkeyed {
    type In = Event;
    type Out = Row;

    fn on_element(
        &mut self,
        event: Event,
        cx: &mut RecordContext<'_, Row>,
    ) -> Result<(), BoxError> {
        let row = Row::default().with("k", event.k.clone()).with("v", event.v);
        let watermark = cx.current_watermark();
        match self.function.kind() {
            "probe" => cx.emit(row.with("wm", watermark)),
            "late_split" if cx.timestamp() <= watermark => cx.emit_to(self.tags.0[0], event),
            "late_split" => cx.emit(row),
            _ => {
                let part = event.v.rem_euclid(self.function.needed("n")?);
                match usize::try_from(part)?.checked_sub(1) {
                    None => cx.emit(row),
                    Some(index) => cx.emit_to(self.tags.0[index], event),
                }
            }
        }
        Ok(())
    }
}
