//! Event time: timestamps for records, and promises about those to come.

use std::{sync::Arc, time::Duration};

use floodmark_model::{Batch, Timestamp};
use floodmark_state::{Data, Snapshot, freeze_value};
use serde::{Deserialize, Serialize};

use crate::{
    Error,
    chain::{Emitter, OpenContext, Operator},
};

/// Records between two watermarks, unless the strategy says otherwise.
const WATERMARK_EVERY: u64 = 64;

/// How event time follows from records.
///
/// `watermark = maximum timestamp so far − bound − 1 ms`, and never goes back. A watermark follows
/// every [`WatermarkStrategy::emit_every`] records of a subtask. Counting records rather than time
/// makes the position of every watermark, and so what is late, a function of the input alone: a
/// recovery does not change it.
pub struct WatermarkStrategy<T> {
    bound: Duration,
    idle_after: Option<Duration>,
    every: u64,
    timestamp_of: Option<Arc<TimestampOf<T>>>,
}

type TimestampOf<T> = dyn Fn(&T) -> i64 + Send + Sync;

impl<T> Clone for WatermarkStrategy<T> {
    fn clone(&self) -> Self {
        let Self { bound, idle_after, every, timestamp_of } = self;
        Self {
            bound: *bound,
            idle_after: *idle_after,
            every: *every,
            timestamp_of: timestamp_of.clone(),
        }
    }
}

impl<T> WatermarkStrategy<T> {
    /// For timestamps that never go back within a subtask. An earlier one is late.
    pub fn ascending() -> Self {
        Self::bounded_out_of_orderness(Duration::ZERO)
    }

    /// For timestamps that fall behind the latest one by at most `bound`. A larger bound waits
    /// longer with results and makes fewer records late.
    pub fn bounded_out_of_orderness(bound: Duration) -> Self {
        Self { bound, idle_after: None, every: WATERMARK_EVERY, timestamp_of: None }
    }

    /// Takes each record's timestamp, in milliseconds since the Unix epoch, from `timestamp_of`.
    /// Without it the timestamps that records already have are used.
    #[must_use]
    pub fn timestamps(self, timestamp_of: impl Fn(&T) -> i64 + Send + Sync + 'static) -> Self {
        Self { timestamp_of: Some(Arc::new(timestamp_of)), ..self }
    }

    /// Declares the subtask idle when it had no record for this long, so that it does not hold back
    /// the others. Time during which those downstream were not ready does not count. Noticed at the
    /// next heartbeat interval.
    #[must_use]
    pub fn idle_after(self, duration: Duration) -> Self {
        Self { idle_after: Some(duration), ..self }
    }

    /// Emits a watermark after every `count` records. Fewer let results appear sooner; more cost
    /// less. At least 1.
    #[must_use]
    pub fn emit_every(self, count: u64) -> Self {
        assert!(0 < count, "a watermark follows at least one record");
        Self { every: count, ..self }
    }
}

/// Assigns timestamps and emits watermarks.
pub struct WatermarkOperator<T> {
    uid: String,
    strategy: WatermarkStrategy<T>,
    progress: Progress,
    idleness: Idleness,
}

/// What is kept in snapshots.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Progress {
    /// The largest timestamp so far.
    latest: Timestamp,
    /// The last watermark that was emitted.
    emitted: Timestamp,
    /// Records since then, or since the last chance to emit.
    since: u64,
}

/// Whether records come. Not kept: a restored subtask is active until it has been silent anew.
#[derive(Debug, Default)]
struct Idleness {
    /// Records came since the last tick.
    is_active: bool,
    is_idle: bool,
    /// Activity clock at the last tick with records.
    since: Duration,
}

impl<T> WatermarkOperator<T> {
    /// Creates the operator `uid`.
    pub fn new(uid: String, strategy: WatermarkStrategy<T>) -> Self {
        let progress = Progress { latest: Timestamp::MIN, emitted: Timestamp::MIN, since: 0 };
        Self { uid, strategy, progress, idleness: Idleness::default() }
    }

    /// Returns the promise that follows from the records so far, if it is a new one.
    fn promise(&mut self) -> Option<Timestamp> {
        self.progress.since = 0;
        let watermark = self.progress.latest - self.strategy.bound - Duration::from_millis(1);
        if watermark <= self.progress.emitted {
            return None;
        }
        self.progress.emitted = watermark;
        Some(watermark)
    }
}

impl<T: Data> Operator for WatermarkOperator<T> {
    type In = T;
    type Out = T;

    fn open(&mut self, cx: &mut OpenContext<'_>) -> Result<(), Error> {
        if let Some(progress) = cx.restored.take_value(&self.uid, "progress")? {
            self.progress = progress;
        }
        cx.watermark = self.progress.emitted;
        Ok(())
    }

    fn on_batch(&mut self, batch: Batch<T>, out: &mut Emitter<T>) -> Result<(), Error> {
        self.idleness.is_active = true;
        self.idleness.is_idle = false;
        let timestamp_of = self.strategy.timestamp_of.clone();
        for record in batch {
            let timestamp = timestamp_of
                .as_ref()
                .map_or(record.timestamp, |timestamp_of| Timestamp(timestamp_of(&record.value)));
            out.emit(timestamp, record.value);
            self.progress.latest = self.progress.latest.max(timestamp);
            self.progress.since += 1;
            if self.strategy.every <= self.progress.since
                && let Some(watermark) = self.promise()
            {
                out.watermark(watermark)?;
            }
        }
        Ok(())
    }

