//! Keyed process functions: user code with state and timers.

use std::marker::PhantomData;

use floodmark_model::{Batch, KeyGroup, KeyPlace, Record, TimeDomain, Timestamp};
use floodmark_platform::{Machine, planted};
use floodmark_state::{Data, Key, KeyedStore, Snapshot, StateError, Timers as TimerSet, ValueRef};
use floodmark_wire::key_hash;

use crate::{
    BoxError, Error, OutputTag,
    chain::{Emitter, OpenContext, Operator},
    operators::{KeyOf, timer_watch::TimerWatch},
};

/// The sections of the operator's own timers. No state of a user can have these names.
const EVENT_TIMERS: &str = "#timers";
const PROCESSING_TIMERS: &str = "#processing-timers";

/// A function over the records of each key, with state and timers of that key.
///
/// The value that implements it is shared by all keys of a subtask and is *not* part of any
/// snapshot: what must survive a failure belongs in state.
#[doc(alias = "KeyedProcessFunction")]
pub trait KeyedProcess: Send + 'static {
    /// What the stream is keyed by.
    type Key: Key;
    /// What it takes.
    type In: Data;
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

    /// Processes one record.
    ///
    /// # Errors
    ///
    /// When the record cannot be processed; the attempt fails.
    fn on_element(
        &mut self,
        value: Self::In,
        cx: &mut Context<'_, Self::Key, Self::Out>,
    ) -> Result<(), BoxError>;

    /// Hears that time has reached a timer that was set for the context's key: event time or
    /// processing time, as `domain` says.
    ///
    /// # Errors
    ///
    /// When the timer cannot be processed; the attempt fails.
    fn on_timer(
        &mut self,
        _time: Timestamp,
        _domain: TimeDomain,
        _cx: &mut Context<'_, Self::Key, Self::Out>,
    ) -> Result<(), BoxError> {
        Ok(())
    }
}

/// What a process function can reach: the state, the timers and the outputs of one key.
pub struct Context<'a, K, O> {
    key: &'a K,
    place: KeyPlace,
    /// The record's timestamp or the timer's time.
    timestamp: Timestamp,
    /// The event time of what is emitted.
    event_time: Timestamp,
    opened: &'a mut Opened<K>,
    out: &'a mut Emitter<O>,
}

impl<K: Key, O: Data> Context<'_, K, O> {
    /// Returns the key.
    pub fn key(&self) -> &K {
        self.key
    }

    /// Returns the record's timestamp, or the timer's time.
    pub fn timestamp(&self) -> Timestamp {
        self.timestamp
    }

    /// Emits a value with the context's timestamp. A processing-time timer has none: what it emits
    /// has [`Timestamp::MIN`], as records of a source have, and needs
    /// [`watermarks`](crate::operators::WatermarkStrategy::timestamps) of its own before it meets
    /// event time again.
    pub fn emit(&mut self, value: O) {
        self.out.emit(self.event_time, value);
    }

    /// Emits a value to a side output, with the timestamp that [`Context::emit`] gives.
    pub fn emit_to<T: Data>(&mut self, tag: OutputTag<T>, value: T) {
        self.out.emit_to(tag, self.event_time, value);
    }

    /// Returns the key's part of a state.
    ///
    /// # Panics
    ///
    /// When the state was stored with another type, or is used with two types.
    pub fn state<H: StateHandle>(&mut self, handle: H) -> H::Ref<'_, K> {
        match handle.bind(&mut self.opened.store, self.place, self.key) {
            Ok(bound) => bound,
            Err(error) => panic!("{error}"),
        }
    }

    /// Returns the key's timers.
    pub fn timers(&mut self) -> Timers<'_, K> {
        Timers { key: self.key, group: self.place.group, opened: self.opened }
    }
}

/// The timers of one key, in two domains of time.
///
/// A timer exists once per key, domain and time, is part of every snapshot, and fires once. Those of
/// one domain fire in the order of their times; between the domains there is no order.
///
/// # Processing time
///
/// The processing time is the wall clock of the node, in milliseconds since the Unix epoch. It is no
/// better than that clock: it may jump, either way, and after a failure the subtask may go on on a
/// node whose clock shows something else. A timer fires at the first moment at which the subtask sees
/// the clock at its time or later, and never before; when the clock has jumped, that is noticed
/// within a heartbeat interval. A timer whose time was reached while the job was down fires as soon as the job
/// is up again. When all input has ended, event-time timers fire, and processing-time timers whose
/// time has not come are dropped with the job.
///
/// # Determinism
///
/// Results that depend on processing time differ between two runs on the same input.
#[doc(alias = "TimerService")]
pub struct Timers<'a, K> {
    key: &'a K,
    group: KeyGroup,
    opened: &'a mut Opened<K>,
}

