//! For every channel, as many records were sent before the sender's snapshot as were received
//! before the receiver's; and what is stored as a snapshot is the state that the barrier found.

use std::collections::BTreeMap;

use floodmark::{
    Attempt, ChannelId, CheckpointId, FileDigest, RuntimeEvent, SectionDigest, SubtaskId,
};

use super::{Check, Names, difference, sections};

/// Compares both ends of every channel, checkpoint by checkpoint.
#[derive(Debug)]
pub struct ConsistentCut {
    names: Names,
    /// The end of a channel that was heard of first: its count, who, and whether it sent.
    halves: BTreeMap<(CheckpointId, Attempt, ChannelId), (u64, SubtaskId, bool)>,
    /// The state at each barrier.
    frozen: BTreeMap<(CheckpointId, Attempt, SubtaskId), BTreeMap<String, SectionDigest>>,
    /// The newest complete checkpoint.
    complete: Option<CheckpointId>,
    /// Which snapshot each stored file is.
    files: BTreeMap<String, (CheckpointId, Attempt, SubtaskId)>,
}

impl ConsistentCut {
    /// Creates the check.
    pub fn new(names: Names) -> Self {
        Self {
            names,
            halves: BTreeMap::new(),
            frozen: BTreeMap::new(),
            complete: None,
            files: BTreeMap::new(),
        }
    }

    fn on_half(
        &mut self,
        key: (CheckpointId, Attempt, ChannelId),
        half: (u64, SubtaskId, bool),
    ) -> Result<(), String> {
        let Some(other) = self.halves.remove(&key) else {
            self.halves.insert(key, half);
            return Ok(());
        };
        let (sender, receiver) = if half.2 { (half, other) } else { (other, half) };
        if sender.0 == receiver.0 {
            return Ok(());
        }
        let (checkpoint, attempt, channel) = key;
        Err(format!(
            "{channel} in {attempt}: {} had sent {} records when it took its snapshot of \
             {checkpoint}, and {} had received {}",
            self.names.of(sender.1),
            sender.0,
            self.names.of(receiver.1),
            receiver.0,
        ))
    }

    /// A snapshot is written after its barrier has passed; by then the state has moved on.
    fn on_stored(
        &mut self,
        key: (CheckpointId, Attempt, SubtaskId),
        stored: &[SectionDigest],
        files: &[FileDigest],
    ) -> Result<(), String> {
        let (checkpoint, attempt, subtask) = key;
        self.files.extend(files.iter().map(|file| (file.key.clone(), key)));
        let Some(frozen) = self.frozen.remove(&key) else {
            if Some(checkpoint) < self.complete {
                // A worker that slept goes on with what nobody needs any more.
                return Ok(());
            }
            let name = self.names.of(subtask);
            return Err(format!(
                "{name} stored a snapshot of {checkpoint} that it never took in {attempt}"
            ));
        };
        match difference(&frozen, &sections(stored)) {
            None => Ok(()),
            Some((section, at_barrier, stored)) => Err(format!(
                "{}: {section} had {at_barrier} when the barrier of {checkpoint} came, and what was \
                 stored for it has {stored}",
                self.names.of(subtask),
            )),
        }
    }

    /// A checkpoint is made of snapshots of the checkpoint.
    fn on_manifest(
        &mut self,
        attempt: Attempt,
        checkpoint: CheckpointId,
        files: &[(SubtaskId, FileDigest)],
    ) -> Result<(), String> {
        for (subtask, file) in files {
            let wanted = (checkpoint, attempt, *subtask);
            match self.files.get(&file.key) {
                Some(found) if *found == wanted => {}
                Some((of, by, owner)) => {
                    return Err(format!(
                        "{checkpoint} of {attempt} is complete with a snapshot of {} that {} took \
                         for {of} in {by}",
                        self.names.of(*subtask),
                        self.names.of(*owner),
                    ));
                }
                None => {
                    return Err(format!(
                        "{checkpoint} is complete with {:?} of {}, which nobody stored",
                        file.key,
                        self.names.of(*subtask),
                    ));
                }
            }
        }
        self.complete = self.complete.max(Some(checkpoint));
        // What was aborted before is never restored.
        self.halves.retain(|(older, ..), _| checkpoint <= *older);
        self.frozen.retain(|(older, ..), _| checkpoint <= *older);
        Ok(())
    }
}

impl Check for ConsistentCut {
    fn name(&self) -> &'static str {
        "consistent_cut"
    }

    #[expect(clippy::wildcard_enum_match_arm, reason = "a law is about a few kinds of event")]
    fn on_event(&mut self, _: &str, event: &RuntimeEvent) -> Result<(), String> {
        match event {
            RuntimeEvent::SnapshotTaken {
                attempt,
                subtask,
                checkpoint,
                received,
                sent,
                sections: frozen,
                ..
            } => {
                self.frozen.insert((*checkpoint, *attempt, *subtask), sections(frozen));
                for (channel, count) in received {
                    self.on_half((*checkpoint, *attempt, *channel), (*count, *subtask, false))?;
                }
                for (channel, count) in sent {
                    self.on_half((*checkpoint, *attempt, *channel), (*count, *subtask, true))?;
                }
                Ok(())
            }
            RuntimeEvent::SnapshotStored { attempt, subtask, checkpoint, sections, files } => {
                self.on_stored((*checkpoint, *attempt, *subtask), sections, files)
            }
            RuntimeEvent::ManifestStored { attempt, checkpoint, files, .. } => {
                self.on_manifest(*attempt, *checkpoint, files)
            }
            _ => Ok(()),
        }
    }
}
