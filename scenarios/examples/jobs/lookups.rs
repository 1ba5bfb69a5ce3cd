//! Lookups: what a record needs is somewhere else, and takes its time.

use std::time::Duration;

use floodmark::{
    AsyncContext, AsyncOptions, AsyncRetryStrategy, BoxError, Environment, Generator, Stream,
    Tumbling, WatermarkStrategy, Window,
};

use crate::{COUNT, Example, RATE, input, mix, shown, time_of};

pub(crate) const EXAMPLES: &[Example] = &[
    Example {
        name: "priced_orders",
        about: "orders with their prices, in the order in which they were made",
        build: |env| shown(priced_orders(orders(env))),
    },
    Example {
        name: "orders_by_warehouse",
        about: "orders per warehouse in five seconds of that warehouse's own time",
        build: |env| shown(orders_by_warehouse(env)),
    },
    Example {
        name: "turnover_by_region",
        about: "what customers of a region have spent in five seconds",
        build: |env| shown(turnover_by_region(orders(env))),
    },
];

/// An order: its number, the customer, the article, and the time.
type Order = (u64, u64, u64, i64);

/// A hundred questions at once, and five seconds for each.
const CAPACITY: usize = 100;
const PATIENCE: Duration = Duration::from_secs(5);

fn order(index: u64) -> Order {
    let random = mix(index);
    (index, random % 30, (random >> 8) % 12, time_of(index, 100))
}

fn orders(env: &Environment) -> Stream<Order> {
    input(env, "orders", order)
        .watermarks(WatermarkStrategy::ascending().timestamps(|order: &Order| order.3))
        .parallelism(1)
}

fn cents_of(article: u64) -> u64 {
    100 + article * 25
}

fn region_of(customer: u64) -> u64 {
    customer % 4
}

/// Asks a service that takes its time, and is too busy now and then.
async fn ask(question: u64, cx: &AsyncContext) -> Result<(), BoxError> {
    let random = mix(!question);
    cx.sleep(Duration::from_millis(random % 40)).await;
    let is_busy = random.is_multiple_of(9) && cx.retry_count() < 2;
    if is_busy { Err("busy".into()) } else { Ok(()) }
}

/// Adds the price of its article to each order.
pub(crate) fn priced_orders(orders: Stream<Order>) -> Stream<(u64, u64)> {
    let retries = AsyncRetryStrategy::fixed_delay(3, Duration::from_millis(20));
    let options = AsyncOptions::ordered(CAPACITY, PATIENCE).retry(retries);
    orders
        .async_map(options, |(number, _, article, _), cx| async move {
            ask(number, &cx).await?;
            Ok((number, cents_of(article)))
        })
        .uid("prices")
        .parallelism(1)
}

/// Asks again after a while that grows, and takes answers as they come.
fn as_they_come<T: 'static, U: 'static>() -> AsyncOptions<T, U> {
    let millis = Duration::from_millis;
    let backoff = AsyncRetryStrategy::exponential_backoff(3, millis(10), millis(40));
    AsyncOptions::unordered(CAPACITY, PATIENCE).retry(backoff)
}

/// Sums the prices of orders by the region of their customers. Prices and regions come as they come:
/// a sum does not depend on the order, and event time waits for them.
pub(crate) fn turnover_by_region(orders: Stream<Order>) -> Stream<(u64, Window, u64)> {
    orders
        .async_map(as_they_come(), |(number, customer, article, _), cx| async move {
            ask(number, &cx).await?;
            Ok((customer, cents_of(article)))
        })
        .uid("prices")
        .async_map(as_they_come(), |(customer, cents), cx| async move {
            ask(customer, &cx).await?;
            Ok((region_of(customer), cents))
        })
        .uid("regions")
        .key_by(|(region, _)| *region)
        .window(Tumbling::event_time(Duration::from_secs(5)))
        .fold(0, |sum, (_, cents)| *sum += cents)
        .uid("turnover")
}

/// The clocks of the warehouses are some seconds apart.
fn clock_of(warehouse: u64, time_ms: i64) -> i64 {
    time_ms + i64::try_from(warehouse).expect("a small number") * 700
}

/// Asks for the warehouse of each order, and counts orders by the clocks there: event time begins behind
/// the lookup.
pub(crate) fn orders_by_warehouse(env: &Environment) -> Stream<(u64, i64, u64)> {
    let retries = AsyncRetryStrategy::fixed_delay(3, Duration::from_millis(20));
    let options = AsyncOptions::ordered(CAPACITY, PATIENCE).retry(retries);
    let strategy = WatermarkStrategy::bounded_out_of_orderness(Duration::from_secs(2))
        .timestamps(|(_, time_ms): &(u64, i64)| *time_ms)
        .emit_every(1);
    env.source("orders", Generator::new(COUNT, order).rate(RATE))
        .async_map(options, |(number, _, article, time_ms), cx| async move {
            ask(number, &cx).await?;
            let warehouse = article % 3;
            Ok((warehouse, clock_of(warehouse, time_ms)))
        })
        .uid("warehouses")
        .watermarks(strategy)
        .uid("clocks")
        .key_by(|(warehouse, _)| *warehouse)
        .window(Tumbling::event_time(Duration::from_secs(5)))
        .fold(0, |count: &mut u64, _| *count += 1)
        .uid("per-warehouse")
        .map(|(warehouse, window, count): (u64, Window, u64)| (warehouse, window.start.0, count))
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;
    use crate::{simulate, sorted};

    #[test]
    fn orders_keep_their_order_while_their_prices_are_looked_up() {
        let expected: Vec<_> = (0..COUNT)
            .map(order)
            .map(|(number, _, article, _)| (number, 100 + article * 25))
            .collect();
        // Two subtasks of what follows would share them.
        simulate(|env| priced_orders(orders(env)))
            .parallelism(1)
            .check(|results| assert_eq!(results, expected));
    }

    #[test]
    fn event_time_may_begin_behind_a_lookup() {
        let mut counts: BTreeMap<(u64, i64), u64> = BTreeMap::new();
        for (_, _, article, time_ms) in (0..COUNT).map(order) {
            let warehouse = article % 3;
            let start = clock_of(warehouse, time_ms) / 5_000 * 5_000;
            *counts.entry((warehouse, start)).or_default() += 1;
        }
        let expected =
            counts.into_iter().map(|((warehouse, start), count)| (warehouse, start, count));
        let expected: Vec<_> = expected.collect();
        simulate(orders_by_warehouse)
            .check(|results| assert_eq!(sorted(results.to_vec()), expected));
    }

    #[test]
    fn no_order_is_late_because_its_lookup_takes_long() {
        let mut sums: BTreeMap<(u64, i64), u64> = BTreeMap::new();
        for (_, customer, article, time) in (0..COUNT).map(order) {
            *sums.entry((customer % 4, time / 5_000 * 5_000)).or_default() += 100 + article * 25;
        }
        let expected: Vec<_> = sums.into_iter().collect();
        simulate(|env| turnover_by_region(orders(env))).check(|results| {
            let results =
                results.iter().map(|(region, window, sum)| ((*region, window.start.0), *sum));
            assert_eq!(sorted(results), expected);
        });
    }
}
