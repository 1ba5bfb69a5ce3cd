//! Broadcast state: rules that every subtask knows, beside a stream of its own.
//!
//! The side of the rules may write the rules, the side of the records only reads them: the types see
//! to that. So, as long as the function for rules depends on nothing but the rules, all subtasks come
//! to the same rules.
//!
//! Every subtask keeps a copy of its own in its snapshots and takes it back, so that no snapshot is
//! needed by all.

use std::{borrow::Borrow, collections::BTreeMap};

use floodmark_model::{Batch, Record, TimeDomain, Timestamp};
use floodmark_state::{Data, Key, OperatorStore, Snapshot, freeze_value};

use crate::{
    BoxError, Error, OutputTag,
    chain::{Emitter, OpenContext, Operator},
    operators::{
        Context, InitializeContext, KeyOf, RecordContext, Sided, StateHandle,
        context::KeyedRuntime,
        lifecycle::Lifecycle,
        lists::{opened, reported, restore},
    },
};

/// The section of the rules. No state of a user can have this name.
const RULES: &str = "#rules";

/// The rules, for those who may only read them. They are in the order of their names.
///
/// # Examples
///
/// ```
/// # mod floodmark { pub use floodmark_dataflow::{*, operators::*}; pub use floodmark_model::*; }
/// use floodmark::BroadcastRead;
///
/// /// Returns whether a number is below all limits.
/// fn is_low(number: u64, limits: &BroadcastRead<'_, String, u64>) -> bool {
///     limits.iter().all(|(_, limit)| number < *limit)
/// }
/// ```
pub struct BroadcastRead<'a, N, R>(&'a BTreeMap<N, R>);

/// The rules, for those who may change them.
///
/// # Examples
///
/// ```
/// # mod floodmark { pub use floodmark_dataflow::{*, operators::*}; pub use floodmark_model::*; }
/// use floodmark::BroadcastWrite;
///
/// /// Sets a limit, or takes it back.
/// fn change(name: &str, limit: Option<u64>, limits: &mut BroadcastWrite<'_, String, u64>) {
///     match limit {
///         Some(limit) => limits.insert(name.to_owned(), limit),
///         None => limits.remove(name),
///     };
/// }
/// ```
pub struct BroadcastWrite<'a, N, R>(&'a mut BTreeMap<N, R>);

impl<N: Ord, R> BroadcastRead<'_, N, R> {
    /// Returns the rule `name`, if there is one.
    pub fn get<Q: Ord + ?Sized>(&self, name: &Q) -> Option<&R>
    where
        N: Borrow<Q>,
    {
        self.0.get(name)
    }

    /// Returns all rules, in the order of their names.
    pub fn iter(&self) -> impl Iterator<Item = (&N, &R)> {
        self.0.iter()
    }

    /// Returns the number of rules.
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Returns whether there are no rules.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

impl<N: Ord, R> BroadcastWrite<'_, N, R> {
    /// Returns the rules for reading.
    pub fn read(&self) -> BroadcastRead<'_, N, R> {
        BroadcastRead(self.0)
    }

    /// Sets the rule `name`, and returns what it was.
    pub fn insert(&mut self, name: N, rule: R) -> Option<R> {
        self.0.insert(name, rule)
    }

    /// Removes the rule `name`, and returns what it was.
    pub fn remove<Q: Ord + ?Sized>(&mut self, name: &Q) -> Option<R>
    where
        N: Borrow<Q>,
    {
        self.0.remove(name)
    }

    /// Removes all rules.
    pub fn clear(&mut self) {
        self.0.clear();
    }
}

