//! Operators with two inputs of different types.

use std::sync::Arc;

use floodmark_dataflow::{
    Broadcast, Chained, Forward, HashPartitioner, Operator, Push, Rebalance,
    operators::{
        BroadcastOperator, BroadcastProcess, CoProcess, KeyOf, KeyedBroadcastOperator,
        KeyedBroadcastProcess, KeyedCoProcess, OverBoth, OverBothRecords, ProcessOperator,
        RecordProcessOperator, Sided,
    },
};
use floodmark_model::{Exchange, KeyGroupLayout};
use floodmark_state::{Data, Key};

use super::{KeyFunction, KeyedStream, Origin, Stream, key_function, routing};
use crate::plan::{Assembly, Identity, Node, NodeId, NodeInput, Role, Routing, TwoInputBlueprint};

/// Returns how the records of an origin reach an operator, when they are marked with their input.
fn unkeyed<T: Data, U: Data>(origin: &Origin<T>) -> Routing<U> {
    match origin.exchange {
        Exchange::Forward => routing(|| Forward),
        Exchange::Rebalance => routing(Rebalance::default),
        Exchange::Broadcast => routing(|| Broadcast),
        Exchange::Hash => unreachable!("a stream that goes by keys is a keyed stream"),
    }
}

/// Returns how marked records find the owner of their key.
fn keyed<T: Data, K: Key>(key_of: impl Fn(&T) -> K + Clone + Send + Sync + 'static) -> Routing<T> {
    Arc::new(move |layout| Box::new(HashPartitioner::new(layout, key_of.clone())))
}

/// One input of an operator with two of them.
struct Side<T, S> {
    stream: Stream<T>,
    /// One per origin of the stream.
    routings: Vec<Routing<S>>,
}

impl<T: Data, S: Data> Side<T, S> {
    fn unkeyed(stream: Stream<T>) -> Self {
        let routings = stream.origins.iter().map(unkeyed).collect();
        Self { stream, routings }
    }

    fn routed(stream: Stream<T>, routing: &Routing<S>) -> Self {
        let routings = stream.origins.iter().map(|_| routing.clone()).collect();
        Self { stream, routings }
    }
}

/// Adds an operator that consumes two streams.
fn then<A, B, P>(
    (name, identity): (&str, Identity),
    first: Side<A, Sided<A, B>>,
    second: Side<B, Sided<A, B>>,
    make: impl Fn(String, KeyGroupLayout) -> P + Send + Sync + 'static,
) -> Stream<P::Out>
where
    A: Data,
    B: Data,
    P: Operator<In = Sided<A, B>> + 'static,
{
    let build = move |node: NodeId, assembly: &mut Assembly<'_>| {
        let operator = make(assembly.uid(node), assembly.layout());
        let output = assembly.output::<P::Out>(node);
        let sides = assembly.sides(node);
        let stage: Box<dyn Push<Sided<A, B>>> = Box::new(Chained::new(operator, output, sides));
        stage
    };
    let inputs = |from, exchange| NodeInput { from, exchange };
    let (ours, theirs) = (first.stream.origins.iter(), second.stream.origins.iter());
    let ours = ours.map(|origin| inputs(origin.from, origin.exchange));
    let theirs = theirs.map(|origin| inputs(origin.from, origin.exchange));
    let draft = first.stream.draft.clone();
    let node = Node {
        name: name.to_owned(),
        identity,
        role: Role::of::<P>(),
        inputs: ours.chain(theirs).collect(),
        blueprint: Arc::new(TwoInputBlueprint {
            first: first.routings,
            second: second.routings,
            build,
        }),
        parallelism: None,
        sides: Vec::new(),
    };
    let node = draft.lock().add(node);
    Stream::of_node(draft, node)
}

