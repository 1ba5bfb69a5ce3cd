//! Running a job: one coordinator, some workers, and a handle to the whole.

use std::{
    future::pending,
    path::PathBuf,
    pin::pin,
    sync::atomic::{AtomicU64, Ordering},
    time::Duration,
};

use floodmark_coordinator::{CoordinatorOptions, JobStatus, Recovery, Request};
use floodmark_host::{HostOptions, machine};
use floodmark_model::LocalCopies;
use floodmark_platform::{Address, BoxFuture, Listener, Machine, TaskHandle};
use floodmark_worker::WorkerOptions;
use futures_util::future::{Either, select};
use tokio::sync::{mpsc, watch};

use crate::{Error, Job};

/// Coordinates `job` on this node: takes a term, waits on `port` for workers with enough slots, and
/// runs the job until it is finished, has failed, or another coordinator has taken over.
///
/// [`Environment::execute`](crate::Environment::execute) does this and starts a worker, in one
/// process; this function is for clusters of several, real or simulated.
///
/// # Examples
///
/// ```
/// use floodmark::{Environment, Error, coordinator, platform::Machine};
///
/// /// Coordinates the job on a machine, real or simulated.
/// async fn coordinate(machine: Machine) -> Result<(), Error> {
///     let env = Environment::new();
///     env.from_vec("numbers", vec![1, 2, 3]).print();
///     let job = env.build("numbers")?;
///     coordinator(machine, &job, 7_100).await
/// }
/// ```
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
    coordinator_until(machine, job, port, pending()).await.map(drop)
}

/// As [`coordinator`], and once `stop` completes, stops the job with a last checkpoint, so that
/// everything it has processed is committed. When that takes longer than the time that `stop` yields,
/// or fails, the job stops at its newest completed checkpoint. Returns how the job ended.
///
/// # Examples
///
/// ```
/// use floodmark::{Error, Job, JobStatus, coordinator_until, platform::Machine};
/// use std::time::Duration;
///
/// /// Stops the job after an hour, and gives it ten seconds for its last checkpoint.
/// async fn for_an_hour(machine: Machine, job: &Job) -> Result<JobStatus, Error> {
///     let clock = machine.clone();
///     let hour = async move {
///         let end = clock.clock().now() + Duration::from_secs(3_600);
///         clock.clock().sleep_until(end).await;
///         Duration::from_secs(10)
///     };
///     coordinator_until(machine, job, 7_100, hour).await
/// }
/// ```
///
/// # Errors
///
/// As [`coordinator`].
///
/// # Cancel safety
///
/// As [`coordinator`].
pub async fn coordinator_until(
    machine: Machine,
    job: &Job,
    port: u16,
    stop: impl Future<Output = Duration> + Send,
) -> Result<JobStatus, Error> {
    let listener = listen(&machine, port).await?;
    let (requests, request_receiver) = mpsc::channel(1);
    let coordinate = coordinate(machine, listener, job, request_receiver);
    let stop = async {
        let within = stop.await;
        // A job that has ended hears nothing more.
        let _ = requests.send(Request::Stop { within }).await;
        pending::<()>().await;
    };
    match select(pin!(coordinate), pin!(stop)).await {
        Either::Left((ended, _)) => ended,
        Either::Right(((), _)) => unreachable!("the other side never completes"),
    }
}

/// Works for `job` on this node: registers with a coordinator and runs the subtasks it is given. When
/// the coordinator is lost, `coordinators` are tried in turn. Ends when one of them says that the job
/// is over.
///
/// # Examples
///
/// ```
/// use floodmark::{Error, Job, platform::{Address, Machine}, worker};
///
/// /// Works with four slots for the coordinator at this address.
/// async fn work(machine: Machine, job: &Job) -> Result<(), Error> {
///     worker(machine, job, &[Address("10.0.0.1:7100".to_owned())], 4).await
/// }
/// ```
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
    work(machine, job, Place { coordinators, slot_count, data_port: 0 }, Box::pin(pending())).await
}

