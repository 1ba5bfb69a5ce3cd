//! The workloads as one would write them by hand: one thread, one loop, one hash map.
//!
//! They are the measure of what a runtime costs, and the model of what it must compute; so they share
//! nothing with it, neither its operators nor its state.

use std::collections::VecDeque;

use hashbrown::HashMap;
use rustc_hash::FxBuildHasher;

use super::{
    events::{DISORDER_MAX_MILLIS, Dictionary, Event, WATERMARK_EVERY, WORDS_PER_LINE},
    tally::{Tally, row, signature},
};

type Map<K, V> = HashMap<K, V, FxBuildHasher>;

/// Sum and count of some values.
type Total = (i64, u64);

/// Adds up the events themselves.
pub(super) fn generate(count: u64, key_count: u64) -> Tally {
    let mut tally = Tally::default();
    for index in 0..count {
        let Event { key, value, time } = Event::new(index, key_count);
        tally.add(key ^ value.cast_unsigned() ^ time.cast_unsigned());
    }
    tally
}

/// Changes every value, and keeps three in four.
pub(super) fn map_and_filter(count: u64, key_count: u64) -> Tally {
    let mut tally = Tally::default();
    for index in 0..count {
        let event = Event::new(index, key_count);
        let value = event.value * 3 + (event.key & 255).cast_signed();
        if value & 3 != 0 {
            tally.add(value.cast_unsigned());
        }
    }
    tally
}

/// Counts and adds up per key, with a row per event.
pub(super) fn running_total(count: u64, key_count: u64) -> Tally {
    let mut tally = Tally::default();
    let mut totals: Map<u64, Total> = Map::default();
    for index in 0..count {
        let Event { key, value, .. } = Event::new(index, key_count);
        let total = totals.entry(key).or_default();
        add(total, value);
        tally.add_both(row([key, total.1]), total.0.cast_unsigned());
    }
    tally
}

fn add(total: &mut Total, value: i64) {
    total.0 += value;
    total.1 += 1;
}

/// Totals per key and second of event time, which ends when no event for it can come any more.
#[derive(Default)]
struct Panes {
    /// The number of the first pane that is open.
    first: i64,
    open: VecDeque<Map<u64, Total>>,
    /// Emptied maps, which keep their memory.
    spare: Vec<Map<u64, Total>>,
    latest: i64,
    since: u64,
}

impl Panes {
    const MILLIS: i64 = 1_000;

    fn add(&mut self, event: Event) {
        let offset = event.time.div_euclid(Self::MILLIS) - self.first;
        let offset = usize::try_from(offset).expect("no event is late");
        while self.open.len() <= offset {
            self.open.push_back(self.spare.pop().unwrap_or_default());
        }
        add(self.open[offset].entry(event.key).or_default(), event.value);
        self.latest = self.latest.max(event.time);
        self.since += 1;
    }

    /// Returns the oldest pane, and the first millisecond after it, if it is complete.
    fn complete(&mut self) -> Option<(i64, Map<u64, Total>)> {
        if self.since < WATERMARK_EVERY {
            return None;
        }
        let end = (self.first + 1) * Self::MILLIS;
        if self.latest - DISORDER_MAX_MILLIS - 1 < end - 1 {
            self.since = 0;
            return None;
        }
        self.pop()
    }

    fn pop(&mut self) -> Option<(i64, Map<u64, Total>)> {
        let pane = self.open.pop_front()?;
        self.first += 1;
        Some((self.first * Self::MILLIS, pane))
    }

    fn recycle(&mut self, mut pane: Map<u64, Total>) {
        pane.clear();
        self.spare.push(pane);
    }
}

/// Sums and counts per key and second.
pub(super) fn tumbling(count: u64, key_count: u64) -> Tally {
    let mut tally = Tally::default();
    let mut panes = Panes::default();
    let fire = |end: i64, pane: &Map<u64, Total>, tally: &mut Tally| {
        for (key, (sum, count)) in pane {
            tally.add(row([*key, end.cast_unsigned(), sum.cast_unsigned(), *count]));
        }
    };
    for index in 0..count {
        panes.add(Event::new(index, key_count));
        while let Some((end, pane)) = panes.complete() {
            fire(end, &pane, &mut tally);
            panes.recycle(pane);
        }
    }
    while let Some((end, pane)) = panes.pop() {
        fire(end, &pane, &mut tally);
    }
    tally
}

/// The last ten seconds, second by second, and all of them together.
#[derive(Default)]
struct Slide {
    panes: VecDeque<Map<u64, Total>>,
    together: Map<u64, Total>,
}

impl Slide {
    const PANE_COUNT: usize = 10;

    /// Ends the window that has `pane` as its last second, and returns the second that leaves it.
    fn advance(
        &mut self,
        end: i64,
        pane: Map<u64, Total>,
        tally: &mut Tally,
    ) -> Option<Map<u64, Total>> {
        for (key, (sum, count)) in &pane {
            let total = self.together.entry(*key).or_default();
            total.0 += sum;
            total.1 += count;
        }
        for (key, (sum, count)) in &self.together {
            tally.add(row([*key, end.cast_unsigned(), sum.cast_unsigned(), *count]));
        }
        self.panes.push_back(pane);
        if self.panes.len() < Self::PANE_COUNT {
            return None;
        }
        let oldest = self.panes.pop_front()?;
        for (key, (sum, count)) in &oldest {
            let total = self.together.entry(*key).or_default();
            total.0 -= sum;
            total.1 -= count;
            if total.1 == 0 {
                self.together.remove(key);
            }
        }
        Some(oldest)
    }
}

