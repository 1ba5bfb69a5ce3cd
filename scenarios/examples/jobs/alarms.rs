//! Alarms: what should not last, what should not stop, and what should not be said twice.
//!
//! The first two set a timer of event time with one record and delete it with another. A timer fires
//! when event time gets there, which may be some records later; so a record that is not earlier than
//! the timer leaves it alone. What comes out depends on the data, and not on the pace of watermarks.

use std::time::Duration;

use floodmark::{
    BoxError, Context, Environment, KeyedProcess, Stream, TimeDomain, Timestamp, ValueState,
    WatermarkStrategy,
};
use serde::{Deserialize, Serialize};

use crate::{Example, input, mix, shown, time_of};

pub(crate) const EXAMPLES: &[Example] = &[
    Example {
        name: "rising_water",
        about: "gauges whose water rose for a second and a half, without a pause",
        build: |env| shown(rising_water(levels(env), RISE)),
    },
    Example {
        name: "silent_devices",
        about: "devices that said nothing for more than half a second",
        build: |env| shown(silent_devices(signs_of_life(env), SILENCE)),
    },
    Example {
        name: "breaches",
        about: "levels above the limit, said once until it is kept again",
        build: |env| shown(breaches(levels(env), LIMIT)),
    },
];

/// For so long water may rise.
const RISE: Duration = Duration::from_millis(1_500);
/// For so long a device may be silent.
const SILENCE: Duration = Duration::from_millis(600);
/// A level above this is a breach.
const LIMIT: u64 = 60;

/// What a gauge shows.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Level {
    gauge: u64,
    time_ms: i64,
    level: u64,
}

/// Water that rises slowly and falls fast, four gauges in turn, each at a pace of its own.
fn level(index: u64) -> Level {
    let (gauge, step) = (index % 4, index / 4);
    let period = 10 + 3 * gauge;
    let (place, peak) = (step % period, period * 2 / 3);
    let level = if place <= peak { place * 10 } else { (period - place) * 15 };
    let is_stray = mix(index).is_multiple_of(17);
    let level = if is_stray { level / 2 } else { level };
    Level { gauge, time_ms: time_of(index, 50), level }
}

fn levels(env: &Environment) -> Stream<Level> {
    input(env, "levels", level)
        .watermarks(WatermarkStrategy::ascending().timestamps(|level: &Level| level.time_ms))
        .parallelism(1)
}

/// A gauge or a device, and the time of its alarm.
type Alarm = (u64, i64);

/// Warns of water that rises for a while.
#[derive(Clone)]
struct Rise {
    tolerated: Duration,
}

const LAST_LEVEL: ValueState<u64> = ValueState::new("last-level");
const DUE: ValueState<Timestamp> = ValueState::new("due");

impl KeyedProcess for Rise {
    type Key = u64;
    type In = Level;
    type Out = Alarm;

    fn on_element(
        &mut self,
        Level { level, .. }: Level,
        cx: &mut Context<'_, u64, Alarm>,
    ) -> Result<(), BoxError> {
        let now = cx.timestamp();
        let pending = cx.state(DUE).get().filter(|due| now < *due);
        let rises = cx.state(LAST_LEVEL).get().is_some_and(|last| last < level);
        cx.state(LAST_LEVEL).set(level);
        match (rises, pending) {
            (true, None) => {
                let due = now + self.tolerated;
                cx.timers().register_event_time(due);
                cx.state(DUE).set(due);
            }
            (false, Some(due)) => {
                cx.timers().delete_event_time(due);
                cx.state(DUE).clear();
            }
            (true, Some(_)) | (false, None) => {}
        }
        Ok(())
    }

    fn on_timer(
        &mut self,
        time: Timestamp,
        _: TimeDomain,
        cx: &mut Context<'_, u64, Alarm>,
    ) -> Result<(), BoxError> {
        let alarm = (*cx.key(), time.0);
        cx.emit(alarm);
        Ok(())
    }
}

/// Emits the gauges whose water has risen with every reading for as long as is tolerated, and when
/// that was.
pub(crate) fn rising_water(levels: Stream<Level>, tolerated: Duration) -> Stream<Alarm> {
    levels.key_by(|level| level.gauge).process(Rise { tolerated }).uid("rise")
}

/// A device that is still there, and the time.
type SignOfLife = (u64, i64);

/// Six devices, of which one or the other is silent for a second.
fn sign_of_life(index: u64) -> SignOfLife {
    let device = mix(index) % 6;
    let is_silent = mix(index / 40 * 10 + device).is_multiple_of(4);
    (if is_silent { 6 } else { device }, time_of(index, 25))
}

fn signs_of_life(env: &Environment) -> Stream<SignOfLife> {
    input(env, "signs-of-life", sign_of_life)
        .watermarks(WatermarkStrategy::ascending().timestamps(|sign: &SignOfLife| sign.1))
        .parallelism(1)
}

/// Warns of devices that say nothing for a while.
#[derive(Clone)]
struct Silence {
    tolerated: Duration,
}

impl KeyedProcess for Silence {
    type Key = u64;
    type In = SignOfLife;
    type Out = Alarm;

