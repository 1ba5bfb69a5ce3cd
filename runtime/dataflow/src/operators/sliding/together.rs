//! The keys of all panes of sliding windows, and the window that was put together last.

use std::{collections::VecDeque, iter::zip};

use floodmark_model::KeyPlace;
use floodmark_state::{Data, Key, Table, Windows};

use super::PaneLayout;
use crate::operators::Accumulate;

/// The keys of all open panes, and the window that was put together last. Follows from the panes, so it is
/// in no snapshot.
pub(super) struct Together<K, A> {
    /// The last pane of the window. Absent if something has changed: then it is put together anew.
    pub(super) last: Option<i64>,
    /// The keys, and for a while some that are in no pane any more. Here a key is known by the number of
    /// its entry.
    pub(super) keys: Table<K, ()>,
    /// By key: what the window has of it. Keys that have come later have nothing.
    pub(super) parts: Vec<Parts<A>>,
    /// For each open pane, in their order.
    pub(super) links: VecDeque<Links<A>>,
    spare: Spare<A>,
}

/// Which keys are in a pane, and where.
#[derive(Debug)]
pub(super) struct Links<A> {
    /// For each entry of the pane, in their order: its key.
    pub(super) keys: Vec<u32>,
    /// By key: its entry in the pane, or [`NONE`]. It is [folded](Together::fold) while no record comes.
    entries: Vec<u32>,
    /// In the front, for each entry of the pane: what is left of its key there when the pane is gone.
    rests: Vec<Option<A>>,
}

/// The links of a closed pane, and entries without one, kept for their room.
struct Spare<A> {
    links: Option<Links<A>>,
    entries: Vec<u32>,
}

/// No entry.
const NONE: u32 = u32::MAX;

/// What a window has of a key.
#[derive(Clone, Debug)]
pub(super) struct Parts<A> {
    pub(super) front: Option<A>,
    pub(super) back: Option<A>,
}

impl<A> Parts<A> {
    const NOTHING: Self = Self { front: None, back: None };

    fn is_nothing(&self) -> bool {
        self.front.is_none() && self.back.is_none()
    }
}

impl<A> Links<A> {
    const NOTHING: Self = Self { keys: Vec::new(), entries: Vec::new(), rests: Vec::new() };

    /// Returns the entry of a key.
    #[inline]
    fn find(&self, key: u32) -> Option<u32> {
        self.entries.get(key as usize).copied().filter(|entry| *entry != NONE)
    }

    /// Adds the entry of a key, which comes last in the pane.
    fn add(&mut self, key: u32, entry: u32) {
        debug_assert_eq!(entry as usize, self.keys.len(), "entries are added at the end");
        self.keys.push(key);
        self.set(key, entry);
    }

    fn set(&mut self, key: u32, entry: u32) {
        let at = key as usize;
        if self.entries.len() <= at {
            self.entries.resize(at + 1, NONE);
        }
        self.entries[at] = entry;
    }
}

/// Adds `more` to what there is.
fn add<T, A: Accumulate<T>>(accumulate: &mut A, there: &mut Option<A::Acc>, more: A::Acc) {
    *there = Some(match there.take() {
        Some(there) => accumulate.merge(there, more),
        None => more,
    });
}

impl<K: Key, A: Data> Together<K, A> {
    pub(super) fn new(panes: &Windows<K, A>) -> Self {
        let spare = Spare { links: None, entries: Vec::new() };
        let (keys, links) = (Table::new(panes.range()), VecDeque::new());
        let mut this = Self { last: None, keys, parts: Vec::new(), links, spare };
        this.links.resize_with(panes.open_count(), || Links::NOTHING);
        this.number_keys(panes);
        this
    }

    /// Gives numbers to the keys of the panes, and forgets all others.
    fn number_keys(&mut self, panes: &Windows<K, A>) {
        self.keys.clear();
        for position in 0..self.links.len() {
            self.fold(position);
            let Self { keys, links, .. } = self;
            let of = |(key, _): (&K, &A)| keys.number_of(keys.place_of(key), key, || ());
            links[position].keys.clear();
            links[position].keys.extend(panes.table(position).iter().map(of));
        }
    }

    /// Makes room for a pane that was opened.
    pub(super) fn open(&mut self, position: usize) {
        let links = self.spare.links.take().unwrap_or(Links::NOTHING);
        self.links.insert(position, links);
    }

    /// Forgets the first pane.
    pub(super) fn close_first(&mut self) {
        self.fold(0);
        if let Some(mut links) = self.links.pop_front() {
            links.keys.clear();
            links.rests.clear();
            self.spare.links = Some(links);
        }
    }

    /// Prepares a pane for records.
    pub(super) fn unfold(&mut self, position: usize) {
        let Self { links, spare, .. } = self;
        let links = &mut links[position];
        if links.entries.is_empty() {
            links.entries = std::mem::take(&mut spare.entries);
            for at in 0..links.keys.len() {
                let entry = u32::try_from(at).expect("a table holds fewer than 2³² entries");
                links.set(links.keys[at], entry);
            }
        }
    }

    /// Adds a value to the pane at `position`. Returns the number of its key if it is the first one there.
    #[inline]
    pub(super) fn put<T>(
        &mut self,
        (position, pane): (usize, &mut Table<K, A>),
        (key, place): (K, KeyPlace),
        value: T,
        accumulate: &mut impl Accumulate<T, Acc = A>,
    ) -> Option<u32> {
        let number = self.keys.number_of(place, &key, || ());
        let links = &mut self.links[position];
        match links.find(number) {
            Some(entry) => {
                accumulate.add(pane.at_mut(entry).1, value);
                None
            }
            None => {
                links.add(number, pane.append(place, key, accumulate.begin(value)));
                Some(number)
            }
        }
    }

