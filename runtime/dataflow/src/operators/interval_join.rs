//! Joins over event time: each record meets those of the other input that happened about when it did.
//!
//! A record is kept for as long as partners can come that are not late, and forgotten when event time
//! has passed that. What is behind event time when it comes is late: some of its partners may be
//! forgotten already.
//!
//! # Sources
//!
//! Flink's `IntervalJoinOperator`.

use std::{marker::PhantomData, time::Duration};

use floodmark_model::{Record, TimeDomain, Timestamp};
use floodmark_state::{Data, Key};

use crate::{
    BoxError, OutputTag,
    operators::{Context, KeyedCoProcess, MapState},
};

/// A distance in event time, in either direction.
///
/// # Examples
///
/// ```
/// # mod floodmark { pub use floodmark_dataflow::{*, operators::*}; pub use floodmark_model::*; }
/// use floodmark::Offset;
/// use std::time::Duration;
///
/// let second = Duration::from_secs(1);
/// assert!(Offset::before(second) < Offset::ZERO && Offset::ZERO < Offset::after(second));
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Offset(i64);

impl Offset {
    /// No distance.
    pub const ZERO: Self = Self(0);

    /// So much earlier.
    pub fn before(distance: Duration) -> Self {
        Self(-Self::after(distance).0)
    }

    /// So much later.
    pub fn after(distance: Duration) -> Self {
        Self(i64::try_from(distance.as_millis()).unwrap_or(i64::MAX))
    }
}

/// Where partners lie, as seen from a record of the first input: bounds included.
///
/// # Examples
///
/// ```
/// # mod floodmark { pub use floodmark_dataflow::{*, operators::*}; pub use floodmark_model::*; }
/// use floodmark::{Interval, Offset};
/// use std::time::Duration;
///
/// // From five seconds before to, but not including, one second after.
/// let around = Interval::new(
///     Offset::before(Duration::from_secs(5)),
///     Offset::after(Duration::from_secs(1)),
/// )
/// .without_upper();
/// # let _ = around;
/// ```
#[derive(Clone, Copy, Debug)]
pub struct Interval {
    lower: i64,
    upper: i64,
}

impl Interval {
    /// From `lower` to `upper`, both included.
    ///
    /// # Panics
    ///
    /// When `lower` is above `upper`.
    pub fn new(lower: Offset, upper: Offset) -> Self {
        assert!(lower <= upper, "an interval begins before it ends");
        Self { lower: lower.0, upper: upper.0 }
    }

    /// Without the lower bound itself.
    #[must_use]
    pub fn without_lower(self) -> Self {
        Self { lower: self.lower.saturating_add(1), ..self }
    }

    /// Without the upper bound itself.
    #[must_use]
    pub fn without_upper(self) -> Self {
        Self { upper: self.upper.saturating_sub(1), ..self }
    }
}

/// Where late records go; without a tag they are dropped.
#[derive(Clone, Copy, Debug)]
pub struct LateTags<A, B> {
    /// Those of the first input.
    pub first: Option<OutputTag<A>>,
    /// Those of the second input.
    pub second: Option<OutputTag<B>>,
}

/// The function that joins.
pub struct IntervalJoinProcess<K, A, B, J> {
    interval: Interval,
    late: LateTags<A, B>,
    join: J,
    types: PhantomData<fn(K, A, B)>,
}

impl<K, A, B, J: Clone> Clone for IntervalJoinProcess<K, A, B, J> {
    fn clone(&self) -> Self {
        let LateTags { first, second } = self.late;
        Self::new(self.interval, LateTags { first, second }, self.join.clone())
    }
}

impl<K, A, B, J> IntervalJoinProcess<K, A, B, J> {
    /// Joins with `join`.
    pub fn new(interval: Interval, late: LateTags<A, B>, join: J) -> Self {
        Self { interval, late, join, types: PhantomData }
    }

    /// Returns how long a record of the first input is kept after its timestamp.
    fn first_stays(&self) -> i64 {
        self.interval.upper.max(0)
    }

