//! What is restored is what was stored, and it comes from the newest complete checkpoint. Of what all
//! subtasks of a vertex restore, each has the part of every one.

use std::collections::BTreeMap;

use floodmark::{Attempt, CheckpointId, RuntimeEvent, SectionDigest, SnapshotOrigin, SubtaskId};

use super::{Check, Names, difference, sections};

/// Compares restored state with snapshots, section by section.
#[derive(Debug)]
pub struct Restore {
    names: Names,
    /// Of every checkpoint: a worker that slept may restore one that is long superseded.
    stored: BTreeMap<(CheckpointId, SubtaskId), BTreeMap<String, SectionDigest>>,
    newest: Option<CheckpointId>,
    /// Where the snapshot of each subtask was read last.
    origins: BTreeMap<SubtaskId, (Attempt, SnapshotOrigin)>,
}

impl Restore {
    /// Creates the check.
    pub fn new(names: Names) -> Self {
        Self { names, stored: BTreeMap::new(), newest: None, origins: BTreeMap::new() }
    }

    fn on_restored(
        &self,
        attempt: Attempt,
        checkpoint: CheckpointId,
        subtask: SubtaskId,
        restored: &[SectionDigest],
    ) -> Result<(), String> {
        let Some(stored) = self.stored.get(&(checkpoint, subtask)) else {
            let name = self.names.of(subtask);
            return Err(format!("{name} restored {checkpoint}, of which it stored no snapshot"));
        };
        let found = without_promises(sections(restored));
        let (parts, found) = found.into_iter().partition(|(name, _)| is_shared(name));
        self.check_parts(checkpoint, subtask, &parts)?;
        let stored = &own(stored);
        let found: BTreeMap<String, SectionDigest> = found;
        let Some((section, stored, restored)) = difference(stored, &found) else { return Ok(()) };
        let owner = found.get(&section).map(|found| self.owner_of(found, checkpoint, subtask));
        let origin = self.origins.get(&subtask).filter(|(by, _)| *by == attempt);
        let origin = origin.map(|(_, origin)| format!("the snapshot was read {origin}"));
        let explanation: Vec<String> = owner.into_iter().chain(origin).collect();
        let dash = if explanation.is_empty() { "" } else { " — " };
        Err(format!(
            "{}: {section} had {stored} in {checkpoint}, and {restored} after it was restored{dash}{}",
            self.names.of(subtask),
            explanation.join("; "),
        ))
    }

    /// Compares the parts of what all subtasks restore with what each of them has stored.
    fn check_parts(
        &self,
        checkpoint: CheckpointId,
        subtask: SubtaskId,
        parts: &BTreeMap<String, SectionDigest>,
    ) -> Result<(), String> {
        let mut wanted = BTreeMap::new();
        for index in 0..=u16::MAX {
            let by = SubtaskId { index, ..subtask };
            // Subtasks are counted without gaps.
            let Some(sections) = self.stored.get(&(checkpoint, by)) else { break };
            let shared = sections.values().filter(|section| is_shared(&section.name));
            wanted.extend(shared.map(|section| {
                let name = format!("{} of {}", section.name, by.index);
                (name.clone(), SectionDigest { name, ..section.clone() })
            }));
        }
        let Some((part, stored, restored)) = difference(&wanted, parts) else { return Ok(()) };
        Err(format!(
            "{}: {part} had {stored} in {checkpoint}, and {restored} after it was restored",
            self.names.of(subtask),
        ))
    }

    /// Says whose snapshot has a section with the same content: rather one of the same checkpoint or
    /// subtask than another.
    fn owner_of(
        &self,
        found: &SectionDigest,
        checkpoint: CheckpointId,
        subtask: SubtaskId,
    ) -> String {
        if found.entry_count == 0 {
            return "it found nothing there".to_owned();
        }
        let same = self.stored.iter().filter_map(|((of, by), sections)| {
            let same = sections.values().filter(|one| one.hash == found.hash);
            let name = same.map(|one| &one.name).max_by_key(|name| **name == found.name)?;
            Some((*of, *by, name))
        });
        let nearest = same.max_by_key(|(of, by, name)| {
            (**name == found.name, *of == checkpoint, *by == subtask, *of)
        });
        match nearest {
            None => "no snapshot of the run has such content".to_owned(),
            Some((of, by, name)) => {
                let who = if by == subtask { "it".to_owned() } else { self.names.of(by) };
                let what = if *name == found.name { String::new() } else { format!(" as {name}") };
                format!("that is what {who} stored in {of}{what}")
            }
        }
    }
}

/// Returns whether a section is restored by all subtasks of a vertex.
fn is_shared(name: &str) -> bool {
    name.contains("/#union/")
}

