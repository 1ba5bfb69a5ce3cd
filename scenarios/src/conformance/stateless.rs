//! The operators that remember nothing, and those that make watermarks.

use floodmark::WatermarkStrategy;

use super::{
    event::{Event, Parameters},
    pipeline::{Building, Flow, as_event},
};

pub(crate) fn build(building: &Building<'_>, flow: Flow) -> Result<Flow, String> {
    let op = building.op;
    if let (Flow::Rows(rows), "as_event") = (&flow, building.name()) {
        let name = |name: &str| op.text(name).unwrap_or_default().to_owned();
        let (k, v) = (name("k"), name("v"));
        return Ok(Flow::Events(
            rows.clone().timestamped().map(move |(time, row)| as_event(&row, &k, &v, time.0)),
        ));
    }
    let (Flow::Events(events) | Flow::Keyed(_, events)) = flow else {
        return Err(building.unsupported());
    };
    Ok(match building.name() {
        "key_by" => match op.text("field") {
            Some("c") => Flow::Keyed(events.clone().key_by(|event| event.c.clone()), events),
            _ => Flow::Keyed(events.clone().key_by(|event| event.k.clone()), events),
        },
        "map_add" => {
            let n = op.needed("n")?;
            Flow::Events(events.map(move |event| Event { v: event.v.wrapping_add(n), ..event }))
        }
        "filter_min" => {
            let n = op.needed("n")?;
            Flow::Events(events.filter(move |event| n <= event.v))
        }
        "repeat" => Flow::Events(events.flat_map(|event| {
            let copies = 0..event.v;
            copies.map(move |v| Event { v, ..event.clone() })
        })),
        "watermarks" => Flow::Events(events.watermarks(strategy(op)?)),
        _ => return Err(building.unsupported()),
    })
}

fn strategy(op: &Parameters) -> Result<WatermarkStrategy<Event>, String> {
    let delay = op.span("delay");
    let strategy = match op.text("strategy") {
        Some("monotonous") => WatermarkStrategy::ascending(),
        Some("bounded") => WatermarkStrategy::bounded_out_of_orderness(delay),
        Some("punctuated") => WatermarkStrategy::punctuated(|event: &Event, timestamp| {
            (event.c == "wm").then_some(timestamp)
        }),
        Some("none") => WatermarkStrategy::none(),
        other => return Err(format!("the strategy {other:?} is not supported")),
    };
    Ok(strategy.timestamps(|event| event.ts).emit_every(1))
}
