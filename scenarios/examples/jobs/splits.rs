//! Splitting a stream: side outputs, and streams that are brought together again.

use floodmark::{
    BoxError, CoProcess, Context, Environment, KeyedProcess, OutputTag, ProcessFunction,
    RecordContext, Stream, ValueState,
};
use serde::{Deserialize, Serialize};

use crate::{Example, input, mix, shown};

pub(crate) const EXAMPLES: &[Example] = &[
    Example {
        name: "orders",
        about: "changes of orders that are allowed, and those that are not",
        build: |env| {
            let orders = orders(changes(env));
            let told = orders.refused.map(|(change, from)| format!("{from:?} to {change:?}?"));
            shown(orders.accepted.map(|change| format!("{change:?}")).union(told))
        },
    },
    Example {
        name: "high_water",
        about: "all levels, and a word about those above five",
        build: |env| {
            let water = high_water(levels(env));
            shown(water.levels.map(|level| format!("{level:?}")).union(water.alarms))
        },
    },
    Example {
        name: "by_severity",
        about: "temperatures by how bad they are",
        build: |env| {
            let Severities { normal, notices } = by_severity(temperatures(env));
            shown(normal.map(|(room, degrees)| format!("{room}: {degrees}")).union(notices))
        },
    },
];

/// Where an order is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub(crate) enum OrderState {
    Placed,
    Paid,
    Shipped,
    Delivered,
    Cancelled,
}

impl OrderState {
    /// Returns whether an order may come here.
    fn may_follow(self, from: Option<Self>) -> bool {
        use OrderState::{Cancelled, Delivered, Paid, Placed, Shipped};
        match from {
            None => self == Placed,
            Some(Placed) => matches!(self, Paid | Cancelled),
            Some(Paid) => matches!(self, Shipped | Cancelled),
            Some(Shipped) => self == Delivered,
            Some(Delivered | Cancelled) => false,
        }
    }
}

/// An order comes somewhere.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub(crate) struct Change {
    order: u64,
    to: OrderState,
}

/// Orders that go their way, five at a time, and here and there one that does not.
fn change(index: u64) -> Change {
    use OrderState::{Cancelled, Delivered, Paid, Placed, Shipped};
    const WAY: [OrderState; 4] = [Placed, Paid, Shipped, Delivered];
    let step = usize::try_from(index % 20 / 5).expect("a small number");
    let random = mix(index);
    let to = match random % 8 {
        0 => Cancelled,
        1 => WAY[usize::try_from(random >> 8).unwrap_or(step) % 4],
        _ => WAY[step],
    };
    Change { order: index / 20 * 5 + index % 5, to }
}

fn changes(env: &Environment) -> Stream<Change> {
    input(env, "changes", change)
}

const STATE: ValueState<OrderState> = ValueState::new("state");
const REFUSED: OutputTag<(Change, Option<OrderState>)> = OutputTag::new("refused");

/// Keeps where each order is.
#[derive(Clone)]
struct Follow;

impl KeyedProcess for Follow {
    type Key = u64;
    type In = Change;
    type Out = Change;

    fn on_element(
        &mut self,
        change: Change,
        cx: &mut Context<'_, u64, Change>,
    ) -> Result<(), BoxError> {
        let from = cx.state(STATE).get();
        if change.to.may_follow(from) {
            cx.state(STATE).set(change.to);
            cx.emit(change);
        } else {
            cx.emit_to(REFUSED, (change, from));
        }
        Ok(())
    }
}

/// What became of changes.
pub(crate) struct Orders {
    accepted: Stream<Change>,
    /// With the state the order was in.
    refused: Stream<(Change, Option<OrderState>)>,
}

/// Follows orders through their states, and refuses changes that make no sense.
pub(crate) fn orders(changes: Stream<Change>) -> Orders {
    let accepted = changes.key_by(|change| change.order).process(Follow).uid("follow");
    let refused = accepted.side_output(REFUSED);
    Orders { accepted, refused }
}

/// A gauge and its level.
type Level = (u64, u64);

fn levels(env: &Environment) -> Stream<Level> {
    input(env, "levels", level)
}

fn level(index: u64) -> Level {
    (index % 3, mix(index) % 8)
}

const HIGH: OutputTag<String> = OutputTag::new("high");

/// Says something about levels above five, and lets all of them pass.
#[derive(Clone)]
struct Watch;

impl ProcessFunction for Watch {
    type In = Level;
    type Out = Level;

    fn on_element(
        &mut self,
        (gauge, level): Level,
        cx: &mut RecordContext<'_, Level>,
    ) -> Result<(), BoxError> {
        if 5 < level {
            cx.emit_to(HIGH, format!("gauge {gauge} is at {level}"));
        }
        cx.emit((gauge, level));
        Ok(())
    }
}

/// All levels, and what is said about some of them.
pub(crate) struct Water {
    levels: Stream<Level>,
    alarms: Stream<String>,
}

/// Watches levels without changing them.
pub(crate) fn high_water(levels: Stream<Level>) -> Water {
    let levels = levels.process(Watch);
    let alarms = levels.side_output(HIGH);
    Water { levels, alarms }
}

