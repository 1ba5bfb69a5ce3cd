//! The life of a coordinator: it takes a term and rules until the end.

use std::{error, pin::pin};

use floodmark_model::{CheckpointId, JobGraph, RuntimeEvent, Term};
use floodmark_platform::{Listener, Machine, planted};
use futures_util::future::{Either, select};
use tokio::sync::{mpsc, watch};

use crate::{
    CoordinatorOptions, Error, JobStatus, Request,
    coordinator::Coordinator,
    driver::{Driver, Requests},
    leadership::{self, Candidate, Reign},
    log::JobLog,
};

/// Rules a job until it is finished, cancelled or failed, or until another coordinator rules.
/// Workers register at `listener`.
///
/// `status` shows how the job is doing. It stays as it was when the coordinator is fenced: then the
/// job goes on under another one.
///
/// # Errors
///
/// An [`enum@Error`] whose `recovery` says what to do.
///
/// # Cancel safety
///
/// Dropping the future is a crash: the next coordinator takes over from the log.
pub async fn run(
    machine: Machine,
    listener: Box<dyn Listener>,
    options: CoordinatorOptions,
    requests: mpsc::Receiver<Request>,
    status: watch::Sender<JobStatus>,
) -> Result<(), Error> {
    let result = rule(machine, listener, options, Requests::new(requests), &status).await;
    let (last, result) = match result {
        Ok(last) => (last, Ok(())),
        Err(error @ Error::Fenced { .. }) => {
            tracing::warn!(%error, "the coordinator steps down");
            return Err(error);
        }
        Err(error) => (JobStatus::Failed { reason: reason_of(&error) }, Err(error)),
    };
    tracing::info!(status = ?last, "the job is over");
    status.send_replace(last);
    result
}

/// Rules the job and returns how it ended.
async fn rule(
    machine: Machine,
    listener: Box<dyn Listener>,
    options: CoordinatorOptions,
    mut requests: Requests,
    status: &watch::Sender<JobStatus>,
) -> Result<JobStatus, Error> {
    let log = JobLog::new(machine, options.storage.clone(), options.job.name.clone());
    let accession = accede(&log, options);
    let coordinator = match select(pin!(requests.next()), pin!(accession)).await {
        Either::Left((Request::Cancel, _)) => return Ok(JobStatus::Cancelled),
        // It has no term yet, so it knows of no checkpoint, and has nobody to tell.
        Either::Left((Request::Stop { .. }, _)) => {
            return Ok(JobStatus::Stopped { checkpoint: None });
        }
        Either::Right((coordinator, _)) => coordinator?,
    };
    status.send_replace(JobStatus::WaitingForWorkers);
    Driver::new(log, coordinator, listener).serve(&mut requests, status).await
}

/// Takes a term and returns the decisions of its reign.
async fn accede(log: &JobLog, options: CoordinatorOptions) -> Result<Coordinator, Error> {
    let machine = log.machine();
    let Some(config) = options.checkpoints.clone() else {
        // Without checkpoints nothing outlives the coordinator, so there is nothing to fence.
        announce(machine, Term(1));
        return Ok(Coordinator::new(machine.now(), options));
    };
    let reign = take_term(log).await?;
    announce(machine, reign.term);
    for slot in &reign.unreadable {
        let (term, slot) = (reign.term, *slot);
        tracing::warn!(key = %log.key(slot), "an older entry of the log cannot be read");
        machine.observe(|| RuntimeEvent::LogEntryUnreadable { term, slot });
    }
    if let Some((slot, manifest)) = reign.manifests.last_key_value()
        && let Some(difference) = difference(&manifest.job, &options.job)
    {
        return Err(Error::JobChanged { key: log.key(*slot), difference });
    }
    let mut next = CheckpointId::first_of(reign.term);
    if planted!(EpochRestarts) {
        let newest = reign.manifests.values().next_back();
        let newest = newest.map_or(CheckpointId::default(), |manifest| manifest.checkpoint);
        next = newest.next();
    }
    Ok(Coordinator::ruling(machine.now(), options, config, reign, next))
}

fn announce(machine: &Machine, term: Term) {
    tracing::info!(%term, "the coordinator rules");
    machine.observe(|| RuntimeEvent::TermTaken { term });
}

/// Performs what a candidate decides.
async fn take_term(log: &JobLog) -> Result<Reign, Error> {
    let mut candidate = Candidate::new(log.machine().entropy().choose("reign_claim", 0));
    let mut command = leadership::Command::List;
    loop {
        let event = match command {
            leadership::Command::List => leadership::Event::Listed(log.slots().await),
            leadership::Command::Read(slot) => leadership::Event::Found(log.read(slot).await),
            leadership::Command::Append { slot, entry } => {
                leadership::Event::Appended(log.append(slot, &entry).await)
            }
            leadership::Command::Rule(reign) => return Ok(reign),
            leadership::Command::Refuse { slot, error } => {
                return Err(Error::LogUnreadable { key: log.key(slot), source: error });
            }
        };
        command = candidate.on_event(event);
    }
}

/// Returns the first difference between the job graph in the log and the one to be run, in words.
fn difference(stored: &JobGraph, given: &JobGraph) -> Option<String> {
    if stored == given {
        return None;
    }
    if stored.key_group_count != given.key_group_count {
        let (was, is) = (stored.key_group_count, given.key_group_count);
        return Some(format!("it has {was} key groups, the job has {is}"));
    }
    if stored.vertices.len() != given.vertices.len() {
        let (was, is) = (stored.vertices.len(), given.vertices.len());
        return Some(format!("it has {was} vertices, the job has {is}"));
    }
    let mut vertices = stored.vertices.iter().zip(&given.vertices);
    if let Some((was, is)) = vertices.find(|(was, is)| was != is) {
        return Some(format!("its {} is {was:?}, that of the job is {is:?}", was.id));
    }
    Some("its edges are different".to_owned())
}

/// Returns the words of an error and of its sources.
fn reason_of(error: &Error) -> String {
    if let Error::JobFailed { reason } = error {
        return reason.clone();
    }
    let mut reason = error.to_string();
    let mut source = error::Error::source(error);
    while let Some(cause) = source {
        reason.push_str(&format!(": {cause}"));
        source = cause.source();
    }
    reason
}
