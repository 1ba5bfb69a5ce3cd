//! Event time: timestamps for records, and promises about those to come.

use std::{sync::Arc, time::Duration};

use floodmark_model::{Attempt, Batch, Record, RuntimeEvent, SubtaskId, Timestamp};
use floodmark_platform::{Machine, planted};
use floodmark_state::{Data, Snapshot, freeze_value};
use serde::{Deserialize, Serialize};

use crate::{
    Error, SourceDrift, Split,
    chain::{Emitter, OpenContext, Operator},
    drift::{DriftOptions, REPORT_INTERVAL},
    operators::generators::{Generators, Marked, PerSplit, WatermarkGenerator, WatermarkOutput},
};

/// Records between two watermarks, unless the strategy says otherwise.
const WATERMARK_EVERY: u64 = 64;

/// How event time follows from records.
///
/// `watermark = maximum timestamp so far − bound − 1 ms`, and never goes back. A watermark follows
/// every [`WatermarkStrategy::emit_every`] records. In the chain of a source this holds for each split
/// on its own, and the subtask's watermark is the least of those of its splits: a split that is read
/// faster than the others makes none of their records late. Counting records rather than time
/// makes the position of every watermark, and so what is late, a function of the input alone: a
/// recovery does not change it.
///
/// # Examples
///
/// ```
/// # mod floodmark { pub use floodmark_dataflow::{*, operators::*}; pub use floodmark_model::*; }
/// use floodmark::WatermarkStrategy;
/// use std::time::Duration;
///
/// /// A sensor, and the time of a reading in seconds.
/// type Reading = (u64, i64);
///
/// let strategy = WatermarkStrategy::bounded_out_of_orderness(Duration::from_secs(5))
///     .timestamps(|(_, seconds): &Reading| seconds * 1_000)
///     .idle_after(Duration::from_secs(60));
/// # let _ = strategy;
/// ```
pub struct WatermarkStrategy<T> {
    bound: Duration,
    idle_after: Option<Duration>,
    every: u64,
    /// Whether time that passes is a chance to promise, too.
    is_periodic: bool,
    /// Whether records get the time of the node's clock.
    takes_clock: bool,
    assign: Option<Arc<Assign<T>>>,
    /// Makes what decides instead of the maximum.
    generate: Option<Arc<Generate<T>>>,
    /// How far the source may run ahead of others.
    drift: Option<DriftOptions>,
}

type Generate<T> = dyn Fn() -> Box<dyn Generators<T>> + Send + Sync;

/// Gives records their timestamps. Called once per batch, so that the user's function is inlined.
type Assign<T> = dyn Fn(&mut [Record<T>]) + Send + Sync;

impl<T> Clone for WatermarkStrategy<T> {
    fn clone(&self) -> Self {
        let Self { bound, idle_after, every, is_periodic, takes_clock, assign, generate, drift } =
            self;
        Self {
            bound: *bound,
            idle_after: *idle_after,
            every: *every,
            is_periodic: *is_periodic,
            takes_clock: *takes_clock,
            assign: assign.clone(),
            generate: generate.clone(),
            drift: drift.clone(),
        }
    }
}

impl<T> WatermarkStrategy<T> {
    /// For timestamps that never go back within a split. An earlier one is late.
    pub fn ascending() -> Self {
        Self::bounded_out_of_orderness(Duration::ZERO)
    }

    /// For timestamps that fall behind the latest one by at most `bound`. A larger bound waits
    /// longer with results and makes fewer records late.
    pub fn bounded_out_of_orderness(bound: Duration) -> Self {
        Self {
            bound,
            idle_after: None,
            every: WATERMARK_EVERY,
            is_periodic: false,
            takes_clock: false,
            assign: None,
            generate: None,
            drift: None,
        }
    }

    /// For streams in which some records say how far event time has come: `promise_of` returns it,
    /// given a record and its timestamp. The watermark follows the record.
    pub fn punctuated(
        promise_of: impl Fn(&T, Timestamp) -> Option<Timestamp> + Clone + Send + Sync + 'static,
    ) -> Self {
        let generate: Arc<Generate<T>> = Arc::new(move || Box::new(Marked(promise_of.clone())));
        Self { generate: Some(generate), ..Self::ascending() }
    }

