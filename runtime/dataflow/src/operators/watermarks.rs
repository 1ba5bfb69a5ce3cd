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
