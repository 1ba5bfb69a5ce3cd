//! The log of a job as the object store holds it: reads, listings and appends that end definitely.
//!
//! An object store that fails is asked again until it answers: without it there is nothing a
//! coordinator could decide. A slot whose bytes do not check out is read a few times more, because
//! a short read heals and a damaged object does not.

use std::{collections::BTreeSet, time::Duration};

use floodmark_platform::{Machine, StoreError, planted};
use floodmark_wire::{LogEntry, decode_log_entry, name};

use crate::append::{Appended, Found, PutStep, after_put, after_read};

/// Reads of a slot whose bytes do not check out.
const READ_COUNT_MAX: u32 = 5;

/// First pause between two tries at something that failed. Each further one is twice as long.
const PAUSE_MIN: Duration = Duration::from_millis(20);

/// Longest pause between two tries.
const PAUSE_MAX: Duration = Duration::from_secs(1);

/// The log of one job.
#[derive(Clone)]
pub(crate) struct JobLog {
    machine: Machine,
    storage: String,
    job: String,
}

/// The growing pause between tries.
struct Backoff(Duration);

impl JobLog {
    /// Creates the handle to the log of `job` under `storage`.
    pub(crate) fn new(machine: Machine, storage: String, job: String) -> Self {
        Self { machine, storage, job }
    }

    /// Returns the machine whose object store holds the log.
    pub(crate) fn machine(&self) -> &Machine {
        &self.machine
    }

    /// Returns the key of a slot.
    pub(crate) fn key(&self, slot: u64) -> String {
        name::log_slot(&self.storage, &self.job, slot)
    }

    /// Returns the prefix of the job's snapshots.
    pub(crate) fn data_prefix(&self) -> String {
        name::data(&self.storage, &self.job)
    }

    /// Returns the slots that hold something.
    pub(crate) async fn slots(&self) -> BTreeSet<u64> {
        let keys = self.list(&name::log(&self.storage, &self.job)).await;
        keys.iter().filter_map(|key| name::parse_log_slot(key)).collect()
    }

    /// Returns what `slot` holds.
    pub(crate) async fn read(&self, slot: u64) -> Found {
        let key = self.key(slot);
        let mut backoff = Backoff(PAUSE_MIN);
        let mut read_count = 0;
        loop {
            let getting = self.machine.object_store().get(&key);
            match getting.await {
                Ok(bytes) => match decode_log_entry(&bytes) {
                    Ok(entry) => return Found::Entry(entry),
                    Err(error) if READ_COUNT_MAX <= read_count => return Found::Unreadable(error),
                    Err(error) => tracing::warn!(%key, %error, "a log entry is read again"),
                },
                Err(StoreError::NotFound { .. }) => return Found::Missing,
                Err(_) if planted!(DropOnReadError) => return Found::Missing,
                Err(error) => {
                    tracing::warn!(%error, "a log entry is read again");
                    backoff.pause(&self.machine).await;
                    continue;
                }
            }
            read_count += 1;
            backoff.pause(&self.machine).await;
        }
    }

    /// Writes `entry` into `slot`, or learns who did.
    pub(crate) async fn append(&self, slot: u64, entry: &LogEntry) -> Appended {
        let (key, bytes) = (self.key(slot), entry.encode());
        let mut backoff = Backoff(PAUSE_MIN);
        loop {
            let putting = self.machine.object_store().put_if_absent(&key, bytes.clone());
            match after_put(putting.await) {
                PutStep::Stored => return Appended::Stored,
                PutStep::Read => return after_read(entry, self.read(slot).await),
                PutStep::PutAgain => tracing::warn!(%key, "a log entry is written again"),
            }
            backoff.pause(&self.machine).await;
        }
    }

    async fn list(&self, prefix: &str) -> Vec<String> {
        let mut backoff = Backoff(PAUSE_MIN);
        loop {
            let listing = self.machine.object_store().list(prefix);
            match listing.await {
                Ok(entries) => return entries.into_iter().map(|entry| entry.key).collect(),
                Err(error) => tracing::warn!(%error, "the object store is listed again"),
            }
            backoff.pause(&self.machine).await;
        }
    }
}

impl Backoff {
    async fn pause(&mut self, machine: &Machine) {
        machine.sleep(self.0).await;
        self.0 = PAUSE_MAX.min(self.0 * 2);
    }
}
