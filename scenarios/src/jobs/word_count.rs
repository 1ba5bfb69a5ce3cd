//! Words per five seconds, from two sources that are united and rebalanced.

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use floodmark::{Environment, FileSink, Generator, Stream, Tumbling, WatermarkStrategy, Window};

use super::{Input, PreparedJob, ScenarioJob, mix, no_law};

/// The job, with lines that the seed makes up.
pub const JOB: ScenarioJob = ScenarioJob { name: "word_count", prepare };

const OUTPUT: &str = "output/counts";
const WORDS: [&str; 12] = [
    "river", "flood", "gate", "mark", "tide", "dyke", "rain", "level", "pump", "delta", "sluice",
    "barrier",
];
const WINDOW_MS: i64 = 5_000;
const STEP_MS: i64 = 40;
const DISORDER: u16 = 8;

/// A line of one of the two sources, and its time.
type TimedLine = (String, i64);

/// Returns line `index` of source `source`: three words, now and then none at all.
fn line(seed: u64, source: u64, index: u64) -> TimedLine {
    let random = mix(seed ^ mix(index * 2 + source));
    let word = |shift: u32| WORDS[usize::try_from((random >> shift) % 12).expect("below 12")];
    let time = i64::try_from(index).expect("a run is short") * STEP_MS;
    let text = if random.is_multiple_of(17) {
        String::new()
    } else {
        format!("{} {} {}", word(8), word(24), word(40))
    };
    (text, time)
}

fn prepare(input: &Input) -> PreparedJob {
    // The sources take turns: record 2 i is line i of one of them, record 2 i + 1 of the other.
    let seed = input.seed;
    let of = |source: u64| -> Arc<[u64]> {
        let indices = input.indices().into_iter();
        indices.filter(|index| index % 2 == source).map(|index| index / 2).collect()
    };
    let lines = [of(0), of(1)];
    PreparedJob {
        objects: Vec::new(),
        expected: BTreeMap::from([(OUTPUT, expected(seed, &lines))]),
        build: Box::new(move |env| build(env, seed, &lines)),
        law: no_law,
        outside: None,
    }
}

fn build(env: &Environment, seed: u64, indices: &[Arc<[u64]>; 2]) {
    let lines = |source: u64, name: &str| -> Stream<TimedLine> {
        let indices = indices[usize::try_from(source).expect("there are two sources")].clone();
        let rate = Input::rate_of(indices.len(), Duration::from_secs(8));
        let count = indices.len() as u64;
        let nth = move |place: u64| indices[usize::try_from(place).expect("below the length")];
        let bound = Duration::from_millis(40 * 8 * (u64::from(DISORDER) + 1));
        env.source(
            name,
            Generator::new(count, move |place| line(seed, source, nth(place)))
                .rate(rate)
                .disorder(seed ^ source, DISORDER),
        )
        .watermarks(
            WatermarkStrategy::bounded_out_of_orderness(bound)
                .timestamps(|line: &TimedLine| line.1)
                .emit_every(8),
        )
    };
    lines(0, "north")
        .union(lines(1, "south"))
        .rebalance()
        .flat_map(|(text, _)| text.split_whitespace().map(str::to_owned).collect::<Vec<_>>())
        .key_by(Clone::clone)
        .window(Tumbling::event_time(Duration::from_millis(5_000)))
        .fold(0_u64, |count, _| *count += 1)
        .uid("count")
        .sink(
            "counts",
            FileSink::new(OUTPUT, |(word, window, count): &(String, Window, u64)| {
                format!("{word},{},{count}", window.start.0)
            }),
        );
}

/// The naive model: all words of all lines in a map by word and window.
fn expected(seed: u64, lines: &[Arc<[u64]>; 2]) -> Vec<String> {
    let mut counts: BTreeMap<(String, i64), u64> = BTreeMap::new();
    for (source, indices) in (0..).zip(lines) {
        for (text, time) in indices.iter().map(|index| line(seed, source, *index)) {
            for word in text.split_whitespace() {
                let window = time / WINDOW_MS * WINDOW_MS;
                *counts.entry((word.to_owned(), window)).or_default() += 1;
            }
        }
    }
    counts.into_iter().map(|((word, start), count)| format!("{word},{start},{count}")).collect()
}
