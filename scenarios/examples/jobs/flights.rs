//! Departures from New York, from a file: one row per flight, in the order in which they left.

use std::{cmp::Reverse, time::Duration};

use floodmark::{
    Aggregate, Environment, Malformed, Session, Stream, TextFile, Tumbling, WatermarkStrategy,
};
use serde::{Deserialize, Serialize};

use crate::{Example, shown};

pub(crate) const EXAMPLES: &[Example] = &[
    Example {
        name: "journeys",
        about: "where an aircraft went, leg by leg",
        build: |env| shown(journeys(flights(env, TextFile::new(PATH)))),
    },
    Example {
        name: "stays",
        about: "how often an aircraft left before it was not seen for twelve hours",
        build: |env| shown(stays(flights(env, TextFile::new(PATH)))),
    },
    Example {
        name: "late_carriers",
        about: "the three carriers with the greatest mean delay of a day",
        build: |env| shown(late_carriers(flights(env, TextFile::new(PATH)))),
    },
    Example {
        name: "in_the_fog",
        about: "flights that left when one could not see two miles",
        build: |env| {
            let flights = flights(env, TextFile::new(PATH));
            shown(in_the_fog(flights, weather(env, TextFile::new(WEATHER_PATH))))
        },
    },
    Example {
        name: "moved",
        about: "aircraft that left from two airports within five hours",
        build: |env| shown(moved(flights(env, TextFile::new(PATH)))),
    },
];

const PATH: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/data/flights-2013-01.csv");
const WEATHER_PATH: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/data/weather-2013-01.csv");

const HOUR: Duration = Duration::from_secs(3_600);

/// A row of the file. Columns that nobody asks for are at its end.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Flight {
    departed_ms: i64,
    scheduled_ms: i64,
    carrier: String,
    flight: u32,
    aircraft: String,
    origin: String,
    destination: String,
    delay_min: i64,
}

/// Reads the file. Event time is when a flight left, so nothing is late.
fn flights(env: &Environment, file: TextFile) -> Stream<Flight> {
    env.source("flights", file.skip_header())
        .parallelism(1)
        .parse_csv::<Flight>(Malformed::Fail)
        .parallelism(1)
        .watermarks(WatermarkStrategy::ascending().timestamps(|flight: &Flight| flight.departed_ms))
        .parallelism(1)
}

/// What was observed at an airport in an hour. Columns that nobody asks for are at its end.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Weather {
    observed_ms: i64,
    origin: String,
    temperature_f: Option<f64>,
    wind_mph: Option<f64>,
    rain_in: Option<f64>,
    visibility_mi: Option<f64>,
}

/// Reads the file of the weather, which is in the order of its hours.
fn weather(env: &Environment, file: TextFile) -> Stream<Weather> {
    env.source("weather", file.skip_header())
        .parallelism(1)
        .parse_csv::<Weather>(Malformed::Fail)
        .parallelism(1)
        .watermarks(
            WatermarkStrategy::ascending().timestamps(|weather: &Weather| weather.observed_ms),
        )
        .parallelism(1)
}

/// Numbers the legs of each aircraft: aircraft, number, destination.
pub(crate) fn journeys(flights: Stream<Flight>) -> Stream<(String, u64, String)> {
    flights
        .key_by(|flight| flight.aircraft.clone())
        .stateful(|aircraft, leg: &mut u64, flight| {
            *leg += 1;
            (aircraft.clone(), *leg, flight.destination)
        })
        .uid("legs")
}

/// Counts departures of an aircraft that are at most twelve hours apart: aircraft, the first of them,
/// and how many.
pub(crate) fn stays(flights: Stream<Flight>) -> Stream<(String, i64, u64)> {
    flights
        .key_by(|flight| flight.aircraft.clone())
        .window(Session::event_time(12 * HOUR))
        .count()
        .uid("departures")
        .map(|(aircraft, window, count)| (aircraft, window.start.0, count))
}

/// The mean delay in hundredths of a minute, rounded down.
#[derive(Clone)]
struct MeanDelay;

impl Aggregate for MeanDelay {
    /// So that windows that overlap could share the sums.
    const IS_COMMUTATIVE: bool = true;

    type In = Flight;
    /// Sum and count.
    type Acc = (i64, i64);
    type Out = i64;

    fn init(&self) -> (i64, i64) {
        (0, 0)
    }

    fn add(&self, (sum, count): &mut (i64, i64), flight: Flight) {
        *sum += flight.delay_min;
        *count += 1;
    }

