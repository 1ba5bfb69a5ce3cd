//! The world of one run: everything the nodes share, and what a story can do to them.

use std::{
    collections::BTreeMap,
    future::poll_fn,
    pin::Pin,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    task::{Poll, Waker},
    time::Duration,
};

use bytes::Bytes;
use floodmark_platform::{BoxFuture, Machine, Observation};
use futures_util::FutureExt as _;
use madsim::{
    runtime::{Handle, NodeHandle},
    time::{Instant, Sleep, TimeHandle},
};
use tokio::sync::oneshot;
use xxhash_rust::xxh3::xxh3_64;

use crate::{
    DiskFate, Fault, FaultPlan, LinkProfile, LinkSelector, NodeId, PlannedFault, RunError,
    StoreEffect, When,
    choice::Choices,
    disk::Disk,
    machine::SimMachine,
    network::Network,
    node::{Condition, Life, Node, NodeClock},
    rule::{FrameFate, FrameView, Rule, Rules},
    store::Store,
    trace::Trace,
};

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
    pub(crate) failure: Option<RunError>,
    pub(crate) on_failure: Option<Waker>,
    pub(crate) event_budget: u64,
    is_verbose: bool,
    faults: Faults,
}

/// The faults of the plan.
#[derive(Default)]
struct Faults {
    next: u64,
    pending_count: usize,
    is_healed: bool,
    /// How often each label was observed.
    observed: BTreeMap<&'static str, u32>,
    /// Those that wait for an observation.
    waiting: Vec<(String, u32, oneshot::Sender<()>)>,
}

type Listener = Box<dyn FnMut(&Seen<'_>) + Send>;
type StoreListener = Box<dyn FnMut(&StoreEffect<'_>) + Send>;

/// A handle to the state, for everything that is part of the simulated world.
#[derive(Clone)]
pub(crate) struct Shared(Arc<Inside>);

struct Inside {
    state: Mutex<State>,
    listeners: Mutex<Vec<Listener>>,
    store_listeners: Mutex<Vec<StoreListener>>,
    time: TimeHandle,
    start: Instant,
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
            failure: None,
            on_failure: None,
            event_budget,
            is_verbose: false,
            faults: Faults::default(),
        }
    }

    pub(crate) fn verbose(self, is_verbose: bool) -> Self {
        Self { is_verbose, ..self }
    }

    pub(crate) fn name(&self, node: NodeId) -> Arc<str> {
        self.nodes[node.0].name.clone()
    }

    pub(crate) fn find(&self, name: &str) -> Option<NodeId> {
        self.nodes.iter().position(|node| &*node.name == name).map(NodeId)
    }

    pub(crate) fn is_alive(&self, life: Life) -> bool {
        let node = &self.nodes[life.node.0];
        node.incarnation == life.incarnation && node.condition != Condition::Dead
    }

    /// Keeps an event in words, if someone will read them.
    pub(crate) fn log(&mut self, now: Duration, node: NodeId, text: impl FnOnce() -> String) {
        if self.is_verbose {
            let name = self.name(node);
            self.trace.log(now, &name, text());
        }
    }

    fn fail(&mut self, failure: RunError) {
        self.failure.get_or_insert(failure);
        if let Some(waker) = self.on_failure.take() {
            waker.wake();
        }
    }
}