    /// Gives each record the time at which it comes in: that of the node's clock, in milliseconds, but
    /// never less than that of the record before. Nothing is late, and event time goes on with the clock
    /// as long as records come.
    ///
    /// # Determinism
    ///
    /// After a failure records come in again, later than before: what lies in which window may differ
    /// from what it was.
    ///
    /// # Examples
    ///
    /// ```
    /// use floodmark_dataflow::operators::WatermarkStrategy;
    ///
    /// let strategy = WatermarkStrategy::<String>::ingestion_time();
    /// # let _ = strategy;
    /// ```
    #[doc(alias = "IngestionTimeAssigner")]
    pub fn ingestion_time() -> Self {
        Self { takes_clock: true, ..Self::ascending().periodically() }
    }

    /// Promises nothing. Event time stands still until the input has ended.
    #[doc(alias = "noWatermarks")]
    pub fn none() -> Self {
        Self::punctuated(|_, _| None)
    }

    /// Promises what `generator` says; every split has a clone of it.
    #[doc(alias = "forGenerator")]
    pub fn generator<G: WatermarkGenerator<T>>(generator: G) -> Self {
        let generate: Arc<Generate<T>> =
            Arc::new(move || Box::new(PerSplit { first: generator.clone(), splits: Vec::new() }));
        Self { generate: Some(generate), ..Self::ascending() }
    }

    /// Takes each record's timestamp, in milliseconds since the Unix epoch, from `timestamp_of`.
    /// Without it the timestamps that records already have are used.
    #[must_use]
    pub fn timestamps(self, timestamp_of: impl Fn(&T) -> i64 + Send + Sync + 'static) -> Self {
        let assign = move |records: &mut [Record<T>]| {
            records.iter_mut().for_each(|record| {
                record.timestamp = Timestamp(timestamp_of(&record.value));
            });
        };
        Self { assign: Some(Arc::new(assign)), ..self }
    }

    /// Declares a split idle when it had no record for this long, and the subtask when all its splits
    /// are, so that they do not hold back the others. Its next record ends that; what is behind the
    /// others by then is late. Time during which those downstream were not ready does not count. Noticed at the
    /// next heartbeat interval.
    #[must_use]
    pub fn idle_after(self, duration: Duration) -> Self {
        Self { idle_after: Some(duration), ..self }
    }

    /// Lets the source wait for the others of `group`: a split that promises more than `max_drift`
    /// beyond the least promise of all active splits in the group is not read until the others have
    /// caught up, so that records that must wait for the slow ones do not pile up downstream. Splits
    /// that are idle or have ended are not waited for, and a split that waits does not become idle.
    ///
    /// Sources tell how far they are once a second, or every
    /// [`align_every`](WatermarkStrategy::align_every). A larger `max_drift` lets them read more
    /// smoothly; a smaller one keeps less waiting. A split stops at the first promise beyond the limit,
    /// so what it returns at once may go further.
    ///
    /// The strategy must follow its source directly, and be the only one with a group behind it: else
    /// the attempt fails when it opens.
    ///
    /// # Panics
    ///
    /// When the drift is zero.
    ///
    /// # Examples
    ///
    /// ```
    /// # use floodmark_dataflow as floodmark;
    /// use floodmark::operators::WatermarkStrategy;
    /// use std::time::Duration;
    ///
    /// let strategy = WatermarkStrategy::ascending()
    ///     .timestamps(|(_, time): &(u64, i64)| *time)
    ///     .align("sensors", Duration::from_secs(60))
    ///     .align_every(Duration::from_millis(200));
    /// # let _ = strategy;
    /// ```
    #[must_use]
    #[doc(alias = "withWatermarkAlignment")]
    pub fn align(self, group: &str, max_drift: Duration) -> Self {
        assert!(
            !max_drift.is_zero(),
            "sources that wait for each other at every moment never read"
        );
        let drift = DriftOptions { group: group.to_owned(), max_drift, interval: REPORT_INTERVAL };
        Self { drift: Some(drift), ..self }
    }