    fn finish(&self, (sum, count): (i64, i64)) -> i64 {
        (sum * 100).div_euclid(count)
    }

    fn merge(&self, left: (i64, i64), right: (i64, i64)) -> (i64, i64) {
        (left.0 + right.0, left.1 + right.1)
    }
}

/// Carriers in the list of a day.
const LISTED_COUNT: usize = 3;

/// Finds the carriers with the greatest mean delay of each day: its start, and the three of them.
///
/// The mean of a carrier has the last timestamp of its day, and so falls into the same day again.
pub(crate) fn late_carriers(flights: Stream<Flight>) -> Stream<(i64, Vec<(String, i64)>)> {
    flights
        .key_by(|flight| flight.carrier.clone())
        .window(Tumbling::event_time(24 * HOUR))
        .aggregate(MeanDelay)
        .uid("means")
        .map(|(carrier, _, mean)| (carrier, mean))
        .window_all(Tumbling::event_time(24 * HOUR))
        .apply(|(), window, means| {
            let mut carriers: Vec<(String, i64)> = means.iter().cloned().collect();
            carriers.sort_by_key(|(carrier, mean)| (Reverse(*mean), carrier.clone()));
            carriers.truncate(LISTED_COUNT);
            Some((window.start.0, carriers))
        })
        .uid("late")
}

/// Finds the flights that left in an hour in which one could not see two miles: airport, when it left,
/// number, and how late it was.
pub(crate) fn in_the_fog(
    flights: Stream<Flight>,
    weather: Stream<Weather>,
) -> Stream<(String, i64, u32, i64)> {
    flights
        .key_by(|flight| flight.origin.clone())
        .join(weather.key_by(|weather| weather.origin.clone()))
        .window(Tumbling::event_time(HOUR))
        .apply(|airport, flight, weather| {
            let is_foggy = weather.visibility_mi.is_some_and(|miles| miles < 2.0);
            is_foggy.then(|| (airport.clone(), flight.departed_ms, flight.flight, flight.delay_min))
        })
        .uid("hours")
}

/// Where an aircraft was seen last, and when.
type LastSeen = Option<(i64, String)>;

