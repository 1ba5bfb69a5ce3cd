//! Running a job: one coordinator, some workers, and a handle to the whole.

use std::{
    path::PathBuf,
    sync::atomic::{AtomicU64, Ordering},
};

use floodmark_coordinator::{CoordinatorOptions, JobStatus, Recovery, Request};
use floodmark_host::{HostOptions, machine};
use floodmark_model::LocalCopies;
use floodmark_platform::{Address, Listener, Machine, TaskHandle};
use floodmark_worker::WorkerOptions;
use tokio::sync::{mpsc, watch};

use crate::{Error, Job};

/// Coordinates `job` on this node: takes a term, waits on `port` for workers with enough slots, and
/// runs the job until it is finished, has failed, or another coordinator has taken over.
///
/// [`Environment::execute`](crate::Environment::execute) does this and starts a worker, in one
/// process; this function is for clusters of several, real or simulated.
///
/// # Errors
///
/// When the port cannot be used, the log of the job cannot be read, or the job failed.
///
/// # Cancel safety
///
/// Dropping the future is a crash of the coordinator: the next one goes on from the last completed
/// checkpoint.
#[doc(alias = "JobManager")]
pub async fn coordinator(machine: Machine, job: &Job, port: u16) -> Result<(), Error> {
    let listener = listen(&machine, port).await?;
    // Nobody asks for anything: the request channel is closed.
    let (_, requests) = mpsc::channel(1);
    let (status, _) = watch::channel(JobStatus::default());
    coordinate(machine, listener, job, requests, status).await
}

/// Works for `job` on this node: registers with a coordinator and runs the subtasks it is given. When
/// the coordinator is lost, `coordinators` are tried in turn. Never ends by itself.
///
/// # Errors
///
/// When no data connections can be accepted.
///
/// # Cancel safety
///
/// Dropping the future is a crash of the worker.
#[doc(alias = "TaskManager")]
pub async fn worker(
    machine: Machine,
    job: &Job,
    coordinators: &[Address],
    slot_count: u32,
) -> Result<(), Error> {
    let options = WorkerOptions {
        coordinators: coordinators.to_vec(),
        slot_count,
        data_port: 0,
        cluster: job.options().cluster.clone(),
        has_checkpoints: job.options().checkpoints.is_some(),
        storage: job.options().storage.clone(),
        local_copies: job
            .options()
            .checkpoints
            .as_ref()
            .map_or(LocalCopies::None, |checkpoints| checkpoints.local_copies),
    };
    let run = floodmark_worker::run(machine, job.program(), options);
    run.await.map_err(|error| Error::Cluster(words(&error)))
}

async fn listen(machine: &Machine, port: u16) -> Result<Box<dyn Listener>, Error> {
    let listening = machine.network().listen(port).await;
    listening.map_err(|source| Error::Listen { port, source })
}

async fn coordinate(
    machine: Machine,
    listener: Box<dyn Listener>,
    job: &Job,
    requests: mpsc::Receiver<Request>,
    status: watch::Sender<JobStatus>,
) -> Result<(), Error> {
    let options = CoordinatorOptions {
        job: job.graph().clone(),
        cluster: job.options().cluster.clone(),
        checkpoints: job.options().checkpoints.clone(),
        restart: job.options().restart,
        storage: job.options().storage.clone(),
    };
    let run = floodmark_coordinator::run(machine, listener, options, requests, status);
    run.await.map_err(|error| {
        if let floodmark_coordinator::Error::JobFailed { reason } = error {
            return Error::JobFailed { reason };
        }
        match error.recovery() {
            Recovery::StepDown => Error::Fenced(words(&error)),
            Recovery::Correct => Error::JobFailed { reason: words(&error) },
            Recovery::Restart => Error::Cluster(words(&error)),
        }
    })
}

/// Returns the words of an error and of what caused it.
fn words(error: &dyn std::error::Error) -> String {
    let mut words = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        words = format!("{words}: {error}");
        cause = error.source();
    }
    words
}

