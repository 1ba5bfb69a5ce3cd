//! The operator that runs windows of every kind.

use std::time::Duration;

use floodmark_model::{Batch, KeyGroup, KeyPlace, Record, TimeDomain, Timestamp};
use floodmark_platform::Machine;
use floodmark_state::{Data, Entry, Key, KeySpace, KeyedStore, Snapshot, Table, Timers};
use floodmark_wire::key_hash;

use crate::{
    BoxError, Error, OutputTag,
    chain::{Emitter, OpenContext, Operator},
    operators::{
        KeyOf, Window, lifecycle::Lifecycle, record_counts::RecordCounts, timer_watch::TimerWatch,
    },
};

use super::{
    assigner::Assigner,
    context::WindowContext,
    function::{Afterwards, WindowFunction},
    panes::{Pane, Panes},
    trigger::{TimerChange, Trigger, TriggerContext},
};

/// The sections of the operator itself. No state of a user can have these names.
const WINDOWS: &str = "#windows";
const EVENT_TIMERS: &str = "#timers";
const PROCESSING_TIMERS: &str = "#processing-timers";
const COUNTS: &str = "#counts";

/// Which windows there are, and how long they live.
pub struct WindowingOptions<T> {
    /// Which windows a record belongs to.
    pub assigner: Assigner<T>,
    /// How long after its end a window over event time still takes records.
    pub allowed_lateness: Duration,
    /// Where records go that come later still; without it they are counted and dropped.
    pub late_to: Option<OutputTag<T>>,
}

impl<T> WindowingOptions<T> {
    /// Returns the time at which nothing is left of a window, in the domain of the assigner.
    fn forgotten_at(&self, window: Window) -> Timestamp {
        match self.assigner.domain() {
            TimeDomain::Event => window.max_timestamp() + self.allowed_lateness,
            TimeDomain::Processing => window.max_timestamp(),
        }
    }

    /// Returns whether it is too late for a window. For one without an end it never is.
    fn is_late(&self, window: Window, watermark: Timestamp) -> bool {
        let ends = !window.is_global() && self.assigner.domain() == TimeDomain::Event;
        ends && self.forgotten_at(window) <= watermark
    }
}

/// Groups records by key and window.
///
/// # Invariants
///
/// - A window that is open and not global has a timer at the moment at which it is forgotten.
/// - Nothing of a window is left once it is forgotten, except what its function keeps of it.
pub struct WindowingOperator<T, K: Key, F, G: Trigger<T>, W: WindowFunction<K, T>> {
    uid: String,
    options: WindowingOptions<T>,
    key_of: KeyOf<T, K, F>,
    trigger: G,
    function: Lifecycle<W>,
    opened: Option<Opened<K, W::Contents, G::State>>,
    /// The windows of the record that is processed.
    assigned: Vec<Window>,
    /// What the trigger has asked for.
    changes: Vec<TimerChange>,
}

/// What a running operator holds.
struct Opened<K, C, S> {
    machine: Machine,
    watermark: Timestamp,
    windows: Table<K, Panes<C, S>>,
    event_timers: Timers<(K, Window)>,
    processing_timers: Timers<(K, Window)>,
    of_key: KeyedStore<K>,
    of_window: KeyedStore<(K, Window)>,
    watch: TimerWatch,
    counts: RecordCounts,
}

/// A key and where it lies.
struct Placed<'a, K> {
    key: &'a K,
    place: KeyPlace,
}

impl<K> Clone for Placed<'_, K> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<K> Copy for Placed<'_, K> {}

impl<K: Key, C: Data, S: Data + Default> Opened<K, C, S> {
    fn restore(uid: &str, cx: &mut OpenContext<'_>) -> Result<Self, Error> {
        let windows = cx.restored.take(uid, WINDOWS);
        let event_timers = cx.restored.take(uid, EVENT_TIMERS);
        let processing_timers = cx.restored.take(uid, PROCESSING_TIMERS);
        Ok(Self {
            machine: cx.machine.clone(),
            watermark: cx.watermark,
            windows: Table::restore(cx.key_groups, &windows)?,
            event_timers: Timers::restore(cx.key_groups, &event_timers)?,
            processing_timers: Timers::restore(cx.key_groups, &processing_timers)?,
            counts: RecordCounts::restore(uid, COUNTS, cx)?,
            of_window: KeyedStore::new(
                &window_uid(uid),
                KeySpace::with_namespace(cx.key_groups),
                cx.restored,
            )
            .with_clock(cx.machine.clone()),
            of_key: KeyedStore::new(uid, cx.key_groups, cx.restored).with_clock(cx.machine.clone()),
            watch: TimerWatch::new(uid, cx),
        })
    }

