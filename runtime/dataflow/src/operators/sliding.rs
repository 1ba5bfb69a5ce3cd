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
//! become the front, from the last to the first. So a key costs three visits per pane, and all keys of
//! the last windows are visited when one fires, however many windows overlap.
//!
//! A record's key is looked up once, among the keys of all panes. From then on it is a number: each pane has
//! a list from numbers to its entries, and is visited in the order of its entries, without a search. Rows
//! come in the order of these numbers, which a restore gives anew.
//!
//! # Sources
//!
//! The blocks are those of van Herk (1992) and of Gil and Werman (1993), who found the smallest of
//! neighbouring pixels that way.

mod together;

use std::{iter::zip, marker::PhantomData, time::Duration};

use floodmark_model::{Batch, KeyPlace, Record, TimeDomain, Timestamp};
use floodmark_state::{Data, Key, Snapshot, Windows};

use self::together::{Parts, Together};
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
            // At the end of time no window comes after the one that has fired.
            let is_last = layout.next(layout.window(last).max_timestamp()) <= last;
            if first == layout.first(last) || is_last {
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
                let latest = layout.window(pane.saturating_add(layout.count - 1));
                if latest.max_timestamp() <= self.watermark {
                    return None;
                }
                // At the beginning of time the pane may begin behind the record, and be open already.
                let before = self.panes.open_count();
                let position = self.panes.open(layout.start(pane));
                if before < self.panes.open_count() {
                    self.together.open(position);
                }
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
        for last in pane..pane.saturating_add(layout.count) {
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
        let Self { panes: layout, late_to, key_of, accumulate, opened, .. } = self;
        let (layout, late_to) = (*layout, *late_to);
        let opened = opened.as_mut().expect("an operator is opened before it is used");
        opened.counts.on_received(batch.len());
        let is_watched = opened.watch.is_watched();
        // Most records are for the pane of the one before.
        let mut last: Option<Found> = None;
        key_of.for_each(
            batch,
            opened,
            |opened, keys| opened.together.keys.expect(parts(keys)),
            |opened, (key, place), Record { timestamp, value }| {
                let found = match last {
                    Some(found) if found.start <= timestamp && timestamp < found.end => found,
                    _ => match opened.find(timestamp, layout) {
                        Some(found) => *last.insert(found),
                        None => {
                            return opened.counts.on_late(late_to, timestamp, value, out);
                        }
                    },
                };
                if found.is_used {
                    // It is late for some of its windows, and changes what the next ones are made of.
                    opened.together.last = None;
                }
                let Opened { panes, together, .. } = &mut *opened;
                let pane = panes.table_mut(found.position);
                let entered = together.put((found.position, pane), (key, place), value, accumulate);
                if let Some(number) = entered.filter(|_| is_watched) {
                    let pane = layout.pane_of(found.start);
                    opened.tell_windows(place, number, pane, layout);
                }
            },
        );
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
