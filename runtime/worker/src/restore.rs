//! Fetching the snapshots from which a subtask starts: from the worker's own disk if it has them, else
//! from the object store.

use std::time::Duration;

use floodmark_dataflow::Error;
use floodmark_model::{Attempt, CheckpointId, RuntimeEvent, SnapshotOrigin, SubtaskId};
use floodmark_platform::{Machine, planted};
use floodmark_state::{Copy, CopyShelf, RestoredState};
use floodmark_wire::{SnapshotFile, StoredFile, decode_snapshot, decode_whole_sections, name};

/// Tries at reading a snapshot from the object store before the attempt fails.
const FETCH_TRY_COUNT: u32 = 5;

/// Pause between two tries.
const RETRY_PAUSE: Duration = Duration::from_millis(50);

/// The restore of one subtask.
pub(crate) struct Restore {
    pub(crate) machine: Machine,
    pub(crate) attempt: Attempt,
    pub(crate) subtask: SubtaskId,
    pub(crate) checkpoint: CheckpointId,
    /// The copies on this worker's disk, if it keeps any.
    pub(crate) copies: Option<CopyShelf>,
}

impl Restore {
    /// Reads the snapshots: the subtask's own, and what others of its vertex have stored for all, from
    /// wherever it is at hand. What was acknowledged must be there as it was.
    pub(crate) async fn fetch(&self, files: &[StoredFile]) -> Result<RestoredState, Error> {
        let (attempt, subtask, checkpoint) = (self.attempt, self.subtask, self.checkpoint);
        let (mut snapshots, mut shared) = (Vec::new(), Vec::new());
        for file in files {
            let stored_by = name::parse_shared_snapshot(&file.key);
            if planted!(UnionOfOwnPart) && stored_by.is_some_and(|by| by != subtask.index) {
                continue;
            }
            let (snapshot, origin) = match self.copy_of(file).await {
                Some(snapshot) => (snapshot, SnapshotOrigin::Local),
                None => (self.stored(file).await?, SnapshotOrigin::Store),
            };
            match stored_by {
                Some(by) => {
                    shared.push((by, snapshot));
                    continue;
                }
                None => snapshots.push(snapshot),
            }
            self.machine.observe(|| RuntimeEvent::SnapshotFetched {
                attempt,
                subtask,
                checkpoint,
                origin,
            });
        }
        Ok(RestoredState::new(snapshots).with_shared(shared))
    }

    /// Reads a snapshot from the worker's own disk, if it is there and is what was acknowledged.
    async fn copy_of(&self, file: &StoredFile) -> Option<SnapshotFile> {
        let reason = match self.copies.as_ref()?.find(file).await {
            Copy::Whole(content) => match decode_snapshot(&content) {
                Ok(snapshot) => return Some(snapshot),
                Err(_) if [planted!(UnsyncedCopy), planted!(PartTakenForWhole)].contains(&true) => {
                    return Some(decode_whole_sections(&content));
                }
                Err(error) => error.to_string(),
            },
            Copy::Missing => return None,
            Copy::Refused { reason } => reason,
        };
        self.refuse(SnapshotOrigin::Local, &reason);
        None
    }

    /// Reads a snapshot from the object store.
    async fn stored(&self, file: &StoredFile) -> Result<SnapshotFile, Error> {
        let mut reason = String::new();
        for _ in 0..FETCH_TRY_COUNT {
            match self.machine.object_store().get(&file.key).await {
                Ok(content) if file.matches(&content) => match decode_snapshot(&content) {
                    Ok(snapshot) => return Ok(snapshot),
                    Err(error) => reason = error.to_string(),
                },
                Ok(_) => {
                    "the content is not what was acknowledged".clone_into(&mut reason);
                    self.refuse(SnapshotOrigin::Store, &reason);
                }
                Err(error) => reason = error.to_string(),
            }
            self.machine.sleep(RETRY_PAUSE).await;
        }
        Err(Error::Snapshot { key: file.key.clone(), reason })
    }

    fn refuse(&self, origin: SnapshotOrigin, reason: &str) {
        let (attempt, subtask, checkpoint) = (self.attempt, self.subtask, self.checkpoint);
        tracing::warn!(%subtask, %checkpoint, %reason, "a snapshot {origin} is refused");
        self.machine.observe(|| RuntimeEvent::SnapshotRefused {
            attempt,
            subtask,
            checkpoint,
            origin,
            reason: reason.to_owned(),
        });
    }
}
