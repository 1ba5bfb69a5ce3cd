//! What is known of a run at its end, and explains what happened before.

use std::collections::{BTreeMap, BTreeSet};

use floodmark::{Attempt, CheckpointId, RuntimeEvent, SubtaskId};

use crate::{Account, account::event};

/// One transaction of one sink.
pub(super) type Transaction = (SubtaskId, String, CheckpointId);

/// A run, looked back on.
#[derive(Clone, Debug, Default)]
pub(super) struct Hindsight {
    /// The node on which each attempt of a subtask began.
    places: BTreeMap<(SubtaskId, Attempt), String>,
    /// The newest attempt of each subtask.
    newest: BTreeMap<SubtaskId, Attempt>,
    /// Subtasks of which two attempts can be confused: they ran on several nodes, or an old one acted
    /// when its successor had begun.
    confusable: BTreeSet<SubtaskId>,
    /// The checkpoint from which each attempt began.
    restored: BTreeMap<Attempt, CheckpointId>,
    /// The attempts in which each checkpoint was triggered.
    triggered: BTreeMap<CheckpointId, BTreeSet<Attempt>>,
    prepared: BTreeMap<Transaction, BTreeSet<Attempt>>,
    committed: BTreeSet<Transaction>,
    /// Who committed something when told that a checkpoint is complete.
    acted_on: BTreeSet<(Attempt, SubtaskId, CheckpointId)>,
    /// Snapshots that were stored or declined.
    settled: BTreeSet<(Attempt, SubtaskId, CheckpointId)>,
}

impl Hindsight {
    pub(super) fn new(account: &Account) -> Self {
        let mut hindsight = Self::default();
        for happening in &account.chronicle.0 {
            if let Some(event) = event(happening) {
                hindsight.on_event(happening.node.as_deref().unwrap_or_default(), event);
            }
        }
        hindsight
    }

    #[expect(clippy::wildcard_enum_match_arm, reason = "few events explain others")]
    fn on_event(&mut self, node: &str, event: &RuntimeEvent) {
        if let (Some(subtask), Some(attempt)) = (event.subtask(), event.attempt())
            && Some(&attempt) < self.newest.get(&subtask)
        {
            self.confusable.insert(subtask);
        }
        match event {
            RuntimeEvent::SubtaskStarted { attempt, subtask, .. } => {
                let key = (*subtask, *attempt);
                let mut others = self.places.range((*subtask, Attempt::default())..);
                let is_ours = |((one, _), _): &(&(SubtaskId, Attempt), &String)| *one == *subtask;
                if others.by_ref().take_while(is_ours).any(|(_, place)| place != node) {
                    self.confusable.insert(*subtask);
                }
                self.places.insert(key, node.to_owned());
                let newest = self.newest.entry(*subtask).or_default();
                *newest = (*newest).max(*attempt);
            }
            RuntimeEvent::AttemptStarted { attempt, restored: Some(checkpoint) } => {
                self.restored.insert(*attempt, *checkpoint);
            }
            RuntimeEvent::CheckpointTriggered { attempt, checkpoint, .. } => {
                self.triggered.entry(*checkpoint).or_default().insert(*attempt);
            }
            RuntimeEvent::TransactionPrepared { attempt, subtask, operator, checkpoint } => {
                let transaction = (*subtask, operator.clone(), *checkpoint);
                self.prepared.entry(transaction).or_default().insert(*attempt);
            }
            RuntimeEvent::TransactionCommitted {
                attempt,
                subtask,
                operator,
                checkpoint,
                notified,
            } => {
                self.committed.insert((*subtask, operator.clone(), *checkpoint));
                self.acted_on.insert((*attempt, *subtask, *notified));
            }
            RuntimeEvent::SnapshotStored { attempt, subtask, checkpoint, .. }
            | RuntimeEvent::SnapshotDeclined { attempt, subtask, checkpoint, .. } => {
                self.settled.insert((*attempt, *subtask, *checkpoint));
            }
            _ => {}
        }
    }

    /// Returns where and in which attempt a subtask acts, if another of its name could be meant.
    pub(super) fn instance(&self, subtask: SubtaskId, attempt: Attempt) -> Option<String> {
        if !self.confusable.contains(&subtask) {
            return None;
        }
        Some(match self.places.get(&(subtask, attempt)) {
            Some(node) => format!("on {node} ({attempt})"),
            None => format!("({attempt})"),
        })
    }

    /// Returns the node on which an attempt of a subtask began.
    pub(super) fn place(&self, subtask: SubtaskId, attempt: Attempt) -> Option<&str> {
        self.places.get(&(subtask, attempt)).map(String::as_str)
    }

    /// Returns the checkpoint from which an attempt began.
    pub(super) fn restored(&self, attempt: Attempt) -> Option<CheckpointId> {
        self.restored.get(&attempt).copied()
    }

    /// Returns what to call a checkpoint: with its attempt, if two attempts used one number.
    pub(super) fn name_of(&self, checkpoint: CheckpointId, attempt: Option<Attempt>) -> String {
        let owners = self.triggered.get(&checkpoint).filter(|owners| 1 < owners.len());
        match attempt.filter(|attempt| owners.is_some_and(|owners| owners.contains(attempt))) {
            Some(attempt) => format!("{checkpoint} of {attempt}"),
            None => checkpoint.to_string(),
        }
    }

    /// Returns whether a transaction was prepared and never committed.
    pub(super) fn is_lost(&self, transaction: &Transaction) -> bool {
        self.prepared.contains_key(transaction) && !self.committed.contains(transaction)
    }

    /// Returns the transactions up to a checkpoint that an attempt of a subtask prepared, and that were
    /// never committed.
    pub(super) fn lost_by(
        &self,
        subtask: SubtaskId,
        attempt: Attempt,
        checkpoint: CheckpointId,
    ) -> impl Iterator<Item = &Transaction> {
        let ours = self.prepared.iter().filter(move |((one, _, epoch), attempts)| {
            *one == subtask && *epoch <= checkpoint && attempts.contains(&attempt)
        });
        ours.map(|(transaction, _)| transaction).filter(|transaction| self.is_lost(transaction))
    }

    /// Returns whether a subtask committed something when it was told that a checkpoint is complete.
    pub(super) fn has_committed(
        &self,
        attempt: Attempt,
        subtask: SubtaskId,
        notified: CheckpointId,
    ) -> bool {
        self.acted_on.contains(&(attempt, subtask, notified))
    }

    /// Returns whether a snapshot was ever stored or declined.
    pub(super) fn is_settled(&self, snapshot: (Attempt, SubtaskId, CheckpointId)) -> bool {
        self.settled.contains(&snapshot)
    }
}
