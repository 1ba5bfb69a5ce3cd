//! Streams: what a job does to records.

use std::sync::Arc;

use floodmark_dataflow::{
    BoxError, Broadcast, Chained, Forward, HashPartitioner, Operator, OutputTag, Partitioner, Push,
    Rebalance, TransactionSink, TwoPhaseCommit,
    operators::{
        Assigner, CollectMap, Collector, Filter, ForEach, KeyOf, KeyedProcess, Map,
        ProcessOperator, RollingReduce, Timestamped, WatermarkOperator, WatermarkStrategy, Writer,
        WriterOperator,
    },
};
use floodmark_model::{Exchange, KeyGroupLayout, Timestamp};
use floodmark_state::{Data, Key};

mod async_map;
mod fallible;
mod interval_join;
mod process;
mod rolling;
mod two_inputs;
mod window_join;

pub use interval_join::IntervalJoin;
pub use two_inputs::{BroadcastStream, Connected, KeyedConnected, KeyedWithRules, WithRules};
pub use window_join::{Joined, WindowedJoin};

use crate::{
    Collected, Error, WindowedStream,
    connectors::Print,
    environment::SharedDraft,
    plan::{Assembly, Identity, Node, NodeId, NodeInput, OperatorBlueprint, Port, Role, Routing},
};

/// Records of type `T` on their way through the job.
///
/// Cloning a stream does not copy records; it lets several operators consume the same ones.
///
/// # Examples
///
/// ```
/// use floodmark::Environment;
///
/// # #[tokio::main]
/// # async fn main() -> Result<(), floodmark::Error> {
/// let env = Environment::new();
/// let words = env.from_vec("words", vec!["to be".to_owned(), "or".to_owned()]);
/// let words = words.flat_map(|line| line.split(' ').map(str::to_owned).collect::<Vec<_>>());
/// // Two operators consume the same records.
/// let long = words.clone().filter(|word| word != "or").collect("long");
/// let all = words.map(|word| word.len()).collect("all");
/// env.execute("words").await?.wait().await?;
/// assert_eq!(long.values(), ["to", "be"]);
/// assert_eq!(all.values(), [2, 2, 2]);
/// # Ok(())
/// # }
/// ```
#[doc(alias = "DataStream")]
pub struct Stream<T> {
    draft: SharedDraft,
    origins: Vec<Origin<T>>,
}

/// One part of a stream, and how its records reach the next operator.
struct Origin<T> {
    from: Port,
    exchange: Exchange,
    routing: Routing<T>,
}

impl<T> Clone for Origin<T> {
    fn clone(&self) -> Self {
        let Self { from, exchange, routing } = self;
        Self { from: *from, exchange: *exchange, routing: routing.clone() }
    }
}

impl<T> Clone for Stream<T> {
    fn clone(&self) -> Self {
        Self { draft: self.draft.clone(), origins: self.origins.clone() }
    }
}

/// Returns a routing that does not depend on keys.
fn routing<T: Data, P: Partitioner<T> + 'static>(make: fn() -> P) -> Routing<T> {
    Arc::new(move |_| Box::new(make()))
}

/// Builds the consumers of a source as one stage.
pub(crate) fn fan_out<T: Data>(node: NodeId, assembly: &mut Assembly<'_>) -> Box<dyn Push<T>> {
    let output = assembly.output::<T>(node);
    let sides = assembly.sides(node);
    Box::new(Chained::new(Filter::new(|_: &T| true), output, sides))
}

impl<T: Data> Stream<T> {
    /// Creates the stream that a node emits.
    pub(crate) fn of_node(draft: SharedDraft, node: NodeId) -> Self {
        Self::of_port(draft, Port { node, side: None })
    }

    fn of_port(draft: SharedDraft, from: Port) -> Self {
        let origin = Origin { from, exchange: Exchange::Forward, routing: routing(|| Forward) };
        Self { draft, origins: vec![origin] }
    }

