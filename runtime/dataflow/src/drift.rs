//! How far a source may run ahead of the others of its group.
//!
//! A source that is read faster than another one fills the state of those downstream with records that
//! have to wait. So sources of a group tell the coordinator how far they have come, it answers with the
//! least of all, and a split that is further ahead of it than it may be is not read until the others
//! have caught up. Idle and ended splits are not waited for.
//!
//! The limit only ever comes from the coordinator, and only what is read later is held: so a message
//! that is late or lost costs time and nothing else. Barriers and commands do not wait, because only
//! the reading of splits does.
//!
//! # Sources
//!
//! Flink's FLIP-182 (alignment of sources) and FLIP-217 (of their splits).

use std::{
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use floodmark_model::Timestamp;
use floodmark_platform::planted;

/// Time between two reports, unless the strategy says otherwise.
pub(crate) const REPORT_INTERVAL: Duration = Duration::from_secs(1);

/// What a strategy says of the group of its source.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct DriftOptions {
    pub(crate) group: String,
    pub(crate) max_drift: Duration,
    pub(crate) interval: Duration,
}

/// What the head of a source, the strategy behind it and the subtask know of the drift.
#[derive(Clone, Debug)]
pub struct SourceDrift(Arc<Mutex<Shared>>);

#[derive(Debug)]
struct Shared {
    options: DriftOptions,
    /// What may be promised of a split that is still read.
    limit: Timestamp,
    /// The promise of each split, and whether others wait for it.
    splits: Vec<(Timestamp, bool)>,
}

impl SourceDrift {
    /// Creates the drift of a source with so many splits. Until the least promise of the group is
    /// known, a split is read up to its first promise.
    pub(crate) fn new(options: DriftOptions, split_count: usize) -> Self {
        let splits = vec![(Timestamp::MIN, true); split_count];
        Self(Arc::new(Mutex::new(Shared { options, limit: Timestamp::MIN, splits })))
    }

    fn lock(&self) -> MutexGuard<'_, Shared> {
        // All fields are plain values, so a panic elsewhere does not spoil them.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Hears what is promised of a split, and whether others wait for it.
    pub(crate) fn set(&self, split: usize, promise: Timestamp, is_active: bool) {
        self.lock().splits[split] = (promise, is_active);
    }

    /// Returns whether a split has to wait for others.
    pub(crate) fn is_held(&self, split: usize) -> bool {
        let shared = self.lock();
        shared.limit < shared.splits[split].0
    }

    /// Returns the least promise that others have to wait for.
    pub(crate) fn least(&self) -> Option<Timestamp> {
        let shared = self.lock();
        let is_active = |(_, is_active): &&(_, bool)| *is_active || planted!(DriftOfAllSplits);
        let active = shared.splits.iter().filter(is_active);
        active.map(|(promise, _)| *promise).min()
    }

    /// Hears the least promise of the group; without one, nobody is waited for.
    pub(crate) fn on_announcement(&self, group: &str, least: Option<Timestamp>) {
        let mut shared = self.lock();
        if shared.options.group == group {
            let max_drift = shared.options.max_drift;
            shared.limit = least.map_or(Timestamp::MAX, |least| least + max_drift);
        }
    }

    /// Returns what the strategy says.
    pub(crate) fn options(&self) -> DriftOptions {
        self.lock().options.clone()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn drift() -> SourceDrift {
        let (group, max_drift) = ("group".to_owned(), Duration::from_millis(10));
        SourceDrift::new(DriftOptions { group, max_drift, interval: REPORT_INTERVAL }, 3)
    }

    fn held(drift: &SourceDrift) -> [bool; 3] {
        [0, 1, 2].map(|split| drift.is_held(split))
    }

    #[test]
    fn a_split_waits_when_it_is_too_far_ahead_of_the_group() {
        let drift = drift();
        assert_eq!((held(&drift), drift.least()), ([false; 3], Some(Timestamp::MIN)));
        // Nothing is known of the others: a first promise is enough.
        drift.set(0, Timestamp(5), true);
        assert_eq!(held(&drift), [true, false, false]);
        drift.on_announcement("group", Some(Timestamp::MIN));
        assert_eq!(held(&drift), [true, false, false]);
        drift.set(1, Timestamp(16), true);
        drift.set(2, Timestamp(15), true);
        assert_eq!(drift.least(), Some(Timestamp(5)));
        drift.on_announcement("another", Some(Timestamp(100)));
        drift.on_announcement("group", Some(Timestamp(5)));
        assert_eq!(held(&drift), [false, true, false]);
        drift.on_announcement("group", None);
        assert_eq!(held(&drift), [false; 3]);
    }

    #[test]
    fn nobody_waits_for_splits_that_are_idle_or_have_ended() {
        let drift = drift();
        (0..3).for_each(|split| drift.set(split, Timestamp(split as i64), 0 < split));
        assert_eq!(drift.least(), Some(Timestamp(1)));
        (0..3).for_each(|split| drift.set(split, Timestamp(9), false));
        assert_eq!(drift.least(), None);
    }
}
