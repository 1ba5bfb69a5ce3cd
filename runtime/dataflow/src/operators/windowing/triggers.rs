//! The triggers of the library.

use std::{marker::PhantomData, time::Duration};

use floodmark_model::{TimeDomain, Timestamp};
use floodmark_state::Data;

use super::trigger::{Trigger, TriggerContext, TriggerResult};

/// Fires at the end of a window, in the time by which records are assigned; a global window never
/// ends. What windows have that are given no other trigger.
///
/// # Examples
///
/// ```
/// # mod floodmark { pub use floodmark_dataflow::{*, operators::*}; pub use floodmark_model::*; }
/// use floodmark::AtEnd;
///
/// // What windows have unless `.trigger(…)` gives them another one.
/// let trigger = AtEnd;
/// # let _ = trigger;
/// ```
#[derive(Clone, Copy, Debug, Default)]
pub struct AtEnd;

/// Fires when event time reaches the end of the window, and for every record that comes after that.
///
/// # Examples
///
/// ```
/// # mod floodmark { pub use floodmark_dataflow::{*, operators::*}; pub use floodmark_model::*; }
/// use floodmark::{EventTimeTrigger, PurgingTrigger};
///
/// // Late records are handed on alone, and not with those of before.
/// let trigger = PurgingTrigger::new(EventTimeTrigger);
/// # let _ = trigger;
/// ```
#[derive(Clone, Copy, Debug, Default)]
pub struct EventTimeTrigger;

/// Fires when the node's clock reaches the end of the window.
///
/// # Examples
///
/// ```
/// # mod floodmark { pub use floodmark_dataflow::{*, operators::*}; pub use floodmark_model::*; }
/// use floodmark::ProcessingTimeTrigger;
///
/// // `.window(…).trigger(ProcessingTimeTrigger)`
/// let trigger = ProcessingTimeTrigger;
/// # let _ = trigger;
/// ```
#[derive(Clone, Copy, Debug, Default)]
pub struct ProcessingTimeTrigger;

/// Never fires.
///
/// # Examples
///
/// ```
/// # mod floodmark { pub use floodmark_dataflow::{*, operators::*}; pub use floodmark_model::*; }
/// use floodmark::{NeverTrigger, PurgingTrigger};
///
/// // Nothing is ever handed on.
/// let trigger = PurgingTrigger::new(NeverTrigger);
/// # let _ = trigger;
/// ```
#[derive(Clone, Copy, Debug, Default)]
pub struct NeverTrigger;

/// Fires whenever so many records have come. Not at the end of the window.
///
/// # Examples
///
/// ```
/// # mod floodmark { pub use floodmark_dataflow::{*, operators::*}; pub use floodmark_model::*; }
/// use floodmark::CountTrigger;
///
/// // `.window(…).trigger(CountTrigger::new(100))` hands a window on after every hundredth record.
/// let trigger = CountTrigger::new(100);
/// # let _ = trigger;
/// ```
#[derive(Clone, Copy, Debug)]
pub struct CountTrigger {
    count: u64,
}

/// Drops the contents whenever another trigger fires.
///
/// # Examples
///
/// ```
/// # mod floodmark { pub use floodmark_dataflow::{*, operators::*}; pub use floodmark_model::*; }
/// use floodmark::{CountTrigger, PurgingTrigger};
///
/// // Groups of a hundred records, each in one of them.
/// let trigger = PurgingTrigger::new(CountTrigger::new(100));
/// # let _ = trigger;
/// ```
#[derive(Clone, Copy, Debug)]
pub struct PurgingTrigger<G> {
    inner: G,
}

/// Fires in intervals of event time, and at the end of the window.
///
/// # Examples
///
/// ```
/// # mod floodmark { pub use floodmark_dataflow::{*, operators::*}; pub use floodmark_model::*; }
/// use floodmark::ContinuousEventTimeTrigger;
/// use std::time::Duration;
///
/// // What a day has so far, every hour of event time.
/// let trigger = ContinuousEventTimeTrigger::new(Duration::from_secs(3_600));
/// # let _ = trigger;
/// ```
#[derive(Clone, Copy, Debug)]
pub struct ContinuousEventTimeTrigger {
    interval: i64,
}

/// Fires in intervals of the node's clock, and when it reaches the end of the window.
///
/// # Examples
///
/// ```
/// # mod floodmark { pub use floodmark_dataflow::{*, operators::*}; pub use floodmark_model::*; }
/// use floodmark::ContinuousProcessingTimeTrigger;
/// use std::time::Duration;
///
/// // What a day has so far, every ten seconds on the clock.
/// let trigger = ContinuousProcessingTimeTrigger::new(Duration::from_secs(10));
/// # let _ = trigger;
/// ```
#[derive(Clone, Copy, Debug)]
pub struct ContinuousProcessingTimeTrigger {
    interval: i64,
}