    fn timers(&mut self, domain: TimeDomain) -> &mut Timers<(K, Window)> {
        match domain {
            TimeDomain::Event => &mut self.event_timers,
            TimeDomain::Processing => &mut self.processing_timers,
        }
    }

    fn register(
        &mut self,
        domain: TimeDomain,
        group: KeyGroup,
        time: Timestamp,
        owner: &(K, Window),
    ) {
        if self.timers(domain).register(group, time, owner.clone()) {
            self.watch.on_register(domain, time, owner);
        }
    }

    fn delete(
        &mut self,
        domain: TimeDomain,
        group: KeyGroup,
        time: Timestamp,
        owner: &(K, Window),
    ) {
        if self.timers(domain).delete(group, time, owner.clone()) {
            self.watch.on_delete(domain, time, owner);
        }
    }

    fn processing_time(&self) -> Timestamp {
        Timestamp::of_clock(self.machine.clock().wall())
    }
}

/// Returns the operator name under which the state of single windows is kept.
fn window_uid(uid: &str) -> String {
    format!("{uid}/window-state")
}

/// Builds the context of a trigger, of parts that are borrowed one by one.
macro_rules! trigger_context {
    ($self:ident, $opened:ident, $window:expr, $state:expr) => {
        TriggerContext {
            window: $window,
            domain: $self.options.assigner.domain(),
            watermark: $opened.watermark,
            machine: &$opened.machine,
            state: $state,
            changes: &mut $self.changes,
        }
    };
}

/// Builds the context of a function.
macro_rules! window_context {
    ($self:ident, $opened:ident, $owner:expr, $place:expr, $out:expr) => {
        WindowContext {
            owner: $owner,
            place: $place,
            watermark: $opened.watermark,
            machine: &$opened.machine,
            of_key: &mut $opened.of_key,
            of_window: (!$self.options.assigner.merges()).then_some(&mut $opened.of_window),
            out: $out,
        }
    };
}

