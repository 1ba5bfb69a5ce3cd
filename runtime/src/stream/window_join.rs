//! Joins of two keyed streams, window by window.

use std::time::Duration;

use floodmark_dataflow::{
    Forward,
    operators::{Assigner, AtEnd, Map, Sided, Trigger, Values, Window},
};
use floodmark_model::Exchange;
use floodmark_state::{Data, Key};

use super::{KeyedStream, Origin, Stream, routing, two_inputs::key_of_both};
use crate::{WindowedStream, plan::Identity};

/// Two keyed streams whose records meet in windows.
///
/// # Examples
///
/// ```
/// use floodmark::{Environment, Tumbling, WatermarkStrategy};
/// use std::time::Duration;
///
/// # #[tokio::main]
/// # async fn main() -> Result<(), floodmark::Error> {
/// let env = Environment::new();
/// let by_time = || WatermarkStrategy::ascending().timestamps(|(_, time): &(u64, i64)| *time);
/// let orders = env.from_vec("orders", vec![(1, 1_000), (2, 2_000)]).watermarks(by_time());
/// let paid = env.from_vec("paid", vec![(1, 4_000), (2, 6_000)]).watermarks(by_time());
/// let joined = orders.key_by(|(id, _)| *id).join(paid.key_by(|(id, _)| *id));
/// let both = joined
///     .window(Tumbling::event_time(Duration::from_secs(5)))
///     .apply(|id, _, _| Some(*id))
///     .uid("both")
///     .collect("both-seen");
/// env.execute("orders").await?.wait().await?;
/// assert_eq!(both.values(), [1]);
/// # Ok(())
/// # }
/// ```
#[doc(alias = "JoinedStreams")]
#[doc(alias = "CoGroupedStreams")]
pub struct Joined<K, A, B> {
    both: KeyedStream<K, Sided<A, B>>,
}

/// Two keyed streams whose records are grouped by key and window.
///
/// # Examples
///
/// ```
/// use floodmark::{Environment, Tumbling, WatermarkStrategy};
/// use std::time::Duration;
///
/// # #[tokio::main]
/// # async fn main() -> Result<(), floodmark::Error> {
/// let env = Environment::new();
/// let by_time = || WatermarkStrategy::ascending().timestamps(|(_, time): &(u64, i64)| *time);
/// let orders = env.from_vec("orders", vec![(1, 1_000), (2, 2_000)]).watermarks(by_time());
/// let paid = env.from_vec("paid", vec![(1, 4_000), (2, 6_000)]).watermarks(by_time());
/// let windowed = orders
///     .key_by(|(id, _)| *id)
///     .join(paid.key_by(|(id, _)| *id))
///     .window(Tumbling::event_time(Duration::from_secs(5)))
///     .allowed_lateness(Duration::from_secs(1));
/// let both = windowed
///     .co_group(|id, _, orders, paid| (!orders.is_empty() && !paid.is_empty()).then_some(*id))
///     .uid("both")
///     .collect("both-seen");
/// env.execute("orders").await?.wait().await?;
/// assert_eq!(both.values(), [1]);
/// # Ok(())
/// # }
/// ```
pub struct WindowedJoin<K, A, B, G = AtEnd> {
    windowed: WindowedStream<K, Sided<A, B>, G>,
}

/// Marks the records of a stream with their side, where they come from.
fn marked<T: Data, S: Data>(stream: Stream<T>, mark: fn(T) -> S) -> Option<Stream<S>> {
    let Stream { draft, origins } = stream;
    let marked = origins.into_iter().map(|Origin { from, .. }| {
        let parallelism = draft.lock().node_mut(from.node).parallelism;
        let origin = Origin { from, exchange: Exchange::Forward, routing: routing(|| Forward) };
        let stream = Stream { draft: draft.clone(), origins: vec![origin] };
        let stream = stream.then("side", Identity::Stateless, move |_, _| Map::new(mark));
        match parallelism {
            Some(parallelism) => stream.parallelism(parallelism),
            None => stream,
        }
    });
    marked.reduce(Stream::union)
}

