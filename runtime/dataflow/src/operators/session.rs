//! Sessions over event time: windows that last as long as records come.
//!
//! A key has one open session, or a few. They lie together under the key, and a record extends the one
//! it touches. What is due when event time advances is found by *notes*: each key is noted once in the
//! bucket of times in which its first session ends. When a session is extended the note stays where it
//! is; only when its bucket comes, and the session lasts longer, is the key noted again. So a record
//! moves no timer. A key whose sessions have fired keeps its entry for the next one, unless there are too
//! many such entries.
//!
//! # Invariants
//!
//! - A key with sessions is noted in the list of the end that it says, and no session of it ends before.
//! - Other notes of a key may be out of date. Whoever finds one looks at what the key says, and passes on.
//! - Sessions fire in the order of their ends, and of the entries of their keys where those are equal. A
//!   snapshot keeps the order of entries; it does not hold notes, and nothing that is emitted depends on them.
//!   Only at the end of time, where ends are cut off, a second session of a key may come after those of others.

mod notes;
mod open;

use std::{marker::PhantomData, time::Duration};

use floodmark_model::{Batch, KeyPlace, Record, TimeDomain, Timestamp};
use floodmark_platform::planted;
use floodmark_state::{Data, Key, Snapshot, Table};

use self::{
    notes::{List, Notes, first_after},
    open::{NOWHERE, Session, Sessions},
};
use crate::{
    Error, OutputTag,
    chain::{Emitter, OpenContext, Operator},
    operators::{
        Accumulate, KeyOf, Window,
        keyed::{NEXT_COUNT, parts},
        record_counts::RecordCounts,
        timer_watch::TimerWatch,
    },
};

/// Groups records by key and session.
pub struct SessionOperator<T, K, F, A: Accumulate<T>> {
    uid: String,
    gap_ms: i64,
    late_to: Option<OutputTag<T>>,
    key_of: KeyOf<T, K, F>,
    accumulate: A,
    opened: Option<Opened<K, A::Acc>>,
    value: PhantomData<fn(T)>,
}

struct Opened<K, A> {
    watermark: Timestamp,
    sessions: Table<K, Sessions<A>>,
    /// Keys in the table that have no session.
    idle_count: usize,
    notes: Notes,
    /// What fires next, by [`order_of`]. Kept for its room.
    due: Vec<u64>,
    watch: TimerWatch,
    counts: RecordCounts,
}

/// Returns a number that is ordered like what fires: by the place of its end in the bucket, and then by the
/// number of its key's entry.
fn order_of(place: u32, number: u32) -> u64 {
    u64::from(place) << 32 | u64::from(number)
}

/// Returns the number of the entry of what has a place in that order.
#[expect(clippy::cast_possible_truncation, reason = "the lower half is what is wanted")]
fn number_of(order: u64) -> u32 {
    order as u32
}

/// Keys without a session that stay in the table: so many, and so many times as many as have one.
const IDLE_COUNT_MAX: usize = 16;
const IDLE_RATIO_MAX: usize = 3;

/// Notes of keys: so many, and so many times as many as have a session. One each is needed.
const NOTE_COUNT_MAX: usize = 64;
const NOTE_RATIO_MAX: usize = 4;

impl<A> Sessions<A> {
    /// Notes the key of the entry with this number for the end of its first session.
    fn note(&mut self, number: u32, notes: &mut Notes) {
        self.noted = self.first_end().unwrap_or(NOWHERE);
        if self.noted != NOWHERE {
            notes.add(self.noted, number);
        }
    }
}

