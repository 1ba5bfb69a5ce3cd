//! The workloads as jobs, written as a user would write them.

use std::{marker::PhantomData, sync::Arc, time::Duration};

use compact_str::CompactString;
use floodmark::{
    Aggregate, Collector, Data, Environment, Session, Sliding, Stream, Tumbling, WatermarkStrategy,
    Window,
};
use serde::{Deserialize, Serialize};

use super::{
    ends::{Board, Made, TallySink},
    events::{DISORDER_MAX_MILLIS, Dictionary, Event, WATERMARK_EVERY, WORDS_PER_LINE},
    meter::Marks,
    tally::{Tally, row, signature},
};

/// Silence that ends a session. Events of a session are up to 500 ms apart; their times are even, so that
/// none are exactly this far.
const SESSION_GAP: Duration = Duration::from_millis(501);

/// What a job is built from.
pub(super) struct Ends {
    pub(super) count: u64,
    pub(super) key_count: u64,
    pub(super) batch_size: usize,
    /// Whether the exchange is to lead from one process into another: the source is on the one, all else
    /// on the other.
    pub(super) is_apart: bool,
    pub(super) marks: Arc<Marks>,
    pub(super) board: Arc<Board>,
}

impl Ends {
    fn source<T, F: Fn(u64) -> T>(&self, count: u64, make: F) -> Made<T, F> {
        let Self { batch_size, marks, .. } = self;
        let (batch_size, marks) = (*batch_size, marks.clone());
        let is_apart = self.is_apart;
        Made { count, make, batch_size, is_apart, marks, value: PhantomData }
    }

    fn sink<T, F: Fn(&mut Tally, T)>(&self, add: F) -> TallySink<F> {
        TallySink { add, board: self.board.clone(), marks: self.marks.clone() }
    }

    /// Begins the stream of events, with event time.
    fn events(&self, env: &Environment) -> Stream<Event> {
        self.events_at(env, |event| event)
    }

    /// Begins the stream of events whose times are changed.
    fn events_at(
        &self,
        env: &Environment,
        change: impl Fn(Event) -> Event + Clone + Send + Sync + 'static,
    ) -> Stream<Event> {
        let key_count = self.key_count;
        let source = self.source(self.count, move |index| change(Event::new(index, key_count)));
        let disorder = Duration::from_millis(DISORDER_MAX_MILLIS.unsigned_abs());
        self.before(
            self.before(env.source("events", source)).watermarks(
                WatermarkStrategy::bounded_out_of_orderness(disorder)
                    .emit_every(WATERMARK_EVERY)
                    .timestamps(|event: &Event| event.time),
            ),
        )
    }

    /// Marks an operator as one before the exchange. If that leads into another process, it has a second
    /// subtask there, which is the one that gets no events.
    fn before<T: Data>(&self, stream: Stream<T>) -> Stream<T> {
        if self.is_apart { stream.parallelism(2) } else { stream }
    }
}

/// A source and a sink.
pub(super) fn generate(env: &Environment, ends: &Ends) {
    let sink = ends.sink(|tally, Event { key, value, time }| {
        tally.add(key ^ value.cast_unsigned() ^ time.cast_unsigned());
    });
    ends.events(env).sink("tally", sink);
}

/// A map and a filter, in one chain with source and sink.
pub(super) fn map_and_filter(env: &Environment, ends: &Ends) {
    ends.events(env)
        .map(|event| Event { value: event.value * 3 + (event.key & 255).cast_signed(), ..event })
        .filter(|event| event.value & 3 != 0)
        .sink("tally", ends.sink(|tally, event: Event| tally.add(event.value.cast_unsigned())));
}

/// Count and sum of one key's values.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
struct Running {
    key: u64,
    count: u64,
    sum: i64,
}

