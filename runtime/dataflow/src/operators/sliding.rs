//! Sliding windows that share their work.
//!
//! Windows of one size that begin one slide after the other overlap. Where the order of values makes no
//! difference, a record is added to the one *pane* it lies in, a span of one slide, and a window is put
//! together of its panes. That is not done from the start for each window:
//!
//! ```text
//! panes   0  1  2  3 │ 4  5  6  7 │ 8  …        blocks of as many panes as a window has
//! window        └──────────┘                    = what is left of the first block (front)
//!               front ┘└ back                     and what there is of the second (back)
//! ```
//!
//! A window touches two blocks at most. The front loses a pane with every slide, for which is noted
//! what remains of each of the pane's keys without it; the back gains one. When a block is full, its panes
//! become the front, from the last to the first. So a key costs three visits per pane and one per row,
//! however many windows overlap.
//!
//! A record's key is looked up once, among the keys of all panes. From then on it is a number: each pane has
//! a list from numbers to its entries, and is visited in the order of its entries, without a search.
//!
//! # Sources
//!
//! The blocks are those of van Herk (1992) and of Gil and Werman (1993), who found the smallest of
//! neighbouring pixels that way.

use std::{collections::VecDeque, iter::zip, marker::PhantomData, time::Duration};

use floodmark_model::{Batch, KeyPlace, Record, TimeDomain, Timestamp};
use floodmark_state::{Data, Key, Snapshot, Table, Windows};

use crate::{
    Error, OutputTag,
    chain::{Emitter, OpenContext, Operator},
    operators::{
        Accumulate, KeyOf, Overlapping, Window, keyed::parts, record_counts::RecordCounts,
        timer_watch::TimerWatch,
    },
};

/// Groups records by key and sliding window, for results that do not depend on the order of values.
pub struct SlidingOperator<T, K, F, A: Accumulate<T>> {
    uid: String,
    panes: PaneLayout,
    late_to: Option<OutputTag<T>>,
    key_of: KeyOf<T, K, F>,
    accumulate: A,
    opened: Option<Opened<K, A::Acc>>,
    value: PhantomData<fn(T)>,
}

/// Which times are in which pane. A pane is known by its number; the window of a pane is the one that
/// ends with it.
#[derive(Clone, Copy, Debug)]
struct PaneLayout {
    slide_ms: i64,
    origin_ms: i64,
    /// Panes of a window, and of a block.
    count: i64,
}

struct Opened<K, A> {
    watermark: Timestamp,
    /// The panes that are part of a window that has not fired, by start.
    panes: Windows<K, A>,
    together: Together<K, A>,
    watch: TimerWatch,
    counts: RecordCounts,
}

/// The pane of a record.
#[derive(Clone, Copy)]
struct Found {
    position: usize,
    start: Timestamp,
    end: Timestamp,
    /// Whether it is part of the window that was put together last.
    is_used: bool,
}

/// The keys of all open panes, and the window that was put together last. Follows from the panes, so it is
/// in no snapshot.
struct Together<K, A> {
    /// The last pane of the window. Absent if something has changed: then it is put together anew.
    last: Option<i64>,
    /// The keys, and for a while some that are in no pane any more. Here a key is known by the number of
    /// its entry.
    keys: Table<K, ()>,
    /// By key: what the window has of it. Keys that have come later have nothing.
    parts: Vec<Parts<A>>,
    /// For each open pane, in their order.
    links: VecDeque<Links<A>>,
    spare: Spare<A>,
}

/// Which keys are in a pane, and where.
#[derive(Debug)]
struct Links<A> {
    /// For each entry of the pane, in their order: its key.
    keys: Vec<u32>,
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
struct Parts<A> {
    front: Option<A>,
    back: Option<A>,
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

impl PaneLayout {
    fn pane_of(self, timestamp: Timestamp) -> i64 {
        timestamp.0.saturating_sub(self.origin_ms).div_euclid(self.slide_ms)
    }

    fn start(self, pane: i64) -> Timestamp {
        Timestamp(pane.saturating_mul(self.slide_ms).saturating_add(self.origin_ms))
    }

    /// Returns the first pane of the window whose last pane this is. Records that nobody has given a
    /// time lie at the beginning of time, where there are no panes before.
    fn first(self, last: i64) -> i64 {
        last.saturating_sub(self.count - 1)
    }

    /// Returns the window whose last pane this is.
    fn window(self, last: i64) -> Window {
        Window { start: self.start(self.first(last)), end: self.start(last.saturating_add(1)) }
    }

    /// Returns the last pane of the first window that has not fired at `fired`.
    fn next(self, fired: Timestamp) -> i64 {
        self.pane_of(fired + Duration::from_millis(1))
    }

