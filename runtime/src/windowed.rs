//! Windowed streams: what a job does with the records of a window.

use std::{any::TypeId, ops::Add, sync::Arc, time::Duration};

use floodmark_dataflow::{
    BoxError, OutputTag,
    operators::{
        Accumulate, Aggregate, AggregateWith, Assigner, AtEnd, Buffered, CountEvictor,
        CountTrigger, EmitResult, Evicted, Evictor, Finish, FoldWith, Incremental, KeyOf,
        ProcessResult, PurgingTrigger, ReduceWith, SessionOperator, SharedEvictor, SlidingOperator,
        Trigger, Values, Window, WindowContext, WindowFunction, WindowOperator, WindowOptions,
        WindowProcess, WindowingOperator, WindowingOptions,
    },
};
use floodmark_state::{Data, Key};

use crate::{Error, Global, KeyedStream, Stream, plan::Identity, stream::key_function};

impl<K: Key, T: Data> KeyedStream<K, T> {
    /// Groups the records of each key by window: [`Tumbling`](crate::Tumbling),
    /// [`Sliding`](crate::Sliding), [`Session`](crate::Session) or [`Global`].
    pub fn window(self, windows: impl Into<Assigner<T>>) -> WindowedStream<K, T> {
        WindowedStream {
            keyed: self,
            assigner: windows.into(),
            trigger: AtEnd,
            evictor: None,
            allowed_lateness: Duration::ZERO,
            late_to: None,
            parallelism: None,
        }
    }

    /// Groups the records of each key by their number: every `count` of them are one group. A group
    /// that is not full is never handed on. Their window is [`Window::GLOBAL`].
    ///
    /// # Panics
    ///
    /// When `count` is 0.
    #[doc(alias = "countWindow")]
    pub fn count_window(self, count: u64) -> WindowedStream<K, T, PurgingTrigger<CountTrigger>> {
        self.window(Global).trigger(PurgingTrigger::new(CountTrigger::new(count)))
    }

    /// Hands on, after every `slide` records of a key, the last `size` of them. Their window is
    /// [`Window::GLOBAL`].
    ///
    /// # Examples
    ///
    /// ```
    /// use floodmark::Environment;
    ///
    /// # #[tokio::main]
    /// # async fn main() -> Result<(), floodmark::Error> {
    /// let env = Environment::new();
    /// let sums = env
    ///     .from_vec("numbers", vec![1, 2, 3, 4, 5, 6])
    ///     .key_by(|_| ())
    ///     .count_window_sliding(3, 2)
    ///     .reduce(|left, right| left + right)
    ///     .map(|((), _, sum)| sum)
    ///     .collect("sums");
    /// env.execute("sums").await?.wait().await?;
    /// assert_eq!(sums.values(), [1 + 2, 2 + 3 + 4, 4 + 5 + 6]);
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Panics
    ///
    /// When `slide` is 0.
    pub fn count_window_sliding(
        self,
        size: usize,
        slide: u64,
    ) -> WindowedStream<K, T, CountTrigger> {
        self.window(Global).trigger(CountTrigger::new(slide)).evictor(CountEvictor::new(size))
    }
}

/// A stream whose records are grouped by key and window.
///
/// A window fires when time has passed its end, unless it is given another trigger. What becomes of
/// its records is then up to one of the methods that make a [`Stream`] of it:
///
/// | method | keeps per window | emits |
/// |---|---|---|
/// | [`reduce`](Self::reduce), [`fold`](Self::fold), [`aggregate`](Self::aggregate) | one value | key, window, result |
/// | [`reduce_then`](Self::reduce_then), [`aggregate_then`](Self::aggregate_then) | one value | what a function makes of the result |
/// | [`apply`](Self::apply), [`process`](Self::process) | all records | what a function makes of them |
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
/// let readings = vec![("north", 1_000, 3), ("south", 2_000, 9), ("north", 4_000, 5)];
/// let readings = readings.into_iter().map(|(name, time, level)| (name.to_owned(), time, level));
/// let strategy = WatermarkStrategy::ascending().timestamps(|reading: &(String, i64, u64)| reading.1);
/// let highest = env
///     .from_vec("readings", readings.collect())
///     .watermarks(strategy)
///     .key_by(|(name, _, _)| name.clone())
///     .window(Tumbling::event_time(Duration::from_secs(5)))
///     .max_of(|(_, _, level)| *level)
///     .uid("highest")
///     .map(|(name, window, level)| format!("{name} until {}: {level}", window.end))
///     .collect("highest-seen");
/// env.execute("levels").await?.wait().await?;
/// let mut highest = highest.values();
/// highest.sort();
/// assert_eq!(highest, ["north until 5000: 5", "south until 5000: 9"]);
/// # Ok(())
/// # }
/// ```
pub struct WindowedStream<K, T, G = AtEnd> {
    keyed: KeyedStream<K, T>,
    assigner: Assigner<T>,
    trigger: G,
    evictor: SharedEvictor<T>,
    allowed_lateness: Duration,
    late_to: Option<OutputTag<T>>,
    parallelism: Option<u16>,
}

