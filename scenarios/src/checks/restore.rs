//! What is restored is what was stored, and it comes from the newest complete checkpoint.

use std::collections::BTreeMap;

use floodmark::{CheckpointId, RuntimeEvent, SectionDigest, SubtaskId};

use super::{Check, Names};

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
        let restored = sections(restored);
        for name in stored.keys().chain(restored.keys()) {
            let (stored, restored) = (stored.get(name), restored.get(name));
            if stored.map(|section| section.hash) != restored.map(|section| section.hash) {
                let entries = |section: Option<&SectionDigest>| {
                    section.map_or("no entries".to_owned(), |section| {
                        format!("{} entries (hash {:016x})", section.entry_count, section.hash)
                    })
                };
                return Err(format!(
                    "{}: {name} had {} in {checkpoint}, and {} after it was restored",
                    self.names.of(subtask),
                    entries(stored),
                    entries(restored),
                ));
            }
        }
        Ok(())
    }
}

/// Returns the sections by name. Prepared transactions are left out: a restore commits them, so they
/// are gone on purpose, and the check of the two phases watches over them.
fn sections(sections: &[SectionDigest]) -> BTreeMap<String, SectionDigest> {
    let kept = sections.iter().filter(|section| !section.name.ends_with("/prepared"));
    kept.map(|section| (section.name.clone(), section.clone())).collect()
}

impl Check for Restore {
    fn name(&self) -> &'static str {
        "restore"
    }

    #[expect(clippy::wildcard_enum_match_arm, reason = "a law is about a few kinds of event")]
    fn on_event(&mut self, _: &str, event: &RuntimeEvent) -> Result<(), String> {
        match event {
            RuntimeEvent::SnapshotStored { subtask, checkpoint, sections: digests, .. } => {
                self.stored.insert((*checkpoint, *subtask), sections(digests));
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
