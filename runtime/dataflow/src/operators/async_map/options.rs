//! How requests are made: how many at once, for how long, how often, and in which order results leave.

use std::{sync::Arc, time::Duration};

use super::queue::ResultOrder;
use crate::BoxError;

/// Says what becomes of a record whose request took too long.
type OnTimeout<T, O> = dyn Fn(T) -> Result<O, BoxError> + Send + Sync;

/// Says whether a request is made again after an error.
type IsRetried = dyn Fn(&BoxError) -> bool + Send + Sync;

/// How an operator makes requests for records of `T` that have results of `O`.
///
/// # Examples
///
/// ```
/// # mod floodmark { pub use floodmark_dataflow::{*, operators::*}; pub use floodmark_model::*; }
/// use floodmark::{AsyncOptions, AsyncRetryStrategy};
/// use std::time::Duration;
///
/// // A hundred requests at once, of five seconds each; what takes longer has the result 0.
/// let options: AsyncOptions<String, u64> = AsyncOptions::unordered(100, Duration::from_secs(5))
///     .retry(AsyncRetryStrategy::fixed_delay(3, Duration::from_millis(200)))
///     .on_timeout(|_| Ok(0));
/// # let _ = options;
/// ```
pub struct AsyncOptions<T, O> {
    pub(super) order: ResultOrder,
    pub(super) capacity: usize,
    pub(super) timeout: Duration,
    pub(super) retry: AsyncRetryStrategy,
    pub(super) on_timeout: Option<Arc<OnTimeout<T, O>>>,
}

impl<T, O> Clone for AsyncOptions<T, O> {
    fn clone(&self) -> Self {
        let Self { order, capacity, timeout, retry, on_timeout } = self;
        Self {
            order: *order,
            capacity: *capacity,
            timeout: *timeout,
            retry: retry.clone(),
            on_timeout: on_timeout.clone(),
        }
    }
}

impl<T: 'static, O: 'static> AsyncOptions<T, O> {
    /// Results leave in the order of their records: one that takes long holds back those behind it.
    ///
    /// `capacity` requests of each subtask are under way at most, at least 1: more hide a longer
    /// latency, and cost memory, larger snapshots, and the patience of those who are asked. Each
    /// record's request has `timeout` from when it is first made, with all its retries; then the
    /// attempt fails, unless [`AsyncOptions::on_timeout`] knows better. A restart begins anew.
    /// [`Duration::MAX`] waits for ever.
    ///
    /// # Panics
    ///
    /// When the capacity or the timeout is zero.
    #[doc(alias = "orderedWait")]
    pub fn ordered(capacity: usize, timeout: Duration) -> Self {
        Self::new(ResultOrder::Ordered, capacity, timeout)
    }

    /// Results leave as they come, but none overtakes a watermark, or is overtaken by one: records
    /// between two watermarks change their order, and event time stays true.
    ///
    /// `capacity` and `timeout` mean what they mean in [`AsyncOptions::ordered`].
    ///
    /// # Panics
    ///
    /// When the capacity or the timeout is zero.
    #[doc(alias = "unorderedWait")]
    pub fn unordered(capacity: usize, timeout: Duration) -> Self {
        Self::new(ResultOrder::Unordered, capacity, timeout)
    }

    fn new(order: ResultOrder, capacity: usize, timeout: Duration) -> Self {
        assert!(0 < capacity, "at least one request may be under way");
        assert!(!timeout.is_zero(), "a request takes some time");
        Self { order, capacity, timeout, retry: AsyncRetryStrategy::none(), on_timeout: None }
    }

    /// Makes requests that fail again, as `strategy` says. Without it, the first failure is the last.
    #[must_use]
    pub fn retry(self, strategy: AsyncRetryStrategy) -> Self {
        Self { retry: strategy, ..self }
    }

    /// Says what takes the place of a result that did not come in time. An error fails the attempt.
    #[must_use]
    #[doc(alias = "timeout")]
    pub fn on_timeout(
        self,
        fallback: impl Fn(T) -> Result<O, BoxError> + Send + Sync + 'static,
    ) -> Self {
        Self { on_timeout: Some(Arc::new(fallback)), ..self }
    }

    /// Turns results of `O` into others.
    pub fn map_results<P: 'static>(self, map: fn(O) -> P) -> AsyncOptions<T, P> {
        let Self { order, capacity, timeout, retry, on_timeout } = self;
        let on_timeout = on_timeout.map(|fallback| {
            let mapped: Arc<OnTimeout<T, P>> = Arc::new(move |value| fallback(value).map(map));
            mapped
        });
        AsyncOptions { order, capacity, timeout, retry, on_timeout }
    }
}

