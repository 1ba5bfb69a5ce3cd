//! Windows over event time: records of one key, grouped by when they happened.
//!
//! A record belongs to the window that contains its timestamp. A window fires when event time
//! reaches its last millisecond, again for every record that comes within the allowed lateness, and
//! is then forgotten; what comes later still is *late* and goes to the side output, if there is one.
//! Each record is folded into its window's accumulator at once, so a window costs one accumulator.

use std::{marker::PhantomData, time::Duration};

use floodmark_model::{Batch, KeyPlace, Record, TimeDomain, Timestamp};
use floodmark_state::{Data, Entry, Key, Snapshot, Windows};
use serde::{Deserialize, Serialize};

use crate::{
    Error, OutputTag,
    chain::{Emitter, OpenContext, Operator},
    operators::{KeyOf, keyed::parts, record_counts::RecordCounts, timer_watch::TimerWatch},
};

/// A span of event time, `start..end`.
///
/// # Examples
///
/// ```
/// # mod floodmark { pub use floodmark_dataflow::{*, operators::*}; pub use floodmark_model::*; }
/// use floodmark::{Timestamp, Window};
/// use std::time::Duration;
///
/// let window = Window::tumbling(Timestamp(7_000), Duration::from_secs(5));
/// assert_eq!((window.start, window.end), (Timestamp(5_000), Timestamp(10_000)));
/// assert!(window.contains(Timestamp(9_999)) && !window.contains(window.end));
/// assert_eq!(window.max_timestamp(), Timestamp(9_999));
/// ```
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

    /// The window of all records, from the beginning of time to its end.
    #[doc(alias = "GlobalWindow")]
    pub const GLOBAL: Self = Self { start: Timestamp::MIN, end: Timestamp::MAX };

    /// Returns whether it is the window of all records.
    pub fn is_global(&self) -> bool {
        *self == Self::GLOBAL
    }

    /// Returns the last millisecond in the window: the timestamp of its results. That of the window
    /// of all records is the end of time.
    pub fn max_timestamp(&self) -> Timestamp {
        if self.is_global() { self.end } else { self.end - Duration::from_millis(1) }
    }

    /// Returns whether nothing lies between two windows.
    pub(crate) fn touches(&self, other: Self) -> bool {
        self.start <= other.end && other.start <= self.end
    }

    /// Returns the shortest window that contains both.
    pub(crate) fn hull(&self, other: Self) -> Self {
        Self { start: self.start.min(other.start), end: self.end.max(other.end) }
    }
}

/// Combines values into a result, step by step.
///
/// # Examples
///
/// ```
/// # mod floodmark { pub use floodmark_dataflow::{*, operators::*}; pub use floodmark_model::*; }
/// use floodmark::Aggregate;
///
/// /// The mean of numbers, rounded down.
/// #[derive(Clone, Copy)]
/// struct Mean;
///
/// impl Aggregate for Mean {
///     const IS_COMMUTATIVE: bool = true;
///
///     type In = u64;
///     /// Sum and number.
///     type Acc = (u64, u64);
///     type Out = u64;
///
///     fn init(&self) -> (u64, u64) {
///         (0, 0)
///     }
///
///     fn add(&self, (sum, count): &mut (u64, u64), number: u64) {
///         *sum += number;
///         *count += 1;
///     }
///
///     fn finish(&self, (sum, count): (u64, u64)) -> u64 {
///         sum / count
///     }
///
///     fn merge(&self, left: (u64, u64), right: (u64, u64)) -> (u64, u64) {
///         (left.0 + right.0, left.1 + right.1)
///     }
/// }
///
/// let mut so_far = Mean.init();
/// [1, 2, 6].into_iter().for_each(|number| Mean.add(&mut so_far, number));
/// assert_eq!(Mean.finish(so_far), 3);
/// ```
#[doc(alias = "AggregateFunction")]
pub trait Aggregate: Send + Sync + Clone + 'static {
    /// What is combined.
    type In: Data;
    /// What is kept on the way.
    type Acc: Data;
    /// The result.
    type Out: Data;

    /// Whether the result is the same in whatever order values come, and accumulators are merged. Then
    /// windows that overlap can share their work: a record is added once, not once per window.
    const IS_COMMUTATIVE: bool = false;

    /// Whether there is a result of no values: an evictor may leave none. Then [`Aggregate::finish`] gets
    /// what [`Aggregate::init`] has made. A window whose aggregate has no such result emits nothing.
    const HAS_RESULT_OF_NOTHING: bool = true;

    /// Returns the accumulator of nothing.
    fn init(&self) -> Self::Acc;

    /// Adds a value.
    fn add(&self, accumulator: &mut Self::Acc, value: Self::In);

    /// Returns the result.
    fn finish(&self, accumulator: Self::Acc) -> Self::Out;

    /// Returns the accumulator of the values of both. Needed when windows become one, as sessions do.
    fn merge(&self, left: Self::Acc, right: Self::Acc) -> Self::Acc;
}

