//! Asynchronous requests: functions of the user that take longer than a call, many at once.
//!
//! Futures are polled by the loop of the subtask, like everything else; there is no second task and no
//! lock. While as many records wait as requests may be under way, the subtask takes no input.
//!
//! # Invariants
//!
//! - A request under way is state: a snapshot holds its record, and a restart makes it again, in the
//!   order of the input and before anything new.
//! - Event time and everything else that is said between records stays between their results. So those
//!   downstream have heard less than the subtask; what they have heard is state, too.
//! - A request that fails for good fails the attempt.

mod options;
mod queue;
mod request;

use std::{
    collections::BTreeSet,
    sync::Arc,
    task::{Context, Poll},
};

use floodmark_model::{Attempt, Batch, Record, RuntimeEvent, SubtaskId, Timestamp};
use floodmark_platform::{BoxFuture, Machine, planted};
use floodmark_state::{Data, Snapshot, freeze_value};
use floodmark_wire::Section;
use futures_util::stream::{FuturesUnordered, StreamExt as _};
use serde::{Deserialize, Serialize};

pub use self::{
    options::{AsyncOptions, AsyncRetryStrategy},
    request::{AsyncCall, AsyncContext},
};
use self::{
    queue::{Mark, Next, Queued, RequestQueue, Taken},
    request::Requests,
};
use crate::{
    BoxError, Error, Load, Split,
    chain::{Emitter, OpenContext, Operator},
};

/// Makes a request for every record, and emits what comes of it with the record's timestamp.
#[doc(alias = "AsyncWaitOperator")]
pub struct AsyncOperator<T, U> {
    uid: String,
    requests: Arc<Requests<T, Vec<U>>>,
    queue: RequestQueue<T, Vec<U>>,
    under_way: FuturesUnordered<BoxFuture<Answer<U>>>,
    /// Why a request has failed for good.
    failure: Option<BoxError>,
    /// The split of the source whose records come, if that is known.
    split: Option<u32>,
    /// The split that those downstream take records to be of.
    told_split: Option<u32>,
    progress: Progress,
    /// Present once the operator is open.
    runner: Option<Runner>,
}

/// The place of a record, and what its request came to.
type Answer<U> = (u64, Result<Vec<U>, BoxError>);

/// What those downstream have heard, as a snapshot keeps it.
#[derive(Clone, Debug, Serialize, Deserialize)]
struct Progress {
    /// The greatest watermark that was passed on.
    watermark: Timestamp,
    /// The splits of the source that have ended, whether those downstream have heard of it or will.
    ended: BTreeSet<u32>,
}

/// Who runs the operator, and where.
struct Runner {
    machine: Machine,
    attempt: Attempt,
    subtask: SubtaskId,
}

impl<T: Data, U: Data> AsyncOperator<T, U> {
    /// Creates the operator `uid`, which calls `call` as `options` say.
    pub fn new(
        uid: String,
        options: AsyncOptions<T, Vec<U>>,
        call: Arc<AsyncCall<T, Vec<U>>>,
    ) -> Self {
        let queue = RequestQueue::new(options.order, options.capacity);
        Self {
            uid,
            requests: Arc::new(Requests { options, call }),
            queue,
            under_way: FuturesUnordered::new(),
            failure: None,
            split: None,
            told_split: None,
            progress: Progress { watermark: Timestamp::MIN, ended: BTreeSet::new() },
            runner: None,
        }
    }

    /// Passes a mark on, behind the results of all records before it.
    fn on_mark(&mut self, mark: Mark, out: &mut Emitter<U>) -> Result<(), Error> {
        if self.queue.is_empty() || planted!(WatermarkOvertakesRequests) {
            return self.pass_on(mark, out);
        }
        self.queue.push_mark(mark);
        Ok(())
    }

    fn pass_on(&mut self, mark: Mark, out: &mut Emitter<U>) -> Result<(), Error> {
        match mark {
            Mark::Watermark(watermark) => {
                out.watermark(watermark)?;
                if self.progress.watermark < watermark {
                    self.progress.watermark = watermark;
                    self.observe(watermark);
                }
                Ok(())
            }
            Mark::Idle => out.idle(),
            Mark::SplitEnded(split) => out.split(Split::Ended(split as usize)),
            Mark::SplitWaiting(split) => out.split(Split::Waiting(split as usize)),
            Mark::SplitBegun(split) => out.split(Split::Begun(split as usize)),
        }
    }

    /// Tells those who watch how far event time has come downstream.
    fn observe(&self, watermark: Timestamp) {
        if let Some(Runner { machine, attempt, subtask }) = &self.runner {
            machine.observe(|| RuntimeEvent::WatermarkReleased {
                attempt: *attempt,
                subtask: *subtask,
                operator: self.uid.clone(),
                watermark,
            });
        }
    }

