//! Deleting what [`Retention`](crate::retention::Retention) found to be garbage.

use floodmark_platform::StoreError;
use floodmark_wire::LogEntry;

use crate::{
    log::JobLog,
    retention::{Cleaning, Expired},
};

/// What a cleaning came to.
#[derive(Clone, Debug, Default)]
pub(crate) struct Cleaned {
    /// The slots of the checkpoints that are gone.
    pub(crate) slots: Vec<u64>,
    /// Whether something is left that should be gone.
    pub(crate) has_failed: bool,
}

/// Performs `cleaning`. What fails is left for the next cleaning.
pub(crate) async fn clean(log: JobLog, cleaning: Cleaning) -> Cleaned {
    let mut cleaned = Cleaned::default();
    for expired in &cleaning.expired {
        match delete_checkpoint(&log, expired).await {
            Ok(()) => cleaned.slots.push(expired.slot),
            Err(error) => {
                cleaned.has_failed = true;
                tracing::warn!(%error, "a retired checkpoint is kept for now");
            }
        }
    }
    if let Err(error) = delete_garbage(&log, &cleaning).await {
        cleaned.has_failed = true;
        tracing::warn!(%error, "files of aborted checkpoints are kept for now");
    }
    cleaned
}

async fn delete_checkpoint(log: &JobLog, expired: &Expired) -> Result<(), StoreError> {
    for key in &expired.files {
        delete(log, key).await?;
    }
    let key = log.key(expired.slot);
    match &expired.replacement {
        Some(entry) => replace(log, &key, entry).await,
        None => delete(log, &key).await,
    }
}

async fn delete_garbage(log: &JobLog, cleaning: &Cleaning) -> Result<(), StoreError> {
    let listing = log.machine().object_store().list(&log.data_prefix());
    for entry in listing.await? {
        if cleaning.is_garbage(&entry.key) {
            delete(log, &entry.key).await?;
        }
    }
    Ok(())
}

async fn delete(log: &JobLog, key: &str) -> Result<(), StoreError> {
    let deleting = log.machine().object_store().delete(key);
    deleting.await
}

async fn replace(log: &JobLog, key: &str, entry: &LogEntry) -> Result<(), StoreError> {
    let putting = log.machine().object_store().put(key, entry.encode());
    putting.await
}
