//! Which windows a record belongs to.

use std::{sync::Arc, time::Duration};

use floodmark_model::{TimeDomain, Timestamp};

use crate::operators::Window;

/// Assigns records to windows.
///
/// # Examples
///
/// ```
/// # mod floodmark { pub use floodmark_dataflow::{*, operators::*}; pub use floodmark_model::*; }
/// use floodmark::{Assigner, TimeDomain};
/// use std::time::Duration;
///
/// // What `Tumbling`, `Sliding`, `Session` and `Global` become.
/// let hours: Assigner<u64> =
///     Assigner::tumbling(TimeDomain::Event, Duration::from_secs(3_600), Duration::ZERO);
/// # let _ = hours;
/// ```
pub struct Assigner<T> {
    shape: Shape<T>,
    domain: TimeDomain,
}

/// Windows that are several slides long.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Overlapping {
    /// Length of a window in slides. At least 2.
    pub slide_count: u32,
    /// Time from the beginning of one window to that of the next. At least 1 ms.
    pub slide: Duration,
    /// A time at which a window begins.
    pub origin: Timestamp,
}

/// The shapes of windows. All times are in milliseconds.
enum Shape<T> {
    /// Every moment is in one window.
    Tumbling { size: i64, offset: i64 },
    /// A window begins with every slide.
    Sliding { size: i64, slide: i64, offset: i64 },
    /// A window ends when nothing has come for the gap.
    Session { gap: Duration },
    /// A window ends when nothing has come for the gap that its last record asked for.
    DynamicSession { gap: Arc<GapOf<T>> },
    /// There is one window.
    Global,
}

type GapOf<T> = dyn Fn(&T) -> Duration + Send + Sync;

impl<T> Clone for Assigner<T> {
    fn clone(&self) -> Self {
        let shape = match &self.shape {
            Shape::Tumbling { size, offset } => Shape::Tumbling { size: *size, offset: *offset },
            Shape::Sliding { size, slide, offset } => {
                Shape::Sliding { size: *size, slide: *slide, offset: *offset }
            }
            Shape::Session { gap } => Shape::Session { gap: *gap },
            Shape::DynamicSession { gap } => Shape::DynamicSession { gap: gap.clone() },
            Shape::Global => Shape::Global,
        };
        Self { shape, domain: self.domain }
    }
}

impl<T> Assigner<T> {
    /// Windows of `size` that follow each other; one of them begins at `offset`.
    ///
    /// # Panics
    ///
    /// When `size` is shorter than 1 ms.
    pub fn tumbling(domain: TimeDomain, size: Duration, offset: Duration) -> Self {
        Self { shape: Shape::Tumbling { size: span(size), offset: millis(offset) }, domain }
    }

    /// Windows of `size`, one of which begins at `offset`, and one at every `slide` from there.
    ///
    /// # Panics
    ///
    /// When `size` or `slide` is shorter than 1 ms.
    pub fn sliding(domain: TimeDomain, size: Duration, slide: Duration, offset: Duration) -> Self {
        let (size, slide, offset) = (span(size), span(slide), millis(offset));
        Self { shape: Shape::Sliding { size, slide, offset }, domain }
    }

    /// Windows that end when no record has come for the gap.
    ///
    /// # Panics
    ///
    /// When `gap` is shorter than 1 ms.
    pub fn session(domain: TimeDomain, gap: Duration) -> Self {
        span(gap);
        Self { shape: Shape::Session { gap }, domain }
    }

    /// Windows that end when no record has come for the gap that the last one asked for.
    pub fn dynamic_session(
        domain: TimeDomain,
        gap: impl Fn(&T) -> Duration + Send + Sync + 'static,
    ) -> Self {
        Self { shape: Shape::DynamicSession { gap: Arc::new(gap) }, domain }
    }

    /// One window for everything.
    pub fn global() -> Self {
        Self { shape: Shape::Global, domain: TimeDomain::Event }
    }

    /// Returns the time by which records are assigned.
    pub fn domain(&self) -> TimeDomain {
        self.domain
    }

    /// Returns whether windows may become one.
    pub fn merges(&self) -> bool {
        matches!(self.shape, Shape::Session { .. } | Shape::DynamicSession { .. })
    }

