//! What is restored is what was stored, and it comes from the newest complete checkpoint.

use std::collections::BTreeMap;

use floodmark::{CheckpointId, RuntimeEvent, SectionDigest, SubtaskId};

use super::{Check, Names, difference, sections};

/// Compares restored state with snapshots, section by section.
#[derive(Debug)]
pub struct Restore {
    names: Names,
    /// Of every checkpoint: a worker that slept may restore one that is long superseded.
    stored: BTreeMap<(CheckpointId, SubtaskId), BTreeMap<String, SectionDigest>>,
    newest: Option<CheckpointId>,
}

impl Restore {
    /// Creates the check.
    pub fn new(names: Names) -> Self {
        Self { names, stored: BTreeMap::new(), newest: None }
    }

    fn on_restored(
        &self,
        checkpoint: CheckpointId,
        subtask: SubtaskId,
        restored: &[SectionDigest],
    ) -> Result<(), String> {
        let Some(stored) = self.stored.get(&(checkpoint, subtask)) else {
            let name = self.names.of(subtask);
            return Err(format!("{name} restored {checkpoint}, of which it stored no snapshot"));
        };
        match difference(stored, &without_promises(sections(restored))) {
            None => Ok(()),
            Some((section, stored, restored)) => Err(format!(
                "{}: {section} had {stored} in {checkpoint}, and {restored} after it was restored",
                self.names.of(subtask),
            )),
        }
    }
}

/// Leaves out what holds event time alone: the check of watermarks says more about it.
fn without_promises(
    mut sections: BTreeMap<String, SectionDigest>,
) -> BTreeMap<String, SectionDigest> {
    sections.retain(|name, _| name != "gate/watermarks" && !name.ends_with("/progress"));
    sections
}

impl Check for Restore {
    fn name(&self) -> &'static str {
        "restore"
    }

    #[expect(clippy::wildcard_enum_match_arm, reason = "a law is about a few kinds of event")]
    fn on_event(&mut self, _: &str, event: &RuntimeEvent) -> Result<(), String> {
        match event {
            RuntimeEvent::SnapshotStored { subtask, checkpoint, sections: digests, .. } => {
                self.stored.insert((*checkpoint, *subtask), without_promises(sections(digests)));
            }
            RuntimeEvent::ManifestStored { checkpoint, .. } => {
                self.newest = self.newest.max(Some(*checkpoint));
            }
            RuntimeEvent::AttemptStarted { attempt, restored } => {
                if *restored < self.newest {
                    let newest = self.newest.unwrap_or_default();
                    let restored = restored.map_or("nothing".to_owned(), |id| id.to_string());
                    return Err(format!("{attempt} restores {restored}, and {newest} is complete"));
                }
                // A manifest whose writer died before it could say so.
                self.newest = *restored;
            }
            RuntimeEvent::SubtaskStarted {
                subtask, restored: Some(checkpoint), sections, ..
            } => {
                self.on_restored(*checkpoint, *subtask, sections)?;
            }
            _ => {}
        }
        Ok(())
    }
}
