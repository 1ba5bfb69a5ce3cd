//! Postings per account, numbered, in a log with transactions that is no part of the cluster.
//!
//! The sink is written with the public [`TwoPhaseCommit`] alone, as a user would write it: a
//! transaction is begun with the first record of an epoch, filled and prepared behind the barrier,
//! and committed when the checkpoint is complete. Every call may fail, or end in doubt.

mod log;

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use floodmark::{
    BoxError, Context, Environment, KeyedProcess, Record, SinkContext, TransactionId,
    TwoPhaseCommit, ValueState, Work, platform::planted,
};

use log::{Epoch, TransactionLog};

use super::{Input, Lines, PreparedJob, ScenarioJob, mix};

/// The job, with postings that the seed makes up.
pub const JOB: ScenarioJob = ScenarioJob { name: "ledger", prepare };

/// The job, with a log that is quick to abort transactions that nobody prepares.
pub const IMPATIENT_JOB: ScenarioJob =
    ScenarioJob { name: "impatient_ledger", prepare: prepare_impatient };

const OUTPUT: &str = "outside/ledger";
const ACCOUNT_COUNT: u64 = 30;

const COUNT: ValueState<u64> = ValueState::new("count");

/// Numbers the postings of each account.
#[derive(Clone)]
struct Number;

impl KeyedProcess for Number {
    type Key = u64;
    type In = u64;
    type Out = String;

    fn on_element(
        &mut self,
        account: u64,
        cx: &mut Context<'_, u64, String>,
    ) -> Result<(), BoxError> {
        let number = cx.state(COUNT).or_default() + 1;
        cx.state(COUNT).set(number);
        cx.emit(format!("{account},{number}"));
        Ok(())
    }
}

/// Writes lines into a transactional log.
struct LedgerSink {
    log: TransactionLog,
}

/// An epoch that is being filled.
struct OpenEpoch {
    name: String,
    lines: Vec<String>,
}

fn producer(cx: &SinkContext) -> String {
    format!("{}-{:05}", cx.uid, cx.subtask.index)
}

fn epoch(cx: &SinkContext) -> Epoch {
    (cx.attempt.term.0, cx.attempt.number)
}

impl TwoPhaseCommit<String> for LedgerSink {
    type Open = OpenEpoch;
    type Handle = String;

    fn begin(&self, cx: &SinkContext, id: TransactionId) -> Result<OpenEpoch, BoxError> {
        let TransactionId { attempt, sequence, .. } = id;
        let producer = producer(cx);
        let name = format!("{producer}/{:06}-{:06}-{sequence:09}", attempt.term.0, attempt.number);
        let (log, epoch, begun) = (self.log.clone(), epoch(cx), name.clone());
        // Whether it works shows when the transaction is prepared.
        let begin = async move { drop(log.begin(&producer, epoch, &begun).await) };
        cx.machine.spawn("begin-transaction", begin).detach();
        Ok(OpenEpoch { name, lines: Vec::new() })
    }

    fn write(&self, open: &mut OpenEpoch, record: Record<String>) -> Result<(), BoxError> {
        open.lines.push(record.value);
        Ok(())
    }

    fn pre_commit(&self, cx: &SinkContext, open: OpenEpoch) -> Result<(String, Work), BoxError> {
        let OpenEpoch { name, lines } = open;
        let (log, producer, epoch) = (self.log.clone(), producer(cx), epoch(cx));
        let (handle, lines): (String, Arc<[String]>) = (name.clone(), lines.into());
        let work: Work = Box::new(move || {
            let (log, producer) = (log.clone(), producer.clone());
            let (name, lines) = (name.clone(), lines.clone());
            Box::pin(async move {
                log.begin(&producer, epoch, &name).await?;
                log.append(&name, lines).await?;
                log.prepare(&name).await
            })
        });
        Ok((handle, work))
    }

    fn commit(&self, _: &SinkContext, handle: String) -> Work {
        let log = self.log.clone();
        Box::new(move || {
            let (log, handle) = (log.clone(), handle.clone());
            Box::pin(async move { log.commit(&handle).await })
        })
    }

    fn abort_others(&self, cx: &SinkContext, prepared: Vec<String>) -> Work {
        let (log, producer, epoch) = (self.log.clone(), producer(cx), epoch(cx));
        let kept: Arc<[String]> = prepared.into();
        Box::new(move || {
            let (log, producer, kept) = (log.clone(), producer.clone(), kept.clone());
            Box::pin(async move {
                if planted!(AbortsOwnOnly) {
                    return Ok(());
                }
                log.abort_older(&producer, epoch, kept).await
            })
        })
    }
}

fn account(seed: u64, index: u64) -> u64 {
    mix(seed ^ mix(index)) % ACCOUNT_COUNT
}

fn prepare(input: &Input) -> PreparedJob {
    prepared(input, Duration::from_secs(60))
}

fn prepare_impatient(input: &Input) -> PreparedJob {
    prepared(input, Duration::from_millis(900))
}

fn prepared(input: &Input, timeout: Duration) -> PreparedJob {
    let seed = input.seed;
    let accounts = input.indices().into_iter().map(|index| account(seed, index));
    let expected = expected(accounts);
    let input = input.clone();
    let log = TransactionLog::new(OUTPUT, timeout);
    let outside = log.clone();
    let build = move |env: &Environment| {
        let lasts = Duration::from_secs(6);
        let accounts = input.source((0, 1), lasts, move |index| account(seed, index));
        env.source("postings", accounts)
            .key_by(|account| *account)
            .process(Number)
            .uid("number")
            .sink("ledger", LedgerSink { log: log.clone() });
    };
    PreparedJob {
        law: numbers_ascend,
        outside: Some(Arc::new(outside)),
        ..PreparedJob::new(build, BTreeMap::from([(OUTPUT, expected)]))
    }
}

/// The naive model: as many lines per account as it has postings.
fn expected(accounts: impl Iterator<Item = u64>) -> Vec<String> {
    let mut counts: BTreeMap<u64, u64> = BTreeMap::new();
    let mut lines = Vec::new();
    for account in accounts {
        let number = counts.entry(account).or_default();
        *number += 1;
        lines.push(format!("{account},{number}"));
    }
    lines
}

/// Checks that readers see the postings of each account in their order.
fn numbers_ascend(lines: &Lines) -> Result<(), String> {
    let mut last: BTreeMap<&str, u64> = BTreeMap::new();
    for line in lines.get(OUTPUT).into_iter().flatten() {
        let (account, number) = line.split_once(',').ok_or_else(|| format!("{line:?}"))?;
        let number: u64 = number.parse().map_err(|_| format!("{line:?}"))?;
        let before = last.insert(account, number).unwrap_or_default();
        if number != before + 1 {
            return Err(format!("account {account}: posting {number} follows {before}"));
        }
    }
    Ok(())
}