/// Two streams that go into one operator.
///
/// Event time is the lesser of both; an idle one is not waited for.
///
/// # Examples
///
/// ```
/// use floodmark::{BoxError, CoProcess, Environment, RecordContext};
///
/// #[derive(Clone)]
/// struct Lines;
///
/// impl CoProcess for Lines {
///     type First = u64;
///     type Second = String;
///     type Out = String;
///
///     fn on_first(&mut self, paid: u64, cx: &mut RecordContext<'_, String>) -> Result<(), BoxError> {
///         cx.emit(format!("paid {paid}"));
///         Ok(())
///     }
///
///     fn on_second(&mut self, note: String, cx: &mut RecordContext<'_, String>) -> Result<(), BoxError> {
///         cx.emit(note);
///         Ok(())
///     }
/// }
///
/// # #[tokio::main]
/// # async fn main() -> Result<(), floodmark::Error> {
/// let env = Environment::new();
/// let payments = env.from_vec("payments", vec![250]);
/// let notes = env.from_vec("notes", vec!["closed".to_owned()]);
/// let lines = payments.connect(notes).process(Lines).collect("lines");
/// env.execute("ledger").await?.wait().await?;
/// let mut lines = lines.values();
/// lines.sort();
/// assert_eq!(lines, ["closed", "paid 250"]);
/// # Ok(())
/// # }
/// ```
#[doc(alias = "ConnectedStreams")]
pub struct Connected<A, B> {
    first: Stream<A>,
    second: Stream<B>,
}

/// Two streams with one key that go into one operator, which keeps state per key.
///
/// # Examples
///
/// ```
/// use floodmark::{BoxError, Context, Environment, KeyedCoProcess, ReducingState};
///
/// const BALANCE: ReducingState<i64> = ReducingState::new("balance", |left, right| left + right);
///
/// /// Money comes in on one side and goes out on the other.
/// #[derive(Clone)]
/// struct Balance;
///
/// impl KeyedCoProcess for Balance {
///     type Key = u64;
///     type First = (u64, i64);
///     type Second = (u64, i64);
///     type Out = (u64, i64);
///
///     fn on_first(
///         &mut self,
///         (_, paid): (u64, i64),
///         cx: &mut Context<'_, u64, (u64, i64)>,
///     ) -> Result<(), BoxError> {
///         cx.state(BALANCE).add(paid);
///         let balance = (*cx.key(), cx.state(BALANCE).get().unwrap_or(0));
///         cx.emit(balance);
///         Ok(())
///     }
///
///     fn on_second(
///         &mut self,
///         (account, spent): (u64, i64),
///         cx: &mut Context<'_, u64, (u64, i64)>,
///     ) -> Result<(), BoxError> {
///         self.on_first((account, -spent), cx)
///     }
/// }
///
/// # #[tokio::main]
/// # async fn main() -> Result<(), floodmark::Error> {
/// let env = Environment::new();
/// let paid = env.from_vec("paid", vec![(7, 100)]).key_by(|(account, _)| *account);
/// let spent = env.from_vec("spent", vec![(7, 30)]).key_by(|(account, _)| *account);
/// let balances = paid.connect(spent).process(Balance).uid("balance").collect("balances");
/// env.execute("accounts").await?.wait().await?;
/// assert_eq!(balances.values().last(), Some(&(7, 70)));
/// # Ok(())
/// # }
/// ```
#[doc(alias = "ConnectedStreams")]
pub struct KeyedConnected<K, A, B> {
    first: KeyedStream<K, A>,
    second: KeyedStream<K, B>,
}

