//! What a restart changes, which is nothing, and what is kept in memory.

use floodmark_model::Record;
use floodmark_wire::key_hash;

use super::*;
use crate::{
    Chained, Push as _, Stage as _,
    operators::{
        ReduceWith,
        trial::{self, LAYOUT, Log, frozen},
    },
};

/// Sessions of numbers by their last two digits, of which each is added up. They end after 10 s, and
/// are noted in buckets of 256 ms.
fn opened(
    log: &Log,
    from: Option<Snapshot>,
    watermark: Timestamp,
) -> Chained<impl Operator<In = u64> + Kept + use<>> {
    let key_of = KeyOf::new(LAYOUT, |number: &u64| number % 100);
    let add = ReduceWith(|left: u64, right| left + right);
    let gap = Duration::from_secs(10);
    let operator = SessionOperator::new("sums".to_owned(), gap, None, key_of, add);
    trial::opened(operator, log, from, watermark)
}

/// What is kept in memory.
trait Kept {
    fn entry_count(&self) -> usize;
    fn note_count(&self) -> usize;
}

impl<T, K: Key, F, A: Accumulate<T>> Kept for SessionOperator<T, K, F, A> {
    fn entry_count(&self) -> usize {
        self.opened.as_ref().expect("it is open").sessions.entry_count()
    }

    fn note_count(&self) -> usize {
        self.opened.as_ref().expect("it is open").notes.count()
    }
}

fn records(records: impl IntoIterator<Item = (i64, u64)>) -> Batch<u64> {
    let record = |(time, value)| Record { timestamp: Timestamp(time), value };
    records.into_iter().map(record).collect()
}

const STEP_COUNT: u32 = 200;

/// Returns what comes in a step: seven records of a few keys, which are others later, at times that
/// several of them have, some more than a gap ahead; and now and then one record of two keys for a while.
fn step_records(step: u32) -> Batch<u64> {
    let (count, key_count) = if step % 80 < 30 { (7, 16) } else { (1, 2) };
    records((0..count).map(|index| {
        let drawn = key_hash(&(step, index));
        let key = (u64::from(step) / 10 * 7 + drawn % key_count) % 100;
        let ahead = i64::try_from(drawn >> 32 & 0xff).expect("it is small") - 100;
        let late_ms = if drawn >> 40 & 1 == 0 { 100 } else { 0 };
        (i64::from(step) * 1_000 + ahead / 8 * 1_000 + late_ms, key + 100 * u64::from(step))
    }))
}

/// What an operator emitted, and how often it has forgotten keys.
struct Story {
    text: String,
    forgot_count: usize,
}

/// Runs the operator, and ends the attempt after a step, if it is told to.
fn run(restart_after: Option<u32>) -> Story {
    let log = Log::default();
    let mut stage = opened(&log, None, Timestamp::MIN);
    let mut forgot_count = 0;
    for step in 0..STEP_COUNT {
        stage.push(step_records(step)).unwrap();
        let before = stage.operator().entry_count();
        let watermark = Timestamp(i64::from(step / 5) * 5_000 - 12_000);
        stage.on_watermark(watermark).unwrap();
        forgot_count += usize::from(stage.operator().entry_count() < before);
        if restart_after == Some(step) {
            let snapshot = frozen(&mut stage);
            stage = opened(&log, Some(snapshot), watermark);
        }
    }
    stage.on_watermark(Timestamp::MAX).unwrap();
    let text = log.text();
    let lines = text.lines().filter(|line| !line.contains("opens"));
    Story { text: lines.collect::<Vec<_>>().join("\n"), forgot_count }
}

/// Returns the ends of the rows of a line.
fn ends(line: &str) -> Vec<i64> {
    let rows = line.split("end: Timestamp(").skip(1);
    let end = |row: &str| row.split(')').next().and_then(|end| end.parse().ok());
    rows.map(|row| end(row).expect("an end is a number")).collect()
}

#[test]
fn rows_come_in_the_order_of_ends_and_in_the_same_order_after_a_restart() {
    let calm = run(None);
    let rows: Vec<_> = calm.text.lines().map(ends).collect();
    assert!(rows.iter().all(|ends| ends.is_sorted()), "{}", calm.text);
    // The story is not an easy one.
    let pairs = || rows.iter().flat_map(|ends| ends.windows(2));
    let same_count = pairs().filter(|pair| pair[0] == pair[1]).count();
    let near_count = pairs().filter(|pair| pair[0] != pair[1] && pair[1] - pair[0] < 256).count();
    assert!(10 < same_count && 10 < near_count, "{same_count} {near_count}\n{}", calm.text);
    assert!(0 < calm.forgot_count, "no key was forgotten");
    for step in 0..STEP_COUNT {
        assert_eq!(run(Some(step)).text, calm.text, "restart after step {step}");
    }
}

#[test]
fn sessions_before_one_far_ahead_leave_few_notes() {
    let log = Log::default();
    let mut stage = opened(&log, None, Timestamp::MIN);
    stage.push(records([(100_000_000, 1)])).unwrap();
    for step in 0..1_000 {
        stage.push(records([(step * 30_000, 1)])).unwrap();
        stage.on_watermark(Timestamp(step * 30_000 + 20_000)).unwrap();
        let note_count = stage.operator().note_count();
        assert!(note_count <= NOTE_COUNT_MAX + NOTE_RATIO_MAX + 1, "{note_count} notes for a key");
    }
    assert_eq!(log.text().matches("Window").count(), 1_000);
}
