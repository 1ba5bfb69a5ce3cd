//! The life of a process of a cluster: it plays its role until the job is over or a signal comes.

use std::{pin::pin, time::Duration};

use floodmark_coordinator::Request;
use floodmark_host::StopSignals;
use floodmark_platform::Machine;
use futures_util::future::{Either, select};
use tokio::sync::mpsc;

use super::{Process, Role};
use crate::{
    Error, Job,
    cluster::{Place, check_storage, coordinate, listen, work},
};

/// Pause before a coordinator that failed is started again; it doubles with every failure in a row.
const PAUSE_MIN: Duration = Duration::from_millis(250);

/// Longest such pause.
const PAUSE_MAX: Duration = Duration::from_secs(10);

/// Plays the role of `process` for `job`.
pub(crate) async fn run(job: &Job, process: &Process) -> Result<(), Error> {
    let signals = StopSignals::listen()?;
    let (machine, _temporary) = process.machine()?;
    match &process.role {
        Role::Coordinator => {
            check_storage(&machine, job).await?;
            let supervisor = Supervisor { machine, signals, process, request_count: 0 };
            supervisor.run(job).await
        }
        Role::Worker { coordinators, slot_count } => {
            let data_port = process.listen.port();
            let place = Place { coordinators, slot_count: *slot_count, data_port };
            let mut signals = signals;
            work(machine, job, place, Box::pin(async move { signals.next().await })).await
        }
    }
}

/// Starts a coordinator, and again when it ends by a failure that may pass.
struct Supervisor<'a> {
    machine: Machine,
    signals: StopSignals,
    process: &'a Process,
    /// Signals that have come.
    request_count: u32,
}

impl Supervisor<'_> {
    async fn run(mut self, job: &Job) -> Result<(), Error> {
        let mut pause = PAUSE_MIN;
        loop {
            let started = self.machine.now();
            let error = match self.coordinate(job).await {
                Err(error @ Error::Cluster(_)) if self.request_count == 0 => error,
                ended => return ended,
            };
            if PAUSE_MAX < self.machine.now() - started {
                pause = PAUSE_MIN;
            }
            tracing::warn!(%error, ?pause, "the coordinator will be started again");
            let machine = self.machine.clone();
            let waiting = pin!(machine.sleep(pause));
            if let Either::Right(_) = select(waiting, pin!(self.signals.next())).await {
                return Ok(());
            }
            pause = PAUSE_MAX.min(pause * 2);
        }
    }

    /// Coordinates until the end of the reign. The first signal stops the job, the second cancels it.
    async fn coordinate(&mut self, job: &Job) -> Result<(), Error> {
        let listener = listen(&self.machine, self.process.listen.port()).await?;
        tracing::info!(address = %listener.address(), job = job.graph().name, "listening for workers");
        let (requests, receiver) = mpsc::channel(1);
        let mut coordinating = pin!(coordinate(self.machine.clone(), listener, job, receiver));
        loop {
            match select(coordinating.as_mut(), pin!(self.signals.next())).await {
                Either::Left((ended, _)) => return ended.map(drop),
                Either::Right(((), _)) => {
                    self.request_count += 1;
                    let within = self.process.stop_within;
                    let request = match self.request_count {
                        1 => Request::Stop { within },
                        _ => Request::Cancel,
                    };
                    tracing::info!(?request, "a signal asks the job to stop");
                    // Whoever has not heard the last request yet needs no other.
                    let _ = requests.try_send(request);
                }
            }
        }
    }
}