impl<K: Key> Timers<'_, K> {
    /// Returns the event time of the operator: no record at or before it is expected.
    pub fn current_watermark(&self) -> Timestamp {
        self.opened.watermark
    }

    /// Reads the node's clock.
    pub fn current_processing_time(&self) -> Timestamp {
        Timestamp::of_clock(self.opened.machine.clock().wall())
    }

    /// Sets a timer that fires once event time has reached `time`. Setting it twice sets it once.
    pub fn register_event_time(&mut self, time: Timestamp) {
        self.opened.register(TimeDomain::Event, (self.key, self.group), time);
    }

    /// Removes the event-time timer at `time`, if there is one.
    pub fn delete_event_time(&mut self, time: Timestamp) {
        self.opened.delete(TimeDomain::Event, (self.key, self.group), time);
    }

    /// Sets a timer that fires once the node's clock shows `time` or later. Setting it twice sets it
    /// once.
    pub fn register_processing_time(&mut self, time: Timestamp) {
        self.opened.register(TimeDomain::Processing, (self.key, self.group), time);
    }

    /// Removes the processing-time timer at `time`, if there is one.
    pub fn delete_processing_time(&mut self, time: Timestamp) {
        self.opened.delete(TimeDomain::Processing, (self.key, self.group), time);
    }
}

/// Names a state and says how it is reached from a key.
pub trait StateHandle {
    /// The state of one key.
    type Ref<'a, K: Key>;

    /// Reaches the state of `key`.
    ///
    /// # Errors
    ///
    /// When the state has another type.
    fn bind<'a, K: Key>(
        self,
        store: &'a mut KeyedStore<K>,
        place: KeyPlace,
        key: &'a K,
    ) -> Result<Self::Ref<'a, K>, StateError>;
}

/// A state of one value per key.
#[derive(Debug)]
pub struct ValueState<T> {
    name: &'static str,
    value: PhantomData<fn() -> T>,
}

impl<T> ValueState<T> {
    /// Names the state. Two states of one operator have different names.
    ///
    /// # Panics
    ///
    /// When the name begins with `#`: such names are the runtime's own.
    pub const fn new(name: &'static str) -> Self {
        let is_ours = !name.is_empty() && name.as_bytes()[0] == b'#';
        assert!(!is_ours, "names that begin with # are the runtime's own");
        Self { name, value: PhantomData }
    }
}

impl<T> Clone for ValueState<T> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<T> Copy for ValueState<T> {}

impl<T: Data> StateHandle for ValueState<T> {
    type Ref<'a, K: Key> = ValueRef<'a, K, T>;

    fn bind<'a, K: Key>(
        self,
        store: &'a mut KeyedStore<K>,
        place: KeyPlace,
        key: &'a K,
    ) -> Result<Self::Ref<'a, K>, StateError> {
        Ok(ValueRef::new(store.table(self.name)?, place, key))
    }
}

/// Runs a [`KeyedProcess`].
pub struct ProcessOperator<P: KeyedProcess, F> {
    uid: String,
    process: P,
    key_of: KeyOf<P::In, P::Key, F>,
    opened: Option<Opened<P::Key>>,
}

/// What a running operator holds.
struct Opened<K> {
    machine: Machine,
    watermark: Timestamp,
    store: KeyedStore<K>,
    event_timers: TimerSet<K>,
    processing_timers: TimerSet<K>,
    watch: TimerWatch,
}

impl<P: KeyedProcess, F> ProcessOperator<P, F> {
    /// Creates the operator `uid`.
    pub fn new(uid: String, process: P, key_of: KeyOf<P::In, P::Key, F>) -> Self {
        Self { uid, process, key_of, opened: None }
    }

    fn error(&self, source: BoxError) -> Error {
        Error::Operator { operator: self.uid.clone(), source }
    }

