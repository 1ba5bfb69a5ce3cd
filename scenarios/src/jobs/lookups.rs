//! Orders, and where their customers live: each order asks a directory that takes its time.
//!
//! The directory answers most questions soon, some late, and some never; at times it is too busy and is
//! asked again, and in some runs it is down for a moment, which fails the attempt. What it says does not
//! depend on any of that. A question that gets no answer in time is answered from an old copy of the
//! directory, which says the same. So what is written is a function of the orders alone, as long as
//! every order is asked for and none is forgotten.
//!
//! Event time advances with every fourth order, and no order is late. It stays that way only if event
//! time waits for the answers: behind the lookups there are windows, which drop what is late, and
//! before the windows a function that counts the orders for which event time has been too quick.

use std::{collections::BTreeMap, time::Duration};

use floodmark::{
    AsyncContext, AsyncOptions, AsyncRetryStrategy, BoxError, Environment, FileSink,
    ProcessFunction, RecordContext, Stream, Tumbling, WatermarkStrategy, Window,
};
use serde::{Deserialize, Serialize};

use super::{Input, Lines, PreparedJob, ScenarioJob, mix};

/// Answers in the order of the questions, in the subtask that reads the orders.
pub const ORDERED: ScenarioJob = ScenarioJob { name: "ordered_lookups", prepare: prepare_ordered };

/// Answers as they come, in all subtasks; and a second lookup behind the first.
pub const UNORDERED: ScenarioJob =
    ScenarioJob { name: "unordered_lookups", prepare: prepare_unordered };

const REGIONS: &str = "output/regions";
const HISTORY: &str = "output/history";
const CUSTOMER_COUNT: u64 = 40;
const REGION_COUNT: u64 = 5;
/// Event time from one order to the next.
const STEP_MS: i64 = 50;
/// How far orders are out of order, and how long the watermark waits.
const DISORDER_MS: u64 = 400;
const WINDOW_MS: i64 = 2_000;
/// Orders between two watermarks.
const WATERMARK_EVERY: usize = 4;
/// In runs in which the directory is down now and then: how often, and for how long.
const DOWN_EVERY_MS: u128 = 4_000;
const DOWN_MS: u128 = 150;
const TIMEOUT: Duration = Duration::from_millis(400);

/// An order, by its place among all.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
struct Order {
    place: u64,
    customer: u64,
    amount: u64,
    time_ms: i64,
}

/// An order, the region of its customer, and whether event time was there before it.
type Placed = (Order, u64, bool);

fn order(seed: u64, place: u64) -> Order {
    let random = mix(seed ^ mix(place));
    let jitter = i64::try_from((random >> 40) % DISORDER_MS).expect("less than a second");
    Order {
        place,
        customer: random % CUSTOMER_COUNT,
        amount: (random >> 16) % 90 + 10,
        time_ms: i64::try_from(place).expect("a run is short") * STEP_MS + jitter,
    }
}

/// Where a customer lives.
fn region(seed: u64, customer: u64) -> u64 {
    mix(seed ^ customer) % REGION_COUNT
}

/// How often an order is delivered: some are never, some in two parts.
fn part_count(seed: u64, place: u64) -> u64 {
    mix(seed ^ !place) % 5 % 3
}

/// Those whom the orders ask.
#[derive(Clone, Copy)]
struct Directory {
    seed: u64,
}

impl Directory {
    /// Waits as long as the answer to `question` takes, if there is one.
    async fn think(self, question: u64, cx: AsyncContext) -> Result<(), BoxError> {
        let random = mix(self.seed ^ mix(question));
        let wait = match random % 100 {
            0 => Duration::from_secs(3_600),
            1..8 => Duration::from_millis(100 + (random >> 8) % 250),
            8..40 => Duration::ZERO,
            _ => Duration::from_millis(1 + (random >> 8) % 60),
        };
        cx.sleep(wait).await;
        let is_down = cx.now().as_millis() % DOWN_EVERY_MS < DOWN_MS;
        if is_down && self.seed.is_multiple_of(3) {
            return Err("the directory is down".into());
        }
        let busy_count = (random >> 20) % 12;
        if u64::from(cx.retry_count()) < busy_count.saturating_sub(8) {
            return Err("the directory is busy".into());
        }
        Ok(())
    }

    async fn region_of(self, order: Order, cx: AsyncContext) -> Result<(Order, u64), BoxError> {
        self.think(order.place, cx).await?;
        Ok((order.clone(), region(self.seed, order.customer)))
    }

    /// Returns the parts in which an order is delivered.
    async fn parts_of(self, placed: Placed, cx: AsyncContext) -> Result<Vec<Placed>, BoxError> {
        self.think(!placed.0.place, cx).await?;
        Ok(parts(self.seed, &placed))
    }
}

fn parts(seed: u64, placed: &Placed) -> Vec<Placed> {
    (0..part_count(seed, placed.0.place)).map(|_| placed.clone()).collect()
}

/// Notes for which orders event time was too quick.
#[derive(Clone)]
struct Punctual;

impl ProcessFunction for Punctual {
    type In = (Order, u64);
    type Out = Placed;

    fn on_element(
        &mut self,
        (order, region): (Order, u64),
        cx: &mut RecordContext<'_, Placed>,
    ) -> Result<(), BoxError> {
        if cx.timestamp().0 != order.time_ms {
            return Err("an answer has the time of its question".into());
        }
        let is_late = cx.timestamp() <= cx.current_watermark();
        cx.emit((order, region, is_late));
        Ok(())
    }
}

fn retries() -> AsyncRetryStrategy {
    let millis = Duration::from_millis;
    AsyncRetryStrategy::exponential_backoff(4, millis(10), millis(50))
        .if_error(|error| error.to_string().contains("busy"))
}

