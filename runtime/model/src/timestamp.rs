//! Event time: the time in the data.

use std::{
    fmt,
    ops::{Add, Sub},
    time::Duration,
};

use serde::{Deserialize, Serialize};

/// A moment of event time, in milliseconds since the Unix epoch. Negative before it.
///
/// Arithmetic saturates: time does not wrap around.
///
/// # Examples
///
/// ```
/// # use floodmark_model as floodmark;
/// use floodmark::Timestamp;
/// use std::time::Duration;
///
/// let noon = Timestamp(43_200_000);
/// assert_eq!(noon + Duration::from_secs(1), Timestamp(43_201_000));
/// assert_eq!(Timestamp::MAX + Duration::from_secs(1), Timestamp::MAX);
/// assert!(Timestamp::MIN < noon);
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Timestamp(pub i64);

impl Timestamp {
    /// Before every record: no progress yet.
    pub const MIN: Self = Self(i64::MIN);
    /// After every record: the input has ended.
    pub const MAX: Self = Self(i64::MAX);

    /// Returns the last whole millisecond that a clock has passed which shows `since_epoch`.
    pub fn of_clock(since_epoch: Duration) -> Self {
        Self(millis(since_epoch))
    }
}

/// The two kinds of time that a job can measure.
///
/// # Examples
///
/// ```
/// # use floodmark_model as floodmark;
/// use floodmark::TimeDomain;
///
/// assert_eq!(TimeDomain::Event.to_string(), "event time");
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum TimeDomain {
    /// The time in the data: it advances with watermarks, and every run of a job sees the same.
    Event,
    /// The clock of the node: it advances by itself, and no two runs see the same.
    Processing,
}

impl fmt::Display for TimeDomain {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Event => "event time",
            Self::Processing => "processing time",
        })
    }
}

impl Add<Duration> for Timestamp {
    type Output = Self;

    fn add(self, duration: Duration) -> Self {
        Self(self.0.saturating_add(millis(duration)))
    }
}

impl Sub<Duration> for Timestamp {
    type Output = Self;

    fn sub(self, duration: Duration) -> Self {
        Self(self.0.saturating_sub(millis(duration)))
    }
}

impl fmt::Display for Timestamp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match *self {
            Self::MIN => f.write_str("-∞"),
            Self::MAX => f.write_str("+∞"),
            Self(millis) => write!(f, "{millis}"),
        }
    }
}

fn millis(duration: Duration) -> i64 {
    i64::try_from(duration.as_millis()).unwrap_or(i64::MAX)
}
