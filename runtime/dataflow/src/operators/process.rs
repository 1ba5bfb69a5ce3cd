//! Keyed process functions: user code with state and timers.

use std::marker::PhantomData;

use floodmark_model::{Batch, KeyGroup, Record, Timestamp};
use floodmark_state::{Data, Key, KeyedStore, Snapshot, StateError, Timers as TimerSet, ValueRef};

use crate::{
    BoxError, Error, OutputTag,
    chain::{Emitter, OpenContext, Operator},
    operators::KeyOf,
};

/// The section of the operator's own timers. No state of a user can have this name.
const TIMERS: &str = "#timers";

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

    /// Hears that event time has reached a timer that was set for the context's key.
    ///
    /// # Errors
    ///
    /// When the timer cannot be processed; the attempt fails.
    fn on_timer(
        &mut self,
        _time: Timestamp,
        _cx: &mut Context<'_, Self::Key, Self::Out>,
    ) -> Result<(), BoxError> {
        Ok(())
    }
}

/// What a process function can reach: the state, the timers and the outputs of one key.
pub struct Context<'a, K, O> {
    key: &'a K,
    group: KeyGroup,
    timestamp: Timestamp,
    watermark: Timestamp,
    store: &'a mut KeyedStore<K>,
    timers: &'a mut TimerSet<K>,
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

    /// Emits a value with the context's timestamp.
    pub fn emit(&mut self, value: O) {
        self.out.emit(self.timestamp, value);
    }

    /// Emits a value to a side output, with the context's timestamp.
    pub fn emit_to<T: Data>(&mut self, tag: OutputTag<T>, value: T) {
        self.out.emit_to(tag, self.timestamp, value);
    }

    /// Returns the key's part of a state.
    ///
    /// # Panics
    ///
    /// When the state was stored with another type, or is used with two types.
    pub fn state<H: StateHandle>(&mut self, handle: H) -> H::Ref<'_, K> {
        match handle.bind(self.store, self.group, self.key) {
            Ok(bound) => bound,
            Err(error) => panic!("{error}"),
        }
    }

    /// Returns the key's timers.
    pub fn timers(&mut self) -> Timers<'_, K> {
        Timers { key: self.key, group: self.group, watermark: self.watermark, timers: self.timers }
    }
}

/// The timers of one key.
#[doc(alias = "TimerService")]
pub struct Timers<'a, K> {
    key: &'a K,
    group: KeyGroup,
    watermark: Timestamp,
    timers: &'a mut TimerSet<K>,
}

impl<K: Key> Timers<'_, K> {
    /// Returns the event time of the operator: no record at or before it is expected.
    pub fn current_watermark(&self) -> Timestamp {
        self.watermark
    }

    /// Sets a timer that fires once event time has reached `time`. Setting it twice sets it once.
    pub fn register_event_time(&mut self, time: Timestamp) {
        self.timers.register(self.group, time, self.key.clone());
    }

    /// Removes the timer at `time`, if there is one.
    pub fn delete_event_time(&mut self, time: Timestamp) {
        self.timers.delete(self.group, time, self.key.clone());
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
        group: KeyGroup,
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
        group: KeyGroup,
        key: &'a K,
    ) -> Result<Self::Ref<'a, K>, StateError> {
        Ok(ValueRef::new(store.table(self.name)?, group, key))
    }
}

/// Runs a [`KeyedProcess`].
pub struct ProcessOperator<P: KeyedProcess, F> {
    uid: String,
    process: P,
    key_of: KeyOf<P::In, P::Key, F>,
    opened: Option<Opened<P::Key>>,
}

struct Opened<K> {
    watermark: Timestamp,
    store: KeyedStore<K>,
    timers: TimerSet<K>,
}

impl<P: KeyedProcess, F> ProcessOperator<P, F> {
    /// Creates the operator `uid`.
    pub fn new(uid: String, process: P, key_of: KeyOf<P::In, P::Key, F>) -> Self {
        Self { uid, process, key_of, opened: None }
    }

    fn error(&self, source: BoxError) -> Error {
        Error::Operator { operator: self.uid.clone(), source }
    }
}

impl<K: Key> Opened<K> {
    fn context<'a, O>(
        &'a mut self,
        (key, group): (&'a K, KeyGroup),
        timestamp: Timestamp,
        out: &'a mut Emitter<O>,
    ) -> Context<'a, K, O> {
        let Self { watermark, store, timers } = self;
        Context { key, group, timestamp, watermark: *watermark, store, timers, out }
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
        let timers = cx.restored.take(&self.uid, TIMERS);
        self.opened = Some(Opened {
            watermark: cx.watermark,
            timers: TimerSet::restore(cx.key_groups, &timers)?,
            store: KeyedStore::new(&self.uid, cx.key_groups, cx.restored),
        });
        self.key_of.open(&self.uid, cx);
        self.process.open().map_err(|source| self.error(source))
    }

    fn on_batch(&mut self, batch: Batch<P::In>, out: &mut Emitter<P::Out>) -> Result<(), Error> {
        let opened = self.opened.as_mut().expect("an operator is opened before it is used");
        for Record { timestamp, value } in batch {
            let (key, group) = self.key_of.find(&value);
            let mut cx = opened.context((&key, group), timestamp, out);
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
        while let Some((time, group, key)) = opened.timers.pop_due(watermark) {
            let mut cx = opened.context((&key, group), time, out);
            let done = self.process.on_timer(time, &mut cx);
            done.map_err(|source| Error::Operator { operator: self.uid.clone(), source })?;
        }
        out.watermark(watermark)
    }

    fn freeze(&mut self, snapshot: &mut Snapshot) {
        let opened = self.opened.as_ref().expect("an operator is opened before it is used");
        opened.store.freeze(snapshot);
        snapshot.add(opened.timers.freeze(&self.uid, TIMERS));
    }
}