impl<K, T, G> WindowedStream<K, T, G> {
    /// Lets a window take records for this long after event time has passed its end; each such
    /// record makes it emit again. Longer corrects more results, and keeps windows for longer.
    #[must_use]
    pub fn allowed_lateness(self, allowed_lateness: Duration) -> Self {
        Self { allowed_lateness, ..self }
    }

    /// Sends records that come too late for their windows to a side output. Without it they are
    /// counted and dropped.
    #[must_use]
    #[doc(alias = "sideOutputLateData")]
    pub fn late_to(self, tag: OutputTag<T>) -> Self {
        Self { late_to: Some(tag), ..self }
    }

    /// Lets `trigger` decide when windows fire, instead of the end of the window.
    pub fn trigger<H: Trigger<T>>(self, trigger: H) -> WindowedStream<K, T, H> {
        let Self { keyed, assigner, trigger: _, evictor, allowed_lateness, late_to, parallelism } =
            self;
        WindowedStream { keyed, assigner, trigger, evictor, allowed_lateness, late_to, parallelism }
    }

    /// Lets `evictor` remove records from a window when it fires. The window keeps all its records
    /// then.
    #[must_use]
    pub fn evictor(self, evictor: impl Evictor<T>) -> Self {
        Self { evictor: Some(Arc::new(evictor)), ..self }
    }

    pub(crate) fn in_one_subtask(self) -> Self {
        Self { parallelism: Some(1), ..self }
    }
}

impl<K: Key, T: Data, G: Trigger<T>> WindowedStream<K, T, G> {
    /// Combines the records of each window with an [`Aggregate`].
    pub fn aggregate<A: Aggregate<In = T>>(self, aggregate: A) -> Stream<(K, Window, A::Out)> {
        self.emit("window aggregate", move || AggregateWith(aggregate.clone()))
    }

    /// Folds the records of each window into `init`. Not for windows that merge: what was folded
    /// cannot be.
    pub fn fold<S: Data>(
        self,
        init: S,
        fold: impl FnMut(&mut S, T) + Clone + Send + Sync + 'static,
    ) -> Stream<(K, Window, S)> {
        if self.assigner.merges() {
            let instead = "use `aggregate`, which says how";
            self.keyed.stream.report(Error::CannotMerge { what: "what is folded", instead });
        }
        self.emit("window fold", move || FoldWith(init.clone(), fold.clone()))
    }

    /// Combines the records of each window into one.
    pub fn reduce(
        self,
        reduce: impl FnMut(T, T) -> T + Clone + Send + Sync + 'static,
    ) -> Stream<(K, Window, T)> {
        self.emit("window reduce", move || ReduceWith(reduce.clone()))
    }

    /// Combines the records of each window with an [`Aggregate`], and hands the one result to a
    /// function.
    pub fn aggregate_then<A, P>(self, aggregate: A, process: P) -> Stream<P::Out>
    where
        A: Aggregate<In = T>,
        P: WindowProcess<Key = K, In = A::Out> + Clone + Sync,
    {
        let finish = move || ProcessResult(process.clone());
        self.accumulate("window aggregate", move || AggregateWith(aggregate.clone()), finish)
    }

    /// Combines the records of each window into one, and hands that to a function.
    pub fn reduce_then<P>(
        self,
        reduce: impl FnMut(T, T) -> T + Clone + Send + Sync + 'static,
        process: P,
    ) -> Stream<P::Out>
    where
        P: WindowProcess<Key = K, In = T> + Clone + Sync,
    {
        let finish = move || ProcessResult(process.clone());
        self.accumulate("window reduce", move || ReduceWith(reduce.clone()), finish)
    }