    /// Tells others of the group so often how far the source is. Shorter lets it wait for less time,
    /// and costs two messages per subtask of the source each time. One second unless it is set.
    ///
    /// # Panics
    ///
    /// When the interval is zero, or the source is in no group.
    #[must_use]
    pub fn align_every(self, interval: Duration) -> Self {
        assert!(!interval.is_zero(), "reports are some time apart");
        let drift = self.drift.expect("a source that tells others how far it is has a group");
        Self { drift: Some(DriftOptions { interval, ..drift }), ..self }
    }

    /// Emits a watermark after every `count` records. Fewer let results appear sooner; more cost
    /// less. At least 1. Punctuated strategies and those with a generator emit when they are told to.
    #[must_use]
    pub fn emit_every(self, count: u64) -> Self {
        assert!(0 < count, "a watermark follows at least one record");
        Self { every: count, ..self }
    }

    /// Emits what can be promised about once in a heartbeat interval, too, so that a slow stream need
    /// not wait for the next [`WatermarkStrategy::emit_every`] records.
    ///
    /// # Determinism
    ///
    /// The places of watermarks, and so what is late, depend on the clock.
    #[must_use]
    #[doc(alias = "setAutoWatermarkInterval")]
    pub fn periodically(self) -> Self {
        Self { is_periodic: true, ..self }
    }
}

/// Assigns timestamps and emits watermarks.
///
/// Behind a source, every split has a promise of its own, and the operator promises what all splits
/// promise that have not ended and are not idle. A split counts from the moment it is assigned.
pub struct WatermarkOperator<T> {
    uid: String,
    strategy: WatermarkStrategy<T>,
    generators: Option<Box<dyn Generators<T>>>,
    progress: Progress,
    /// Which splits have records, since the last tick.
    activity: Vec<Activity>,
    /// The split whose records come.
    current: usize,
    /// Whether the end of event time was passed on in this attempt.
    has_ended: bool,
    /// Present once the operator is open.
    watch: Option<Watch>,
    /// Present once it is open behind a source that belongs to a group.
    drift: Option<SourceDrift>,
    /// The activity clock at the last tick.
    ticked: Duration,
}

/// What is kept in snapshots.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Progress {
    splits: Vec<SplitProgress>,
    /// The last watermark that was emitted.
    emitted: Timestamp,
    /// Whether those downstream were told that nothing will come for a while.
    is_idle: bool,
}

/// How far one split has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct SplitProgress {
    /// The largest timestamp so far.
    latest: Timestamp,
    /// The last promise.
    promise: Timestamp,
    /// Records since then, or since the last chance to promise.
    since: u64,
    status: SplitStatus,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
enum SplitStatus {
    Active,
    Idle,
    Ended,
}

impl SplitProgress {
    /// Before the first record.
    const NEW: Self = Self {
        latest: Timestamp::MIN,
        promise: Timestamp::MIN,
        since: 0,
        status: SplitStatus::Active,
    };
}

/// When a split had records. Not kept: a restored split has been silent for no time.
#[derive(Clone, Copy, Debug, Default)]
struct Activity {
    /// Records came since the last tick.
    is_recent: bool,
    /// Activity clock at the last tick with records.
    since: Duration,
}

/// Tells those who watch what is promised.
struct Watch {
    machine: Machine,
    attempt: Attempt,
    subtask: SubtaskId,
    /// Whether the splits are those of a source.
    has_splits: bool,
}

impl<T> WatermarkOperator<T> {
    /// Creates the operator `uid`.
    pub fn new(uid: String, strategy: WatermarkStrategy<T>) -> Self {
        let splits = vec![SplitProgress::NEW];
        let progress = Progress { splits, emitted: Timestamp::MIN, is_idle: false };
        let activity = vec![Activity::default()];
        let generators = strategy.generate.as_ref().map(|generate| generate());
        let (current, has_ended, watch) = (0, false, None);
        let (drift, ticked) = (None, Duration::ZERO);
        Self {
            uid,
            strategy,
            generators,
            progress,
            activity,
            current,
            has_ended,
            watch,
            drift,
            ticked,
        }
    }

