//! The world of one run: everything the nodes share, and what a story can do to them.

use std::{
    future::poll_fn,
    panic::{AssertUnwindSafe, catch_unwind},
    pin::Pin,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    task::{Poll, Waker},
    time::Duration,
};

use bytes::Bytes;
use floodmark_platform::{BoxFuture, Machine, Observation, Tasks as _};
use futures_util::FutureExt as _;
use madsim::{
    runtime::{Handle, NodeHandle},
    time::{Instant, Sleep, TimeHandle},
};

use crate::{
    DiskFate, FrameFate, Happening, LinkProfile, NodeId, RunError, StoreEffect, What,
    choice::{Choices, actor_of},
    chronicle::Chronicler,
    disk::Disk,
    incident::{Incident, Incidents},
    machine::SimMachine,
    network::Network,
    node::{Condition, Life, Node, NodeClock, is_alive},
    panics,
    rule::{FaultName, Rules},
    store::Store,
    trace::Trace,
};

mod faults;

use faults::Faults;

/// What all parts of a run share.
pub(crate) struct State {
    pub(crate) nodes: Vec<Node>,
    pub(crate) rules: Rules,
    pub(crate) choices: Choices,
    pub(crate) trace: Trace,
    pub(crate) network: Network,
    pub(crate) store: Store,
    pub(crate) profile: LinkProfile,
    /// Frames and operations that a rule has struck.
    pub(crate) struck_count: u64,
    /// What faults have done, until those who listen have heard it.
    pub(crate) incidents: Incidents,
    pub(crate) failure: Option<RunError>,
    pub(crate) on_failure: Option<Waker>,
    pub(crate) event_budget: u64,
    /// When the run ended.
    pub(crate) ended_at: Option<Duration>,
    pub(crate) chronicler: Option<Chronicler>,
    is_verbose: bool,
    faults: Faults,
}

type Listener = Box<dyn FnMut(&Seen<'_>) + Send>;
type StoreListener = Box<dyn FnMut(&StoreEffect<'_>) + Send>;
type IncidentListener = Box<dyn FnMut(&Incident) + Send>;

/// A handle to the state, for everything that is part of the simulated world.
#[derive(Clone)]
pub(crate) struct Shared(Arc<Inside>);

struct Inside {
    state: Mutex<State>,
    listeners: Mutex<Vec<Listener>>,
    store_listeners: Mutex<Vec<StoreListener>>,
    incident_listeners: Mutex<Vec<IncidentListener>>,
    time: TimeHandle,
    /// The executor's zero, which its sleeps are measured from.
    zero: Instant,
    /// When the run began.
    start: Duration,
    /// Runs what belongs to no node and never dies.
    apart: NodeHandle,
}

/// An observation and where it was made.
pub struct Seen<'a> {
    /// Virtual time.
    pub at: Duration,
    /// Which node.
    pub node: NodeId,
    /// Its name.
    pub node_name: &'a str,
    /// Which of its lives, from 0.
    pub incarnation: u32,
    /// What it said.
    pub observation: &'a dyn Observation,
}

impl State {
    pub(crate) fn new(choices: Choices, profile: LinkProfile, event_budget: u64) -> Self {
        Self {
            nodes: Vec::new(),
            rules: Rules::default(),
            choices,
            trace: Trace::new(),
            network: Network::default(),
            store: Store::default(),
            profile,
            struck_count: 0,
            incidents: Incidents::default(),
            failure: None,
            on_failure: None,
            event_budget,
            ended_at: None,
            chronicler: None,
            is_verbose: false,
            faults: Faults::default(),
        }
    }

    pub(crate) fn verbose(self, is_verbose: bool) -> Self {
        Self { is_verbose, ..self }
    }

    /// Keeps a chronicle, with frames of some kinds left out.
    pub(crate) fn chronicle(self, quiet_kinds: Option<&'static [&'static str]>) -> Self {
        Self { chronicler: quiet_kinds.map(Chronicler::new), ..self }
    }

    pub(crate) fn name(&self, node: NodeId) -> Arc<str> {
        self.nodes[node.0].name.clone()
    }

    pub(crate) fn find(&self, name: &str) -> Option<NodeId> {
        self.nodes.iter().position(|node| &*node.name == name).map(NodeId)
    }

    pub(crate) fn is_alive(&self, life: Life) -> bool {
        is_alive(&self.nodes, life)
    }

    /// Keeps an event in words, if someone will read them.
    pub(crate) fn log(&mut self, now: Duration, node: NodeId, text: impl FnOnce() -> String) {
        if self.is_verbose {
            let name = self.name(node);
            self.trace.log(now, &name, text());
        }
    }

    /// Adds to the chronicle, if one is kept.
    pub(crate) fn record(&mut self, at: Duration, node: NodeId, what: impl FnOnce() -> What) {
        if self.chronicler.is_some() {
            let node = Some(self.name(node));
            self.record_apart(Happening { at, node, what: what() });
        }
    }

    /// Adds what may have happened on no node to the chronicle, if one is kept.
    pub(crate) fn record_apart(&mut self, happening: Happening) {
        if let Some(chronicler) = &mut self.chronicler {
            chronicler.add(happening);
        }
    }

    /// Returns whether the chronicle has a place for a frame.
    pub(crate) fn records_frame(&self, kind: &str, fate: FrameFate) -> bool {
        let chronicler = self.chronicler.as_ref();
        chronicler.is_some_and(|kept| fate != FrameFate::Deliver || !kept.is_quiet(kind))
    }

    fn fail(&mut self, failure: RunError) {
        self.failure.get_or_insert(failure);
        if let Some(waker) = self.on_failure.take() {
            waker.wake();
        }
    }
}

