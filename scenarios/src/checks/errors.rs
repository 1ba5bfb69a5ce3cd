//! What goes wrong surfaces: work that was begun is either done or given up aloud.
//!
//! A subtask stores its snapshots one after the other. So when it stores or declines the snapshot
//! of a checkpoint, every earlier one it took in that attempt was stored or declined before.

use std::collections::{BTreeMap, BTreeSet};

use floodmark::{Attempt, CheckpointId, RuntimeEvent, SubtaskId};

use super::{Check, Names};

/// Follows every snapshot from the barrier to its storing.
#[derive(Debug)]
pub struct Errors {
    names: Names,
    /// Snapshots that were taken and neither stored nor declined.
    open: BTreeMap<(Attempt, SubtaskId), BTreeSet<CheckpointId>>,
    /// Failures of attempts that nobody has answered with another attempt or the end of the job.
    newest: Option<Attempt>,
}

impl Errors {
    /// Creates the check.
    pub fn new(names: Names) -> Self {
        Self { names, open: BTreeMap::new(), newest: None }
    }

    fn on_done(
        &mut self,
        attempt: Attempt,
        subtask: SubtaskId,
        checkpoint: CheckpointId,
    ) -> Result<(), String> {
        let Some(open) = self.open.get_mut(&(attempt, subtask)) else { return Ok(()) };
        open.remove(&checkpoint);
        match open.first() {
            Some(earlier) if *earlier < checkpoint => Err(format!(
                "{} took its snapshot of {earlier} in {attempt} and neither stored nor declined it, \
                 and goes on with {checkpoint}",
                self.names.of(subtask),
            )),
            _ => Ok(()),
        }
    }
}

impl Check for Errors {
    fn name(&self) -> &'static str {
        "errors"
    }

    #[expect(clippy::wildcard_enum_match_arm, reason = "a law is about a few kinds of event")]
    fn on_event(&mut self, _: &str, event: &RuntimeEvent) -> Result<(), String> {
        match event {
            RuntimeEvent::AttemptStarted { attempt, .. } => {
                // What belongs to older attempts is cut off in the middle.
                self.open.retain(|(one, _), _| *attempt <= *one);
                self.newest = self.newest.max(Some(*attempt));
                Ok(())
            }
            RuntimeEvent::SnapshotTaken { attempt, subtask, checkpoint, .. } => {
                if self.newest <= Some(*attempt) {
                    self.open.entry((*attempt, *subtask)).or_default().insert(*checkpoint);
                }
                Ok(())
            }
            RuntimeEvent::SnapshotStored { attempt, subtask, checkpoint, .. }
            | RuntimeEvent::SnapshotDeclined { attempt, subtask, checkpoint, .. } => {
                self.on_done(*attempt, *subtask, *checkpoint)
            }
            _ => Ok(()),
        }
    }
}
