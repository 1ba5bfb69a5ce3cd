//! The loop that performs what the coordinator decides.
//!
//! The next event goes in, the commands that come out are performed, and nothing is waited for in
//! between. What takes time (the object store) runs beside the loop and comes back as an event.
//! Events go before the deadline, so that whatever arrived in time counts as in time.

use std::{
    collections::BTreeMap,
    future::{pending, poll_fn},
    pin::Pin,
    task::{Context, Poll},
    time::Duration,
};

use floodmark_model::{RuntimeEvent, Term};
use floodmark_platform::{
    BoxFuture, Connection, Listener, Machine, TaskError, TaskHandle, planted,
};
use floodmark_wire::{LogEntry, Manifest};
use tokio::sync::{mpsc, watch};

use crate::{
    Error, JobStatus, Request,
    append::{Appended, Found},
    cleaning::{Cleaned, clean},
    coordinator::{Command, Coordinator, Ending, Event},
    link::{Link, LinkEvent},
    log::JobLog,
    membership::ConnectionId,
    retention::Cleaning,
};

/// Events of links that wait to be handled; a worker that says more is read later.
const QUEUE_LENGTH: usize = 1024;

/// Longest wait for the last cleaning of a finished job.
const CLEANING_TIMEOUT: Duration = Duration::from_secs(10);

/// Pause before the last cleaning of a finished job is repeated.
const CLEANING_PAUSE: Duration = Duration::from_millis(200);

/// After this time nothing of a checkpoint that was given up is under way any more, and a listing
/// shows what has arrived.
const SETTLING_TIME: Duration = Duration::from_secs(2);

/// Longest wait for the last messages to be sent.
const FAREWELL_TIMEOUT: Duration = Duration::from_secs(1);

/// What is asked of the coordinator. Nothing follows when nobody can ask any more.
pub(crate) struct Requests(Option<mpsc::Receiver<Request>>);

/// Performs the decisions of one reign.
pub(crate) struct Driver {
    log: JobLog,
    coordinator: Coordinator,
    listener: Box<dyn Listener>,
    links: BTreeMap<ConnectionId, Link>,
    connection_count: u64,
    events: mpsc::Receiver<(ConnectionId, LinkEvent)>,
    event_sender: mpsc::Sender<(ConnectionId, LinkEvent)>,
    appending: Option<TaskHandle<Appended>>,
    reading: Option<TaskHandle<Found>>,
    cleaning: Option<TaskHandle<Cleaned>>,
    /// What the last cleaning was to do.
    last_cleaning: Option<Cleaning>,
    /// Whether a checkpoint was given up, so that parts of it may still be under way.
    has_given_up: bool,
    /// When the newest checkpoint began, for those who read the log.
    triggered: Duration,
    /// The deadline that is waited for.
    timer: Option<(Duration, BoxFuture<()>)>,
    ending: Option<Ending>,
}

impl Requests {
    /// Creates the stream of what `receiver` receives.
    pub(crate) fn new(receiver: mpsc::Receiver<Request>) -> Self {
        Self(Some(receiver))
    }

    /// Waits for the next request.
    pub(crate) async fn next(&mut self) -> Request {
        if let Some(receiver) = &mut self.0
            && let Some(request) = receiver.recv().await
        {
            return request;
        }
        pending().await
    }

    fn poll_next(&mut self, cx: &mut Context<'_>) -> Poll<Request> {
        let Some(receiver) = &mut self.0 else { return Poll::Pending };
        match receiver.poll_recv(cx) {
            Poll::Ready(Some(request)) => Poll::Ready(request),
            Poll::Ready(None) => {
                self.0 = None;
                Poll::Pending
            }
            Poll::Pending => Poll::Pending,
        }
    }
}

impl Driver {
    /// Creates the driver of `coordinator`, whose workers connect to `listener`.
    pub(crate) fn new(log: JobLog, coordinator: Coordinator, listener: Box<dyn Listener>) -> Self {
        let (event_sender, events) = mpsc::channel(QUEUE_LENGTH);
        Self {
            log,
            coordinator,
            listener,
            links: BTreeMap::new(),
            connection_count: 0,
            events,
            event_sender,
            appending: None,
            reading: None,
            cleaning: None,
            last_cleaning: None,
            has_given_up: false,
            triggered: Duration::ZERO,
            timer: None,
            ending: None,
        }
    }

    /// Runs the loop to the end of the reign, and returns how the job ended.
    pub(crate) async fn serve(
        mut self,
        requests: &mut Requests,
        status: &watch::Sender<JobStatus>,
    ) -> Result<JobStatus, Error> {
        loop {
            let event = poll_fn(|cx| self.poll_event(cx, requests)).await?;
            self.handle(event, status);
            if let Some(ending) = self.ending.take() {
                return self.finish(ending, status).await;
            }
        }
    }

    fn machine(&self) -> &Machine {
        self.log.machine()
    }

    fn handle(&mut self, event: Event, status: &watch::Sender<JobStatus>) {
        let now = self.machine().now();
        for command in self.coordinator.on_event(now, event) {
            self.perform(command, status);
        }
    }

