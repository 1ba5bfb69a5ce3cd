//! Departures and mean delay per carrier, airport and hour of scheduled time.
//!
//! Real input: flights arrive in the order in which they left, and event time is when they should
//! have left. The watermark waits 60 minutes; a flight that comes after its hour was closed goes to
//! the late side output. The file is read by one subtask, so the order of its rows, and with it what
//! is late, does not depend on the cluster.

use std::{collections::BTreeMap, sync::LazyLock, time::Duration};

use floodmark::{
    Aggregate, Environment, FileSink, Malformed, OutputTag, TextFile, Tumbling, WatermarkStrategy,
    Window,
};
use serde::{Deserialize, Serialize};

use super::{Input, Lines, PreparedJob, ScenarioJob};

/// The job, on a part of the file that the seed chooses.
pub const JOB: ScenarioJob = ScenarioJob { name: "flights", prepare };

/// The whole file.
pub const FLIGHTS: &str = include_str!("../../data/flights-2013-01.csv");

/// Its header and its rows, the same for all seeds.
static FILE: LazyLock<(&str, Vec<&str>)> = LazyLock::new(|| {
    let (header, rows) = FLIGHTS.split_once('\n').expect("the file has a header");
    (header, rows.lines().collect())
});

const INPUT: &str = "input/flights.csv";
const DEPARTURES: &str = "output/departures";
const LATE: &str = "output/late";

/// Records between two watermarks of a whole file.
pub const WATERMARK_EVERY: usize = 16;

const LATE_FLIGHTS: OutputTag<Flight> = OutputTag::new("late");

/// A row of the file.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Flight {
    departed_ms: i64,
    scheduled_ms: i64,
    carrier: String,
    flight: u32,
    tail: String,
    origin: String,
    dest: String,
    delay_min: i64,
    distance_mi: u32,
}

/// A row of the result: carrier and airport, the hour, and what was summed up in it.
type Hour = ((String, String), Window, (u64, i64));

/// Departures and the sum of their delays.
#[derive(Clone)]
struct DelaySum;

impl Aggregate for DelaySum {
    type In = Flight;
    type Acc = (u64, i64);
    type Out = (u64, i64);

    fn init(&self) -> (u64, i64) {
        (0, 0)
    }

    fn add(&self, (count, delay_min): &mut (u64, i64), flight: Flight) {
        *count += 1;
        *delay_min += flight.delay_min;
    }

    fn finish(&self, sum: (u64, i64)) -> (u64, i64) {
        sum
    }

    fn merge(&self, left: (u64, i64), right: (u64, i64)) -> (u64, i64) {
        (left.0 + right.0, left.1 + right.1)
    }
}

/// Connects the streams. `rate` is in rows per second, `watermark_every` in flights.
pub fn build(
    env: &Environment,
    input: &str,
    output: &str,
    rate: Option<u32>,
    watermark_every: usize,
) {
    let file = TextFile::new(input).skip_header().chunk_size(16 << 10);
    let file = rate.map_or(file.clone(), |rate| file.rate(rate));
    let flights = env
        .source("flights", file)
        .parallelism(1)
        // A row that was taken out leaves an empty line.
        .filter(|line| !line.content.is_empty())
        .parallelism(1)
        .parse_csv::<Flight>(Malformed::Fail)
        .parallelism(1)
        .watermarks(
            WatermarkStrategy::bounded_out_of_orderness(Duration::from_secs(3_600))
                .timestamps(|flight: &Flight| flight.scheduled_ms)
                .emit_every(watermark_every as u64),
        )
        .parallelism(1);
    let hours = flights
        .key_by(|flight| (flight.carrier.clone(), flight.origin.clone()))
        .window(Tumbling::event_time(Duration::from_secs(3_600)))
        .late_to(LATE_FLIGHTS)
        .aggregate(DelaySum)
        .uid("per-hour");
    let late = hours.side_output(LATE_FLIGHTS);
    late.sink("late", FileSink::new(&format!("{output}/late"), late_line));
    hours.sink(
        "departures",
        FileSink::new(&format!("{output}/departures"), |row: &Hour| {
            let ((carrier, origin), window, (count, delay_min)) = row;
            departures_line((carrier, origin), window.start.0, *count, *delay_min)
        }),
    );
}

fn departures_line(
    (carrier, origin): (&str, &str),
    hour_ms: i64,
    count: u64,
    delay_min: i64,
) -> String {
    #[expect(clippy::cast_precision_loss, reason = "a month of delays is far below 2^53")]
    let mean = delay_min as f64 / count as f64;
    format!("{carrier},{origin},{hour_ms},{count},{mean:.2}")
}

fn late_line(flight: &Flight) -> String {
    let Flight { scheduled_ms, carrier, flight, origin, delay_min, .. } = flight;
    format!("{carrier}{flight},{origin},{scheduled_ms},{delay_min}")
}

/// Chooses consecutive rows of the file, and of them those that are kept.
fn prepare(input: &Input) -> PreparedJob {
    let (header, all) = &*FILE;
    let choices = (all.len() - input.size.min(all.len()) + 1) as u64;
    let start = super::mix(input.seed) % choices;
    let place = |index: u64| usize::try_from(start + index).expect("the file fits into memory");
    let row = |index| if input.has(index) { all.get(place(index)).copied() } else { Some("") };
    let lines: Vec<&str> = (0..input.size as u64).filter_map(row).collect();
    let content = format!("{header}\n{}\n", lines.join("\n"));
    let rate = Input::rate_of(lines.len() as u64, Duration::from_secs(4));
    let rows: Vec<&str> = lines.into_iter().filter(|line| !line.is_empty()).collect();
    let watermark_every = input.watermark_every(WATERMARK_EVERY);
    let build = move |env: &Environment| build(env, INPUT, "output", Some(rate), watermark_every);
    PreparedJob {
        objects: vec![(INPUT.to_owned(), content.into_bytes())],
        ..PreparedJob::new(build, expected(&rows, watermark_every))
    }
}

/// The naive model: the rows in order, a running maximum, and two maps.
pub fn expected(rows: &[&str], watermark_every: usize) -> Lines {
    const HOUR_MS: i64 = 3_600_000;
    let mut sums: BTreeMap<(&str, &str, i64), (u64, i64)> = BTreeMap::new();
    let mut late = Vec::new();
    let (mut latest, mut watermark) = (i64::MIN, i64::MIN);
    for (index, row) in rows.iter().enumerate() {
        let column: Vec<&str> = row.split(',').collect();
        let number = |column: &str| column.parse::<i64>().expect("the file is well-formed");
        let (scheduled, delay) = (number(column[1]), number(column[7]));
        let hour = scheduled.div_euclid(HOUR_MS) * HOUR_MS;
        if hour + HOUR_MS - 1 <= watermark {
            late.push(format!("{}{},{},{scheduled},{delay}", column[2], column[3], column[5]));
        } else {
            let sum = sums.entry((column[2], column[5], hour)).or_default();
            *sum = (sum.0 + 1, sum.1 + delay);
        }
        latest = latest.max(scheduled);
        if (index + 1) % watermark_every == 0 {
            watermark = latest - HOUR_MS - 1;
        }
    }
    let departures = sums.into_iter().map(|((carrier, origin, hour), (count, delay))| {
        departures_line((carrier, origin), hour, count, delay)
    });
    BTreeMap::from([(DEPARTURES, departures.collect()), (LATE, late)])
}
