//! Joins of two keyed streams over event time.

use floodmark_dataflow::{
    OutputTag,
    operators::{Interval, IntervalJoinProcess, LateTags},
};
use floodmark_model::Record;
use floodmark_state::{Data, Key};

use super::{KeyedStream, Stream};

/// Two keyed streams whose records meet if they happened at about the same time.
///
/// # Examples
///
/// ```
/// use floodmark::{Environment, Interval, Offset, OutputTag, WatermarkStrategy};
/// use std::time::Duration;
///
/// const LATE: OutputTag<i64> = OutputTag::new("late");
///
/// # #[tokio::main]
/// # async fn main() -> Result<(), floodmark::Error> {
/// let env = Environment::new();
/// let by_time = || WatermarkStrategy::ascending().timestamps(|time: &i64| *time);
/// let asked = env.from_vec("asked", vec![1_000, 5_000]).watermarks(by_time());
/// let answered = env.from_vec("answered", vec![1_400, 9_000]).watermarks(by_time());
/// let within = Interval::new(Offset::ZERO, Offset::after(Duration::from_secs(1)));
/// let pairs = asked
///     .key_by(|_| ())
///     .interval_join(answered.key_by(|_| ()), within)
///     .late_second_to(LATE)
///     .join(|(), asked, answered| Some(answered.value - asked.value))
///     .uid("pairs");
/// pairs.side_output(LATE).print();
/// let pairs = pairs.collect("pairs-seen");
/// env.execute("questions").await?.wait().await?;
/// assert_eq!(pairs.values(), [400]);
/// # Ok(())
/// # }
/// ```
#[doc(alias = "IntervalJoined")]
pub struct IntervalJoin<K, A, B> {
    first: KeyedStream<K, A>,
    second: KeyedStream<K, B>,
    interval: Interval,
    late: LateTags<A, B>,
}

impl<K: Key, T: Data> KeyedStream<K, T> {
    /// Joins each record with those records of `other` that have its key and a timestamp in `interval`,
    /// as seen from it. A pair comes out as soon as its second record is in.
    ///
    /// # Examples
    ///
    /// Clicks up to ten seconds after an impression.
    ///
    /// ```
    /// use floodmark::{Environment, Interval, Offset, WatermarkStrategy};
    /// use std::time::Duration;
    ///
    /// # #[tokio::main]
    /// # async fn main() -> Result<(), floodmark::Error> {
    /// let env = Environment::new();
    /// let by_time = || WatermarkStrategy::ascending().timestamps(|(_, time): &(u64, i64)| *time);
    /// let shown = env.from_vec("shown", vec![(1, 1_000), (2, 2_000)]).watermarks(by_time());
    /// let clicked = env.from_vec("clicked", vec![(1, 4_000), (2, 20_000)]).watermarks(by_time());
    /// let within = Interval::new(Offset::ZERO, Offset::after(Duration::from_secs(10)));
    /// let pairs = shown
    ///     .key_by(|(id, _)| *id)
    ///     .interval_join(clicked.key_by(|(id, _)| *id), within)
    ///     .join(|id, shown, clicked| Some((*id, clicked.timestamp.0 - shown.timestamp.0)))
    ///     .uid("clicks")
    ///     .collect("pairs");
    /// env.execute("clicks").await?.wait().await?;
    /// assert_eq!(pairs.values(), [(1, 3_000)]);
    /// # Ok(())
    /// # }
    /// ```
    pub fn interval_join<U: Data>(
        self,
        other: KeyedStream<K, U>,
        interval: Interval,
    ) -> IntervalJoin<K, T, U> {
        let late = LateTags { first: None, second: None };
        IntervalJoin { first: self, second: other, interval, late }
    }
}

impl<K: Key, A: Data, B: Data> IntervalJoin<K, A, B> {
    /// Sends late records of the first stream to a side output. Without it they are dropped.
    #[must_use]
    #[doc(alias = "sideOutputLeftLateData")]
    pub fn late_first_to(mut self, tag: OutputTag<A>) -> Self {
        self.late.first = Some(tag);
        self
    }

    /// Sends late records of the second stream to a side output. Without it they are dropped.
    #[must_use]
    #[doc(alias = "sideOutputRightLateData")]
    pub fn late_second_to(mut self, tag: OutputTag<B>) -> Self {
        self.late.second = Some(tag);
        self
    }

    /// Makes any number of values of each pair. Their timestamp is the later one of the pair.
    pub fn join<I>(
        self,
        join: impl FnMut(&K, Record<A>, Record<B>) -> I + Clone + Send + Sync + 'static,
    ) -> Stream<I::Item>
    where
        I: IntoIterator + 'static,
        I::Item: Data,
    {
        let process = IntervalJoinProcess::new(self.interval, self.late, join);
        self.first.connect(self.second).process(process).name("interval join")
    }
}