/// A running count and sum per key: an exchange, and a row per event.
pub(super) fn running_total(env: &Environment, ends: &Ends) {
    let sink = ends.sink(|tally, Running { key, count, sum }| {
        tally.add_both(row([key, count]), sum.cast_unsigned());
    });
    let one = |event: Event| Running { key: event.key, count: 1, sum: event.value };
    ends.before(ends.events(env).map(one))
        .key_by(|running| running.key)
        .reduce(|before, one| Running {
            count: before.count + one.count,
            sum: before.sum + one.sum,
            ..one
        })
        .uid("running")
        .sink("tally", sink);
}

/// Adds up the values of events, and counts them.
#[derive(Clone)]
struct SumAndCount;

impl Aggregate for SumAndCount {
    const IS_COMMUTATIVE: bool = true;

    type In = Event;
    type Acc = (i64, u64);
    type Out = (i64, u64);

    fn init(&self) -> (i64, u64) {
        (0, 0)
    }

    fn add(&self, (sum, count): &mut (i64, u64), event: Event) {
        *sum += event.value;
        *count += 1;
    }

    fn finish(&self, total: (i64, u64)) -> (i64, u64) {
        total
    }

    fn merge(&self, left: (i64, u64), right: (i64, u64)) -> (i64, u64) {
        (left.0 + right.0, left.1 + right.1)
    }
}

/// Sum and count per key and second: an exchange, and few rows.
pub(super) fn tumbling(env: &Environment, ends: &Ends) {
    let sink = ends.sink(|tally, (key, window, (sum, count)): (u64, Window, (i64, u64))| {
        tally.add(row([key, window.end.0.cast_unsigned(), sum.cast_unsigned(), count]));
    });
    ends.events(env)
        .key_by(|event| event.key)
        .window(Tumbling::event_time(Duration::from_secs(1)))
        .aggregate(SumAndCount)
        .uid("totals")
        .sink("tally", sink);
}

/// Sum and count per key and ten seconds, every second.
pub(super) fn sliding(env: &Environment, ends: &Ends) {
    let sink = ends.sink(|tally, (key, window, (sum, count)): (u64, Window, (i64, u64))| {
        tally.add(row([key, window.end.0.cast_unsigned(), sum.cast_unsigned(), count]));
    });
    ends.events(env)
        .key_by(|event| event.key)
        .window(Sliding::event_time(Duration::from_secs(10), Duration::from_secs(1)))
        .aggregate(SumAndCount)
        .uid("totals")
        .sink("tally", sink);
}

/// Sum and count per key and session.
pub(super) fn sessions(env: &Environment, ends: &Ends) {
    let sink = ends.sink(|tally, (key, window, (sum, count)): (u64, Window, (i64, u64))| {
        let [start, end, sum] = [window.start.0, window.end.0, sum].map(i64::cast_unsigned);
        tally.add(row([key, start, end, sum, count]));
    });
    ends.events_at(env, Event::at_even_time)
        .key_by(|event| event.key)
        .window(Session::event_time(SESSION_GAP))
        .aggregate(SumAndCount)
        .uid("totals")
        .sink("tally", sink);
}

/// Words and how often each was there: records with strings, which are short and lie in
/// the record.
pub(super) fn word_count(env: &Environment, ends: &Ends) {
    let dictionary = Dictionary::get();
    let make = move |index| dictionary.line(index);
    let sink = ends.sink(|tally, (word, count): (CompactString, u64)| {
        tally.add(signature(&word).wrapping_mul(count));
    });
    let words = |line: String, words: &mut Collector<'_, CompactString>| {
        line.split(' ').for_each(|word| words.collect(word.into()));
    };
    let lines = ends.before(env.source("lines", ends.source(ends.count / WORDS_PER_LINE, make)));
    ends.before(lines.flat_map_to(words))
        .key_by(|word| word.clone())
        .stateful(|_, count: &mut u64, word| {
            *count += 1;
            (word, *count)
        })
        .uid("counts")
        .sink("tally", sink);
}