/// A stream of rules that every subtask is to know.
///
/// # Examples
///
/// ```
/// use floodmark::{BroadcastStream, Environment};
/// # use floodmark::{
/// #     BoxError, BroadcastProcess, BroadcastRead, BroadcastWrite, RecordContext,
/// # };
/// #
/// # /// Leaves out the words that are forbidden by then.
/// # #[derive(Clone)]
/// # struct Allowed;
/// #
/// # impl BroadcastProcess for Allowed {
/// #     type In = String;
/// #     type Rule = String;
/// #     type Name = String;
/// #     type Kept = ();
/// #     type Out = String;
/// #
/// #     fn on_element(
/// #         &mut self,
/// #         word: String,
/// #         forbidden: BroadcastRead<'_, String, ()>,
/// #         cx: &mut RecordContext<'_, String>,
/// #     ) -> Result<(), BoxError> {
/// #         if forbidden.get(&word).is_none() {
/// #             cx.emit(word);
/// #         }
/// #         Ok(())
/// #     }
/// #
/// #     fn on_rule(
/// #         &mut self,
/// #         word: String,
/// #         mut forbidden: BroadcastWrite<'_, String, ()>,
/// #         _: &mut RecordContext<'_, String>,
/// #     ) -> Result<(), BoxError> {
/// #         forbidden.insert(word, ());
/// #         Ok(())
/// #     }
/// # }
///
/// # #[tokio::main]
/// # async fn main() -> Result<(), floodmark::Error> {
/// let env = Environment::new();
/// let forbidden: BroadcastStream<String> =
///     env.from_vec("forbidden", vec!["salt".to_owned()]).as_rules();
/// // `Allowed` is a `BroadcastProcess` over words and forbidden words.
/// let words = env.from_vec("words", vec!["tea".to_owned()]).with_rules(forbidden);
/// let words = words.process(Allowed).uid("allowed").collect("words-seen");
/// env.execute("words").await?.wait().await?;
/// assert_eq!(words.values(), ["tea"]);
/// # Ok(())
/// # }
/// ```
pub struct BroadcastStream<R> {
    stream: Stream<R>,
}

/// A stream, and the rules it goes by.
///
/// # Examples
///
/// ```
/// use floodmark::{
///     BoxError, BroadcastProcess, BroadcastRead, BroadcastWrite, Environment, RecordContext,
/// };
///
/// /// Leaves out the words that are forbidden by then.
/// #[derive(Clone)]
/// struct Allowed;
///
/// impl BroadcastProcess for Allowed {
///     type In = String;
///     type Rule = String;
///     type Name = String;
///     type Kept = ();
///     type Out = String;
///
///     fn on_element(
///         &mut self,
///         word: String,
///         forbidden: BroadcastRead<'_, String, ()>,
///         cx: &mut RecordContext<'_, String>,
///     ) -> Result<(), BoxError> {
///         if forbidden.get(&word).is_none() {
///             cx.emit(word);
///         }
///         Ok(())
///     }
///
///     fn on_rule(
///         &mut self,
///         word: String,
///         mut forbidden: BroadcastWrite<'_, String, ()>,
///         _: &mut RecordContext<'_, String>,
///     ) -> Result<(), BoxError> {
///         forbidden.insert(word, ());
///         Ok(())
///     }
/// }
///
/// # #[tokio::main]
/// # async fn main() -> Result<(), floodmark::Error> {
/// let env = Environment::new();
/// let forbidden = env.from_vec("forbidden", vec!["salt".to_owned()]).as_rules();
/// let words = env.from_vec("words", vec!["tea".to_owned()]);
/// let words = words.with_rules(forbidden).process(Allowed).uid("allowed").collect("words-seen");
/// env.execute("words").await?.wait().await?;
/// assert_eq!(words.values(), ["tea"]);
/// # Ok(())
/// # }
/// ```
#[doc(alias = "BroadcastConnectedStream")]
pub struct WithRules<T, R> {
    stream: Stream<T>,
    rules: BroadcastStream<R>,
}