/// When a request that has failed is made again.
///
/// The timeout of the request goes on meanwhile. Attempts are counted from nothing after a restart.
///
/// # Examples
///
/// ```
/// # mod floodmark { pub use floodmark_dataflow::{*, operators::*}; pub use floodmark_model::*; }
/// use floodmark::AsyncRetryStrategy;
/// use std::time::Duration;
///
/// // After 100 ms, 200 ms, 400 ms and 500 ms.
/// let retry = AsyncRetryStrategy::exponential_backoff(
///     4,
///     Duration::from_millis(100),
///     Duration::from_millis(500),
/// );
/// # let _ = retry;
/// ```
#[derive(Clone)]
pub struct AsyncRetryStrategy {
    retry_count_max: u32,
    delay: Duration,
    multiplier: f64,
    delay_max: Duration,
    is_retried: Arc<IsRetried>,
}

impl AsyncRetryStrategy {
    /// Never.
    #[doc(alias = "NO_RETRY_STRATEGY")]
    pub fn none() -> Self {
        Self::fixed_delay(0, Duration::ZERO)
    }

    /// Up to `retry_count` times after the first, each `delay` after the failure before it.
    #[doc(alias = "FixedDelayRetryStrategy")]
    pub fn fixed_delay(retry_count: u32, delay: Duration) -> Self {
        Self {
            retry_count_max: retry_count,
            delay,
            multiplier: 1.0,
            delay_max: delay,
            is_retried: Arc::new(|_| true),
        }
    }

    /// Up to `retry_count` times after the first: `delay` after the first failure, twice as long after
    /// the second, and so on, but never longer than `delay_max`.
    #[doc(alias = "ExponentialBackoffDelayRetryStrategy")]
    pub fn exponential_backoff(retry_count: u32, delay: Duration, delay_max: Duration) -> Self {
        let delay = delay.min(delay_max);
        Self { multiplier: 2.0, delay_max, ..Self::fixed_delay(retry_count, delay) }
    }

    /// Makes each delay so many times as long as the one before it.
    ///
    /// # Panics
    ///
    /// When `multiplier` is less than 1, or no number.
    #[must_use]
    pub fn multiplier(self, multiplier: f64) -> Self {
        assert!(1.0 <= multiplier, "delays do not become shorter");
        Self { multiplier, ..self }
    }

    /// Makes only those requests again whose error `is_retried` accepts. Without it, all are.
    #[must_use]
    #[doc(alias = "ifException")]
    pub fn if_error(self, is_retried: impl Fn(&BoxError) -> bool + Send + Sync + 'static) -> Self {
        Self { is_retried: Arc::new(is_retried), ..self }
    }

    /// Returns how long to wait before a request is made again that has failed with `error`, after
    /// `retry_count` retries; nothing, if it is not.
    pub(super) fn delay_after(&self, retry_count: u32, error: &BoxError) -> Option<Duration> {
        if self.retry_count_max <= retry_count || !(self.is_retried)(error) {
            return None;
        }
        let longer = |delay: Duration| {
            let longer = Duration::try_from_secs_f64(delay.as_secs_f64() * self.multiplier);
            longer.unwrap_or(self.delay_max).min(self.delay_max)
        };
        let mut delay = self.delay;
        for _ in 0..retry_count {
            if delay == self.delay_max {
                break;
            }
            delay = longer(delay);
        }
        Some(delay)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn delays(strategy: &AsyncRetryStrategy) -> Vec<u128> {
        let delay = |count| strategy.delay_after(count, &"broken".into());
        (0..).map_while(delay).map(|delay| delay.as_millis()).collect()
    }

    #[test]
    fn delays_grow_up_to_a_bound_and_end() {
        let millis = Duration::from_millis;
        assert_eq!(delays(&AsyncRetryStrategy::none()), Vec::<u128>::new());
        assert_eq!(delays(&AsyncRetryStrategy::fixed_delay(3, millis(7))), [7, 7, 7]);
        let backoff = AsyncRetryStrategy::exponential_backoff(5, millis(100), millis(700));
        assert_eq!(delays(&backoff), [100, 200, 400, 700, 700]);
        assert_eq!(delays(&backoff.multiplier(1.5)), [100, 150, 225, 337, 506]);
        let endless = AsyncRetryStrategy::exponential_backoff(3, Duration::MAX, Duration::MAX);
        assert_eq!(delays(&endless).len(), 3);
    }

    #[test]
    fn what_is_not_worth_it_is_not_retried() {
        let strategy = AsyncRetryStrategy::fixed_delay(3, Duration::ZERO)
            .if_error(|error| error.to_string().contains("busy"));
        assert_eq!(strategy.delay_after(0, &"busy".into()), Some(Duration::ZERO));
        assert_eq!(strategy.delay_after(0, &"no such key".into()), None);
    }
}