/// A function over keyed records that goes by rules, which come as a stream of their own.
///
/// # Examples
///
/// ```
/// # mod floodmark { pub use floodmark_dataflow::{*, operators::*}; pub use floodmark_model::*; }
/// use floodmark::{
///     BoxError, BroadcastRead, BroadcastWrite, Context, KeyedBroadcastProcess, RuleContext, ValueState,
/// };
///
/// const TOTAL: ValueState<u64> = ValueState::new("total");
///
/// /// Adds up what a customer spends, and tells when it is more than the limit of that day.
/// #[derive(Clone)]
/// struct Limited;
///
/// impl KeyedBroadcastProcess for Limited {
///     type Key = u64;
///     type In = u64;
///     type Rule = u64;
///     type Name = ();
///     type Kept = u64;
///     type Out = u64;
///
///     fn on_element(
///         &mut self,
///         spent: u64,
///         limits: BroadcastRead<'_, (), u64>,
///         cx: &mut Context<'_, u64, u64>,
///     ) -> Result<(), BoxError> {
///         cx.state(TOTAL).update(|total| *total += spent);
///         let total = cx.state(TOTAL).or_default();
///         if limits.get(&()).is_some_and(|limit| *limit < total) {
///             cx.emit(total);
///         }
///         Ok(())
///     }
///
///     fn on_rule(
///         &mut self,
///         limit: u64,
///         mut limits: BroadcastWrite<'_, (), u64>,
///         _: &mut RuleContext<'_, u64, u64>,
///     ) -> Result<(), BoxError> {
///         limits.insert((), limit);
///         Ok(())
///     }
/// }
/// ```
#[doc(alias = "KeyedBroadcastProcessFunction")]
pub trait KeyedBroadcastProcess: Send + 'static {
    /// What the records are keyed by.
    type Key: Key;
    /// What it takes.
    type In: Data;
    /// What the stream of rules brings.
    type Rule: Data;
    /// What rules are kept under.
    type Name: Key;
    /// What is kept of a rule.
    type Kept: Data;
    /// What it emits.
    type Out: Data;

    /// Prepares for the first record. Called once in every attempt.
    ///
    /// # Errors
    ///
    /// When the function cannot work; the attempt fails.
    fn open(&mut self) -> Result<(), BoxError> {
        Ok(())
    }

    /// Lets go of what `open` took. Called once in every attempt whose `open` succeeded, when the subtask
    /// is done: at the end of the input, and also when the attempt has failed or is cancelled. Not called
    /// when the process dies. What happened since the last checkpoint may come again, so this is no place
    /// for results. Nobody waits for it: the next attempt may have opened its functions before, in the same
    /// process, so what can be held only once is better taken with patience.
    ///
    /// # Errors
    ///
    /// When it cannot; the error is logged, and changes nothing.
    fn close(&mut self) -> Result<(), BoxError> {
        Ok(())
    }

    /// Processes one record.
    ///
    /// # Errors
    ///
    /// When the record cannot be processed; the attempt fails.
    fn on_element(
        &mut self,
        value: Self::In,
        rules: BroadcastRead<'_, Self::Name, Self::Kept>,
        cx: &mut Context<'_, Self::Key, Self::Out>,
    ) -> Result<(), BoxError>;

    /// Processes what the stream of rules brings. Every subtask does, so what is emitted here is
    /// emitted by each of them.
    ///
    /// # Errors
    ///
    /// When the rule cannot be processed; the attempt fails.
    fn on_rule(
        &mut self,
        rule: Self::Rule,
        rules: BroadcastWrite<'_, Self::Name, Self::Kept>,
        cx: &mut RuleContext<'_, Self::Key, Self::Out>,
    ) -> Result<(), BoxError>;

    /// Hears that time has reached a timer that was set for the context's key.
    ///
    /// # Errors
    ///
    /// When the timer cannot be processed; the attempt fails.
    fn on_timer(
        &mut self,
        _time: Timestamp,
        _domain: TimeDomain,
        _rules: BroadcastRead<'_, Self::Name, Self::Kept>,
        _cx: &mut Context<'_, Self::Key, Self::Out>,
    ) -> Result<(), BoxError> {
        Ok(())
    }
}

