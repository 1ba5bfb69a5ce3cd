//! The window operators.

mod aggregate;
mod process;
mod trigger;

use std::time::Duration;

use floodmark::{
    Assigner, CountEvictor, Data, DeltaEvictor, Global, Session, Sided, Sliding, Stream,
    TimeEvictor, Trigger, Tumbling, WindowedStream,
};

pub(crate) use self::trigger::Chosen;
use self::{
    aggregate::{Aggregation, Reduction},
    process::{Full, Named, WithWatermark, of_window},
};

use super::{
    event::{Event, Parameters},
    pipeline::{Building, Flow, tag},
};

/// What windows can hold: elements, also if it is known which input they are from.
pub(crate) trait Element: Data {
    /// Returns the element alone.
    fn event(&self) -> &Event;
}

impl Element for Event {
    fn event(&self) -> &Event {
        self
    }
}

impl Element for Sided<Event, Event> {
    fn event(&self) -> &Event {
        match self {
            Self::First(event) | Self::Second(event) => event,
        }
    }
}

pub(crate) fn build(building: &Building<'_>, flow: Flow) -> Result<Flow, String> {
    let assigner = building.op.part("assigner").unwrap_or_default();
    match (flow, building.name()) {
        (Flow::Keyed(keyed, _), "window") => match assigner.kind() {
            "count" => {
                let windowed = keyed.count_window(assigner.needed("size")?.unsigned_abs());
                with_function(building, windowed)
            }
            "count_sliding" => {
                let (size, slide) = (assigner.needed("size")?, assigner.needed("slide")?);
                let size = usize::try_from(size).map_err(|error| error.to_string())?;
                let windowed = keyed.count_window_sliding(size, slide.unsigned_abs());
                with_function(building, windowed)
            }
            _ => with_trigger(building, keyed.window(windows(&assigner)?)),
        },
        (Flow::Events(events) | Flow::Keyed(_, events), "window_all") => {
            if !assigner.kind().starts_with("count") {
                return with_trigger(building, events.window_all(windows(&assigner)?));
            }
            let windowed = events.window_all(Global);
            let size = assigner.needed("size")?;
            match assigner.int("slide") {
                None => with_function(building, windowed.trigger(Chosen::purging_count(size)?)),
                Some(slide) => {
                    let size = usize::try_from(size).map_err(|error| error.to_string())?;
                    let windowed = windowed.evictor(CountEvictor::new(size));
                    with_function(building, windowed.trigger(Chosen::count(slide)?))
                }
            }
        }
        _ => Err(building.unsupported()),
    }
}

fn span(millis: i64) -> Duration {
    Duration::from_millis(millis.unsigned_abs())
}

/// Returns an offset that means the same and is not negative.
fn offset(parameters: &Parameters, period: i64) -> Duration {
    span(parameters.int("offset").unwrap_or_default().rem_euclid(period))
}

pub(crate) fn windows<T: Element>(assigner: &Parameters) -> Result<Assigner<T>, String> {
    Ok(match assigner.kind() {
        "tumbling" => {
            let size = assigner.needed("size")?;
            Tumbling::event_time(span(size)).offset(offset(assigner, size)).into()
        }
        "sliding" => {
            let (size, slide) = (assigner.needed("size")?, assigner.needed("slide")?);
            Sliding::event_time(span(size), span(slide)).offset(offset(assigner, slide)).into()
        }
        "session" => Session::event_time(span(assigner.needed("gap")?)).into(),
        "session_dynamic" => Session::dynamic(|element: &T| span(element.event().v)).into(),
        "global" => Global.into(),
        other => return Err(format!("the assigner {other} is not supported")),
    })
}

fn with_trigger<K: Named>(
    building: &Building<'_>,
    windowed: WindowedStream<K, Event>,
) -> Result<Flow, String> {
    match building.op.part("trigger") {
        Some(trigger) => with_function(building, windowed.trigger(Chosen::new(&trigger)?)),
        None => with_function(building, windowed),
    }
}

