//! Windows: by time, by number of records, and what becomes of what is in them.

use std::time::Duration;

use floodmark::{
    Aggregate, BoxError, CountTrigger, Environment, Stream, Tumbling, ValueState, Values,
    WatermarkStrategy, WindowContext, WindowProcess,
};
use serde::{Deserialize, Serialize};

use crate::{Example, input, mix, shown, time_of};

pub(crate) const EXAMPLES: &[Example] = &[
    Example {
        name: "words_per_ten_seconds",
        about: "how often a word came in ten seconds",
        build: |env| shown(words_per_ten_seconds(lines(env))),
    },
    Example {
        name: "mean_per_ten_seconds",
        about: "the mean of a sensor in ten seconds",
        build: |env| shown(mean_per_ten_seconds(readings(env))),
    },
    Example {
        name: "sum_per_three_seconds",
        about: "the sum of a sensor in three seconds",
        build: |env| shown(sum_per_three_seconds(readings(env))),
    },
    Example {
        name: "last_three_of_every_two",
        about: "after every two readings of a sensor, the sum of the last three",
        build: |env| shown(last_three_of_every_two(readings(env))),
    },
    Example {
        name: "mean_of_three",
        about: "the mean of every three readings of a sensor",
        build: |env| shown(mean_of_three(readings(env))),
    },
    Example {
        name: "three_in_a_line",
        about: "every three readings of a sensor, in one line",
        build: |env| shown(three_in_a_line(readings(env))),
    },
    Example {
        name: "interim_sums",
        about: "after every two readings of a sensor in five seconds, which sum it is, and the sum so far",
        build: |env| shown(interim_sums(readings(env))),
    },
    Example {
        name: "winning_bids",
        about: "the highest bid for a place in five seconds",
        build: |env| shown(winning_bids(bids(env))),
    },
];

/// What a sensor says.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Reading {
    sensor: u64,
    time_ms: i64,
    value: u64,
}

fn reading(index: u64) -> Reading {
    let random = mix(index);
    Reading { sensor: random % 3, time_ms: time_of(index, 100), value: (random >> 8) % 100 }
}

fn readings(env: &Environment) -> Stream<Reading> {
    input(env, "readings", reading)
        .watermarks(WatermarkStrategy::ascending().timestamps(|reading: &Reading| reading.time_ms))
        .parallelism(1)
}

/// Words that come, and when.
type Line = (i64, String);

fn line(index: u64) -> Line {
    const WORDS: [&str; 5] = ["water", "rises", "and", "falls", "again"];
    let random = mix(index);
    let word = |place: usize| WORDS[usize::try_from(random >> (8 * place)).unwrap_or(place) % 5];
    (time_of(index, 100), [word(0), word(1), word(2)].join(" "))
}

fn lines(env: &Environment) -> Stream<Line> {
    input(env, "lines", line)
        .watermarks(WatermarkStrategy::ascending().timestamps(|(time, _): &Line| *time))
        .parallelism(1)
}

/// Counts words: word, start of the ten seconds, and how many there were.
pub(crate) fn words_per_ten_seconds(lines: Stream<Line>) -> Stream<(String, i64, u64)> {
    lines
        .flat_map(|(_, line)| line.split(' ').map(str::to_owned).collect::<Vec<_>>())
        .key_by(|word| word.clone())
        .window(Tumbling::event_time(Duration::from_secs(10)))
        .count()
        .uid("count")
        .map(|(word, window, count)| (word, window.start.0, count))
}

/// Computes means: sensor, start of the ten seconds, and the mean.
pub(crate) fn mean_per_ten_seconds(readings: Stream<Reading>) -> Stream<(u64, i64, f64)> {
    readings
        .key_by(|reading| reading.sensor)
        .window(Tumbling::event_time(Duration::from_secs(10)))
        .mean_of(value_of)
        .uid("mean")
        .map(|(sensor, window, mean)| (sensor, window.start.0, mean))
}

#[expect(clippy::cast_precision_loss, reason = "values are below 100")]
fn value_of(reading: &Reading) -> f64 {
    reading.value as f64
}

/// Adds up: sensor, start of the three seconds, and the sum.
pub(crate) fn sum_per_three_seconds(readings: Stream<Reading>) -> Stream<(u64, i64, u64)> {
    readings
        .key_by(|reading| reading.sensor)
        .window(Tumbling::event_time(Duration::from_secs(3)))
        .reduce(|left, right| Reading { value: left.value + right.value, ..left })
        .uid("sum")
        .map(|(sensor, window, sum)| (sensor, window.start.0, sum.value))
}

/// Adds up the last three readings of a sensor, whenever two more have come.
pub(crate) fn last_three_of_every_two(readings: Stream<Reading>) -> Stream<(u64, u64)> {
    readings
        .key_by(|reading| reading.sensor)
        .count_window_sliding(3, 2)
        .sum_of(|reading| reading.value)
        .uid("sum")
        .map(|(sensor, _, sum)| (sensor, sum))
}