/// A function over records without a key that goes by rules, which come as a stream of their own.
///
/// # Examples
///
/// ```
/// # mod floodmark { pub use floodmark_dataflow::{*, operators::*}; pub use floodmark_model::*; }
/// use floodmark::{
///     BoxError, BroadcastProcess, BroadcastRead, BroadcastWrite, RecordContext,
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
/// ```
#[doc(alias = "BroadcastProcessFunction")]
pub trait BroadcastProcess: Send + 'static {
    /// What it takes.
    type In: Data;
    /// What the stream of rules brings.
    type Rule: Data;
    /// What rules are kept under.
    type Name: Key;
    /// What is kept of a rule.
    type Kept: Data;
    /// What it emits.
    type Out: Data;

    /// Prepares for the first record. Called once in every attempt.
    ///
    /// # Errors
    ///
    /// When the function cannot work; the attempt fails.
    fn open(&mut self) -> Result<(), BoxError> {
        Ok(())
    }

    /// Lets go of what `open` took. Called once in every attempt whose `open` succeeded, when the subtask
    /// is done: at the end of the input, and also when the attempt has failed or is cancelled. Not called
    /// when the process dies. What happened since the last checkpoint may come again, so this is no place
    /// for results. Nobody waits for it: the next attempt may have opened its functions before, in the same
    /// process, so what can be held only once is better taken with patience.
    ///
    /// # Errors
    ///
    /// When it cannot; the error is logged, and changes nothing.
    fn close(&mut self) -> Result<(), BoxError> {
        Ok(())
    }

    /// Puts its lists in order, after they were restored. Called once in every attempt, behind `open`.
    ///
    /// # Errors
    ///
    /// When the function cannot work; the attempt fails.
    #[doc(alias = "initializeState")]
    fn initialize(&mut self, _cx: &mut InitializeContext<'_>) -> Result<(), BoxError> {
        Ok(())
    }

    /// Processes one record.
    ///
    /// # Errors
    ///
    /// When the record cannot be processed; the attempt fails.
    fn on_element(
        &mut self,
        value: Self::In,
        rules: BroadcastRead<'_, Self::Name, Self::Kept>,
        cx: &mut RecordContext<'_, Self::Out>,
    ) -> Result<(), BoxError>;

    /// Processes what the stream of rules brings. Every subtask does, so what is emitted here is
    /// emitted by each of them.
    ///
    /// # Errors
    ///
    /// When the rule cannot be processed; the attempt fails.
    fn on_rule(
        &mut self,
        rule: Self::Rule,
        rules: BroadcastWrite<'_, Self::Name, Self::Kept>,
        cx: &mut RecordContext<'_, Self::Out>,
    ) -> Result<(), BoxError>;
}

/// What the function for rules can reach: the outputs, and the state of every key of the subtask.
///
/// # Examples
///
/// ```
/// # mod floodmark { pub use floodmark_dataflow::{*, operators::*}; pub use floodmark_model::*; }
/// use floodmark::{BoxError, RuleContext, ValueState};
///
/// const TOTAL: ValueState<u64> = ValueState::new("total");
///
/// /// Emits all totals above a limit, and begins them anew.
/// fn settle(limit: u64, cx: &mut RuleContext<'_, u64, u64>) -> Result<(), BoxError> {
///     cx.for_each_key(TOTAL, |cx| {
///         let total = cx.state(TOTAL).or_default();
///         if limit < total {
///             cx.state(TOTAL).clear();
///             cx.emit(total);
///         }
///         Ok(())
///     })
/// }
/// ```
pub struct RuleContext<'a, K, O> {
    timestamp: Timestamp,
    keyed: &'a mut KeyedRuntime<K>,
    out: &'a mut Emitter<O>,
}