/// A keyed stream, and the rules it goes by.
///
/// # Examples
///
/// ```
/// use floodmark::{
///     BoxError, BroadcastRead, BroadcastWrite, Context, Environment, KeyedBroadcastProcess,
///     RuleContext, ValueState,
/// };
///
/// const COUNT: ValueState<u64> = ValueState::new("count");
///
/// /// Counts the words of each length, except for lengths that are left out by then.
/// #[derive(Clone)]
/// struct Counts;
///
/// impl KeyedBroadcastProcess for Counts {
///     type Key = usize;
///     type In = String;
///     type Rule = usize;
///     type Name = usize;
///     type Kept = ();
///     type Out = (usize, u64);
///
///     fn on_element(
///         &mut self,
///         _: String,
///         left_out: BroadcastRead<'_, usize, ()>,
///         cx: &mut Context<'_, usize, (usize, u64)>,
///     ) -> Result<(), BoxError> {
///         if left_out.get(cx.key()).is_none() {
///             cx.state(COUNT).update(|count| *count += 1);
///             let counted = (*cx.key(), cx.state(COUNT).or_default());
///             cx.emit(counted);
///         }
///         Ok(())
///     }
///
///     fn on_rule(
///         &mut self,
///         length: usize,
///         mut left_out: BroadcastWrite<'_, usize, ()>,
///         _: &mut RuleContext<'_, usize, (usize, u64)>,
///     ) -> Result<(), BoxError> {
///         left_out.insert(length, ());
///         Ok(())
///     }
/// }
///
/// # #[tokio::main]
/// # async fn main() -> Result<(), floodmark::Error> {
/// let env = Environment::new();
/// let left_out = env.from_vec("left-out", vec![4]).as_rules();
/// let words = env.from_vec("words", vec!["tea".to_owned(), "rye".to_owned()]);
/// let counts = words.key_by(String::len).with_rules(left_out).process(Counts);
/// let counts = counts.uid("counts").collect("counts-seen");
/// env.execute("words").await?.wait().await?;
/// assert_eq!(counts.values(), [(3, 1), (3, 2)]);
/// # Ok(())
/// # }
/// ```
#[doc(alias = "BroadcastConnectedStream")]
pub struct KeyedWithRules<K, T, R> {
    stream: KeyedStream<K, T>,
    rules: BroadcastStream<R>,
}

impl<T: Data> Stream<T> {
    /// Brings this stream and another one, of any type, into one operator.
    pub fn connect<U: Data>(self, other: Stream<U>) -> Connected<T, U> {
        Connected { first: self, second: other }
    }

    /// Makes of this stream rules that every subtask of an operator is to know: the second input of
    /// [`Stream::with_rules`] and [`KeyedStream::with_rules`].
    pub fn as_rules(self) -> BroadcastStream<T> {
        BroadcastStream { stream: self.broadcast() }
    }

    /// Lets an operator go by rules.
    #[doc(alias = "connect")]
    pub fn with_rules<R: Data>(self, rules: BroadcastStream<R>) -> WithRules<T, R> {
        WithRules { stream: self, rules }
    }
}

impl<K: Key, T: Data> KeyedStream<K, T> {
    /// Brings this stream and another one, of any type but with the same key, into one operator.
    pub fn connect<U: Data>(self, other: KeyedStream<K, U>) -> KeyedConnected<K, T, U> {
        KeyedConnected { first: self, second: other }
    }

    /// Lets an operator go by rules.
    #[doc(alias = "connect")]
    pub fn with_rules<R: Data>(self, rules: BroadcastStream<R>) -> KeyedWithRules<K, T, R> {
        KeyedWithRules { stream: self, rules }
    }
}

impl<A: Data, B: Data> Connected<A, B> {
    /// Runs a function over both streams. Every subtask gets a clone of `process`.
    pub fn process<P>(self, process: P) -> Stream<P::Out>
    where
        P: CoProcess<First = A, Second = B> + Clone + Sync,
    {
        let (first, second) = (Side::unkeyed(self.first), Side::unkeyed(self.second));
        then(("co-process", Identity::Stateless), first, second, move |uid, layout| {
            let process = OverBothRecords(process.clone());
            RecordProcessOperator::new("co-process", (uid, layout.parallelism), process)
        })
    }
}

