//! Accounts in two versions: the first keeps whole euros, the second cents with a currency. What both
//! write is the same, so it does not matter when one takes the place of the other.

use std::{collections::BTreeMap, time::Duration};

use floodmark::{
    BoxError, Context, Environment, FileSink, KeyedProcess, ListState, MapState, Migration,
    ValueState,
};
use serde::{Deserialize, Serialize};

use super::{Input, PreparedJob, ScenarioJob, mix};

/// The job in its first version, with deposits that the seed makes up.
pub const JOB: ScenarioJob = ScenarioJob {
    name: "accounts",
    prepare: |input| prepare(input, |env, input| build(env, input, Euros)),
};

/// The job in its second version.
pub const SECOND: ScenarioJob = ScenarioJob {
    name: "accounts",
    prepare: |input| prepare(input, |env, input| build(env, input, Cents)),
};

const OUTPUT: &str = "output/accounts";
const ACCOUNT_COUNT: u64 = 40;

/// Deposits that an account remembers.
const LATEST_COUNT: usize = 3;

/// Keeps euros.
#[derive(Clone)]
struct Euros;

const BALANCE: ValueState<u32> = ValueState::new("balance");
const LATEST: ListState<u32> = ListState::new("latest");
const PAYERS: MapState<u8, u32> = MapState::new("payers");

impl KeyedProcess for Euros {
    type Key = u64;
    type In = Deposit;
    type Out = String;

    fn on_element(
        &mut self,
        deposit: Deposit,
        cx: &mut Context<'_, u64, String>,
    ) -> Result<(), BoxError> {
        let euros = u32::try_from(deposit.euros)?;
        cx.state(BALANCE).update(|balance| *balance += euros);
        let mut latest = cx.state(LATEST).get();
        latest.push(euros);
        latest.drain(..latest.len().saturating_sub(LATEST_COUNT));
        cx.state(LATEST).set(latest.clone());
        cx.state(PAYERS).update(deposit.payer, |count| *count += 1);
        let balance = u64::from(cx.state(BALANCE).or_default()) * 100;
        let latest: u64 = latest.into_iter().map(u64::from).sum::<u64>() * 100;
        let (payers, account) = (cx.state(PAYERS).len(), *cx.key());
        cx.emit(format!("{account},{balance},{latest},{payers}"));
        Ok(())
    }
}

/// Keeps cents.
#[derive(Clone)]
struct Cents;

#[derive(Clone, Debug, Serialize, Deserialize)]
struct Money {
    currency: String,
    cents: u64,
}

impl Default for Money {
    fn default() -> Self {
        in_cents(0)
    }
}

fn in_cents(euros: u32) -> Money {
    Money { currency: "EUR".to_owned(), cents: u64::from(euros) * 100 }
}

const MONEY: ValueState<Money> = ValueState::new("balance").version(2, &[&Migration(1, in_cents)]);
const LATEST_MONEY: ListState<Money> =
    ListState::new("latest").version(2, &[&Migration(1, in_cents)]);
const NAMED_PAYERS: MapState<String, u64> = MapState::new("payers").version(
    2,
    &[&Migration(1, |(payer, count): (u8, u32)| (payer.to_string(), u64::from(count)))],
);

impl KeyedProcess for Cents {
    type Key = u64;
    type In = Deposit;
    type Out = String;

    fn on_element(
        &mut self,
        deposit: Deposit,
        cx: &mut Context<'_, u64, String>,
    ) -> Result<(), BoxError> {
        let money = in_cents(u32::try_from(deposit.euros)?);
        cx.state(MONEY).update(|balance| balance.cents += money.cents);
        let mut latest = cx.state(LATEST_MONEY).get();
        latest.push(money);
        latest.drain(..latest.len().saturating_sub(LATEST_COUNT));
        cx.state(LATEST_MONEY).set(latest.clone());
        cx.state(NAMED_PAYERS).update(deposit.payer.to_string(), |count| *count += 1);
        let balance = cx.state(MONEY).or_default();
        if balance.currency != "EUR" {
            return Err(format!("a currency {:?}", balance.currency).into());
        }
        let latest: u64 = latest.iter().map(|money| money.cents).sum();
        let (payers, account) = (cx.state(NAMED_PAYERS).len(), *cx.key());
        cx.emit(format!("{account},{},{latest},{payers}", balance.cents));
        Ok(())
    }
}

/// Money that somebody pays in.
#[derive(Clone, Debug, Serialize, Deserialize)]
struct Deposit {
    account: u64,
    payer: u8,
    euros: u64,
}

/// Every account has one payer and all deposits are equal: deposits of several subtasks come in any
/// order, and what is written must not depend on it.
fn deposit(seed: u64, index: u64) -> Deposit {
    let account = mix(seed ^ mix(index)) % ACCOUNT_COUNT;
    Deposit { account, payer: u8::try_from(account).unwrap_or(0), euros: 10 }
}

fn prepare(input: &Input, build: fn(&Environment, &Input)) -> PreparedJob {
    let expected = expected(input.seed, &input.indices());
    let input = input.clone();
    PreparedJob::new(move |env| build(env, &input), BTreeMap::from([(OUTPUT, expected)]))
}

fn build<P>(env: &Environment, input: &Input, keep: P)
where
    P: KeyedProcess<Key = u64, In = Deposit, Out = String> + Clone + Sync,
{
    let seed = input.seed;
    let deposits = input.source((0, 1), Duration::from_secs(8), move |index| deposit(seed, index));
    env.source("deposits", deposits)
        .key_by(|deposit| deposit.account)
        .process(keep)
        .uid("keep")
        .sink("balances", FileSink::new(OUTPUT, |line: &String| line.clone()));
}

/// The naive model: all deposits of an account, one after the other.
fn expected(seed: u64, indices: &[u64]) -> Vec<String> {
    let mut counts: BTreeMap<u64, u64> = BTreeMap::new();
    let note = |index: &u64| {
        let account = deposit(seed, *index).account;
        let count = counts.entry(account).or_default();
        *count += 1;
        format!("{account},{},{},1", *count * 1_000, (*count).min(3) * 1_000)
    };
    indices.iter().map(note).collect()
}
