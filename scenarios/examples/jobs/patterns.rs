//! Patterns: fraud, attacks, and traffic that is not as usual.

use std::time::Duration;

use floodmark::{
    BoxError, Context, Environment, KeyedProcess, Sliding, Stream, TimeDomain, Timestamp, Tumbling,
    ValueState, WatermarkStrategy,
};
use serde::{Deserialize, Serialize};

use crate::{Example, input, mix, shown, time_of};

pub(crate) const EXAMPLES: &[Example] = &[
    Example {
        name: "fraud",
        about: "a small payment, and a large one within a minute",
        build: |env| shown(fraud(payments(env))),
    },
    Example {
        name: "bursts",
        about: "addresses that failed to log in fifteen times in five seconds",
        build: |env| shown(bursts(failures(env))),
    },
    Example {
        name: "unusual_traffic",
        about: "seconds in which a link carried three times as much as before",
        build: |env| shown(unusual_traffic(packets(env))),
    },
];

/// Money that leaves an account.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub(crate) struct Payment {
    account: u64,
    time_ms: i64,
    cents: u64,
}

/// Less than this is a small payment.
const SMALL_CENTS: u64 = 100;
/// More than this is a large one.
const LARGE_CENTS: u64 = 50_000;
/// A large payment is suspicious for so long.
const SUSPICIOUS: Duration = Duration::from_secs(60);

fn payment(index: u64) -> Payment {
    let random = mix(index);
    let cents = match (random >> 8) % 6 {
        0 | 1 => (random >> 16) % SMALL_CENTS,
        2 => LARGE_CENTS + 1 + (random >> 16) % 10_000,
        _ => SMALL_CENTS + (random >> 16) % 10_000,
    };
    Payment { account: random % 6, time_ms: time_of(index, 5_000), cents }
}

fn payments(env: &Environment) -> Stream<Payment> {
    input(env, "payments", payment)
        .watermarks(WatermarkStrategy::ascending().timestamps(|payment: &Payment| payment.time_ms))
        .parallelism(1)
}

const SMALL_AT: ValueState<Timestamp> = ValueState::new("small-at");

/// Remembers a small payment until the next one, or for a minute.
#[derive(Clone)]
struct Suspect;

impl KeyedProcess for Suspect {
    type Key = u64;
    type In = Payment;
    type Out = Payment;

    fn on_element(
        &mut self,
        payment: Payment,
        cx: &mut Context<'_, u64, Payment>,
    ) -> Result<(), BoxError> {
        let now = cx.timestamp();
        let small_at = cx.state(SMALL_AT).get();
        if let Some(small_at) = small_at {
            cx.timers().delete_event_time(small_at + SUSPICIOUS);
            cx.state(SMALL_AT).clear();
        }
        if payment.cents < SMALL_CENTS {
            cx.state(SMALL_AT).set(now);
            cx.timers().register_event_time(now + SUSPICIOUS);
        }
        // The timer may be some records behind, so the time is compared all the same.
        if LARGE_CENTS < payment.cents && small_at.is_some_and(|at| now <= at + SUSPICIOUS) {
            cx.emit(payment);
        }
        Ok(())
    }

    /// An account that is not used any more leaves nothing behind.
    fn on_timer(
        &mut self,
        _: Timestamp,
        _: TimeDomain,
        cx: &mut Context<'_, u64, Payment>,
    ) -> Result<(), BoxError> {
        cx.state(SMALL_AT).clear();
        Ok(())
    }
}

/// Emits large payments that come next after a small one of the same account, within a minute.
pub(crate) fn fraud(payments: Stream<Payment>) -> Stream<Payment> {
    payments.key_by(|payment| payment.account).process(Suspect).uid("suspect")
}

/// An address from which somebody failed to log in, and the time.
type Failure = (u64, i64);

/// An address that tries again and again.
const ATTACKER: u64 = 66;
/// So many failures are an attack.
const ATTACK_COUNT: u64 = 15;

/// Ten addresses that fail now and then, and in every twenty seconds five in which one more does.
fn failure(index: u64) -> Failure {
    let random = mix(index);
    let is_attack = index % 200 < 50 && !(random >> 8).is_multiple_of(3);
    (if is_attack { ATTACKER } else { random % 10 }, time_of(index, 100))
}

fn failures(env: &Environment) -> Stream<Failure> {
    input(env, "failures", failure)
        .watermarks(WatermarkStrategy::ascending().timestamps(|(_, time): &Failure| *time))
        .parallelism(1)
}

