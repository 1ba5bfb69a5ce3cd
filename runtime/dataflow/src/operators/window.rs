//! Windows over event time: records of one key, grouped by when they happened.
//!
//! A record belongs to the window that contains its timestamp. A window fires when event time
//! reaches its last millisecond, again for every record that comes within the allowed lateness, and
//! is then forgotten; what comes later still is *late* and goes to the side output, if there is one.
//! Each record is folded into its window's accumulator at once, so a window costs one accumulator.

use std::{marker::PhantomData, time::Duration};

use floodmark_model::{
    Attempt, Batch, KeyGroup, KeyGroupRange, Record, RuntimeEvent, SubtaskId, TimeDomain, Timestamp,
};
use floodmark_platform::Machine;
use floodmark_state::{Data, Key, Snapshot, Table, Timers, freeze_value};
use serde::{Deserialize, Serialize};

use crate::{
    Error, OutputTag,
    chain::{Emitter, OpenContext, Operator},
    operators::{KeyOf, timer_watch::TimerWatch},
};

/// A span of event time, `start..end`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[doc(alias = "TimeWindow")]
pub struct Window {
    /// The first millisecond in it.
    pub start: Timestamp,
    /// The first millisecond after it.
    pub end: Timestamp,
}

impl Window {
    /// Returns the tumbling window of length `size` that contains `timestamp`. Windows are aligned
    /// to the epoch: `start` is a multiple of `size`.
    pub fn tumbling(timestamp: Timestamp, size: Duration) -> Self {
        let millis = i64::try_from(size.as_millis()).expect("a window is shorter than an age");
        assert!(0 < millis, "a window lasts at least 1 ms");
        let start = timestamp.0.saturating_sub(timestamp.0.rem_euclid(millis));
        Self { start: Timestamp(start), end: Timestamp(start) + size }
    }

    /// Returns the last millisecond in the window: the timestamp of its results.
    pub fn max_timestamp(&self) -> Timestamp {
        self.end - Duration::from_millis(1)
    }
}

/// Combines values into a result, step by step.
#[doc(alias = "AggregateFunction")]
pub trait Aggregate: Send + Sync + Clone + 'static {
    /// What is combined.
    type In: Data;
    /// What is kept on the way.
    type Acc: Data;
    /// The result.
    type Out: Data;

    /// Returns the accumulator of nothing.
    fn init(&self) -> Self::Acc;

    /// Adds a value.
    fn add(&self, accumulator: &mut Self::Acc, value: Self::In);

    /// Returns the result.
    fn finish(&self, accumulator: Self::Acc) -> Self::Out;
}

/// What a window operator does with the values of a window.
pub trait Accumulate<T>: Send {
    /// What is kept per window.
    type Acc: Data;
    /// What is emitted per window.
    type Out: Data;

    /// Returns the accumulator with `value` in it.
    fn add(&mut self, accumulator: Option<Self::Acc>, value: T) -> Self::Acc;

    /// Returns the result so far.
    fn finish(&mut self, accumulator: Self::Acc) -> Self::Out;
}

/// Accumulates with an [`Aggregate`].
pub struct AggregateWith<A>(pub A);

/// Accumulates by changing an initial value.
pub struct FoldWith<S, F>(pub S, pub F);

/// Accumulates by combining two values into one.
pub struct ReduceWith<F>(pub F);

impl<A: Aggregate> Accumulate<A::In> for AggregateWith<A> {
    type Acc = A::Acc;
    type Out = A::Out;

    fn add(&mut self, accumulator: Option<A::Acc>, value: A::In) -> A::Acc {
        let mut accumulator = accumulator.unwrap_or_else(|| self.0.init());
        self.0.add(&mut accumulator, value);
        accumulator
    }

    fn finish(&mut self, accumulator: A::Acc) -> A::Out {
        self.0.finish(accumulator)
    }
}

impl<T, S: Data, F: FnMut(&mut S, T) + Send> Accumulate<T> for FoldWith<S, F> {
    type Acc = S;
    type Out = S;