impl<K: Key, O: Data> RuleContext<'_, K, O> {
    /// Returns the rule's timestamp.
    pub fn timestamp(&self) -> Timestamp {
        self.timestamp
    }

    /// Returns the event time of the operator.
    pub fn current_watermark(&self) -> Timestamp {
        self.keyed.watermark()
    }

    /// Emits a value with the rule's timestamp.
    pub fn emit(&mut self, value: O) {
        self.out.emit(self.timestamp, value);
    }

    /// Emits a value to a side output, with the rule's timestamp.
    pub fn emit_to<T: Data>(&mut self, tag: OutputTag<T>, value: T) {
        self.out.emit_to(tag, self.timestamp, value);
    }

    /// Visits every key of the subtask that has something in a state, in no promised order, with a
    /// context from which the key's whole state can be reached.
    ///
    /// # Errors
    ///
    /// When a visit fails.
    ///
    /// # Panics
    ///
    /// When the state has another type.
    #[doc(alias = "applyToKeyedState")]
    pub fn for_each_key<H: StateHandle>(
        &mut self,
        handle: H,
        mut visit: impl FnMut(&mut Context<'_, K, O>) -> Result<(), BoxError>,
    ) -> Result<(), BoxError> {
        let keys = match handle.keys(&mut self.keyed.store) {
            Ok(keys) => keys,
            Err(error) => panic!("{error}"),
        };
        keys.iter().try_for_each(|(key, place)| {
            visit(&mut self.keyed.at_record((key, *place), self.timestamp, self.out))
        })
    }
}

/// Runs a [`KeyedBroadcastProcess`].
pub struct KeyedBroadcastOperator<P: KeyedBroadcastProcess, F> {
    uid: String,
    process: Lifecycle<P>,
    key_of: KeyOf<P::In, P::Key, F>,
    rules: BTreeMap<P::Name, P::Kept>,
    keyed: Option<KeyedRuntime<P::Key>>,
}

impl<P: KeyedBroadcastProcess, F> KeyedBroadcastOperator<P, F> {
    /// Creates the operator `uid`.
    pub fn new(uid: String, process: P, key_of: KeyOf<P::In, P::Key, F>) -> Self {
        let process = Lifecycle::new(&uid, process, P::close);
        Self { uid, process, key_of, rules: BTreeMap::new(), keyed: None }
    }

    fn error(uid: &str, source: BoxError) -> Error {
        Error::Operator { operator: uid.to_owned(), source }
    }

    /// Fires the timers of a domain that are due at `now`, in the order of their times.
    fn fire(
        &mut self,
        domain: TimeDomain,
        now: Timestamp,
        out: &mut Emitter<P::Out>,
    ) -> Result<(), Error> {
        let keyed = self.keyed.as_mut().expect("an operator is opened before it is used");
        while let Some(due) = keyed.pop_due(domain, now) {
            let rules = BroadcastRead(&self.rules);
            let mut cx = keyed.at_timer(&due, out);
            let done = self.process.on_timer(due.time, domain, rules, &mut cx);
            done.map_err(|source| Self::error(&self.uid, source))?;
        }
        Ok(())
    }
}

