//! Stores snapshots in the background, while their subtask goes on.
//!
//! Snapshots of one subtask are stored strictly one after the other. That matters: the snapshot of
//! checkpoint n + 1 names transactions that were prepared with checkpoint n, so it may be
//! acknowledged only when the work of n is done, whether or not n itself was aborted.
//!
//! What all subtasks of the vertex restore goes into a file of its own, so that they need not read
//! the rest.
//!
//! When the job wants local copies, each snapshot is written to the worker's own disk as well, after
//! it was reported: a disk that is full, broken or slow costs copies, and no checkpoint.

use std::{iter::zip, time::Duration};

use bytes::Bytes;
use floodmark_model::{Attempt, CheckpointId, RuntimeEvent, SubtaskId};
use floodmark_platform::{Machine, planted};
use floodmark_state::{CopyShelf, Files, Snapshot};
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
    /// Most bytes of a snapshot, if there is a limit.
    pub(crate) size_max: Option<u64>,
    pub(crate) snapshots: mpsc::UnboundedReceiver<(CheckpointId, Snapshot)>,
    pub(crate) reports: mpsc::UnboundedSender<Report>,
    pub(crate) failures: mpsc::UnboundedSender<Error>,
}

/// How storing a snapshot ended.
enum Stored {
    /// Well: what is there, and its bytes.
    Done(Vec<(StoredFile, Bytes)>),
    /// The object store refused it, for this reason.
    Declined(String),
}

impl Uploader {
    pub(crate) async fn run(mut self) {
        while let Some((checkpoint, snapshot)) = self.snapshots.recv().await {
            match self.store(checkpoint, snapshot).await {
                Ok(Stored::Done(stored)) => {
                    let files = stored.iter().map(|(file, _)| file.clone()).collect();
                    self.report(News::Acknowledged { checkpoint, files });
                    for (file, content) in stored {
                        self.copy(&file, content).await;
                    }
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
        let Files { own, shared, uploads } = snapshot.into_files();
        let sections = own.sections.iter().chain(shared.iter().flat_map(|file| &file.sections));
        self.check_size(checkpoint, sections)?;
        for upload in uploads {
            upload.await.map_err(|reason| Error::PreCommit { checkpoint, reason })?;
        }
        let Self { attempt, subtask, storage: (storage, job), .. } = self;
        let prefix = name::checkpoint(storage, job, *attempt, checkpoint);
        let mut files = Vec::new();
        let names = [name::snapshot, name::shared_snapshot];
        for (name, file) in zip(names, [Some(&own), shared.as_ref()]) {
            let Some(file) = file else { continue };
            let content = file.encode();
            let mut stored = StoredFile::describe(name(&prefix, *subtask), &content);
            if planted!(NameWithoutAttempt) {
                stored = self.keep_first(checkpoint, content.clone()).await;
            } else if let Err(reason) = self.put(&stored.key, &content).await {
                return Ok(Stored::Declined(reason));
            }
            files.push((stored, content));
        }
        self.machine.observe(|| {
            let sections = own.sections.iter().chain(shared.iter().flat_map(|file| &file.sections));
            RuntimeEvent::SnapshotStored {
                attempt: *attempt,
                subtask: *subtask,
                checkpoint,
                sections: sections.map(Section::digest).collect(),
                files: files.iter().map(|(file, _)| file.digest()).collect(),
            }
        });
        Ok(Stored::Done(files))
    }

    /// Returns whether the state is not larger than it may be.
    fn check_size<'a>(
        &self,
        checkpoint: CheckpointId,
        sections: impl Iterator<Item = &'a Section>,
    ) -> Result<(), Error> {
        let Some(size_max) = self.size_max else { return Ok(()) };
        let size_of = |section: &Section| -> u64 {
            section.groups.iter().map(|group| group.bytes.len() as u64).sum()
        };
        let mut sizes: Vec<_> = sections.map(|section| (size_of(section), section)).collect();
        sizes.sort_by_key(|(size, _)| std::cmp::Reverse(*size));
        let size = sizes.iter().map(|(size, _)| size).sum();
        match sizes.first() {
            Some((largest, Section { operator, name, .. })) if size_max < size => {
                let (operator, name, largest) = (operator.clone(), name.clone(), *largest);
                Err(Error::StateSize { checkpoint, size, size_max, operator, name, largest })
            }
            _ => Ok(()),
        }
    }

    /// Stores a file, or says why that is not possible.
    async fn put(&self, key: &str, content: &Bytes) -> Result<(), String> {
        for remaining in (0..TRY_COUNT).rev() {
            // The name is ours alone, so repeating a write in doubt is safe.
            match self.machine.object_store().put(key, content.clone()).await {
                Ok(()) => break,
                Err(error) if remaining == 0 => return Err(error.to_string()),
                Err(error) => tracing::warn!(%error, "storing a snapshot will be tried again"),
            }
            self.machine.sleep(RETRY_PAUSE).await;
        }
        Ok(())
    }
}