    /// Emits a result as one of the split that its record came from.
    fn emit(
        &mut self,
        (timestamp, split): (Timestamp, Option<u32>),
        output: Vec<U>,
        out: &mut Emitter<U>,
    ) -> Result<(), Error> {
        if let Some(split) = split.filter(|_| self.told_split != split) {
            self.told_split = Some(split);
            out.split(Split::Reading(split as usize))?;
        }
        output.into_iter().for_each(|value| out.emit(timestamp, value));
        out.pass_on_full()
    }

    fn issue(&mut self) {
        let Some(Runner { machine, .. }) = &self.runner else { return };
        while let Some((place, record)) = self.queue.issue() {
            let request = self.requests.request(machine, record);
            self.under_way.push(Box::pin(async move { (place, request.await) }));
        }
    }

    fn on_answer(&mut self, place: u64, result: Result<Vec<U>, BoxError>) {
        match result {
            Ok(output) => self.queue.on_done(place, output),
            Err(error) if planted!(RequestFailureSwallowed) => {
                tracing::warn!(%error, "a request has failed");
                self.queue.on_done(place, Vec::new());
            }
            Err(error) => self.failure = Some(error),
        }
    }
}

fn split_number(index: usize) -> u32 {
    u32::try_from(index).expect("splits fit into memory")
}

impl<T: Data, U: Data> Operator for AsyncOperator<T, U> {
    type In = T;
    type Out = U;

    const HAS_REQUESTS: bool = true;
    const KEEPS: &'static str = "records whose requests are under way";

    fn open(&mut self, cx: &mut OpenContext<'_>) -> Result<(), Error> {
        self.progress.watermark = cx.watermark;
        if let Some(progress) = cx.restored.take_value(&self.uid, "progress")? {
            self.progress = progress;
        }
        let queued = cx.restored.take_value::<Vec<Queued<T>>>(&self.uid, "requests-under-way")?;
        for queued in queued.into_iter().flatten() {
            match queued {
                Queued::Record(record) => self.queue.push(record),
                Queued::Mark(mark) => self.queue.push_mark(mark),
            }
        }
        let (machine, attempt, subtask) = (cx.machine.clone(), cx.attempt, cx.subtask);
        self.runner = Some(Runner { machine, attempt, subtask });
        if !planted!(RequestsRestoredLate) {
            cx.watermark = self.progress.watermark;
        }
        Ok(())
    }

    fn on_batch(&mut self, batch: Batch<T>, _: &mut Emitter<U>) -> Result<(), Error> {
        let split = self.split;
        for Record { timestamp, value } in batch {
            self.queue.push(Taken { timestamp, split, value });
        }
        Ok(())
    }

    fn on_split(&mut self, split: Split, out: &mut Emitter<U>) -> Result<(), Error> {
        match split {
            Split::Reading(index) => {
                self.split = Some(split_number(index));
                Ok(())
            }
            // A restored source says it again; those downstream know, or will.
            Split::Ended(index) if !self.progress.ended.insert(split_number(index)) => Ok(()),
            Split::Ended(index) => self.on_mark(Mark::SplitEnded(split_number(index)), out),
            Split::Waiting(index) => self.on_mark(Mark::SplitWaiting(split_number(index)), out),
            Split::Begun(index) => self.on_mark(Mark::SplitBegun(split_number(index)), out),
        }
    }

    fn on_watermark(&mut self, watermark: Timestamp, out: &mut Emitter<U>) -> Result<(), Error> {
        self.on_mark(Mark::Watermark(watermark), out)
    }

    fn on_idle(&mut self, out: &mut Emitter<U>) -> Result<(), Error> {
        self.on_mark(Mark::Idle, out)
    }

    fn freeze(&mut self, snapshot: &mut Snapshot) {
        snapshot.add(freeze_value(&self.uid, "progress", self.progress.clone()));
        let queued = if planted!(RequestsNotInSnapshot) { Vec::new() } else { self.queue.queued() };
        let is_record = |queued: &&Queued<T>| matches!(queued, Queued::Record(_));
        let entry_count = queued.iter().filter(is_record).count() as u64;
        let section = freeze_value(&self.uid, "requests-under-way", queued);
        snapshot.add(Box::new(move || Section { entry_count, ..section() }));
    }

    fn load(&self) -> Load {
        self.queue.load()
    }

    fn poll_requests(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        while self.failure.is_none() {
            self.issue();
            match self.under_way.poll_next_unpin(cx) {
                Poll::Ready(Some((place, result))) => self.on_answer(place, result),
                Poll::Ready(None) | Poll::Pending => break,
            }
        }
        if self.failure.is_some() || self.queue.is_ready() {
            Poll::Ready(())
        } else {
            Poll::Pending
        }
    }

    fn on_results(&mut self, out: &mut Emitter<U>) -> Result<(), Error> {
        if let Some(source) = self.failure.take() {
            return Err(Error::Operator { operator: self.uid.clone(), source });
        }
        while let Some(next) = self.queue.pop() {
            match next {
                Next::Result { timestamp, split, output } => {
                    self.emit((timestamp, split), output, out)?;
                }
                Next::Mark(mark) => self.pass_on(mark, out)?,
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests;
