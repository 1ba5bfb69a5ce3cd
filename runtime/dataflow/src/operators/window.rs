//! Windows over event time: records of one key, grouped by when they happened.
//!
//! A record belongs to the window that contains its timestamp. A window fires when event time
//! reaches its last millisecond, again for every record that comes within the allowed lateness, and
//! is then forgotten; what comes later still is *late* and goes to the side output, if there is one.
//! Each record is folded into its window's accumulator at once, so a window costs one accumulator.

use std::{marker::PhantomData, time::Duration};

use floodmark_model::{
    Attempt, Batch, KeyPlace, Record, RuntimeEvent, SubtaskId, TimeDomain, Timestamp,
};
use floodmark_platform::Machine;
use floodmark_state::{Data, Entry, Key, Snapshot, Windows, freeze_value};
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

    /// Returns whether the window contains `timestamp`.
    pub fn contains(&self, timestamp: Timestamp) -> bool {
        self.start <= timestamp && timestamp < self.end
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

    /// Returns the accumulator of a first value.
    fn begin(&mut self, value: T) -> Self::Acc;

    /// Adds another value.
    fn add(&mut self, accumulator: &mut Self::Acc, value: T);

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

    fn begin(&mut self, value: A::In) -> A::Acc {
        let mut accumulator = self.0.init();
        self.0.add(&mut accumulator, value);
        accumulator
    }

    fn add(&mut self, accumulator: &mut A::Acc, value: A::In) {
        self.0.add(accumulator, value);
    }

    fn finish(&mut self, accumulator: A::Acc) -> A::Out {
        self.0.finish(accumulator)
    }
}

impl<T, S: Data, F: FnMut(&mut S, T) + Send> Accumulate<T> for FoldWith<S, F> {
    type Acc = S;
    type Out = S;

    fn begin(&mut self, value: T) -> S {
        let mut accumulator = self.0.clone();
        (self.1)(&mut accumulator, value);
        accumulator
    }

    fn add(&mut self, accumulator: &mut S, value: T) {
        (self.1)(accumulator, value);
    }

    fn finish(&mut self, accumulator: S) -> S {
        accumulator
    }
}

impl<T: Data, F: FnMut(T, T) -> T + Send> Accumulate<T> for ReduceWith<F> {
    type Acc = T;
    type Out = T;

    fn begin(&mut self, value: T) -> T {
        value
    }

    fn add(&mut self, accumulator: &mut T, value: T) {
        *accumulator = (self.0)(accumulator.clone(), value);
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
    windows: Windows<K, A>,
    watch: TimerWatch,
    counts: Counts,
}

/// The window of a record.
#[derive(Clone, Copy)]
struct Found {
    position: usize,
    window: Window,
    /// Whether it has fired for some key group at least.
    may_have_fired: bool,
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
        assert!(i64::try_from(options.size.as_millis()).is_ok(), "a window is shorter than an age");
        Self { uid, options, key_of, accumulate, opened: None, value: PhantomData }
    }

    /// Emits the result so far of a window that has fired before.
    fn fire_again(
        &mut self,
        place: KeyPlace,
        key: K,
        found: Found,
        out: &mut Emitter<(K, Window, A::Out)>,
    ) {
        let opened = self.opened.as_mut().expect("an operator is opened before it is used");
        if opened.windows.fired(place.group).max(opened.watermark) < found.window.max_timestamp() {
            return;
        }
        let accumulator = opened.windows.table_mut(found.position).get(place, &key).cloned();
        let result = self.accumulate.finish(accumulator.expect("it was just added to"));
        out.emit(found.window.max_timestamp(), (key, found.window, result));
    }

    /// Fires the windows that end at the watermark or earlier, the oldest first, and forgets those
    /// for which nothing can come any more.
    fn fire_due(
        &mut self,
        watermark: Timestamp,
        out: &mut Emitter<(K, Window, A::Out)>,
    ) -> Result<(), Error> {
        let Self { options, accumulate, opened, .. } = self;
        let opened = opened.as_mut().expect("an operator is opened before it is used");
        let Opened { windows, watch, .. } = opened;
        let mut position = 0;
        while let Some(start) = windows.start(position) {
            let window = Window { start, end: start + options.size };
            let (fires_at, forgotten_at) = (window.max_timestamp(), options.forgotten_at(window));
            if watermark < fires_at {
                break;
            }
            let is_last = forgotten_at <= watermark;
            let (table, fired) = windows.window_mut(position);
            if watch.is_watched() {
                for (key, _) in table.iter() {
                    let (is_due, owner) = (fired.of(key) < fires_at, (key.clone(), start));
                    let mut fire =
                        |time| watch.on_fire(TimeDomain::Event, (time, watermark), &owner);
                    if is_due {
                        fire(fires_at);
                    }
                    if is_last && !(is_due && forgotten_at == fires_at) {
                        fire(forgotten_at);
                    }
                }
            }
            let mut emit = |key, accumulator| {
                out.emit(fires_at, (key, window, accumulate.finish(accumulator)));
                out.pass_on_full()
            };
            if is_last {
                let mut due = table.drain().filter(|(key, _)| fired.of(key) < fires_at);
                due.try_for_each(|(key, accumulator)| emit(key, accumulator))?;
            } else {
                let mut due = table.iter().filter(|(key, _)| fired.of(*key) < fires_at);
                due.try_for_each(|(key, accumulator)| emit(key.clone(), accumulator.clone()))?;
            }
            if is_last {
                windows.close_first();
            } else {
                position += 1;
            }
        }
        windows.on_fired(watermark);
        Ok(())
    }
}

