//! The triggers that a case can ask for, as one type.

use std::time::Duration;

use floodmark::{
    ContinuousEventTimeTrigger, CountTrigger, DeltaTrigger, EventTimeTrigger, PurgingTrigger,
    Timestamp, Trigger, TriggerContext, TriggerResult,
};
use serde::{Deserialize, Serialize};

use crate::conformance::event::Parameters;

use super::{Element, as_float, distance};

/// A trigger of the library, or the one that elements command.
#[derive(Clone)]
pub(crate) enum Chosen<T> {
    EventTime(EventTimeTrigger),
    Count(CountTrigger),
    Continuous(ContinuousEventTimeTrigger),
    Delta(DeltaTrigger<T, fn(&T, &T) -> f64>),
    Script(Script),
    Purging(Box<PurgingTrigger<Chosen<T>>>),
}

/// What the triggers remember; each has its part.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Memory<T> {
    nothing: (),
    count: u64,
    next: Option<Timestamp>,
    last: Option<T>,
}

impl<T> Default for Memory<T> {
    fn default() -> Self {
        Self { nothing: (), count: 0, next: None, last: None }
    }
}

/// Does what the elements say.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Script;

impl<T: Element> Chosen<T> {
    pub(crate) fn new(trigger: &Parameters) -> Result<Self, String> {
        Ok(match trigger.kind() {
            "event_time" => Self::EventTime(EventTimeTrigger),
            "count" => Self::count(trigger.needed("n")?)?,
            "continuous_event_time" => {
                let interval = trigger.needed("interval")?.unsigned_abs();
                Self::Continuous(ContinuousEventTimeTrigger::new(Duration::from_millis(interval)))
            }
            "delta" => {
                let threshold = as_float(trigger.needed("threshold")?);
                Self::Delta(DeltaTrigger::new(threshold, distance))
            }
            "script" => Self::Script(Script),
            "purging" => {
                let inner = trigger.part("inner").unwrap_or_default();
                Self::Purging(Box::new(PurgingTrigger::new(Self::new(&inner)?)))
            }
            other => return Err(format!("the trigger {other} is not supported")),
        })
    }

    pub(crate) fn count(count: i64) -> Result<Self, String> {
        let count = u64::try_from(count).map_err(|error| error.to_string())?;
        Ok(Self::Count(CountTrigger::new(count)))
    }

    pub(crate) fn purging_count(count: i64) -> Result<Self, String> {
        Ok(Self::Purging(Box::new(PurgingTrigger::new(Self::count(count)?))))
    }
}

type Cx<'a, 'b, T> = &'a mut TriggerContext<'b, Memory<T>>;

/// Calls the same method of the trigger that was chosen, with its part of the memory.
macro_rules! delegate {
    ($self:ident, $cx:ident, $trigger:ident, $part:ident, $call:expr) => {
        match $self {
            Chosen::EventTime($trigger) => {
                let mut $part = $cx.part(|memory| &mut memory.nothing);
                $call
            }
            Chosen::Count($trigger) => {
                let mut $part = $cx.part(|memory| &mut memory.count);
                $call
            }
            Chosen::Continuous($trigger) => {
                let mut $part = $cx.part(|memory| &mut memory.next);
                $call
            }
            Chosen::Delta($trigger) => {
                let mut $part = $cx.part(|memory| &mut memory.last);
                $call
            }
            Chosen::Script($trigger) => {
                let mut $part = $cx.part(|memory| &mut memory.next);
                $call
            }
            Chosen::Purging($trigger) => {
                let ($trigger, mut $part) = (&mut **$trigger, $cx.part(|memory| memory));
                $call
            }
        }
    };
}

impl<T: Element> Trigger<T> for Chosen<T> {
    type State = Memory<T>;

    fn on_element(&mut self, element: &T, time: Timestamp, cx: Cx<'_, '_, T>) -> TriggerResult {
        delegate!(self, cx, trigger, part, trigger.on_element(element, time, &mut part))
    }

    fn on_event_time(&mut self, time: Timestamp, cx: Cx<'_, '_, T>) -> TriggerResult {
        delegate!(self, cx, trigger, part, Trigger::<T>::on_event_time(trigger, time, &mut part))
    }