/// Fires when a record is far enough from the one that fired last. Not at the end of the window.
///
/// # Examples
///
/// ```
/// # mod floodmark { pub use floodmark_dataflow::{*, operators::*}; pub use floodmark_model::*; }
/// use floodmark::DeltaTrigger;
///
/// // Whenever the level is more than half a metre from the one that fired last.
/// let trigger = DeltaTrigger::new(0.5, |last: &f64, level: &f64| (level - last).abs());
/// # let _ = trigger;
/// ```
#[derive(Clone, Debug)]
pub struct DeltaTrigger<T, F> {
    threshold: f64,
    delta: F,
    value: PhantomData<fn(T)>,
}

type Cx<'a, 'b, S> = &'a mut TriggerContext<'b, S>;

/// What a trigger at the end of event time does with a record.
fn on_event_time_element<S>(cx: Cx<'_, '_, S>) -> TriggerResult {
    let end = cx.window().max_timestamp();
    if end <= cx.current_watermark() {
        return TriggerResult::Fire;
    }
    cx.register_event_time(end);
    TriggerResult::Continue
}

fn fire_if(is_due: bool) -> TriggerResult {
    if is_due { TriggerResult::Fire } else { TriggerResult::Continue }
}

impl<T> Trigger<T> for AtEnd {
    type State = ();

    fn on_element(&mut self, value: &T, time: Timestamp, cx: Cx<'_, '_, ()>) -> TriggerResult {
        match cx.domain() {
            TimeDomain::Event if cx.window().is_global() => TriggerResult::Continue,
            TimeDomain::Event => EventTimeTrigger.on_element(value, time, cx),
            TimeDomain::Processing => ProcessingTimeTrigger.on_element(value, time, cx),
        }
    }

    fn on_event_time(&mut self, time: Timestamp, cx: Cx<'_, '_, ()>) -> TriggerResult {
        <EventTimeTrigger as Trigger<T>>::on_event_time(&mut EventTimeTrigger, time, cx)
    }

    fn on_processing_time(&mut self, _: Timestamp, _: Cx<'_, '_, ()>) -> TriggerResult {
        TriggerResult::Fire
    }

    fn can_merge(&self) -> bool {
        true
    }

    fn on_merge(&mut self, merged: Vec<()>, cx: Cx<'_, '_, ()>) {
        match cx.domain() {
            TimeDomain::Event => {
                <EventTimeTrigger as Trigger<T>>::on_merge(&mut EventTimeTrigger, merged, cx);
            }
            TimeDomain::Processing => <ProcessingTimeTrigger as Trigger<T>>::on_merge(
                &mut ProcessingTimeTrigger,
                merged,
                cx,
            ),
        }
    }

    fn clear(&mut self, cx: Cx<'_, '_, ()>) {
        let end = cx.window().max_timestamp();
        match cx.domain() {
            TimeDomain::Event => cx.delete_event_time(end),
            TimeDomain::Processing => cx.delete_processing_time(end),
        }
    }

    fn is_settled(&self, (): &()) -> bool {
        true
    }
}

impl<T> Trigger<T> for EventTimeTrigger {
    type State = ();

    fn on_element(&mut self, _: &T, _: Timestamp, cx: Cx<'_, '_, ()>) -> TriggerResult {
        on_event_time_element(cx)
    }

    fn on_event_time(&mut self, time: Timestamp, cx: Cx<'_, '_, ()>) -> TriggerResult {
        fire_if(time == cx.window().max_timestamp())
    }

    fn can_merge(&self) -> bool {
        true
    }

    fn on_merge(&mut self, _: Vec<()>, cx: Cx<'_, '_, ()>) {
        let end = cx.window().max_timestamp();
        // Otherwise the record that made them merge fires at once.
        if cx.current_watermark() < end {
            cx.register_event_time(end);
        }
    }

    fn clear(&mut self, cx: Cx<'_, '_, ()>) {
        let end = cx.window().max_timestamp();
        cx.delete_event_time(end);
    }

    fn is_settled(&self, (): &()) -> bool {
        true
    }
}

impl<T> Trigger<T> for ProcessingTimeTrigger {
    type State = ();

    fn on_element(&mut self, _: &T, _: Timestamp, cx: Cx<'_, '_, ()>) -> TriggerResult {
        let end = cx.window().max_timestamp();
        cx.register_processing_time(end);
        TriggerResult::Continue
    }

    fn on_processing_time(&mut self, _: Timestamp, _: Cx<'_, '_, ()>) -> TriggerResult {
        TriggerResult::Fire
    }

