//! Timers: one moment of virtual time at a time.
//!
//! The executor keeps every sleep that was ever polled until its moment comes, and wakes whoever
//! polled it then. A task that polls a sleep each time it runs would be woken once for each of these
//! polls, and run again. A timer is therefore armed once per moment and task.

use std::{
    pin::Pin,
    task::{Context, Poll, Waker},
    time::Duration,
};

use madsim::time::Sleep;

use crate::world::Shared;

/// Wakes a task at a moment.
#[derive(Default)]
pub(crate) struct Timer {
    armed: Option<Armed>,
}

struct Armed {
    at: Duration,
    /// Whom it wakes.
    waker: Waker,
    sleep: Pin<Box<Sleep>>,
}

impl Timer {
    /// Has the current task woken at `at`; at once, if that is now.
    pub(crate) fn arm(&mut self, shared: &Shared, at: Duration, cx: &mut Context<'_>) {
        // A future that was handed to another task needs a timer that wakes that one.
        let is_armed = |armed: &Armed| armed.at == at && armed.waker.will_wake(cx.waker());
        if self.armed.as_ref().is_some_and(is_armed) {
            return;
        }
        let waker = cx.waker().clone();
        let mut sleep = match self.armed.take() {
            Some(armed) => armed.sleep,
            None => Box::pin(shared.sleep_now()),
        };
        shared.reset(sleep.as_mut(), at);
        if sleep.as_mut().poll(cx).is_ready() {
            waker.wake_by_ref();
        }
        self.armed = Some(Armed { at, waker, sleep });
    }

    /// Returns whether the current task will be woken, and its moment has not come at `now`.
    pub(crate) fn is_pending(&self, now: Duration, cx: &Context<'_>) -> bool {
        let is_pending = |armed: &Armed| now < armed.at && armed.waker.will_wake(cx.waker());
        self.armed.as_ref().is_some_and(is_pending)
    }
}

/// A sleep until the clock of a node shows a deadline.
pub(crate) struct ClockSleep {
    shared: Shared,
    node: usize,
    deadline: Duration,
    timer: Timer,
}

impl ClockSleep {
    pub(crate) fn new(shared: Shared, node: usize, deadline: Duration) -> Self {
        Self { shared, node, deadline, timer: Timer::default() }
    }
}

impl Future for ClockSleep {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        let Self { shared, node, deadline, timer } = &mut *self;
        let now = shared.now();
        if timer.is_pending(now, cx) {
            return Poll::Pending;
        }
        let clock = shared.lock().nodes[*node].clock;
        if *deadline <= clock.local(now) {
            return Poll::Ready(());
        }
        // A clock that has slowed down makes it sleep again.
        timer.arm(shared, clock.moment_of(*deadline), cx);
        Poll::Pending
    }
}
