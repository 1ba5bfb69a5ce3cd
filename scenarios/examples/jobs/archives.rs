//! What was written, and then what comes: one source where another ends.

use std::time::Duration;

use floodmark::{
    Environment, Generator, HybridSource, Stream, Tumbling, WatermarkStrategy, Window,
};

use crate::{COUNT, Example, RATE, mix, shown, time_of};

pub(crate) const EXAMPLES: &[Example] = &[Example {
    name: "archive_then_live",
    about: "readings per sensor and second, the first half of them from an archive",
    build: |env| shown(per_second(readings(env))),
}];

/// Readings that are in the archive.
const ARCHIVED_COUNT: u64 = COUNT / 2;
/// Readings that have changed places at most.
const DISORDER: u16 = 10;
/// Event time from one reading to the next.
const STEP_MS: u64 = 25;

/// A sensor, and the time of its reading.
type Reading = (u64, i64);

fn reading(index: u64) -> Reading {
    (mix(index) % 5, time_of(index, STEP_MS))
}

/// Reads the archive as fast as it can, and then the sensors themselves: the first of them is the one
/// behind the last of the archive.
fn readings(env: &Environment) -> Stream<Reading> {
    let archive = Generator::new(ARCHIVED_COUNT, reading).disorder(1, DISORDER);
    let sensors =
        Generator::new(COUNT - ARCHIVED_COUNT, |index| reading(ARCHIVED_COUNT + index)).rate(RATE);
    // Two subtasks read every second reading each.
    let disorder = Duration::from_millis(2 * STEP_MS * u64::from(DISORDER));
    let strategy = WatermarkStrategy::bounded_out_of_orderness(disorder)
        .timestamps(|(_, time_ms): &Reading| *time_ms)
        .emit_every(1);
    env.source("readings", HybridSource::new(archive, sensors)).watermarks(strategy)
}

/// Counts the readings of each sensor in each second.
pub(crate) fn per_second(readings: Stream<Reading>) -> Stream<(u64, i64, u64)> {
    readings
        .key_by(|(sensor, _)| *sensor)
        .window(Tumbling::event_time(Duration::from_secs(1)))
        .fold(0, |count: &mut u64, _| *count += 1)
        .uid("per-second")
        .map(|(sensor, window, count): (u64, Window, u64)| (sensor, window.start.0, count))
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;
    use crate::{simulate, sorted};

    #[test]
    fn every_reading_counts_once_wherever_it_is_from() {
        simulate(|env| per_second(readings(env))).check(|results| {
            let mut counts = BTreeMap::new();
            for (sensor, time_ms) in (0..COUNT).map(reading) {
                *counts.entry((sensor, time_ms / 1_000 * 1_000)).or_insert(0) += 1;
            }
            let expected =
                counts.into_iter().map(|((sensor, start), count)| (sensor, start, count));
            assert_eq!(sorted(results.iter().copied()), sorted(expected));
        });
    }
}