    /// Returns the length of the windows, if they are tumbling windows over event time that begin at
    /// the epoch.
    pub fn as_plain(&self) -> Option<Duration> {
        match (&self.shape, self.domain) {
            (Shape::Tumbling { size, offset }, TimeDomain::Event) if offset % size == 0 => {
                Some(Duration::from_millis(size.unsigned_abs()))
            }
            _ => None,
        }
    }

    /// Returns windows over event time that begin with every slide, and are whole slides long.
    pub fn as_overlapping(&self) -> Option<Overlapping> {
        let Shape::Sliding { size, slide, offset } = self.shape else { return None };
        let slide_count = u32::try_from(size / slide).ok()?;
        let is_whole = size % slide == 0 && self.domain == TimeDomain::Event;
        (is_whole && 1 < slide_count).then_some(Overlapping {
            slide_count,
            slide: Duration::from_millis(slide.unsigned_abs()),
            origin: Timestamp(offset),
        })
    }

    /// Returns the gap, if they are sessions over event time and it is always the same.
    pub fn as_gap(&self) -> Option<Duration> {
        match (&self.shape, self.domain) {
            (Shape::Session { gap }, TimeDomain::Event) => Some(*gap),
            _ => None,
        }
    }

    /// Adds the windows of a value with this timestamp to `windows`; of several the one that begins
    /// last comes first.
    pub(super) fn assign(&self, value: &T, time: Timestamp, windows: &mut Vec<Window>) {
        match &self.shape {
            Shape::Tumbling { size, offset } => {
                windows.push(window(start(time.0, *size, *offset), *size));
            }
            Shape::Sliding { size, slide, offset } => {
                let mut start = start(time.0, *slide, *offset);
                while time.0.saturating_sub(*size) < start {
                    windows.push(window(start, *size));
                    let Some(earlier) = start.checked_sub(*slide) else { break };
                    start = earlier;
                }
            }
            Shape::Session { gap } => windows.push(window(time.0, span(*gap))),
            Shape::DynamicSession { gap } => windows.push(window(time.0, span(gap(value)))),
            Shape::Global => windows.push(Window::GLOBAL),
        }
    }
}

/// Returns the latest time at or before `time` that is `offset` apart from a multiple of `size`.
fn start(time: i64, size: i64, offset: i64) -> i64 {
    let since = (i128::from(time) - i128::from(offset)).rem_euclid(i128::from(size));
    time.saturating_sub(i64::try_from(since).expect("it is smaller than the size"))
}

fn window(start: i64, size: i64) -> Window {
    Window { start: Timestamp(start), end: Timestamp(start.saturating_add(size)) }
}

fn millis(duration: Duration) -> i64 {
    i64::try_from(duration.as_millis()).expect("a window is shorter than an age")
}

/// Returns a length in milliseconds.
fn span(duration: Duration) -> i64 {
    let millis = millis(duration);
    assert!(0 < millis, "a window, a slide and a gap last at least 1 ms");
    millis
}

#[cfg(test)]
mod tests {
    use super::*;

    fn assigned(assigner: &Assigner<i64>, time: i64) -> Vec<(i64, i64)> {
        let mut windows = Vec::new();
        assigner.assign(&time, Timestamp(time), &mut windows);
        windows.iter().map(|window| (window.start.0, window.end.0)).collect()
    }

    const fn ms(millis: u64) -> Duration {
        Duration::from_millis(millis)
    }

    #[test]
    fn windows_are_aligned_to_their_offset_on_both_sides_of_the_epoch() {
        let assigner = Assigner::tumbling(TimeDomain::Event, ms(10), ms(3));
        assert_eq!(assigned(&assigner, 2), [(-7, 3)]);
        assert_eq!(assigned(&assigner, 3), [(3, 13)]);
        assert_eq!(assigned(&assigner, -7), [(-7, 3)]);
        assert_eq!(assigned(&assigner, -8), [(-17, -7)]);
    }

    #[test]
    fn a_record_is_in_as_many_sliding_windows_as_contain_it() {
        let overlap = Assigner::sliding(TimeDomain::Event, ms(15), ms(5), ms(0));
        assert_eq!(assigned(&overlap, 7), [(5, 20), (0, 15), (-5, 10)]);
        let gaps = Assigner::sliding(TimeDomain::Event, ms(3), ms(10), ms(0));
        assert_eq!(assigned(&gaps, 2), [(0, 3)]);
        assert_eq!(assigned(&gaps, 3), []);
    }
}