/// Sums and counts per key and ten seconds, every second.
pub(super) fn sliding(count: u64, key_count: u64) -> Tally {
    let mut tally = Tally::default();
    let (mut panes, mut slide) = (Panes::default(), Slide::default());
    for index in 0..count {
        panes.add(Event::new(index, key_count));
        while let Some((end, pane)) = panes.complete() {
            if let Some(pane) = slide.advance(end, pane, &mut tally) {
                panes.recycle(pane);
            }
        }
    }
    let mut last = 0;
    while let Some((end, pane)) = panes.pop() {
        slide.advance(end, pane, &mut tally);
        last = end;
    }
    while !slide.together.is_empty() {
        last += Panes::MILLIS;
        slide.advance(last, Map::default(), &mut tally);
    }
    tally
}

/// Events of one key without a gap.
#[derive(Clone, Copy)]
struct Session {
    first: i64,
    last: i64,
    total: Total,
}

impl Session {
    const GAP_MILLIS: i64 = 500;

    fn tell(&self, key: u64, tally: &mut Tally) {
        let end = self.last + Self::GAP_MILLIS + 1;
        let (sum, count) = self.total;
        let columns = [self.first.cast_unsigned(), end.cast_unsigned(), sum.cast_unsigned(), count];
        tally.add(row([key, columns[0], columns[1], columns[2], columns[3]]));
    }
}

/// Sums and counts per key and session.
pub(super) fn sessions(count: u64, key_count: u64) -> Tally {
    let mut tally = Tally::default();
    let mut open: Map<u64, Vec<Session>> = Map::default();
    let mut latest = i64::MIN / 2;
    for index in 0..count {
        let Event { key, value, time } = Event::new(index, key_count).at_even_time();
        latest = latest.max(time);
        let passed = latest - DISORDER_MAX_MILLIS - 1;
        let mut session = Session { first: time, last: time, total: (value, 1) };
        let sessions = open.entry(key).or_default();
        sessions.retain(|one| {
            if one.last + Session::GAP_MILLIS <= passed {
                one.tell(key, &mut tally);
                return false;
            }
            let is_apart =
                one.last + Session::GAP_MILLIS < time || time + Session::GAP_MILLIS < one.first;
            if !is_apart {
                session.first = session.first.min(one.first);
                session.last = session.last.max(one.last);
                session.total.0 += one.total.0;
                session.total.1 += one.total.1;
            }
            is_apart
        });
        sessions.push(session);
    }
    for (key, sessions) in &open {
        sessions.iter().for_each(|session| session.tell(*key, &mut tally));
    }
    tally
}

/// Counts words, with a row per word.
pub(super) fn word_count(count: u64, _: u64) -> Tally {
    let dictionary = Dictionary::get();
    let mut tally = Tally::default();
    let mut counts: Map<String, u64> = Map::default();
    for index in 0..count / WORDS_PER_LINE {
        let line = dictionary.line(index);
        for word in line.split(' ') {
            let count = counts.entry_ref(word).or_default();
            *count += 1;
            tally.add(signature(word).wrapping_mul(*count));
        }
    }
    tally
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;

    const COUNT: u64 = 60_000;
    const KEY_COUNT: u64 = 5_000;

    fn events() -> impl Iterator<Item = Event> {
        (0..COUNT).map(|index| Event::new(index, KEY_COUNT))
    }

    /// Puts every event into each of its windows, and adds up in the end.
    fn windows(size: i64, slide: i64) -> Tally {
        let mut totals: BTreeMap<(u64, i64), Total> = BTreeMap::new();
        for event in events() {
            let last = event.time.div_euclid(slide) * slide;
            for start in (0..size / slide).map(|back| last - back * slide) {
                add(totals.entry((event.key, start + size)).or_default(), event.value);
            }
        }
        let mut tally = Tally::default();
        for ((key, end), (sum, count)) in totals {
            tally.add(row([key, end.cast_unsigned(), sum.cast_unsigned(), count]));
        }
        tally
    }

    #[test]
    fn tumbling_windows_are_those_of_the_naive_model() {
        assert_eq!(tumbling(COUNT, KEY_COUNT), windows(1_000, 1_000));
    }

    #[test]
    fn sliding_windows_are_those_of_the_naive_model() {
        assert_eq!(sliding(COUNT, KEY_COUNT), windows(10_000, 1_000));
    }

    #[test]
    fn sessions_are_those_of_the_naive_model() {
        let mut by_key: BTreeMap<u64, Vec<(i64, i64)>> = BTreeMap::new();
        for Event { key, value, time } in events().map(Event::at_even_time) {
            by_key.entry(key).or_default().push((time, value));
        }
        let mut tally = Tally::default();
        for (key, mut events) in by_key {
            events.sort_unstable();
            for session in events.chunk_by(|before, after| after.0 - before.0 <= 500) {
                let (first, last) = (session[0].0, session[session.len() - 1].0);
                let sum: i64 = session.iter().map(|(_, value)| value).sum();
                let [first, end, sum] = [first, last + 501, sum].map(i64::cast_unsigned);
                tally.add(row([key, first, end, sum, session.len() as u64]));
            }
        }
        assert!(KEY_COUNT < tally.rows);
        assert_eq!(sessions(COUNT, KEY_COUNT), tally);
    }
}