    fn poll_event(
        &mut self,
        cx: &mut Context<'_>,
        requests: &mut Requests,
    ) -> Poll<Result<Event, Error>> {
        if let Poll::Ready(request) = requests.poll_next(cx) {
            return Poll::Ready(Ok(match request {
                Request::Cancel => Event::Cancel,
                Request::Stop { within } => Event::Stop { within },
            }));
        }
        if let Poll::Ready(result) = self.poll_background(cx) {
            return Poll::Ready(result);
        }
        if let Poll::Ready(accepted) = self.listener.poll_accept(cx) {
            let accepted = accepted.map_err(|source| Error::Accept { source });
            return Poll::Ready(accepted.map(|connection| self.open(connection)));
        }
        if let Poll::Ready(Some((connection, event))) = self.events.poll_recv(cx) {
            return Poll::Ready(Ok(match event {
                LinkEvent::Message(message) => Event::Message(connection, message),
                LinkEvent::Lost => {
                    self.links.remove(&connection);
                    Event::Disconnected(connection)
                }
            }));
        }
        self.poll_timer(cx).map(|()| Ok(Event::Time))
    }

    fn poll_background(&mut self, cx: &mut Context<'_>) -> Poll<Result<Event, Error>> {
        if let Poll::Ready(result) = poll_task(cx, &mut self.appending) {
            return Poll::Ready(returned("manifest", result).map(Event::Appended));
        }
        if let Poll::Ready(result) = poll_task(cx, &mut self.reading) {
            return Poll::Ready(returned("log-reader", result).map(Event::Found));
        }
        if let Poll::Ready(result) = poll_task(cx, &mut self.cleaning) {
            let result = returned("cleaning", result);
            return Poll::Ready(result.map(|cleaned| Event::Cleaned(cleaned.slots)));
        }
        Poll::Pending
    }

    fn poll_timer(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        let deadline = self.coordinator.deadline();
        if self.timer.as_ref().is_none_or(|(at, _)| *at != deadline) {
            self.timer = Some((deadline, self.machine().clock().sleep_until(deadline)));
        }
        let (_, sleep) = self.timer.as_mut().expect("a deadline is waited for");
        let result = sleep.as_mut().poll(cx);
        if result.is_ready() {
            self.timer = None;
        }
        result
    }

    fn open(&mut self, connection: Connection) -> Event {
        self.connection_count += 1;
        let id = ConnectionId(self.connection_count);
        let link = Link::new(self.machine(), id, connection, self.event_sender.clone());
        self.links.insert(id, link);
        Event::Connected(id)
    }

    fn perform(&mut self, command: Command, status: &watch::Sender<JobStatus>) {
        match command {
            Command::Send(connection, message) => {
                if let Some(link) = self.links.get(&connection) {
                    link.send(message);
                }
            }
            Command::Close(connection) => drop(self.links.remove(&connection)),
            Command::Append { slot, manifest } => {
                assert!(self.appending.is_none(), "one manifest is stored at a time");
                let task = store(self.log.clone(), slot, manifest, self.triggered);
                self.appending = Some(self.machine().spawn("manifest", task));
            }
            Command::Read(slot) => {
                assert!(self.reading.is_none(), "one slot is read at a time");
                let log = self.log.clone();
                let task = async move { log.read(slot).await };
                self.reading = Some(self.machine().spawn("log-reader", task));
            }
            Command::Clean(cleaning) => self.clean(cleaning),
            Command::Observe(event) => {
                self.has_given_up |= matches!(event, RuntimeEvent::CheckpointAborted { .. });
                if matches!(event, RuntimeEvent::CheckpointTriggered { .. }) {
                    self.triggered = self.machine().now();
                }
                tell(&event, self.machine().now().saturating_sub(self.triggered));
                self.machine().observe(|| event);
            }
            Command::Report(current) => drop(status.send_replace(current)),
            Command::End(ending) => self.ending = Some(ending),
        }
    }

    fn clean(&mut self, cleaning: Cleaning) {
        assert!(self.cleaning.is_none(), "one cleaning is under way");
        self.last_cleaning = Some(cleaning.clone());
        let task = clean(self.log.clone(), cleaning);
        self.cleaning = Some(self.machine().spawn("cleaning", task));
    }

    /// Says farewell to the workers and returns how the job ended.
    async fn finish(
        mut self,
        ending: Ending,
        status: &watch::Sender<JobStatus>,
    ) -> Result<JobStatus, Error> {
        let machine = self.machine().clone();
        if matches!(ending, Ending::Fenced { .. }) {
            // Not another write: the successor may be waiting for nothing else.
            return self.result_of(ending);
        }
        let links = std::mem::take(&mut self.links);
        let farewell = async {
            for link in links.into_values() {
                link.drain().await;
            }
        };
        // A worker that cannot be reached finds out by itself.
        let _ = machine.timeout(FAREWELL_TIMEOUT, farewell).await;
        if ending == Ending::Finished {
            // What is left after that is deleted by the next coordinator of this job.
            let _ = machine.timeout(CLEANING_TIMEOUT, self.clean_up(status)).await;
        }
        self.result_of(ending)
    }

