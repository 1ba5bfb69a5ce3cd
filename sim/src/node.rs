//! Nodes: processes that run the code under test, and can be killed.

use std::{sync::Arc, time::Duration};

use floodmark_platform::{BoxFuture, Machine};
use madsim::runtime::NodeHandle;

use crate::disk::Disk;

/// A node of the simulated cluster.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct NodeId(pub(crate) usize);

/// One life of a node; a restart begins the next.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Life {
    pub(crate) node: NodeId,
    pub(crate) incarnation: u32,
}

pub(crate) struct Node {
    pub(crate) name: Arc<str>,
    pub(crate) main: Arc<Main>,
    /// The executor's handle of the current life.
    pub(crate) handle: NodeHandle,
    pub(crate) incarnation: u32,
    pub(crate) condition: Condition,
    pub(crate) clock: NodeClock,
    pub(crate) disk: Disk,
}

/// What a node runs, once per life.
pub(crate) type Main = dyn Fn(Machine) -> BoxFuture<()> + Send + Sync;

/// How a node is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Condition {
    Running,
    Paused,
    Dead,
}

/// Returns whether a life is not over.
pub(crate) fn is_alive(nodes: &[Node], life: Life) -> bool {
    let node = &nodes[life.node.0];
    node.incarnation == life.incarnation && node.condition != Condition::Dead
}

/// The clock of one node: its own zero, its own rate, its own idea of the date.
#[derive(Clone, Copy, Debug)]
pub(crate) struct NodeClock {
    /// Virtual time since which the rate holds, and the node's time at that moment.
    since: Duration,
    local: Duration,
    drift_ppm: i32,
    wall_offset_ms: i64,
}

/// The date at the beginning of a run: 2026-01-01, in milliseconds since the Unix epoch.
const EPOCH_MS: i64 = 1_767_225_600_000;

const MILLION: i128 = 1_000_000;

impl NodeClock {
    /// Creates a clock that shows `local` now.
    pub(crate) fn new(now: Duration, local: Duration) -> Self {
        Self { since: now, local, drift_ppm: 0, wall_offset_ms: 0 }
    }

    /// Returns what the node's clock shows at virtual time `now`.
    pub(crate) fn local(&self, now: Duration) -> Duration {
        let passed = now.saturating_sub(self.since);
        if self.drift_ppm == 0 {
            return self.local + passed;
        }
        let passed = nanos(passed);
        self.local + duration(passed * (MILLION + i128::from(self.drift_ppm)) / MILLION)
    }

    /// Returns the first virtual time at which the node's clock shows `local` or more.
    pub(crate) fn moment_of(&self, local: Duration) -> Duration {
        let passed = local.saturating_sub(self.local);
        if self.drift_ppm == 0 {
            return self.since + passed;
        }
        let rate = MILLION + i128::from(self.drift_ppm);
        let passed = nanos(passed) * MILLION;
        self.since + duration((passed + rate - 1) / rate)
    }

    /// Returns the date as the node believes it.
    pub(crate) fn wall(&self, now: Duration) -> Duration {
        let millis = i128::from(EPOCH_MS + self.wall_offset_ms) * MILLION;
        duration((millis + nanos(self.local(now))).max(0))
    }

    /// Moves the date. What the clock shows otherwise does not change.
    pub(crate) fn jump(&mut self, offset_ms: i64) {
        self.wall_offset_ms += offset_ms;
    }

    /// Changes the rate from now on. What the clock shows does not go back.
    pub(crate) fn drift(&mut self, now: Duration, drift_ppm: i32) {
        assert!(-MILLION < i128::from(drift_ppm), "time does not stand still");
        self.local = self.local(now);
        self.since = now;
        self.drift_ppm = drift_ppm;
    }
}

fn nanos(duration: Duration) -> i128 {
    i128::try_from(duration.as_nanos()).expect("a run is shorter than an age")
}

fn duration(nanos: i128) -> Duration {
    Duration::from_nanos(u64::try_from(nanos).expect("a run is shorter than an age"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_skewed_clock_never_goes_back_and_its_timers_follow_it() {
        let second = Duration::from_secs(1);
        let mut clock = NodeClock::new(Duration::ZERO, 5 * second);
        assert_eq!(clock.local(second), 6 * second);
        clock.jump(-90_000);
        clock.drift(second, 100_000);
        assert_eq!(clock.local(second), 6 * second);
        assert_eq!(clock.local(11 * second), 17 * second);
        assert_eq!(clock.moment_of(17 * second), 11 * second);
        assert!(clock.local(clock.moment_of(8 * second)) >= 8 * second);
    }
}