    /// Renews the promise about a split, for which there were records. Returns whether it grew.
    fn promise(&mut self, index: usize) -> bool {
        let split = &mut self.progress.splits[index];
        split.since = 0;
        let watermark = split.latest - self.strategy.bound - Duration::from_millis(1);
        self.promise_at_least(index, watermark)
    }

    /// Promises `watermark` about a split, unless so much is promised already.
    fn promise_at_least(&mut self, index: usize, watermark: Timestamp) -> bool {
        let split = &mut self.progress.splits[index];
        if watermark <= split.promise {
            return false;
        }
        split.promise = watermark;
        self.tell_drift(index);
        self.observe(index, |attempt, subtask, operator, split| RuntimeEvent::SplitWatermark {
            attempt,
            subtask,
            operator,
            split,
            watermark,
        });
        true
    }

    fn set_idle(&mut self, split: usize, is_idle: bool) {
        let status = if is_idle { SplitStatus::Idle } else { SplitStatus::Active };
        self.progress.splits[split].status = status;
        self.tell_drift(split);
        self.observe(split, |attempt, subtask, operator, split| RuntimeEvent::SplitIdle {
            attempt,
            subtask,
            operator,
            split,
            is_idle,
        });
    }

    /// Tells the source what became of a split.
    fn tell_drift(&self, index: usize) {
        if let Some(drift) = &self.drift {
            let SplitProgress { promise, status, .. } = self.progress.splits[index];
            drift.set(index, promise, status == SplitStatus::Active);
        }
    }

    /// Joins the group that the strategy names.
    fn join_group(&mut self, cx: &mut OpenContext<'_>) -> Result<(), Error> {
        let Some(options) = self.strategy.drift.clone() else { return Ok(()) };
        let refused =
            |source: &str| Error::Operator { operator: self.uid.clone(), source: source.into() };
        let Some(split_count) = cx.split_count else {
            return Err(refused("a strategy with a group must follow its source directly"));
        };
        if cx.drift.is_some() {
            return Err(refused("one source has two strategies with a group"));
        }
        let drift = SourceDrift::new(options, split_count);
        cx.drift = Some(drift.clone());
        self.drift = Some(drift);
        (0..split_count).for_each(|split| self.tell_drift(split));
        Ok(())
    }

    /// Tells those who watch what became of a source's split.
    fn observe(
        &self,
        split: usize,
        event: impl FnOnce(Attempt, SubtaskId, String, u32) -> RuntimeEvent,
    ) {
        if let Some(Watch { machine, attempt, subtask, has_splits: true }) = &self.watch {
            let split = u32::try_from(split).expect("splits fit into memory");
            machine.observe(|| event(*attempt, *subtask, self.uid.clone(), split));
        }
    }

    /// Returns the status of the operator: ended splits hold nothing back, and idle ones neither.
    fn merged(&self) -> Merged {
        let splits = self.progress.splits.iter();
        let mut open = splits.filter(|split| split.status != SplitStatus::Ended).peekable();
        if open.peek().is_none() {
            return Merged::Ended;
        }
        let counts = |split: &&SplitProgress| {
            !planted!(LazySplitRegistration) || Timestamp::MIN < split.latest
        };
        let active = open.filter(|split| split.status == SplitStatus::Active).filter(counts);
        active.map(|split| split.promise).min().map_or(Merged::Idle, Merged::Active)
    }
}

/// What all splits come to.
enum Merged {
    /// None holds anything back for now.
    Idle,
    /// The least promise of the active splits.
    Active(Timestamp),
    /// There are none. The head will say that event time is over.
    Ended,
}

