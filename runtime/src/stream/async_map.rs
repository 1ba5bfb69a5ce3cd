//! Requests to others that take their time, many at once.

use std::sync::Arc;

use floodmark_dataflow::{
    BoxError,
    operators::{AsyncCall, AsyncContext, AsyncOperator, AsyncOptions},
};
use floodmark_state::Data;

use super::Stream;
use crate::plan::Identity;

impl<T: Data> Stream<T> {
    /// Asks somebody for every record, and turns the record into the answer: many requests are under
    /// way at once, and the answers leave in the order of the records or as they come, as `options`
    /// say. An answer has its record's event time.
    ///
    /// Exactly once: a record is state until its answer has been passed on, and its request is made
    /// again after a failure. So somebody may be asked more than once, and only the last answer counts.
    ///
    /// `ask` waits on [`AsyncContext::sleep`], or on what a runtime of its own wakes. It runs on the
    /// thread of the subtask and must not block it. A panic or an error that is not retried fails the
    /// attempt. The operator needs a [`Stream::uid`] if the job takes checkpoints.
    ///
    /// # Examples
    ///
    /// ```
    /// use floodmark::{AsyncContext, AsyncOptions, AsyncRetryStrategy, BoxError, Environment};
    /// use std::time::Duration;
    ///
    /// /// Looks up the name of a customer, somewhere else.
    /// async fn name_of(customer: u64, cx: AsyncContext) -> Result<(u64, String), BoxError> {
    ///     cx.sleep(Duration::from_millis(20 - 5 * customer)).await;
    ///     if customer == 2 && cx.retry_count() == 0 {
    ///         return Err("too many requests".into());
    ///     }
    ///     Ok((customer, format!("customer {customer}")))
    /// }
    ///
    /// # #[tokio::main]
    /// # async fn main() -> Result<(), floodmark::Error> {
    /// let env = Environment::new();
    /// let names = env
    ///     .from_vec("customers", vec![1, 2, 3])
    ///     .async_map(
    ///         AsyncOptions::ordered(10, Duration::from_secs(5))
    ///             .retry(AsyncRetryStrategy::fixed_delay(3, Duration::from_millis(10))),
    ///         name_of,
    ///     )
    ///     .uid("names")
    ///     .collect("collected");
    /// env.execute("names").await?.wait().await?;
    /// let names: Vec<_> = names.values().into_iter().map(|(customer, _)| customer).collect();
    /// assert_eq!(names, [1, 2, 3]);
    /// # Ok(())
    /// # }
    /// ```
    #[doc(alias = "AsyncDataStream")]
    #[doc(alias = "AsyncFunction")]
    pub fn async_map<U, R>(
        self,
        options: AsyncOptions<T, U>,
        ask: impl Fn(T, AsyncContext) -> R + Send + Sync + 'static,
    ) -> Stream<U>
    where
        U: Data,
        R: Future<Output = Result<U, BoxError>> + Send + 'static,
    {
        let call: Arc<AsyncCall<T, Vec<U>>> = Arc::new(move |value, cx| {
            let answer = ask(value, cx);
            Box::pin(async move { answer.await.map(|value| vec![value]) })
        });
        self.requests("async_map", options.map_results(|value| vec![value]), call)
    }

    /// Asks somebody for every record, as [`Stream::async_map`] does, and turns the record into any
    /// number of others.
    ///
    /// # Examples
    ///
    /// Who does not answer in time is left out.
    ///
    /// ```
    /// use floodmark::{AsyncOptions, Environment};
    /// use std::time::Duration;
    ///
    /// # #[tokio::main]
    /// # async fn main() -> Result<(), floodmark::Error> {
    /// let env = Environment::new();
    /// let prices = env
    ///     .from_vec("articles", vec![1_u64, 2, 3])
    ///     .async_flat_map(
    ///         AsyncOptions::unordered(10, Duration::from_millis(50)).on_timeout(|_| Ok(None)),
    ///         |article, cx| async move {
    ///             if article == 2 {
    ///                 cx.sleep(Duration::from_secs(3_600)).await;
    ///             }
    ///             Ok(Some((article, article * 100)))
    ///         },
    ///     )
    ///     .uid("prices")
    ///     .collect("collected");
    /// env.execute("prices").await?.wait().await?;
    /// let mut prices = prices.values();
    /// prices.sort();
    /// assert_eq!(prices, [(1, 100), (3, 300)]);
    /// # Ok(())
    /// # }
    /// ```
    pub fn async_flat_map<I, R>(
        self,
        options: AsyncOptions<T, I>,
        ask: impl Fn(T, AsyncContext) -> R + Send + Sync + 'static,
    ) -> Stream<I::Item>
    where
        I: IntoIterator + 'static,
        I::Item: Data,
        R: Future<Output = Result<I, BoxError>> + Send + 'static,
    {
        let call: Arc<AsyncCall<T, Vec<I::Item>>> = Arc::new(move |value, cx| {
            let answer = ask(value, cx);
            Box::pin(async move { answer.await.map(|values| values.into_iter().collect()) })
        });
        let options = options.map_results(|values| values.into_iter().collect());
        self.requests("async_flat_map", options, call)
    }

    fn requests<U: Data>(
        self,
        name: &str,
        options: AsyncOptions<T, Vec<U>>,
        call: Arc<AsyncCall<T, Vec<U>>>,
    ) -> Stream<U> {
        self.then(name, Identity::Needed, move |uid, _| {
            AsyncOperator::new(uid, options.clone(), call.clone())
        })
    }
}
