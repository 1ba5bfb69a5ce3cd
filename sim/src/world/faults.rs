//! The faults of a run: each waits for its moment, strikes, and ends.

use std::{collections::BTreeMap, time::Duration};

use floodmark_platform::Observation;
use tokio::sync::oneshot;
use xxhash_rust::xxh3::xxh3_64;

use crate::{
    DiskFate, DiskHarm, DiskSelector, EventSelector, Fault, FaultPlan, FrameFate, Happening,
    Incident, LinkSelector, NodeId, PlannedFault, What, When, World,
    choice::{actor_named, actor_of},
    node::Condition,
    rule::{FaultName, FrameView, Rule},
};

/// The faults of the plan.
#[derive(Default)]
pub(super) struct Faults {
    pub(super) next: u64,
    pub(super) pending_count: usize,
    pub(super) is_healed: bool,
    /// Those that wait for an observation.
    waiting: Vec<Waiting>,
}

/// A fault that waits for an observation.
struct Waiting {
    event: EventSelector,
    /// How many more it lets pass, this one included.
    left: u32,
    reached: oneshot::Sender<()>,
}

/// When a fault strikes.
enum Moment {
    At(Duration),
    After(oneshot::Receiver<()>, Duration),
}

impl Faults {
    /// Lets those strike that waited for this observation.
    pub(super) fn on_observation(&mut self, node: &str, observation: &dyn Observation) {
        if self.waiting.is_empty() {
            return;
        }
        let label = observation.label();
        let is_due = |waiting: &mut Waiting| {
            if waiting.event.matches(label, node, observation) {
                waiting.left -= 1;
            }
            waiting.left == 0
        };
        for waiting in self.waiting.extract_if(.., is_due) {
            // A fault that was healed meanwhile no longer waits.
            let _ = waiting.reached.send(());
        }
    }

    /// Begins to wait, at once: the next observation counts.
    fn wait(&mut self, when: When) -> Moment {
        match when {
            When::At(time) => Moment::At(time),
            When::After { event, occurrence, delay } => {
                let (reached, receiver) = oneshot::channel();
                self.waiting.push(Waiting { event, left: occurrence.max(1), reached });
                Moment::After(receiver, delay)
            }
        }
    }
}

/// Names the faults of a plan in choices: by what they are, so that a name stays when other faults
/// are left out, and also when the fault becomes shorter, comes at another time, or strikes less.
/// Equals are counted.
fn names(plan: &FaultPlan) -> Vec<FaultName> {
    let mut counts: BTreeMap<String, u64> = BTreeMap::new();
    let name = |fault: &PlannedFault| {
        let text = fault.bare().to_string();
        let hash = xxh3_64(text.as_bytes());
        let count = counts.entry(text).or_default();
        *count += 1;
        FaultName(actor_of([hash, *count]))
    };
    plan.0.iter().map(name).collect()
}

impl EventSelector {
    fn matches(&self, label: &str, node: &str, observation: &dyn Observation) -> bool {
        if self.label != label || self.node.as_deref().is_some_and(|wanted| wanted != node) {
            return false;
        }
        if self.fields.is_empty() {
            return true;
        }
        let fields = observation.fields();
        let has = |(name, value): &(String, u64)| fields.contains(&(name.as_str(), *value));
        self.fields.iter().all(has)
    }
}

impl World {
    /// Lets the faults of a plan happen, each at its moment.
    pub fn schedule(&self, plan: &FaultPlan) {
        for (PlannedFault { when, what }, name) in plan.0.iter().zip(names(plan)) {
            let (when, what) = (when.clone(), what.clone());
            let (number, moment) = {
                let mut state = self.shared.lock();
                state.faults.pending_count += 1;
                state.faults.next += 1;
                (state.faults.next, state.faults.wait(when))
            };
            let world = self.clone();
            self.shared.spawn_apart(async move {
                let has_come = world.await_moment(moment).await;
                world.shared.lock().faults.pending_count -= 1;
                if has_come && !world.shared.lock().faults.is_healed {
                    world.record(What::FaultBegan { number, fault: what.clone() });
                    world.inflict((number, name), what).await;
                    world.record(What::FaultEnded { number });
                }
            });
        }
    }

    /// Adds what happened on no node to the chronicle, if one is kept.
    fn record(&self, what: What) {
        let at = self.now();
        self.shared.lock().record_apart(Happening { at, node: None, what });
    }

    /// Returns whether a fault is in force or still to come.
    pub fn has_faults(&self) -> bool {
        self.has_active_faults() || 0 < self.pending_fault_count()
    }

    /// Returns whether a fault is in force: a rule, or a node that is dead or asleep.
    pub fn has_active_faults(&self) -> bool {
        let state = self.shared.lock();
        let all_run = state.nodes.iter().all(|node| node.condition == Condition::Running);
        !state.rules.is_empty() || !all_run
    }

