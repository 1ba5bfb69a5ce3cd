//! The kinds of windows.

use std::{fmt, marker::PhantomData, sync::Arc, time::Duration};

use floodmark_dataflow::operators::Assigner;
use floodmark_model::TimeDomain;

/// Windows of equal length that follow each other without overlap.
///
/// # Examples
///
/// Days that begin at six in the morning:
///
/// ```
/// use floodmark::Tumbling;
/// use std::time::Duration;
///
/// const HOUR: Duration = Duration::from_secs(3600);
/// let days = Tumbling::event_time(HOUR * 24).offset(HOUR * 6);
/// # let _ = days;
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[doc(alias = "TumblingEventTimeWindows")]
#[doc(alias = "TumblingProcessingTimeWindows")]
pub struct Tumbling {
    domain: TimeDomain,
    size: Duration,
    offset: Duration,
}

impl Tumbling {
    /// Windows of `size` over event time, aligned to the Unix epoch.
    ///
    /// # Panics
    ///
    /// When `size` is shorter than 1 ms, or longer than [`i64::MAX`] ms.
    pub fn event_time(size: Duration) -> Self {
        Self { domain: TimeDomain::Event, size: checked(size), offset: Duration::ZERO }
    }

    /// Windows of `size` over the node's clock, aligned to the Unix epoch.
    ///
    /// # Panics
    ///
    /// When `size` is shorter than 1 ms, or longer than [`i64::MAX`] ms.
    pub fn processing_time(size: Duration) -> Self {
        Self { domain: TimeDomain::Processing, ..Self::event_time(size) }
    }

    /// Moves all windows by `offset`.
    #[must_use]
    pub fn offset(self, offset: Duration) -> Self {
        Self { offset, ..self }
    }
}

/// Windows of equal length that begin at equal distances, and may overlap.
///
/// With a slide that is longer than the size there are gaps; what falls into one is in no window.
///
/// # Examples
///
/// Every five minutes, the last hour:
///
/// ```
/// use floodmark::Sliding;
/// use std::time::Duration;
///
/// let hours = Sliding::event_time(Duration::from_secs(3600), Duration::from_secs(300));
/// # let _ = hours;
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[doc(alias = "SlidingEventTimeWindows")]
#[doc(alias = "SlidingProcessingTimeWindows")]
pub struct Sliding {
    domain: TimeDomain,
    size: Duration,
    slide: Duration,
    offset: Duration,
}

impl Sliding {
    /// Windows of `size` over event time; one begins at every `slide` since the Unix epoch.
    ///
    /// # Panics
    ///
    /// When `size` or `slide` is shorter than 1 ms, or longer than [`i64::MAX`] ms.
    pub fn event_time(size: Duration, slide: Duration) -> Self {
        let (size, slide) = (checked(size), checked(slide));
        Self { domain: TimeDomain::Event, size, slide, offset: Duration::ZERO }
    }

    /// Windows of `size` over the node's clock; one begins at every `slide` since the Unix epoch.
    ///
    /// # Panics
    ///
    /// When `size` or `slide` is shorter than 1 ms, or longer than [`i64::MAX`] ms.
    pub fn processing_time(size: Duration, slide: Duration) -> Self {
        Self { domain: TimeDomain::Processing, ..Self::event_time(size, slide) }
    }

    /// Moves all windows by `offset`.
    #[must_use]
    pub fn offset(self, offset: Duration) -> Self {
        Self { offset, ..self }
    }
}

/// Windows that last as long as records come, and end when none has come for a gap.
///
/// A record that comes between two windows and touches both makes them one. So what is done with
/// the windows must be able to merge: no [`fold`](crate::WindowedStream::fold), no
/// [`DeltaTrigger`](crate::DeltaTrigger), no state of single windows.
///
/// # Examples
///
/// Visits, which end after ten minutes of silence:
///
/// ```
/// use floodmark::Session;
/// use std::time::Duration;
///
/// let visits = Session::event_time(Duration::from_secs(600));
/// # let _ = visits;
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[doc(alias = "EventTimeSessionWindows")]
#[doc(alias = "ProcessingTimeSessionWindows")]
pub struct Session {
    domain: TimeDomain,
    gap: Duration,
}