    fn on_watermark(&mut self, watermark: Timestamp, out: &mut Emitter<T>) -> Result<(), Error> {
        // Watermarks from further up are replaced by our own, except for the end of the input.
        if watermark == Timestamp::MAX && self.progress.emitted < watermark {
            self.progress.emitted = watermark;
            return out.watermark(watermark);
        }
        Ok(())
    }

    fn freeze(&mut self, snapshot: &mut Snapshot) {
        snapshot.add(freeze_value(&self.uid, "progress", self.progress));
    }

    fn on_tick(&mut self, activity: Duration, out: &mut Emitter<T>) -> Result<(), Error> {
        let Some(limit) = self.strategy.idle_after else { return Ok(()) };
        let idleness = &mut self.idleness;
        if std::mem::take(&mut idleness.is_active) {
            idleness.since = activity;
        } else if !idleness.is_idle && limit <= activity.saturating_sub(idleness.since) {
            idleness.is_idle = true;
            return out.idle();
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use std::{
        fmt::Write as _,
        sync::{Arc, Mutex},
    };

    use expect_test::{Expect, expect};
    use floodmark_model::{Barrier, CheckpointId, Record};

    use super::*;
    use crate::{Chained, Commit, Output, Push, SideOutputs, Stage, chain::Outlet};

    /// Writes down what arrives.
    struct Recorder(Arc<Mutex<String>>);

    impl Recorder {
        fn say(&self, text: &str) -> Result<(), Error> {
            writeln!(self.0.lock().unwrap(), "{text}").unwrap();
            Ok(())
        }
    }

    impl Push<i64> for Recorder {
        fn push(&mut self, batch: Batch<i64>) -> Result<(), Error> {
            let times: Vec<_> = batch.iter().map(|record| record.timestamp.0).collect();
            self.say(&format!("records {times:?}"))
        }
    }

    impl Stage for Recorder {
        fn open(&mut self, _: &mut OpenContext<'_>) -> Result<(), Error> {
            Ok(())
        }

        fn on_watermark(&mut self, watermark: Timestamp) -> Result<(), Error> {
            self.say(&format!("watermark {watermark}"))
        }

        fn on_idle(&mut self) -> Result<(), Error> {
            self.say("idle")
        }

        fn on_barrier(&mut self, _: Barrier, _: &mut Snapshot) -> Result<(), Error> {
            Ok(())
        }

        fn freeze(&mut self, _: &mut Snapshot) {}

        fn on_complete(&mut self, _: CheckpointId, _: &mut Vec<Commit>) {}

        fn on_end(&mut self, _: &mut Vec<Commit>) -> Result<(), Error> {
            Ok(())
        }

        fn on_tick(&mut self, _: Duration) -> Result<(), Error> {
            Ok(())
        }

        fn next_timer(&mut self) -> Option<Timestamp> {
            None
        }

        fn on_processing_time(&mut self, _: Timestamp) -> Result<(), Error> {
            Ok(())
        }

        fn visit_outlets(&mut self, _: &mut dyn FnMut(&mut dyn Outlet)) {}
    }

    /// What happens to the operator.
    enum Do {
        Records(&'static [i64]),
        /// A tick after so many seconds of activity.
        Tick(u64),
        End,
    }

    #[track_caller]
    fn check(strategy: WatermarkStrategy<i64>, script: &[Do], want: Expect) {
        let got = Arc::new(Mutex::new(String::new()));
        let operator = WatermarkOperator::new("watermarks".to_owned(), strategy);
        let output = Output::new(vec![Box::new(Recorder(got.clone())) as Box<dyn Push<i64>>]);
        let mut stage = Chained::new(operator, output, SideOutputs::default());
        for action in script {
            match action {
                Do::Records(values) => {
                    let record = |value: &i64| Record { timestamp: Timestamp::MIN, value: *value };
                    stage.push(values.iter().map(record).collect()).unwrap();
                }
                Do::Tick(seconds) => stage.on_tick(Duration::from_secs(*seconds)).unwrap(),
                Do::End => stage.on_watermark(Timestamp::MAX).unwrap(),
            }
        }
        want.assert_eq(&got.lock().unwrap());
    }

    #[test]
    fn a_watermark_follows_every_so_many_records_and_never_goes_back() {
        let strategy = WatermarkStrategy::bounded_out_of_orderness(Duration::from_millis(10));
        check(
            strategy.timestamps(|value| *value).emit_every(2),
            &[Do::Records(&[100, 120, 90]), Do::Records(&[95, 96, 150]), Do::End, Do::End],
            expect![[r#"
                records [100, 120]
                watermark 109
                records [90]
                records [95, 96, 150]
                watermark 139
                watermark +∞
            "#]],
        );
    }

    #[test]
    fn ascending_timestamps_promise_everything_before_the_latest() {
        check(
            WatermarkStrategy::ascending().timestamps(|value| *value).emit_every(1),
            &[Do::Records(&[5, 7])],
            expect![[r#"
                records [5]
                watermark 4
                records [7]
                watermark 6
            "#]],
        );
    }

    #[test]
    fn silence_makes_idle_once_and_a_record_ends_it() {
        check(
            WatermarkStrategy::ascending()
                .timestamps(|value| *value)
                .emit_every(1)
                .idle_after(Duration::from_secs(3)),
            &[
                Do::Records(&[5]),
                Do::Tick(1),
                Do::Tick(3),
                Do::Tick(4),
                Do::Tick(9),
                Do::Records(&[8]),
                Do::Tick(10),
                Do::Tick(13),
            ],
            expect![[r#"
                records [5]
                watermark 4
                idle
                records [8]
                watermark 7
                idle
            "#]],
        );
    }
}
