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
//! # Sources
//!
//! The blocks are those of van Herk (1992) and of Gil and Werman (1993), who found the smallest of
//! neighbouring pixels that way.

use std::{collections::VecDeque, iter::zip, marker::PhantomData, time::Duration};

use floodmark_model::{Batch, Record, TimeDomain, Timestamp};
use floodmark_state::{Data, Entry, Key, Snapshot, Table, Windows};
use serde::{Deserialize, Serialize};

use crate::{
    Error, OutputTag,
    chain::{Emitter, OpenContext, Operator},
    operators::{
        Accumulate, KeyOf, Overlapping, Window, record_counts::RecordCounts,
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

/// The panes of one window. Follows from the panes, so it is in no snapshot.
struct Together<K, A> {
    /// The last pane of the window. Absent if something has changed: then it is put together anew.
    last: Option<i64>,
    parts: Table<K, Parts<A>>,
    /// For each pane of the front, beginning with the first, and for each of its keys: what is left of
    /// the key in the front when the pane is gone.
    rests: VecDeque<(i64, Vec<Option<A>>)>,
}

/// What a window has of a key.
#[derive(Clone, Debug, Serialize, Deserialize)]
struct Parts<A> {
    front: Option<A>,
    back: Option<A>,
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
    /// Puts the window together that ends with the pane `last`.
    fn rebuild<T>(
        &mut self,
        last: i64,
        layout: PaneLayout,
        panes: &Windows<K, A>,
        accumulate: &mut impl Accumulate<T, Acc = A>,
    ) {
        self.parts.clear();
        self.rests.clear();
        let block = layout.block(last);
        for pane in (layout.first(last)..block).rev() {
            let mut rests = Vec::new();
            for (key, value) in
                panes.find_open(layout.start(pane)).into_iter().flat_map(Table::iter)
            {
                let parts = self.parts_of(key);
                rests.push(parts.front.clone());
                add(accumulate, &mut parts.front, value.clone());
            }
            self.rests.push_front((pane, rests));
        }
        for pane in block..=last {
            self.extend(pane, layout, panes, accumulate);
        }
        self.last = Some(last);
    }

    /// Adds a pane at the end.
    fn extend<T>(
        &mut self,
        pane: i64,
        layout: PaneLayout,
        panes: &Windows<K, A>,
        accumulate: &mut impl Accumulate<T, Acc = A>,
    ) {
        for (key, value) in panes.find_open(layout.start(pane)).into_iter().flat_map(Table::iter) {
            add(accumulate, &mut self.parts_of(key).back, value.clone());
        }
        self.last = Some(pane);
    }

    fn parts_of(&mut self, key: &K) -> &mut Parts<A> {
        match self.parts.entry(self.parts.place_of(key), key) {
            Entry::Occupied(parts) => parts,
            Entry::Vacant(vacancy) => {
                vacancy.insert(key.clone(), Parts { front: None, back: None })
            }
        }
    }

    /// Takes the first pane of the window away. If that is not in the front, the block is full, and the
    /// next window begins with a new front.
    fn retire(&mut self, pane: i64, content: Option<&Table<K, A>>) {
        if self.rests.front().is_none_or(|(first, _)| *first != pane) {
            return;
        }
        let rests = self.rests.pop_front().map(|(_, rests)| rests).unwrap_or_default();
        for ((key, _), rest) in zip(content.into_iter().flat_map(Table::iter), rests) {
            let parts = self.parts_of(key);
            parts.front = rest;
            if parts.front.is_none() && parts.back.is_none() {
                let place = self.parts.place_of(key);
                self.parts.remove(place, key);
            }
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
            let retired = layout.first(last);
            opened.together.retire(retired, opened.panes.find_open(layout.start(retired)));
            if first == retired {
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
        let continues = together.last.is_some_and(|before| before + 1 == last);
        let continues = continues && layout.block(last) != last;
        if continues {
            together.extend(last, *layout, panes, accumulate);
        } else {
            together.rebuild(last, *layout, panes, accumulate);
        }
        let window = layout.window(last);
        let fires_at = window.max_timestamp();
        let (_, fired) = panes.window_mut(0);
        for (key, Parts { front, back }) in together.parts.iter() {
            if fires_at <= fired.of(key) {
                continue;
            }
            if watch.is_watched() {
                let owner = (key.clone(), window.start);
                watch.on_fire(TimeDomain::Event, (fires_at, watermark), &owner);
            }
            let mut whole = front.clone();
            if let Some(back) = back {
                add(accumulate, &mut whole, back.clone());
            }
            let whole = whole.expect("a key without parts was removed");
            out.emit(fires_at, (key.clone(), window, accumulate.finish(whole)));
            out.pass_on_full()?;
        }
        Ok(())
    }
}

impl<K: Key, A: Data> Opened<K, A> {
    fn restore(uid: &str, cx: &mut OpenContext<'_>) -> Result<Self, Error> {
        let windows = cx.restored.take(uid, "windows");
        let (last, rests) = (None, VecDeque::new());
        Ok(Self {
            watermark: cx.watermark,
            panes: Windows::restore(cx.key_groups, &windows)?,
            together: Together { last, parts: Table::new(cx.key_groups), rests },
            watch: TimerWatch::new(uid, cx),
            counts: RecordCounts::restore(uid, "counts", cx)?,
        })
    }

    /// Tells those who watch of the windows that a key has entered with its first record in a pane.
    #[cold]
    fn tell_windows(&mut self, key: &K, pane: i64, layout: PaneLayout) {
        let place = self.together.parts.place_of(key);
        let fired = self.panes.fired(place.group).max(self.watermark);
        for last in pane..pane + layout.count {
            let window = layout.window(last);
            let mut others = (layout.first(last)..=last).filter(|other| *other != pane);
            let is_new = !others.any(|other| {
                let other = self.panes.find_open(layout.start(other));
                other.is_some_and(|table| table.get(table.place_of(key), key).is_some())
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
        for Record { timestamp, value } in batch {
            let pane = layout.pane_of(timestamp);
            let position = match opened.panes.find(timestamp, layout.slide_ms) {
                Some(position) => position,
                None => {
                    let latest = layout.window(pane + layout.count - 1);
                    if latest.max_timestamp() <= opened.watermark {
                        opened.counts.on_late(self.late_to, timestamp, value, out);
                        continue;
                    }
                    opened.panes.open(layout.start(pane))
                }
            };
            if opened.together.last.is_some_and(|last| pane <= last) {
                // It is late for some of its windows, and changes what the next ones are made of.
                opened.together.last = None;
            }
            let (key, place) = self.key_of.find(&value);
            match opened.panes.table_mut(position).entry(place, &key) {
                Entry::Occupied(accumulator) => self.accumulate.add(accumulator, value),
                Entry::Vacant(vacancy) => {
                    let accumulator = self.accumulate.begin(value);
                    if is_watched {
                        vacancy.insert(key.clone(), accumulator);
                        opened.tell_windows(&key, pane, layout);
                    } else {
                        vacancy.insert(key, accumulator);
                    }
                }
            }
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