impl<T, K, F, G, W> WindowingOperator<T, K, F, G, W>
where
    T: Data,
    K: Key,
    F: Fn(&T) -> K + Send,
    G: Trigger<T>,
    W: WindowFunction<K, T>,
{
    /// Creates the operator `uid`.
    pub fn new(
        uid: String,
        options: WindowingOptions<T>,
        key_of: KeyOf<T, K, F>,
        trigger: G,
        function: W,
    ) -> Self {
        let can_merge = trigger.can_merge() || !options.assigner.merges();
        assert!(can_merge, "windows that merge have a trigger that can");
        let (assigned, changes) = (Vec::new(), Vec::new());
        let function = Lifecycle::new(&uid, function, W::close);
        Self { uid, options, key_of, trigger, function, opened: None, assigned, changes }
    }

    fn on_record(&mut self, record: Record<T>, out: &mut Emitter<W::Out>) -> Result<(), Error> {
        let opened = self.opened.as_mut().expect("an operator is opened before it is used");
        opened.counts.on_received(1);
        let (key, place) = self.key_of.find(&record.value);
        let time = match self.options.assigner.domain() {
            TimeDomain::Event => record.timestamp,
            TimeDomain::Processing => opened.processing_time(),
        };
        let watermark = opened.watermark;
        let mut assigned = std::mem::take(&mut self.assigned);
        assigned.clear();
        self.options.assigner.assign(&record.value, time, &mut assigned);
        let placed = Placed { key: &key, place };
        if self.options.assigner.merges() {
            assigned.iter_mut().for_each(|window| *window = self.merged(placed, *window));
        }
        assigned.retain(|window| !self.options.is_late(*window, watermark));
        let done = match assigned.split_last() {
            None => {
                self.on_excluded(record, out);
                Ok(())
            }
            Some((last, others)) => {
                let mut others = others.iter();
                let entered =
                    others.try_for_each(|window| self.enter(placed, *window, record.clone(), out));
                entered.and_then(|()| self.enter(placed, *last, record, out))
            }
        };
        self.assigned = assigned;
        done.map_err(|source| self.error(source))
    }

    fn error(&self, source: BoxError) -> Error {
        Error::Operator { operator: self.uid.clone(), source }
    }

    /// Does with a record that has entered no window what is due: it is late, or between windows.
    fn on_excluded(&mut self, record: Record<T>, out: &mut Emitter<W::Out>) {
        let opened = self.opened.as_mut().expect("an operator is opened before it is used");
        let is_late = self.options.assigner.domain() == TimeDomain::Event
            && record.timestamp + self.options.allowed_lateness <= opened.watermark;
        let late_to = self.options.late_to.filter(|_| is_late);
        opened.counts.on_late(late_to, record.timestamp, record.value, out);
    }

    /// Adds a record to a window, and asks the trigger.
    fn enter(
        &mut self,
        placed: Placed<'_, K>,
        window: Window,
        record: Record<T>,
        out: &mut Emitter<W::Out>,
    ) -> Result<(), BoxError> {
        let opened = self.opened.as_mut().expect("an operator is opened before it is used");
        let panes = match opened.windows.entry(placed.place, placed.key) {
            Entry::Occupied(panes) => panes,
            Entry::Vacant(vacancy) => vacancy.insert(placed.key.clone(), Panes::new()),
        };
        let (pane, is_new) = panes.open(window);
        let mut cx = trigger_context!(self, opened, window, &mut pane.trigger);
        let result = self.trigger.on_element(&record.value, record.timestamp, &mut cx);
        self.function.add(&mut pane.contents, record);
        if result.fires() {
            let owner = (placed.key.clone(), window);
            let afterwards = if result.purges() { Afterwards::Drop } else { Afterwards::Keep };
            let mut cx = window_context!(self, opened, &owner, placed.place, out);
            self.function.fire(&mut pane.contents, afterwards, &mut cx)?;
        }
        if result.purges() {
            pane.contents = None;
        }
        let is_settled =
            window.is_global() && pane.contents.is_none() && self.trigger.is_settled(&pane.trigger);
        if is_settled {
            Self::remove(opened, placed, window);
        } else if is_new {
            self.register_end(placed, window);
        }
        self.follow_changes(placed, window);
        Ok(())
    }

    /// Merges a window with those of its key that it touches, and returns what they have become.
    fn merged(&mut self, placed: Placed<'_, K>, window: Window) -> Window {
        let opened = self.opened.as_mut().expect("an operator is opened before it is used");
        let Some(panes) = opened.windows.get_mut(placed.place, placed.key) else { return window };
        let hull = panes.hull(window);
        if panes.find(hull).is_some() {
            return hull;
        }
        let merged = panes.take_within(hull);
        if merged.is_empty() {
            return window;
        }
        let (domain, group) = (self.options.assigner.domain(), placed.place.group);
        let (mut contents, mut triggers) = (None, Vec::new());
        for Pane { window, contents: other, trigger } in merged {
            let opened = self.opened.as_mut().expect("it is open");
            let mut state = trigger.clone();
            let mut cx = trigger_context!(self, opened, window, &mut state);
            self.trigger.clear(&mut cx);
            triggers.push(trigger);
            if let Some(other) = other {
                self.function.merge(&mut contents, other);
            }
            let owner = (placed.key.clone(), window);
            opened.delete(domain, group, self.options.forgotten_at(window), &owner);
            self.follow_changes(placed, window);
        }
        let opened = self.opened.as_mut().expect("it is open");
        let panes = opened.windows.get_mut(placed.place, placed.key).expect("the key has windows");
        let (pane, is_new) = panes.open(hull);
        assert!(is_new, "what the window touches was just taken");
        pane.contents = contents;
        let mut cx = trigger_context!(self, opened, hull, &mut pane.trigger);
        self.trigger.on_merge(triggers, &mut cx);
        self.register_end(placed, hull);
        self.follow_changes(placed, hull);
        hull
    }

    /// Sets the timer at which a window is forgotten.
    fn register_end(&mut self, placed: Placed<'_, K>, window: Window) {
        let opened = self.opened.as_mut().expect("an operator is opened before it is used");
        let forgotten_at = self.options.forgotten_at(window);
        if forgotten_at < Timestamp::MAX {
            let owner = (placed.key.clone(), window);
            let domain = self.options.assigner.domain();
            opened.register(domain, placed.place.group, forgotten_at, &owner);
        }
    }

    /// Sets and deletes the timers that the trigger has asked for. The one at which the window is
    /// forgotten is not the trigger's.
    fn follow_changes(&mut self, placed: Placed<'_, K>, window: Window) {
        if self.changes.is_empty() {
            return;
        }
        let opened = self.opened.as_mut().expect("an operator is opened before it is used");
        let end = (self.options.assigner.domain(), self.options.forgotten_at(window));
        let mut owner = None;
        for change in self.changes.drain(..) {
            let (TimerChange::Register(domain, time) | TimerChange::Delete(domain, time)) = change;
            if (domain, time) == end && time < Timestamp::MAX {
                continue;
            }
            let owner = owner.get_or_insert_with(|| (placed.key.clone(), window));
            match change {
                TimerChange::Register(..) => {
                    opened.register(domain, placed.place.group, time, owner);
                }
                TimerChange::Delete(..) => opened.delete(domain, placed.place.group, time, owner),
            }
        }
    }

    fn remove(
        opened: &mut Opened<K, W::Contents, G::State>,
        placed: Placed<'_, K>,
        window: Window,
    ) {
        if let Some(panes) = opened.windows.get_mut(placed.place, placed.key) {
            panes.remove(window);
            if panes.is_empty() {
                opened.windows.remove(placed.place, placed.key);
            }
        }
    }

    /// Fires the timers of a domain that are due at `now`, in the order of their times.
    fn fire(
        &mut self,
        domain: TimeDomain,
        now: Timestamp,
        out: &mut Emitter<W::Out>,
    ) -> Result<(), Error> {
        loop {
            let opened = self.opened.as_mut().expect("an operator is opened before it is used");
            let Some((time, group, owner)) = opened.timers(domain).pop_due(now) else {
                return Ok(());
            };
            opened.watch.on_fire(domain, (time, now), &owner);
            let place = KeyPlace { group, hash: key_hash(&owner.0) };
            let done = self.on_timer(domain, time, (place, &owner), out);
            done.map_err(|source| self.error(source))?;
        }
    }

    fn on_timer(
        &mut self,
        domain: TimeDomain,
        time: Timestamp,
        (place, owner): (KeyPlace, &(K, Window)),
        out: &mut Emitter<W::Out>,
    ) -> Result<(), BoxError> {
        let (placed, window) = (Placed { key: &owner.0, place }, owner.1);
        let opened = self.opened.as_mut().expect("an operator is opened before it is used");
        let panes = opened.windows.get_mut(place, &owner.0);
        // A timer that a trigger has not deleted may outlive its window.
        let Some(pane) = panes.and_then(|panes| panes.find(window)) else { return Ok(()) };
        let mut cx = trigger_context!(self, opened, window, &mut pane.trigger);
        let result = match domain {
            TimeDomain::Event => self.trigger.on_event_time(time, &mut cx),
            TimeDomain::Processing => self.trigger.on_processing_time(time, &mut cx),
        };
        let is_end = domain == self.options.assigner.domain()
            && time == self.options.forgotten_at(window)
            && time < Timestamp::MAX;
        if result.fires() {
            let is_last = is_end || result.purges();
            let afterwards = if is_last { Afterwards::Drop } else { Afterwards::Keep };
            let mut cx = window_context!(self, opened, owner, place, out);
            self.function.fire(&mut pane.contents, afterwards, &mut cx)?;
        }
        if result.purges() {
            pane.contents = None;
        }
        if is_end {
            let mut cx = trigger_context!(self, opened, window, &mut pane.trigger);
            self.trigger.clear(&mut cx);
            let mut cx = window_context!(self, opened, owner, place, out);
            self.function.clear(&mut cx)?;
            Self::remove(opened, placed, window);
        }
        self.follow_changes(placed, window);
        Ok(())
    }
}

