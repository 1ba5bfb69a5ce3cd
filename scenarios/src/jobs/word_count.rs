//! Words per five seconds, from two sources that are united and rebalanced.

use std::{collections::BTreeMap, time::Duration};

use floodmark::{Environment, FileSink, Stream, Tumbling, WatermarkStrategy, Window};

use super::{Input, PreparedJob, ScenarioJob, mix};

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

/// Returns line `index`: three words, now and then none at all. The sources take turns.
fn line(seed: u64, index: u64) -> TimedLine {
    let random = mix(seed ^ mix(index));
    let word = |shift: u32| WORDS[usize::try_from((random >> shift) % 12).expect("below 12")];
    let time = i64::try_from(index / 2).expect("a run is short") * STEP_MS;
    let text = if random.is_multiple_of(17) {
        String::new()
    } else {
        format!("{} {} {}", word(8), word(24), word(40))
    };
    (text, time)
}

fn prepare(input: &Input) -> PreparedJob {
    let expected = expected(input.seed, &input.indices());
    let input = input.clone();
    PreparedJob::new(move |env| build(env, &input), BTreeMap::from([(OUTPUT, expected)]))
}

fn build(env: &Environment, input: &Input) {
    let seed = input.seed;
    let lines = |source: u64, name: &str| -> Stream<TimedLine> {
        let lines =
            input.source((source, 2), Duration::from_secs(8), move |index| line(seed, index));
        let bound = Duration::from_millis(40 * 8 * (u64::from(DISORDER) + 1));
        env.source(name, lines.disorder(seed ^ source, DISORDER)).watermarks(
            WatermarkStrategy::bounded_out_of_orderness(bound)
                .timestamps(|line: &TimedLine| line.1)
                .emit_every(input.watermark_every(8) as u64),
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
fn expected(seed: u64, indices: &[u64]) -> Vec<String> {
    let mut counts: BTreeMap<(String, i64), u64> = BTreeMap::new();
    for (text, time) in indices.iter().map(|index| line(seed, *index)) {
        for word in text.split_whitespace() {
            let window = time / WINDOW_MS * WINDOW_MS;
            *counts.entry((word.to_owned(), window)).or_default() += 1;
        }
    }
    counts.into_iter().map(|((word, start), count)| format!("{word},{start},{count}")).collect()
}