/// What a window operator does with the values of a window.
pub trait Accumulate<T>: Send {
    /// What is kept per window.
    type Acc: Data;
    /// What is emitted per window.
    type Out: Data;

    /// Returns whether the order of values makes no difference.
    fn is_commutative(&self) -> bool {
        false
    }

    /// Returns the accumulator of a first value.
    fn begin(&mut self, value: T) -> Self::Acc;

    /// Returns the accumulator of no values, if there is one.
    fn nothing(&mut self) -> Option<Self::Acc> {
        None
    }

    /// Adds another value.
    fn add(&mut self, accumulator: &mut Self::Acc, value: T);

    /// Returns the result so far.
    fn finish(&mut self, accumulator: Self::Acc) -> Self::Out;

    /// Returns the accumulator of the values of both.
    ///
    /// # Panics
    ///
    /// When accumulators cannot be merged; such a function is not used where windows merge.
    fn merge(&mut self, left: Self::Acc, right: Self::Acc) -> Self::Acc;
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

    fn is_commutative(&self) -> bool {
        A::IS_COMMUTATIVE
    }

    fn begin(&mut self, value: A::In) -> A::Acc {
        let mut accumulator = self.0.init();
        self.0.add(&mut accumulator, value);
        accumulator
    }

    fn nothing(&mut self) -> Option<A::Acc> {
        A::HAS_RESULT_OF_NOTHING.then(|| self.0.init())
    }

    fn add(&mut self, accumulator: &mut A::Acc, value: A::In) {
        self.0.add(accumulator, value);
    }

    fn finish(&mut self, accumulator: A::Acc) -> A::Out {
        self.0.finish(accumulator)
    }