    /// Adds an operator that consumes this stream.
    pub(crate) fn then<P: Operator<In = T> + 'static>(
        self,
        name: &str,
        identity: Identity,
        make: impl Fn(String, KeyGroupLayout) -> P + Send + Sync + 'static,
    ) -> Stream<P::Out> {
        let build = move |node: NodeId, assembly: &mut Assembly<'_>| {
            let operator = make(assembly.uid(node), assembly.layout());
            let output = assembly.output::<P::Out>(node);
            let sides = assembly.sides(node);
            let stage: Box<dyn Push<T>> = Box::new(Chained::new(operator, output, sides));
            stage
        };
        let inputs = self.origins.iter();
        let inputs =
            inputs.map(|origin| NodeInput { from: origin.from, exchange: origin.exchange });
        let node = Node {
            name: name.to_owned(),
            identity,
            role: Role::of::<P>(),
            inputs: inputs.collect(),
            blueprint: Arc::new(OperatorBlueprint {
                routings: self.origins.iter().map(|origin| origin.routing.clone()).collect(),
                build,
            }),
            parallelism: None,
            sides: Vec::new(),
        };
        let node = self.draft.lock().add(node);
        Stream::of_node(self.draft, node)
    }

    /// Turns every record into one other.
    pub fn map<U: Data>(
        self,
        map: impl FnMut(T) -> U + Clone + Send + Sync + 'static,
    ) -> Stream<U> {
        self.then("map", Identity::Stateless, move |_, _| Map::new(map.clone()))
    }

    /// Pairs every value with its event time.
    pub fn timestamped(self) -> Stream<(Timestamp, T)> {
        self.then("timestamped", Identity::Stateless, |_, _| Timestamped::default())
    }

    /// Keeps the records for which `is_kept` returns true.
    pub fn filter(self, is_kept: impl FnMut(&T) -> bool + Clone + Send + Sync + 'static) -> Self {
        self.then("filter", Identity::Stateless, move |_, _| Filter::new(is_kept.clone()))
    }

    /// Turns every record into any number of others.
    pub fn flat_map<I>(
        self,
        mut map: impl FnMut(T) -> I + Clone + Send + Sync + 'static,
    ) -> Stream<I::Item>
    where
        I: IntoIterator + 'static,
        I::Item: Data,
    {
        self.flat_map_to(move |value, out| {
            map(value).into_iter().for_each(|value| out.collect(value));
        })
    }

    /// Turns every record into any number of others, which `map` hands to a [`Collector`] one by one: for
    /// those that are made of parts of the record, and for many of them, which need no list then.
    ///
    /// # Examples
    ///
    /// ```
    /// use floodmark::Environment;
    ///
    /// # #[tokio::main]
    /// # async fn main() -> Result<(), floodmark::Error> {
    /// let env = Environment::new();
    /// let words = env
    ///     .from_vec("lines", vec!["to be".to_owned(), "or".to_owned()])
    ///     .flat_map_to(|line, words| line.split(' ').for_each(|word| words.collect(word.to_owned())))
    ///     .collect("words");
    /// env.execute("words").await?.wait().await?;
    /// assert_eq!(words.values(), ["to", "be", "or"]);
    /// # Ok(())
    /// # }
    /// ```
    #[doc(alias = "Collector")]
    pub fn flat_map_to<O: Data>(
        self,
        map: impl FnMut(T, &mut Collector<'_, O>) + Clone + Send + Sync + 'static,
    ) -> Stream<O> {
        self.then("flat_map", Identity::Stateless, move |_, _| CollectMap::new(map.clone()))
    }

    /// Gives records their event time, and makes promises about those to come.
    #[doc(alias = "assignTimestampsAndWatermarks")]
    pub fn watermarks(self, strategy: WatermarkStrategy<T>) -> Self {
        let identity = Identity::Derived("watermarks");
        self.then("watermarks", identity, move |uid, _| {
            WatermarkOperator::new(uid, strategy.clone())
        })
    }

    /// Groups records by key: those with one key are processed by one subtask, in the order in
    /// which each sender sent them.
    pub fn key_by<K: Key>(
        self,
        key_of: impl Fn(&T) -> K + Clone + Send + Sync + 'static,
    ) -> KeyedStream<K, T> {
        let for_routing = key_of.clone();
        let routing: Routing<T> =
            Arc::new(move |layout| Box::new(HashPartitioner::new(layout, for_routing.clone())));
        let stream = self.through(Exchange::Hash, &routing);
        KeyedStream { stream, key_of: Arc::new(key_of) }
    }

    /// Deals records out to all subtasks of the next operator in turn.
    pub fn rebalance(self) -> Self {
        self.through(Exchange::Rebalance, &routing(Rebalance::default))
    }

    /// Gives every subtask of the next operator every record.
    pub fn broadcast(self) -> Self {
        self.through(Exchange::Broadcast, &routing(|| Broadcast))
    }

    fn through(mut self, exchange: Exchange, routing: &Routing<T>) -> Self {
        for origin in &mut self.origins {
            *origin = Origin { from: origin.from, exchange, routing: routing.clone() };
        }
        self
    }

    /// Groups all records by window. One subtask does it all; without need, give the stream keys.
    #[doc(alias = "windowAll")]
    pub fn window_all(self, windows: impl Into<Assigner<T>>) -> WindowedStream<(), T> {
        self.key_by(|_| ()).window(windows).in_one_subtask()
    }

    /// Adds the records of another stream. Event time is the earlier of the two.
    pub fn union(mut self, mut other: Self) -> Self {
        self.origins.append(&mut other.origins);
        self
    }

    /// Returns what the operator that made this stream emits to the side output `tag`.
    pub fn side_output<U: Data>(&self, tag: OutputTag<U>) -> Stream<U> {
        let node = self.operator(|| format!("the side output {:?}", tag.name()));
        // A mistake is reported when the job is built; until then any node will do.
        let node = node.unwrap_or(self.origins[0].from.node);
        self.draft.lock().consume_side(node, tag);
        Stream::of_port(self.draft.clone(), Port { node, side: Some(tag.name()) })
    }

    /// Names the operator that made this stream, so that its state is found again after a restart.
    /// Unique within the job.
    pub fn uid(self, uid: &str) -> Self {
        if let Some(node) = self.operator(|| format!("the uid {uid:?}")) {
            self.draft.lock().node_mut(node).identity = Identity::Given(uid.to_owned());
        }
        self
    }

    /// Sets the subtasks of the operator that made this stream. Between operators of different
    /// parallelism records are rebalanced, unless they are keyed.
    pub fn parallelism(self, parallelism: u16) -> Self {
        if let Some(node) = self.operator(|| format!("the parallelism {parallelism}")) {
            self.draft.lock().node_mut(node).parallelism = Some(parallelism);
        }
        self
    }

    /// Names the operator that made this stream, for people.
    pub fn name(self, name: &str) -> Self {
        if let Some(node) = self.operator(|| format!("the name {name:?}")) {
            name.clone_into(&mut self.draft.lock().node_mut(node).name);
        }
        self
    }

    /// Notes a mistake in the job, which is reported when it is built.
    pub(crate) fn report(&self, mistake: Error) {
        self.draft.lock().report(mistake);
    }

    /// Returns the operator whose main output this stream is. If there is none, that what was asked
    /// of it is a mistake in the job.
    fn operator(&self, what: impl FnOnce() -> String) -> Option<NodeId> {
        match self.origins.as_slice() {
            [Origin { from: Port { node, side: None }, .. }] => Some(*node),
            _ => {
                self.draft.lock().report(Error::NotOneOperator { what: what() });
                None
            }
        }
    }

    /// Ends the stream in a sink that commits in two phases. `name` is the sink's uid: by it,
    /// prepared transactions are found again.
    pub fn sink<S: TwoPhaseCommit<T>>(self, name: &str, sink: S) {
        let sink = Arc::new(sink);
        self.then(name, Identity::Given(name.to_owned()), move |uid, _| {
            TransactionSink::new(uid, sink.clone())
        });
    }

    /// Ends the stream in a collection that the caller can read. A value appears when the
    /// checkpoint that covers it is complete; without checkpoints, at the end.
    pub fn collect(self, name: &str) -> Collected<T> {
        let collected = Collected::new();
        self.sink(name, collected.clone());
        collected
    }

    /// Ends the stream in a function. After a failure it sees records again that it has seen
    /// before: at least once.
    pub fn for_each(
        self,
        name: &str,
        visit: impl FnMut(T) -> Result<(), BoxError> + Clone + Send + Sync + 'static,
    ) {
        let operator = name.to_owned();
        self.then(name, Identity::Stateless, move |_, _| {
            ForEach::new(operator.clone(), visit.clone())
        });
    }

    /// Ends the stream in a writer that hears its records and its event time. After a failure it gets
    /// records again that it has seen before: at least once.
    pub fn write(self, name: &str, writer: impl Writer<T>) {
        let operator = name.to_owned();
        self.then(name, Identity::Stateless, move |_, _| {
            WriterOperator::new(operator.clone(), writer.clone())
        });
    }

    /// Ends the stream on standard output, one line per record. Where several subtasks print, a line
    /// begins with the number of its subtask, from 1 on: `2> ("a", 5)`. After a failure lines are
    /// repeated.
    pub fn print(self)
    where
        T: std::fmt::Debug,
    {
        self.print_as("");
    }

    /// Ends the stream on standard output as [`Stream::print`] does, each line with a label:
    /// `alarm> ("a", 5)`, and `alarm:2> ("a", 5)` where several subtasks print.
    ///
    /// # Examples
    ///
    /// ```
    /// use floodmark::Environment;
    ///
    /// # #[tokio::main]
    /// # async fn main() -> Result<(), floodmark::Error> {
    /// let env = Environment::new();
    /// // Prints `level> 7`.
    /// env.from_vec("levels", vec![7]).print_as("level");
    /// env.execute("levels").await?.wait().await?;
    /// # Ok(())
    /// # }
    /// ```
    pub fn print_as(self, label: &str)
    where
        T: std::fmt::Debug,
    {
        let label = label.to_owned();
        self.then("print", Identity::Stateless, move |_, layout| {
            Print::new("print".to_owned(), label.clone(), layout.parallelism)
        });
    }
}

