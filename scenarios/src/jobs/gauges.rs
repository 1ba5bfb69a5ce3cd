//! Water gauges, each a split of its own: some send quickly, some slowly, some begin late, some fall
//! silent for a while, some are taken down early.
//!
//! There are twelve gauges, so each subtask of the source reads at least three. Readings of the same
//! moment of event time come at very different moments of the run, and yet none is late: every gauge
//! has a watermark of its own. The results are readings per river and two seconds.

use std::{
    collections::BTreeMap,
    task::{Context, Poll},
    time::Duration,
};

use floodmark::{
    Batch, BoxError, Environment, FileSink, HybridSource, Source, SplitReader, Stream, Tumbling,
    VecSource, WatermarkStrategy, Window,
    platform::{BoxFuture, Machine},
};
use serde::{Deserialize, Serialize};

use super::{Input, PreparedJob, ScenarioJob, mix};

/// Gauges of different speed, none of which is ever idle. A reading behind the watermark of its own
/// gauge would be late.
pub const SKEWED: ScenarioJob = ScenarioJob { name: "skewed_gauges", prepare: prepare_skewed };

/// Gauges that fall silent and are declared idle, others that say next to nothing, and a source that
/// ends at once. Every window waits
/// for the end of all input, because what an idle gauge sends later may be late by any amount.
pub const IDLE: ScenarioJob = ScenarioJob { name: "idle_gauges", prepare: prepare_idle };

/// Two sources of gauges of different speed, which wait for each other.
pub const ALIGNED: ScenarioJob = ScenarioJob { name: "aligned_gauges", prepare: prepare_aligned };

/// Gauges that have written, and then others that send, read by one source.
pub const WRITTEN_AND_LIVE: ScenarioJob =
    ScenarioJob { name: "written_and_live_gauges", prepare: prepare_written_and_live };

const OUTPUT: &str = "output/readings";
const GAUGE_COUNT: u64 = 12;
const RIVER_COUNT: u64 = 7;
const WINDOW_MS: i64 = 2_000;
/// Event time of a whole run.
const RANGE_MS: i64 = 20_000;
/// How far the readings of one gauge are out of order.
const DISORDER_MS: u64 = 400;
/// Readings between two watermarks of a gauge.
const WATERMARK_EVERY: u64 = 4;
/// How far a gauge may be ahead of the slowest one, of those that wait for each other: more than the
/// time between two readings of any.
const MAX_DRIFT: Duration = Duration::from_millis(2_500);
const ALIGN_EVERY: Duration = Duration::from_millis(50);
/// Readings of the source that ends at once.
const CLOSED_COUNT: u64 = 10;

/// A river, and the time in milliseconds.
type Reading = (u64, i64);

/// How a gauge sends.
#[derive(Clone, Copy)]
struct Habit {
    /// Readings in all, and their distance in event time.
    count: u64,
    step_ms: i64,
    /// Before every reading.
    pause: Duration,
    /// Before a certain reading, besides.
    silence: (u64, Duration),
}

/// The gauges.
#[derive(Clone)]
struct Gauges {
    seed: u64,
    size: u64,
    manner: Manner,
    /// The readings that there are, by their place among all; all of them if not given.
    input: Input,
    /// The place of the first one, and the time before which there is none.
    first: u64,
    from_ms: i64,
}

/// What the gauges of a source have in common.
#[derive(Clone, Copy, PartialEq)]
enum Manner {
    /// None is silent for long, but for those that begin late.
    Busy,
    /// Most fall silent at about the same moment.
    Moody,
    /// They send two readings, and a last one much later.
    Quiet,
}

/// A gauge, and its next reading.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
struct Position {
    gauge: u64,
    next: u64,
}

struct Reader {
    gauges: Gauges,
    position: Position,
    machine: Machine,
    sleep: Option<BoxFuture<()>>,
}