/// Finds the key of a record of either input.
pub(super) fn key_of_both<K: Key, A: Data, B: Data>(
    first: Arc<KeyFunction<A, K>>,
    second: Arc<KeyFunction<B, K>>,
) -> impl Fn(&Sided<A, B>) -> K + Clone + Send + Sync + 'static {
    move |value| match value {
        Sided::First(value) => first(value),
        Sided::Second(value) => second(value),
    }
}

impl<K: Key, A: Data, B: Data> KeyedConnected<K, A, B> {
    /// Runs a function over both streams that shares state and timers of a key between them. Every
    /// subtask gets a clone of `process`.
    ///
    /// # Examples
    ///
    /// Orders wait for their payment, whichever comes first.
    ///
    /// ```
    /// use floodmark::{BoxError, Context, Environment, KeyedCoProcess, ValueState};
    ///
    /// const ORDER: ValueState<String> = ValueState::new("order");
    /// const PAID: ValueState<u64> = ValueState::new("paid");
    ///
    /// #[derive(Clone)]
    /// struct Match;
    ///
    /// impl KeyedCoProcess for Match {
    ///     type Key = u64;
    ///     type First = (u64, String);
    ///     type Second = (u64, u64);
    ///     type Out = String;
    ///
    ///     fn on_first(
    ///         &mut self,
    ///         (_, order): (u64, String),
    ///         cx: &mut Context<'_, u64, String>,
    ///     ) -> Result<(), BoxError> {
    ///         match cx.state(PAID).get() {
    ///             Some(paid) => cx.emit(format!("{order}: {paid}")),
    ///             None => cx.state(ORDER).set(order),
    ///         }
    ///         Ok(())
    ///     }
    ///
    ///     fn on_second(
    ///         &mut self,
    ///         (_, paid): (u64, u64),
    ///         cx: &mut Context<'_, u64, String>,
    ///     ) -> Result<(), BoxError> {
    ///         match cx.state(ORDER).get() {
    ///             Some(order) => cx.emit(format!("{order}: {paid}")),
    ///             None => cx.state(PAID).set(paid),
    ///         }
    ///         Ok(())
    ///     }
    /// }
    ///
    /// # #[tokio::main]
    /// # async fn main() -> Result<(), floodmark::Error> {
    /// let env = Environment::new();
    /// let orders = env.from_vec("orders", vec![(1, "tea".to_owned()), (2, "salt".to_owned())]);
    /// let payments = env.from_vec("payments", vec![(2, 300), (1, 250)]);
    /// let matched = orders
    ///     .key_by(|(id, _)| *id)
    ///     .connect(payments.key_by(|(id, _)| *id))
    ///     .process(Match)
    ///     .uid("match")
    ///     .collect("matched");
    /// env.execute("orders").await?.wait().await?;
    /// let mut matched = matched.values();
    /// matched.sort();
    /// assert_eq!(matched, ["salt: 300", "tea: 250"]);
    /// # Ok(())
    /// # }
    /// ```
    pub fn process<P>(self, process: P) -> Stream<P::Out>
    where
        P: KeyedCoProcess<Key = K, First = A, Second = B> + Clone + Sync,
    {
        let key_of = key_of_both(self.first.key_of, self.second.key_of);
        let routing = keyed(key_of.clone());
        let first = Side::routed(self.first.stream, &routing);
        let second = Side::routed(self.second.stream, &routing);
        then(("co-process", Identity::Needed), first, second, move |uid, layout| {
            let key_of = KeyOf::new(layout, key_of.clone());
            ProcessOperator::new(uid, OverBoth(process.clone()), key_of)
        })
    }
}

