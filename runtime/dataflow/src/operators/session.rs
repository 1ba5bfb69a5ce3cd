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
//! - A key with sessions is noted where its `hint` says, and no session of it ends before that.
//! - Other notes of a key may be out of date. Whoever finds one looks at the hint, and passes on.
//! - Sessions fire in the order of their ends, and of the hashes of their keys where those are equal:
//!   that does not depend on notes, which no snapshot holds.

use std::{
    collections::{BTreeMap, VecDeque},
    marker::PhantomData,
    time::Duration,
};

use floodmark_model::{Batch, Record, TimeDomain, Timestamp};
use floodmark_state::{Data, Entry, Fragment, Key, Snapshot, Table};
use serde::{Deserialize, Serialize};
use smallvec::{SmallVec, smallvec};

use crate::{
    Error, OutputTag,
    chain::{Emitter, OpenContext, Operator},
    operators::{Accumulate, KeyOf, Window, record_counts::RecordCounts, timer_watch::TimerWatch},
};

/// Groups records by key and session.
pub struct SessionOperator<T, K, F, A: Accumulate<T>> {
    uid: String,
    gap: Duration,
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
    /// What fires next, kept for its room.
    due: Vec<Due<K, A>>,
    watch: TimerWatch,
    counts: RecordCounts,
}

/// The open sessions of a key, by start. They do not touch, so the first ends first.
#[derive(Clone, Debug, Serialize, Deserialize)]
struct Sessions<A> {
    /// Where the key is noted.
    #[serde(skip)]
    hint: Hint,
    open: SmallVec<[Session<A>; 2]>,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
struct Session<A> {
    window: Window,
    accumulator: A,
}

/// A session that fires.
struct Due<K, A> {
    key: K,
    part: Fragment,
    session: Session<A>,
}

/// Which keys to look at when, by the end of their first session: in the bucket of that time as long
/// as event time has not come to the bucket, and then at exactly that time.
struct Notes {
    /// Length of a bucket in milliseconds.
    bucket_ms: i64,
    /// The bucket that event time has come to; its notes, and those of buckets before it, are exact.
    entered: i64,
    exact: BTreeMap<Timestamp, Vec<Fragment>>,
    /// The buckets behind that one, in turn.
    near: VecDeque<Vec<Fragment>>,
    /// What was noted in buckets that were too far ahead.
    far: BTreeMap<i64, Vec<Fragment>>,
    /// Emptied lists, kept for their room.
    spare: Vec<Vec<Fragment>>,
}

/// Where a key is noted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
enum Hint {
    /// In no list.
    #[default]
    None,
    /// At the time at which its first session ends.
    Exact(Timestamp),
    /// In the bucket of that time.
    Bucket(i64),
}

/// Buckets per gap. With more, fewer keys are looked at before they are due and fewer lie in one, which
/// must be sorted; but there are more lists.
const BUCKETS_PER_GAP: u32 = 128;

/// Buckets that lie in turn: those of four gaps.
const NEAR_COUNT_MAX: usize = 512;

/// Keys without a session that stay in the table: so many, and so many times as many as have one.
const IDLE_COUNT_MAX: usize = 16;
const IDLE_RATIO_MAX: usize = 3;

/// Emptied lists that are kept.
const SPARE_COUNT_MAX: usize = 64;

impl Notes {
    fn new(gap: Duration, watermark: Timestamp) -> Self {
        let gap_ms = i64::try_from(gap.as_millis()).expect("a gap is shorter than an age");
        let bucket_ms = (gap_ms / i64::from(BUCKETS_PER_GAP)).max(1);
        let (exact, near, far) = (BTreeMap::new(), VecDeque::new(), BTreeMap::new());
        let mut this = Self { bucket_ms, entered: i64::MIN, exact, near, far, spare: Vec::new() };
        this.entered = this.bucket_of(first_after(watermark));
        this
    }

    fn bucket_of(&self, end: Timestamp) -> i64 {
        end.0.div_euclid(self.bucket_ms)
    }

    /// Returns where to note a key whose first session ends at `end`.
    fn hint_of(&self, end: Timestamp) -> Hint {
        let bucket = self.bucket_of(end);
        if bucket <= self.entered { Hint::Exact(end) } else { Hint::Bucket(bucket) }
    }