    /// Frees the room that a pane needs for records. That is as large as all keys: only those panes have
    /// it for which records come, which are few.
    fn fold(&mut self, position: usize) {
        let Self { links, spare, .. } = self;
        let Links { keys, entries, .. } = &mut links[position];
        let mut entries = std::mem::take(entries);
        if !entries.is_empty() {
            keys.iter().for_each(|key| entries[*key as usize] = NONE);
            spare.entries = entries;
        }
    }

    /// Puts the window together that ends with the pane `last`.
    pub(super) fn advance<T>(
        &mut self,
        last: i64,
        layout: PaneLayout,
        panes: &Windows<K, A>,
        accumulate: &mut impl Accumulate<T, Acc = A>,
    ) {
        let is_next = self.last.is_some_and(|before| before + 1 == last);
        self.last = Some(last);
        if is_next && layout.block(last) != last {
            if let Some(position) = panes.position_of(layout.start(last)) {
                self.extend(position, panes, accumulate);
                self.fold(position);
            }
            return;
        }
        self.fill(last, layout, panes, accumulate);
        let filled_count = self.parts.iter().filter(|parts| !parts.is_nothing()).count();
        if filled_count < self.keys.entry_count() / 2 {
            self.number_keys(panes);
            self.fill(last, layout, panes, accumulate);
        }
    }

    /// Divides the panes of the window into the front and the back.
    fn fill<T>(
        &mut self,
        last: i64,
        layout: PaneLayout,
        panes: &Windows<K, A>,
        accumulate: &mut impl Accumulate<T, Acc = A>,
    ) {
        self.parts.clear();
        self.parts.resize_with(self.keys.entry_count(), || Parts::NOTHING);
        let block = layout.start(layout.block(last));
        let in_window = layout.start(layout.first(last))..=layout.start(last);
        let start = |position| panes.start(position).expect("there are links for open panes");
        let positions = (0..self.links.len()).filter(|at| in_window.contains(&start(*at)));
        let (front, back): (Vec<_>, Vec<_>) = positions.partition(|at| start(*at) < block);
        for position in front.into_iter().rev() {
            self.fold(position);
            let Self { parts, links, .. } = self;
            let Links { keys, rests, .. } = &mut links[position];
            rests.clear();
            rests.reserve(keys.len());
            for (key, (_, value)) in zip(keys, panes.table(position).iter()) {
                let front = &mut parts[*key as usize].front;
                rests.push(front.clone());
                add(accumulate, front, value.clone());
            }
        }
        for position in back {
            self.fold(position);
            self.extend(position, panes, accumulate);
        }
    }

    /// Adds a pane to the back.
    fn extend<T>(
        &mut self,
        position: usize,
        panes: &Windows<K, A>,
        accumulate: &mut impl Accumulate<T, Acc = A>,
    ) {
        let Self { keys, parts, links, .. } = self;
        parts.resize_with(keys.entry_count(), || Parts::NOTHING);
        for (key, (_, value)) in zip(&links[position].keys, panes.table(position).iter()) {
            add(accumulate, &mut parts[*key as usize].back, value.clone());
        }
    }

    /// Takes the first open pane out of the window. If it is not in the front, the block is full, and the
    /// next window begins with a new front.
    pub(super) fn retire_first(&mut self) {
        let Self { parts, links, .. } = self;
        let Links { keys, rests, .. } = &mut links[0];
        for (key, rest) in zip(keys, rests.drain(..)) {
            parts[*key as usize].front = rest;
        }
    }
}

#[cfg(test)]
mod tests {
    use floodmark_model::KeyGroupLayout;

    use super::*;
    use crate::operators::ReduceWith;

    const LAYOUT: PaneLayout = PaneLayout { slide_ms: 10, origin_ms: 0, count: 4 };
    const KEYS_PER_PANE: u64 = 5;

    #[test]
    fn keys_that_do_not_come_again_are_forgotten() {
        let key_groups = KeyGroupLayout { group_count: 4, parallelism: 1 }.range_of(0);
        let mut panes = Windows::<u64, u64>::new(key_groups);
        let mut together = Together::new(&panes);
        let mut sum = ReduceWith(|left: u64, right: u64| left + right);
        for pane in 0..100_i64 {
            let position = panes.open(LAYOUT.start(pane));
            together.open(position);
            together.unfold(position);
            let first = pane.unsigned_abs() * KEYS_PER_PANE;
            for key in first..first + KEYS_PER_PANE {
                let place = together.keys.place_of(&key);
                let table = panes.table_mut(position);
                assert!(together.put((position, table), (key, place), 1, &mut sum).is_some());
                assert!(together.put((position, table), (key, place), 2, &mut sum).is_none());
            }
            together.advance(pane, LAYOUT, &panes, &mut sum);
            let filled = together.parts.iter().filter(|parts| !parts.is_nothing());
            assert_eq!(
                filled.count() as u64,
                KEYS_PER_PANE * LAYOUT.count.min(pane + 1).unsigned_abs()
            );
            // Twice the keys of a window, and those of the panes until the next block.
            let bound = KEYS_PER_PANE * LAYOUT.count.unsigned_abs() * 3;
            assert!(together.keys.entry_count() as u64 <= bound, "pane {pane}");
            if LAYOUT.first(pane) == LAYOUT.pane_of(panes.start(0).expect("some are open")) {
                together.retire_first();
                together.close_first();
                panes.close_first();
            }
        }
    }
}