impl<T: Data> WatermarkOperator<T> {
    /// Passes on what follows from a change of the splits.
    fn advance(&mut self, out: &mut Emitter<T>) -> Result<(), Error> {
        match self.merged() {
            Merged::Active(watermark) if self.progress.emitted < watermark => {
                self.emit(watermark, out)
            }
            Merged::Idle if !self.progress.is_idle => {
                self.progress.is_idle = true;
                out.idle()
            }
            Merged::Active(_) | Merged::Idle | Merged::Ended => Ok(()),
        }
    }

    fn emit(&mut self, watermark: Timestamp, out: &mut Emitter<T>) -> Result<(), Error> {
        self.progress.emitted = watermark;
        self.progress.is_idle = false;
        if let Some(Watch { machine, attempt, subtask, .. }) = &self.watch {
            machine.observe(|| RuntimeEvent::WatermarkEmitted {
                attempt: *attempt,
                subtask: *subtask,
                operator: self.uid.clone(),
                watermark,
            });
        }
        out.watermark(watermark)
    }

    /// Processes a batch, asking after each record what it promises.
    fn generate(&mut self, batch: Batch<T>, out: &mut Emitter<T>) -> Result<(), Error> {
        for Record { timestamp, value } in batch {
            let generators = self.generators.as_mut().expect("the strategy has a generator");
            let output = generators.on_record(self.current, &value, timestamp);
            if !output.is_idle {
                self.wake(self.current, out)?;
            }
            let split = &mut self.progress.splits[self.current];
            split.latest = split.latest.max(timestamp);
            out.emit(timestamp, value);
            self.follow(self.current, &output, out)?;
        }
        Ok(())
    }

    /// Does what a generator has said about a split.
    fn follow(
        &mut self,
        split: usize,
        output: &WatermarkOutput,
        out: &mut Emitter<T>,
    ) -> Result<(), Error> {
        let watermark = output.watermark.unwrap_or(Timestamp::MIN);
        let has_grown = self.promise_at_least(split, watermark);
        let falls_idle =
            output.is_idle && self.progress.splits[split].status == SplitStatus::Active;
        if has_grown {
            self.advance(out)?;
        }
        if falls_idle {
            self.set_idle(split, true);
            self.advance(out)?;
        }
        Ok(())
    }

    /// Notes that there are records of a split, or soon will be.
    fn wake(&mut self, index: usize, out: &mut Emitter<T>) -> Result<(), Error> {
        self.activity[index].is_recent = true;
        if self.progress.splits[index].status == SplitStatus::Idle {
            self.set_idle(index, false);
        }
        self.tell_active(out)
    }

    /// Tells those downstream to wait for this subtask again, if they do not, by its old watermark.
    fn tell_active(&mut self, out: &mut Emitter<T>) -> Result<(), Error> {
        if std::mem::take(&mut self.progress.is_idle) {
            out.watermark(self.progress.emitted)?;
        }
        Ok(())
    }
}

impl<T: Data> Operator for WatermarkOperator<T> {
    type In = T;
    type Out = T;

    const KEEPS: &'static str = "event time per split";

    fn open(&mut self, cx: &mut OpenContext<'_>) -> Result<(), Error> {
        if let Some(progress) = cx.restored.take_value(&self.uid, "progress")? {
            self.progress = progress;
        }
        let split_count = cx.split_count.unwrap_or(1);
        self.progress.splits.resize(split_count, SplitProgress::NEW);
        self.activity.resize(split_count, Activity::default());
        if let Some(generators) = &mut self.generators {
            generators.open(&self.uid, cx.restored, split_count)?;
        }
        self.watch = Some(Watch {
            machine: cx.machine.clone(),
            attempt: cx.attempt,
            subtask: cx.subtask,
            has_splits: cx.split_count.is_some(),
        });
        cx.watermark = self.progress.emitted;
        self.join_group(cx)
    }

    fn on_split(&mut self, split: Split, out: &mut Emitter<T>) -> Result<(), Error> {
        match split {
            Split::Reading(index) => {
                self.current = index;
            }
            Split::Ended(index) => {
                self.progress.splits[index].status = SplitStatus::Ended;
                self.tell_drift(index);
                self.advance(out)?;
            }
            Split::Waiting(index) => {
                if self.progress.splits[index].status == SplitStatus::Active {
                    self.set_idle(index, true);
                }
                self.advance(out)?;
            }
            Split::Begun(index) => {
                // Event time is there already, so nobody is to wait for less.
                self.promise_at_least(index, self.progress.emitted);
                self.wake(index, out)?;
            }
        }
        out.split(split)
    }