/// Returns the sections that only their subtask restores.
fn own(sections: &BTreeMap<String, SectionDigest>) -> BTreeMap<String, SectionDigest> {
    let own = sections.iter().filter(|(name, _)| !is_shared(name));
    own.map(|(name, section)| (name.clone(), section.clone())).collect()
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
            RuntimeEvent::SnapshotFetched { attempt, subtask, origin, .. } => {
                self.origins.insert(*subtask, (*attempt, *origin));
            }
            RuntimeEvent::SubtaskStarted {
                attempt,
                subtask,
                restored: Some(checkpoint),
                sections,
                ..
            } => {
                self.on_restored(*attempt, *checkpoint, *subtask, sections)?;
            }
            _ => {}
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use floodmark::{Term, Timestamp, VertexId};

    use super::*;

    const SECOND: Attempt = Attempt { term: Term(1), number: 2 };

    fn subtask(index: u16) -> SubtaskId {
        SubtaskId { vertex: VertexId(0), index }
    }

    fn section(hash: u64) -> Vec<SectionDigest> {
        vec![SectionDigest { name: "numbers/splits".to_owned(), entry_count: 1, hash }]
    }

    fn stored(checkpoint: u64, index: u16, hash: u64) -> RuntimeEvent {
        RuntimeEvent::SnapshotStored {
            attempt: Attempt::default(),
            subtask: subtask(index),
            checkpoint: CheckpointId(checkpoint),
            sections: section(hash),
            files: Vec::new(),
        }
    }

    /// Returns what the check says when the first subtask begins from checkpoint 3 with something.
    fn reason(hash: u64) -> String {
        let mut check = Restore::new(Names(["numbers".to_owned()].into()));
        let (attempt, subtask, checkpoint) = (SECOND, subtask(0), CheckpointId(3));
        let origin = SnapshotOrigin::Local;
        let begin = [
            stored(2, 0, 20),
            stored(3, 0, 30),
            stored(2, 1, 31),
            stored(3, 1, 31),
            RuntimeEvent::SnapshotFetched { attempt, subtask, checkpoint, origin },
        ];
        for event in begin {
            assert_eq!(check.on_event("worker-1", &event), Ok(()));
        }
        let event = RuntimeEvent::SubtaskStarted {
            attempt,
            subtask,
            restored: Some(checkpoint),
            watermark: Timestamp::MIN,
            sections: section(hash),
        };
        check.on_event("worker-1", &event).err().unwrap_or_default()
    }

    #[test]
    fn content_that_is_wrong_is_told_with_its_owner_and_the_place_it_was_read() {
        let says = |hash: u64, words: &str| {
            let reason = reason(hash);
            let (_, explanation) = reason.split_once(" — ").expect("there is an explanation");
            assert_eq!(explanation, format!("{words}; the snapshot was read on the worker's disk"));
        };
        says(31, "that is what subtask 0.1 (numbers) stored in checkpoint 3");
        says(20, "that is what it stored in checkpoint 2");
        says(99, "no snapshot of the run has such content");
        assert_eq!(reason(30), "");
    }

    /// Returns what the check says when the second of two subtasks begins with these parts of a union
    /// list.
    fn reason_of_parts(found: &[(&str, u64)]) -> String {
        let digest = |(name, hash): (String, u64)| SectionDigest { name, entry_count: 1, hash };
        let mut check = Restore::new(Names(["count".to_owned()].into()));
        for index in 0..2 {
            let sections = vec![
                digest(("count/bundle".to_owned(), 5 + u64::from(index))),
                digest(("count/#union/shares".to_owned(), 7 + u64::from(index))),
            ];
            let (attempt, checkpoint) = (Attempt::default(), CheckpointId(3));
            let files = Vec::new();
            let subtask = subtask(index);
            let event =
                RuntimeEvent::SnapshotStored { attempt, subtask, checkpoint, sections, files };
            assert_eq!(check.on_event("worker-1", &event), Ok(()));
        }
        let parts = found.iter().map(|(name, hash)| digest(((*name).to_owned(), *hash)));
        let event = RuntimeEvent::SubtaskStarted {
            attempt: SECOND,
            subtask: subtask(1),
            restored: Some(CheckpointId(3)),
            watermark: Timestamp::MIN,
            sections: parts.chain([digest(("count/bundle".to_owned(), 6))]).collect(),
        };
        check.on_event("worker-1", &event).err().unwrap_or_default()
    }

    #[test]
    fn the_parts_of_all_subtasks_are_restored_by_each() {
        let (first, second) = ("count/#union/shares of 0", "count/#union/shares of 1");
        assert_eq!(reason_of_parts(&[(first, 7), (second, 8)]), "");
        assert_eq!(
            reason_of_parts(&[(second, 8)]),
            "subtask 0.1 (count): count/#union/shares of 0 had 1 entry (hash 0000000000000007) in \
             checkpoint 3, and no entries after it was restored"
        );
        assert_ne!(reason_of_parts(&[(first, 8), (second, 8)]), "");
        assert_ne!(reason_of_parts(&[(first, 7), (second, 8), ("count/#union/x of 1", 1)]), "");
    }
}
