//! Visits to a site: clicks of visitors, of which those of one visit are a session.
//!
//! A visitor clicks a few times and goes away, for about as long as a visit lasts behind its last click;
//! so some visits become one again when a click comes that lies between them, and others do not. Clicks
//! are out of order, but none is late.

use std::{collections::BTreeMap, time::Duration};

use floodmark::{Environment, FileSink, Session, WatermarkStrategy, Window};

use super::{Input, PreparedJob, ScenarioJob, mix};

/// The job, with clicks from 0.
pub const JOB: ScenarioJob = ScenarioJob { name: "visits", prepare };

const OUTPUT: &str = "output/visits";
const VISITOR_COUNT: u64 = 12;
/// From one click to the next, of any visitor.
const STEP_MS: i64 = 20;
/// How far clicks are out of order. Their times are even.
const DISORDER_MS: u64 = 600;
/// How long nothing comes behind a visit. It is odd, so that no visit begins at the moment at which another
/// ends: whether those are one depends on whether the first has been told before.
const GAP_MS: i64 = 1_001;

/// Clicks between two watermarks of a subtask.
const WATERMARK_EVERY: u64 = 4;

/// A visitor, and the time in milliseconds.
type Click = (u64, i64);

fn click(seed: u64, index: u64) -> Click {
    let random = mix(seed ^ mix(index));
    // Seven visitors are there at a time, and others after a while.
    let visitor = (index / 40 * 5 + random % 7) % VISITOR_COUNT;
    let jitter = i64::try_from((random >> 8) % (DISORDER_MS / 2) * 2).expect("less than a second");
    let index = i64::try_from(index).expect("a run is short");
    (visitor, index * STEP_MS + jitter)
}

fn prepare(input: &Input) -> PreparedJob {
    let expected = expected(input.seed, &input.indices());
    let input = input.clone();
    PreparedJob::new(move |env| build(env, &input), BTreeMap::from([(OUTPUT, expected)]))
}

fn build(env: &Environment, input: &Input) {
    let seed = input.seed;
    let clicks = input.source((0, 1), Duration::from_secs(14), move |index| click(seed, index));
    let strategy = WatermarkStrategy::bounded_out_of_orderness(Duration::from_millis(DISORDER_MS))
        .timestamps(|click: &Click| click.1)
        .emit_every(WATERMARK_EVERY);
    env.source("clicks", clicks)
        .watermarks(strategy)
        .key_by(|(visitor, _)| *visitor)
        .window(Session::event_time(Duration::from_millis(GAP_MS.unsigned_abs())))
        .count()
        .uid("visits")
        .sink(
            "visits-seen",
            FileSink::new(OUTPUT, |(visitor, window, count): &(u64, Window, u64)| {
                line(*visitor, window.start.0, window.end.0, *count)
            }),
        );
}

fn line(visitor: u64, start: i64, end: i64, count: u64) -> String {
    format!("{visitor},{start},{end},{count}")
}

/// The naive model: the clicks of each visitor in their order, cut where there is a gap.
fn expected(seed: u64, indices: &[u64]) -> Vec<String> {
    let mut times: BTreeMap<u64, Vec<i64>> = BTreeMap::new();
    for (visitor, time) in indices.iter().map(|index| click(seed, *index)) {
        times.entry(visitor).or_default().push(time);
    }
    let mut lines = Vec::new();
    for (visitor, mut times) in times {
        times.sort_unstable();
        for visit in times.chunk_by(|before, after| after - before <= GAP_MS) {
            let (first, last) = (visit[0], visit[visit.len() - 1]);
            lines.push(line(visitor, first, last + GAP_MS, visit.len() as u64));
        }
    }
    lines
}