impl<T, K, F, G, W> Operator for WindowingOperator<T, K, F, G, W>
where
    T: Data,
    K: Key,
    F: Fn(&T) -> K + Send,
    G: Trigger<T>,
    W: WindowFunction<K, T>,
{
    type In = T;
    type Out = W::Out;

    const KEEPS: &'static str = "windows and state per key";

    fn open(&mut self, cx: &mut OpenContext<'_>) -> Result<(), Error> {
        self.opened = Some(Opened::restore(&self.uid, cx)?);
        self.key_of.open(&self.uid, cx);
        self.function.open(cx.machine, W::open).map_err(|source| self.error(source))
    }

    fn on_batch(&mut self, batch: Batch<T>, out: &mut Emitter<W::Out>) -> Result<(), Error> {
        batch.into_iter().try_for_each(|record| self.on_record(record, out))
    }

    fn on_watermark(
        &mut self,
        watermark: Timestamp,
        out: &mut Emitter<W::Out>,
    ) -> Result<(), Error> {
        let opened = self.opened.as_mut().expect("an operator is opened before it is used");
        // An old watermark says that somebody is active again, and moves nothing.
        if opened.watermark < watermark {
            opened.watermark = watermark;
            self.fire(TimeDomain::Event, watermark, out)?;
        }
        out.watermark(watermark)
    }

    fn next_timer(&self) -> Option<Timestamp> {
        self.opened.as_ref().and_then(|opened| opened.processing_timers.earliest())
    }

    fn on_processing_time(
        &mut self,
        now: Timestamp,
        out: &mut Emitter<W::Out>,
    ) -> Result<(), Error> {
        self.fire(TimeDomain::Processing, now, out)
    }

    fn freeze(&mut self, snapshot: &mut Snapshot) {
        let opened = self.opened.as_mut().expect("an operator is opened before it is used");
        snapshot.add(opened.windows.freeze(&self.uid, WINDOWS));
        snapshot.add(opened.event_timers.freeze(&self.uid, EVENT_TIMERS));
        snapshot.add(opened.processing_timers.freeze(&self.uid, PROCESSING_TIMERS));
        opened.counts.freeze(snapshot);
        opened.of_key.freeze(snapshot);
        opened.of_window.freeze(snapshot);
    }
}