/// Counts the failures of the last five seconds, every second: address, start, and how many.
pub(crate) fn bursts(failures: Stream<Failure>) -> Stream<(u64, i64, u64)> {
    failures
        .key_by(|(address, _)| *address)
        .window(Sliding::event_time(Duration::from_secs(5), Duration::from_secs(1)))
        .count()
        .uid("count")
        .filter(|(_, _, count)| ATTACK_COUNT <= *count)
        .map(|(address, window, count)| (address, window.start.0, count))
}

/// A link of a network, the time, and bytes that it carried.
type Packet = (u64, i64, u64);

fn packet(index: u64) -> Packet {
    let (link, time) = (index % 4, time_of(index, 50));
    // In a third of the seconds a link carries up to seven times as much.
    let second = mix(index / 20 * 4 + link);
    let factor = if (second >> 8).is_multiple_of(3) { 1 + second % 7 } else { 1 };
    (link, time, (100 + mix(index) % 100) * factor)
}

fn packets(env: &Environment) -> Stream<Packet> {
    input(env, "packets", packet)
        .watermarks(WatermarkStrategy::ascending().timestamps(|(_, time, _): &Packet| *time))
        .parallelism(1)
}

/// The totals of a link so far.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
struct Totals {
    sum: u64,
    count: u64,
}

/// Emits link, second and total, if that is more than three times the mean of the seconds before.
pub(crate) fn unusual_traffic(packets: Stream<Packet>) -> Stream<(u64, i64, u64)> {
    packets
        .key_by(|(link, _, _)| *link)
        .window(Tumbling::event_time(Duration::from_secs(1)))
        .sum_of(|(_, _, bytes)| *bytes)
        .uid("totals")
        .map(|(link, window, total)| (link, window.start.0, total))
        // The seconds of a link come from one subtask, in their order.
        .key_by(|(link, _, _)| *link)
        .stateful(|_, before: &mut Totals, second| {
            let is_unusual = 0 < before.count && 3 * before.sum < second.2 * before.count;
            before.sum += second.2;
            before.count += 1;
            is_unusual.then_some(second)
        })
        .uid("usual")
        .flat_map(|second| second)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;
    use crate::{COUNT, simulate, sorted};

    #[test]
    fn fraud_is_found_once() {
        let mut accounts: BTreeMap<u64, Vec<Payment>> = BTreeMap::new();
        for payment in (0..COUNT).map(payment) {
            accounts.entry(payment.account).or_default().push(payment);
        }
        let (mut expected, mut slow_count) = (Vec::new(), 0);
        for pair in accounts.values().flat_map(|payments| payments.windows(2)) {
            let [small, large] = pair else { unreachable!("two of them") };
            if small.cents < SMALL_CENTS && LARGE_CENTS < large.cents {
                if large.time_ms - small.time_ms <= 60_000 {
                    expected.push(large.clone());
                } else {
                    slow_count += 1;
                }
            }
        }
        assert!(5 < expected.len() && 0 < slow_count, "{expected:?}, {slow_count}");
        let expected = sorted(expected);
        simulate(|env| fraud(payments(env)))
            .check(|results| assert_eq!(sorted(results.to_vec()), expected));
    }

    #[test]
    fn an_attack_is_found() {
        let mut expected = Vec::new();
        for address in (0..10).chain([ATTACKER]) {
            for start in (-5_000..40_000).step_by(1_000) {
                let span = start..start + 5_000;
                let failures = (0..COUNT).map(failure);
                let count =
                    failures.filter(|(from, time)| *from == address && span.contains(time)).count();
                if ATTACK_COUNT <= count as u64 {
                    expected.push((address, start, count as u64));
                }
            }
        }
        assert!(expected.iter().any(|(address, _, _)| *address == ATTACKER));
        assert!(expected.iter().all(|(address, _, _)| *address == ATTACKER), "{expected:?}");
        simulate(|env| bursts(failures(env)))
            .check(|results| assert_eq!(sorted(results.to_vec()), expected));
    }

    #[test]
    fn what_is_unusual_is_found() {
        let mut links: BTreeMap<u64, BTreeMap<i64, u64>> = BTreeMap::new();
        for (link, time, bytes) in (0..COUNT).map(packet) {
            *links.entry(link).or_default().entry(time / 1_000 * 1_000).or_default() += bytes;
        }
        let mut expected = Vec::new();
        for (link, seconds) in links {
            let totals: Vec<(i64, u64)> = seconds.into_iter().collect();
            for (count, (start, total)) in totals.iter().enumerate().skip(1) {
                let before: u64 = totals[..count].iter().map(|(_, total)| total).sum();
                if 3 * before < total * count as u64 {
                    expected.push((link, *start, *total));
                }
            }
        }
        assert!((3..40).contains(&expected.len()), "{expected:?}");
        simulate(|env| unusual_traffic(packets(env)))
            .check(|results| assert_eq!(sorted(results.to_vec()), expected));
    }
}
