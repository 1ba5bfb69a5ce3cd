//! The operators that bring several inputs together.

mod broadcast;
mod connect;
mod joins;

use floodmark::{KeyedStream, Stream};

use super::{
    event::Event,
    pipeline::{Building, Flow},
};

pub(crate) fn build(building: &Building<'_>, flow: Flow) -> Result<Flow, String> {
    let mut inputs = match flow {
        Flow::Inputs(inputs) => inputs,
        Flow::Events(events) => vec![events],
        Flow::Keyed(..) | Flow::Rows(_) => return Err(building.unsupported()),
    };
    if building.name() == "union" {
        let all = inputs.into_iter().reduce(Stream::union);
        return all.map(Flow::Events).ok_or_else(|| building.unsupported());
    }
    let (Some(second), Some(first), None) = (inputs.pop(), inputs.pop(), inputs.pop()) else {
        return Err(building.unsupported());
    };
    match building.name() {
        "connect" => connect::build(building, first, second),
        "broadcast" => broadcast::build(building, first, second),
        "interval_join" => joins::interval(building, first, second),
        "window_join" | "co_group" => joins::windowed(building, first, second),
        _ => Err(building.unsupported()),
    }
}

/// Returns a stream by the key that the operator asks for, if it asks for one.
fn keyed(
    building: &Building<'_>,
    stream: Stream<Event>,
) -> Result<KeyedStream<String, Event>, Stream<Event>> {
    match building.op.text("key") {
        Some("c") => Ok(stream.key_by(|event| event.c.clone())),
        Some(_) => Ok(stream.key_by(|event| event.k.clone())),
        None => Err(stream),
    }
}
