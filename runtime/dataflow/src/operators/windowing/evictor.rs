//! What of a window's contents is left out.

use std::{marker::PhantomData, time::Duration};

use floodmark_model::{Record, Timestamp};

use crate::operators::Window;

/// Removes records from a window when it fires. What is removed is gone for later firings, too.
///
/// With an evictor a window keeps all its records, also where it would otherwise keep one value.
///
/// # Examples
///
/// ```
/// # mod floodmark { pub use floodmark_dataflow::{*, operators::*}; pub use floodmark_model::*; }
/// use floodmark::{Evictor, EvictorContext, Record};
///
/// /// Leaves out what is no number.
/// struct Numbers;
///
/// impl Evictor<f64> for Numbers {
///     fn before(&self, records: &mut Vec<Record<f64>>, _: &EvictorContext) {
///         records.retain(|record| !record.value.is_nan());
///     }
/// }
/// # let _ = Numbers;
/// ```
pub trait Evictor<T>: Send + Sync + 'static {
    /// Removes records before the function sees the others. They are in the order in which they came.
    fn before(&self, _records: &mut Vec<Record<T>>, _cx: &EvictorContext) {}

    /// Removes records after the function has seen them.
    fn after(&self, _records: &mut Vec<Record<T>>, _cx: &EvictorContext) {}
}

/// What an evictor can know.
///
/// # Examples
///
/// ```
/// # mod floodmark { pub use floodmark_dataflow::{*, operators::*}; pub use floodmark_model::*; }
/// use floodmark::{EvictorContext, Timestamp, Window};
/// use std::time::Duration;
///
/// let window = Window::tumbling(Timestamp(7_000), Duration::from_secs(5));
/// let cx = EvictorContext { window, watermark: Timestamp(8_000) };
/// assert!(cx.watermark < cx.window.max_timestamp(), "it fires early");
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct EvictorContext {
    /// The window that fires.
    pub window: Window,
    /// The event time of the operator.
    pub watermark: Timestamp,
}

/// On which side of the function an evictor works.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Side {
    Before,
    After,
}

/// Keeps so many of the newest records.
///
/// # Examples
///
/// ```
/// # mod floodmark { pub use floodmark_dataflow::{*, operators::*}; pub use floodmark_model::*; }
/// use floodmark::CountEvictor;
///
/// // The function sees the newest hundred records, and the others are gone.
/// let evictor = CountEvictor::new(100);
/// # let _ = evictor;
/// ```
#[derive(Clone, Copy, Debug)]
pub struct CountEvictor {
    count: usize,
    side: Side,
}

/// Keeps the records that are younger, by event time, than so long before the latest one.
///
/// # Examples
///
/// ```
/// # mod floodmark { pub use floodmark_dataflow::{*, operators::*}; pub use floodmark_model::*; }
/// use floodmark::TimeEvictor;
/// use std::time::Duration;
///
/// // The function sees the last minute before the latest record.
/// let evictor = TimeEvictor::new(Duration::from_secs(60));
/// # let _ = evictor;
/// ```
#[derive(Clone, Copy, Debug)]
pub struct TimeEvictor {
    size: Duration,
    side: Side,
}

/// Keeps the records that are closer than a threshold to the newest one.
///
/// # Examples
///
/// ```
/// # mod floodmark { pub use floodmark_dataflow::{*, operators::*}; pub use floodmark_model::*; }
/// use floodmark::DeltaEvictor;
///
/// // The function sees what is closer than half a metre to the newest level.
/// let evictor = DeltaEvictor::new(0.5, |level: &f64, newest: &f64| (level - newest).abs());
/// # let _ = evictor;
/// ```
#[derive(Clone, Debug)]
pub struct DeltaEvictor<T, F> {
    threshold: f64,
    delta: F,
    side: Side,
    value: PhantomData<fn(T)>,
}

impl CountEvictor {
    /// Removes the oldest records until `count` are left.
    pub fn new(count: usize) -> Self {
        Self { count, side: Side::Before }
    }

    /// Removes them after the function has seen them.
    #[must_use]
    pub fn after(self) -> Self {
        Self { side: Side::After, ..self }
    }
}

impl TimeEvictor {
    /// Removes the records whose timestamp is `size` or more before the latest one.
    pub fn new(size: Duration) -> Self {
        Self { size, side: Side::Before }
    }

    /// Removes them after the function has seen them.
    #[must_use]
    pub fn after(self) -> Self {
        Self { side: Side::After, ..self }
    }
}

impl<T, F: Fn(&T, &T) -> f64> DeltaEvictor<T, F> {
    /// Removes the records for which `delta(record, newest)` is `threshold` or more.
    pub fn new(threshold: f64, delta: F) -> Self {
        Self { threshold, delta, side: Side::Before, value: PhantomData }
    }

    /// Removes them after the function has seen them.
    #[must_use]
    pub fn after(self) -> Self {
        Self { side: Side::After, ..self }
    }
}

/// Implements an evictor that does the same on either side.
macro_rules! on_its_side {
    () => {
        fn before(&self, records: &mut Vec<Record<T>>, _: &EvictorContext) {
            if self.side == Side::Before {
                self.evict(records);
            }
        }

        fn after(&self, records: &mut Vec<Record<T>>, _: &EvictorContext) {
            if self.side == Side::After {
                self.evict(records);
            }
        }
    };
}

impl<T: 'static> Evictor<T> for CountEvictor {
    on_its_side!();
}

impl<T: 'static> Evictor<T> for TimeEvictor {
    on_its_side!();
}

impl<T, F> Evictor<T> for DeltaEvictor<T, F>
where
    T: 'static,
    F: Fn(&T, &T) -> f64 + Send + Sync + 'static,
{
    on_its_side!();
}

impl CountEvictor {
    fn evict<T>(&self, records: &mut Vec<Record<T>>) {
        records.drain(..records.len().saturating_sub(self.count));
    }
}

impl TimeEvictor {
    fn evict<T>(&self, records: &mut Vec<Record<T>>) {
        if let Some(latest) = records.iter().map(|record| record.timestamp).max() {
            records.retain(|record| latest - self.size < record.timestamp);
        }
    }
}

impl<T, F: Fn(&T, &T) -> f64> DeltaEvictor<T, F> {
    fn evict(&self, records: &mut Vec<Record<T>>) {
        let Some(last) = records.pop() else { return };
        let is_kept = |value: &T| (self.delta)(value, &last.value) < self.threshold;
        records.retain(|record| is_kept(&record.value));
        // At a threshold of 0 not even the newest one is close enough to itself.
        if is_kept(&last.value) {
            records.push(last);
        }
    }
}