    fn add(&mut self, hint: Hint, part: Fragment) {
        let Self { exact, near, far, spare, .. } = self;
        let fresh = || spare.pop().unwrap_or_default();
        match hint {
            Hint::None => {}
            Hint::Exact(end) => exact.entry(end).or_insert_with(fresh).push(part),
            Hint::Bucket(bucket) => {
                match usize::try_from(bucket.saturating_sub(self.entered) - 1) {
                    Ok(place) if place < NEAR_COUNT_MAX => {
                        if near.len() <= place {
                            near.resize_with(place + 1, fresh);
                        }
                        near[place].push(part);
                    }
                    _ => far.entry(bucket).or_insert_with(fresh).push(part),
                }
            }
        }
    }

    /// Returns the first bucket behind the one that was entered in which something is noted.
    fn first_bucket(&self) -> Option<i64> {
        let place = self.near.iter().position(|parts| !parts.is_empty());
        let place = place.map(|place| i64::try_from(place).expect("there are few"));
        let near = place.map(|place| self.entered + 1 + place);
        let far = self.far.first_key_value().map(|(bucket, _)| *bucket);
        near.into_iter().chain(far).min()
    }

    /// Enters a bucket before which nothing is noted, and returns what is noted in it.
    fn enter(&mut self, bucket: i64) -> Vec<Fragment> {
        let passed = usize::try_from(bucket.saturating_sub(self.entered)).unwrap_or(usize::MAX);
        self.entered = bucket;
        let mut parts = Vec::new();
        for empty in self.near.drain(..passed.min(self.near.len())) {
            let empty = std::mem::replace(&mut parts, empty);
            if self.spare.len() < SPARE_COUNT_MAX {
                self.spare.push(empty);
            }
        }
        if let Some(mut others) = self.far.remove(&bucket) {
            parts.append(&mut others);
        }
        parts
    }

    /// Removes and returns the first list whose time has come when windows fire that end at `until` or
    /// earlier. Enters its bucket.
    fn take(&mut self, until: Timestamp) -> Option<(Hint, Vec<Fragment>)> {
        // Whatever is exact lies in buckets that were entered, so before those that were not.
        if let Some(first) = self.exact.first_entry().filter(|first| *first.key() <= until) {
            let (end, parts) = first.remove_entry();
            return Some((Hint::Exact(end), parts));
        }
        let last = self.bucket_of(until);
        if let Some(bucket) = self.first_bucket().filter(|bucket| *bucket <= last) {
            return Some((Hint::Bucket(bucket), self.enter(bucket)));
        }
        if self.entered < last {
            let parts = self.enter(last);
            self.recycle(parts);
        }
        None
    }

    fn recycle(&mut self, mut list: Vec<Fragment>) {
        if self.spare.len() < SPARE_COUNT_MAX {
            list.clear();
            self.spare.push(list);
        }
    }
}

/// Returns the end of the windows that fire at a watermark, of those the latest.
fn first_after(watermark: Timestamp) -> Timestamp {
    watermark + Duration::from_millis(1)
}

impl<A> Sessions<A> {
    fn first_end(&self) -> Option<Timestamp> {
        self.open.first().map(|session| session.window.end)
    }
}

impl<A: Data> Sessions<A> {
    /// Adds a value to the session that `window` touches, and makes one of all that it touches. Gives
    /// the value back if there is none.
    #[inline]
    fn extend<T>(
        &mut self,
        window: Window,
        value: T,
        accumulate: &mut impl Accumulate<T, Acc = A>,
    ) -> Result<(), T> {
        let Some(at) = self.open.iter().position(|session| session.window.touches(window)) else {
            return Err(value);
        };
        let mut hull = self.open[at].window.hull(window);
        while self.open.get(at + 1).is_some_and(|next| next.window.touches(window)) {
            let next = self.open.remove(at + 1);
            let this = &mut self.open[at];
            hull = hull.hull(next.window);
            this.accumulator = accumulate.merge(this.accumulator.clone(), next.accumulator);
        }
        let this = &mut self.open[at];
        this.window = hull;
        accumulate.add(&mut this.accumulator, value);
        Ok(())
    }