/// The mean, rounded down: an [`Aggregate`] keeps what it needs for the result, not the readings.
#[derive(Clone)]
struct Mean;

impl Aggregate for Mean {
    type In = Reading;
    /// Sum and count.
    type Acc = (u64, u64);
    type Out = u64;

    fn init(&self) -> (u64, u64) {
        (0, 0)
    }

    fn add(&self, (sum, count): &mut (u64, u64), reading: Reading) {
        *sum += reading.value;
        *count += 1;
    }

    fn finish(&self, (sum, count): (u64, u64)) -> u64 {
        sum / count
    }

    fn merge(&self, left: (u64, u64), right: (u64, u64)) -> (u64, u64) {
        (left.0 + right.0, left.1 + right.1)
    }
}

/// Computes the mean of every three readings of a sensor. The last one or two have none.
pub(crate) fn mean_of_three(readings: Stream<Reading>) -> Stream<(u64, u64)> {
    readings
        .key_by(|reading| reading.sensor)
        .count_window(3)
        .aggregate(Mean)
        .uid("mean")
        .map(|(sensor, _, mean)| (sensor, mean))
}

/// Writes every three readings of a sensor into one line.
pub(crate) fn three_in_a_line(readings: Stream<Reading>) -> Stream<(u64, String)> {
    readings
        .key_by(|reading| reading.sensor)
        .count_window(3)
        .apply(|sensor, _, readings| {
            let values: Vec<String> = readings.iter().map(|one| one.value.to_string()).collect();
            Some((*sensor, values.join(",")))
        })
        .uid("line")
}

/// The sums of a window so far.
const SUM_COUNT: ValueState<u64> = ValueState::new("sum-count");

/// Adds up what is in a window, and says how often it has done so.
#[derive(Clone)]
struct Interim;

impl WindowProcess for Interim {
    type Key = u64;
    type In = Reading;
    type Out = (u64, i64, u64, u64);

    fn process(
        &mut self,
        readings: Values<'_, Reading>,
        cx: &mut WindowContext<'_, u64, Self::Out>,
    ) -> Result<(), BoxError> {
        cx.window_state(SUM_COUNT).update(|count| *count += 1);
        let (sensor, start) = (*cx.key(), cx.window().start.0);
        let number = cx.window_state(SUM_COUNT).or_default();
        cx.emit((sensor, start, number, readings.iter().map(|reading| reading.value).sum()));
        Ok(())
    }

    /// The window is over: nobody asks for its number any more.
    fn clear(&mut self, cx: &mut WindowContext<'_, u64, Self::Out>) -> Result<(), BoxError> {
        cx.window_state(SUM_COUNT).clear();
        Ok(())
    }
}

/// Adds up the readings of a sensor in five seconds after every two of them: the sensor, the window, the
/// number of the sum in the window, and the sum.
pub(crate) fn interim_sums(readings: Stream<Reading>) -> Stream<(u64, i64, u64, u64)> {
    readings
        .key_by(|reading| reading.sensor)
        .window(Tumbling::event_time(Duration::from_secs(5)))
        .trigger(CountTrigger::new(2))
        .process(Interim)
        .uid("interim-sums")
}

/// An offer for a place in an advertisement.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Bid {
    place: u64,
    time_ms: i64,
    bidder: u64,
    cents: u64,
}

fn bid(index: u64) -> Bid {
    let random = mix(index);
    // Few prices, so that some bids are equal.
    let (bidder, cents) = ((random >> 8) % 20, (random >> 16) % 8 * 10);
    Bid { place: random % 4, time_ms: time_of(index, 100), bidder, cents }
}

fn bids(env: &Environment) -> Stream<Bid> {
    input(env, "bids", bid)
        .watermarks(WatermarkStrategy::ascending().timestamps(|bid: &Bid| bid.time_ms))
        .parallelism(1)
}

