//! Sinks that commit in two phases: effects become visible when, and only when, the checkpoint that
//! covers them is complete.
//!
//! ```text
//!   write write |n| write …          begin ─ write ─ pre-commit (with the snapshot) ─ commit
//!               │                                          │                            │
//!               └ epoch n's transaction is prepared ───────┘   manifest n is stored ────┘
//! ```
//!
//! # Invariants
//!
//! - A transaction commits only after a manifest of its checkpoint *or a later one* is stored. So a
//!   lost notification is made good by the next, and an aborted checkpoint's records are not lost:
//!   its transaction stays prepared, is part of every later snapshot, and commits with that.
//! - Handles of prepared transactions live in the snapshot. After a restore those are committed
//!   again, which must do no harm, and everything else this sink left open is aborted.

use std::{collections::VecDeque, marker::PhantomData, sync::Arc, time::Duration};

use floodmark_model::{Attempt, Batch, CheckpointId, Record, RuntimeEvent, SubtaskId};
use floodmark_platform::{BoxFuture, Machine, planted};
use floodmark_state::{Data, Snapshot, freeze_value};

use crate::{
    BoxError, Delivery, Error,
    chain::{Cleanup, Commit, Emitter, OpenContext, Operator},
};

/// Tries at a pre-commit or a commit before the subtask fails.
const TRY_COUNT: u32 = 5;

/// Pause before the second try; it doubles with every further one.
const RETRY_PAUSE: Duration = Duration::from_millis(50);

/// A sink whose effects become visible by a second step.
///
/// The runtime calls [`TwoPhaseCommit::commit`] again after a crash, even if the first call had its
/// effect, and it calls it only after the checkpoint is complete.
///
/// # Examples
///
/// ```
/// # mod floodmark { pub use floodmark_dataflow::{*, operators::*}; pub use floodmark_model::*; }
/// use floodmark::{BoxError, Record, SinkContext, TransactionId, TwoPhaseCommit, Work};
/// use std::sync::{Arc, Mutex};
///
/// /// A system outside, in which a batch of lines is seen at once or not at all.
/// #[derive(Clone, Default)]
/// struct Board {
///     seen: Arc<Mutex<Vec<(u64, Vec<String>)>>>,
/// }
///
/// impl TwoPhaseCommit<String> for Board {
///     type Open = (u64, Vec<String>);
///     /// What is kept until the commit travels with the checkpoint.
///     type Handle = (u64, Vec<String>);
///
///     fn begin(&self, _: &SinkContext, id: TransactionId) -> Result<Self::Open, BoxError> {
///         Ok((id.sequence, Vec::new()))
///     }
///
///     fn write(&self, open: &mut Self::Open, record: Record<String>) -> Result<(), BoxError> {
///         open.1.push(record.value);
///         Ok(())
///     }
///
///     fn pre_commit(
///         &self,
///         _: &SinkContext,
///         open: Self::Open,
///     ) -> Result<(Self::Handle, Work), BoxError> {
///         Ok((open, Box::new(|| Box::pin(async { Ok(()) }))))
///     }
///
///     fn commit(&self, _: &SinkContext, handle: Self::Handle) -> Work {
///         let seen = self.seen.clone();
///         Box::new(move || {
///             let mut seen = seen.lock().expect("nobody panics with it");
///             // A second commit of the same transaction changes nothing.
///             if !seen.contains(&handle) {
///                 seen.push(handle.clone());
///             }
///             Box::pin(async { Ok(()) })
///         })
///     }
///
///     fn abort_others(&self, _: &SinkContext, _: Vec<Self::Handle>) -> Work {
///         Box::new(|| Box::pin(async { Ok(()) }))
///     }
/// }
/// ```
pub trait TwoPhaseCommit<T>: Send + Sync + 'static {
    /// A transaction that is being written. Lost in a crash.
    type Open: Send;
    /// The name of a transaction that is ready to commit. Kept in snapshots.
    type Handle: Data;

    /// Begins a transaction. `id` is unique among all transactions of the job, ever.
    ///
    /// # Errors
    ///
    /// When the sink cannot be written to. The attempt fails.
    fn begin(&self, cx: &SinkContext, id: TransactionId) -> Result<Self::Open, BoxError>;

    /// Adds a record.
    ///
    /// # Errors
    ///
    /// When the record cannot be written. The attempt fails.
    fn write(&self, open: &mut Self::Open, record: Record<T>) -> Result<(), BoxError>;

    /// Names the transaction and returns the work that makes its content survive this process. The
    /// work is repeated if it fails.
    ///
    /// # Errors
    ///
    /// When the transaction can no longer be committed. The attempt fails.
    fn pre_commit(
        &self,
        cx: &SinkContext,
        open: Self::Open,
    ) -> Result<(Self::Handle, Work), BoxError>;

    /// Returns the work that makes the transaction visible. Doing it twice does no harm.
    fn commit(&self, cx: &SinkContext, handle: Self::Handle) -> Work;

    /// Returns the work that discards what earlier attempts of this sink have begun or prepared and
    /// will never commit; `prepared` names what may still be committed. It is done before the first
    /// record, and repeated if it fails. If it fails again and again the attempt fails: nobody else
    /// would end those transactions, and readers of the system may be waiting for that.
    fn abort_others(&self, cx: &SinkContext, prepared: Vec<Self::Handle>) -> Work;
}