    fn begin(&mut self, session: Session<A>) {
        let start = session.window.start;
        let at = self.open.partition_point(|other| other.window.start < start);
        self.open.insert(at, session);
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
    /// When `gap` is shorter than 1 ms.
    pub fn new(
        uid: String,
        gap: Duration,
        late_to: Option<OutputTag<T>>,
        key_of: KeyOf<T, K, F>,
        accumulate: A,
    ) -> Self {
        assert!(1 <= gap.as_millis(), "a gap lasts at least 1 ms");
        Self { uid, gap, late_to, key_of, accumulate, opened: None, value: PhantomData }
    }

    /// Fires the sessions that end at the watermark or earlier, in the order of their ends.
    fn fire_due(
        &mut self,
        watermark: Timestamp,
        out: &mut Emitter<(K, Window, A::Out)>,
    ) -> Result<(), Error> {
        let Self { accumulate, opened, .. } = self;
        let opened = opened.as_mut().expect("an operator is opened before it is used");
        let until = first_after(watermark);
        while let Some((hint, mut parts)) = opened.notes.take(until) {
            // Keys that share a part are looked at together, each time it is in the list.
            parts.sort_unstable();
            parts.dedup();
            parts.iter().for_each(|part| opened.take_due(hint, *part, until));
            opened.notes.recycle(parts);
            let Opened { due, watch, .. } = opened;
            due.sort_unstable_by(|left, right| {
                let place = |due: &Due<K, A::Acc>| (due.session.window.end, due.part);
                place(left).cmp(&place(right)).then_with(|| left.key.cmp(&right.key))
            });
            for Due { key, session: Session { window, accumulator }, .. } in due.drain(..) {
                let fires_at = window.max_timestamp();
                if watch.is_watched() {
                    let owner = (key.clone(), window.start);
                    watch.on_fire(TimeDomain::Event, (fires_at, watermark), &owner);
                }
                out.emit(fires_at, (key, window, accumulate.finish(accumulator)));
                out.pass_on_full()?;
            }
        }
        opened.forget_idle();
        Ok(())
    }
}

impl<K: Key, A: Data> Opened<K, A> {
    fn restore(uid: &str, gap: Duration, cx: &mut OpenContext<'_>) -> Result<Self, Error> {
        let stored = cx.restored.take(uid, "sessions");
        let mut this = Self {
            watermark: cx.watermark,
            sessions: Table::restore(cx.key_groups, &stored)?,
            idle_count: 0,
            notes: Notes::new(gap, cx.watermark),
            due: Vec::new(),
            watch: TimerWatch::new(uid, cx),
            counts: RecordCounts::restore(uid, "counts", cx)?,
        };
        let Self { sessions, idle_count, notes, .. } = &mut this;
        sessions.for_each_mut(|part, sessions| match sessions.first_end() {
            Some(end) => {
                sessions.hint = notes.hint_of(end);
                notes.add(sessions.hint, part);
            }
            None => *idle_count += 1,
        });
        Ok(this)
    }

    /// Takes from the keys of a note what ends in its time, to `due`; and notes them again for the rest.
    fn take_due(&mut self, hint: Hint, part: Fragment, until: Timestamp) {
        let Self { sessions, idle_count, notes, due, .. } = self;
        sessions.for_each_at(part, |key, sessions| {
            if sessions.hint != hint {
                return;
            }
            // What ends later comes after what others have in this list.
            let is_due = |window: Window| match hint {
                Hint::None => false,
                Hint::Exact(end) => window.end == end,
                Hint::Bucket(bucket) => {
                    window.end <= until && notes.bucket_of(window.end) == bucket
                }
            };
            while sessions.open.first().is_some_and(|first| is_due(first.window)) {
                let session = sessions.open.remove(0);
                due.push(Due { key: key.clone(), part, session });
            }
            sessions.hint = sessions.first_end().map_or(Hint::None, |end| notes.hint_of(end));
            notes.add(sessions.hint, part);
            *idle_count += usize::from(sessions.open.is_empty());
        });
    }

    /// Removes the keys without a session, when there are many.
    fn forget_idle(&mut self) {
        let live_count = self.sessions.entry_count() - self.idle_count;
        if IDLE_COUNT_MAX + IDLE_RATIO_MAX * live_count < self.idle_count {
            self.sessions.retain(|sessions| !sessions.open.is_empty());
            self.idle_count = 0;
        }
    }

    /// Returns when the sessions of a key begin and end.
    fn windows_of(&self, key: &K) -> Vec<Window> {
        let sessions = self.sessions.get(self.sessions.place_of(key), key);
        let open = sessions.into_iter().flat_map(|sessions| &sessions.open);
        open.map(|session| session.window).collect()
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
        self.opened = Some(Opened::restore(&self.uid, self.gap, cx)?);
        self.key_of.open(&self.uid, cx);
        Ok(())
    }

