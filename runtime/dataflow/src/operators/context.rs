//! What user code with state and timers can reach, and what stands behind it.

use floodmark_model::{KeyGroup, KeyPlace, TimeDomain, Timestamp};
use floodmark_platform::{Machine, planted};
use floodmark_state::{Data, Key, KeyedStore, Snapshot, Timers as TimerSet};
use floodmark_wire::key_hash;

use crate::{
    Error, OutputTag,
    chain::{Emitter, OpenContext},
    operators::{StateHandle, timer_watch::TimerWatch},
};

/// The sections of the operator's own timers. No state of a user can have these names.
const EVENT_TIMERS: &str = "#timers";
const PROCESSING_TIMERS: &str = "#processing-timers";

/// What a process function can reach: the state, the timers and the outputs of one key.
///
/// # Examples
///
/// ```
/// # mod floodmark { pub use floodmark_dataflow::{*, operators::*}; pub use floodmark_model::*; }
/// use floodmark::{BoxError, Context, KeyedProcess, ValueState};
///
/// const COUNT: ValueState<u64> = ValueState::new("count");
///
/// #[derive(Clone)]
/// struct Count;
///
/// impl KeyedProcess for Count {
///     type Key = String;
///     type In = u64;
///     type Out = (String, u64);
///
///     fn on_element(
///         &mut self,
///         value: u64,
///         cx: &mut Context<'_, String, (String, u64)>,
///     ) -> Result<(), BoxError> {
///         cx.state(COUNT).update(|count| *count += value);
///         let counted = (cx.key().clone(), cx.state(COUNT).or_default());
///         cx.emit(counted);
///         Ok(())
///     }
/// }
/// ```
pub struct Context<'a, K, O> {
    key: &'a K,
    place: KeyPlace,
    /// The record's timestamp or the timer's time.
    timestamp: Timestamp,
    /// The event time of what is emitted.
    event_time: Timestamp,
    keyed: &'a mut KeyedRuntime<K>,
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

    /// Emits a value with a timestamp of its own.
    pub(crate) fn emit_at(&mut self, timestamp: Timestamp, value: O) {
        self.out.emit(timestamp, value);
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
        match handle.bind(&mut self.keyed.store, self.place, self.key) {
            Ok(bound) => bound,
            Err(error) => panic!("{error}"),
        }
    }

    /// Returns the key's timers.
    pub fn timers(&mut self) -> Timers<'_, K> {
        Timers { key: self.key, group: self.place.group, keyed: self.keyed }
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
/// # Examples
///
/// ```
/// # mod floodmark { pub use floodmark_dataflow::{*, operators::*}; pub use floodmark_model::*; }
/// use floodmark::{Context, Timestamp};
/// use std::time::Duration;
///
/// /// Sets a timer a minute after the record, and takes back another one.
/// fn postpone(cx: &mut Context<'_, String, u64>, last: Timestamp) {
///     let next = cx.timestamp() + Duration::from_secs(60);
///     let mut timers = cx.timers();
///     timers.delete_event_time(last);
///     if timers.current_watermark() < next {
///         timers.register_event_time(next);
///     }
/// }
/// ```
///
/// # Determinism
///
/// Results that depend on processing time differ between two runs on the same input.
#[doc(alias = "TimerService")]
pub struct Timers<'a, K> {
    key: &'a K,
    group: KeyGroup,
    keyed: &'a mut KeyedRuntime<K>,
}

impl<K: Key> Timers<'_, K> {
    /// Returns the event time of the operator: no record at or before it is expected.
    pub fn current_watermark(&self) -> Timestamp {
        self.keyed.watermark
    }

    /// Reads the node's clock.
    pub fn current_processing_time(&self) -> Timestamp {
        Timestamp::of_clock(self.keyed.machine.clock().wall())
    }

    /// Sets a timer that fires once event time has reached `time`. Setting it twice sets it once. If
    /// event time is there already, it fires when event time advances next; while timers fire, that
    /// is at once.
    pub fn register_event_time(&mut self, time: Timestamp) {
        self.keyed.register(TimeDomain::Event, (self.key, self.group), time);
    }

    /// Removes the event-time timer at `time`, if there is one.
    pub fn delete_event_time(&mut self, time: Timestamp) {
        self.keyed.delete(TimeDomain::Event, (self.key, self.group), time);
    }

    /// Sets a timer that fires once the node's clock shows `time` or later. Setting it twice sets it
    /// once.
    pub fn register_processing_time(&mut self, time: Timestamp) {
        self.keyed.register(TimeDomain::Processing, (self.key, self.group), time);
    }

    /// Removes the processing-time timer at `time`, if there is one.
    pub fn delete_processing_time(&mut self, time: Timestamp) {
        self.keyed.delete(TimeDomain::Processing, (self.key, self.group), time);
    }
}

