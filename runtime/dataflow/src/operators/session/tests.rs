//! What a restart changes, which is nothing, and what is kept in memory.

use floodmark_model::Record;

use super::*;
use crate::{
    Chained, Push as _, Stage as _,
    operators::{
        ReduceWith,
        trial::{self, LAYOUT, Log, frozen},
    },
};

/// Sessions of numbers by their last digit, of which each is added up. They end after 100 ms.
fn opened(
    log: &Log,
    from: Option<Snapshot>,
    watermark: Timestamp,
) -> Chained<impl Operator<In = u64> + Kept + use<>> {
    let key_of = KeyOf::new(LAYOUT, |number: &u64| number % 10);
    let add = ReduceWith(|left: u64, right| left + right);
    let gap = Duration::from_millis(100);
    let operator = SessionOperator::new("sums".to_owned(), gap, None, key_of, add);
    trial::opened(operator, log, from, watermark)
}

/// What is kept in memory.
trait Kept {
    fn note_count(&self) -> usize;
}

impl<T, K, F, A: Accumulate<T>> Kept for SessionOperator<T, K, F, A> {
    fn note_count(&self) -> usize {
        self.opened.as_ref().expect("it is open").notes.count()
    }
}

fn records(records: impl IntoIterator<Item = (i64, u64)>) -> Batch<u64> {
    let record = |(time, value)| Record { timestamp: Timestamp(time), value };
    records.into_iter().map(record).collect()
}

/// Returns what is emitted when an attempt ends after so many steps, if it does.
fn emitted(restart_after: Option<i64>) -> String {
    let log = Log::default();
    let mut stage = opened(&log, None, Timestamp::MIN);
    for step in 0..60_i64 {
        // Many begin and end at one time; keys come and go, and some records lie before others.
        let number = |key: u64| key * 7 % 10 + 10 * step.cast_unsigned();
        let time = |key| step * 20 - i64::from(key % 3 == 0) * 70;
        let keys = (0..10).filter(|key| (step.cast_unsigned() / 7 + key) % 4 < 2);
        stage.push(records(keys.map(|key| (time(key), number(key))))).unwrap();
        let watermark = Timestamp(step * 20 - 80);
        stage.on_watermark(watermark).unwrap();
        if restart_after == Some(step) {
            let snapshot = frozen(&mut stage);
            stage = opened(&Log::default(), Some(snapshot), watermark);
            let again = frozen(&mut stage);
            stage = opened(&log, Some(again), watermark);
        }
    }
    stage.on_watermark(Timestamp::MAX).unwrap();
    let lines = log.text();
    let lines = lines.lines().filter(|line| !line.contains("opens"));
    lines.collect::<Vec<_>>().join("\n")
}

#[test]
fn rows_come_in_the_same_order_after_a_restart() {
    let calm = emitted(None);
    assert!(calm.lines().any(|line| 3 < line.matches("Window").count()), "{calm}");
    (0..60).for_each(|step| assert_eq!(emitted(Some(step)), calm, "restart after step {step}"));
}

#[test]
fn sessions_before_one_far_ahead_leave_few_notes() {
    let log = Log::default();
    let mut stage = opened(&log, None, Timestamp::MIN);
    stage.push(records([(1_000_000, 1)])).unwrap();
    for step in 0..1_000 {
        stage.push(records([(step * 300, 1)])).unwrap();
        stage.on_watermark(Timestamp(step * 300 + 200)).unwrap();
        let note_count = stage.operator.note_count();
        assert!(note_count <= NOTE_COUNT_MAX + NOTE_RATIO_MAX + 1, "{note_count} notes for a key");
    }
    assert_eq!(log.text().matches("Window").count(), 1_000);
}