    fn can_merge(&self) -> bool {
        true
    }

    fn on_merge(&mut self, _: Vec<()>, cx: Cx<'_, '_, ()>) {
        let end = cx.window().max_timestamp();
        cx.register_processing_time(end);
    }

    fn clear(&mut self, cx: Cx<'_, '_, ()>) {
        let end = cx.window().max_timestamp();
        cx.delete_processing_time(end);
    }

    fn is_settled(&self, (): &()) -> bool {
        true
    }
}

impl<T> Trigger<T> for NeverTrigger {
    type State = ();

    fn on_element(&mut self, _: &T, _: Timestamp, _: Cx<'_, '_, ()>) -> TriggerResult {
        TriggerResult::Continue
    }

    fn can_merge(&self) -> bool {
        true
    }

    fn is_settled(&self, (): &()) -> bool {
        true
    }
}

impl CountTrigger {
    /// Fires at every `count`-th record. At least 1.
    ///
    /// # Panics
    ///
    /// When `count` is 0.
    pub fn new(count: u64) -> Self {
        assert!(0 < count, "a trigger counts to at least 1");
        Self { count }
    }
}

impl<T> Trigger<T> for CountTrigger {
    type State = u64;

    fn on_element(&mut self, _: &T, _: Timestamp, cx: Cx<'_, '_, u64>) -> TriggerResult {
        *cx.state() += 1;
        let is_due = self.count <= *cx.state();
        if is_due {
            *cx.state() = 0;
        }
        fire_if(is_due)
    }

    fn can_merge(&self) -> bool {
        true
    }

    fn on_merge(&mut self, merged: Vec<u64>, cx: Cx<'_, '_, u64>) {
        *cx.state() = merged.iter().sum();
    }

    fn is_settled(&self, count: &u64) -> bool {
        *count == 0
    }
}

impl<G> PurgingTrigger<G> {
    /// Fires when `inner` does, and drops the contents then.
    pub fn new(inner: G) -> Self {
        Self { inner }
    }

    fn purging(result: TriggerResult) -> TriggerResult {
        match result {
            TriggerResult::Fire => TriggerResult::FireAndPurge,
            TriggerResult::Continue | TriggerResult::Purge | TriggerResult::FireAndPurge => result,
        }
    }
}

impl<T, G: Trigger<T>> Trigger<T> for PurgingTrigger<G> {
    type State = G::State;

    fn on_element(
        &mut self,
        value: &T,
        timestamp: Timestamp,
        cx: Cx<'_, '_, G::State>,
    ) -> TriggerResult {
        Self::purging(self.inner.on_element(value, timestamp, cx))
    }

    fn on_event_time(&mut self, time: Timestamp, cx: Cx<'_, '_, G::State>) -> TriggerResult {
        Self::purging(self.inner.on_event_time(time, cx))
    }

    fn on_processing_time(&mut self, time: Timestamp, cx: Cx<'_, '_, G::State>) -> TriggerResult {
        Self::purging(self.inner.on_processing_time(time, cx))
    }

    fn can_merge(&self) -> bool {
        self.inner.can_merge()
    }

    fn on_merge(&mut self, merged: Vec<G::State>, cx: Cx<'_, '_, G::State>) {
        self.inner.on_merge(merged, cx);
    }

    fn clear(&mut self, cx: Cx<'_, '_, G::State>) {
        self.inner.clear(cx);
    }

    fn is_settled(&self, state: &G::State) -> bool {
        self.inner.is_settled(state)
    }
}

fn interval(interval: Duration) -> i64 {
    let millis = i64::try_from(interval.as_millis()).expect("an interval is shorter than an age");
    assert!(0 < millis, "an interval lasts at least 1 ms");
    millis
}

/// Returns the first multiple of `interval` after `time`. Before the epoch, where the remainder is
/// negative, it is the one after that, as it is in Apache Flink.
fn next_multiple(time: Timestamp, interval: i64) -> Timestamp {
    Timestamp(time.0.saturating_sub(time.0 % interval).saturating_add(interval))
}

impl ContinuousEventTimeTrigger {
    /// Fires whenever event time has passed a multiple of `every` since the window's first record.
    ///
    /// # Panics
    ///
    /// When `every` is shorter than 1 ms.
    pub fn new(every: Duration) -> Self {
        Self { interval: interval(every) }
    }

    fn arm(next: Timestamp, cx: Cx<'_, '_, Option<Timestamp>>) {
        let next = next.min(cx.window().max_timestamp());
        *cx.state() = Some(next);
        cx.register_event_time(next);
    }
}

impl<T> Trigger<T> for ContinuousEventTimeTrigger {
    type State = Option<Timestamp>;