impl<K: Key, T: Data> KeyedStream<K, T> {
    /// Brings the records of this stream and of another one together that have one key and fall into
    /// one window.
    ///
    /// # Examples
    ///
    /// Orders and payments of the same five seconds.
    ///
    /// ```
    /// use floodmark::{Environment, Tumbling, WatermarkStrategy};
    /// use std::time::Duration;
    ///
    /// # #[tokio::main]
    /// # async fn main() -> Result<(), floodmark::Error> {
    /// let env = Environment::new();
    /// let by_time = || WatermarkStrategy::ascending().timestamps(|(_, time): &(u64, i64)| *time);
    /// let orders = env.from_vec("orders", vec![(1, 1_000), (2, 2_000)]).watermarks(by_time());
    /// let paid = env.from_vec("paid", vec![(1, 4_000), (2, 6_000)]).watermarks(by_time());
    /// let both = orders
    ///     .key_by(|(id, _)| *id)
    ///     .join(paid.key_by(|(id, _)| *id))
    ///     .window(Tumbling::event_time(Duration::from_secs(5)))
    ///     .apply(|id, order, paid| Some((*id, paid.1 - order.1)))
    ///     .uid("both")
    ///     .collect("both-seen");
    /// env.execute("orders").await?.wait().await?;
    /// assert_eq!(both.values(), [(1, 3_000)]);
    /// # Ok(())
    /// # }
    /// ```
    #[doc(alias = "coGroup")]
    pub fn join<U: Data>(self, other: KeyedStream<K, U>) -> Joined<K, T, U> {
        let key_of = key_of_both(self.key_of, other.key_of);
        let first = marked(self.stream, Sided::First);
        let second = marked(other.stream, Sided::Second);
        let both = first.into_iter().chain(second).reduce(Stream::union);
        let both = both.expect("a stream comes from somewhere");
        Joined { both: both.key_by(move |value| key_of(value)) }
    }
}

impl<K: Key, A: Data, B: Data> Joined<K, A, B> {
    /// Groups the records of both streams by window.
    pub fn window(self, windows: impl Into<Assigner<Sided<A, B>>>) -> WindowedJoin<K, A, B> {
        WindowedJoin { windowed: self.both.window(windows) }
    }
}

impl<K, A, B, G> WindowedJoin<K, A, B, G> {
    /// Lets a window take records for this long after event time has passed its end; each such
    /// record makes it emit again. Longer corrects more results, and keeps windows for longer.
    #[must_use]
    pub fn allowed_lateness(self, allowed_lateness: Duration) -> Self {
        Self { windowed: self.windowed.allowed_lateness(allowed_lateness) }
    }

    /// Lets `trigger` decide when windows fire, instead of the end of the window.
    pub fn trigger<H: Trigger<Sided<A, B>>>(self, trigger: H) -> WindowedJoin<K, A, B, H> {
        WindowedJoin { windowed: self.windowed.trigger(trigger) }
    }
}

/// Tells the two sides of a window apart, each in the order of arrival.
fn sides<'a, A: Data, B: Data>(values: &Values<'a, Sided<A, B>>) -> (Vec<&'a A>, Vec<&'a B>) {
    let (mut first, mut second) = (Vec::new(), Vec::new());
    for value in values.iter() {
        match value {
            Sided::First(value) => first.push(value),
            Sided::Second(value) => second.push(value),
        }
    }
    (first, second)
}

impl<K: Key, A: Data, B: Data, G: Trigger<Sided<A, B>>> WindowedJoin<K, A, B, G> {
    /// Makes any number of values of each pair of a record of the first stream and one of the second.
    pub fn apply<I>(
        self,
        apply: impl FnMut(&K, &A, &B) -> I + Clone + Send + Sync + 'static,
    ) -> Stream<I::Item>
    where
        I: IntoIterator + 'static,
        I::Item: Data,
    {
        let mut apply = apply;
        let joined = self.windowed.apply(move |key, _, values| {
            let (first, second) = sides(&values);
            let mut results: Vec<I::Item> = Vec::new();
            for left in first {
                second.iter().for_each(|right| results.extend(apply(key, left, right)));
            }
            results
        });
        joined.name("window join")
    }

    /// Makes any number of values of the records of both streams in a window. One side may be empty.
    pub fn co_group<I>(
        self,
        group: impl FnMut(&K, Window, Vec<&A>, Vec<&B>) -> I + Clone + Send + Sync + 'static,
    ) -> Stream<I::Item>
    where
        I: IntoIterator + 'static,
        I::Item: Data,
    {
        let mut group = group;
        let grouped = self.windowed.apply(move |key, window, values| {
            let (first, second) = sides(&values);
            group(key, window, first, second)
        });
        grouped.name("co-group")
    }
}