impl<T: Data, R: Data> WithRules<T, R> {
    /// Runs a function over the stream and the rules. Every subtask gets a clone of `process`.
    pub fn process<P>(self, process: P) -> Stream<P::Out>
    where
        P: BroadcastProcess<In = T, Rule = R> + Clone + Sync,
    {
        let (first, second) = (Side::unkeyed(self.stream), Side::unkeyed(self.rules.stream));
        then(("broadcast", Identity::Needed), first, second, move |uid, layout| {
            BroadcastOperator::new((uid, layout.parallelism), process.clone())
        })
    }
}

impl<K: Key, T: Data, R: Data> KeyedWithRules<K, T, R> {
    /// Runs a function over the stream and the rules, with state and timers of the key. Every subtask
    /// gets a clone of `process`.
    ///
    /// # Examples
    ///
    /// ```
    /// use floodmark::{
    ///     BoxError, BroadcastRead, BroadcastWrite, Context, Environment, KeyedBroadcastProcess,
    ///     RuleContext,
    /// };
    ///
    /// /// Passes on what is above a limit that can change at any time.
    /// #[derive(Clone)]
    /// struct Above;
    ///
    /// impl KeyedBroadcastProcess for Above {
    ///     type Key = u64;
    ///     type In = u64;
    ///     type Rule = u64;
    ///     type Name = String;
    ///     type Kept = u64;
    ///     type Out = u64;
    ///
    ///     fn on_element(
    ///         &mut self,
    ///         number: u64,
    ///         rules: BroadcastRead<'_, String, u64>,
    ///         cx: &mut Context<'_, u64, u64>,
    ///     ) -> Result<(), BoxError> {
    ///         if rules.get("limit").is_some_and(|limit| *limit < number) {
    ///             cx.emit(number);
    ///         }
    ///         Ok(())
    ///     }
    ///
    ///     fn on_rule(
    ///         &mut self,
    ///         limit: u64,
    ///         mut rules: BroadcastWrite<'_, String, u64>,
    ///         _: &mut RuleContext<'_, u64, u64>,
    ///     ) -> Result<(), BoxError> {
    ///         rules.insert("limit".to_owned(), limit);
    ///         Ok(())
    ///     }
    /// }
    ///
    /// # #[tokio::main]
    /// # async fn main() -> Result<(), floodmark::Error> {
    /// let env = Environment::new().parallelism(2);
    /// let rules = env.from_vec("limits", vec![10]).as_rules();
    /// let above = env.from_vec("numbers", vec![1, 20]).key_by(|number| *number);
    /// let above = above.with_rules(rules).process(Above).uid("above").collect("above-seen");
    /// env.execute("limits").await?.wait().await?;
    /// // Whether the limit came before the numbers is up to the two sources.
    /// assert!(above.values().iter().all(|number| *number == 20));
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// The side of the records cannot change the rules:
    ///
    /// ```compile_fail
    /// # use floodmark::{BoxError, BroadcastRead, Context};
    /// fn on_element(
    ///     number: u64,
    ///     mut rules: BroadcastRead<'_, String, u64>,
    ///     cx: &mut Context<'_, u64, u64>,
    /// ) {
    ///     rules.insert("limit".to_owned(), number);
    /// }
    /// ```
    pub fn process<P>(self, process: P) -> Stream<P::Out>
    where
        P: KeyedBroadcastProcess<Key = K, In = T, Rule = R> + Clone + Sync,
    {
        let key_of = key_function(self.stream.key_of);
        let key_of_first = key_of.clone();
        let routing = keyed(move |value: &Sided<T, R>| match value {
            Sided::First(value) => key_of_first(value),
            Sided::Second(_) => unreachable!("rules do not go by keys"),
        });
        let first = Side::routed(self.stream.stream, &routing);
        let second = Side::unkeyed(self.rules.stream);
        then(("broadcast", Identity::Needed), first, second, move |uid, layout| {
            KeyedBroadcastOperator::new(uid, process.clone(), KeyOf::new(layout, key_of.clone()))
        })
    }
}