    /// Hands the records of each window to a function with state and side outputs. Every subtask gets
    /// a clone of `process`.
    pub fn process<P>(self, process: P) -> Stream<P::Out>
    where
        P: WindowProcess<Key = K, In = T> + Clone + Sync,
    {
        let evictor = self.evictor.clone();
        self.build("window process", move || Buffered::new(process.clone(), evictor.clone()))
    }

    /// Turns the records of each window into any number of others.
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
    /// let spreads = env
    ///     .from_vec("levels", vec![(1_000, 7), (2_000, 4), (6_000, 9)])
    ///     .watermarks(WatermarkStrategy::ascending().timestamps(|(time, _): &(i64, i64)| *time))
    ///     .key_by(|_| ())
    ///     .window(Tumbling::event_time(Duration::from_secs(5)))
    ///     .apply(|(), window, levels| {
    ///         let levels: Vec<i64> = levels.iter().map(|(_, level)| *level).collect();
    ///         let spread = levels.iter().max()? - levels.iter().min()?;
    ///         Some((window.start.0, spread))
    ///     })
    ///     .collect("spreads");
    /// env.execute("spreads").await?.wait().await?;
    /// assert_eq!(spreads.values(), [(0, 3), (5_000, 0)]);
    /// # Ok(())
    /// # }
    /// ```
    #[doc(alias = "WindowFunction")]
    pub fn apply<I>(
        self,
        apply: impl FnMut(&K, Window, Values<'_, T>) -> I + Clone + Send + Sync + 'static,
    ) -> Stream<I::Item>
    where
        I: IntoIterator + 'static,
        I::Item: Data,
    {
        let types = std::marker::PhantomData;
        self.process(Applied { apply, types })
    }

    /// Counts the records of each window.
    pub fn count(self) -> Stream<(K, Window, u64)> {
        self.aggregate(Count::default())
    }

    /// Adds up what `number_of` returns for the records of each window.
    pub fn sum_of<N: Data + Add<Output = N>>(
        self,
        number_of: impl Fn(&T) -> N + Clone + Send + Sync + 'static,
    ) -> Stream<(K, Window, N)> {
        self.aggregate(Combine::new(number_of, |left, right| left + right))
    }

    /// Returns the smallest of what `number_of` returns for the records of each window.
    pub fn min_of<N: Data + Ord>(
        self,
        number_of: impl Fn(&T) -> N + Clone + Send + Sync + 'static,
    ) -> Stream<(K, Window, N)> {
        self.aggregate(Combine::new(number_of, Ord::min))
    }

    /// Returns the largest of what `number_of` returns for the records of each window.
    pub fn max_of<N: Data + Ord>(
        self,
        number_of: impl Fn(&T) -> N + Clone + Send + Sync + 'static,
    ) -> Stream<(K, Window, N)> {
        self.aggregate(Combine::new(number_of, Ord::max))
    }

    /// Returns the mean of what `number_of` returns for the records of each window.
    pub fn mean_of(
        self,
        number_of: impl Fn(&T) -> f64 + Clone + Send + Sync + 'static,
    ) -> Stream<(K, Window, f64)> {
        let types = std::marker::PhantomData;
        self.aggregate(Mean { number_of, types })
    }

    /// Keeps of each window the record for which `number_of` is smallest; of several the first.
    pub fn min_by<N: Ord + 'static>(
        self,
        number_of: impl Fn(&T) -> N + Clone + Send + Sync + 'static,
    ) -> Stream<(K, Window, T)> {
        self.reduce(move |kept, next| if number_of(&next) < number_of(&kept) { next } else { kept })
    }