    /// Returns how long a record of the second input is kept after its timestamp.
    fn second_stays(&self) -> i64 {
        self.interval.lower.saturating_neg().max(0)
    }
}

/// The records of each input, by timestamp.
const fn first<A>() -> MapState<i64, Vec<A>> {
    MapState::new("first")
}

const fn second<B>() -> MapState<i64, Vec<B>> {
    MapState::new("second")
}

/// Keeps a record until event time is `stays` after it.
fn keep<K: Key, O: Data, T: Data>(
    state: MapState<i64, Vec<T>>,
    (value, stays): (T, i64),
    cx: &mut Context<'_, K, O>,
) {
    let time = cx.timestamp().0;
    cx.state(state).update(time, |values| values.push(value));
    cx.timers().register_event_time(Timestamp(time.saturating_add(stays)));
}

/// Returns the records whose timestamps are so far from the context's, in order.
fn partners<K: Key, O: Data, T: Data>(
    state: MapState<i64, Vec<T>>,
    (lower, upper): (i64, i64),
    cx: &mut Context<'_, K, O>,
) -> Vec<Record<T>> {
    let time = cx.timestamp().0;
    let (from, to) = (time.saturating_add(lower), time.saturating_add(upper));
    if to < from {
        return Vec::new();
    }
    let state = cx.state(state);
    let found = state.range(from..=to).flat_map(|(time, values)| {
        let timestamp = Timestamp(*time);
        values.iter().map(move |value| Record { timestamp, value: value.clone() })
    });
    found.collect()
}

impl<K, A, B, J, I> KeyedCoProcess for IntervalJoinProcess<K, A, B, J>
where
    K: Key,
    A: Data,
    B: Data,
    J: FnMut(&K, Record<A>, Record<B>) -> I + Send + 'static,
    I: IntoIterator,
    I::Item: Data,
{
    type Key = K;
    type First = A;
    type Second = B;
    type Out = I::Item;

    fn on_first(&mut self, value: A, cx: &mut Context<'_, K, I::Item>) -> Result<(), BoxError> {
        let timestamp = cx.timestamp();
        if timestamp < cx.timers().current_watermark() {
            if let Some(tag) = self.late.first {
                cx.emit_to(tag, value);
            }
            return Ok(());
        }
        keep(first(), (value.clone(), self.first_stays()), cx);
        let Interval { lower, upper } = self.interval;
        for partner in partners(second(), (lower, upper), cx) {
            let at = timestamp.max(partner.timestamp);
            let ours = Record { timestamp, value: value.clone() };
            let joined = (self.join)(cx.key(), ours, partner);
            joined.into_iter().for_each(|joined| cx.emit_at(at, joined));
        }
        Ok(())
    }

    fn on_second(&mut self, value: B, cx: &mut Context<'_, K, I::Item>) -> Result<(), BoxError> {
        let timestamp = cx.timestamp();
        if timestamp < cx.timers().current_watermark() {
            if let Some(tag) = self.late.second {
                cx.emit_to(tag, value);
            }
            return Ok(());
        }
        keep(second(), (value.clone(), self.second_stays()), cx);
        let Interval { lower, upper } = self.interval;
        let seen_from_here = (upper.saturating_neg(), lower.saturating_neg());
        for partner in partners(first(), seen_from_here, cx) {
            let at = timestamp.max(partner.timestamp);
            let ours = Record { timestamp, value: value.clone() };
            let joined = (self.join)(cx.key(), partner, ours);
            joined.into_iter().for_each(|joined| cx.emit_at(at, joined));
        }
        Ok(())
    }

    /// Forgets what no partner can come for any more. A timer of one input finds nothing of the other:
    /// what it would find there has a timer at the same time.
    fn on_timer(
        &mut self,
        time: Timestamp,
        _: TimeDomain,
        cx: &mut Context<'_, K, I::Item>,
    ) -> Result<(), BoxError> {
        cx.state(first::<A>()).remove(&time.0.saturating_sub(self.first_stays()));
        cx.state(second::<B>()).remove(&time.0.saturating_sub(self.second_stays()));
        Ok(())
    }
}
