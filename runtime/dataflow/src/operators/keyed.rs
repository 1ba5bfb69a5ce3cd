//! Where a record's key lies.

use std::{iter::zip, marker::PhantomData};

use floodmark_model::{
    Attempt, Batch, KeyGroup, KeyGroupLayout, KeyPlace, Record, RuntimeEvent, SubtaskId,
};
use floodmark_platform::Machine;
use floodmark_state::{Fragment, Key};
use floodmark_wire::key_hash;

use crate::chain::OpenContext;

/// Records whose keys are found together.
pub(super) const NEXT_COUNT: usize = 32;

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
    /// The keys of the records that come next; empty, and kept for its room, between batches.
    next: Vec<(K, KeyPlace)>,
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
        Self { layout, key_of, watch: None, next: Vec::new(), types: PhantomData }
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

    /// Hands every record of a batch to `take`, with its key and the key's place. Before `take` gets the first
    /// of up to 32 records, `expect` hears the keys of all of them, so that their state can be fetched
    /// together. Both have `state`.
    #[inline]
    pub(crate) fn for_each<S>(
        &mut self,
        batch: Batch<T>,
        state: &mut S,
        expect: impl Fn(&mut S, &[(K, KeyPlace)]),
        mut take: impl FnMut(&mut S, (&K, KeyPlace), Record<T>),
    ) {
        let mut keys = std::mem::take(&mut self.next);
        let mut records = batch.into_iter();
        while !records.as_slice().is_empty() {
            let next = records.as_slice().iter().take(NEXT_COUNT);
            keys.extend(next.map(|record| self.find(&record.value)));
            expect(state, &keys);
            for ((key, place), record) in zip(&keys, records.by_ref()) {
                take(state, (key, *place), record);
            }
            keys.clear();
        }
        self.next = keys;
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
