//! The clocks of the system.
//!
//! The runtime reads the monotonic one, counted from the creation of the machine; the wall clock
//! only passes through.

use std::{
    future::pending,
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use floodmark_platform::{BoxFuture, Clock};
use tokio::time;

use crate::machine::Host;

impl Clock for Host {
    fn now(&self) -> Duration {
        self.started.elapsed()
    }

    /// A system clock set before 1970 reads zero.
    fn wall(&self) -> Duration {
        SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default()
    }

    /// Late by up to a millisecond, the resolution of the timers, and by whatever the system adds.
    fn sleep_until(&self, deadline: Duration) -> BoxFuture<()> {
        let Some(deadline) = self.started.checked_add(deadline) else {
            // A moment the clock cannot show never comes.
            return Box::pin(pending());
        };
        // A timer belongs to the runtime in which it is created, and the caller may be outside.
        let _entered = self.runtime.enter();
        Box::pin(time::sleep_until(deadline.into()))
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use crate::machine::tests::machine_in;

    #[tokio::test]
    async fn a_timer_never_completes_before_its_deadline() {
        let directory = tempfile::tempdir().unwrap();
        let machine = machine_in(directory.path());
        for micros in [0, 1, 999, 1_001] {
            let deadline = machine.now() + Duration::from_micros(micros);
            machine.clock().sleep_until(deadline).await;
            assert!(deadline <= machine.now());
        }
    }

    #[tokio::test]
    async fn a_deadline_beyond_the_clock_never_comes() {
        let directory = tempfile::tempdir().unwrap();
        let machine = machine_in(directory.path());
        let never = machine.clock().sleep_until(Duration::MAX);
        assert_eq!(machine.timeout(Duration::ZERO, never).await, None);
    }

    #[tokio::test]
    async fn the_wall_clock_is_past_the_year_2020() {
        let directory = tempfile::tempdir().unwrap();
        let wall = machine_in(directory.path()).clock().wall();
        assert!(Duration::from_secs(1_577_836_800) < wall);
    }
}