    fn add(&mut self, accumulator: Option<S>, value: T) -> S {
        let mut accumulator = accumulator.unwrap_or_else(|| self.0.clone());
        (self.1)(&mut accumulator, value);
        accumulator
    }

    fn finish(&mut self, accumulator: S) -> S {
        accumulator
    }
}

impl<T: Data, F: FnMut(T, T) -> T + Send> Accumulate<T> for ReduceWith<F> {
    type Acc = T;
    type Out = T;

    fn add(&mut self, accumulator: Option<T>, value: T) -> T {
        match accumulator {
            Some(before) => (self.0)(before, value),
            None => value,
        }
    }

    fn finish(&mut self, accumulator: T) -> T {
        accumulator
    }
}

/// The shape of the windows.
pub struct WindowOptions<T> {
    /// Length of a window. At least 1 ms.
    pub size: Duration,
    /// How long after its end a window still takes records.
    pub allowed_lateness: Duration,
    /// Where records go that come later still; without it they are counted and dropped.
    pub late_to: Option<OutputTag<T>>,
}

/// Groups records by key and tumbling window.
pub struct WindowOperator<T, K, F, A: Accumulate<T>> {
    uid: String,
    options: WindowOptions<T>,
    key_of: KeyOf<T, K, F>,
    accumulate: A,
    opened: Option<Opened<K, A::Acc>>,
    value: PhantomData<fn(T)>,
}

struct Opened<K, A> {
    machine: Machine,
    attempt: Attempt,
    subtask: SubtaskId,
    watermark: Timestamp,
    /// Accumulators by key and start of the window.
    windows: Table<(K, Timestamp), A>,
    /// When windows fire and when they are forgotten.
    timers: Timers<(K, Timestamp)>,
    watch: TimerWatch,
    counts: Counts,
}

/// Where the records went, since the job began.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
struct Counts {
    received: u64,
    accepted: u64,
    late: u64,
    dropped: u64,
}

impl<T, K, F, A> WindowOperator<T, K, F, A>
where
    T: Data,
    K: Key,
    F: Fn(&T) -> K + Send,
    A: Accumulate<T>,
{
    /// Creates the operator `uid`.
    pub fn new(
        uid: String,
        options: WindowOptions<T>,
        key_of: KeyOf<T, K, F>,
        accumulate: A,
    ) -> Self {
        assert!(1 <= options.size.as_millis(), "a window lasts at least 1 ms");
        Self { uid, options, key_of, accumulate, opened: None, value: PhantomData }
    }

    fn on_record(&mut self, record: Record<T>, out: &mut Emitter<(K, Window, A::Out)>) {
        let opened = self.opened.as_mut().expect("an operator is opened before it is used");
        let Record { timestamp, value } = record;
        let window = Window::tumbling(timestamp, self.options.size);
        let forgotten_at = window.max_timestamp() + self.options.allowed_lateness;
        opened.counts.received += 1;
        if forgotten_at <= opened.watermark {
            match self.options.late_to {
                Some(tag) => {
                    opened.counts.late += 1;
                    out.emit_to(tag, timestamp, value);
                }
                None => opened.counts.dropped += 1,
            }
            return;
        }
        opened.counts.accepted += 1;
        let (key, group) = self.key_of.find(&value);
        let owner = (key, window.start);
        let accumulator = opened.windows.remove(group, &owner);
        let accumulator = self.accumulate.add(accumulator, value);
        opened.windows.insert(group, owner.clone(), accumulator);
        opened.register(group, forgotten_at, &owner);
        if window.max_timestamp() <= opened.watermark {
            self.fire(group, owner, window, out);
        } else {
            opened.register(group, window.max_timestamp(), &owner);
        }
    }

    fn on_timer(
        &mut self,
        (time, group, owner): (Timestamp, KeyGroup, (K, Timestamp)),
        out: &mut Emitter<(K, Window, A::Out)>,
    ) {
        let window = Window::tumbling(owner.1, self.options.size);
        let forgotten_at = window.max_timestamp() + self.options.allowed_lateness;
        if time == window.max_timestamp() {
            self.fire(group, owner.clone(), window, out);
        }
        if time == forgotten_at {
            let opened = self.opened.as_mut().expect("an operator is opened before it is used");
            opened.windows.remove(group, &owner);
        }
    }

    /// Emits the result of a window so far.
    fn fire(
        &mut self,
        group: KeyGroup,
        owner: (K, Timestamp),
        window: Window,
        out: &mut Emitter<(K, Window, A::Out)>,
    ) {
        let opened = self.opened.as_ref().expect("an operator is opened before it is used");
        let accumulator = opened.windows.get(group, &owner).cloned();
        let accumulator = accumulator.expect("a window lives until it is forgotten");
        let result = self.accumulate.finish(accumulator);
        out.emit(window.max_timestamp(), (owner.0, window, result));
    }
}