/// A job that runs on threads of this process. Dropping the handle stops the job where it is; it
/// goes on from its last completed checkpoint when it is started again.
#[doc(alias = "JobClient")]
pub struct JobHandle {
    status: watch::Receiver<JobStatus>,
    requests: mpsc::Sender<Request>,
    coordinator: TaskHandle<Result<(), Error>>,
    worker: TaskHandle<Result<(), Error>>,
    directory: PathBuf,
}

impl JobHandle {
    /// Returns how the job is doing.
    pub fn status(&self) -> JobStatus {
        self.status.borrow().clone()
    }

    /// Waits until the job has ended.
    ///
    /// # Errors
    ///
    /// When the job failed for good.
    pub async fn wait(mut self) -> Result<(), Error> {
        let coordinator = &mut self.coordinator;
        let worker = &mut self.worker;
        let ended = std::future::poll_fn(|cx| {
            use std::{pin::Pin, task::Poll};
            if let Poll::Ready(ended) = Pin::new(&mut *coordinator).poll(cx) {
                return Poll::Ready(ended);
            }
            // A worker ends only when it cannot work.
            Pin::new(&mut *worker).poll(cx)
        });
        ended.await.unwrap_or_else(|error| Err(Error::Cluster(error.to_string())))
    }

    /// Stops the job, and waits until it has stopped. Its checkpoints stay.
    ///
    /// # Errors
    ///
    /// When the job failed before it could be stopped.
    pub async fn cancel(self) -> Result<(), Error> {
        // A job that has ended hears nothing more.
        let _ = self.requests.send(Request::Cancel).await;
        self.wait().await
    }
}

impl Drop for JobHandle {
    fn drop(&mut self) {
        // The directory is this handle's alone. What stays behind is a few empty directories.
        let _ = std::fs::remove_dir_all(&self.directory);
    }
}

/// Returns whether checkpoints can be stored at all. Later on an outage may pass, so a coordinator
/// waits for its end; before the start it is a mistake, and better told at once.
async fn check_storage(machine: &Machine, job: &Job) -> Result<(), Error> {
    if job.options().checkpoints.is_none() {
        return Ok(());
    }
    let key = format!("{}/{}/writable", job.storage(), job.graph().name);
    let probe = async {
        machine.object_store().put(&key, "yes".into()).await?;
        machine.object_store().delete(&key).await
    };
    let storage = job.storage().to_owned();
    probe.await.map_err(|source| Error::Storage { storage, source })
}

/// Starts a coordinator and a worker in this process.
pub(crate) async fn execute(job: Job) -> Result<JobHandle, Error> {
    static COUNT: AtomicU64 = AtomicU64::new(0);
    let count = COUNT.fetch_add(1, Ordering::Relaxed);
    let directory = std::env::temp_dir().join(format!("floodmark-{}-{count}", std::process::id()));
    let node = |name: &str| {
        let disk = directory.join(name);
        machine(HostOptions { root: PathBuf::from("."), disk, bind: None, advertised: None })
    };
    let (coordinator_node, worker_node) = (node("coordinator")?, node("worker")?);
    check_storage(&coordinator_node, &job).await?;
    let listener = listen(&coordinator_node, 0).await?;
    let address = listener.address();
    let (requests, request_receiver) = mpsc::channel(1);
    let (status_sender, status) = watch::channel(JobStatus::default());
    let slot_count = u32::from(job.slot_count());
    let (for_coordinator, for_worker) = (job.clone(), job);
    let (on_coordinator, on_worker) = (coordinator_node.clone(), worker_node.clone());
    let coordinator = coordinator_node.spawn("coordinator", async move {
        coordinate(on_coordinator, listener, &for_coordinator, request_receiver, status_sender)
            .await
    });
    let worker = worker_node.spawn("worker", async move {
        worker(on_worker, &for_worker, &[address], slot_count).await
    });
    Ok(JobHandle { status, requests, coordinator, worker, directory })
}