impl<K: Key, A: Data> Opened<K, A> {
    /// Returns the window that contains `timestamp`, unless it is too late for it.
    fn find<T>(&mut self, timestamp: Timestamp, options: &WindowOptions<T>) -> Option<Found> {
        let size_ms = i64::try_from(options.size.as_millis()).expect("it was checked before");
        let position = match self.windows.find(timestamp, size_ms) {
            Some(position) => position,
            None => {
                let window = Window::tumbling(timestamp, options.size);
                if options.forgotten_at(window) <= self.watermark {
                    return None;
                }
                self.windows.open(window.start)
            }
        };
        let start = self.windows.start(position).expect("the window is open");
        let window = Window { start, end: start + options.size };
        let fired = self.windows.fired_latest().max(self.watermark);
        Some(Found { position, window, may_have_fired: window.max_timestamp() <= fired })
    }

    /// Tells those who watch what timers an accumulator stands for that was just begun.
    #[cold]
    fn tell_timers<T>(
        &mut self,
        key: &K,
        place: KeyPlace,
        found: Found,
        options: &WindowOptions<T>,
    ) {
        let (fires_at, owner) = (found.window.max_timestamp(), (key.clone(), found.window.start));
        let forgotten_at = options.forgotten_at(found.window);
        let has_fired = fires_at <= self.windows.fired(place.group).max(self.watermark);
        self.watch.on_register(TimeDomain::Event, forgotten_at, &owner);
        if !has_fired && fires_at != forgotten_at {
            self.watch.on_register(TimeDomain::Event, fires_at, &owner);
        }
    }
}

impl<T> WindowOptions<T> {
    /// Returns the event time at which nothing is left of a window.
    fn forgotten_at(&self, window: Window) -> Timestamp {
        window.max_timestamp() + self.allowed_lateness
    }
}

impl Counts {
    /// Counts a record as one for whose window it is too late, and hands it on if someone wants it.
    #[cold]
    fn on_late<T: Data, O: Data>(
        &mut self,
        late_to: Option<OutputTag<T>>,
        timestamp: Timestamp,
        value: T,
        out: &mut Emitter<O>,
    ) {
        self.accepted -= 1;
        match late_to {
            Some(tag) => {
                self.late += 1;
                out.emit_to(tag, timestamp, value);
            }
            None => self.dropped += 1,
        }
    }
}

impl<K: Key, A: Data> Opened<K, A> {
    fn restore(uid: &str, cx: &mut OpenContext<'_>) -> Result<Self, Error> {
        let windows = cx.restored.take(uid, "windows");
        Ok(Self {
            machine: cx.machine.clone(),
            attempt: cx.attempt,
            subtask: cx.subtask,
            watermark: cx.watermark,
            windows: Windows::restore(cx.key_groups, &windows)?,
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
        let opened = self.opened.as_mut().expect("an operator is opened before it is used");
        opened.counts.received += batch.len() as u64;
        opened.counts.accepted += batch.len() as u64;
        let is_watched = opened.watch.is_watched();
        // Most records are for the window of the one before.
        let mut last: Option<Found> = None;
        for Record { timestamp, value } in batch {
            let opened = self.opened.as_mut().expect("an operator is opened before it is used");
            let found = match last {
                Some(found) if found.window.contains(timestamp) => found,
                _ => match opened.find(timestamp, &self.options) {
                    Some(found) => *last.insert(found),
                    None => {
                        opened.counts.on_late(self.options.late_to, timestamp, value, out);
                        continue;
                    }
                },
            };
            let (key, place) = self.key_of.find(&value);
            match opened.windows.table_mut(found.position).entry(place, &key) {
                Entry::Occupied(accumulator) => self.accumulate.add(accumulator, value),
                Entry::Vacant(vacancy) => {
                    vacancy.insert(key.clone(), self.accumulate.begin(value));
                    if is_watched {
                        opened.tell_timers(&key, place, found, &self.options);
                    }
                }
            }
            if found.may_have_fired {
                self.fire_again(place, key, found, out);
            }
        }
        Ok(())
    }

    fn on_watermark(
        &mut self,
        watermark: Timestamp,
        out: &mut Emitter<Self::Out>,
    ) -> Result<(), Error> {
        let opened = self.opened.as_mut().expect("an operator is opened before it is used");
        opened.watermark = watermark;
        self.fire_due(watermark, out)?;
        out.watermark(watermark)
    }

    fn freeze(&mut self, snapshot: &mut Snapshot) {
        let opened = self.opened.as_mut().expect("an operator is opened before it is used");
        snapshot.add(opened.windows.freeze(&self.uid, "windows"));
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