    /// Keeps of each window the record for which `number_of` is largest; of several the first.
    pub fn max_by<N: Ord + 'static>(
        self,
        number_of: impl Fn(&T) -> N + Clone + Send + Sync + 'static,
    ) -> Stream<(K, Window, T)> {
        self.reduce(move |kept, next| if number_of(&kept) < number_of(&next) { next } else { kept })
    }

    /// Keeps of each window the record for which `number_of` is smallest; of several the last.
    pub fn min_by_last<N: Ord + 'static>(
        self,
        number_of: impl Fn(&T) -> N + Clone + Send + Sync + 'static,
    ) -> Stream<(K, Window, T)> {
        self.reduce(
            move |kept, next| {
                if number_of(&next) <= number_of(&kept) { next } else { kept }
            },
        )
    }

    /// Keeps of each window the record for which `number_of` is largest; of several the last.
    pub fn max_by_last<N: Ord + 'static>(
        self,
        number_of: impl Fn(&T) -> N + Clone + Send + Sync + 'static,
    ) -> Stream<(K, Window, T)> {
        self.reduce(
            move |kept, next| {
                if number_of(&kept) <= number_of(&next) { next } else { kept }
            },
        )
    }

    /// Emits what is accumulated, with key and window.
    fn emit<A: Accumulate<T> + 'static>(
        self,
        name: &str,
        make: impl Fn() -> A + Send + Sync + 'static,
    ) -> Stream<(K, Window, A::Out)> {
        let is_plain = self.evictor.is_none() && TypeId::of::<G>() == TypeId::of::<AtEnd>();
        let can_share = is_plain && self.allowed_lateness.is_zero() && make().is_commutative();
        if let Some(windows) = self.assigner.as_overlapping().filter(|_| can_share) {
            let Self { keyed, late_to, parallelism, .. } = self;
            let key_of = key_function(keyed.key_of);
            let results = keyed.stream.then(name, Identity::Needed, move |uid, layout| {
                let key_of = KeyOf::new(layout, key_of.clone());
                SlidingOperator::new(uid, windows, late_to, key_of, make())
            });
            return placed(results, parallelism);
        }
        let gap = self.assigner.as_gap().filter(|_| is_plain && self.allowed_lateness.is_zero());
        if let Some(gap) = gap {
            let Self { keyed, late_to, parallelism, .. } = self;
            let key_of = key_function(keyed.key_of);
            let results = keyed.stream.then(name, Identity::Needed, move |uid, layout| {
                let key_of = KeyOf::new(layout, key_of.clone());
                SessionOperator::new(uid, gap, late_to, key_of, make())
            });
            return placed(results, parallelism);
        }
        let Some(size) = self.assigner.as_plain().filter(|_| is_plain) else {
            return self.accumulate(name, make, || EmitResult);
        };
        // Nothing is special about these windows, and they have an operator that is made for them.
        let Self { keyed, allowed_lateness, late_to, parallelism, .. } = self;
        let key_of = key_function(keyed.key_of);
        let results = keyed.stream.then(name, Identity::Needed, move |uid, layout| {
            let options = WindowOptions { size, allowed_lateness, late_to };
            WindowOperator::new(uid, options, KeyOf::new(layout, key_of.clone()), make())
        });
        placed(results, parallelism)
    }

    fn accumulate<A, N>(
        self,
        name: &str,
        make: impl Fn() -> A + Send + Sync + 'static,
        finish: impl Fn() -> N + Send + Sync + 'static,
    ) -> Stream<N::Out>
    where
        A: Accumulate<T> + 'static,
        N: Finish<K, A::Out> + 'static,
    {
        match self.evictor.clone() {
            Some(evictor) => {
                self.build(name, move || Evicted::new(make(), finish(), evictor.clone()))
            }
            None => self.build(name, move || Incremental::new(make(), finish())),
        }
    }

    fn build<W: WindowFunction<K, T> + 'static>(
        self,
        name: &str,
        make: impl Fn() -> W + Send + Sync + 'static,
    ) -> Stream<W::Out> {
        let Self { keyed, assigner, trigger, allowed_lateness, late_to, parallelism, .. } = self;
        if assigner.merges() && !trigger.can_merge() {
            let instead = "use one that can, or other windows";
            keyed.stream.report(Error::CannotMerge { what: "their trigger", instead });
        }
        let key_of = key_function(keyed.key_of);
        let results = keyed.stream.then(name, Identity::Needed, move |uid, layout| {
            let options =
                WindowingOptions { assigner: assigner.clone(), allowed_lateness, late_to };
            let key_of = KeyOf::new(layout, key_of.clone());
            WindowingOperator::new(uid, options, key_of, trigger.clone(), make())
        });
        placed(results, parallelism)
    }
}

/// Sets the subtasks of the operator that made `stream`, if it is to have others than the job's.
fn placed<T: Data>(stream: Stream<T>, parallelism: Option<u16>) -> Stream<T> {
    match parallelism {
        Some(parallelism) => stream.parallelism(parallelism),
        None => stream,
    }
}

/// Two types that a function goes between.
type Types<A, B> = std::marker::PhantomData<fn(A) -> B>;

/// A function over the records of a window, without state.
struct Applied<K, T, I, F> {
    apply: F,
    types: Types<(K, T), I>,
}