impl<T, K, F, A> SessionOperator<T, K, F, A>
where
    T: Data,
    K: Key,
    F: Fn(&T) -> K + Send,
    A: Accumulate<T>,
{
    /// Creates the operator `uid`. A session ends `gap` after its last record. Records that come too
    /// late go to `late_to`; without it they are counted and dropped.
    ///
    /// # Panics
    ///
    /// When `gap` is shorter than 1 ms, or longer than event time.
    pub fn new(
        uid: String,
        gap: Duration,
        late_to: Option<OutputTag<T>>,
        key_of: KeyOf<T, K, F>,
        accumulate: A,
    ) -> Self {
        let gap_ms = i64::try_from(gap.as_millis()).expect("a gap is shorter than an age");
        assert!(1 <= gap_ms, "a gap lasts at least 1 ms");
        Self { uid, gap_ms, late_to, key_of, accumulate, opened: None, value: PhantomData }
    }

    /// Fires the sessions that end at the watermark or earlier, in the order of their ends.
    fn fire_due(
        &mut self,
        watermark: Timestamp,
        out: &mut Emitter<(K, Window, A::Out)>,
    ) -> Result<(), Error> {
        let Self { gap_ms, accumulate, opened, .. } = self;
        let opened = opened.as_mut().expect("an operator is opened before it is used");
        let mut until = first_after(watermark);
        if planted!(SessionWithoutGap) {
            until = until + Duration::from_millis(gap_ms.unsigned_abs());
        }
        let is_watched = opened.watch.is_watched();
        while let Some((list, numbers)) = opened.notes.take(until) {
            for next in numbers.chunks(NEXT_COUNT) {
                opened.sessions.expect_at(next);
                next.iter().for_each(|number| opened.find_due(list, *number, until));
            }
            opened.notes.recycle(numbers);
            opened.due.sort_unstable();
            for at in 0..opened.due.len() {
                let (key, Session { window, accumulator }) =
                    opened.take_first(number_of(opened.due[at]));
                let fires_at = window.max_timestamp();
                if is_watched {
                    let owner = (key.clone(), window.start);
                    opened.watch.on_fire(TimeDomain::Event, (fires_at, watermark), &owner);
                }
                out.emit(fires_at, (key, window, accumulate.finish(accumulator)));
                out.pass_on_full()?;
            }
            opened.due.clear();
        }
        opened.forget_idle();
        Ok(())
    }
}

impl<K: Key, A: Data> Opened<K, A> {
    fn restore(uid: &str, gap_ms: i64, cx: &mut OpenContext<'_>) -> Result<Self, Error> {
        let stored = cx.restored.take(uid, "sessions");
        let mut this = Self {
            watermark: cx.watermark,
            sessions: Table::restore(cx.key_groups, &stored)?,
            idle_count: 0,
            notes: Notes::new(gap_ms, cx.watermark),
            due: Vec::new(),
            watch: TimerWatch::new(uid, cx),
            counts: RecordCounts::restore(uid, "counts", cx)?,
        };
        this.note_all();
        Ok(this)
    }

    /// Notes all keys that have a session, and counts the others.
    fn note_all(&mut self) {
        let Self { sessions, idle_count, notes, .. } = self;
        notes.clear();
        *idle_count = 0;
        sessions.for_each_mut(|number, sessions| {
            *idle_count += usize::from(sessions.is_empty());
            sessions.note(number, notes);
        });
    }

    /// Adds the key of a note to `due` if its first session ends in the time of the list, and else notes it
    /// again. A key has one session at most that does: a bucket is not longer than the gap between two. Only
    /// where ends are cut off at the end of time there may be another, whose turn comes after.
    fn find_due(&mut self, list: List, number: u32, until: Timestamp) {
        let Self { sessions, notes, due, .. } = self;
        let (_, sessions) = sessions.at_mut(number);
        if !notes.is_of(sessions.noted, list) {
            return;
        }
        let end = sessions.first_end().expect("a key without a session is noted nowhere");
        // What ends later comes after what others have in this list.
        if end <= until && notes.is_of(end, list) {
            // If the key is in the list twice, it was found now.
            sessions.noted = NOWHERE;
            due.push(order_of(notes.place_of(end), number));
        } else {
            sessions.note(number, notes);
        }
    }

    /// Takes the session that is due from its key, and notes the key for the next one.
    fn take_first(&mut self, number: u32) -> (K, Session<A>) {
        let (key, sessions) = self.sessions.at_mut(number);
        let first = sessions.take_first().expect("a key without a session is not due");
        sessions.note(number, &mut self.notes);
        self.idle_count += usize::from(sessions.is_empty());
        (key.clone(), first)
    }