/// What an operator with keyed state and timers holds while it runs.
pub(crate) struct KeyedRuntime<K> {
    uid: String,
    machine: Machine,
    watermark: Timestamp,
    pub(crate) store: KeyedStore<K>,
    event_timers: TimerSet<K>,
    processing_timers: TimerSet<K>,
    watch: TimerWatch,
}

/// A timer whose time has come.
pub(crate) struct Due<K> {
    pub(crate) time: Timestamp,
    pub(crate) domain: TimeDomain,
    pub(crate) key: K,
    place: KeyPlace,
}

impl<K: Key> KeyedRuntime<K> {
    /// Takes everything that was restored for the operator `uid`.
    pub(crate) fn restore(uid: &str, cx: &mut OpenContext<'_>) -> Result<Self, Error> {
        let event_timers = cx.restored.take(uid, EVENT_TIMERS);
        let processing_timers = cx.restored.take(uid, PROCESSING_TIMERS);
        let mut processing_timers = TimerSet::restore(cx.key_groups, &processing_timers)?;
        if planted!(ProcessingTimersNotRearmed) {
            processing_timers.disarm();
        }
        let store = KeyedStore::new(uid, cx.key_groups, cx.restored);
        Ok(Self {
            uid: uid.to_owned(),
            machine: cx.machine.clone(),
            watermark: cx.watermark,
            event_timers: TimerSet::restore(cx.key_groups, &event_timers)?,
            processing_timers,
            store: store.with_clock(cx.machine.clone()),
            watch: TimerWatch::new(uid, cx),
        })
    }

    /// Returns the context of a record.
    pub(crate) fn at_record<'a, O>(
        &'a mut self,
        (key, place): (&'a K, KeyPlace),
        timestamp: Timestamp,
        out: &'a mut Emitter<O>,
    ) -> Context<'a, K, O> {
        Context { key, place, timestamp, event_time: timestamp, keyed: self, out }
    }

    /// Returns the context of a timer that fires.
    pub(crate) fn at_timer<'a, O>(
        &'a mut self,
        due: &'a Due<K>,
        out: &'a mut Emitter<O>,
    ) -> Context<'a, K, O> {
        let event_time = match due.domain {
            TimeDomain::Event => due.time,
            TimeDomain::Processing => Timestamp::MIN,
        };
        let Due { time: timestamp, ref key, place, .. } = *due;
        Context { key, place, timestamp, event_time, keyed: self, out }
    }

    /// Returns the event time.
    pub(crate) fn watermark(&self) -> Timestamp {
        self.watermark
    }

    /// Advances event time. Returns whether it did: a watermark that is repeated only says that more
    /// is to come, and no timer is due because of it.
    pub(crate) fn advance(&mut self, watermark: Timestamp) -> bool {
        let has_advanced = self.watermark < watermark;
        self.watermark = self.watermark.max(watermark);
        has_advanced
    }

    /// Removes and returns the next timer of a domain that is due at `now`.
    pub(crate) fn pop_due(&mut self, domain: TimeDomain, now: Timestamp) -> Option<Due<K>> {
        let (time, group, key) = self.timers(domain).pop_due(now)?;
        self.watch.on_fire(domain, (time, now), &key);
        let place = KeyPlace { group, hash: key_hash(&key) };
        Some(Due { time, domain, key, place })
    }

    /// Returns a moment before which no processing-time timer is due, if there are any.
    pub(crate) fn next_timer(&self) -> Option<Timestamp> {
        self.processing_timers.earliest()
    }

    /// Adds state and timers to `snapshot`.
    pub(crate) fn freeze(&mut self, snapshot: &mut Snapshot) {
        self.store.freeze(snapshot);
        snapshot.add(self.event_timers.freeze(&self.uid, EVENT_TIMERS));
        snapshot.add(self.processing_timers.freeze(&self.uid, PROCESSING_TIMERS));
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
