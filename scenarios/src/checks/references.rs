//! Every file that a retained checkpoint needs is there as it was written, and in the end there are
//! no others.
//!
//! A write in doubt may have its effect when the job has ended and cleaned up. Nobody is there to
//! see it until a coordinator of the job starts again, so such a file is no harm of the job's.

use std::collections::{BTreeMap, BTreeSet};

use bytes::Bytes;
use floodmark::{CheckpointId, FileDigest, RuntimeEvent, SubtaskId, Term, object_name};
use xxhash_rust::xxh3::xxh3_64;

use super::{Check, Names};

/// Compares the manifests with the objects in the store.
#[derive(Debug)]
pub struct References {
    names: Names,
    /// Size and hash of every snapshot file that exists.
    files: BTreeMap<String, (u64, u64)>,
    /// What each complete checkpoint lists, until it is retired.
    retained: BTreeMap<CheckpointId, Vec<(SubtaskId, FileDigest)>>,
    newest: Option<CheckpointId>,
    /// Whether the job has ended, and the files that appeared after that.
    has_ended: bool,
    afterwards: BTreeSet<String>,
    /// Files of terms before this one may be listed by what nobody could read.
    spared_before: Term,
    /// Checkpoints that were retired at any time. A coordinator that slept may announce one later.
    ever_retired: BTreeSet<CheckpointId>,
    /// Checkpoints that were retired and not announced as retained since.
    retired: BTreeSet<CheckpointId>,
    /// Checkpoints that may be retained without a word: their coordinator died after it had written
    /// the manifest, or before it had removed it.
    unannounced: BTreeSet<CheckpointId>,
}

impl References {
    /// Creates the check.
    pub fn new(names: Names) -> Self {
        Self {
            names,
            files: BTreeMap::new(),
            retained: BTreeMap::new(),
            newest: None,
            has_ended: false,
            afterwards: BTreeSet::new(),
            spared_before: Term(0),
            ever_retired: BTreeSet::new(),
            retired: BTreeSet::new(),
            unannounced: BTreeSet::new(),
        }
    }

    /// Checks that a file is there as its manifest describes it.
    fn check_file(
        &self,
        checkpoint: CheckpointId,
        subtask: SubtaskId,
        file: &FileDigest,
    ) -> Result<(), String> {
        let FileDigest { key, size_bytes, checksum } = file;
        let name = self.names.of(subtask);
        match self.files.get(key) {
            Some(found) if *found == (*size_bytes, *checksum) => Ok(()),
            Some((size, hash)) => Err(format!(
                "{checkpoint} lists {key:?} of {name} with {size_bytes} bytes (hash \
                 {checksum:016x}), and the store has {size} bytes (hash {hash:016x})"
            )),
            None => {
                Err(format!("{checkpoint} is retained, and its file {key:?} of {name} is gone"))
            }
        }
    }

    /// Returns a file that no retained checkpoint lists and that no checkpoint in flight may need.
    fn garbage(&self) -> Option<&str> {
        let listed: BTreeSet<&str> =
            self.retained.values().flatten().map(|(_, file)| file.key.as_str()).collect();
        let is_garbage = |key: &str| {
            let Some((attempt, owner)) = object_name::parse_snapshot(key) else { return false };
            let is_over = Some(owner) < self.newest && self.spared_before <= attempt.term;
            let is_spared = self.unannounced.contains(&owner) || self.afterwards.contains(key);
            is_over && !listed.contains(key) && !is_spared
        };
        self.files.keys().map(String::as_str).find(|key| is_garbage(key))
    }
}

impl Check for References {
    fn name(&self) -> &'static str {
        "references"
    }

    #[expect(clippy::wildcard_enum_match_arm, reason = "a law is about a few kinds of event")]
    fn on_event(&mut self, _: &str, event: &RuntimeEvent) -> Result<(), String> {
        match event {
            RuntimeEvent::ManifestStored { checkpoint, .. }
                if self.ever_retired.contains(checkpoint) =>
            {
                Ok(())
            }
            RuntimeEvent::ManifestStored { checkpoint, files, .. } => {
                self.newest = self.newest.max(Some(*checkpoint));
                for (subtask, file) in files {
                    self.check_file(*checkpoint, *subtask, file)?;
                }
                self.retained.insert(*checkpoint, files.clone());
                Ok(())
            }
            RuntimeEvent::CheckpointRetired { checkpoint } => {
                self.retained.remove(checkpoint);
                self.unannounced.remove(checkpoint);
                self.retired.insert(*checkpoint);
                self.ever_retired.insert(*checkpoint);
                Ok(())
            }
            RuntimeEvent::JobEnded { .. } => {
                self.has_ended = true;
                Ok(())
            }
            RuntimeEvent::LogEntryUnreadable { term, .. } => {
                self.spared_before = *term;
                Ok(())
            }
            RuntimeEvent::TermTaken { .. } => {
                self.spared_before = Term(0);
                self.unannounced.append(&mut self.retired);
                Ok(())
            }
            RuntimeEvent::AttemptStarted { restored: Some(checkpoint), .. } => {
                if !self.retained.contains_key(checkpoint) {
                    self.unannounced.insert(*checkpoint);
                }
                Ok(())
            }
            _ => Ok(()),
        }
    }

    fn on_object(&mut self, key: &str, content: Option<&Bytes>) -> Result<(), String> {
        if object_name::parse_snapshot(key).is_none() {
            return Ok(());
        }
        match content {
            Some(content) => {
                if self.has_ended {
                    self.afterwards.insert(key.to_owned());
                }
                self.files.insert(key.to_owned(), (content.len() as u64, xxh3_64(content)));
            }
            None => {
                self.files.remove(key);
            }
        }
        let listed = self.retained.iter().flat_map(|(checkpoint, files)| {
            files.iter().map(move |(subtask, file)| (*checkpoint, *subtask, file))
        });
        for (checkpoint, subtask, file) in listed.filter(|(_, _, file)| file.key == key) {
            self.check_file(checkpoint, subtask, file)?;
        }
        Ok(())
    }

    fn is_waiting(&self) -> bool {
        self.garbage().is_some()
    }

    fn on_end(&mut self) -> Result<(), String> {
        match self.garbage() {
            None => Ok(()),
            Some(key) => {
                Err(format!("no retained checkpoint lists {key:?}, and it is still there"))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use floodmark::{Attempt, Term};

    use super::*;

    fn check(events: &[RuntimeEvent]) -> Result<(), String> {
        let mut check = References::new(Names(std::sync::Arc::from([])));
        events.iter().try_for_each(|event| check.on_event("coordinator", event))
    }

    fn manifest(checkpoint: u64) -> RuntimeEvent {
        let attempt = Attempt { term: Term(1), number: 1 };
        let checkpoint = CheckpointId(checkpoint);
        let key = "c/j/data/000001-000001-00000000000000000007/000-00000".to_owned();
        let subtask = SubtaskId { vertex: floodmark::VertexId(0), index: 0 };
        let files = vec![(subtask, FileDigest { key, size_bytes: 1, checksum: 1 })];
        RuntimeEvent::ManifestStored { term: Term(1), attempt, checkpoint, files }
    }

    #[test]
    fn a_file_that_is_not_there_is_missed() {
        assert!(check(&[manifest(7)]).unwrap_err().contains("is gone"));
    }

    #[test]
    fn what_was_retired_while_its_author_slept_is_not_missed() {
        let retired = RuntimeEvent::CheckpointRetired { checkpoint: CheckpointId(7) };
        assert_eq!(check(&[retired, manifest(7)]), Ok(()));
    }
}