/// A stream whose records have keys.
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
///     .from_vec("amounts", vec![("a".to_owned(), 1), ("b".to_owned(), 5), ("a".to_owned(), 2)])
///     .key_by(|(name, _)| name.clone())
///     .reduce(|(name, left), (_, right)| (name, left + right))
///     .uid("sums")
///     .collect("sums-seen");
/// env.execute("amounts").await?.wait().await?;
/// let last = |name: &str| sums.values().into_iter().rfind(|(of, _)| of == name);
/// assert_eq!(last("a"), Some(("a".to_owned(), 3)));
/// # Ok(())
/// # }
/// ```
pub struct KeyedStream<K, T> {
    pub(crate) stream: Stream<T>,
    pub(crate) key_of: Arc<KeyFunction<T, K>>,
}

pub(crate) type KeyFunction<T, K> = dyn Fn(&T) -> K + Send + Sync;

/// Returns what finds keys, as the operators take it.
pub(crate) fn key_function<T, K>(
    key_of: Arc<KeyFunction<T, K>>,
) -> impl Fn(&T) -> K + Clone + Send + Sync + 'static
where
    T: 'static,
    K: 'static,
{
    move |value| key_of(value)
}

impl<K: Key, T: Data> KeyedStream<K, T> {
    /// Combines each record with what its key had so far, and emits every result.
    pub fn reduce(
        self,
        reduce: impl FnMut(T, T) -> T + Clone + Send + Sync + 'static,
    ) -> Stream<T> {
        let key_of = key_function(self.key_of);
        self.stream.then("reduce", Identity::Needed, move |uid, layout| {
            RollingReduce::new(uid, KeyOf::new(layout, key_of.clone()), reduce.clone())
        })
    }