/// Returns how many questions may be open at once.
fn capacity(seed: u64) -> usize {
    usize::try_from(3 + mix(seed ^ 7) % 40).expect("a small number")
}

fn orders(env: &Environment, input: &Input) -> Stream<Order> {
    let seed = input.seed;
    let orders = input.source((0, 1), Duration::from_secs(7), move |place| order(seed, place));
    let strategy = WatermarkStrategy::bounded_out_of_orderness(Duration::from_millis(DISORDER_MS))
        .timestamps(|order: &Order| order.time_ms)
        .emit_every(input.watermark_every(WATERMARK_EVERY) as u64);
    env.source("orders", orders).parallelism(1).watermarks(strategy).parallelism(1)
}

fn build_ordered(env: &Environment, input: &Input) {
    let seed = input.seed;
    let directory = Directory { seed };
    let options = AsyncOptions::ordered(capacity(seed), TIMEOUT)
        .retry(retries())
        .on_timeout(move |order: Order| Ok((order.clone(), region(seed, order.customer))));
    let placed = orders(env, input)
        .async_map(options, move |order, cx| directory.region_of(order, cx))
        .uid("region-of")
        .parallelism(1)
        .process(Punctual)
        .parallelism(1);
    placed
        .clone()
        .key_by(|(order, _, _)| order.customer)
        .stateful(|customer, count: &mut u64, (order, region, is_late)| {
            *count += 1;
            history_line(*customer, *count, (order.place, region), is_late)
        })
        .uid("history")
        .sink("history-seen", FileSink::new(HISTORY, |line: &String| line.clone()));
    count_by_region(placed);
}

fn build_unordered(env: &Environment, input: &Input) {
    let seed = input.seed;
    let directory = Directory { seed };
    let region_of = AsyncOptions::unordered(capacity(seed), TIMEOUT)
        .retry(retries())
        .on_timeout(move |order: Order| Ok((order.clone(), region(seed, order.customer))));
    let parts_of = AsyncOptions::unordered(capacity(!seed), TIMEOUT)
        .retry(retries())
        .on_timeout(move |placed: Placed| Ok(parts(seed, &placed)));
    let parts = orders(env, input)
        .async_map(region_of, move |order, cx| directory.region_of(order, cx))
        .uid("region-of")
        .process(Punctual)
        .async_flat_map(parts_of, move |placed, cx| directory.parts_of(placed, cx))
        .uid("parts-of");
    count_by_region(parts);
}

/// Orders of a region in a window: how many, how much they cost, and how many were late.
type Sum = (u64, u64, u64);

fn count_by_region(placed: Stream<Placed>) {
    placed
        .key_by(|(_, region, _)| *region)
        .window(Tumbling::event_time(Duration::from_millis(WINDOW_MS.unsigned_abs())))
        .fold((0, 0, 0), |(count, amount, late_count): &mut Sum, (order, _, is_late): Placed| {
            *count += 1;
            *amount += order.amount;
            *late_count += u64::from(is_late);
        })
        .uid("per-region")
        .sink(
            "regions",
            FileSink::new(REGIONS, |(region, window, sum): &(u64, Window, Sum)| {
                region_line(*region, window.start.0, *sum)
            }),
        );
}

fn region_line(region: u64, start_ms: i64, (count, amount, late_count): Sum) -> String {
    format!("{region},{start_ms},{count},{amount},{late_count}")
}

fn history_line(customer: u64, count: u64, (place, region): (u64, u64), is_late: bool) -> String {
    format!("{customer},{count},{place},{region}{}", if is_late { ",late" } else { "" })
}

fn prepare_ordered(input: &Input) -> PreparedJob {
    let (seed, indices) = (input.seed, input.indices());
    let expected = BTreeMap::from([
        (REGIONS, expected_regions(seed, &indices, |_| 1)),
        (HISTORY, expected_history(seed, &indices)),
    ]);
    prepare(input, build_ordered, expected)
}

fn prepare_unordered(input: &Input) -> PreparedJob {
    let seed = input.seed;
    let regions = expected_regions(seed, &input.indices(), |place| part_count(seed, place));
    prepare(input, build_unordered, BTreeMap::from([(REGIONS, regions)]))
}

fn prepare(input: &Input, build: fn(&Environment, &Input), expected: Lines) -> PreparedJob {
    let input = input.clone();
    PreparedJob::new(move |env| build(env, &input), expected)
}

/// The naive model of the windows: a map, and no order is late.
fn expected_regions(seed: u64, indices: &[u64], parts: impl Fn(u64) -> u64) -> Vec<String> {
    let mut sums: BTreeMap<(u64, i64), (u64, u64)> = BTreeMap::new();
    for place in indices {
        let Order { customer, amount, time_ms, .. } = order(seed, *place);
        for _ in 0..parts(*place) {
            let start = time_ms / WINDOW_MS * WINDOW_MS;
            let sum = sums.entry((region(seed, customer), start)).or_default();
            *sum = (sum.0 + 1, sum.1 + amount);
        }
    }
    let line = |((region, start), (count, amount))| region_line(region, start, (count, amount, 0));
    sums.into_iter().map(line).collect()
}

/// The naive model of the history: a counter per customer, in the order of the orders.
fn expected_history(seed: u64, indices: &[u64]) -> Vec<String> {
    let mut counts: BTreeMap<u64, u64> = BTreeMap::new();
    let line = |place: &u64| {
        let Order { customer, .. } = order(seed, *place);
        let count = counts.entry(customer).or_default();
        *count += 1;
        history_line(customer, *count, (*place, region(seed, customer)), false)
    };
    indices.iter().map(line).collect()
}