    fn can_merge(&self) -> bool {
        match self {
            Self::EventTime(_) | Self::Count(_) | Self::Continuous(_) | Self::Script(_) => true,
            Self::Delta(_) => false,
            Self::Purging(trigger) => trigger.can_merge(),
        }
    }

    fn on_merge(&mut self, merged: Vec<Memory<T>>, cx: Cx<'_, '_, T>) {
        match self {
            Self::EventTime(trigger) => {
                let mut part = cx.part(|memory| &mut memory.nothing);
                let merged = merged.iter().map(|_| ()).collect();
                <EventTimeTrigger as Trigger<T>>::on_merge(trigger, merged, &mut part);
            }
            Self::Count(trigger) => {
                let mut part = cx.part(|memory| &mut memory.count);
                let merged = merged.iter().map(|memory| memory.count).collect();
                <CountTrigger as Trigger<T>>::on_merge(trigger, merged, &mut part);
            }
            Self::Continuous(trigger) => {
                let mut part = cx.part(|memory| &mut memory.next);
                let merged = merged.iter().map(|memory| memory.next).collect();
                <ContinuousEventTimeTrigger as Trigger<T>>::on_merge(trigger, merged, &mut part);
            }
            Self::Script(trigger) => {
                let mut part = cx.part(|memory| &mut memory.next);
                let merged = merged.iter().map(|memory| memory.next).collect();
                <Script as Trigger<T>>::on_merge(trigger, merged, &mut part);
            }
            Self::Purging(trigger) => trigger.on_merge(merged, cx),
            Self::Delta(_) => {}
        }
    }

    fn clear(&mut self, cx: Cx<'_, '_, T>) {
        delegate!(self, cx, trigger, part, Trigger::<T>::clear(trigger, &mut part));
    }

    fn is_settled(&self, memory: &Memory<T>) -> bool {
        memory.count == 0
            && memory.next.is_none()
            && memory.last.is_none()
            && !matches!(self, Self::Script(_))
    }
}

impl<T: Element> Trigger<T> for Script {
    type State = Option<Timestamp>;

    fn on_element(
        &mut self,
        element: &T,
        _: Timestamp,
        cx: &mut TriggerContext<'_, Option<Timestamp>>,
    ) -> TriggerResult {
        let end = cx.window().max_timestamp();
        if cx.current_watermark() < end {
            cx.register_event_time(end);
        }
        let event = element.event();
        match &*event.c {
            "fire" => return TriggerResult::Fire,
            "purge" => return TriggerResult::Purge,
            "fire_purge" => return TriggerResult::FireAndPurge,
            "timer" => {
                let time = Timestamp(event.v);
                if let Some(earlier) = cx.state().replace(time).filter(|earlier| *earlier != end) {
                    cx.delete_event_time(earlier);
                }
                cx.register_event_time(time);
            }
            _ => {}
        }
        TriggerResult::Continue
    }

    fn on_event_time(
        &mut self,
        time: Timestamp,
        cx: &mut TriggerContext<'_, Option<Timestamp>>,
    ) -> TriggerResult {
        let is_timer = *cx.state() == Some(time);
        if is_timer {
            *cx.state() = None;
        }
        if is_timer || time == cx.window().max_timestamp() {
            TriggerResult::Fire
        } else {
            TriggerResult::Continue
        }
    }

    fn can_merge(&self) -> bool {
        true
    }

    fn on_merge(
        &mut self,
        merged: Vec<Option<Timestamp>>,
        cx: &mut TriggerContext<'_, Option<Timestamp>>,
    ) {
        let end = cx.window().max_timestamp();
        if cx.current_watermark() < end {
            cx.register_event_time(end);
        }
        if let Some(next) = merged.into_iter().flatten().min() {
            *cx.state() = Some(next);
            cx.register_event_time(next);
        }
    }

    fn clear(&mut self, cx: &mut TriggerContext<'_, Option<Timestamp>>) {
        let end = cx.window().max_timestamp();
        cx.delete_event_time(end);
        if let Some(next) = cx.state().take() {
            cx.delete_event_time(next);
        }
    }
}
