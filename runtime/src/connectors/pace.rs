//! Sources at a given rate.

use std::{
    num::NonZeroU32,
    task::{Context, Poll},
    time::Duration,
};

use floodmark_dataflow::BoxError;
use floodmark_platform::{BoxFuture, Machine};

/// Batches per second at which a paced source yields, if its rate allows.
const BATCH_RATE: u32 = 50;

/// Lets a reader yield so many values per second.
pub(crate) struct Pace {
    machine: Machine,
    rate: Option<NonZeroU32>,
    /// The moment before which nothing may be yielded.
    sleep: Option<BoxFuture<()>>,
}

impl Pace {
    /// Paces to `rate` values per second; without one, not at all.
    pub(crate) fn new(machine: &Machine, rate: Option<NonZeroU32>) -> Self {
        Self { machine: machine.clone(), rate, sleep: None }
    }

    /// Returns the most values that may be yielded now; 1 to `max`.
    pub(crate) fn poll_allowance(&mut self, cx: &mut Context<'_>, max: usize) -> Poll<usize> {
        assert!(0 < max);
        let Some(rate) = self.rate else { return Poll::Ready(max) };
        if let Some(sleep) = &mut self.sleep {
            std::task::ready!(sleep.as_mut().poll(cx));
            self.sleep = None;
        }
        let share = usize::try_from(rate.get() / BATCH_RATE).unwrap_or(max);
        Poll::Ready(share.clamp(1, max))
    }

    /// Records that `count` values were yielded.
    pub(crate) fn on_yield(&mut self, count: usize) {
        let Some(rate) = self.rate else { return };
        let count = u32::try_from(count).expect("a batch is small");
        let pause = Duration::from_secs(1) * count / rate.get();
        self.sleep = Some(self.machine.clock().sleep_until(self.machine.now() + pause));
    }
}

/// Returns the rate, if it is one.
pub(crate) fn rate_of(per_second: u32) -> Option<NonZeroU32> {
    let rate = NonZeroU32::new(per_second);
    assert!(rate.is_some(), "a rate is at least one record per second");
    rate
}

/// Returns a boxed error with this message.
pub(crate) fn error(message: String) -> BoxError {
    message.into()
}