/// Where a worker belongs, and what it offers.
pub(crate) struct Place<'a> {
    pub(crate) coordinators: &'a [Address],
    pub(crate) slot_count: u32,
    pub(crate) data_port: u16,
}

/// Works until the job is over, or until `leave` completes.
pub(crate) async fn work(
    machine: Machine,
    job: &Job,
    Place { coordinators, slot_count, data_port }: Place<'_>,
    leave: BoxFuture<()>,
) -> Result<(), Error> {
    let options = WorkerOptions {
        coordinators: coordinators.to_vec(),
        slot_count,
        data_port,
        cluster: job.options().cluster.clone(),
        has_checkpoints: job.options().checkpoints.is_some(),
        storage: job.options().storage.clone(),
        local_copies: job
            .options()
            .checkpoints
            .as_ref()
            .map_or(LocalCopies::None, |checkpoints| checkpoints.local_copies),
        state_size_max: job
            .options()
            .checkpoints
            .as_ref()
            .and_then(|checkpoints| checkpoints.state_size_max),
    };
    let run = floodmark_worker::run(machine, job.program(), options, leave);
    run.await
        .map_err(|floodmark_worker::Error::Listen { port, source }| Error::Listen { port, source })
}

pub(crate) async fn listen(machine: &Machine, port: u16) -> Result<Box<dyn Listener>, Error> {
    let listening = machine.network().listen(port).await;
    listening.map_err(|source| Error::Listen { port, source })
}

/// Coordinates a job that nobody watches, and returns how it ended.
pub(crate) async fn coordinate(
    machine: Machine,
    listener: Box<dyn Listener>,
    job: &Job,
    requests: mpsc::Receiver<Request>,
) -> Result<JobStatus, Error> {
    let (status_sender, status) = watch::channel(JobStatus::default());
    coordinate_watched(machine, listener, job, requests, status_sender).await?;
    let ended = status.borrow().clone();
    Ok(ended)
}

async fn coordinate_watched(
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
///
/// # Examples
///
/// ```
/// use floodmark::{Environment, JobStatus};
///
/// # #[tokio::main]
/// # async fn main() -> Result<(), floodmark::Error> {
/// let env = Environment::new();
/// let numbers = env.from_vec("numbers", vec![1, 2, 3]).collect("numbers-seen");
/// let job = env.execute("numbers").await?;
/// assert_ne!(job.status(), JobStatus::Cancelled);
/// job.wait().await?;
/// assert_eq!(numbers.values(), [1, 2, 3]);
/// # Ok(())
/// # }
/// ```
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
            // A worker that was told that the job is over has nothing to add.
            match Pin::new(&mut *worker).poll(cx) {
                Poll::Ready(Ok(Ok(()))) | Poll::Pending => Poll::Pending,
                failed => failed,
            }
        });
        ended.await.unwrap_or_else(|error| Err(Error::Cluster(error.to_string())))
    }

    /// Stops the job with a last checkpoint, so that everything it has processed is committed, and
    /// waits until it has stopped. Started again, it goes on from there. When that takes longer than
    /// `within`, or fails, it stops at its newest completed checkpoint.
    ///
    /// # Errors
    ///
    /// When the job failed before it could be stopped.
    #[doc(alias = "stopWithSavepoint")]
    pub async fn stop(self, within: Duration) -> Result<(), Error> {
        // A job that has ended hears nothing more.
        let _ = self.requests.send(Request::Stop { within }).await;
        self.wait().await
    }

    /// Ends the job at whatever it is, and waits until it has ended. Its checkpoints stay.
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
pub(crate) async fn check_storage(machine: &Machine, job: &Job) -> Result<(), Error> {
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
        machine(HostOptions {
            root: PathBuf::from("."),
            disk,
            bind: None,
            advertised: None,
            secret: None,
            store_size_max: None,
        })
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
        let (job, requests) = (for_coordinator, request_receiver);
        coordinate_watched(on_coordinator, listener, &job, requests, status_sender).await
    });
    let worker = worker_node.spawn("worker", async move {
        worker(on_worker, &for_worker, &[address], slot_count).await
    });
    Ok(JobHandle { status, requests, coordinator, worker, directory })
}
