//! Signals on a node's clocks: a regular one, and one at a given processing time.

use std::{
    task::{Context, Poll},
    time::Duration,
};

use floodmark_model::Timestamp;
use floodmark_platform::{BoxFuture, Machine};

/// Becomes ready once per interval. A late poll does not make up for missed ticks.
pub(crate) struct Ticker {
    machine: Machine,
    interval: Duration,
    sleep: BoxFuture<()>,
}

impl Ticker {
    pub(crate) fn new(machine: Machine, interval: Duration) -> Self {
        let sleep = machine.clock().sleep_until(machine.now() + interval);
        Self { machine, interval, sleep }
    }

    pub(crate) fn poll_tick(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        if self.sleep.as_mut().poll(cx).is_pending() {
            return Poll::Pending;
        }
        self.sleep = self.machine.clock().sleep_until(self.machine.now() + self.interval);
        // The first poll arms the next tick, and cannot be ready: the interval has just begun.
        let _ = self.sleep.as_mut().poll(cx);
        Poll::Ready(())
    }
}

/// A longer sleep is taken in pieces, so that no moment is beyond any clock.
const LONGEST_SLEEP: Duration = Duration::from_secs(86_400);

/// Becomes ready when the wall clock shows a given moment.
///
/// It sleeps on the clock that never jumps, and reads the other one only when it sets out and when it
/// wakes up. Whoever uses it looks at the clock from time to time besides, because a wall clock that
/// jumps forward wakes nobody.
pub(crate) struct Alarm {
    machine: Machine,
    armed: Option<Armed>,
}

struct Armed {
    time: Timestamp,
    sleep: BoxFuture<()>,
}

impl Alarm {
    pub(crate) fn new(machine: Machine) -> Self {
        Self { machine, armed: None }
    }

    /// Returns the processing time.
    pub(crate) fn now(&self) -> Timestamp {
        Timestamp::of_clock(self.machine.clock().wall())
    }

    /// Returns the processing time, once it is `time` or later; never without a `time`.
    pub(crate) fn poll_reached(
        &mut self,
        time: Option<Timestamp>,
        cx: &mut Context<'_>,
    ) -> Poll<Timestamp> {
        let Some(time) = time else {
            self.armed = None;
            return Poll::Pending;
        };
        loop {
            match &mut self.armed {
                Some(armed) if armed.time == time => {
                    std::task::ready!(armed.sleep.as_mut().poll(cx));
                    self.armed = None;
                }
                _ => {
                    let wall = self.machine.clock().wall();
                    let now = Timestamp::of_clock(wall);
                    if time <= now {
                        self.armed = None;
                        return Poll::Ready(now);
                    }
                    let millis = u64::try_from(time.0).expect("later than a clock's moment");
                    let pause = Duration::from_millis(millis).saturating_sub(wall);
                    let deadline = self.machine.now() + pause.min(LONGEST_SLEEP);
                    let sleep = self.machine.clock().sleep_until(deadline);
                    self.armed = Some(Armed { time, sleep });
                }
            }
        }
    }
}
