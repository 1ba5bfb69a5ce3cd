//! When the contents of a window are handed on.

use floodmark_model::{TimeDomain, Timestamp};
use floodmark_platform::Machine;
use floodmark_state::Data;

use crate::operators::Window;

/// Decides when a window fires.
///
/// It is asked for every record that enters a window and at every timer that it has set. What it
/// remembers of a window is its `State`, which begins as the type's default and is part of every
/// snapshot; the value itself is shared by all windows of a subtask and is not.
///
/// # Examples
///
/// ```
/// # mod floodmark { pub use floodmark_dataflow::{*, operators::*}; pub use floodmark_model::*; }
/// use floodmark::{Trigger, TriggerContext, TriggerResult, Timestamp};
///
/// /// Fires once, when the values of a window have come to a hundred.
/// #[derive(Clone)]
/// struct Hundred;
///
/// impl Trigger<u64> for Hundred {
///     /// The sum so far.
///     type State = u64;
///
///     fn on_element(
///         &mut self,
///         value: &u64,
///         _: Timestamp,
///         cx: &mut TriggerContext<'_, u64>,
///     ) -> TriggerResult {
///         let before = *cx.state();
///         *cx.state() += value;
///         let is_reached = before < 100 && 100 <= *cx.state();
///         if is_reached { TriggerResult::Fire } else { TriggerResult::Continue }
///     }
/// }
/// ```
pub trait Trigger<T>: Clone + Send + Sync + 'static {
    /// What is remembered per key and window.
    type State: Data + Default;

    /// Hears that a record has entered the window.
    fn on_element(
        &mut self,
        value: &T,
        timestamp: Timestamp,
        cx: &mut TriggerContext<'_, Self::State>,
    ) -> TriggerResult;

    /// Hears that event time has reached a timer of the window; also when it reaches the end of the
    /// window's life.
    fn on_event_time(
        &mut self,
        _time: Timestamp,
        _cx: &mut TriggerContext<'_, Self::State>,
    ) -> TriggerResult {
        TriggerResult::Continue
    }

    /// Hears that the node's clock has reached a timer of the window.
    fn on_processing_time(
        &mut self,
        _time: Timestamp,
        _cx: &mut TriggerContext<'_, Self::State>,
    ) -> TriggerResult {
        TriggerResult::Continue
    }

    /// Returns whether the trigger can be used with windows that merge.
    fn can_merge(&self) -> bool {
        false
    }

    /// Hears that windows with these states have become the context's window, whose own state is the
    /// default. Their timers are gone. Only called if [`Trigger::can_merge`].
    fn on_merge(&mut self, _merged: Vec<Self::State>, _cx: &mut TriggerContext<'_, Self::State>) {}

    /// Hears that the window is forgotten, and deletes the timers that it has set for it.
    fn clear(&mut self, _cx: &mut TriggerContext<'_, Self::State>) {}

    /// Returns whether nothing is lost when the state is forgotten and begins anew. Global windows
    /// without contents are forgotten only then.
    fn is_settled(&self, _state: &Self::State) -> bool {
        false
    }
}

/// What becomes of a window.
///
/// # Examples
///
/// ```
/// # mod floodmark { pub use floodmark_dataflow::{*, operators::*}; pub use floodmark_model::*; }
/// use floodmark::TriggerResult;
///
/// assert!(TriggerResult::FireAndPurge.fires() && TriggerResult::FireAndPurge.purges());
/// assert!(!TriggerResult::Fire.purges());
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TriggerResult {
    /// Nothing.
    Continue,
    /// Its contents are handed to the function, if there are any, and kept.
    Fire,
    /// Its contents are dropped. The window stays, and so does what the trigger remembers.
    Purge,
    /// Its contents are handed to the function and dropped.
    FireAndPurge,
}

impl TriggerResult {
    /// Returns whether the function gets the contents.
    pub fn fires(self) -> bool {
        matches!(self, Self::Fire | Self::FireAndPurge)
    }

    /// Returns whether the contents are dropped.
    pub fn purges(self) -> bool {
        matches!(self, Self::Purge | Self::FireAndPurge)
    }
}

/// A change of a window's timers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum TimerChange {
    Register(TimeDomain, Timestamp),
    Delete(TimeDomain, Timestamp),
}

/// What a trigger can reach: one window of one key.
///
/// # Examples
///
/// ```
/// # mod floodmark { pub use floodmark_dataflow::{*, operators::*}; pub use floodmark_model::*; }
/// use floodmark::{TriggerContext, TriggerResult};
///
/// /// Fires at the end of the window, or at once if that has passed.
/// fn at_end(cx: &mut TriggerContext<'_, ()>) -> TriggerResult {
///     let end = cx.window().max_timestamp();
///     if end <= cx.current_watermark() {
///         return TriggerResult::Fire;
///     }
///     cx.register_event_time(end);
///     TriggerResult::Continue
/// }
/// ```
pub struct TriggerContext<'a, S> {
    pub(super) window: Window,
    pub(super) domain: TimeDomain,
    pub(super) watermark: Timestamp,
    pub(super) machine: &'a Machine,
    pub(super) state: &'a mut S,
    pub(super) changes: &'a mut Vec<TimerChange>,
}

impl<S> TriggerContext<'_, S> {
    /// Returns the window.
    pub fn window(&self) -> Window {
        self.window
    }

    /// Returns the time by which records are assigned to windows.
    pub fn domain(&self) -> TimeDomain {
        self.domain
    }

    /// Returns what the trigger remembers of the window.
    pub fn state(&mut self) -> &mut S {
        self.state
    }

    /// Returns the context for a part of the state, so that a trigger can be made of others.
    pub fn part<'b, U>(
        &'b mut self,
        part_of: impl FnOnce(&'b mut S) -> &'b mut U,
    ) -> TriggerContext<'b, U> {
        TriggerContext {
            window: self.window,
            domain: self.domain,
            watermark: self.watermark,
            machine: self.machine,
            state: part_of(self.state),
            changes: self.changes,
        }
    }

    /// Returns the event time of the operator.
    pub fn current_watermark(&self) -> Timestamp {
        self.watermark
    }

    /// Reads the node's clock.
    pub fn current_processing_time(&self) -> Timestamp {
        Timestamp::of_clock(self.machine.clock().wall())
    }

    /// Sets a timer of the window that fires once event time has reached `time`; if it has already,
    /// with the next watermark. Setting it twice sets it once.
    pub fn register_event_time(&mut self, time: Timestamp) {
        self.changes.push(TimerChange::Register(TimeDomain::Event, time));
    }

    /// Removes the event-time timer at `time`, if there is one.
    pub fn delete_event_time(&mut self, time: Timestamp) {
        self.changes.push(TimerChange::Delete(TimeDomain::Event, time));
    }

    /// Sets a timer of the window that fires once the node's clock shows `time` or later.
    pub fn register_processing_time(&mut self, time: Timestamp) {
        self.changes.push(TimerChange::Register(TimeDomain::Processing, time));
    }

    /// Removes the processing-time timer at `time`, if there is one.
    pub fn delete_processing_time(&mut self, time: Timestamp) {
        self.changes.push(TimerChange::Delete(TimeDomain::Processing, time));
    }
}