/// Work that can be tried again: each call makes a fresh future.
///
/// # Examples
///
/// ```
/// # mod floodmark { pub use floodmark_dataflow::{*, operators::*}; pub use floodmark_model::*; }
/// use floodmark::Work;
///
/// /// Returns the work of a sink that has nothing to do.
/// fn nothing() -> Work {
///     Box::new(|| Box::pin(async { Ok(()) }))
/// }
/// # let _ = nothing();
/// ```
pub type Work = Box<dyn Fn() -> BoxFuture<Result<(), BoxError>> + Send + Sync>;

/// Where a sink runs.
///
/// # Examples
///
/// ```
/// # mod floodmark { pub use floodmark_dataflow::{*, operators::*}; pub use floodmark_model::*; }
/// use floodmark::{SinkContext, TransactionId};
///
/// /// Returns a name for a transaction in a system that many sinks write to.
/// fn name(cx: &SinkContext, id: TransactionId) -> String {
///     let TransactionId { attempt, index, sequence } = id;
///     format!("{}-{}-{}-{index}-{sequence}", cx.uid, attempt.term.0, attempt.number)
/// }
/// ```
#[derive(Clone)]
pub struct SinkContext {
    /// The node.
    pub machine: Machine,
    /// The sink's uid.
    pub uid: String,
    /// The subtask.
    pub subtask: SubtaskId,
    /// The attempt.
    pub attempt: Attempt,
}

/// Names a transaction of one sink subtask.
///
/// # Examples
///
/// ```
/// # mod floodmark { pub use floodmark_dataflow::{*, operators::*}; pub use floodmark_model::*; }
/// use floodmark::{Attempt, Term, TransactionId};
///
/// let attempt = Attempt { term: Term(1), number: 1 };
/// let first = TransactionId { attempt, index: 0, sequence: 0 };
/// assert!(first < TransactionId { sequence: 1, ..first });
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct TransactionId {
    /// The attempt that wrote it.
    pub attempt: Attempt,
    /// Which subtask of the sink.
    pub index: u16,
    /// Which transaction of that attempt, from 0.
    pub sequence: u64,
}

/// The operator that drives a [`TwoPhaseCommit`].
pub struct TransactionSink<T, S: TwoPhaseCommit<T>> {
    uid: String,
    sink: Arc<S>,
    cx: Option<SinkContext>,
    open: Option<S::Open>,
    /// Ready to commit, oldest first.
    prepared: VecDeque<(CheckpointId, S::Handle)>,
    /// Transactions begun by this attempt.
    begun_count: u64,
    value: PhantomData<fn(T)>,
}

impl<T: Data, S: TwoPhaseCommit<T>> TransactionSink<T, S> {
    /// Creates the operator for the sink named `uid`.
    pub fn new(uid: String, sink: Arc<S>) -> Self {
        Self {
            uid,
            sink,
            cx: None,
            open: None,
            prepared: VecDeque::new(),
            begun_count: 0,
            value: PhantomData,
        }
    }

    fn cx(&self) -> &SinkContext {
        self.cx.as_ref().expect("a sink is opened before it is used")
    }

    fn begin(&mut self) -> Result<S::Open, BoxError> {
        let SinkContext { attempt, subtask, .. } = *self.cx();
        let id = TransactionId { attempt, index: subtask.index, sequence: self.begun_count };
        self.begun_count += 1;
        self.sink.begin(self.cx(), id)
    }

    fn write(&mut self, batch: Batch<T>) -> Result<(), BoxError> {
        let mut open = match self.open.take() {
            Some(open) => open,
            None => self.begin()?,
        };
        for record in batch {
            self.sink.write(&mut open, record)?;
        }
        self.open = Some(open);
        Ok(())
    }