/// The latest moment for which a sleep can be set.
const FURTHEST: Duration = Duration::from_secs(100 * 365 * 24 * 3_600);

impl Shared {
    pub(crate) fn new(state: State, time: TimeHandle, apart: NodeHandle) -> Self {
        Self(Arc::new(Inside {
            state: Mutex::new(state),
            listeners: Mutex::default(),
            store_listeners: Mutex::default(),
            incident_listeners: Mutex::default(),
            zero: time.now_instant() - time.elapsed(),
            start: time.elapsed(),
            time,
            apart,
        }))
    }

    pub(crate) fn lock(&self) -> MutexGuard<'_, State> {
        // One thread runs the whole world; a panic in it ends the run.
        self.0.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Returns virtual time.
    pub(crate) fn now(&self) -> Duration {
        self.0.time.elapsed() - self.0.start
    }

    /// Completes at a moment of virtual time.
    pub(crate) fn sleep_until(&self, moment: Duration) -> Pin<Box<Sleep>> {
        let mut sleep = Box::pin(self.sleep_now());
        self.reset(sleep.as_mut(), moment);
        sleep
    }

    /// Returns a sleep that is yet to be given its moment by [`Shared::reset`].
    pub(crate) fn sleep_now(&self) -> Sleep {
        // A plain sleep lasts at least a millisecond; a deadline is exact.
        self.0.time.sleep(Duration::ZERO)
    }

    /// Lets a sleep end at a moment of virtual time. What lies more than a hundred years ahead is
    /// beyond the timers of the executor, and no run gets there.
    pub(crate) fn reset(&self, sleep: Pin<&mut Sleep>, moment: Duration) {
        sleep.reset(self.0.zero + self.0.start + moment.max(self.now()).min(FURTHEST));
    }

    /// Runs a task that belongs to no node.
    pub(crate) fn spawn_apart(&self, task: impl Future<Output = ()> + Send + 'static) {
        drop(self.0.apart.spawn(task));
    }

    /// Wakes the ends of links, each at its moment.
    pub(crate) fn wake_links_at(&self, links: Vec<(u64, Duration)>) {
        for (index, at) in links {
            let shared = self.clone();
            self.spawn_apart(async move {
                shared.sleep_until(at).await;
                if let Some(link) = shared.lock().network.links.get_mut(&index) {
                    link.wake();
                }
            });
        }
    }

    /// Records that a task of a node panicked.
    pub(crate) fn on_panic(&self, life: Life, task: &str, words: String) {
        let now = self.now();
        let mut state = self.lock();
        if state.is_alive(life) {
            state.trace.add("panic", now, &[life.node.0 as u64]);
            state.log(now, life.node, || format!("task {task} panics: {words}"));
            state.record(now, life.node, || What::Panicked {
                task: task.to_owned(),
                message: words,
            });
        }
    }

    pub(crate) fn check_budget(&self) {
        let mut state = self.lock();
        let budget = state.event_budget;
        if budget < state.trace.event_count() {
            state.fail(RunError::EventBudget { budget });
        }
    }