    fn merge(&mut self, left: A::Acc, right: A::Acc) -> A::Acc {
        self.0.merge(left, right)
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

    fn nothing(&mut self) -> Option<S> {
        Some(self.0.clone())
    }

    fn add(&mut self, accumulator: &mut S, value: T) {
        (self.1)(accumulator, value);
    }

    fn finish(&mut self, accumulator: S) -> S {
        accumulator
    }

    fn merge(&mut self, _: S, _: S) -> S {
        unreachable!("a job that folds windows that merge cannot be built")
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

    fn merge(&mut self, left: T, right: T) -> T {
        (self.0)(left, right)
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
    watermark: Timestamp,
    windows: Windows<K, A>,
    watch: TimerWatch,
    counts: RecordCounts,
}

/// The window of a record.
#[derive(Clone, Copy)]
struct Found {
    position: usize,
    window: Window,
    /// Whether it has fired for some key group at least.
    may_have_fired: bool,
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

    /// Fires the windows that end at the watermark or earlier, and forgets those for which nothing can
    /// come any more: one after the other, in the order of their times.
    fn fire_due(
        &mut self,
        watermark: Timestamp,
        out: &mut Emitter<(K, Window, A::Out)>,
    ) -> Result<(), Error> {
        let mut position = 0;
        loop {
            let next = self.window_at(position).filter(|next| next.max_timestamp() <= watermark);
            let fires_at = next.map(|next| next.max_timestamp());
            // Only what has fired can be forgotten.
            let first = self.window_at(0).filter(|_| 0 < position);
            let first = first.filter(|first| {
                let forgotten_at = self.options.forgotten_at(*first);
                forgotten_at <= watermark && fires_at.is_none_or(|time| forgotten_at < time)
            });
            match (first, next) {
                (Some(first), _) => {
                    self.forget_first(first, watermark);
                    position -= 1;
                }
                (None, Some(next)) => {
                    self.fire((position, next), watermark, out)?;
                    position += 1;
                }
                (None, None) => break,
            }
        }
        let opened = self.opened.as_mut().expect("an operator is opened before it is used");
        opened.windows.on_fired(watermark);
        Ok(())
    }

    /// Returns the window at a position, if there are so many.
    fn window_at(&self, position: usize) -> Option<Window> {
        let opened = self.opened.as_ref().expect("an operator is opened before it is used");
        let start = opened.windows.start(position)?;
        Some(Window { start, end: start + self.options.size })
    }

    /// Emits the results of a window, in those key groups in which it has not fired before.
    fn fire(
        &mut self,
        (position, window): (usize, Window),
        watermark: Timestamp,
        out: &mut Emitter<(K, Window, A::Out)>,
    ) -> Result<(), Error> {
        let Self { options, accumulate, opened, .. } = self;
        let opened = opened.as_mut().expect("an operator is opened before it is used");
        let Opened { windows, watch, .. } = opened;
        let fires_at = window.max_timestamp();
        let (table, fired) = windows.window_mut(position);
        if watch.is_watched() {
            for (key, _) in table.iter().filter(|(key, _)| fired.of(*key) < fires_at) {
                let owner = (key.clone(), window.start);
                watch.on_fire(TimeDomain::Event, (fires_at, watermark), &owner);
            }
        }
        let mut emit = |key, accumulator| {
            out.emit(fires_at, (key, window, accumulate.finish(accumulator)));
            out.pass_on_full()
        };
        if options.forgotten_at(window) == fires_at {
            let mut due = table.drain().filter(|(key, _)| fired.of(key) < fires_at);
            due.try_for_each(|(key, accumulator)| emit(key, accumulator))
        } else {
            let mut due = table.iter().filter(|(key, _)| fired.of(*key) < fires_at);
            due.try_for_each(|(key, accumulator)| emit(key.clone(), accumulator.clone()))
        }
    }

    /// Forgets the oldest window.
    fn forget_first(&mut self, window: Window, watermark: Timestamp) {
        let Self { options, opened, .. } = self;
        let opened = opened.as_mut().expect("an operator is opened before it is used");
        let Opened { windows, watch, .. } = opened;
        if watch.is_watched() {
            let forgotten_at = options.forgotten_at(window);
            for (key, _) in windows.table_mut(0).iter() {
                let owner = (key.clone(), window.start);
                watch.on_fire(TimeDomain::Event, (forgotten_at, watermark), &owner);
            }
        }
        windows.close_first();
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

    /// Emits the result so far of a window, if it has fired before.
    fn fire_again<T, F: Accumulate<T, Acc = A>>(
        &mut self,
        (key, place): (&K, KeyPlace),
        found: Found,
        accumulate: &mut F,
        out: &mut Emitter<(K, Window, F::Out)>,
    ) {
        if self.windows.fired(place.group).max(self.watermark) < found.window.max_timestamp() {
            return;
        }
        let accumulator = self.windows.table_mut(found.position).get(place, key).cloned();
        let result = accumulate.finish(accumulator.expect("it was just added to"));
        out.emit(found.window.max_timestamp(), (key.clone(), found.window, result));
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

impl<K: Key, A: Data> Opened<K, A> {
    fn restore(uid: &str, cx: &mut OpenContext<'_>) -> Result<Self, Error> {
        let windows = cx.restored.take(uid, "windows");
        Ok(Self {
            watermark: cx.watermark,
            windows: Windows::restore(cx.key_groups, &windows)?,
            watch: TimerWatch::new(uid, cx),
            counts: RecordCounts::restore(uid, "counts", cx)?,
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

    const KEEPS: &'static str = "windows per key";

    fn open(&mut self, cx: &mut OpenContext<'_>) -> Result<(), Error> {
        self.opened = Some(Opened::restore(&self.uid, cx)?);
        self.key_of.open(&self.uid, cx);
        Ok(())
    }

    fn on_batch(&mut self, batch: Batch<T>, out: &mut Emitter<Self::Out>) -> Result<(), Error> {
        let Self { options, key_of, accumulate, opened, .. } = self;
        let opened = opened.as_mut().expect("an operator is opened before it is used");
        opened.counts.on_received(batch.len());
        let is_watched = opened.watch.is_watched();
        // Most records are for the window of the one before.
        let last: Option<Found> = None;
        key_of.for_each(
            batch,
            &mut (opened, last),
            |(opened, last), keys| {
                if let Some(found) = last {
                    opened.windows.table_mut(found.position).expect(parts(keys));
                }
            },
            |(opened, last), (key, place), Record { timestamp, value }| {
                let found = match *last {
                    Some(found) if found.window.contains(timestamp) => found,
                    _ => match opened.find(timestamp, options) {
                        Some(found) => *last.insert(found),
                        None => {
                            return opened.counts.on_late(options.late_to, timestamp, value, out);
                        }
                    },
                };
                match opened.windows.table_mut(found.position).entry(place, key) {
                    Entry::Occupied(accumulator) => accumulate.add(accumulator, value),
                    Entry::Vacant(vacancy) => {
                        vacancy.insert(key.clone(), accumulate.begin(value));
                        if is_watched {
                            opened.tell_timers(key, place, found, options);
                        }
                    }
                }
                if found.may_have_fired {
                    opened.fire_again((key, place), found, accumulate, out);
                }
            },
        );
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
        opened.counts.freeze(snapshot);
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
