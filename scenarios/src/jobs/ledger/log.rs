//! A log with transactions: what a job's sink writes into, and readers read from.
//!
//! Readers see committed transactions only, and nothing behind the first one that is neither
//! committed nor aborted: that offset is the *last stable offset*. So a transaction that is left
//! behind blocks everybody. A producer is known by its name and writes in epochs; the first call of a
//! newer epoch fences every older one. A transaction that was begun and not prepared in time is
//! aborted by the log itself; one that was prepared is not, because its fate is decided elsewhere.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use floodmark::{BoxError, platform::planted};
use floodmark_sim::World;

use crate::jobs::outside::{OutsideSystem, Wire};

/// Under which name calls to the log go.
const SYSTEM: &str = "ledger";

/// An epoch of a producer: the attempt that writes.
pub(super) type Epoch = (u64, u32);

/// The log, shared by all who call it.
#[derive(Clone)]
pub(super) struct TransactionLog {
    output: &'static str,
    timeout_ms: u64,
    wire: Arc<Wire>,
    content: Arc<Mutex<Content>>,
}

#[derive(Default)]
struct Content {
    /// All lines, each with its transaction.
    lines: Vec<(String, String)>,
    transactions: BTreeMap<String, Transaction>,
    /// The newest epoch of each producer.
    producers: BTreeMap<String, Epoch>,
}

struct Transaction {
    producer: String,
    epoch: Epoch,
    state: State,
    /// The offset at which it was begun.
    offset: usize,
    began_at_ms: u64,
    has_lines: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    Open,
    Prepared,
    Committed,
    Aborted,
}

impl State {
    fn is_decided(self) -> bool {
        matches!(self, Self::Committed | Self::Aborted)
    }
}

impl TransactionLog {
    pub(super) fn new(output: &'static str, timeout: Duration) -> Self {
        Self {
            output,
            timeout_ms: u64::try_from(timeout.as_millis()).unwrap_or(u64::MAX),
            wire: Arc::default(),
            content: Arc::default(),
        }
    }

    async fn ask(
        &self,
        operation: &'static str,
        act: impl FnOnce(&mut Content, u64) -> Result<(), String> + Send + 'static,
    ) -> Result<(), BoxError> {
        let (content, timeout_ms) = (self.content.clone(), self.timeout_ms);
        let act = move |now_ms: u64| {
            let mut content = lock(&content);
            content.expire(now_ms, timeout_ms);
            act(&mut content, now_ms)
        };
        Ok(self.wire.call(SYSTEM, operation, act).await??)
    }

    /// Begins a transaction, unless it has begun.
    pub(super) async fn begin(
        &self,
        producer: &str,
        epoch: Epoch,
        name: &str,
    ) -> Result<(), BoxError> {
        let (producer, name) = (producer.to_owned(), name.to_owned());
        self.ask("begin", move |content, now_ms| content.begin(producer, epoch, name, now_ms)).await
    }

    /// Adds the lines of a transaction, unless it has them.
    pub(super) async fn append(&self, name: &str, lines: Arc<[String]>) -> Result<(), BoxError> {
        let name = name.to_owned();
        self.ask("append", move |content, _| content.append(&name, &lines)).await
    }

    /// Takes care that a transaction can be committed whatever happens to its producer.
    pub(super) async fn prepare(&self, name: &str) -> Result<(), BoxError> {
        let name = name.to_owned();
        self.ask("prepare", move |content, _| {
            let transaction = content.find(&name)?;
            match transaction.state {
                State::Open => transaction.state = State::Prepared,
                State::Prepared | State::Committed => {}
                State::Aborted => return Err(format!("transaction {name} is aborted")),
            }
            Ok(())
        })
        .await
    }

    /// Makes the lines of a prepared transaction visible, unless they are.
    pub(super) async fn commit(&self, name: &str) -> Result<(), BoxError> {
        let name = name.to_owned();
        self.ask("commit", move |content, _| {
            let transaction = content.find(&name)?;
            match transaction.state {
                State::Prepared => transaction.state = State::Committed,
                State::Committed if !planted!(CommitNotIdempotent) => {}
                state @ (State::Open | State::Committed | State::Aborted) => {
                    return Err(format!("transaction {name} is {state:?}, and not prepared"));
                }
            }
            Ok(())
        })
        .await
    }