    /// Returns the first pane of the block of a pane.
    fn block(self, pane: i64) -> i64 {
        pane.saturating_sub(pane.rem_euclid(self.count))
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
    fn new(panes: &Windows<K, A>) -> Self {
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
    fn open(&mut self, position: usize) {
        let links = self.spare.links.take().unwrap_or(Links::NOTHING);
        self.links.insert(position, links);
    }

    /// Forgets the first pane.
    fn close_first(&mut self) {
        self.fold(0);
        if let Some(mut links) = self.links.pop_front() {
            links.keys.clear();
            links.rests.clear();
            self.spare.links = Some(links);
        }
    }

    /// Prepares a pane for records.
    fn unfold(&mut self, position: usize) {
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
    fn put<T>(
        &mut self,
        position: usize,
        pane: &mut Table<K, A>,
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
    fn advance<T>(
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
    fn retire_first(&mut self) {
        let Self { parts, links, .. } = self;
        let Links { keys, rests, .. } = &mut links[0];
        for (key, rest) in zip(keys, rests.drain(..)) {
            parts[*key as usize].front = rest;
        }
    }
}

impl<T, K, F, A> SlidingOperator<T, K, F, A>
where
    T: Data,
    K: Key,
    F: Fn(&T) -> K + Send,
    A: Accumulate<T>,
{
    /// Creates the operator `uid`. Records that come too late for all their windows go to `late_to`;
    /// without it they are counted and dropped.
    ///
    /// # Panics
    ///
    /// When a window has fewer than two slides, or the order of values makes a difference.
    pub fn new(
        uid: String,
        windows: Overlapping,
        late_to: Option<OutputTag<T>>,
        key_of: KeyOf<T, K, F>,
        accumulate: A,
    ) -> Self {
        let Overlapping { slide_count, slide, origin } = windows;
        assert!(2 <= slide_count, "windows that do not overlap have nothing to share");
        assert!(accumulate.is_commutative(), "values come together pane by pane");
        let slide_ms = i64::try_from(slide.as_millis()).expect("a slide is shorter than an age");
        assert!(0 < slide_ms, "a slide lasts at least 1 ms");
        let panes = PaneLayout { slide_ms, origin_ms: origin.0, count: slide_count.into() };
        Self { uid, panes, late_to, key_of, accumulate, opened: None, value: PhantomData }
    }

    /// Fires the windows that end at the watermark or earlier, one after the other.
    fn fire_due(
        &mut self,
        watermark: Timestamp,
        out: &mut Emitter<(K, Window, A::Out)>,
    ) -> Result<(), Error> {
        let layout = self.panes;
        loop {
            let opened = self.opened.as_mut().expect("an operator is opened before it is used");
            let Some(start) = opened.panes.start(0) else { break };
            let first = layout.pane_of(start);
            // Windows before the first pane have nothing.
            let last = first.max(layout.next(opened.panes.fired_earliest()));
            if watermark < layout.window(last).max_timestamp() {
                break;
            }
            self.fire(last, watermark, out)?;
            let opened = self.opened.as_mut().expect("it is open");
            opened.panes.on_fired(layout.window(last).max_timestamp());
            if first == layout.first(last) {
                opened.together.retire_first();
                opened.together.close_first();
                opened.panes.close_first();
            }
        }
        let opened = self.opened.as_mut().expect("an operator is opened before it is used");
        opened.panes.on_fired(watermark);
        Ok(())
    }

    /// Emits the results of the window that ends with the pane `last`.
    fn fire(
        &mut self,
        last: i64,
        watermark: Timestamp,
        out: &mut Emitter<(K, Window, A::Out)>,
    ) -> Result<(), Error> {
        let Self { accumulate, opened, panes: layout, .. } = self;
        let opened = opened.as_mut().expect("an operator is opened before it is used");
        let Opened { panes, together, watch, .. } = opened;
        together.advance(last, *layout, panes, accumulate);
        let window = layout.window(last);
        let fires_at = window.max_timestamp();
        let (_, fired) = panes.window_mut(0);
        let is_watched = watch.is_watched();
        for ((key, ()), Parts { front, back }) in zip(together.keys.iter(), &together.parts) {
            if fires_at <= fired.of(key) {
                continue;
            }
            let whole = match (front.clone(), back.clone()) {
                (Some(front), Some(back)) => accumulate.merge(front, back),
                (Some(part), None) | (None, Some(part)) => part,
                (None, None) => continue,
            };
            if is_watched {
                let owner = (key.clone(), window.start);
                watch.on_fire(TimeDomain::Event, (fires_at, watermark), &owner);
            }
            out.emit(fires_at, (key.clone(), window, accumulate.finish(whole)));
            out.pass_on_full()?;
        }
        Ok(())
    }
}

impl<K: Key, A: Data> Opened<K, A> {
    fn restore(uid: &str, cx: &mut OpenContext<'_>) -> Result<Self, Error> {
        let windows = cx.restored.take(uid, "windows");
        let panes = Windows::restore(cx.key_groups, &windows)?;
        Ok(Self {
            watermark: cx.watermark,
            together: Together::new(&panes),
            panes,
            watch: TimerWatch::new(uid, cx),
            counts: RecordCounts::restore(uid, "counts", cx)?,
        })
    }

    /// Returns the pane that contains `timestamp`, unless it is too late for all its windows.
    fn find(&mut self, timestamp: Timestamp, layout: PaneLayout) -> Option<Found> {
        let pane = layout.pane_of(timestamp);
        let position = match self.panes.find(timestamp, layout.slide_ms) {
            Some(position) => position,
            None => {
                let latest = layout.window(pane + layout.count - 1);
                if latest.max_timestamp() <= self.watermark {
                    return None;
                }
                let position = self.panes.open(layout.start(pane));
                self.together.open(position);
                position
            }
        };
        self.together.unfold(position);
        let (start, end) = (layout.start(pane), layout.start(pane.saturating_add(1)));
        let is_used = self.together.last.is_some_and(|last| pane <= last);
        Some(Found { position, start, end, is_used })
    }

    /// Tells those who watch of the windows that a key has entered with its first record in a pane.
    #[cold]
    fn tell_windows(&mut self, place: KeyPlace, number: u32, pane: i64, layout: PaneLayout) {
        let fired = self.panes.fired(place.group).max(self.watermark);
        let key = self.together.keys.key_at(number);
        for last in pane..pane + layout.count {
            let window = layout.window(last);
            let mut others = (layout.first(last)..=last).filter(|other| *other != pane);
            let is_new = !others.any(|other| {
                let other = self.panes.position_of(layout.start(other));
                other.is_some_and(|other| self.together.links[other].keys.contains(&number))
            });
            if is_new && fired < window.max_timestamp() {
                let owner = (key.clone(), window.start);
                self.watch.on_register(TimeDomain::Event, window.max_timestamp(), &owner);
            }
        }
    }
}

impl<T, K, F, A> Operator for SlidingOperator<T, K, F, A>
where
    T: Data,
    K: Key,
    F: Fn(&T) -> K + Send,
    A: Accumulate<T>,
{
    type In = T;
    type Out = (K, Window, A::Out);

    const KEEPS: &'static str = "windows per key";

    fn open(&mut self, cx: &mut OpenContext<'_>) -> Result<(), Error> {
        self.opened = Some(Opened::restore(&self.uid, cx)?);
        self.key_of.open(&self.uid, cx);
        Ok(())
    }

    fn on_batch(&mut self, batch: Batch<T>, out: &mut Emitter<Self::Out>) -> Result<(), Error> {
        let layout = self.panes;
        let opened = self.opened.as_mut().expect("an operator is opened before it is used");
        opened.counts.on_received(batch.len());
        let is_watched = opened.watch.is_watched();
        let mut records = batch.into_iter();
        // Most records are for the pane of the one before.
        let mut last: Option<Found> = None;
        while !records.as_slice().is_empty() {
            let mut keys = self.key_of.find_next(records.as_slice());
            opened.together.keys.expect(parts(&keys));
            for ((key, place), Record { timestamp, value }) in zip(keys.drain(..), records.by_ref())
            {
                let found = match last {
                    Some(found) if found.start <= timestamp && timestamp < found.end => found,
                    _ => match opened.find(timestamp, layout) {
                        Some(found) => *last.insert(found),
                        None => {
                            opened.counts.on_late(self.late_to, timestamp, value, out);
                            continue;
                        }
                    },
                };
                if found.is_used {
                    // It is late for some of its windows, and changes what the next ones are made of.
                    opened.together.last = None;
                }
                let Opened { panes, together, .. } = &mut *opened;
                let pane = panes.table_mut(found.position);
                let entered =
                    together.put(found.position, pane, (key, place), value, &mut self.accumulate);
                if let Some(number) = entered.filter(|_| is_watched) {
                    let pane = layout.pane_of(found.start);
                    opened.tell_windows(place, number, pane, layout);
                }
            }
            self.key_of.recycle(keys);
        }
        Ok(())
    }

    fn on_watermark(
        &mut self,
        watermark: Timestamp,
        out: &mut Emitter<Self::Out>,
    ) -> Result<(), Error> {
        let opened = self.opened.as_mut().expect("an operator is opened before it is used");
        // An old watermark says that somebody is active again, and moves nothing.
        if opened.watermark < watermark {
            opened.watermark = watermark;
            self.fire_due(watermark, out)?;
        }
        out.watermark(watermark)
    }

    fn freeze(&mut self, snapshot: &mut Snapshot) {
        let opened = self.opened.as_mut().expect("an operator is opened before it is used");
        snapshot.add(opened.panes.freeze(&self.uid, "windows"));
        opened.counts.freeze(snapshot);
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
                assert!(together.put(position, table, (key, place), 1, &mut sum).is_some());
                assert!(together.put(position, table, (key, place), 2, &mut sum).is_none());
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
