//! Copies of snapshots on the worker's own disk, so that a restart need not wait for the object
//! store.
//!
//! A copy is never needed and never trusted. It is written beside the snapshot, after it and without
//! a say in whether the checkpoint completes; it is restored only if it has the length and the
//! checksum that the manifest has for the snapshot. Whatever else is found (nothing, a torn file, a
//! disk that fails) the snapshot is read from the object store.
//!
//! A copy is written under another name, synced, and then takes its own in one step, so what has the
//! name of a copy is whole unless the disk itself has lost or changed it.

use std::{io, time::Duration};

use bytes::Bytes;
use floodmark_model::{Attempt, CheckpointId};
use floodmark_platform::{Machine, planted};
use floodmark_wire::{StoredFile, name};

/// Time after which a disk is given up: later snapshots wait behind a copy.
const WRITE_TIMEOUT: Duration = Duration::from_secs(1);

/// What a copy that is being written is called, after its name.
const PART: &str = ".part";

/// The copies of one job's snapshots on one worker's disk.
#[derive(Clone)]
pub struct CopyShelf {
    machine: Machine,
    directory: String,
}

/// What the disk has of a snapshot.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Copy {
    /// The snapshot, as it was stored.
    Whole(Bytes),
    /// Nothing.
    Missing,
    /// Something that is not the snapshot, or cannot be read.
    Refused {
        /// What is wrong with it.
        reason: String,
    },
}

impl CopyShelf {
    /// Creates the handle to the copies of `job` under `storage`.
    pub fn new(machine: Machine, storage: &str, job: &str) -> Self {
        Self { machine, directory: name::local_copies(storage, job) }
    }

    /// Keeps a copy of the snapshot `file`.
    ///
    /// # Errors
    ///
    /// When the disk is full, fails, or takes longer than a second. Nothing depends on the copy.
    ///
    /// # Cancel safety
    ///
    /// What was written until then is no copy, and goes with the next [`CopyShelf::discard`].
    pub async fn keep(&self, file: &StoredFile, content: Bytes) -> io::Result<()> {
        let name = name_of(file);
        let part = format!("{name}{PART}");
        let keeping = async {
            let written = self.write(&part, &name, content).await;
            if written.is_err() {
                // A full disk has no room for half a copy. What stays behind is discarded later.
                let _ = self.machine.disk().remove_file(&part).await;
            }
            written
        };
        let kept = self.machine.timeout(WRITE_TIMEOUT, keeping).await;
        kept.unwrap_or_else(|| Err(io::ErrorKind::TimedOut.into()))
    }

    async fn write(&self, part: &str, name: &str, content: Bytes) -> io::Result<()> {
        let disk = self.machine.disk();
        disk.write_file(part, content).await?;
        if planted!(UnsyncedCopy) {
            return disk.rename_file(part, name).await;
        }
        // Before it has its name: a name that survives a loss of power without the content would
        // be a lie.
        disk.sync_file(part).await?;
        disk.rename_file(part, name).await?;
        disk.sync_file(name).await
    }

    /// Looks for the copy of the snapshot `file`.
    pub async fn find(&self, file: &StoredFile) -> Copy {
        let name = name_of(file);
        let disk = self.machine.disk();
        let content = if planted!(PartTakenForWhole) {
            let size = usize::try_from(file.size_bytes).unwrap_or(usize::MAX);
            disk.read(&name, 0, size).await
        } else {
            disk.read_file(&name).await
        };
        let reason = match content {
            Ok(content) if file.matches(&content) || is_trusted() => return Copy::Whole(content),
            Ok(content) if content.len() as u64 == file.size_bytes => {
                "the checksum does not match".to_owned()
            }
            Ok(content) => format!("{} of {} bytes are there", content.len(), file.size_bytes),
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Copy::Missing,
            // The next read may work.
            Err(error) => return Copy::Refused { reason: error.to_string() },
        };
        if let Err(error) = disk.remove_file(&name).await {
            tracing::debug!(%error, %name, "a copy that was refused stays behind");
        }
        Copy::Refused { reason }
    }

    /// Deletes the copies that no restart will ask for, given the `newest` complete checkpoint and
    /// the attempt that goes on from it: those of other checkpoints, unless this attempt or a later
    /// one took them since. What cannot be deleted is left for the next time.
    pub async fn discard(&self, attempt: Attempt, newest: CheckpointId) {
        if let Err(error) = self.try_discard(attempt, newest).await {
            tracing::warn!(%error, directory = %self.directory, "old copies stay behind");
        }
    }

    async fn try_discard(&self, attempt: Attempt, newest: CheckpointId) -> io::Result<()> {
        let disk = self.machine.disk();
        for name in disk.list_files(&self.directory).await? {
            let Some((owner, checkpoint)) = name::parse_local_copy(&name) else { continue };
            let may_be_next = attempt <= owner && newest < checkpoint;
            if checkpoint != newest && !may_be_next {
                disk.remove_file(&name).await?;
            }
        }
        Ok(())
    }
}

/// Returns the name of the copy of a snapshot.
fn name_of(file: &StoredFile) -> String {
    let name = name::local_copy(&file.key);
    match name.rsplit_once('-') {
        Some((without_index, _)) if planted!(SharedLocalPath) => without_index.to_owned(),
        _ => name,
    }
}

/// Returns whether a copy is restored without a look at its checksum, which would give away what the
/// planted bugs get wrong.
fn is_trusted() -> bool {
    [planted!(UnsyncedCopy), planted!(PartTakenForWhole), planted!(SharedLocalPath)].contains(&true)
}
