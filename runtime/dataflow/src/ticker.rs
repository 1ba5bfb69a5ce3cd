//! A regular signal on a node's clock.

use std::{
    task::{Context, Poll},
    time::Duration,
};

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
