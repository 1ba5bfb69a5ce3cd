//! Joins.

use std::time::Duration;

use floodmark::{Interval, Offset, OutputTag, Sided, Stream, Trigger, WindowedJoin};

use crate::conformance::{
    event::Event,
    pipeline::{Building, Flow, tag},
    row::Row,
    windows::{Chosen, windows},
};

fn offset(millis: i64) -> Offset {
    let distance = Duration::from_millis(millis.unsigned_abs());
    if millis < 0 { Offset::before(distance) } else { Offset::after(distance) }
}

pub(super) fn interval(
    building: &Building<'_>,
    left: Stream<Event>,
    right: Stream<Event>,
) -> Result<Flow, String> {
    let op = building.op;
    let mut interval = Interval::new(offset(op.needed("lower")?), offset(op.needed("upper")?));
    if op.flag("lower_exclusive") {
        interval = interval.without_lower();
    }
    if op.flag("upper_exclusive") {
        interval = interval.without_upper();
    }
    let late = |name: &str| -> Option<OutputTag<Event>> { op.text(name).map(tag) };
    let (late_left, late_right) = (late("late_left_tag"), late("late_right_tag"));
    let by_key = |event: &Event| event.k.clone();
    let mut joined = left.key_by(by_key).interval_join(right.key_by(by_key), interval);
    if let Some(tag) = late_left {
        joined = joined.late_first_to(tag);
    }
    if let Some(tag) = late_right {
        joined = joined.late_second_to(tag);
    }
    let rows = joined.join(|key, left, right| {
        let row = Row::default().with("key", key.clone());
        let row = row.with("left", left.value.v).with("right", right.value.v);
        Some(row.with("left_ts", left.timestamp).with("right_ts", right.timestamp))
    });
    let rows = rows.uid(&building.uid);
    let tags = late_left.into_iter().chain(late_right);
    tags.for_each(|tag| building.record_side(&rows, tag));
    Ok(Flow::Rows(rows))
}

type Both = Sided<Event, Event>;

pub(super) fn windowed(
    building: &Building<'_>,
    left: Stream<Event>,
    right: Stream<Event>,
) -> Result<Flow, String> {
    let by_key = |event: &Event| event.k.clone();
    let joined = left.key_by(by_key).join(right.key_by(by_key));
    let joined = joined.window(windows(&building.op.part("assigner").unwrap_or_default())?);
    let joined = joined.allowed_lateness(building.op.span("allowed_lateness"));
    if building.op.part("evictor").is_some() {
        return Err("an evictor of a join is not supported".to_owned());
    }
    match building.op.part("trigger") {
        Some(trigger) => ended(building, joined.trigger(Chosen::new(&trigger)?)),
        None => ended(building, joined),
    }
}

fn ended<G: Trigger<Both>>(
    building: &Building<'_>,
    joined: WindowedJoin<String, Event, Event, G>,
) -> Result<Flow, String> {
    let rows = match building.name() {
        "window_join" => joined.apply(|key, left, right| {
            let row = Row::default().with("key", key.clone());
            Some(row.with("left", left.v).with("right", right.v))
        }),
        "co_group" => joined.co_group(|key, _, left, right| {
            let row = Row::default().with("key", key.clone());
            Some(row.with("left", sorted(&left)).with("right", sorted(&right)))
        }),
        _ => return Err(building.unsupported()),
    };
    Ok(Flow::Rows(rows.uid(&building.uid)))
}

fn sorted(events: &[&Event]) -> Vec<i64> {
    let mut values: Vec<i64> = events.iter().map(|event| event.v).collect();
    values.sort_unstable();
    values
}