/// Finds the highest bid of every five seconds: place, start, bidder and price. Of equal ones the
/// first wins.
pub(crate) fn winning_bids(bids: Stream<Bid>) -> Stream<(u64, i64, u64, u64)> {
    bids.key_by(|bid| bid.place)
        .window(Tumbling::event_time(Duration::from_secs(5)))
        .max_by(|bid| bid.cents)
        .uid("highest")
        .map(|(place, window, bid)| (place, window.start.0, bid.bidder, bid.cents))
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;
    use crate::{COUNT, simulate, sorted};

    /// The values of each sensor, in order, with their times.
    fn by_sensor() -> BTreeMap<u64, Vec<(i64, u64)>> {
        let mut sensors: BTreeMap<u64, Vec<(i64, u64)>> = BTreeMap::new();
        for Reading { sensor, time_ms, value } in (0..COUNT).map(reading) {
            sensors.entry(sensor).or_default().push((time_ms, value));
        }
        sensors
    }

    /// The values of each sensor and each span of so many milliseconds.
    fn by_span(span_ms: i64) -> BTreeMap<(u64, i64), Vec<u64>> {
        let mut spans: BTreeMap<(u64, i64), Vec<u64>> = BTreeMap::new();
        for Reading { sensor, time_ms, value } in (0..COUNT).map(reading) {
            spans.entry((sensor, time_ms / span_ms * span_ms)).or_default().push(value);
        }
        spans
    }

    /// What is made of the values of each sensor.
    fn of_each<T: Ord + Clone>(make: impl Fn(&[u64]) -> Vec<T>) -> Vec<(u64, T)> {
        sorted(by_sensor().into_iter().flat_map(|(sensor, values)| {
            let values: Vec<u64> = values.into_iter().map(|(_, value)| value).collect();
            make(&values).into_iter().map(move |result| (sensor, result))
        }))
    }

    #[test]
    fn every_word_is_counted_in_its_ten_seconds() {
        let mut counts: BTreeMap<(String, i64), u64> = BTreeMap::new();
        for (time, line) in (0..COUNT).map(line) {
            for word in line.split(' ') {
                *counts.entry((word.to_owned(), time / 10_000 * 10_000)).or_default() += 1;
            }
        }
        let expected: Vec<_> =
            counts.into_iter().map(|((word, start), count)| (word, start, count)).collect();
        simulate(|env| words_per_ten_seconds(lines(env)))
            .check(|results| assert_eq!(sorted(results.to_vec()), expected));
    }

    #[test]
    fn means_are_those_of_their_ten_seconds() {
        #[expect(clippy::cast_precision_loss, reason = "few small numbers")]
        let mean = |values: Vec<u64>| values.iter().sum::<u64>() as f64 / values.len() as f64;
        let expected = by_span(10_000).into_iter();
        let expected: Vec<_> =
            expected.map(|((sensor, start), values)| (sensor, start, mean(values))).collect();
        simulate(|env| mean_per_ten_seconds(readings(env))).check(|results| {
            let mut results = results.to_vec();
            results.sort_by_key(|(sensor, start, _)| (*sensor, *start));
            assert_eq!(results, expected);
        });
    }

    #[test]
    fn sums_are_those_of_their_three_seconds() {
        let expected = by_span(3_000).into_iter();
        let expected: Vec<(u64, i64, u64)> = expected
            .map(|((sensor, start), values)| (sensor, start, values.iter().sum()))
            .collect();
        simulate(|env| sum_per_three_seconds(readings(env)))
            .check(|results| assert_eq!(sorted(results.to_vec()), expected));
    }

    #[test]
    fn the_last_three_are_added_up_after_every_two() {
        let expected = of_each(|values| {
            let ends = (2..=values.len()).step_by(2);
            ends.map(|end| values[end.saturating_sub(3)..end].iter().sum::<u64>()).collect()
        });
        simulate(|env| last_three_of_every_two(readings(env)))
            .check(|results| assert_eq!(sorted(results.to_vec()), expected));
    }

    #[test]
    fn three_readings_have_one_mean() {
        let expected = of_each(|values| {
            values.chunks_exact(3).map(|few| few.iter().sum::<u64>() / 3).collect()
        });
        simulate(|env| mean_of_three(readings(env)))
            .check(|results| assert_eq!(sorted(results.to_vec()), expected));
    }

    #[test]
    fn three_readings_have_one_line() {
        let expected = of_each(|values| {
            let threes = values.chunks_exact(3);
            threes.map(|few| format!("{},{},{}", few[0], few[1], few[2])).collect()
        });
        simulate(|env| three_in_a_line(readings(env)))
            .check(|results| assert_eq!(sorted(results.to_vec()), expected));
    }

    #[test]
    fn interim_sums_are_numbered_in_each_window() {
        let expected = by_span(5_000).into_iter().flat_map(|((sensor, start), values)| {
            let sums = (1..=values.len() / 2).map(move |number| {
                let sum = values[..2 * number].iter().sum();
                (sensor, start, u64::try_from(number).expect("a small number"), sum)
            });
            sums.collect::<Vec<(u64, i64, u64, u64)>>()
        });
        let expected: Vec<_> = expected.collect();
        simulate(|env| interim_sums(readings(env)))
            .check(|results| assert_eq!(sorted(results.to_vec()), expected));
    }

    #[test]
    fn the_highest_bid_wins() {
        let mut highest: BTreeMap<(u64, i64), (u64, u64)> = BTreeMap::new();
        for Bid { place, time_ms, bidder, cents } in (0..COUNT).map(bid) {
            let best = highest.entry((place, time_ms / 5_000 * 5_000)).or_insert((bidder, cents));
            if best.1 < cents {
                *best = (bidder, cents);
            }
        }
        let expected = highest.into_iter();
        let expected: Vec<_> = expected
            .map(|((place, start), (bidder, cents))| (place, start, bidder, cents))
            .collect();
        simulate(|env| winning_bids(bids(env)))
            .check(|results| assert_eq!(sorted(results.to_vec()), expected));
    }
}