/// [`Session`] windows whose gap each record decides.
///
/// # Examples
///
/// ```
/// use floodmark::{DynamicSession, Session};
/// use std::time::Duration;
///
/// /// A page, and for how many minutes one may look at it.
/// type Visit = (String, u64);
///
/// let stays: DynamicSession<Visit> =
///     Session::dynamic(|(_, minutes): &Visit| Duration::from_secs(60 * (minutes + 1)));
/// # let _ = stays;
/// ```
pub struct DynamicSession<T> {
    domain: TimeDomain,
    gap: Arc<dyn Fn(&T) -> Duration + Send + Sync>,
    value: PhantomData<fn(T)>,
}

impl Session {
    /// Windows over event time that end `gap` after their last record.
    ///
    /// # Panics
    ///
    /// When `gap` is shorter than 1 ms, or longer than [`i64::MAX`] ms.
    pub fn event_time(gap: Duration) -> Self {
        Self { domain: TimeDomain::Event, gap: checked(gap) }
    }

    /// Windows over the node's clock that end `gap` after their last record.
    ///
    /// # Panics
    ///
    /// When `gap` is shorter than 1 ms, or longer than [`i64::MAX`] ms.
    pub fn processing_time(gap: Duration) -> Self {
        Self { domain: TimeDomain::Processing, gap: checked(gap) }
    }

    /// Windows over event time; each record says for how long nothing may come after it. A gap that
    /// is shorter than 1 ms fails the attempt.
    #[doc(alias = "withDynamicGap")]
    pub fn dynamic<T>(
        gap_of: impl Fn(&T) -> Duration + Send + Sync + 'static,
    ) -> DynamicSession<T> {
        DynamicSession { domain: TimeDomain::Event, gap: Arc::new(gap_of), value: PhantomData }
    }
}

impl<T> DynamicSession<T> {
    /// Measures the gaps by the node's clock.
    #[must_use]
    pub fn by_processing_time(self) -> Self {
        Self { domain: TimeDomain::Processing, ..self }
    }
}

impl<T> fmt::Debug for DynamicSession<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("DynamicSession").field("domain", &self.domain).finish_non_exhaustive()
    }
}

/// One window per key for everything. It never ends: it fires only if it is given a trigger.
///
/// # Examples
///
/// ```
/// use floodmark::{CountTrigger, Environment, Global, PurgingTrigger};
///
/// # #[tokio::main]
/// # async fn main() -> Result<(), floodmark::Error> {
/// let env = Environment::new();
/// let sums = env
///     .from_vec("numbers", vec![1, 2, 3, 4, 5])
///     .key_by(|_| ())
///     .window(Global)
///     .trigger(PurgingTrigger::new(CountTrigger::new(2)))
///     .reduce(|left, right| left + right)
///     .map(|((), _, sum)| sum)
///     .collect("sums");
/// env.execute("sums").await?.wait().await?;
/// assert_eq!(sums.values(), [3, 7]);
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[doc(alias = "GlobalWindows")]
pub struct Global;

impl<T> From<Tumbling> for Assigner<T> {
    fn from(Tumbling { domain, size, offset }: Tumbling) -> Self {
        Self::tumbling(domain, size, offset)
    }
}

impl<T> From<Sliding> for Assigner<T> {
    fn from(Sliding { domain, size, slide, offset }: Sliding) -> Self {
        Self::sliding(domain, size, slide, offset)
    }
}

impl<T> From<Session> for Assigner<T> {
    fn from(Session { domain, gap }: Session) -> Self {
        Self::session(domain, gap)
    }
}

impl<T: 'static> From<DynamicSession<T>> for Assigner<T> {
    fn from(DynamicSession { domain, gap, .. }: DynamicSession<T>) -> Self {
        Self::dynamic_session(domain, move |value| gap(value))
    }
}

impl<T> From<Global> for Assigner<T> {
    fn from(Global: Global) -> Self {
        Self::global()
    }
}

fn checked(duration: Duration) -> Duration {
    assert!(1 <= duration.as_millis(), "a window, a slide and a gap last at least 1 ms");
    let is_within_time = i64::try_from(duration.as_millis()).is_ok();
    assert!(is_within_time, "a window, a slide and a gap last i64::MAX ms at most");
    duration
}