    fn on_batch(&mut self, batch: Batch<T>, out: &mut Emitter<Self::Out>) -> Result<(), Error> {
        let opened = self.opened.as_mut().expect("an operator is opened before it is used");
        opened.counts.on_received(batch.len());
        let is_watched = opened.watch.is_watched();
        for Record { timestamp, value } in batch {
            let window = Window { start: timestamp, end: timestamp + self.gap };
            let (key, place) = self.key_of.find(&value);
            let watched = is_watched.then(|| (key.clone(), opened.windows_of(&key)));
            let part = Fragment::of(place.hash);
            let value = match opened.sessions.entry(place, &key) {
                Entry::Occupied(sessions) => {
                    match sessions.extend(window, value, &mut self.accumulate) {
                        Ok(()) => None,
                        Err(value) if window.max_timestamp() <= opened.watermark => Some(value),
                        Err(value) => {
                            let accumulator = self.accumulate.begin(value);
                            opened.idle_count -= usize::from(sessions.open.is_empty());
                            sessions.begin(Session { window, accumulator });
                            let hint = opened.notes.hint_of(window.end);
                            if sessions.hint == Hint::None || hint < sessions.hint {
                                sessions.hint = hint;
                                opened.notes.add(hint, part);
                            }
                            None
                        }
                    }
                }
                Entry::Vacant(_) if window.max_timestamp() <= opened.watermark => Some(value),
                Entry::Vacant(vacancy) => {
                    let accumulator = self.accumulate.begin(value);
                    let hint = opened.notes.hint_of(window.end);
                    opened.notes.add(hint, part);
                    let open = smallvec![Session { window, accumulator }];
                    vacancy.insert(key, Sessions { hint, open });
                    None
                }
            };
            if let Some(late) = value {
                opened.counts.on_late(self.late_to, timestamp, late, out);
            }
            if let Some((key, before)) = watched {
                opened.tell_change(&key, &before);
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
        snapshot.add(opened.sessions.freeze(&self.uid, "sessions"));
        opened.counts.freeze(snapshot);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Returns what is taken until a time: the buckets, and the keys in each.
    fn taken(notes: &mut Notes, until: i64) -> Vec<(Hint, Vec<u32>)> {
        let mut taken = Vec::new();
        while let Some((hint, parts)) = notes.take(Timestamp(until)) {
            taken.push((hint, parts.iter().map(|part| part.0).collect()));
        }
        taken
    }

    fn note(notes: &mut Notes, end: i64, part: u32) -> Hint {
        let hint = notes.hint_of(Timestamp(end));
        notes.add(hint, Fragment(part));
        hint
    }

    #[test]
    fn what_is_noted_far_ahead_comes_in_its_turn_among_what_was_noted_later() {
        // A bucket is a millisecond long.
        let mut notes = Notes::new(Duration::from_millis(100), Timestamp(0));
        let numbers = [10_000_u32, 600, 5, 600];
        let buckets = numbers.map(|number| note(&mut notes, number.into(), number));
        assert_eq!(buckets, numbers.map(|number| Hint::Bucket(number.into())));
        assert_eq!((notes.near.len(), notes.far.len()), (4, 2));
        assert_eq!(taken(&mut notes, 300), [(Hint::Bucket(5), vec![5])]);
        // Now they are near: the same bucket, one before it and one behind.
        for (end, part) in [(600, 1), (599, 2), (601, 3), (300, 4)] {
            note(&mut notes, end, part);
        }
        let mut all = taken(&mut notes, 700);
        all.iter_mut().for_each(|(_, parts)| parts.sort_unstable());
        assert_eq!(
            all,
            [
                (Hint::Exact(Timestamp(300)), vec![4]),
                (Hint::Bucket(599), vec![2]),
                (Hint::Bucket(600), vec![1, 600, 600]),
                (Hint::Bucket(601), vec![3]),
            ]
        );
        assert_eq!(taken(&mut notes, 20_000), [(Hint::Bucket(10_000), vec![10_000])]);
        assert_eq!(notes.entered, 20_000);
    }

    #[test]
    fn before_the_first_watermark_everything_is_far_ahead() {
        let mut notes = Notes::new(Duration::from_millis(100), Timestamp::MIN);
        [7, 3, i64::MAX].iter().for_each(|end| {
            note(&mut notes, *end, 1);
        });
        let buckets = [3, 7].map(|bucket| (Hint::Bucket(bucket), vec![1]));
        assert_eq!(taken(&mut notes, 8), buckets);
        assert_eq!(taken(&mut notes, i64::MAX), [(Hint::Bucket(i64::MAX), vec![1])]);
    }
}