    /// Aborts what older epochs of a producer have left behind, except for `kept`, and fences them.
    pub(super) async fn abort_older(
        &self,
        producer: &str,
        epoch: Epoch,
        kept: Arc<[String]>,
    ) -> Result<(), BoxError> {
        let producer = producer.to_owned();
        self.ask("abort", move |content, _| {
            let newest = content.producers.entry(producer.clone()).or_default();
            *newest = epoch.max(*newest);
            for (name, transaction) in &mut content.transactions {
                let is_older = transaction.producer == producer && transaction.epoch < epoch;
                if is_older && !transaction.state.is_decided() && !kept.contains(name) {
                    transaction.state = State::Aborted;
                }
            }
            Ok(())
        })
        .await
    }
}

fn lock(content: &Mutex<Content>) -> MutexGuard<'_, Content> {
    // A run is one thread; a panic in it ends the run.
    content.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Content {
    fn find(&mut self, name: &str) -> Result<&mut Transaction, String> {
        self.transactions.get_mut(name).ok_or_else(|| format!("there is no transaction {name}"))
    }

    fn begin(
        &mut self,
        producer: String,
        epoch: Epoch,
        name: String,
        now_ms: u64,
    ) -> Result<(), String> {
        let newest = self.producers.entry(producer.clone()).or_default();
        if epoch < *newest {
            return Err(format!("{producer} writes in epoch {newest:?}; {epoch:?} is fenced"));
        }
        *newest = epoch;
        let offset = self.lines.len();
        self.transactions.entry(name).or_insert(Transaction {
            producer,
            epoch,
            state: State::Open,
            offset,
            began_at_ms: now_ms,
            has_lines: false,
        });
        Ok(())
    }

    fn append(&mut self, name: &str, lines: &[String]) -> Result<(), String> {
        let transaction = self.find(name)?;
        if transaction.state == State::Aborted {
            return Err(format!("transaction {name} is aborted"));
        }
        if !transaction.has_lines {
            transaction.has_lines = true;
            self.lines.extend(lines.iter().map(|line| (name.to_owned(), line.clone())));
        }
        Ok(())
    }

    /// Aborts what was begun too long ago and is not prepared.
    fn expire(&mut self, now_ms: u64, timeout_ms: u64) {
        for transaction in self.transactions.values_mut() {
            if transaction.state == State::Open && transaction.began_at_ms + timeout_ms < now_ms {
                transaction.state = State::Aborted;
            }
        }
    }

    /// Returns the first undecided transaction, behind which nobody reads.
    fn first_undecided(&self) -> Option<(&String, &Transaction)> {
        let undecided = self.transactions.iter().filter(|(_, one)| !one.state.is_decided());
        undecided.min_by_key(|(_, one)| one.offset)
    }
}

impl OutsideSystem for TransactionLog {
    fn begin(&self, world: &World) {
        self.wire.begin(world);
        *lock(&self.content) = Content::default();
    }

    fn end(&self) {
        self.wire.end();
    }

    fn lines(&self) -> Vec<(&'static str, Vec<String>)> {
        let content = lock(&self.content);
        let stable = content.first_undecided().map_or(usize::MAX, |(_, first)| first.offset);
        let is_visible = |name: &String| {
            content.transactions.get(name).is_some_and(|one| one.state == State::Committed)
        };
        let visible = content.lines.iter().take(stable).filter(|(name, _)| is_visible(name));
        vec![(self.output, visible.map(|(_, line)| line.clone()).collect())]
    }

    fn verdict(&self) -> Result<(), (&'static str, String)> {
        let content = lock(&self.content);
        match content.first_undecided() {
            Some((name, Transaction { state, offset, .. })) => Err((
                "liveness",
                format!(
                    "the job has ended, and transaction {name} of the ledger is {state:?}: readers \
                     wait at offset {offset} of {}",
                    content.lines.len()
                ),
            )),
            None => Ok(()),
        }
    }
}