    pub(crate) fn observe(&self, life: Life, observation: &dyn Observation) {
        let at = self.now();
        let label = observation.label();
        let name = {
            let mut state = self.lock();
            if !state.is_alive(life) {
                return;
            }
            state.trace.add(label, at, &[life.node.0 as u64]);
            observation.feed(state.trace.hasher());
            state.log(at, life.node, || format!("{observation:?}"));
            state.record(at, life.node, || What::Observed(observation.keep()));
            let name = state.name(life.node);
            state.faults.on_observation(&name, observation);
            name
        };
        // What led to the observation is heard before it.
        self.tell_incident_listeners();
        let seen = Seen {
            at,
            node: life.node,
            node_name: &name,
            incarnation: life.incarnation,
            observation,
        };
        let mut listeners = self.0.listeners.lock().unwrap_or_else(PoisonError::into_inner);
        self.guard(|| listeners.iter_mut().for_each(|listener| listener(&seen)));
        drop(listeners);
        self.check_budget();
    }

    pub(crate) fn tell_store_listeners(&self, effect: &StoreEffect<'_>) {
        let mut listeners = self.0.store_listeners.lock().unwrap_or_else(PoisonError::into_inner);
        self.guard(|| listeners.iter_mut().for_each(|listener| listener(effect)));
    }

    /// Tells of what faults have done since the last call. Never called with the state locked.
    fn tell_incident_listeners(&self) {
        let incidents = self.lock().incidents.take();
        if incidents.is_empty() {
            return;
        }
        let listeners = self.0.incident_listeners.lock();
        let mut listeners = listeners.unwrap_or_else(PoisonError::into_inner);
        for incident in &incidents {
            self.guard(|| listeners.iter_mut().for_each(|listener| listener(incident)));
        }
    }

    /// Calls listeners. Their panic ends the run: it is not one of the node they listen to.
    fn guard(&self, call: impl FnOnce()) {
        if let Err(panic) = catch_unwind(AssertUnwindSafe(call)) {
            // The task that was listened to has not panicked.
            drop(panics::take());
            self.lock().fail(RunError::Panicked { message: panics::message(panic) });
        }
    }

    /// Drops the listeners, which may hold on to the world.
    pub(crate) fn forget_listeners(&self) {
        self.0.listeners.lock().unwrap_or_else(PoisonError::into_inner).clear();
        self.0.store_listeners.lock().unwrap_or_else(PoisonError::into_inner).clear();
        self.0.incident_listeners.lock().unwrap_or_else(PoisonError::into_inner).clear();
    }

    /// Ends the run: kills every task but the story, none of which has an effect any more.
    pub(crate) fn end(&self) {
        let now = self.now();
        let handles: Vec<NodeHandle> = {
            let mut state = self.lock();
            state.ended_at.get_or_insert(now);
            // Dead before their destructors run, so nobody sees what those do.
            state.nodes.iter_mut().for_each(|node| node.condition = Condition::Dead);
            state.nodes.iter().map(|node| node.handle.clone()).collect()
        };
        handles.iter().chain([&self.0.apart]).for_each(|node| Handle::current().kill(node.id()));
    }

    /// Completes when the run has failed.
    pub(crate) async fn failed(&self) {
        poll_fn(|cx| {
            let mut state = self.lock();
            if state.failure.is_some() {
                return Poll::Ready(());
            }
            state.on_failure = Some(cx.waker().clone());
            Poll::Pending
        })
        .await;
    }

    /// Starts a life of a node on its current handle.
    fn start(&self, node: NodeId) {
        let (life, main, handle) = {
            let state = self.lock();
            let Node { incarnation, main, handle, .. } = &state.nodes[node.0];
            (Life { node, incarnation: *incarnation }, main.clone(), handle.clone())
        };
        let platform = SimMachine { shared: self.clone(), life, handle };
        let machine = Machine::new(platform.clone());
        let guarded = AssertUnwindSafe(async move { main(machine).await }).catch_unwind();
        drop(platform.spawn("main", Box::pin(guarded.map(drop))));
    }
}

/// A handle to the world, for stories. Clones are the same world.
#[derive(Clone)]
pub struct World {
    pub(crate) shared: Shared,
}