    /// Fires the timers of a domain that are due at `now`, in the order of their times.
    fn fire(
        &mut self,
        domain: TimeDomain,
        now: Timestamp,
        out: &mut Emitter<P::Out>,
    ) -> Result<(), Error> {
        let opened = self.opened.as_mut().expect("an operator is opened before it is used");
        while let Some((time, group, key)) = opened.timers(domain).pop_due(now) {
            opened.watch.on_fire(domain, (time, now), &key);
            let event_time = match domain {
                TimeDomain::Event => time,
                TimeDomain::Processing => Timestamp::MIN,
            };
            let place = KeyPlace { group, hash: key_hash(&key) };
            let mut cx = Context { key: &key, place, timestamp: time, event_time, opened, out };
            let done = self.process.on_timer(time, domain, &mut cx);
            done.map_err(|source| Error::Operator { operator: self.uid.clone(), source })?;
        }
        Ok(())
    }
}

impl<K: Key> Opened<K> {
    fn restore(uid: &str, cx: &mut OpenContext<'_>) -> Result<Self, Error> {
        let event_timers = cx.restored.take(uid, EVENT_TIMERS);
        let processing_timers = cx.restored.take(uid, PROCESSING_TIMERS);
        let mut processing_timers = TimerSet::restore(cx.key_groups, &processing_timers)?;
        if planted!(ProcessingTimersNotRearmed) {
            processing_timers.disarm();
        }
        Ok(Self {
            machine: cx.machine.clone(),
            watermark: cx.watermark,
            event_timers: TimerSet::restore(cx.key_groups, &event_timers)?,
            processing_timers,
            store: KeyedStore::new(uid, cx.key_groups, cx.restored),
            watch: TimerWatch::new(uid, cx),
        })
    }

    fn timers(&mut self, domain: TimeDomain) -> &mut TimerSet<K> {
        match domain {
            TimeDomain::Event => &mut self.event_timers,
            TimeDomain::Processing => &mut self.processing_timers,
        }
    }

    fn register(&mut self, domain: TimeDomain, (key, group): (&K, KeyGroup), time: Timestamp) {
        if self.timers(domain).register(group, time, key.clone()) {
            self.watch.on_register(domain, time, key);
        }
    }

    fn delete(&mut self, domain: TimeDomain, (key, group): (&K, KeyGroup), time: Timestamp) {
        if self.timers(domain).delete(group, time, key.clone()) {
            self.watch.on_delete(domain, time, key);
        }
    }
}

impl<P, F> Operator for ProcessOperator<P, F>
where
    P: KeyedProcess,
    F: Fn(&P::In) -> P::Key + Send,
{
    type In = P::In;
    type Out = P::Out;

    fn open(&mut self, cx: &mut OpenContext<'_>) -> Result<(), Error> {
        self.opened = Some(Opened::restore(&self.uid, cx)?);
        self.key_of.open(&self.uid, cx);
        self.process.open().map_err(|source| self.error(source))
    }

    fn on_batch(&mut self, batch: Batch<P::In>, out: &mut Emitter<P::Out>) -> Result<(), Error> {
        let opened = self.opened.as_mut().expect("an operator is opened before it is used");
        for Record { timestamp, value } in batch {
            let (key, place) = self.key_of.find(&value);
            let mut cx =
                Context { key: &key, place, timestamp, event_time: timestamp, opened, out };
            let done = self.process.on_element(value, &mut cx);
            done.map_err(|source| Error::Operator { operator: self.uid.clone(), source })?;
        }
        Ok(())
    }

    fn on_watermark(
        &mut self,
        watermark: Timestamp,
        out: &mut Emitter<P::Out>,
    ) -> Result<(), Error> {
        let opened = self.opened.as_mut().expect("an operator is opened before it is used");
        opened.watermark = watermark;
        self.fire(TimeDomain::Event, watermark, out)?;
        out.watermark(watermark)
    }

    fn next_timer(&self) -> Option<Timestamp> {
        self.opened.as_ref().and_then(|opened| opened.processing_timers.earliest())
    }

    fn on_processing_time(
        &mut self,
        now: Timestamp,
        out: &mut Emitter<P::Out>,
    ) -> Result<(), Error> {
        self.fire(TimeDomain::Processing, now, out)
    }

    fn freeze(&mut self, snapshot: &mut Snapshot) {
        let opened = self.opened.as_mut().expect("an operator is opened before it is used");
        opened.store.freeze(snapshot);
        snapshot.add(opened.event_timers.freeze(&self.uid, EVENT_TIMERS));
        snapshot.add(opened.processing_timers.freeze(&self.uid, PROCESSING_TIMERS));
    }
}