/// Finds aircraft that left from one airport less than five hours after they had left from another:
/// they have flown somewhere and landed elsewhere, or somebody has made a mistake. Aircraft, from,
/// to, minutes.
pub(crate) fn moved(flights: Stream<Flight>) -> Stream<(String, String, String, i64)> {
    flights
        .key_by(|flight| flight.aircraft.clone())
        .stateful(|aircraft, last: &mut LastSeen, flight| {
            let before = last.replace((flight.departed_ms, flight.origin.clone()));
            let (departed_ms, origin) = before.filter(|(_, origin)| *origin != flight.origin)?;
            let minutes = (flight.departed_ms - departed_ms) / 60_000;
            (minutes < 300).then(|| (aircraft.clone(), origin, flight.origin, minutes))
        })
        .uid("last-seen")
        .flat_map(|moved| moved)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use floodmark::Data;
    use floodmark_scenarios::{Simulation, jobs::flights::FLIGHTS};

    use super::*;
    use crate::{simulate, sorted};

    const INPUT: &str = "input/flights.csv";
    const WEATHER_INPUT: &str = "input/weather.csv";
    const WEATHER: &str = include_str!("../../data/weather-2013-01.csv");
    /// Rows of the file that are read: about two days.
    const ROW_COUNT: usize = 1_800;

    /// Simulates a job that reads the first rows of the file.
    fn simulate_flights<T: Data>(job: fn(Stream<Flight>) -> Stream<T>) -> Simulation<T> {
        let lines: Vec<&str> = FLIGHTS.lines().take(1 + ROW_COUNT).collect();
        simulate(move |env| job(flights(env, TextFile::new(INPUT).rate(900))))
            .file(INPUT, lines.join("\n"))
    }

    /// The columns of those rows.
    fn rows() -> impl Iterator<Item = Vec<&'static str>> {
        FLIGHTS.lines().skip(1).take(ROW_COUNT).map(|row| row.split(',').collect())
    }

    fn number(column: &str) -> i64 {
        column.parse().unwrap()
    }

    #[test]
    fn an_aircraft_goes_leg_by_leg() {
        let mut legs: BTreeMap<&str, u64> = BTreeMap::new();
        let expected = sorted(rows().map(|row| {
            let leg = legs.entry(row[4]).or_default();
            *leg += 1;
            (row[4].to_owned(), *leg, row[6].to_owned())
        }));
        simulate_flights(journeys).check(|results| assert_eq!(sorted(results.to_vec()), expected));
    }

    #[test]
    fn departures_that_are_close_belong_together() {
        let mut departures: BTreeMap<&str, Vec<i64>> = BTreeMap::new();
        for row in rows() {
            departures.entry(row[4]).or_default().push(number(row[0]));
        }
        let mut expected = Vec::new();
        for (aircraft, times) in departures {
            for stay in times.chunk_by(|before, next| next - before <= 12 * 3_600_000) {
                expected.push((aircraft.to_owned(), stay[0], stay.len() as u64));
            }
        }
        assert!(expected.iter().any(|(_, _, count)| 2 < *count));
        let expected = sorted(expected);
        simulate_flights(stays).check(|results| assert_eq!(sorted(results.to_vec()), expected));
    }

    #[test]
    fn the_latest_carriers_of_each_day_are_found() {
        const DAY_MS: i64 = 24 * 3_600_000;
        let mut days: BTreeMap<i64, BTreeMap<&str, Vec<i64>>> = BTreeMap::new();
        for row in rows() {
            let day = days.entry(number(row[0]) / DAY_MS * DAY_MS).or_default();
            day.entry(row[2]).or_default().push(number(row[7]));
        }
        let days = days.into_iter().map(|(start, carriers)| {
            let mean = |delays: &[i64]| {
                (delays.iter().sum::<i64>() * 100).div_euclid(i64::try_from(delays.len()).unwrap())
            };
            let means = carriers.iter().map(|(carrier, delays)| (mean(delays), *carrier));
            let mut means: Vec<(i64, &str)> = means.collect();
            means.sort_by(|left, right| right.0.cmp(&left.0).then(left.1.cmp(right.1)));
            let three = means.into_iter().take(3).map(|(mean, carrier)| (carrier.to_owned(), mean));
            (start, three.collect::<Vec<_>>())
        });
        let expected: Vec<_> = days.collect();
        assert!(1 < expected.len(), "{expected:?}");
        simulate_flights(late_carriers)
            .check(|results| assert_eq!(sorted(results.to_vec()), expected));
    }

    #[test]
    fn flights_in_the_fog_are_those_of_foggy_hours() {
        const HOUR_MS: i64 = 3_600_000;
        // Hour and airport of each row in which one could not see two miles.
        let hours = WEATHER.lines().skip(1).map(|row| row.split(',').collect::<Vec<_>>());
        let foggy: Vec<(i64, &str)> = hours
            .filter(|row| row[5].parse::<f64>().is_ok_and(|miles| miles < 2.0))
            .map(|row| (number(row[0]) / HOUR_MS, row[1]))
            .collect();
        // From the middle of the month on, where there was fog.
        let days: Vec<&str> = FLIGHTS.lines().skip(1).skip(10_800).take(ROW_COUNT).collect();
        let departures = days.iter().map(|row| row.split(',').collect::<Vec<_>>());
        let expected = sorted(departures.filter_map(|row| {
            let departed_ms = number(row[0]);
            foggy.contains(&(departed_ms / HOUR_MS, row[5])).then(|| {
                let flight = row[3].parse().unwrap();
                (row[5].to_owned(), departed_ms, flight, number(row[7]))
            })
        }));
        assert!(10 < expected.len(), "{expected:?}");
        let header = FLIGHTS.lines().next().unwrap();
        let content = [&[header], days.as_slice()].concat().join("\n");
        simulate(|env| {
            let flights = flights(env, TextFile::new(INPUT).rate(900));
            in_the_fog(flights, weather(env, TextFile::new(WEATHER_INPUT).rate(1_500)))
        })
        .file(INPUT, content)
        .file(WEATHER_INPUT, WEATHER)
        .check(|results| assert_eq!(sorted(results.to_vec()), expected));
    }

    #[test]
    fn an_aircraft_that_has_moved_is_noticed() {
        let mut last: BTreeMap<&str, (i64, &str)> = BTreeMap::new();
        let mut expected = Vec::new();
        for row in rows() {
            let (time, aircraft, origin) = (number(row[0]), row[4], row[5]);
            if let Some((before, from)) = last.insert(aircraft, (time, origin))
                && from != origin
                && (time - before) / 60_000 < 300
            {
                let minutes = (time - before) / 60_000;
                expected.push((aircraft.to_owned(), from.to_owned(), origin.to_owned(), minutes));
            }
        }
        assert!(!expected.is_empty());
        let expected = sorted(expected);
        simulate_flights(moved).check(|results| assert_eq!(sorted(results.to_vec()), expected));
    }
}
