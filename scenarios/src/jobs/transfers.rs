//! Transfers between accounts: the sum of all balances does not change.
//!
//! Each transfer becomes two postings, one per account. An account keeps its balance in state and
//! settles a day's postings when an event-time timer tells that the day is over, so the job's output
//! depends on values and timers surviving whatever happens.

use std::{collections::BTreeMap, time::Duration};

use floodmark::{
    BoxError, Context, Environment, FileSink, KeyedProcess, TimeDomain, Timestamp, ValueState,
    WatermarkStrategy,
};
use serde::{Deserialize, Serialize};

use super::{Input, Lines, PreparedJob, ScenarioJob, mix};

/// The job, with transfers that the seed makes up.
pub const JOB: ScenarioJob = ScenarioJob { name: "transfers", prepare };

const OUTPUT: &str = "output/balances";
const ACCOUNT_COUNT: u64 = 40;
const OPENING_BALANCE: i64 = 1_000;
const DAY_MS: i64 = 10_000;
/// Event time from one transfer to the next.
const STEP_MS: i64 = 50;
/// Places by which transfers are out of order.
const DISORDER: u16 = 12;

/// A change of one account.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
struct Posting {
    account: u64,
    amount: i64,
    time_ms: i64,
}

/// Settled balances, and postings of days that are not over.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
struct Account {
    settled: i64,
    open_days: BTreeMap<i64, i64>,
}

const ACCOUNT: ValueState<Account> = ValueState::new("account");

/// Settles each account at the end of every day on which it had postings.
#[derive(Clone)]
struct Settle;

impl KeyedProcess for Settle {
    type Key = u64;
    type In = Posting;
    type Out = String;

    fn on_element(
        &mut self,
        posting: Posting,
        cx: &mut Context<'_, u64, String>,
    ) -> Result<(), BoxError> {
        let day_end = posting.time_ms.div_euclid(DAY_MS) * DAY_MS + DAY_MS - 1;
        cx.state(ACCOUNT).update(|account| {
            *account.open_days.entry(day_end).or_default() += posting.amount;
        });
        cx.timers().register_event_time(Timestamp(day_end));
        Ok(())
    }

    fn on_timer(
        &mut self,
        time: Timestamp,
        _: TimeDomain,
        cx: &mut Context<'_, u64, String>,
    ) -> Result<(), BoxError> {
        let mut account = cx.state(ACCOUNT).or_default();
        let amount = account.open_days.remove(&time.0).ok_or("a timer without postings")?;
        account.settled += amount;
        let line = format!("{},{},{}", cx.key(), time.0, OPENING_BALANCE + account.settled);
        cx.state(ACCOUNT).set(account);
        cx.emit(line);
        Ok(())
    }
}

/// Returns transfer `index`: from, to, amount and time.
fn transfer(seed: u64, index: u64) -> (u64, u64, i64, i64) {
    let random = mix(seed ^ mix(index));
    let from = random % ACCOUNT_COUNT;
    let to = (from + 1 + (random >> 16) % (ACCOUNT_COUNT - 1)) % ACCOUNT_COUNT;
    let amount = i64::try_from((random >> 32) % 100 + 1).expect("at most 100");
    let time = i64::try_from(index).expect("a run is short") * STEP_MS;
    (from, to, amount, time)
}

fn prepare(input: &Input) -> PreparedJob {
    let expected = expected(input.seed, &input.indices());
    let input = input.clone();
    let build = move |env: &Environment| build(env, &input);
    let expected = BTreeMap::from([(OUTPUT, expected)]);
    PreparedJob { law: money_is_conserved, ..PreparedJob::new(build, expected) }
}

fn build(env: &Environment, input: &Input) {
    let seed = input.seed;
    let transfers =
        input.source((0, 1), Duration::from_secs(8), move |index| transfer(seed, index));
    // Subtasks take every n-th transfer; each may fall behind by its disorder, n times the step.
    let bound = Duration::from_millis(50 * 8 * (u64::from(DISORDER) + 1));
    env.source("transfers", transfers.disorder(seed, DISORDER))
        .watermarks(
            WatermarkStrategy::bounded_out_of_orderness(bound)
                .timestamps(|transfer: &(u64, u64, i64, i64)| transfer.3)
                .emit_every(input.watermark_every(16) as u64),
        )
        .flat_map(|(from, to, amount, time_ms)| {
            [
                Posting { account: from, amount: -amount, time_ms },
                Posting { account: to, amount, time_ms },
            ]
        })
        .key_by(|posting| posting.account)
        .process(Settle)
        .uid("settle")
        .sink("balances", FileSink::new(OUTPUT, |line: &String| line.clone()));
}

/// The naive model: all postings in a map by account and day.
fn expected(seed: u64, indices: &[u64]) -> Vec<String> {
    let mut days: BTreeMap<(u64, i64), i64> = BTreeMap::new();
    for (from, to, amount, time) in indices.iter().map(|index| transfer(seed, *index)) {
        let day_end = time / DAY_MS * DAY_MS + DAY_MS - 1;
        *days.entry((from, day_end)).or_default() -= amount;
        *days.entry((to, day_end)).or_default() += amount;
    }
    let mut lines = Vec::new();
    let mut balances: BTreeMap<u64, i64> = BTreeMap::new();
    for ((account, day_end), amount) in days {
        let balance = balances.entry(account).or_insert(OPENING_BALANCE);
        *balance += amount;
        lines.push(format!("{account},{day_end},{balance}"));
    }
    lines
}

/// Checks that the last balances of all accounts sum up to what they began with.
fn money_is_conserved(lines: &Lines) -> Result<(), String> {
    let mut last: BTreeMap<&str, (i64, i64)> = BTreeMap::new();
    for line in lines.get(OUTPUT).into_iter().flatten() {
        let mut columns = line.splitn(3, ',');
        let account = columns.next().ok_or("an empty line")?;
        let mut number = || columns.next()?.parse::<i64>().ok();
        let (time, balance) = number().zip(number()).ok_or_else(|| format!("{line:?}"))?;
        let entry = last.entry(account).or_insert((time, balance));
        *entry = (*entry).max((time, balance));
    }
    let change: i64 = last.values().map(|(_, balance)| balance - OPENING_BALANCE).sum();
    if change == 0 { Ok(()) } else { Err(format!("the sum of all balances changed by {change}")) }
}