    /// Waits for the cleaning that is under way, and for the one that is due after it. No other
    /// follows that would make good what fails, or find what came late, so the last one is repeated.
    async fn clean_up(&mut self, status: &watch::Sender<JobStatus>) {
        while let Some(cleaning) = self.cleaning.take() {
            let Ok(cleaned) = cleaning.await else { return };
            self.handle(Event::Cleaned(cleaned.slots), status);
        }
        let Some(cleaning) = self.last_cleaning.take() else { return };
        clean_all(&self.log, &cleaning).await;
        let is_smooth = !self.has_given_up && self.coordinator.term() == Term(1);
        if !is_smooth && !planted!(LooksOnceForGarbage) {
            self.machine().clone().sleep(SETTLING_TIME).await;
            clean_all(&self.log, &cleaning).await;
        }
    }

    fn result_of(&self, ending: Ending) -> Result<JobStatus, Error> {
        match ending {
            Ending::Finished => Ok(JobStatus::Finished),
            Ending::Cancelled => Ok(JobStatus::Cancelled),
            Ending::Stopped { checkpoint } => Ok(JobStatus::Stopped { checkpoint }),
            Ending::Failed { reason } => Err(Error::JobFailed { reason }),
            Ending::Fenced { current } => {
                Err(Error::Fenced { held: self.coordinator.term(), current })
            }
            Ending::Unreadable { slot, error } => {
                Err(Error::LogUnreadable { key: self.log.key(slot), source: error })
            }
            Ending::Vanished { slot } => Err(Error::LogTampered { key: self.log.key(slot) }),
        }
    }
}

/// Cleans until nothing fails.
async fn clean_all(log: &JobLog, cleaning: &Cleaning) {
    while clean(log.clone(), cleaning.clone()).await.has_failed {
        log.machine().sleep(CLEANING_PAUSE).await;
    }
}

/// Stores a manifest: the commit point of its checkpoint, which began at `triggered`.
async fn store(log: JobLog, slot: u64, manifest: Manifest, triggered: Duration) -> Appended {
    let entry = LogEntry::Manifest(manifest);
    let appended = log.append(slot, &entry).await;
    if appended == Appended::Stored
        && let LogEntry::Manifest(manifest) = entry
    {
        let Manifest { term, attempt, checkpoint, snapshots, .. } = manifest;
        let files = || snapshots.iter().flat_map(|(_, files)| files);
        let size_bytes: u64 = files().map(|file| file.size_bytes).sum();
        let took = log.machine().now().saturating_sub(triggered);
        tracing::info!(%checkpoint, size_bytes, ?took, "a checkpoint is complete");
        log.machine().observe(|| {
            let files = snapshots
                .iter()
                .flat_map(|(subtask, files)| files.iter().map(|file| (*subtask, file.digest())));
            RuntimeEvent::ManifestStored { term, attempt, checkpoint, files: files.collect() }
        });
    }
    appended
}

fn poll_task<T>(
    cx: &mut Context<'_>,
    slot: &mut Option<TaskHandle<T>>,
) -> Poll<Result<T, TaskError>> {
    let Some(task) = slot else { return Poll::Pending };
    let result = Pin::new(task).poll(cx);
    if result.is_ready() {
        *slot = None;
    }
    result
}

fn returned<T>(task: &'static str, result: Result<T, TaskError>) -> Result<T, Error> {
    result.map_err(|source| Error::Background { task, source })
}

/// Writes to the log of the process what its operators want to know. The newest checkpoint began that
/// long ago.
#[expect(clippy::wildcard_enum_match_arm, reason = "most events are for checks, not for people")]
fn tell(event: &RuntimeEvent, took: Duration) {
    match event {
        RuntimeEvent::WorkerRegistered { worker } => tracing::info!(%worker, "a worker registered"),
        RuntimeEvent::WorkerLost { worker } => tracing::warn!(%worker, "a worker is lost"),
        RuntimeEvent::WorkerLeft { worker } => tracing::info!(%worker, "a worker has left"),
        RuntimeEvent::AttemptStarted { attempt, restored } => {
            tracing::info!(%attempt, ?restored, "an attempt begins");
        }
        RuntimeEvent::AttemptRunning { attempt } => tracing::info!(%attempt, "all subtasks run"),
        RuntimeEvent::AttemptFailed { attempt, reason } => {
            tracing::warn!(%attempt, %reason, "the attempt failed");
        }
        RuntimeEvent::CheckpointAborted { checkpoint, reason, .. } => {
            tracing::warn!(%checkpoint, %reason, ?took, "a checkpoint is aborted");
        }
        RuntimeEvent::JobStopped { checkpoint } => {
            tracing::info!(?checkpoint, "the job stops, to go on from this checkpoint");
        }
        RuntimeEvent::SteppedDown { held, current } => {
            tracing::warn!(%held, %current, "another coordinator rules");
        }
        _ => {}
    }
}