    /// Adds a value to the session that `window` touches, or begins one. Gives the value back if it is too
    /// late for that.
    #[inline]
    fn add<T>(
        &mut self,
        (key, place): (&K, KeyPlace),
        window: Window,
        value: T,
        accumulate: &mut impl Accumulate<T, Acc = A>,
    ) -> Result<(), T> {
        let number = self.sessions.number(place, key);
        let extended = match number {
            Some(number) => self.sessions.at_mut(number).1.extend(window, value, accumulate),
            None => Err(value),
        };
        let Err(value) = extended else { return Ok(()) };
        if window.max_timestamp() <= self.watermark {
            return Err(value);
        }
        let accumulator = accumulate.begin(value);
        let number = number.unwrap_or_else(|| self.enter(place, key));
        self.begin(number, Session { window, accumulator });
        Ok(())
    }

    /// Adds an entry for a key that has none, and returns its number.
    fn enter(&mut self, place: KeyPlace, key: &K) -> u32 {
        self.idle_count += 1;
        self.sessions.number_of(place, key, Sessions::default)
    }

    /// Begins a session of the key in this entry, which has none that it touches.
    #[inline]
    fn begin(&mut self, number: u32, session: Session<A>) {
        let Self { sessions, idle_count, notes, .. } = self;
        let (_, sessions) = sessions.at_mut(number);
        *idle_count -= usize::from(sessions.is_empty());
        sessions.begin(session);
        let end = sessions.first_end().expect("it has one now");
        let is_noted = sessions.noted != NOWHERE;
        if !is_noted || notes.list_of(end) < notes.list_of(sessions.noted) {
            sessions.note(number, notes);
        }
    }

    /// Removes the keys without a session, when there are many; and notes that are out of date, likewise.
    fn forget_idle(&mut self) {
        let live_count = self.sessions.entry_count() - self.idle_count;
        if IDLE_COUNT_MAX + IDLE_RATIO_MAX * live_count < self.idle_count {
            self.sessions.retain(|sessions| !sessions.is_empty());
            // The others have other numbers now.
            self.note_all();
        } else if NOTE_COUNT_MAX + NOTE_RATIO_MAX * live_count < self.notes.count() {
            // Sessions that begin and end before one far ahead leave a note there each.
            self.note_all();
        }
    }

    /// Returns when the sessions of a key begin and end.
    fn windows_of(&self, key: &K) -> Vec<Window> {
        let sessions = self.sessions.get(self.sessions.place_of(key), key);
        sessions.into_iter().flat_map(Sessions::windows).collect()
    }

    /// Tells those who watch which sessions of a key have come and which have gone.
    #[cold]
    fn tell_change(&mut self, key: &K, before: &[Window]) {
        let after = self.windows_of(key);
        for gone in before.iter().filter(|window| !after.contains(window)) {
            let owner = (key.clone(), gone.start);
            self.watch.on_delete(TimeDomain::Event, gone.max_timestamp(), &owner);
        }
        for new in after.iter().filter(|window| !before.contains(window)) {
            let owner = (key.clone(), new.start);
            self.watch.on_register(TimeDomain::Event, new.max_timestamp(), &owner);
        }
    }
}

impl<T, K, F, A> Operator for SessionOperator<T, K, F, A>
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
        self.opened = Some(Opened::restore(&self.uid, self.gap_ms, cx)?);
        self.key_of.open(&self.uid, cx);
        Ok(())
    }

    fn on_batch(&mut self, batch: Batch<T>, out: &mut Emitter<Self::Out>) -> Result<(), Error> {
        let Self { gap_ms, late_to, key_of, accumulate, opened, .. } = self;
        let (gap_ms, late_to) = (*gap_ms, *late_to);
        let opened = opened.as_mut().expect("an operator is opened before it is used");
        opened.counts.on_received(batch.len());
        let is_watched = opened.watch.is_watched();
        key_of.for_each(
            batch,
            opened,
            |opened, keys| opened.sessions.expect(parts(keys)),
            |opened, (key, place), Record { timestamp, value }| {
                let end = Timestamp(timestamp.0.saturating_add(gap_ms));
                let window = Window { start: timestamp, end };
                let before = is_watched.then(|| opened.windows_of(key));
                if let Err(late) = opened.add((key, place), window, value, accumulate) {
                    opened.counts.on_late(late_to, timestamp, late, out);
                }
                if let Some(before) = before {
                    opened.tell_change(key, &before);
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
        snapshot.add(opened.sessions.freeze(&self.uid, "sessions"));
        opened.counts.freeze(snapshot);
    }
}

#[cfg(test)]
mod tests;