fn with_lateness<K, G>(
    building: &Building<'_>,
    windowed: WindowedStream<K, Event, G>,
) -> WindowedStream<K, Event, G> {
    let windowed = windowed.allowed_lateness(building.op.span("allowed_lateness"));
    match building.op.text("late_tag") {
        Some(late) => windowed.late_to(tag(late)),
        None => windowed,
    }
}

fn record_late<T: Data>(building: &Building<'_>, stream: &Stream<T>) {
    if let Some(late) = building.op.text("late_tag") {
        building.record_side(stream, tag(late));
    }
}

fn with_evictor<K, G>(
    building: &Building<'_>,
    windowed: WindowedStream<K, Event, G>,
) -> Result<WindowedStream<K, Event, G>, String> {
    let Some(evictor) = building.op.part("evictor") else { return Ok(windowed) };
    let is_after = evictor.flag("after");
    Ok(match evictor.kind() {
        "count" => {
            let count = usize::try_from(evictor.needed("n")?).map_err(|error| error.to_string())?;
            let evictor = CountEvictor::new(count);
            windowed.evictor(if is_after { evictor.after() } else { evictor })
        }
        "time" => {
            let evictor = TimeEvictor::new(span(evictor.needed("size")?));
            windowed.evictor(if is_after { evictor.after() } else { evictor })
        }
        "delta" => {
            let evictor = DeltaEvictor::new(as_float(evictor.needed("threshold")?), distance);
            windowed.evictor(if is_after { evictor.after() } else { evictor })
        }
        other => return Err(format!("the evictor {other} is not supported")),
    })
}

/// Returns how far two elements are apart.
fn distance<T: Element>(left: &T, right: &T) -> f64 {
    as_float(left.event().v.wrapping_sub(right.event().v).wrapping_abs())
}

#[expect(clippy::cast_precision_loss, reason = "so it is recorded")]
fn as_float(number: i64) -> f64 {
    number as f64
}

fn with_function<K: Named, G: Trigger<Event>>(
    building: &Building<'_>,
    windowed: WindowedStream<K, Event, G>,
) -> Result<Flow, String> {
    let windowed = with_evictor(building, with_lateness(building, windowed))?;
    let function = building.op.part("function").unwrap_or_default();
    let name = function.text("fn").unwrap_or_default();
    let emit = function.text("emit").unwrap_or_default();
    let rows = match function.kind() {
        "reduce" | "builtin" => {
            let reduction = Reduction::new(name)?;
            if emit == "window_wm" {
                let then = WithWatermark::new(move |event| reduction.fields(event));
                recorded(building, windowed.reduce_then(reduction.function(), then))
            } else {
                let results = recorded(building, windowed.reduce(reduction.function()));
                if emit != "window" {
                    return Ok(Flow::Events(results.map(|(_, _, event)| event)));
                }
                results.map(move |(key, window, event)| {
                    of_window(&key, window).and(reduction.fields(event))
                })
            }
        }
        "aggregate" => {
            let aggregation = Aggregation::new(name)?;
            if emit == "window_wm" {
                let then = WithWatermark::new(|row| row);
                recorded(building, windowed.aggregate_then(aggregation, then))
            } else {
                let results = recorded(building, windowed.aggregate(aggregation));
                let is_plain = emit != "window";
                results.map(
                    move |(key, window, row)| {
                        if is_plain { row } else { of_window(&key, window).and(row) }
                    },
                )
            }
        }
        "process" => {
            let full = Full::new(&function)?;
            let rows = recorded(building, windowed.process(full));
            if let Some(big) = function.text("tag") {
                building.record_side(&rows, tag(big));
            }
            rows
        }
        other => return Err(format!("the window function {other} is not supported")),
    };
    Ok(Flow::Rows(rows))
}

/// Gives the window operator that made `stream` its uid, and writes down what came too late.
fn recorded<T: Data>(building: &Building<'_>, stream: Stream<T>) -> Stream<T> {
    // Without keys there is one subtask, whatever anybody says.
    let stream = match building.name() {
        "window_all" => stream.uid(&building.uid),
        _ => building.keyed(stream),
    };
    record_late(building, &stream);
    stream
}
