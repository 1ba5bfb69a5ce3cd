//! The faults of a run: each waits for its moment, strikes, and ends.

use std::{collections::BTreeMap, time::Duration};

use tokio::sync::oneshot;
use xxhash_rust::xxh3::xxh3_64;

use crate::{
    DiskFate, Fault, FaultPlan, LinkSelector, NodeId, PlannedFault, When, World,
    node::Condition,
    rule::{FrameFate, FrameView, Rule},
};

/// The faults of the plan.
#[derive(Default)]
pub(super) struct Faults {
    pub(super) next: u64,
    pub(super) pending_count: usize,
    pub(super) is_healed: bool,
    /// How often each label was observed.
    pub(super) observed: BTreeMap<&'static str, u32>,
    /// Those that wait for an observation.
    pub(super) waiting: Vec<(String, u32, oneshot::Sender<()>)>,
}

impl World {
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
