//! One request: a function of the user, as often as its retries say, for as long as its timeout says.

use std::{future::pending, sync::Arc, time::Duration};

use floodmark_model::Timestamp;
use floodmark_platform::{BoxFuture, Machine};
use thiserror::Error;

use super::{options::AsyncOptions, queue::Taken};
use crate::BoxError;

/// What is called for each request.
pub type AsyncCall<T, O> = dyn Fn(T, AsyncContext) -> BoxFuture<Result<O, BoxError>> + Send + Sync;

/// What an asynchronous function can reach: the clock of its node, and its record's event time.
///
/// A function that waits by [`AsyncContext::sleep`] and reads no other clock can run in the simulator,
/// where time is virtual.
///
/// # Examples
///
/// ```
/// # mod floodmark { pub use floodmark_dataflow::{*, operators::*}; pub use floodmark_model::*; }
/// use floodmark::{AsyncContext, BoxError};
/// use std::time::Duration;
///
/// /// Stands for a call to a service that takes ten milliseconds.
/// async fn price_of(word: String, cx: AsyncContext) -> Result<u64, BoxError> {
///     cx.sleep(Duration::from_millis(10)).await;
///     if word.is_empty() { Err("there is no such thing".into()) } else { Ok(word.len() as u64) }
/// }
/// ```
#[derive(Clone)]
pub struct AsyncContext {
    machine: Machine,
    timestamp: Timestamp,
    retry_count: u32,
}

impl AsyncContext {
    /// Completes after `duration` on the node's clock. Never, if that is beyond the clock.
    pub fn sleep(&self, duration: Duration) -> impl Future<Output = ()> + Send + use<> {
        let machine = self.machine.clone();
        async move {
            let deadline = machine.now().checked_add(duration);
            let sleep = deadline.map(|deadline| machine.clock().sleep_until(deadline));
            match sleep {
                Some(sleep) => sleep.await,
                None => pending().await,
            }
        }
    }

    /// Returns the time since some fixed moment of the node. It never goes back.
    pub fn now(&self) -> Duration {
        self.machine.now()
    }

    /// Returns the processing time: what the node's clock shows. It may jump either way.
    pub fn current_processing_time(&self) -> Timestamp {
        Timestamp::of_clock(self.machine.clock().wall())
    }

    /// Returns the event time of the record, which its results will have, too.
    pub fn timestamp(&self) -> Timestamp {
        self.timestamp
    }

    /// Returns how often the request for this record has failed before, in this attempt of the job.
    pub fn retry_count(&self) -> u32 {
        self.retry_count
    }
}

/// Why a request has no result.
#[derive(Debug, Error)]
enum RequestError {
    #[error("a request took longer than {timeout:?}")]
    Timeout { timeout: Duration },
    #[error("a request failed {try_count} times, at last with: {last}")]
    Retries { try_count: u32, last: BoxError },
}

/// What all requests of an operator have in common.
pub(super) struct Requests<T, O> {
    pub(super) options: AsyncOptions<T, O>,
    pub(super) call: Arc<AsyncCall<T, O>>,
}

impl<T: Clone + Send + Sync + 'static, O: Send + 'static> Requests<T, O> {
    /// Makes the request for `record`.
    pub(super) fn request(
        self: &Arc<Self>,
        machine: &Machine,
        record: Taken<T>,
    ) -> impl Future<Output = Result<O, BoxError>> + Send + use<T, O> {
        let (this, machine) = (self.clone(), machine.clone());
        async move {
            let AsyncOptions { timeout, on_timeout, .. } = &this.options;
            if *timeout == Duration::MAX {
                return this.call_until_it_works(&machine, record).await;
            }
            let fallback = on_timeout.as_ref().map(|fallback| (fallback, record.value.clone()));
            let calls = this.call_until_it_works(&machine, record);
            match (machine.timeout(*timeout, calls).await, fallback) {
                (Some(result), _) => result,
                (None, Some((fallback, value))) => fallback(value),
                (None, None) => Err(RequestError::Timeout { timeout: *timeout }.into()),
            }
        }
    }

    async fn call_until_it_works(
        &self,
        machine: &Machine,
        Taken { timestamp, value, .. }: Taken<T>,
    ) -> Result<O, BoxError> {
        let mut retry_count = 0;
        loop {
            let cx = AsyncContext { machine: machine.clone(), timestamp, retry_count };
            let error = match (self.call)(value.clone(), cx).await {
                Ok(output) => return Ok(output),
                Err(error) => error,
            };
            let Some(delay) = self.options.retry.delay_after(retry_count, &error) else {
                let try_count = retry_count + 1;
                let is_first = retry_count == 0;
                let repeated = |last| RequestError::Retries { try_count, last }.into();
                return Err(if is_first { error } else { repeated(error) });
            };
            retry_count += 1;
            machine.sleep(delay).await;
        }
    }
}