impl Shared {
    pub(crate) fn new(state: State, time: TimeHandle, apart: NodeHandle) -> Self {
        Self(Arc::new(Inside {
            state: Mutex::new(state),
            listeners: Mutex::default(),
            store_listeners: Mutex::default(),
            start: time.now_instant(),
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
        self.0.time.now_instant() - self.0.start
    }

    /// Completes at a moment of virtual time.
    pub(crate) fn sleep_until(&self, moment: Duration) -> Pin<Box<Sleep>> {
        let mut sleep = Box::pin(self.0.time.sleep(Duration::ZERO));
        // A plain sleep lasts at least a millisecond; a deadline is exact.
        sleep.as_mut().reset(self.0.start + moment.max(self.now()));
        sleep
    }

    /// Runs a task that belongs to no node.
    pub(crate) fn spawn_apart(&self, task: impl Future<Output = ()> + Send + 'static) {
        drop(self.0.apart.spawn(task));
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
            let count = state.faults.observed.entry(label).or_default();
            *count += 1;
            let count = *count;
            let (due, waiting) = std::mem::take(&mut state.faults.waiting)
                .into_iter()
                .partition(|(wanted, number, _)| wanted == label && *number <= count);
            state.faults.waiting = waiting;
            let due: Vec<(String, u32, oneshot::Sender<()>)> = due;
            // A fault that was healed meanwhile no longer waits.
            for (_, _, sender) in due {
                let _ = sender.send(());
            }
            state.name(life.node)
        };
        let seen = Seen {
            at,
            node: life.node,
            node_name: &name,
            incarnation: life.incarnation,
            observation,
        };
        let mut listeners = self.0.listeners.lock().unwrap_or_else(PoisonError::into_inner);
        listeners.iter_mut().for_each(|listener| listener(&seen));
        drop(listeners);
        self.check_budget();
    }

    pub(crate) fn tell_store_listeners(&self, effect: &StoreEffect<'_>) {
        let mut listeners = self.0.store_listeners.lock().unwrap_or_else(PoisonError::into_inner);
        listeners.iter_mut().for_each(|listener| listener(effect));
    }

    /// Drops the listeners, which may hold on to the world.
    pub(crate) fn forget_listeners(&self) {
        self.0.listeners.lock().unwrap_or_else(PoisonError::into_inner).clear();
        self.0.store_listeners.lock().unwrap_or_else(PoisonError::into_inner).clear();
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
        let machine = Machine::new(SimMachine { shared: self.clone(), life });
        let shared = self.clone();
        drop(handle.spawn(async move {
            let body = async { main(machine).await };
            if std::panic::AssertUnwindSafe(body).catch_unwind().await.is_err() {
                let now = shared.now();
                shared.lock().log(now, node, || "its main function panicked".to_owned());
            }
        }));
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
        let now = self.now();
        let handle = {
            let mut state = self.shared.lock();
            let state = &mut *state;
            let Node { condition, incarnation, handle, disk, .. } = &mut state.nodes[node.0];
            if *condition == Condition::Dead {
                return;
            }
            *condition = Condition::Dead;
            let life = Life { node, incarnation: *incarnation };
            disk.crash(node.0 as u64, &mut state.choices);
            let handle = handle.clone();
            state.trace.add("crash", now, &[node.0 as u64]);
            state.log(now, node, || "crashes".to_owned());
            state.break_links_of(life, now);
            handle
        };
        // The node is dead before its destructors run, so nobody sees what they do.
        Handle::current().kill(handle.id());
    }

    /// Starts a node again that was killed.
    pub fn restart(&self, node: NodeId, disk: DiskFate) {
        let name = self.shared.lock().name(node);
        let handle = Handle::current().create_node().name(&*name).build();
        {
            let now = self.now();
            let mut state = self.shared.lock();
            let entry = &mut state.nodes[node.0];
            if entry.condition != Condition::Dead {
                return;
            }
            let old = Life { node, incarnation: entry.incarnation };
            entry.condition = Condition::Running;
            entry.incarnation += 1;
            entry.handle = handle;
            if disk == DiskFate::Lost {
                entry.disk.lose();
            }
            state.reset_links_of(old);
            state.trace.add("restart", now, &[node.0 as u64]);
            state.log(now, node, || format!("starts again {disk}"));
        }
        self.shared.start(node);
    }

    /// Stops a node in the middle of whatever it does. It will not notice.
    pub fn pause(&self, node: NodeId) {
        self.set_condition(node, Condition::Running, Condition::Paused, "falls asleep");
        let handle = self.shared.lock().nodes[node.0].handle.clone();
        Handle::current().pause(handle.id());
    }

    /// Lets a paused node go on.
    pub fn resume(&self, node: NodeId) {
        self.set_condition(node, Condition::Paused, Condition::Running, "wakes up");
        let handle = self.shared.lock().nodes[node.0].handle.clone();
        Handle::current().resume(handle.id());
    }

    fn set_condition(&self, node: NodeId, from: Condition, to: Condition, text: &str) {
        let now = self.now();
        let mut state = self.shared.lock();
        if state.nodes[node.0].condition == from {
            state.nodes[node.0].condition = to;
            state.trace.add("condition", now, &[node.0 as u64, to as u64]);
            state.log(now, node, || text.to_owned());
        }
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

    /// Calls `listener` with every observation, at the moment it is made.
    pub fn listen(&self, listener: impl FnMut(&Seen<'_>) + Send + 'static) {
        let mut listeners = self.shared.0.listeners.lock().unwrap_or_else(PoisonError::into_inner);
        listeners.push(Box::new(listener));
    }

    /// Calls `listener` with every effect on the object store, at the moment it happens.
    pub fn listen_store(&self, listener: impl FnMut(&StoreEffect<'_>) + Send + 'static) {
        let listeners = self.shared.0.store_listeners.lock();
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

    /// Lets the faults of a plan happen, each at its moment.
    pub fn schedule(&self, plan: &FaultPlan) {
        for PlannedFault { when, what } in plan.0.clone() {
            let number = {
                let mut state = self.shared.lock();
                state.faults.pending_count += 1;
                state.faults.next += 1;
                state.faults.next
            };
            let world = self.clone();
            self.shared.spawn_apart(async move {
                let has_come = world.await_moment(when).await;
                world.shared.lock().faults.pending_count -= 1;
                if has_come && !world.shared.lock().faults.is_healed {
                    world.inflict(number, what).await;
                }
            });
        }
    }

    /// Returns whether a fault is in force or still to come.
    pub fn has_faults(&self) -> bool {
        let state = self.shared.lock();
        let all_run = state.nodes.iter().all(|node| node.condition == Condition::Running);
        0 < state.faults.pending_count || !state.rules.is_empty() || !all_run
    }

    /// Ends all faults: nothing is lost or late any more, everybody is awake, and no fault follows.
    pub fn heal(&self) {
        let now = self.now();
        let (paused, dead) = {
            let mut state = self.shared.lock();
            state.rules.clear();
            state.faults.is_healed = true;
            state.faults.waiting.clear();
            state.trace.add("heal", now, &[]);
            let with = |condition| {
                let nodes = state.nodes.iter().enumerate();
                let matching = nodes.filter(move |(_, node)| node.condition == condition);
                matching.map(|(index, _)| NodeId(index)).collect::<Vec<_>>()
            };
            (with(Condition::Paused), with(Condition::Dead))
        };
        self.wake_links();
        paused.into_iter().for_each(|node| self.resume(node));
        dead.into_iter().for_each(|node| self.restart(node, DiskFate::Kept));
    }

    fn wake_links(&self) {
        let mut state = self.shared.lock();
        state.network.links.values_mut().for_each(|link| link.wake());
    }

    /// Waits for the moment of a fault. Returns false if it will not come.
    async fn await_moment(&self, when: When) -> bool {
        match when {
            When::At(time) => {
                self.shared.sleep_until(time).await;
                true
            }
            When::After { label, occurrence, delay } => {
                let (sender, reached) = oneshot::channel();
                self.shared.lock().faults.waiting.push((label, occurrence, sender));
                if reached.await.is_err() {
                    return false;
                }
                self.sleep(delay).await;
                true
            }
        }
    }

    /// Lets a fault happen, and end when its time is over.
    async fn inflict(&self, number: u64, fault: Fault) {
        let now = self.now();
        {
            let mut state = self.shared.lock();
            let text = fault.to_string();
            state.trace.add("fault", now, &[xxh3_64(text.as_bytes())]);
            if state.is_verbose {
                state.trace.log(now, "FAULT", text);
            }
        }
        match fault {
            Fault::Crash { node, down_for, disk } => {
                let Some(node) = self.node(&node) else { return };
                self.crash(node);
                if let Some(down_for) = down_for {
                    self.sleep(down_for).await;
                    self.restart(node, disk);
                }
            }
            Fault::Pause { node, lasts } => {
                let Some(node) = self.node(&node) else { return };
                if self.is_running(node) {
                    self.pause(node);
                    self.sleep(lasts).await;
                    self.resume(node);
                }
            }
            Fault::Partition { from, to, direction, lasts } => {
                let find =
                    |names: Vec<String>| names.iter().filter_map(|name| self.node(name)).collect();
                let (from, to) = (find(from), find(to));
                self.rule(number, Rule::Partition { from, to, direction }, lasts).await;
            }
            Fault::Clog { link, lasts } => self.rule(number, Rule::Hold(link), lasts).await,
            Fault::Slow { link, extra, lasts } => {
                self.rule(number, Rule::Slow(link, extra), lasts).await;
            }
            Fault::Lose { link, per_mille, limit, lasts } => {
                let rule = Rule::Frame { what: FrameFate::Lose, link, per_mille, left: limit };
                self.rule(number, rule, lasts).await;
            }
            Fault::Duplicate { link, per_mille, limit, lasts } => {
                let rule = Rule::Frame { what: FrameFate::Duplicate, link, per_mille, left: limit };
                self.rule(number, rule, lasts).await;
            }
            Fault::Reorder { link, per_mille, limit, lasts } => {
                let rule = Rule::Frame { what: FrameFate::Reorder, link, per_mille, left: limit };
                self.rule(number, rule, lasts).await;
            }
            Fault::Reset { link } => self.reset(&link),
            Fault::Skew { node, offset_ms, drift_ppm } => {
                let Some(node) = self.node(&node) else { return };
                let mut state = self.shared.lock();
                state.nodes[node.0].clock.skew(now, offset_ms, drift_ppm);
            }
            Fault::StoreError { store, effect, per_mille, limit, lasts } => {
                let rule = Rule::StoreError { store, effect, per_mille, left: limit };
                self.rule(number, rule, lasts).await;
            }
            Fault::StoreSlow { store, extra, lasts } => {
                self.rule(number, Rule::StoreSlow(store, extra), lasts).await;
            }
        }
    }

    async fn rule(&self, number: u64, rule: Rule, lasts: Duration) {
        self.shared.lock().rules.add(number, rule);
        self.sleep(lasts).await;
        self.shared.lock().rules.remove(number);
        self.wake_links();
    }

    fn reset(&self, selector: &LinkSelector) {
        let mut state = self.shared.lock();
        let state = &mut *state;
        let nodes = &state.nodes;
        for link in state.network.links.values_mut() {
            let view = FrameView {
                from: (link.from.node, &nodes[link.from.node.0].name),
                to: (link.to.node, &nodes[link.to.node.0].name),
                kind: "",
                actor: link.actor,
            };
            // A connection carries all kinds, so the kind does not matter.
            let any_kind = LinkSelector { kind: None, ..selector.clone() };
            if any_kind.matches(view) {
                link.reset();
            }
        }
    }
}