impl<P, F> Operator for KeyedBroadcastOperator<P, F>
where
    P: KeyedBroadcastProcess,
    F: Fn(&P::In) -> P::Key + Send,
{
    type In = Sided<P::In, P::Rule>;
    type Out = P::Out;

    const KEEPS: &'static str = "rules, and state and timers per key";

    fn open(&mut self, cx: &mut OpenContext<'_>) -> Result<(), Error> {
        self.rules = cx.restored.take_value(&self.uid, RULES)?.unwrap_or_default();
        self.keyed = Some(KeyedRuntime::restore(&self.uid, cx)?);
        self.key_of.open(&self.uid, cx);
        self.process.open(cx.machine, P::open).map_err(|source| Self::error(&self.uid, source))
    }

    fn on_batch(&mut self, batch: Batch<Self::In>, out: &mut Emitter<P::Out>) -> Result<(), Error> {
        let keyed = self.keyed.as_mut().expect("an operator is opened before it is used");
        for Record { timestamp, value } in batch {
            let done = match value {
                Sided::First(value) => {
                    let (key, place) = self.key_of.find(&value);
                    let rules = BroadcastRead(&self.rules);
                    let mut cx = keyed.at_record((&key, place), timestamp, out);
                    self.process.on_element(value, rules, &mut cx)
                }
                Sided::Second(rule) => {
                    let rules = BroadcastWrite(&mut self.rules);
                    self.process.on_rule(rule, rules, &mut RuleContext { timestamp, keyed, out })
                }
            };
            done.map_err(|source| Self::error(&self.uid, source))?;
        }
        Ok(())
    }

    fn on_watermark(
        &mut self,
        watermark: Timestamp,
        out: &mut Emitter<P::Out>,
    ) -> Result<(), Error> {
        let keyed = self.keyed.as_mut().expect("an operator is opened before it is used");
        if keyed.advance(watermark) {
            self.fire(TimeDomain::Event, watermark, out)?;
        }
        out.watermark(watermark)
    }

    fn next_timer(&self) -> Option<Timestamp> {
        self.keyed.as_ref().and_then(KeyedRuntime::next_timer)
    }

    fn on_processing_time(
        &mut self,
        now: Timestamp,
        out: &mut Emitter<P::Out>,
    ) -> Result<(), Error> {
        self.fire(TimeDomain::Processing, now, out)
    }

    fn freeze(&mut self, snapshot: &mut Snapshot) {
        snapshot.add(freeze_value(&self.uid, RULES, self.rules.clone()));
        self.keyed.as_mut().expect("an operator is opened before it is used").freeze(snapshot);
    }
}

/// Runs a [`BroadcastProcess`].
pub struct BroadcastOperator<P: BroadcastProcess> {
    uid: String,
    parallelism: u16,
    process: Lifecycle<P>,
    rules: BTreeMap<P::Name, P::Kept>,
    watermark: Timestamp,
    lists: Option<OperatorStore>,
}

impl<P: BroadcastProcess> BroadcastOperator<P> {
    /// Creates the operator `uid` of `parallelism` subtasks.
    pub fn new((uid, parallelism): (String, u16), process: P) -> Self {
        let (rules, watermark) = (BTreeMap::new(), Timestamp::MIN);
        let process = Lifecycle::new(&uid, process, P::close);
        Self { uid, parallelism, process, rules, watermark, lists: None }
    }
}

impl<P: BroadcastProcess> Operator for BroadcastOperator<P> {
    type In = Sided<P::In, P::Rule>;
    type Out = P::Out;

    const KEEPS: &'static str = "rules";

    fn open(&mut self, cx: &mut OpenContext<'_>) -> Result<(), Error> {
        self.rules = cx.restored.take_value(&self.uid, RULES)?.unwrap_or_default();
        self.watermark = cx.watermark;
        let (lists, place) = restore(&self.uid, self.parallelism, cx);
        let lists = self.lists.insert(lists);
        reported(&self.uid, self.process.open(cx.machine, P::open))?;
        let mut cx = InitializeContext::new(lists, place, cx);
        reported(&self.uid, self.process.initialize(&mut cx))
    }

    fn on_batch(&mut self, batch: Batch<Self::In>, out: &mut Emitter<P::Out>) -> Result<(), Error> {
        let lists = opened(&mut self.lists);
        for Record { timestamp, value } in batch {
            let mut cx = RecordContext::new((timestamp, self.watermark), lists, out);
            let done = match value {
                Sided::First(value) => {
                    self.process.on_element(value, BroadcastRead(&self.rules), &mut cx)
                }
                Sided::Second(rule) => {
                    self.process.on_rule(rule, BroadcastWrite(&mut self.rules), &mut cx)
                }
            };
            reported(&self.uid, done)?;
        }
        Ok(())
    }

    fn on_watermark(
        &mut self,
        watermark: Timestamp,
        out: &mut Emitter<P::Out>,
    ) -> Result<(), Error> {
        self.watermark = self.watermark.max(watermark);
        out.watermark(watermark)
    }

    fn freeze(&mut self, snapshot: &mut Snapshot) {
        snapshot.add(freeze_value(&self.uid, RULES, self.rules.clone()));
        opened(&mut self.lists).freeze(snapshot);
    }
}