impl<K: Key, A: Data> Opened<K, A> {
    fn register(&mut self, group: KeyGroup, time: Timestamp, owner: &(K, Timestamp)) {
        if self.timers.register(group, time, owner.clone()) {
            self.watch.on_register(TimeDomain::Event, time, owner);
        }
    }

    fn restore(uid: &str, cx: &mut OpenContext<'_>) -> Result<Self, Error> {
        let range: KeyGroupRange = cx.key_groups;
        let windows = cx.restored.take(uid, "windows");
        let timers = cx.restored.take(uid, "timers");
        Ok(Self {
            machine: cx.machine.clone(),
            attempt: cx.attempt,
            subtask: cx.subtask,
            watermark: cx.watermark,
            windows: Table::restore(range, &windows)?,
            timers: Timers::restore(range, &timers)?,
            watch: TimerWatch::new(uid, cx),
            counts: cx.restored.take_value(uid, "counts")?.unwrap_or_default(),
        })
    }
}

impl<T, K, F, A> Operator for WindowOperator<T, K, F, A>
where
    T: Data,
    K: Key,
    F: Fn(&T) -> K + Send,
    A: Accumulate<T>,
{
    type In = T;
    type Out = (K, Window, A::Out);

    fn open(&mut self, cx: &mut OpenContext<'_>) -> Result<(), Error> {
        self.opened = Some(Opened::restore(&self.uid, cx)?);
        self.key_of.open(&self.uid, cx);
        Ok(())
    }

    fn on_batch(&mut self, batch: Batch<T>, out: &mut Emitter<Self::Out>) -> Result<(), Error> {
        batch.into_iter().for_each(|record| self.on_record(record, out));
        Ok(())
    }

    fn on_watermark(
        &mut self,
        watermark: Timestamp,
        out: &mut Emitter<Self::Out>,
    ) -> Result<(), Error> {
        let opened = self.opened.as_mut().expect("an operator is opened before it is used");
        opened.watermark = watermark;
        loop {
            let opened = self.opened.as_mut().expect("an operator is opened before it is used");
            let Some(timer) = opened.timers.pop_due(watermark) else { break };
            opened.watch.on_fire(TimeDomain::Event, (timer.0, watermark), &timer.2);
            self.on_timer(timer, out);
        }
        out.watermark(watermark)
    }

    fn freeze(&mut self, snapshot: &mut Snapshot) {
        let opened = self.opened.as_ref().expect("an operator is opened before it is used");
        snapshot.add(opened.windows.freeze(&self.uid, "windows"));
        snapshot.add(opened.timers.freeze(&self.uid, "timers"));
        snapshot.add(freeze_value(&self.uid, "counts", opened.counts));
        let (attempt, subtask) = (opened.attempt, opened.subtask);
        let Counts { received, accepted, late, dropped } = opened.counts;
        opened.machine.observe(|| RuntimeEvent::RecordsCounted {
            attempt,
            subtask,
            operator: self.uid.clone(),
            received,
            accepted,
            late,
            dropped,
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn windows_are_aligned_to_the_epoch_on_both_sides_of_it() {
        let start =
            |timestamp| Window::tumbling(Timestamp(timestamp), Duration::from_millis(5)).start.0;
        assert_eq!([-6, -5, -1, 0, 4, 5].map(start), [-10, -5, -5, 0, 0, 5]);
    }
}