impl<K, T, I, F: Clone> Clone for Applied<K, T, I, F> {
    fn clone(&self) -> Self {
        Self { apply: self.apply.clone(), types: self.types }
    }
}

impl<K, T, I, F> WindowProcess for Applied<K, T, I, F>
where
    K: Key,
    T: Data,
    I: IntoIterator + 'static,
    I::Item: Data,
    F: FnMut(&K, Window, Values<'_, T>) -> I + Send + 'static,
{
    type Key = K;
    type In = T;
    type Out = I::Item;

    fn process(
        &mut self,
        values: Values<'_, T>,
        cx: &mut WindowContext<'_, K, I::Item>,
    ) -> Result<(), BoxError> {
        let results = (self.apply)(cx.key(), cx.window(), values);
        results.into_iter().for_each(|result| cx.emit(result));
        Ok(())
    }
}

/// Counts values.
struct Count<T>(Types<T, ()>);

impl<T> Default for Count<T> {
    fn default() -> Self {
        Self(std::marker::PhantomData)
    }
}

impl<T> Clone for Count<T> {
    fn clone(&self) -> Self {
        Self(self.0)
    }
}

impl<T: Data> Aggregate for Count<T> {
    const IS_COMMUTATIVE: bool = true;

    type In = T;
    type Acc = u64;
    type Out = u64;

    fn init(&self) -> u64 {
        0
    }

    fn add(&self, count: &mut u64, _: T) {
        *count += 1;
    }

    fn finish(&self, count: u64) -> u64 {
        count
    }

    fn merge(&self, left: u64, right: u64) -> u64 {
        left + right
    }
}

/// Combines something that every value has.
struct Combine<T, N, F, C> {
    number_of: F,
    combine: C,
    types: Types<T, N>,
}

impl<T, N, F, C> Combine<T, N, F, C> {
    fn new(number_of: F, combine: C) -> Self {
        Self { number_of, combine, types: std::marker::PhantomData }
    }
}

impl<T, N, F: Clone, C: Clone> Clone for Combine<T, N, F, C> {
    fn clone(&self) -> Self {
        let Self { number_of, combine, types } = self;
        Self { number_of: number_of.clone(), combine: combine.clone(), types: *types }
    }
}

impl<T, N, F, C> Aggregate for Combine<T, N, F, C>
where
    T: Data,
    N: Data,
    F: Fn(&T) -> N + Clone + Send + Sync + 'static,
    C: Fn(N, N) -> N + Clone + Send + Sync + 'static,
{
    type In = T;
    /// Absent before the first value.
    type Acc = Option<N>;
    type Out = N;

    const HAS_RESULT_OF_NOTHING: bool = false;

    fn init(&self) -> Option<N> {
        None
    }

    fn add(&self, accumulator: &mut Option<N>, value: T) {
        *accumulator = self.merge(accumulator.take(), Some((self.number_of)(&value)));
    }

    fn finish(&self, accumulator: Option<N>) -> N {
        accumulator.expect("a window that fires has had a value")
    }

    fn merge(&self, left: Option<N>, right: Option<N>) -> Option<N> {
        match (left, right) {
            (Some(left), Some(right)) => Some((self.combine)(left, right)),
            (left, right) => left.or(right),
        }
    }
}

/// The mean of a number that every value has.
struct Mean<T, F> {
    number_of: F,
    types: Types<T, f64>,
}

impl<T, F: Clone> Clone for Mean<T, F> {
    fn clone(&self) -> Self {
        Self { number_of: self.number_of.clone(), types: self.types }
    }
}

impl<T, F> Aggregate for Mean<T, F>
where
    T: Data,
    F: Fn(&T) -> f64 + Clone + Send + Sync + 'static,
{
    type In = T;
    /// Sum and count.
    type Acc = (f64, u64);
    type Out = f64;

    const HAS_RESULT_OF_NOTHING: bool = false;

    fn init(&self) -> (f64, u64) {
        (0.0, 0)
    }

    fn add(&self, (sum, count): &mut (f64, u64), value: T) {
        *sum += (self.number_of)(&value);
        *count += 1;
    }

    #[expect(clippy::cast_precision_loss, reason = "a mean of more values is not exact anyway")]
    fn finish(&self, (sum, count): (f64, u64)) -> f64 {
        sum / count as f64
    }

    fn merge(&self, left: (f64, u64), right: (f64, u64)) -> (f64, u64) {
        (left.0 + right.0, left.1 + right.1)
    }
}