    /// Returns how many faults of the plans are still to come; none after [`World::heal`].
    pub fn pending_fault_count(&self) -> usize {
        let state = self.shared.lock();
        if state.faults.is_healed { 0 } else { state.faults.pending_count }
    }

    /// Ends all faults: nothing is lost or late any more, everybody is awake, and no fault follows.
    pub fn heal(&self) {
        let now = self.now();
        self.record(What::Healed);
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
    async fn await_moment(&self, moment: Moment) -> bool {
        match moment {
            Moment::At(time) => {
                self.shared.sleep_until(time).await;
                true
            }
            Moment::After(reached, delay) => {
                if reached.await.is_err() {
                    return false;
                }
                self.sleep(delay).await;
                true
            }
        }
    }

    /// Lets a fault happen, and end when its time is over.
    async fn inflict(&self, number: (u64, FaultName), fault: Fault) {
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
                self.crash_by(node, number.1);
                if disk == DiskFate::Lost {
                    // At once, so that it is lost even if everything heals before the restart.
                    self.shared.lock().nodes[node.0].disk.lose();
                }
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
            Fault::Jump { node, offset_ms } => {
                let Some(node) = self.node(&node) else { return };
                let mut state = self.shared.lock();
                state.nodes[node.0].clock.jump(offset_ms);
                let name = state.name(node);
                state.incidents.add(Incident::ClockJumped { node: name });
            }
            Fault::Drift { node, ppm } => {
                let Some(node) = self.node(&node) else { return };
                self.shared.lock().nodes[node.0].clock.drift(now, ppm);
            }
            Fault::StoreError { store, effect, per_mille, limit, lasts } => {
                let rule = Rule::StoreError { store, effect, per_mille, left: limit };
                self.rule(number, rule, lasts).await;
            }
            Fault::CallError { call, effect, per_mille, limit, lasts } => {
                let rule = Rule::CallError { call, effect, per_mille, left: limit };
                self.rule(number, rule, lasts).await;
            }
            Fault::StoreSlow { store, extra, lasts } => {
                self.rule(number, Rule::StoreSlow(store, extra), lasts).await;
            }
            Fault::StoreCorruption { store, per_mille, limit, lasts } => {
                let rule = Rule::StoreCorruption { store, per_mille, left: limit };
                self.rule(number, rule, lasts).await;
            }
            Fault::StaleListing { store, age, lasts } => {
                self.rule(number, Rule::StaleListing(store, age), lasts).await;
            }
            Fault::ShortRead { disk, per_mille, limit, lasts } => {
                let rule = Rule::Disk { harm: DiskHarm::Short, disk, per_mille, left: limit };
                self.rule(number, rule, lasts).await;
            }
            Fault::CorruptRead { disk, per_mille, limit, lasts } => {
                let rule = Rule::Disk { harm: DiskHarm::Corrupt, disk, per_mille, left: limit };
                self.rule(number, rule, lasts).await;
            }
            Fault::DiskError { disk, per_mille, limit, lasts } => {
                let rule = Rule::Disk { harm: DiskHarm::Error, disk, per_mille, left: limit };
                self.rule(number, rule, lasts).await;
            }
            Fault::DiskFull { disk, lasts } => {
                let (harm, per_mille, left) = (DiskHarm::Full, 1000, u32::MAX);
                self.rule(number, Rule::Disk { harm, disk, per_mille, left }, lasts).await;
            }
            Fault::BitRot { disk } => self.rot(&disk, number.1),
        }
    }

    async fn rule(&self, (number, name): (u64, FaultName), rule: Rule, lasts: Duration) {
        self.shared.lock().rules.add(number, name, rule);
        self.sleep(lasts).await;
        self.shared.lock().rules.remove(number);
        self.wake_links();
    }

    /// Changes one byte of one file that a selector admits, if there is one that is not empty.
    fn rot(&self, selector: &DiskSelector, name: FaultName) {
        let mut state = self.shared.lock();
        let state = &mut *state;
        let nodes = state.nodes.iter().enumerate();
        let mut files: Vec<(usize, String)> = nodes
            .flat_map(|(index, node)| node.disk.list("").into_iter().map(move |name| (index, name)))
            .filter(|(index, name)| selector.matches(&state.nodes[*index].name, name))
            .filter(|(index, name)| !state.nodes[*index].disk.is_empty(name))
            .collect();
        if files.is_empty() {
            return;
        }
        let chosen = state.choices.below("rotten_file", name.0, files.len() as u64);
        let (index, name) =
            files.swap_remove(usize::try_from(chosen).expect("there are few files"));
        let actor = actor_named(index as u64, &name);
        state.nodes[index].disk.rot(&name, actor, &mut state.choices);
        let node = state.nodes[index].name.clone();
        state.incidents.add(Incident::DiskStruck { node, name, harm: DiskHarm::Rot });
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
                number: 0,
            };
            // A connection carries all kinds, so the kind does not matter.
            let any_kind = LinkSelector { kind: None, ..selector.clone() };
            if any_kind.matches(view) {
                link.reset();
            }
        }
    }
}