/// A room, and its temperature in degrees.
type Temperature = (u64, i64);

fn temperatures(env: &Environment) -> Stream<Temperature> {
    input(env, "temperatures", temperature)
}

fn temperature(index: u64) -> Temperature {
    let random = mix(index);
    (random % 5, i64::try_from((random >> 8) % 50).expect("a small number"))
}

const ALARM: OutputTag<Temperature> = OutputTag::new("alarm");
const WARNING: OutputTag<Temperature> = OutputTag::new("warning");

/// Tells temperatures apart.
#[derive(Clone)]
struct Separate;

impl ProcessFunction for Separate {
    type In = Temperature;
    type Out = Temperature;

    fn on_element(
        &mut self,
        temperature: Temperature,
        cx: &mut RecordContext<'_, Temperature>,
    ) -> Result<(), BoxError> {
        match temperature.1 {
            40.. => cx.emit_to(ALARM, temperature),
            30..40 => cx.emit_to(WARNING, temperature),
            _ => cx.emit(temperature),
        }
        Ok(())
    }
}

/// Puts alarms and warnings into words.
#[derive(Clone)]
struct Notify;

impl CoProcess for Notify {
    type First = Temperature;
    type Second = Temperature;
    type Out = String;

    fn on_first(
        &mut self,
        (room, degrees): Temperature,
        cx: &mut RecordContext<'_, String>,
    ) -> Result<(), BoxError> {
        cx.emit(format!("ALARM, room {room}: {degrees}"));
        Ok(())
    }

    fn on_second(
        &mut self,
        (room, degrees): Temperature,
        cx: &mut RecordContext<'_, String>,
    ) -> Result<(), BoxError> {
        cx.emit(format!("warning, room {room}: {degrees}"));
        Ok(())
    }
}

/// Temperatures that need no attention, and words about the others.
pub(crate) struct Severities {
    normal: Stream<Temperature>,
    notices: Stream<String>,
}

/// Splits temperatures into alarms, warnings and the rest, and tells people about the first two.
pub(crate) fn by_severity(temperatures: Stream<Temperature>) -> Severities {
    let normal = temperatures.process(Separate);
    let (alarms, warnings) = (normal.side_output(ALARM), normal.side_output(WARNING));
    Severities { normal, notices: alarms.connect(warnings).process(Notify) }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;
    use crate::{COUNT, simulate, sorted};

    #[test]
    fn an_order_goes_its_way() {
        let mut states: BTreeMap<u64, OrderState> = BTreeMap::new();
        let all = (0..COUNT).map(change).map(|change| {
            let from = states.get(&change.order).copied();
            if change.to.may_follow(from) {
                states.insert(change.order, change.to);
                (change, None)
            } else {
                (change, Some(from))
            }
        });
        let expected = sorted(all);
        assert!(expected.iter().any(|(_, refused)| refused.is_some()));
        simulate(|env| {
            let Orders { accepted, refused } = orders(changes(env));
            let refused = refused.map(|(change, from)| (change, Some(from)));
            accepted.map(|change| (change, None)).union(refused)
        })
        .check(|results| assert_eq!(sorted(results.to_vec()), expected));
    }

    #[test]
    fn a_delivered_order_is_not_cancelled() {
        use OrderState::{Cancelled, Delivered, Paid, Placed, Shipped};
        let all = [Placed, Paid, Shipped, Delivered, Cancelled];
        let after = |from| all.into_iter().filter(|to| to.may_follow(from)).collect::<Vec<_>>();
        assert_eq!(after(None), [Placed]);
        assert_eq!(after(Some(Placed)), [Paid, Cancelled]);
        assert_eq!(after(Some(Paid)), [Shipped, Cancelled]);
        assert_eq!(after(Some(Shipped)), [Delivered]);
        assert_eq!(after(Some(Delivered)), []);
        assert_eq!(after(Some(Cancelled)), []);
    }

    #[test]
    fn levels_are_watched_and_not_changed() {
        let all = (0..COUNT).map(level).flat_map(|(gauge, level)| {
            let alarm = (5 < level).then(|| format!("gauge {gauge} is at {level}"));
            [format!("{gauge} {level}")].into_iter().chain(alarm)
        });
        let expected = sorted(all);
        simulate(|env| {
            let Water { levels, alarms } = high_water(levels(env));
            levels.map(|(gauge, level)| format!("{gauge} {level}")).union(alarms)
        })
        .check(|results| assert_eq!(sorted(results.to_vec()), expected));
    }

    #[test]
    fn every_temperature_is_in_one_of_three_streams() {
        let all = (0..COUNT).map(temperature).map(|(room, degrees)| match degrees {
            40.. => format!("ALARM, room {room}: {degrees}"),
            30..40 => format!("warning, room {room}: {degrees}"),
            _ => format!("{room}: {degrees}"),
        });
        let expected = sorted(all);
        simulate(|env| {
            let Severities { normal, notices } = by_severity(temperatures(env));
            normal.map(|(room, degrees)| format!("{room}: {degrees}")).union(notices)
        })
        .check(|results| assert_eq!(sorted(results.to_vec()), expected));
    }
}
