//! Stores snapshots in the background, while their subtask goes on.
//!
//! Snapshots of one subtask are stored strictly one after the other. That matters: the snapshot of
//! checkpoint n + 1 names transactions that were prepared with checkpoint n, so it may be
//! acknowledged only when the work of n is done, whether or not n itself was aborted.
//!
//! When the job wants local copies, each snapshot is written to the worker's own disk as well, after
//! it was reported: a disk that is full, broken or slow costs copies, and no checkpoint.

use std::time::Duration;

use bytes::Bytes;
use floodmark_model::{Attempt, CheckpointId, RuntimeEvent, SubtaskId};
use floodmark_platform::{Machine, planted};
use floodmark_state::{CopyShelf, Snapshot};
use floodmark_wire::{Section, StoredFile, name};
use tokio::sync::mpsc;

use crate::{Error, News, Report};

/// Tries at storing a file before the checkpoint is declined.
const TRY_COUNT: u32 = 3;

/// Pause between two tries.
const RETRY_PAUSE: Duration = Duration::from_millis(100);

/// Stores what comes in on `snapshots` and reports each one. Ends when the subtask does.
pub(crate) struct Uploader {
    pub(crate) machine: Machine,
    pub(crate) attempt: Attempt,
    pub(crate) subtask: SubtaskId,
    /// Prefix of the job's objects, and the job's name.
    pub(crate) storage: (String, String),
    /// Where copies go, if there are to be any.
    pub(crate) copies: Option<CopyShelf>,
    pub(crate) snapshots: mpsc::UnboundedReceiver<(CheckpointId, Snapshot)>,
    pub(crate) reports: mpsc::UnboundedSender<Report>,
    pub(crate) failures: mpsc::UnboundedSender<Error>,
}

/// How storing a snapshot ended.
enum Stored {
    /// Well: what is there, and its bytes.
    Done(StoredFile, Bytes),
    /// The object store refused it, for this reason.
    Declined(String),
}

impl Uploader {
    pub(crate) async fn run(mut self) {
        while let Some((checkpoint, snapshot)) = self.snapshots.recv().await {
            match self.store(checkpoint, snapshot).await {
                Ok(Stored::Done(file, content)) => {
                    self.report(News::Acknowledged { checkpoint, files: vec![file.clone()] });
                    self.copy(&file, content).await;
                }
                Ok(Stored::Declined(_)) if planted!(SwallowedUploadError) => {}
                Ok(Stored::Declined(reason)) => self.decline(checkpoint, reason),
                // Nobody listens when the worker is going down.
                Err(error) => drop(self.failures.send(error)),
            }
        }
    }

    fn report(&self, news: News) {
        let (attempt, subtask) = (self.attempt, self.subtask);
        // Nobody listens when the worker is going down.
        drop(self.reports.send(Report { attempt, subtask, news }));
    }

    fn decline(&self, checkpoint: CheckpointId, reason: String) {
        let (attempt, subtask) = (self.attempt, self.subtask);
        self.machine.observe(|| RuntimeEvent::SnapshotDeclined {
            attempt,
            subtask,
            checkpoint,
            reason: reason.clone(),
        });
        self.report(News::Declined { checkpoint, reason });
    }

    /// Keeps a copy of what was stored, unless the disk is against it.
    async fn copy(&self, file: &StoredFile, content: Bytes) {
        let Some(copies) = &self.copies else { return };
        if let Err(error) = copies.keep(file, content).await {
            tracing::warn!(%error, key = %file.key, "a snapshot has no local copy");
        }
    }

    /// Stores a file under a name that does not tell whose it is, and takes what is there for it: a
    /// planted bug.
    async fn keep_first(&self, checkpoint: CheckpointId, content: Bytes) -> StoredFile {
        let (storage, job) = &self.storage;
        let number = CheckpointId(checkpoint.0 % (1 << 32) + (1 << 60));
        let prefix = name::checkpoint(storage, job, Attempt::default(), number);
        let key = name::snapshot(&prefix, self.subtask);
        let putting = self.machine.object_store().put_if_absent(&key, content.clone());
        let _ = putting.await;
        let getting = self.machine.object_store().get(&key);
        let found = getting.await.unwrap_or(content);
        StoredFile::describe(key, &found)
    }

    async fn store(&self, checkpoint: CheckpointId, snapshot: Snapshot) -> Result<Stored, Error> {
        let (file, uploads) = snapshot.into_parts();
        for upload in uploads {
            upload.await.map_err(|reason| Error::PreCommit { checkpoint, reason })?;
        }
        let Self { attempt, subtask, storage: (storage, job), .. } = self;
        let prefix = name::checkpoint(storage, job, *attempt, checkpoint);
        let content = file.encode();
        let mut stored = StoredFile::describe(name::snapshot(&prefix, *subtask), &content);
        if planted!(NameWithoutAttempt) {
            stored = self.keep_first(checkpoint, content.clone()).await;
        }
        let tries = if planted!(NameWithoutAttempt) { 0 } else { TRY_COUNT };
        for remaining in (0..tries).rev() {
            // The name is ours alone, so repeating a write in doubt is safe.
            match self.machine.object_store().put(&stored.key, content.clone()).await {
                Ok(()) => break,
                Err(error) if remaining == 0 => {
                    let reason = error.to_string();
                    return Ok(Stored::Declined(reason));
                }
                Err(error) => tracing::warn!(%error, "storing a snapshot will be tried again"),
            }
            self.machine.sleep(RETRY_PAUSE).await;
        }
        self.machine.observe(|| RuntimeEvent::SnapshotStored {
            attempt: *attempt,
            subtask: *subtask,
            checkpoint,
            sections: file.sections.iter().map(Section::digest).collect(),
            files: vec![stored.digest()],
        });
        Ok(Stored::Done(stored, content))
    }
}