impl World {
    /// Adds a node and starts it. `main` is called again after every restart.
    pub fn add_node(
        &self,
        name: &str,
        main: impl Fn(Machine) -> BoxFuture<()> + Send + Sync + 'static,
    ) -> NodeId {
        let handle = Handle::current().create_node().name(name).build();
        let now = self.now();
        let node = {
            let mut state = self.shared.lock();
            assert!(state.find(name).is_none(), "two nodes have two names");
            let node = NodeId(state.nodes.len());
            // Every node counts from a zero of its own, so that comparing two clocks shows.
            let zero = state.choices.below("clock_zero", node.0 as u64, 1 << 40);
            state.nodes.push(Node {
                name: name.into(),
                main: Arc::new(main),
                handle,
                incarnation: 0,
                condition: Condition::Running,
                clock: NodeClock::new(now, Duration::from_nanos(zero)),
                disk: Disk::default(),
            });
            node
        };
        self.shared.start(node);
        node
    }

    /// Makes choices that mean nothing, one after the other, and adds a node that does nothing.
    pub(crate) fn disturb(&self, count: u32) {
        let world = self.clone();
        self.shared.spawn_apart(async move {
            // The story has the first word, so that its nodes keep their places.
            world.sleep(Duration::from_millis(1)).await;
            world.add_node("idle", |machine| {
                Box::pin(async move {
                    loop {
                        machine.sleep(Duration::from_millis(700)).await;
                    }
                })
            });
            for number in 0..count {
                let site = if number % 2 == 0 { "dummy" } else { "another_dummy" };
                let pause = world.shared.lock().choices.below(site, u64::from(number % 7), 60);
                world.sleep(Duration::from_millis(pause)).await;
            }
        });
    }

    /// Returns the node `name`.
    pub fn node(&self, name: &str) -> Option<NodeId> {
        self.shared.lock().find(name)
    }

    /// Returns virtual time since the run began.
    pub fn now(&self) -> Duration {
        self.shared.now()
    }

    /// Completes after `duration` of virtual time.
    pub async fn sleep(&self, duration: Duration) {
        self.shared.sleep_until(self.now() + duration).await;
    }

    /// Kills a node. Its effects end here; what it had asked of the object store may still happen.
    pub fn crash(&self, node: NodeId) {
        self.crash_by(node, FaultName(0));
    }

    /// Kills a node, by a fault that names the choices.
    fn crash_by(&self, node: NodeId, cause: FaultName) {
        let now = self.now();
        let (handle, refused) = {
            let mut state = self.shared.lock();
            let state = &mut *state;
            let Node { condition, incarnation, handle, disk, .. } = &mut state.nodes[node.0];
            if *condition == Condition::Dead {
                return;
            }
            *condition = Condition::Dead;
            let life = Life { node, incarnation: *incarnation };
            disk.crash(actor_of([cause.0, node.0 as u64]), &mut state.choices);
            let handle = handle.clone();
            state.trace.add("crash", now, &[node.0 as u64]);
            state.log(now, node, || "crashes".to_owned());
            let name = state.name(node);
            state.incidents.add(Incident::Crashed { node: name });
            state.record(now, node, || What::Crashed);
            let is_silent = state.is_silent_death(node, cause);
            let refused = if is_silent { Vec::new() } else { state.break_links_of(life, now) };
            (handle, refused)
        };
        self.shared.wake_links_at(refused);
        self.shared.tell_incident_listeners();
        // The node is dead before its destructors run, so nobody sees what they do.
        Handle::current().kill(handle.id());
    }

    /// Starts a node again that was killed.
    pub fn restart(&self, node: NodeId, disk: DiskFate) {
        if self.is_alive(node) {
            return;
        }
        let name = self.shared.lock().name(node);
        let handle = Handle::current().create_node().name(&*name).build();
        let refused = {
            let now = self.now();
            let mut state = self.shared.lock();
            let entry = &mut state.nodes[node.0];
            let old = Life { node, incarnation: entry.incarnation };
            entry.condition = Condition::Running;
            entry.incarnation += 1;
            entry.handle = handle;
            if disk == DiskFate::Lost {
                entry.disk.lose();
            }
            state.trace.add("restart", now, &[node.0 as u64]);
            state.log(now, node, || format!("starts again {disk}"));
            state.incidents.add(Incident::Restarted { node: name });
            state.record(now, node, || What::Restarted { disk });
            // Its new life knows nothing of the old connections, and says so.
            state.break_links_of(old, now)
        };
        self.shared.wake_links_at(refused);
        self.shared.start(node);
    }

