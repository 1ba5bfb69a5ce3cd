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
    /// How often a pane was unfolded.
    unfolded_count: u64,
    spare: Spare<A>,
}

/// Which keys are in a pane, and where.
#[derive(Debug)]
pub(super) struct Links<A> {
    /// For each entry of the pane, in their order: its key.
    pub(super) keys: Vec<u32>,
    /// By key: its entry in the pane, or [`NONE`]. Empty while it is [folded](Together::fold).
    entries: Vec<u32>,
    /// When it was unfolded: the count of that.
    unfolded_at: u64,
    /// In the front, for each entry of the pane: what is left of its key there when the pane is gone.
    rests: Vec<Option<A>>,
}

/// The links of a closed pane, and entries without one, kept for their room.
struct Spare<A> {
    links: Option<Links<A>>,
    entries: Vec<u32>,
}

/// Room of unfolded panes, in keys: so much, and so many times as much as there are entries in all panes.
const UNFOLDED_LEN_MIN: usize = 1 << 20;
const UNFOLDED_RATIO_MAX: usize = 8;

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
    const NOTHING: Self =
        Self { keys: Vec::new(), entries: Vec::new(), unfolded_at: 0, rests: Vec::new() };

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
        let mut this =
            Self { last: None, keys, parts: Vec::new(), links, unfolded_count: 0, spare };
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
    #[inline]
    pub(super) fn unfold(&mut self, position: usize) {
        if self.links[position].entries.is_empty() {
            self.unfold_anew(position);
        }
    }

    #[cold]
    fn unfold_anew(&mut self, position: usize) {
        self.limit_unfolded();
        let Self { links, spare, unfolded_count, .. } = self;
        let links = &mut links[position];
        links.entries = std::mem::take(&mut spare.entries);
        for at in 0..links.keys.len() {
            let entry = u32::try_from(at).expect("a table holds fewer than 2³² entries");
            links.set(links.keys[at], entry);
        }
        *unfolded_count += 1;
        links.unfolded_at = *unfolded_count;
    }

    /// Folds the panes that were unfolded first, while those that are take too much room: each takes as
    /// much as all keys, however few it has itself.
    fn limit_unfolded(&mut self) {
        let entry_count: usize = self.links.iter().map(|links| links.keys.len()).sum();
        let len_max = UNFOLDED_LEN_MIN.max(UNFOLDED_RATIO_MAX * entry_count);
        while len_max < self.links.iter().map(|links| links.entries.len()).sum() {
            let unfolded = (0..self.links.len()).filter(|at| !self.links[*at].entries.is_empty());
            let Some(first) = unfolded.min_by_key(|at| self.links[*at].unfolded_at) else { break };
            self.fold(first);
        }
    }

    /// Adds a value to the pane at `position`. Returns the number of its key if it is the first one there.
    #[inline]
    pub(super) fn put<T>(
        &mut self,
        (position, pane): (usize, &mut Table<K, A>),
        (key, place): (&K, KeyPlace),
        value: T,
        accumulate: &mut impl Accumulate<T, Acc = A>,
    ) -> Option<u32> {
        let number = self.keys.number_of(place, key, || ());
        let links = &mut self.links[position];
        match links.find(number) {
            Some(entry) => {
                accumulate.add(pane.at_mut(entry).1, value);
                None
            }
            None => {
                links.add(number, pane.append(place, key.clone(), accumulate.begin(value)));
                Some(number)
            }
        }
    }

    /// Frees the room that a pane needs for records.
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
        let is_next = self.last.is_some_and(|before| before.checked_add(1) == Some(last));
        self.last = Some(last);
        if is_next && layout.block(last) != last {
            if let Some(position) = panes.position_of(layout.start(last)) {
                self.extend(position, panes, accumulate);
                self.fold(position);
            }
            return;
        }
        self.fill(last, layout, panes, accumulate);
        if self.is_mostly_gone() {
            self.number_keys(panes);
            self.fill(last, layout, panes, accumulate);
        }
    }

    /// Returns whether most keys are in no pane any more.
    fn is_mostly_gone(&self) -> bool {
        let count = self.keys.entry_count();
        let filled_count = self.parts.iter().filter(|parts| !parts.is_nothing()).count();
        if count / 2 <= filled_count {
            return false;
        }
        // Others may be in panes that no window has come to.
        let mut is_there = vec![false; count];
        let keys = self.links.iter().flat_map(|links| &links.keys);
        keys.for_each(|key| is_there[*key as usize] = true);
        is_there.into_iter().filter(|is_there| *is_there).count() < count / 2
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

    fn nothing() -> (Windows<u64, u64>, Together<u64, u64>) {
        let panes = Windows::new(KeyGroupLayout { group_count: 4, parallelism: 1 }.range_of(0));
        let together = Together::new(&panes);
        (panes, together)
    }

    /// Opens a pane for records, and returns its position.
    fn open(panes: &mut Windows<u64, u64>, together: &mut Together<u64, u64>, pane: i64) -> usize {
        let position = panes.open(LAYOUT.start(pane));
        together.open(position);
        together.unfold(position);
        position
    }

    #[test]
    fn keys_that_do_not_come_again_are_forgotten() {
        let mut sum = ReduceWith(|left: u64, right: u64| left + right);
        let (mut panes, mut together) = nothing();
        for pane in 0..100_i64 {
            let position = open(&mut panes, &mut together, pane);
            let first = pane.unsigned_abs() * KEYS_PER_PANE;
            for key in first..first + KEYS_PER_PANE {
                let place = together.keys.place_of(&key);
                let table = panes.table_mut(position);
                assert!(together.put((position, table), (&key, place), 1, &mut sum).is_some());
                assert!(together.put((position, table), (&key, place), 2, &mut sum).is_none());
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

    #[test]
    fn many_panes_ahead_do_not_take_the_room_of_all_keys_each() {
        let mut sum = ReduceWith(|left: u64, right: u64| left + right);
        let (mut panes, mut together) = nothing();
        let (pane_count, key_count) = (600_u64, 6_000);
        for pane in 0..pane_count {
            let position = open(&mut panes, &mut together, pane.cast_signed());
            // The first pane has them all, and each of the others has the first and the last.
            let keys = if pane == 0 { (0..key_count).collect() } else { vec![0, key_count - 1] };
            for key in keys {
                let place = together.keys.place_of(&key);
                let table = panes.table_mut(position);
                assert!(together.put((position, table), (&key, place), pane, &mut sum).is_some());
            }
        }
        let len: usize = together.links.iter().map(|links| links.entries.len()).sum();
        let bound = UNFOLDED_LEN_MIN + 2 * usize::try_from(key_count).unwrap();
        assert!(bound < usize::try_from(pane_count * key_count).unwrap() && len <= bound, "{len}");
        // A pane that was folded is what it was.
        together.unfold(1);
        let table = panes.table_mut(1);
        let place = together.keys.place_of(&0);
        assert!(together.put((1, table), (&0, place), 7, &mut sum).is_none());
        assert_eq!(panes.table(1).iter().map(|(_, value)| *value).collect::<Vec<_>>(), [8, 1]);
    }
}
