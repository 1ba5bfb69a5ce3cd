//! What goes wrong surfaces: work that was begun is either done or given up aloud.
//!
//! A subtask stores its snapshots one after the other. So when it stores or declines the snapshot
//! of a checkpoint, every earlier one it took in that attempt was stored or declined before. And a
//! transaction is prepared when everything that was written for it is in the store.

use std::collections::{BTreeMap, BTreeSet};

use bytes::Bytes;
use floodmark::{Attempt, CheckpointId, RuntimeEvent, SubtaskId};
use floodmark_sim::{Incident, Operation};

use super::{Check, Names};

/// Where file sinks keep what is prepared: `…/_staged/<sink>-<subtask>/<attempt>-<number>`.
const STAGED: &str = "/_staged/";

/// Follows every snapshot from the barrier to its storing, and every staged file that a fault struck.
#[derive(Debug)]
pub struct Errors {
    names: Names,
    /// Snapshots that were taken and neither stored nor declined.
    open: BTreeMap<(Attempt, SubtaskId), BTreeSet<CheckpointId>>,
    /// The attempt that was started last.
    newest: Option<Attempt>,
    /// Staged files whose writing was struck at least once, and those that were written all the same.
    struck: BTreeSet<String>,
    written: BTreeSet<String>,
}

impl Errors {
    /// Creates the check.
    pub fn new(names: Names) -> Self {
        Self {
            names,
            open: BTreeMap::new(),
            newest: None,
            struck: BTreeSet::new(),
            written: BTreeSet::new(),
        }
    }

    fn on_prepared(
        &self,
        attempt: Attempt,
        subtask: SubtaskId,
        sink: &str,
        checkpoint: CheckpointId,
    ) -> Result<(), String> {
        let Attempt { term, number } = attempt;
        let prefix = format!("{STAGED}{sink}-{:05}/{:06}-{number:06}-", subtask.index, term.0);
        let mut lost = self.struck.difference(&self.written);
        match lost.find(|key| key.contains(&prefix)) {
            None => Ok(()),
            Some(key) => Err(format!(
                "sink {sink} in {} says that its transaction of {checkpoint} is prepared, and \
                 {key:?} could not be written",
                self.names.of(subtask),
            )),
        }
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

    fn on_incident(&mut self, incident: &Incident) {
        if let Incident::OperationStruck { operation: Operation::Put, key, .. } = incident
            && key.contains(STAGED)
        {
            self.struck.insert(key.clone());
        }
    }

    fn on_object(&mut self, key: &str, content: Option<&Bytes>) -> Result<(), String> {
        if content.is_some() && key.contains(STAGED) {
            self.written.insert(key.to_owned());
        }
        Ok(())
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
            RuntimeEvent::TransactionPrepared { attempt, subtask, operator, checkpoint } => {
                self.on_prepared(*attempt, *subtask, operator, *checkpoint)
            }
            RuntimeEvent::SnapshotStored { attempt, subtask, checkpoint, .. }
            | RuntimeEvent::SnapshotDeclined { attempt, subtask, checkpoint, .. } => {
                self.on_done(*attempt, *subtask, *checkpoint)
            }
            _ => Ok(()),
        }
    }
}
