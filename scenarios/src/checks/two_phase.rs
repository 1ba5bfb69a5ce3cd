//! An epoch becomes visible only after a manifest covers it, and if one does, it becomes visible.

use std::collections::{BTreeMap, BTreeSet};

use floodmark::{Attempt, CheckpointId, RuntimeEvent, SubtaskId};

use super::{Check, Names};

/// One subtask of one sink.
type Sink = (SubtaskId, String);

/// Follows every transaction from pre-commit to commit.
#[derive(Debug)]
pub struct TwoPhase {
    names: Names,
    /// Complete checkpoints and the attempt whose state they hold.
    manifests: BTreeMap<CheckpointId, Option<Attempt>>,
    /// Prepared transactions that were not committed, with the attempt that prepared them.
    prepared: BTreeMap<(Sink, CheckpointId), BTreeSet<Attempt>>,
    /// The last notification that each subtask heard.
    notified: BTreeMap<(Attempt, SubtaskId), CheckpointId>,
}

impl TwoPhase {
    /// Creates the check.
    pub fn new(names: Names) -> Self {
        Self {
            names,
            manifests: BTreeMap::new(),
            prepared: BTreeMap::new(),
            notified: BTreeMap::new(),
        }
    }

    fn on_commit(
        &mut self,
        sink: Sink,
        checkpoint: CheckpointId,
        notified: CheckpointId,
    ) -> Result<(), String> {
        let name = self.name_of(&sink);
        if notified < checkpoint {
            return Err(format!(
                "{name} committed its transaction of {checkpoint} when only {notified} was complete"
            ));
        }
        if !self.manifests.contains_key(&notified) {
            return Err(format!(
                "{name} committed its transaction of {checkpoint}, and no manifest of {notified} \
                 is stored"
            ));
        }
        self.prepared.remove(&(sink, checkpoint));
        Ok(())
    }

    /// A notification commits everything up to its checkpoint. What the one before it should have
    /// committed is overdue when the next one comes.
    fn on_notified(
        &mut self,
        attempt: Attempt,
        subtask: SubtaskId,
        checkpoint: CheckpointId,
    ) -> Result<(), String> {
        let before = self.notified.insert((attempt, subtask), checkpoint).unwrap_or_default();
        let mut overdue = self.prepared.iter().filter(|((sink, epoch), attempts)| {
            sink.0 == subtask && *epoch <= before && attempts.contains(&attempt)
        });
        match overdue.next() {
            Some(((sink, epoch), _)) => Err(format!(
                "{} was told that {before} is complete, and has not committed its transaction of \
                 {epoch} when it hears of {checkpoint}",
                self.name_of(sink),
            )),
            None => Ok(()),
        }
    }

    fn name_of(&self, sink: &Sink) -> String {
        format!("sink {} in {}", sink.1, self.names.of(sink.0))
    }

    /// Returns whether a stored manifest covers what `attempt` prepared for `checkpoint`.
    fn is_durable(&self, checkpoint: CheckpointId, attempts: &BTreeSet<Attempt>) -> bool {
        let covering = self.manifests.range(checkpoint..);
        covering.flat_map(|(_, attempt)| attempt).any(|attempt| attempts.contains(attempt))
    }
}

impl Check for TwoPhase {
    fn name(&self) -> &'static str {
        "two_phase"
    }

    #[expect(clippy::wildcard_enum_match_arm, reason = "a law is about a few kinds of event")]
    fn on_event(&mut self, _: &str, event: &RuntimeEvent) -> Result<(), String> {
        match event {
            RuntimeEvent::ManifestStored { attempt, checkpoint, .. } => {
                self.manifests.insert(*checkpoint, Some(*attempt));
            }
            RuntimeEvent::AttemptStarted { restored: Some(checkpoint), .. } => {
                // A manifest whose writer died before it could say so.
                self.manifests.entry(*checkpoint).or_default();
            }
            RuntimeEvent::TransactionPrepared { attempt, subtask, operator, checkpoint } => {
                let sink = (*subtask, operator.clone());
                self.prepared.entry((sink, *checkpoint)).or_default().insert(*attempt);
            }
            RuntimeEvent::TransactionCommitted {
                subtask, operator, checkpoint, notified, ..
            } => {
                self.on_commit((*subtask, operator.clone()), *checkpoint, *notified)?;
            }
            RuntimeEvent::CheckpointNotified { attempt, subtask, checkpoint } => {
                self.on_notified(*attempt, *subtask, *checkpoint)?;
            }
            _ => {}
        }
        Ok(())
    }

    fn on_end(&mut self) -> Result<(), String> {
        for ((sink, checkpoint), attempts) in &self.prepared {
            if self.is_durable(*checkpoint, attempts) {
                return Err(format!(
                    "the transaction of {checkpoint} of {} is covered by a manifest and was never \
                     committed",
                    self.name_of(sink),
                ));
            }
        }
        Ok(())
    }
}
