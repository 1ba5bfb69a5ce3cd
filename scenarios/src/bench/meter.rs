//! What is read off the process while a workload runs: clocks, or anything else that only grows.

use std::{
    ops::Sub,
    sync::{Mutex, OnceLock, PoisonError},
};

use rustix::time::{ClockId, clock_gettime};
use serde::{Deserialize, Serialize};

/// Reads two numbers that only grow.
pub type Meter = fn() -> Reading;

/// What a meter showed, or what lies between two readings.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Reading(pub [u64; 2]);

impl Sub for Reading {
    type Output = Self;

    fn sub(self, earlier: Self) -> Self {
        Self([0, 1].map(|index| self.0[index].saturating_sub(earlier.0[index])))
    }
}

/// Reads the time that has passed and the time that all threads of the process have computed, in
/// nanoseconds.
pub fn clocks() -> Reading {
    Reading([ClockId::Monotonic, ClockId::ProcessCPUTime].map(|clock| {
        let time = clock_gettime(clock);
        let nanos = time.tv_sec * 1_000_000_000 + time.tv_nsec;
        u64::try_from(nanos).expect("these clocks begin at zero")
    }))
}

/// The readings of one run.
pub struct Marks {
    meter: Meter,
    begin: OnceLock<Reading>,
    half: OnceLock<Reading>,
    end: Mutex<Reading>,
}

impl Marks {
    /// Prepares to read `meter`.
    pub fn new(meter: Meter) -> Self {
        let end = Mutex::default();
        Self { meter, begin: OnceLock::new(), half: OnceLock::new(), end }
    }

    /// Says that the first event is about to be made. Only the first call counts.
    pub fn begin(&self) {
        self.begin.get_or_init(self.meter);
    }

    /// Says that half the events were made. Only the first call counts.
    pub fn half(&self) {
        self.half.get_or_init(self.meter);
    }

    /// Says that a sink has seen its last row, or what may be its last row. The last call counts.
    pub fn end(&self) {
        *self.end.lock().unwrap_or_else(PoisonError::into_inner) = (self.meter)();
    }

    /// Returns what the meter showed at the first event, if it was made in this process.
    pub(super) fn at_begin(&self) -> Option<Reading> {
        self.begin.get().copied()
    }

    /// Returns what the meter showed at the last row; zero if no sink was in this process.
    pub(super) fn at_end(&self) -> Reading {
        *self.end.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Returns what was used from the first event to the last row.
    pub fn whole(&self) -> Reading {
        self.until_end(&self.begin)
    }

    /// Returns what was used by the second half: when everything has warmed up.
    pub fn second_half(&self) -> Reading {
        self.until_end(&self.half)
    }

    fn until_end(&self, from: &OnceLock<Reading>) -> Reading {
        from.get().map_or(Reading::default(), |from| self.at_end() - *from)
    }
}

/// Returns the most memory that the process has held so far, in KiB; 0 where the system does not tell.
pub fn memory_peak_kib() -> u64 {
    #[expect(clippy::disallowed_methods, reason = "the process looks at itself, not at a node")]
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
    let number = line.and_then(|line| line.split_whitespace().next()?.parse().ok());
    number.unwrap_or(0)
}