    fn on_batch(&mut self, mut batch: Batch<T>, out: &mut Emitter<T>) -> Result<(), Error> {
        if self.strategy.takes_clock {
            let Watch { machine, .. } = self.watch.as_ref().expect("it was opened before");
            let now = Timestamp::of_clock(machine.clock().wall());
            let now = now.max(self.progress.splits[self.current].latest);
            batch.iter_mut().for_each(|record| record.timestamp = now);
        }
        if let Some(assign) = &self.strategy.assign {
            assign(&mut batch);
        }
        if self.generators.is_some() {
            return self.generate(batch, out);
        }
        self.wake(self.current, out)?;
        while !batch.is_empty() {
            let split = &mut self.progress.splits[self.current];
            // Up to the next chance to promise.
            let room = self.strategy.every.saturating_sub(split.since).max(1);
            let count = usize::try_from(room).unwrap_or(usize::MAX).min(batch.len());
            let rest = if count < batch.len() { batch.split_off(count) } else { Batch::new() };
            let latest = batch.iter().map(|record| record.timestamp).max();
            split.latest = split.latest.max(latest.expect("the batch is not empty"));
            split.since += count as u64;
            let is_due = self.strategy.every <= split.since;
            out.emit_batch(std::mem::replace(&mut batch, rest));
            if is_due && self.promise(self.current) {
                self.advance(out)?;
            }
        }
        Ok(())
    }

    fn on_watermark(&mut self, watermark: Timestamp, out: &mut Emitter<T>) -> Result<(), Error> {
        // Watermarks from further up are replaced by our own, except for the end of the input. That
        // is repeated in every attempt, because who was restored may not have heard of it.
        if watermark == Timestamp::MAX && !std::mem::replace(&mut self.has_ended, true) {
            self.tell_active(out)?;
            return self.emit(watermark, out);
        }
        Ok(())
    }

    fn on_idle(&mut self, _: &mut Emitter<T>) -> Result<(), Error> {
        // As with watermarks from further up: who is waited for is for this strategy to say.
        Ok(())
    }

    fn freeze(&mut self, snapshot: &mut Snapshot) {
        snapshot.add(freeze_value(&self.uid, "progress", self.progress.clone()));
        let generators = self.generators.as_ref();
        let section = generators.and_then(|generators| generators.freeze(&self.uid));
        section.into_iter().for_each(|section| snapshot.add(section));
    }

    fn on_tick(&mut self, activity: Duration, out: &mut Emitter<T>) -> Result<(), Error> {
        for index in 0..self.progress.splits.len() {
            let SplitProgress { status, since, .. } = self.progress.splits[index];
            if status == SplitStatus::Ended {
                continue;
            }
            if let Some(generators) = &mut self.generators {
                let output = generators.on_tick(index);
                self.follow(index, &output, out)?;
            } else if self.strategy.is_periodic && 0 < since && self.promise(index) {
                self.advance(out)?;
            }
        }
        let Some(limit) = self.strategy.idle_after else { return Ok(()) };
        let passed = activity.saturating_sub(std::mem::replace(&mut self.ticked, activity));
        let mut has_changed = false;
        for split in 0..self.progress.splits.len() {
            let known = &mut self.activity[split];
            if self.drift.as_ref().is_some_and(|drift| drift.is_held(split)) {
                // Whoever may not speak is not silent.
                known.since += passed;
            } else if std::mem::take(&mut known.is_recent) {
                known.since = activity;
            } else if self.progress.splits[split].status == SplitStatus::Active
                && limit <= activity.saturating_sub(known.since)
            {
                self.set_idle(split, true);
                has_changed = true;
            }
        }
        if has_changed { self.advance(out) } else { Ok(()) }
    }
}

#[cfg(test)]
mod tests;