    /// Returns the work that commits everything prepared up to `checkpoint`, oldest first.
    fn commit_up_to(&mut self, checkpoint: CheckpointId, commits: &mut Vec<Commit>) {
        if planted!(CommitOnlyLatest) {
            self.prepared.retain(|(epoch, _)| checkpoint <= *epoch);
        }
        while let Some((epoch, _)) = self.prepared.front()
            && *epoch <= checkpoint
        {
            let (epoch, handle) = self.prepared.pop_front().expect("the front was just seen");
            let work = self.sink.commit(self.cx(), handle);
            commits.push(Commit {
                operator: self.uid.clone(),
                checkpoint: epoch,
                work: retrying(self.cx().machine.clone(), work),
            });
        }
    }

    fn error(&self, source: BoxError) -> Error {
        Error::Operator { operator: self.uid.clone(), source }
    }
}

impl<T: Data, S: TwoPhaseCommit<T>> Operator for TransactionSink<T, S> {
    type In = T;
    type Out = ();

    const KEEPS: &'static str = "prepared transactions";
    const DELIVERY: Option<Delivery> = Some(Delivery::Transactional);

    fn open(&mut self, cx: &mut OpenContext<'_>) -> Result<(), Error> {
        self.cx = Some(SinkContext {
            machine: cx.machine.clone(),
            uid: self.uid.clone(),
            subtask: cx.subtask,
            attempt: cx.attempt,
        });
        self.prepared = cx.restored.take_value(&self.uid, "prepared")?.unwrap_or_default();
        if planted!(CommittablesRenumbered) {
            self.prepared.iter_mut().for_each(|(epoch, _)| *epoch = CheckpointId(0));
        }
        let prepared = self.prepared.iter().map(|(_, handle)| handle.clone()).collect();
        let cleanup = self.sink.abort_others(self.cx(), prepared);
        let work = retrying(cx.machine.clone(), cleanup);
        cx.cleanups.push(Cleanup { operator: self.uid.clone(), work });
        if let Some(checkpoint) = cx.checkpoint {
            self.commit_up_to(checkpoint, &mut cx.commits);
        }
        Ok(())
    }

    fn on_batch(&mut self, batch: Batch<T>, _: &mut Emitter<()>) -> Result<(), Error> {
        self.write(batch).map_err(|source| self.error(source))
    }

    fn on_barrier(
        &mut self,
        checkpoint: CheckpointId,
        snapshot: &mut Snapshot,
    ) -> Result<(), Error> {
        if planted!(EmptyEpochForgotten) && self.open.is_none() {
            self.prepared.clear();
        }
        // An epoch without records has nothing to commit.
        if let Some(open) = self.open.take() {
            let prepared = self.sink.pre_commit(self.cx(), open);
            let (handle, work) = prepared.map_err(|source| self.error(source))?;
            self.prepared.push_back((checkpoint, handle));
            let SinkContext { machine, uid: operator, subtask, attempt } = self.cx().clone();
            snapshot.add_upload(Box::pin(async move {
                let mut done = retrying(machine.clone(), work).await;
                if planted!(WriteErrorSwallowed) {
                    done = Ok(());
                }
                done.map_err(|error| error.to_string())?;
                machine.observe(|| RuntimeEvent::TransactionPrepared {
                    attempt,
                    subtask,
                    operator,
                    checkpoint,
                });
                Ok(())
            }));
        }
        Ok(())
    }

    fn freeze(&mut self, snapshot: &mut Snapshot) {
        snapshot.add(freeze_value(&self.uid, "prepared", self.prepared.clone()));
    }

    fn on_complete(&mut self, checkpoint: CheckpointId, commits: &mut Vec<Commit>) {
        self.commit_up_to(checkpoint, commits);
    }

    fn on_end(&mut self, commits: &mut Vec<Commit>) -> Result<(), Error> {
        let Some(open) = self.open.take() else { return Ok(()) };
        let prepared = self.sink.pre_commit(self.cx(), open);
        let (handle, prepare) = prepared.map_err(|source| self.error(source))?;
        let commit = self.sink.commit(self.cx(), handle);
        let machine = self.cx().machine.clone();
        let work = Box::pin(async move {
            retrying(machine.clone(), prepare).await?;
            retrying(machine, commit).await
        });
        let checkpoint = CheckpointId(0);
        commits.push(Commit { operator: self.uid.clone(), checkpoint, work });
        Ok(())
    }
}

/// Does `work`, again if it fails, a few times.
fn retrying(machine: Machine, work: Work) -> BoxFuture<Result<(), BoxError>> {
    Box::pin(async move {
        let mut pause = RETRY_PAUSE;
        for _ in 1..TRY_COUNT {
            match work().await {
                Ok(()) => return Ok(()),
                Err(error) => tracing::warn!(%error, "a sink's work will be tried again"),
            }
            machine.sleep(pause).await;
            pause *= 2;
        }
        work().await
    })
}
