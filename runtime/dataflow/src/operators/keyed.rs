//! Where a record's key lies.

use std::marker::PhantomData;

use floodmark_model::{Attempt, KeyGroup, KeyGroupLayout, KeyPlace, RuntimeEvent, SubtaskId};
use floodmark_platform::Machine;
use floodmark_state::Key;
use floodmark_wire::key_hash;

use crate::chain::OpenContext;

/// Finds the key of a record and the place of the key, as the exchange before it did.
pub struct KeyOf<T, K, F> {
    layout: KeyGroupLayout,
    key_of: F,
    /// Present while somebody watches.
    watch: Option<Watch>,
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
        Self { layout, key_of, watch: None, types: PhantomData }
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