    /// Runs a function with state and timers. Every subtask gets a clone of `process`.
    ///
    /// # Examples
    ///
    /// A sensor that says nothing for 10 ms is reported. The timer is state: it fires even when a
    /// worker dies in between.
    ///
    /// ```
    /// use floodmark::{
    ///     BoxError, Context, Environment, Generator, KeyedProcess, TimeDomain, Timestamp, ValueState,
    /// };
    /// use std::time::Duration;
    ///
    /// const ALARM: ValueState<Timestamp> = ValueState::new("alarm");
    ///
    /// #[derive(Clone)]
    /// struct Silence;
    ///
    /// impl KeyedProcess for Silence {
    ///     type Key = u64;
    ///     type In = u64;
    ///     type Out = String;
    ///
    ///     fn on_element(
    ///         &mut self,
    ///         _reading: u64,
    ///         cx: &mut Context<'_, u64, String>,
    ///     ) -> Result<(), BoxError> {
    ///         if let Some(alarm) = cx.state(ALARM).get() {
    ///             cx.timers().delete_processing_time(alarm);
    ///         }
    ///         let alarm = cx.timers().current_processing_time() + Duration::from_millis(10);
    ///         cx.timers().register_processing_time(alarm);
    ///         cx.state(ALARM).set(alarm);
    ///         Ok(())
    ///     }
    ///
    ///     fn on_timer(
    ///         &mut self,
    ///         _time: Timestamp,
    ///         domain: TimeDomain,
    ///         cx: &mut Context<'_, u64, String>,
    ///     ) -> Result<(), BoxError> {
    ///         assert_eq!(domain, TimeDomain::Processing);
    ///         cx.state(ALARM).clear();
    ///         let line = format!("sensor {} is silent", cx.key());
    ///         cx.emit(line);
    ///         Ok(())
    ///     }
    /// }
    ///
    /// # #[tokio::main]
    /// # async fn main() -> Result<(), floodmark::Error> {
    /// let env = Environment::new();
    /// // Two readings, 200 ms apart, and 200 ms until the end of the input.
    /// let readings = env.source("sensor", Generator::new(2, |index| index).rate(5));
    /// let silent = readings.key_by(|_| 7).process(Silence).uid("silence").collect("silent");
    /// env.execute("silence").await?.wait().await?;
    /// assert_eq!(silent.values(), ["sensor 7 is silent", "sensor 7 is silent"]);
    /// # Ok(())
    /// # }
    /// ```
    pub fn process<P>(self, process: P) -> Stream<P::Out>
    where
        P: KeyedProcess<Key = K, In = T> + Clone + Sync,
    {
        let key_of = key_function(self.key_of);
        self.stream.then("process", Identity::Needed, move |uid, layout| {
            ProcessOperator::new(uid, process.clone(), KeyOf::new(layout, key_of.clone()))
        })
    }
}
