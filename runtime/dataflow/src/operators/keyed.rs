//! Where a record's key lies.

use std::marker::PhantomData;

use floodmark_model::{
    Attempt, KeyGroup, KeyGroupLayout, KeyPlace, Record, RuntimeEvent, SubtaskId,
};
use floodmark_platform::Machine;
use floodmark_state::{Fragment, Key};
use floodmark_wire::key_hash;

use crate::chain::OpenContext;

/// Records whose keys are found together.
pub(crate) const NEXT_COUNT: usize = 32;

/// Returns the parts of the hashes of keys by which tables find them.
pub(crate) fn parts<K>(keys: &[(K, KeyPlace)]) -> impl Iterator<Item = Fragment> + Clone + '_ {
    keys.iter().map(|(_, place)| Fragment::of(place.hash))
}

/// Finds the key of a record and the place of the key, as the exchange before it did.
pub struct KeyOf<T, K, F> {
    layout: KeyGroupLayout,
    key_of: F,
    /// Present while somebody watches.
    watch: Option<Watch>,
    /// An empty list, kept for its room.
    spare: Vec<(K, KeyPlace)>,
    types: PhantomData<fn(T) -> K>,
}

/// Tells those who watch which key groups an operator meets.
struct Watch {
    machine: Machine,
    attempt: Attempt,
    subtask: SubtaskId,
    operator: String,
    /// By key group.
    met: Vec<bool>,
}

impl<T, K: Key, F: Fn(&T) -> K> KeyOf<T, K, F> {
    /// Finds keys with `key_of`.
    pub fn new(layout: KeyGroupLayout, key_of: F) -> Self {
        Self { layout, key_of, watch: None, spare: Vec::new(), types: PhantomData }
    }

    /// Prepares for the records of the operator `uid`.
    pub(crate) fn open(&mut self, uid: &str, cx: &OpenContext<'_>) {
        self.watch = cx.machine.is_observed().then(|| Watch {
            machine: cx.machine.clone(),
            attempt: cx.attempt,
            subtask: cx.subtask,
            operator: uid.to_owned(),
            met: vec![false; usize::from(self.layout.group_count)],
        });
    }

    /// Finds the keys of the records that come next, in their order. Finding some before their state is
    /// looked up lets that be fetched for all of them at once.
    #[inline]
    pub(crate) fn find_next(&mut self, records: &[Record<T>]) -> Vec<(K, KeyPlace)> {
        let mut next = std::mem::take(&mut self.spare);
        let records = &records[..records.len().min(NEXT_COUNT)];
        next.extend(records.iter().map(|record| self.find(&record.value)));
        next
    }

    /// Takes a list back that is not needed any more.
    #[inline]
    pub(crate) fn recycle(&mut self, next: Vec<(K, KeyPlace)>) {
        debug_assert!(next.is_empty(), "the keys of records go with them");
        self.spare = next;
    }

    /// Returns the key of `value` and its place.
    #[inline]
    pub fn find(&mut self, value: &T) -> (K, KeyPlace) {
        let key = (self.key_of)(value);
        let place = self.layout.place_of(key_hash(&key));
        if let Some(watch) = &mut self.watch {
            watch.on_group(place.group);
        }
        (key, place)
    }
}

impl Watch {
    #[cold]
    fn on_group(&mut self, group: KeyGroup) {
        if !std::mem::replace(&mut self.met[usize::from(group.0)], true) {
            let (attempt, subtask) = (self.attempt, self.subtask);
            self.machine.observe(|| RuntimeEvent::KeyGroupMet {
                attempt,
                subtask,
                operator: self.operator.clone(),
                group,
            });
        }
    }
}
