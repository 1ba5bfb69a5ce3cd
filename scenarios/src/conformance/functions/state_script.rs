//! A function that does to its five states what the elements say.

use floodmark::{
    Aggregate, AggregatingState, BoxError, Context, KeyedProcess, ListState, MapState,
    ReducingState, ValueState,
};

use crate::conformance::{
    event::Event,
    row::{Row, Value},
};

const VALUE: ValueState<i64> = ValueState::new("value");
const LIST: ListState<i64> = ListState::new("list");
const MAP: MapState<String, i64> = MapState::new("map");
const SUM: ReducingState<i64> = ReducingState::new("sum", |left, right| left + right);
const AVERAGE: AggregatingState<Average> = AggregatingState::new("average", Average);

/// Sum and count, and the average in thousandths.
#[derive(Clone, Copy, Debug)]
struct Average;

impl Aggregate for Average {
    type In = i64;
    type Acc = (i64, i64);
    type Out = (i64, i64);

    fn init(&self) -> (i64, i64) {
        (0, 0)
    }

    fn add(&self, (sum, count): &mut (i64, i64), value: i64) {
        *sum += value;
        *count += 1;
    }

    fn finish(&self, accumulator: (i64, i64)) -> (i64, i64) {
        accumulator
    }

    fn merge(&self, left: (i64, i64), right: (i64, i64)) -> (i64, i64) {
        (left.0 + right.0, left.1 + right.1)
    }
}

/// Returns a row of a sum, a count, and the average in thousandths.
pub(super) fn average((sum, count): (i64, i64)) -> Row {
    let milli = (sum * 1000).div_euclid(count);
    Row::default().with("sum", sum).with("n", count).with("avg_milli", milli)
}

/// The function.
#[derive(Clone)]
pub(super) struct StateScript;

impl KeyedProcess for StateScript {
    type Key = String;
    type In = Event;
    type Out = Row;

    fn on_element(
        &mut self,
        event: Event,
        cx: &mut Context<'_, String, Row>,
    ) -> Result<(), BoxError> {
        let (command, name) = event.c.split_once(':').unwrap_or((&event.c, ""));
        let state = command.split('.').next().unwrap_or_default();
        let value = match state {
            "v" => value(command, event.v, cx),
            "l" => list(command, event.v, cx),
            "m" => map(command, name, event.v, cx),
            "r" => sum(command, event.v, cx),
            "a" => averages(command, event.v, cx),
            _ => return Err(format!("{command} is no command").into()),
        };
        if let Some(value) = value {
            let row = Row::default().with("key", cx.key().clone());
            cx.emit(row.with("op", event.c.clone()).with("value", value));
        }
        Ok(())
    }
}

fn value(command: &str, v: i64, cx: &mut Context<'_, String, Row>) -> Option<Value> {
    let mut state = cx.state(VALUE);
    match command {
        "v.set" => state.set(v),
        "v.add" => state.update(|value| *value += v),
        "v.clear" => state.clear(),
        _ => return Some(state.get().into()),
    }
    None
}

fn list(command: &str, v: i64, cx: &mut Context<'_, String, Row>) -> Option<Value> {
    let mut state = cx.state(LIST);
    match command {
        "l.add" => state.push(v),
        "l.add_two" => state.extend([v, v + 1]),
        "l.update" => state.set(vec![v]),
        "l.update_empty" => state.set(Vec::new()),
        "l.clear" => state.clear(),
        _ => return Some(state.get().into()),
    }
    None
}

fn map(command: &str, name: &str, v: i64, cx: &mut Context<'_, String, Row>) -> Option<Value> {
    let mut state = cx.state(MAP);
    let name = name.to_owned();
    match command {
        "m.put" => state.insert(name, v),
        "m.remove" => state.remove(&name),
        "m.clear" => state.clear(),
        "m.get" => return Some(state.get(&name).into()),
        "m.contains" => return Some(Value::Bool(state.contains(&name))),
        "m.empty" => return Some(Value::Bool(state.is_empty())),
        _ => return Some(state.keys().cloned().collect::<Vec<_>>().into()),
    }
    None
}

fn sum(command: &str, v: i64, cx: &mut Context<'_, String, Row>) -> Option<Value> {
    let mut state = cx.state(SUM);
    match command {
        "r.add" => state.add(v),
        "r.clear" => state.clear(),
        _ => return Some(state.get().into()),
    }
    None
}

fn averages(command: &str, v: i64, cx: &mut Context<'_, String, Row>) -> Option<Value> {
    let mut state = cx.state(AVERAGE);
    match command {
        "a.add" => state.add(v),
        "a.clear" => state.clear(),
        _ => return Some(state.get().map(average).into()),
    }
    None
}
