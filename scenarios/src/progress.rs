//! What was seen of a run so far, for probes that ask about more than one event.

use std::collections::{BTreeMap, BTreeSet};

use floodmark::{
    Attempt, ChannelId, CheckpointId, EdgeId, JobGraph, RuntimeEvent, SubtaskId, VertexId,
};
use floodmark_sim::{FrameFate, Incident};

use crate::Sighting;

/// What was seen so far. Grows with checkpoints and nodes, not with records.
#[derive(Debug, Default)]
pub struct Progress {
    /// The attempt that was started last.
    pub attempt: Option<Attempt>,
    /// Whether that attempt begins from a checkpoint and does not run yet.
    pub is_restoring: bool,
    /// How often a node died or fell asleep while an attempt was being restored.
    pub restore_crash_count: u32,
    /// Checkpoints that were triggered, and neither completed nor given up.
    pub in_flight: BTreeSet<CheckpointId>,
    /// Subtasks that have acknowledged each checkpoint.
    pub acknowledged: BTreeMap<CheckpointId, BTreeSet<SubtaskId>>,
    /// Checkpoints whose manifest is stored.
    pub manifests: BTreeSet<CheckpointId>,
    /// Checkpoints of which at least one subtask was told that they are complete.
    pub notified: BTreeSet<CheckpointId>,
    /// Checkpoints that the attempt gave up.
    pub aborted: BTreeSet<CheckpointId>,
    /// Checkpoints of which at least one sink has prepared a transaction.
    pub prepared: BTreeSet<CheckpointId>,
    /// The checkpoint that was retired last, until another one is triggered.
    pub just_retired: Option<CheckpointId>,
    /// By node.
    pub nodes: BTreeMap<String, NodeProgress>,
    /// Subtasks of the attempt that have begun.
    pub started: BTreeSet<SubtaskId>,
    /// Subtasks that have set a timer in the attempt.
    pub timers_set: BTreeSet<SubtaskId>,
    /// Frames that faults struck, by kind and fate.
    pub struck: BTreeSet<(&'static str, FrameFate)>,
    /// The receiving vertex of each edge.
    targets: BTreeMap<EdgeId, VertexId>,
}

/// What was seen of one node.
#[derive(Debug, Default)]
pub struct NodeProgress {
    /// Subtasks that wait for barriers, and for those of which checkpoint.
    pub aligning: BTreeMap<SubtaskId, CheckpointId>,
    /// Subtasks that have begun in the last attempt.
    pub subtasks: BTreeSet<SubtaskId>,
    /// Transactions that were prepared here and not committed here.
    pub prepared: BTreeSet<(SubtaskId, CheckpointId)>,
    /// Snapshots that were taken here and are not yet stored.
    pub uploading: BTreeSet<(SubtaskId, CheckpointId)>,
    /// The latest checkpoint of which each subtask here took its snapshot.
    pub snapshots: BTreeMap<SubtaskId, CheckpointId>,
    /// How often it died.
    pub crash_count: u32,
    /// Whether it is dead.
    pub is_dead: bool,
    /// Whether it sleeps.
    pub is_asleep: bool,
    /// Attempts that began elsewhere while it slept.
    pub slept_through: BTreeSet<Attempt>,
    /// Checkpoints that were completed while it slept, and of which it was told in its sleep.
    pub completed_asleep: BTreeSet<CheckpointId>,
}

impl Progress {
    /// Begins a run of a job.
    pub fn new(job: &JobGraph) -> Self {
        let targets = job.edges.iter().map(|edge| (edge.id, edge.to)).collect();
        Self { targets, ..Self::default() }
    }

    /// Returns the subtasks of a node that receive from others.
    pub fn receivers<'a>(&'a self, node: &'a NodeProgress) -> impl Iterator<Item = SubtaskId> + 'a {
        let is_target = |subtask: &SubtaskId| self.targets.values().any(|it| *it == subtask.vertex);
        node.subtasks.iter().copied().filter(is_target)
    }

    /// Returns how many nodes whose names begin so are not dead.
    pub fn living_count(&self, prefix: &str) -> usize {
        let named = self.nodes.iter().filter(|(name, _)| name.starts_with(prefix));
        named.filter(|(_, node)| !node.is_dead).count()
    }

    /// Returns whether all subtasks of the attempt have acknowledged a checkpoint that is neither
    /// complete nor given up.
    pub fn is_manifest_due(&self) -> bool {
        let all = self.started.len();
        let acknowledged = |checkpoint| self.acknowledged.get(checkpoint).map_or(0, BTreeSet::len);
        0 < all && self.in_flight.iter().any(|checkpoint| acknowledged(checkpoint) == all)
    }

    /// Returns whether a manifest is stored of which no subtask has been told.
    pub fn is_notification_due(&self) -> bool {
        self.manifests.last().is_some_and(|newest| !self.notified.contains(newest))
    }

    /// Takes something into account.
    pub fn see(&mut self, sighting: Sighting<'_>) {
        match sighting {
            Sighting::Event(node, event) => self.on_event(node, event),
            Sighting::Incident(incident) => self.on_incident(incident),
        }
    }