    fn on_element(
        &mut self,
        _: &T,
        timestamp: Timestamp,
        cx: Cx<'_, '_, Option<Timestamp>>,
    ) -> TriggerResult {
        let result = on_event_time_element(cx);
        if result == TriggerResult::Continue && cx.state().is_none() {
            Self::arm(next_multiple(timestamp, self.interval), cx);
        }
        result
    }

    fn on_event_time(
        &mut self,
        time: Timestamp,
        cx: Cx<'_, '_, Option<Timestamp>>,
    ) -> TriggerResult {
        if time == cx.window().max_timestamp() {
            return TriggerResult::Fire;
        }
        let is_due = *cx.state() == Some(time);
        if is_due {
            Self::arm(Timestamp(time.0.saturating_add(self.interval)), cx);
        }
        fire_if(is_due)
    }

    fn can_merge(&self) -> bool {
        true
    }

    fn on_merge(&mut self, merged: Vec<Option<Timestamp>>, cx: Cx<'_, '_, Option<Timestamp>>) {
        if let Some(next) = merged.into_iter().flatten().min() {
            *cx.state() = Some(next);
            cx.register_event_time(next);
        }
    }

    fn clear(&mut self, cx: Cx<'_, '_, Option<Timestamp>>) {
        let end = cx.window().max_timestamp();
        cx.delete_event_time(end);
        if let Some(next) = cx.state().take() {
            cx.delete_event_time(next);
        }
    }

    fn is_settled(&self, next: &Option<Timestamp>) -> bool {
        next.is_none()
    }
}

impl ContinuousProcessingTimeTrigger {
    /// Fires whenever the node's clock has passed a multiple of `every` since the window's first
    /// record.
    ///
    /// # Panics
    ///
    /// When `every` is shorter than 1 ms.
    pub fn new(every: Duration) -> Self {
        Self { interval: interval(every) }
    }

    fn arm(next: Timestamp, cx: Cx<'_, '_, Option<Timestamp>>) {
        let next = next.min(cx.window().max_timestamp());
        *cx.state() = Some(next);
        cx.register_processing_time(next);
    }
}

impl<T> Trigger<T> for ContinuousProcessingTimeTrigger {
    type State = Option<Timestamp>;

    fn on_element(
        &mut self,
        _: &T,
        _: Timestamp,
        cx: Cx<'_, '_, Option<Timestamp>>,
    ) -> TriggerResult {
        if cx.state().is_none() {
            let now = cx.current_processing_time();
            Self::arm(next_multiple(now, self.interval), cx);
        }
        TriggerResult::Continue
    }

    fn on_processing_time(
        &mut self,
        time: Timestamp,
        cx: Cx<'_, '_, Option<Timestamp>>,
    ) -> TriggerResult {
        if time == cx.window().max_timestamp() {
            return TriggerResult::Fire;
        }
        let is_due = *cx.state() == Some(time);
        if is_due {
            Self::arm(Timestamp(time.0.saturating_add(self.interval)), cx);
        }
        fire_if(is_due)
    }

    fn can_merge(&self) -> bool {
        true
    }

    fn on_merge(&mut self, merged: Vec<Option<Timestamp>>, cx: Cx<'_, '_, Option<Timestamp>>) {
        if let Some(next) = merged.into_iter().flatten().min() {
            *cx.state() = Some(next);
            cx.register_processing_time(next);
        }
    }

    fn clear(&mut self, cx: Cx<'_, '_, Option<Timestamp>>) {
        if let Some(next) = cx.state().take() {
            cx.delete_processing_time(next);
        }
    }

    fn is_settled(&self, next: &Option<Timestamp>) -> bool {
        next.is_none()
    }
}

impl<T, F: Fn(&T, &T) -> f64> DeltaTrigger<T, F> {
    /// Fires when `delta(last, value)` is greater than `threshold`, where `last` is the record that
    /// fired last; at first, the window's first record.
    pub fn new(threshold: f64, delta: F) -> Self {
        Self { threshold, delta, value: PhantomData }
    }
}

impl<T, F> Trigger<T> for DeltaTrigger<T, F>
where
    T: Data,
    F: Fn(&T, &T) -> f64 + Clone + Send + Sync + 'static,
{
    type State = Option<T>;

    fn on_element(&mut self, value: &T, _: Timestamp, cx: Cx<'_, '_, Option<T>>) -> TriggerResult {
        let Some(last) = cx.state() else {
            *cx.state() = Some(value.clone());
            return TriggerResult::Continue;
        };
        let is_far = self.threshold < (self.delta)(last, value);
        if is_far {
            *last = value.clone();
        }
        fire_if(is_far)
    }

    fn is_settled(&self, last: &Option<T>) -> bool {
        last.is_none()
    }
}