impl Gauges {
    fn habit(&self, gauge: u64) -> Habit {
        let unit = (self.size / 30).max(8);
        let millis = Duration::from_millis;
        let habit = |count: u64, lasts_ms: u64, silence| Habit {
            count,
            step_ms: RANGE_MS / i64::try_from(count).expect("a run is short"),
            pause: millis(lasts_ms / count),
            silence,
        };
        // Drawn per gauge and seed, so that each subtask has a mix of its own.
        let kind = mix(self.seed ^ mix(gauge)) % 4;
        // All gauges fall silent at about the same moment, most of them once.
        let silence = |reading: u64| match self.manner {
            Manner::Busy => (0, Duration::ZERO),
            Manner::Moody | Manner::Quiet => (reading, millis(1_500)),
        };
        match kind {
            _ if self.manner == Manner::Quiet => habit(3, 60, (2, millis(2_800))),
            0 => habit(unit, 800, silence(unit - 1)),
            1 => habit(unit * 4, 3_000, silence(unit)),
            2 => habit(unit, 800, (0, millis(1_500))),
            _ => Habit { count: unit / 4, ..habit(unit, 1_600, (0, Duration::ZERO)) },
        }
    }

    fn reading(&self, gauge: u64, index: u64) -> Reading {
        let random = mix(self.seed ^ mix(gauge << 32 | index));
        let jitter = i64::try_from(random % DISORDER_MS).expect("less than a second");
        let start = i64::try_from(index).expect("a run is short") * self.habit(gauge).step_ms;
        ((gauge + index) % RIVER_COUNT, self.from_ms + start + jitter)
    }

    /// Returns whether a reading is part of the input.
    fn is_kept(&self, gauge: u64, index: u64) -> bool {
        let before: u64 = (0..gauge).map(|gauge| self.habit(gauge).count).sum();
        self.input.has(self.first + before + index)
    }

    fn count(&self) -> u64 {
        (0..GAUGE_COUNT).map(|gauge| self.habit(gauge).count).sum()
    }

    fn all_readings(&self) -> impl Iterator<Item = Reading> {
        let all = (0..GAUGE_COUNT)
            .flat_map(|gauge| (0..self.habit(gauge).count).map(move |index| (gauge, index)));
        let kept = all.filter(|(gauge, index)| self.is_kept(*gauge, *index));
        kept.map(|(gauge, index)| self.reading(gauge, index))
    }
}

impl Source for Gauges {
    type Out = Reading;
    type Split = Position;

    fn splits(&self, _: &Machine, _: u16) -> BoxFuture<Result<Vec<Position>, BoxError>> {
        let splits = (0..GAUGE_COUNT).map(|gauge| Position { gauge, next: 0 }).collect();
        Box::pin(async { Ok(splits) })
    }

    fn read(&self, machine: &Machine, position: Position) -> Box<dyn SplitReader<Self>> {
        let (gauges, machine) = (self.clone(), machine.clone());
        Box::new(Reader { gauges, position, machine, sleep: None })
    }
}

impl SplitReader<Gauges> for Reader {
    fn poll_next(
        &mut self,
        cx: &mut Context<'_>,
    ) -> Poll<Result<Option<Batch<Reading>>, BoxError>> {
        let gauge = self.position.gauge;
        let Habit { count, pause, silence, .. } = self.gauges.habit(gauge);
        while self.position.next < count {
            let next = self.position.next;
            let sleep = self.sleep.get_or_insert_with(|| {
                let extra = if silence.0 == next { silence.1 } else { Duration::ZERO };
                self.machine.clock().sleep_until(self.machine.now() + pause + extra)
            });
            std::task::ready!(sleep.as_mut().poll(cx));
            self.sleep = None;
            self.position.next += 1;
            if self.gauges.is_kept(gauge, next) {
                return Poll::Ready(Ok(Some(vec![self.gauges.reading(gauge, next).into()])));
            }
        }
        Poll::Ready(Ok(None))
    }

    fn position(&self) -> Position {
        self.position
    }
}

/// Returns the gauges of a source whose readings begin at the place `first`.
fn gauges(input: &Input, seed: u64, manner: Manner, first: u64) -> Gauges {
    let (size, input) = (input.size as u64, input.clone());
    Gauges { seed, size, manner, input, first, from_ms: 0 }
}

fn prepare_skewed(input: &Input) -> PreparedJob {
    let gauges = gauges(input, input.seed, Manner::Busy, 0);
    let expected = expected(gauges.all_readings());
    let build = move |env: &Environment| {
        let strategy =
            WatermarkStrategy::bounded_out_of_orderness(Duration::from_millis(DISORDER_MS));
        count(read(env, "gauges", gauges.clone(), strategy));
    };
    PreparedJob::new(build, BTreeMap::from([(OUTPUT, expected)]))
}

