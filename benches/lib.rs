//! Questions about speed, with answers. Each benchmark file begins with its question.
//!
//! Criterion's samples are of computing time: on a machine that does other work besides, it says more
//! than the time that passed.

use std::time::Duration;

use criterion::{
    Criterion,
    measurement::{Measurement, ValueFormatter, WallTime},
};
use floodmark_scenarios::bench::{Reading, clocks};

/// Measures the time that all threads of the process compute.
pub struct Computing;

/// Returns a criterion that measures [`Computing`].
pub fn criterion() -> Criterion<Computing> {
    Criterion::default().with_measurement(Computing)
}

fn now() -> Duration {
    let Reading([_, computed]) = clocks();
    Duration::from_nanos(computed)
}

impl Measurement for Computing {
    type Intermediate = Duration;
    type Value = Duration;

    fn start(&self) -> Duration {
        now()
    }

    fn end(&self, start: Duration) -> Duration {
        now().saturating_sub(start)
    }

    fn add(&self, one: &Duration, other: &Duration) -> Duration {
        *one + *other
    }

    fn zero(&self) -> Duration {
        Duration::ZERO
    }

    fn to_f64(&self, value: &Duration) -> f64 {
        WallTime.to_f64(value)
    }

    fn formatter(&self) -> &dyn ValueFormatter {
        WallTime.formatter()
    }
}