    /// Stops a node in the middle of whatever it does. It will not notice.
    pub fn pause(&self, node: NodeId) {
        let slept = self.set_condition(node, Condition::Running, Condition::Paused);
        if let Some(handle) = slept {
            Handle::current().pause(handle.id());
        }
    }

    /// Lets a paused node go on.
    pub fn resume(&self, node: NodeId) {
        let woke = self.set_condition(node, Condition::Paused, Condition::Running);
        if let Some(handle) = woke {
            Handle::current().resume(handle.id());
        }
    }

    /// Changes how a node is. Returns its handle if it was as expected.
    fn set_condition(&self, node: NodeId, from: Condition, to: Condition) -> Option<NodeHandle> {
        let now = self.now();
        let mut state = self.shared.lock();
        if state.nodes[node.0].condition != from {
            return None;
        }
        state.nodes[node.0].condition = to;
        state.trace.add("condition", now, &[node.0 as u64, to as u64]);
        let (text, what) = match to {
            Condition::Paused => ("falls asleep", What::Paused),
            Condition::Running | Condition::Dead => ("wakes up", What::Resumed),
        };
        state.log(now, node, || text.to_owned());
        let node_name = state.name(node);
        state.incidents.add(match to {
            Condition::Paused => Incident::FellAsleep { node: node_name },
            Condition::Running | Condition::Dead => Incident::Woke { node: node_name },
        });
        state.record(now, node, || what);
        Some(state.nodes[node.0].handle.clone())
    }

    /// Returns whether the node is not dead; it may be asleep.
    pub fn is_alive(&self, node: NodeId) -> bool {
        self.shared.lock().nodes[node.0].condition != Condition::Dead
    }

    /// Returns whether the node is neither dead nor asleep.
    pub fn is_running(&self, node: NodeId) -> bool {
        self.shared.lock().nodes[node.0].condition == Condition::Running
    }

    /// Ends the run: `check` was violated.
    pub fn fail(&self, check: &'static str, reason: String) {
        let at = self.now();
        self.shared.lock().fail(RunError::Failed { check, reason, at });
    }

    /// Returns whether a check was violated, or the run fails for another reason.
    pub fn is_failed(&self) -> bool {
        self.shared.lock().failure.is_some()
    }

    /// Adds words of the story to the log, if the run is verbose. They are not part of the hash.
    pub fn note(&self, text: impl Into<String>) {
        let now = self.now();
        let mut state = self.shared.lock();
        if state.is_verbose {
            state.trace.log(now, "STORY", text.into());
        }
    }

    /// Calls `listener` with every observation, at the moment it is made. A listener may look at the
    /// world and fail the run; it may not add listeners.
    pub fn listen(&self, listener: impl FnMut(&Seen<'_>) + Send + 'static) {
        let mut listeners = self.shared.0.listeners.lock().unwrap_or_else(PoisonError::into_inner);
        listeners.push(Box::new(listener));
    }

    /// Calls `listener` with every effect on the object store, at the moment it happens.
    pub fn listen_store(&self, listener: impl FnMut(&StoreEffect<'_>) + Send + 'static) {
        let listeners = self.shared.0.store_listeners.lock();
        listeners.unwrap_or_else(PoisonError::into_inner).push(Box::new(listener));
    }

    /// Calls `listener` with what faults do to nodes, frames and operations, before anything that is
    /// observed afterwards. It is for those who ask whether a fault has met its moment.
    pub fn listen_incidents(&self, listener: impl FnMut(&Incident) + Send + 'static) {
        self.shared.lock().incidents.begin();
        let listeners = self.shared.0.incident_listeners.lock();
        listeners.unwrap_or_else(PoisonError::into_inner).push(Box::new(listener));
    }

    /// Returns an object as it is, without delay or failure.
    pub fn peek(&self, key: &str) -> Option<Bytes> {
        self.shared.lock().store.objects.get(key).cloned()
    }

    /// Returns the keys under a prefix as they are, without delay or failure.
    pub fn peek_list(&self, prefix: &str) -> Vec<String> {
        let entries = self.shared.lock().store.list(prefix);
        entries.into_iter().map(|entry| entry.key).collect()
    }

    /// Puts an object there before the story begins.
    pub fn preload(&self, key: &str, content: Bytes) {
        self.shared.lock().store.objects.insert(key.to_owned(), content);
    }

    /// Returns how many frames and operations were struck by faults so far.
    pub fn struck_count(&self) -> u64 {
        self.shared.lock().struck_count
    }
}