fn prepare_aligned(input: &Input) -> PreparedJob {
    let first = gauges(input, input.seed, Manner::Busy, 0);
    let second = gauges(input, mix(input.seed), Manner::Busy, first.count());
    let expected = expected(first.all_readings().chain(second.all_readings()));
    let build = move |env: &Environment| {
        let strategy = || {
            WatermarkStrategy::bounded_out_of_orderness(Duration::from_millis(DISORDER_MS))
                .timestamps(|reading: &Reading| reading.1)
                .emit_every(1)
                .align("gauges", MAX_DRIFT)
                .align_every(ALIGN_EVERY)
        };
        let other = env.source("others", second.clone()).watermarks(strategy());
        count(env.source("gauges", first.clone()).watermarks(strategy()).union(other));
    };
    PreparedJob::new(build, BTreeMap::from([(OUTPUT, expected)]))
}

fn prepare_written_and_live(input: &Input) -> PreparedJob {
    let written = gauges(input, input.seed, Manner::Busy, 0);
    let live = gauges(input, mix(input.seed), Manner::Busy, written.count());
    let live = Gauges { from_ms: RANGE_MS, ..live };
    let expected = expected(written.all_readings().chain(live.all_readings()));
    let build = move |env: &Environment| {
        let strategy =
            WatermarkStrategy::bounded_out_of_orderness(Duration::from_millis(DISORDER_MS));
        let source = HybridSource::new(written.clone(), live.clone());
        count(read(env, "gauges", source, strategy));
    };
    PreparedJob::new(build, BTreeMap::from([(OUTPUT, expected)]))
}

fn prepare_idle(input: &Input) -> PreparedJob {
    let moody = gauges(input, input.seed, Manner::Moody, 0);
    let quiet = gauges(input, mix(input.seed), Manner::Quiet, moody.count());
    let first = quiet.first + quiet.count();
    let is_kept = |index: &u64| input.has(first + index);
    let closed = (0..CLOSED_COUNT).filter(is_kept).map(|index| (index % RIVER_COUNT, 0));
    let (gauges, closed): (_, Vec<Reading>) = (moody, closed.collect());
    let open = gauges.all_readings().chain(quiet.all_readings());
    let expected = expected(open.chain(closed.iter().copied()));
    let build = move |env: &Environment| {
        let patience = Duration::from_secs(10 * RANGE_MS.unsigned_abs() / 1_000);
        let strategy = || WatermarkStrategy::bounded_out_of_orderness(patience);
        let silent = strategy().idle_after(Duration::from_millis(300));
        let closed = env.source("closed", VecSource::new(closed.clone()));
        let closed = closed.watermarks(strategy().timestamps(|reading: &Reading| reading.1));
        let quiet = read(env, "quiet", quiet.clone(), silent.clone());
        count(read(env, "gauges", gauges.clone(), silent).union(quiet).union(closed));
    };
    PreparedJob::new(build, BTreeMap::from([(OUTPUT, expected)]))
}

fn read(
    env: &Environment,
    name: &str,
    gauges: impl Source<Out = Reading>,
    strategy: WatermarkStrategy<Reading>,
) -> Stream<Reading> {
    let strategy = strategy.timestamps(|reading: &Reading| reading.1).emit_every(WATERMARK_EVERY);
    env.source(name, gauges).watermarks(strategy)
}

fn count(readings: Stream<Reading>) {
    let window = Duration::from_millis(WINDOW_MS.unsigned_abs());
    readings
        .key_by(|(river, _)| *river)
        .window(Tumbling::event_time(window))
        .fold(0_u64, |count, _| *count += 1)
        .uid("count")
        .sink(
            "readings",
            FileSink::new(OUTPUT, |(river, window, count): &(u64, Window, u64)| {
                format!("{river},{},{count}", window.start.0)
            }),
        );
}

/// The naive model: all readings in a map by river and window.
fn expected(readings: impl Iterator<Item = Reading>) -> Vec<String> {
    let mut counts: BTreeMap<(u64, i64), u64> = BTreeMap::new();
    for (river, time) in readings {
        *counts.entry((river, time / WINDOW_MS * WINDOW_MS)).or_default() += 1;
    }
    counts.into_iter().map(|((river, start), count)| format!("{river},{start},{count}")).collect()
}
