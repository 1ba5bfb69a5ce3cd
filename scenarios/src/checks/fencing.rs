//! Nothing of an older term or attempt is accepted.

use std::collections::BTreeMap;

use floodmark::{Attempt, CheckpointId, RuntimeEvent, SubtaskId, Term};

use super::Check;

/// Follows who may act for which checkpoint.
#[derive(Debug, Default)]
pub struct Fencing {
    /// The attempt for which each checkpoint was triggered.
    triggered: BTreeMap<CheckpointId, Attempt>,
    /// The highest term, and the checkpoint its first attempt restored once that is known.
    reign: Term,
    restored: Option<Option<CheckpointId>>,
    /// The checkpoint from which each attempt began.
    restored_by: BTreeMap<Attempt, Option<CheckpointId>>,
    /// The newest attempt that each node has begun to run.
    running: BTreeMap<String, Attempt>,
    /// Manifests that older terms reported since the reign began, and that it must have seen.
    stale: Vec<(Term, CheckpointId)>,
}

impl Fencing {
    /// Checks that an act for `checkpoint` belongs to the attempt it was triggered for.
    fn on_act(
        &self,
        attempt: Attempt,
        checkpoint: CheckpointId,
        what: impl FnOnce() -> String,
    ) -> Result<(), String> {
        match self.triggered.get(&checkpoint) {
            Some(owner) if *owner != attempt => {
                let what = what();
                Err(format!("{what} {checkpoint} in {attempt}, and that belongs to {owner}"))
            }
            _ => Ok(()),
        }
    }

    /// A worker that has begun an attempt has stopped all older ones.
    fn on_work(&self, node: &str, attempt: Attempt, subtask: SubtaskId) -> Result<(), String> {
        match self.running.get(node) {
            Some(newest) if attempt < *newest => {
                Err(format!("{subtask} of {attempt} still works on {node}, which runs {newest}"))
            }
            _ => Ok(()),
        }
    }

    fn on_manifest(&mut self, term: Term, checkpoint: CheckpointId) -> Result<(), String> {
        if self.reign <= term {
            return Ok(());
        }
        self.stale.push((term, checkpoint));
        self.check_stale()
    }

    /// A manifest of an older term is legitimate if it was stored before the reign began; then the
    /// reign has restored it or a later one.
    fn check_stale(&self) -> Result<(), String> {
        let Some(restored) = self.restored else { return Ok(()) };
        match self.stale.iter().find(|(_, checkpoint)| restored < Some(*checkpoint)) {
            Some((term, checkpoint)) => Err(format!(
                "{term} stored the manifest of {checkpoint} after {} had taken over",
                self.reign
            )),
            None => Ok(()),
        }
    }
}

/// Says how checkpoints of two terms are told apart, if it is two terms that used one number.
fn numbering(first: Attempt, second: Attempt) -> String {
    let newer = first.term.max(second.term);
    if first.term == second.term {
        return String::new();
    }
    let number = CheckpointId::first_of(newer).to_string();
    let number = number.trim_start_matches("checkpoint ");
    format!(" — a new term numbers its own: {newer} begins with {number}")
}

impl Check for Fencing {
    fn name(&self) -> &'static str {
        "fencing"
    }

    #[expect(clippy::wildcard_enum_match_arm, reason = "a law is about a few kinds of event")]
    fn on_event(&mut self, node: &str, event: &RuntimeEvent) -> Result<(), String> {
        match event {
            RuntimeEvent::TermTaken { term } => {
                if *term <= self.reign {
                    return Err(format!("{term} was taken after {}", self.reign));
                }
                self.reign = *term;
                self.restored = None;
                self.stale.clear();
                Ok(())
            }
            RuntimeEvent::AttemptStarted { attempt, restored } => {
                if attempt.term < self.reign {
                    return Err(format!("{attempt} was started under {}", self.reign));
                }
                self.restored_by.insert(*attempt, *restored);
                self.restored.get_or_insert(*restored);
                self.check_stale()
            }
            RuntimeEvent::CheckpointTriggered { attempt, checkpoint, .. } => {
                match self.triggered.insert(*checkpoint, *attempt) {
                    None => Ok(()),
                    Some(other) => Err(format!(
                        "{checkpoint} was triggered in {other} and in {attempt}{}",
                        numbering(other, *attempt)
                    )),
                }
            }
            RuntimeEvent::SubtaskStarted { attempt, subtask, .. } => {
                self.on_work(node, *attempt, *subtask)?;
                self.running.insert(node.to_owned(), *attempt);
                Ok(())
            }
            RuntimeEvent::WatermarkAdvanced { attempt, subtask, .. }
            | RuntimeEvent::SnapshotTaken { attempt, subtask, .. }
            | RuntimeEvent::SourceExhausted { attempt, subtask } => {
                self.on_work(node, *attempt, *subtask)
            }
            RuntimeEvent::TransactionCommitted { attempt, subtask, notified, .. } => {
                self.on_work(node, *attempt, *subtask)?;
                // A restored attempt commits what the checkpoint of an earlier one covers.
                if self.restored_by.get(attempt) == Some(&Some(*notified)) {
                    return Ok(());
                }
                self.on_act(*attempt, *notified, || format!("{subtask} on {node} committed by"))
            }
            RuntimeEvent::BarrierEmitted { attempt, subtask, checkpoint } => {
                self.on_act(*attempt, *checkpoint, || {
                    format!("{subtask} on {node} emitted the barrier of")
                })
            }
            RuntimeEvent::BarrierArrived { attempt, channel, checkpoint } => {
                self.on_act(*attempt, *checkpoint, || format!("{channel} carried the barrier of"))
            }
            RuntimeEvent::CheckpointAcknowledged { attempt, checkpoint, subtask } => {
                self.on_act(*attempt, *checkpoint, || format!("{subtask} was counted towards"))
            }
            RuntimeEvent::CheckpointNotified { attempt, checkpoint, subtask } => {
                self.on_act(*attempt, *checkpoint, || format!("{subtask} was notified of"))
            }
            RuntimeEvent::ManifestStored { term, attempt, checkpoint, .. } => {
                self.on_act(*attempt, *checkpoint, || format!("{term} stored the manifest of"))?;
                self.on_manifest(*term, *checkpoint)
            }
            _ => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_number_that_two_terms_use_is_told_with_the_one_it_had_to_be() {
        let mut check = Fencing::default();
        let mut begins = |term: u64, number: u32| {
            let attempt = Attempt { term: Term(term), number };
            let checkpoint = CheckpointId(3);
            let event = RuntimeEvent::CheckpointTriggered { attempt, checkpoint, is_final: false };
            check.on_event("coordinator", &event).err().unwrap_or_default()
        };
        assert_eq!(begins(1, 1), "");
        let reason = begins(2, 1);
        assert!(
            reason.ends_with(" — a new term numbers its own: term 2 begins with 2.1"),
            "{reason}"
        );
        assert!(begins(2, 2).ends_with("in attempt 2.1 and in attempt 2.2"));
    }
}