    fn on_incident(&mut self, incident: &Incident) {
        match incident {
            Incident::Crashed { node } => {
                self.restore_crash_count += u32::from(self.is_restoring);
                let entry = self.nodes.entry(node.to_string()).or_default();
                let crash_count = entry.crash_count + 1;
                *entry = NodeProgress { crash_count, is_dead: true, ..NodeProgress::default() };
            }
            Incident::Restarted { node } => {
                self.nodes.entry(node.to_string()).or_default().is_dead = false;
            }
            Incident::FellAsleep { node } => {
                self.restore_crash_count += u32::from(self.is_restoring);
                self.nodes.entry(node.to_string()).or_default().is_asleep = true;
            }
            Incident::Woke { node } => {
                let node = self.nodes.entry(node.to_string()).or_default();
                node.is_asleep = false;
                node.slept_through.clear();
                node.completed_asleep.clear();
            }
            Incident::FrameStruck { kind, fate, .. } => {
                self.struck.insert((*kind, *fate));
            }
            Incident::ClockJumped { .. }
            | Incident::FrameHeld { .. }
            | Incident::OperationStruck { .. }
            | Incident::CallStruck { .. }
            | Incident::OperationSlowed { .. }
            | Incident::ObjectCorrupted { .. }
            | Incident::ListingStale { .. }
            | Incident::DiskStruck { .. } => {}
        }
    }

    #[expect(clippy::wildcard_enum_match_arm, reason = "probes ask about a few kinds of event")]
    fn on_event(&mut self, name: &str, event: &RuntimeEvent) {
        if !self.nodes.contains_key(name) {
            self.nodes.insert(name.to_owned(), NodeProgress::default());
        }
        let node = self.nodes.get_mut(name).expect("the node was just added");
        match event {
            RuntimeEvent::AttemptStarted { attempt, restored } => {
                self.on_attempt(*attempt, restored.is_some());
            }
            RuntimeEvent::AttemptRunning { .. } | RuntimeEvent::AttemptFailed { .. } => {
                self.is_restoring = false;
            }
            RuntimeEvent::SubtaskStarted { subtask, .. } => {
                self.started.insert(*subtask);
                node.subtasks.insert(*subtask);
            }
            RuntimeEvent::TimerRegistered { attempt, subtask, .. }
                if self.attempt == Some(*attempt) =>
            {
                self.timers_set.insert(*subtask);
            }
            RuntimeEvent::CheckpointTriggered { checkpoint, .. } => {
                self.in_flight.insert(*checkpoint);
                self.just_retired = None;
            }
            RuntimeEvent::BarrierArrived {
                channel: ChannelId { edge, to, .. },
                checkpoint,
                ..
            } => {
                if let Some(vertex) = self.targets.get(edge) {
                    node.aligning.insert(SubtaskId { vertex: *vertex, index: *to }, *checkpoint);
                }
            }
            RuntimeEvent::AlignmentAborted { subtask, .. } => {
                node.aligning.remove(subtask);
            }
            RuntimeEvent::SnapshotTaken { subtask, checkpoint, .. } => {
                node.aligning.remove(subtask);
                node.uploading.insert((*subtask, *checkpoint));
                node.snapshots.insert(*subtask, *checkpoint);
            }
            RuntimeEvent::SnapshotStored { subtask, checkpoint, .. } => {
                node.uploading.remove(&(*subtask, *checkpoint));
            }
            RuntimeEvent::TransactionPrepared { subtask, checkpoint, .. } => {
                node.prepared.insert((*subtask, *checkpoint));
                self.prepared.insert(*checkpoint);
            }
            RuntimeEvent::TransactionCommitted { subtask, checkpoint, .. } => {
                node.prepared.remove(&(*subtask, *checkpoint));
            }
            RuntimeEvent::CheckpointAcknowledged { checkpoint, subtask, .. } => {
                self.acknowledged.entry(*checkpoint).or_default().insert(*subtask);
            }
            RuntimeEvent::ManifestStored { checkpoint, .. } => {
                self.in_flight.remove(checkpoint);
                self.manifests.insert(*checkpoint);
                for node in self.nodes.values_mut().filter(|node| node.is_asleep) {
                    if node.slept_through.is_empty() {
                        node.completed_asleep.insert(*checkpoint);
                    }
                }
            }
            RuntimeEvent::CheckpointNotified { checkpoint, .. } => {
                self.notified.insert(*checkpoint);
            }
            RuntimeEvent::CheckpointAborted { checkpoint, .. } => {
                self.in_flight.remove(checkpoint);
                self.aborted.insert(*checkpoint);
            }
            RuntimeEvent::CheckpointRetired { checkpoint } => {
                self.just_retired = Some(*checkpoint);
            }
            _ => {}
        }
    }

    fn on_attempt(&mut self, attempt: Attempt, is_restored: bool) {
        self.attempt = Some(attempt);
        self.is_restoring = is_restored;
        self.started.clear();
        self.timers_set.clear();
        self.in_flight.clear();
        self.aborted.clear();
        for node in self.nodes.values_mut() {
            if node.is_asleep {
                node.slept_through.insert(attempt);
            } else {
                node.aligning.clear();
                node.uploading.clear();
                node.subtasks.clear();
                node.snapshots.clear();
                node.prepared.clear();
            }
        }
    }
}