    fn on_element(
        &mut self,
        _: SignOfLife,
        cx: &mut Context<'_, u64, Alarm>,
    ) -> Result<(), BoxError> {
        let now = cx.timestamp();
        if let Some(due) = cx.state(DUE).get().filter(|due| now < *due) {
            cx.timers().delete_event_time(due);
        }
        let due = now + self.tolerated;
        cx.timers().register_event_time(due);
        cx.state(DUE).set(due);
        Ok(())
    }

    fn on_timer(
        &mut self,
        time: Timestamp,
        _: TimeDomain,
        cx: &mut Context<'_, u64, Alarm>,
    ) -> Result<(), BoxError> {
        let alarm = (*cx.key(), time.0);
        cx.emit(alarm);
        Ok(())
    }
}

/// Emits the devices that say nothing for as long as is tolerated, and when that was.
pub(crate) fn silent_devices(signs: Stream<SignOfLife>, tolerated: Duration) -> Stream<Alarm> {
    signs.key_by(|(device, _)| *device).process(Silence { tolerated }).uid("silence")
}

/// Emits the first level above the limit, and the next one only after it was kept again.
pub(crate) fn breaches(levels: Stream<Level>, limit: u64) -> Stream<Level> {
    levels
        .key_by(|level| level.gauge)
        .stateful(move |_, was_above: &mut bool, level| {
            let is_above = limit < level.level;
            let begins = is_above && !*was_above;
            *was_above = is_above;
            begins.then_some(level)
        })
        .uid("breach")
        .flat_map(|breach| breach)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;
    use crate::{COUNT, simulate, sorted};

    fn millis(duration: Duration) -> i64 {
        i64::try_from(duration.as_millis()).unwrap()
    }

    /// The levels of each gauge, in order, with their times.
    fn by_gauge() -> BTreeMap<u64, Vec<(i64, u64)>> {
        let mut gauges: BTreeMap<u64, Vec<(i64, u64)>> = BTreeMap::new();
        for Level { gauge, time_ms, level } in (0..COUNT).map(level) {
            gauges.entry(gauge).or_default().push((time_ms, level));
        }
        gauges
    }

    /// Looks, from each rise that counts, for the first reading that is no rise.
    fn expected_rises() -> Vec<Alarm> {
        let mut alarms = Vec::new();
        for (gauge, levels) in by_gauge() {
            let rises = |place: usize| levels[place - 1].1 < levels[place].1;
            let mut place = 1;
            while place < levels.len() {
                let due = levels[place].0 + millis(RISE);
                let ends =
                    (place..levels.len()).find(|next| !rises(*next) || due <= levels[*next].0);
                let end = ends.unwrap_or(levels.len());
                if rises(place) && levels.get(end).is_none_or(|level| due <= level.0) {
                    alarms.push((gauge, due));
                }
                // The reading at which a rise was complete may begin the next one.
                place = end.max(place + usize::from(!rises(place)));
            }
        }
        sorted(alarms)
    }

    #[test]
    fn water_that_rises_for_long_enough_is_reported_once() {
        let expected = expected_rises();
        assert!(10 < expected.len(), "{expected:?}");
        simulate(|env| rising_water(levels(env), RISE))
            .check(|alarms| assert_eq!(sorted(alarms.to_vec()), expected));
    }

    #[test]
    fn silence_is_reported_once() {
        let mut devices: BTreeMap<u64, Vec<i64>> = BTreeMap::new();
        for (device, time) in (0..COUNT).map(sign_of_life) {
            devices.entry(device).or_default().push(time);
        }
        let tolerated = millis(SILENCE);
        let silences = devices.into_iter().flat_map(|(device, times)| {
            // The last one is followed by nothing, which is silence too.
            let gaps = times.iter().zip(times.iter().skip(1).chain([&i64::MAX]));
            let long = gaps.filter(|(time, next)| tolerated <= **next - **time);
            long.map(|(time, _)| (device, time + tolerated)).collect::<Vec<_>>()
        });
        let expected = sorted(silences);
        assert!(10 < expected.len(), "{expected:?}");
        simulate(|env| silent_devices(signs_of_life(env), SILENCE))
            .check(|alarms| assert_eq!(sorted(alarms.to_vec()), expected));
    }

    #[test]
    fn a_breach_is_reported_once() {
        let mut expected = Vec::new();
        for (gauge, levels) in by_gauge() {
            let before = [None].into_iter().chain(levels.iter().map(Some));
            let first = before.zip(&levels).filter(|(before, (_, level))| {
                LIMIT < *level && before.is_none_or(|(_, before)| *before <= LIMIT)
            });
            expected.extend(first.map(|(_, (time_ms, level))| (gauge, *time_ms, *level)));
        }
        assert!(10 < expected.len(), "{expected:?}");
        simulate(|env| breaches(levels(env), LIMIT)).check(|breaches| {
            let breaches =
                breaches.iter().map(|breach| (breach.gauge, breach.time_ms, breach.level));
            assert_eq!(sorted(breaches), expected);
        });
    }
}
