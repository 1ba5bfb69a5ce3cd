//! The worker's loop: orders in, reports out.

use std::{
    collections::BTreeMap,
    future::poll_fn,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
    time::Duration,
};

use floodmark_dataflow::{Command, News, Program, Report};
use floodmark_model::{
    Attempt, Barrier, ChannelId, CheckpointId, ClusterConfig, ExecutionGraph, LocalCopies,
    RuntimeEvent, SubtaskId, WorkerId,
};
use floodmark_platform::{
    Address, BoxFuture, Connection, Listener, Machine, TaskError, TaskHandle, planted,
};
use floodmark_state::CopyShelf;
use floodmark_wire::{
    Deployment, Handshake, SubtaskReport, SubtaskStatus, ToCoordinator, ToWorker, decode_handshake,
};
use tokio::sync::{mpsc, oneshot};

use crate::{
    Error, Offer, Switchboard,
    deployment::{PlannedInput, PlannedOutput, SubtaskPlan, Want},
    link::{Link, LinkEvent},
};

/// Time in which a new data connection must say what it is.
const HANDSHAKE_TIMEOUT: Duration = Duration::from_secs(10);

/// Where a worker belongs and what it offers.
#[derive(Clone, Debug)]
pub struct WorkerOptions {
    /// Where coordinators listen, tried in turn. At least one.
    pub coordinators: Vec<Address>,
    /// Subtasks of one vertex it can run. At least 1.
    pub slot_count: u32,
    /// Port for data connections; 0 lets the network choose.
    pub data_port: u16,
    /// How it and the coordinator watch each other.
    pub cluster: ClusterConfig,
    /// Whether the job takes checkpoints.
    pub has_checkpoints: bool,
    /// Prefix of the job's objects in the object store.
    pub storage: String,
    /// Which snapshots it keeps on its own disk.
    pub local_copies: LocalCopies,
    /// Most bytes that the state of a subtask may take in a checkpoint.
    pub state_size_max: Option<u64>,
}

/// Longest wait for the farewell to be sent.
const FAREWELL_TIMEOUT: Duration = Duration::from_secs(1);

/// Runs a worker for the job of `program`, until a coordinator says that the job is over, or until
/// `leave` completes: then it says farewell and stops whatever it runs. Dropping the future stops it
/// without a word.
///
/// # Errors
///
/// When the data port cannot be used.
pub async fn run(
    machine: Machine,
    program: Arc<dyn Program>,
    options: WorkerOptions,
    leave: BoxFuture<()>,
) -> Result<(), Error> {
    assert!(0 < options.slot_count);
    assert!(!options.coordinators.is_empty());
    let port = options.data_port;
    let listener = machine.network().listen(port).await;
    let listener = listener.map_err(|source| Error::Listen { port, source })?;
    let data_address = listener.address();
    let (offer_sender, offers) = mpsc::unbounded_channel();
    let (want_sender, wants) = mpsc::unbounded_channel();
    let (report_sender, reports) = mpsc::unbounded_channel();
    let worker = Worker {
        id: WorkerId(machine.entropy().choose("worker_id", 0)),
        link: Link::new(&machine, options.coordinators.clone(), options.cluster.clone()),
        data_address,
        newest: Attempt::default(),
        deployed: Attempt::default(),
        running: BTreeMap::new(),
        is_registered: false,
        is_over: false,
        leave,
        switchboard: Switchboard::new(),
        graph: ExecutionGraph::new(program.graph().clone()),
        copies: match options.local_copies {
            LocalCopies::None => None,
            LocalCopies::Newest => {
                let job = &program.graph().name;
                Some(CopyShelf::new(machine.clone(), &options.storage, job))
            }
        },
        offers,
        wants,
        want_sender,
        reports,
        report_sender,
        tick: machine.clock().sleep_until(machine.now()),
        _acceptor: machine.spawn("data-listener", accept(machine.clone(), listener, offer_sender)),
        machine,
        program,
        options,
    };
    worker.serve().await
}

struct Worker {
    machine: Machine,
    program: Arc<dyn Program>,
    options: WorkerOptions,
    id: WorkerId,
    link: Link,
    data_address: Address,
    /// The newest attempt that was heard of.
    newest: Attempt,
    /// The newest attempt that was deployed here.
    deployed: Attempt,
    /// The subtasks of `newest`.
    running: BTreeMap<SubtaskId, Running>,
    is_registered: bool,
    /// Whether there is nothing left to do here.
    is_over: bool,
    /// Completes when the worker is to leave.
    leave: BoxFuture<()>,
    switchboard: Switchboard<Connection, oneshot::Sender<Connection>>,
    graph: ExecutionGraph,
    /// The copies of snapshots on this worker's disk, if there are to be any.
    copies: Option<CopyShelf>,
    offers: mpsc::UnboundedReceiver<(Handshake, Connection)>,
    wants: mpsc::UnboundedReceiver<Want>,
    want_sender: mpsc::UnboundedSender<Want>,
    reports: mpsc::UnboundedReceiver<Report>,
    report_sender: mpsc::UnboundedSender<Report>,
    tick: BoxFuture<()>,
    _acceptor: TaskHandle<()>,
}

/// A deployed subtask.
struct Running {
    status: SubtaskStatus,
    commands: mpsc::UnboundedSender<Command>,
    /// Absent once the subtask has ended.
    task: Option<TaskHandle<Result<(), floodmark_dataflow::Error>>>,
}

/// What the loop does next.
enum Event {
    Link(LinkEvent),
    Report(Report),
    Ended(SubtaskId, Result<Result<(), floodmark_dataflow::Error>, TaskError>),
    Want(Want),
    Offer(Handshake, Connection),
    Tick,
}

impl Worker {
    async fn serve(mut self) -> Result<(), Error> {
        while !self.is_over {
            let Some(event) = poll_fn(|cx| self.poll_next(cx)).await else {
                return self.say_farewell().await;
            };
            self.on_event(event);
        }
        Ok(())
    }

    /// Tells the coordinator, so that it need not wait for a silence, and then lets go of everything.
    async fn say_farewell(self) -> Result<(), Error> {
        tracing::info!(worker = %self.id, "leaving");
        self.link.send(ToCoordinator::Leave { worker: self.id });
        // Who cannot be reached finds out by itself.
        let _ = self.machine.timeout(FAREWELL_TIMEOUT, self.link.drain()).await;
        Ok(())
    }

    /// Returns what comes next; `None` when the worker is to leave.
    fn poll_next(&mut self, cx: &mut Context<'_>) -> Poll<Option<Event>> {
        if self.leave.as_mut().poll(cx).is_ready() {
            return Poll::Ready(None);
        }
        self.poll_event(cx).map(Some)
    }

    fn poll_event(&mut self, cx: &mut Context<'_>) -> Poll<Event> {
        if let Poll::Ready(Some(event)) = self.link.events.poll_recv(cx) {
            return Poll::Ready(Event::Link(event));
        }
        if let Poll::Ready(Some(report)) = self.reports.poll_recv(cx) {
            return Poll::Ready(Event::Report(report));
        }
        for (subtask, running) in &mut self.running {
            let Some(task) = &mut running.task else { continue };
            if let Poll::Ready(result) = Pin::new(task).poll(cx) {
                running.task = None;
                return Poll::Ready(Event::Ended(*subtask, result));
            }
        }
        if let Poll::Ready(Some(want)) = self.wants.poll_recv(cx) {
            return Poll::Ready(Event::Want(want));
        }
        if let Poll::Ready(Some((handshake, connection))) = self.offers.poll_recv(cx) {
            return Poll::Ready(Event::Offer(handshake, connection));
        }
        self.tick.as_mut().poll(cx).map(|()| Event::Tick)
    }

    fn on_event(&mut self, event: Event) {
        match event {
            Event::Link(LinkEvent::Connected) => self.register(),
            Event::Link(LinkEvent::Lost) => {
                // The coordinator takes our subtasks for lost as well.
                if self.is_registered {
                    tracing::warn!(worker = %self.id, "the coordinator is lost");
                }
                self.is_registered = false;
                if !planted!(ZombieCommits) {
                    self.stop();
                }
            }
            Event::Link(LinkEvent::Message(message)) => self.on_message(message),
            Event::Report(report) => self.on_report(report),
            Event::Ended(subtask, result) => self.on_ended(subtask, result),
            Event::Want(Want { attempt, channel, receiver }) => {
                if let Some((connection, receiver)) =
                    self.switchboard.on_want(attempt, channel, receiver)
                {
                    // A subtask that was cancelled meanwhile no longer waits.
                    drop(receiver.send(connection));
                }
            }
            Event::Offer(handshake, connection) => self.on_offer(handshake, connection),
            Event::Tick => self.on_tick(),
        }
    }

    fn on_tick(&mut self) {
        let next = self.machine.now() + self.options.cluster.heartbeat_interval;
        self.tick = self.machine.clock().sleep_until(next);
        if self.is_registered { self.heartbeat() } else { self.register() }
    }

    fn register(&self) {
        self.link.send(ToCoordinator::Register {
            worker: self.id,
            slot_count: self.options.slot_count,
            data_address: self.data_address.0.clone(),
        });
    }

    /// Reports the state of everything, so that no single message matters.
    fn heartbeat(&self) {
        let subtasks = self.running.iter();
        let report = |(subtask, running): (&SubtaskId, &Running)| SubtaskReport {
            subtask: *subtask,
            status: running.status.clone(),
        };
        self.link.send(ToCoordinator::Heartbeat {
            worker: self.id,
            attempt: self.newest,
            subtasks: subtasks.map(report).collect(),
        });
    }

    fn on_message(&mut self, message: ToWorker) {
        match message {
            ToWorker::Registered { term } => {
                if self.newest.term <= term {
                    if !self.is_registered {
                        tracing::info!(worker = %self.id, %term, "registered");
                    }
                    self.is_registered = true;
                    self.heartbeat();
                } else {
                    self.refuse(Attempt { term, number: 0 });
                }
            }
            ToWorker::Heartbeat { attempt } => self.on_attempt(attempt),
            ToWorker::Deploy(deployment) => self.on_deploy(deployment),
            ToWorker::Trigger { attempt, checkpoint, is_final } => {
                self.command(attempt, Command::Trigger(Barrier { checkpoint, is_final }));
            }
            ToWorker::Abort { attempt, checkpoint } => {
                self.command(attempt, Command::Abort(checkpoint));
            }
            ToWorker::Notify { attempt, checkpoint, is_final } => {
                self.discard_copies(attempt, checkpoint);
                self.command(attempt, Command::Complete(Barrier { checkpoint, is_final }));
            }
            ToWorker::Stop { attempt, checkpoint } => {
                self.command(attempt, Command::Stop(checkpoint));
            }
            ToWorker::Announce { attempt, group, least } => {
                self.command(attempt, Command::Announce { group, least });
            }
            ToWorker::End { term } if self.newest.term <= term => {
                tracing::info!(worker = %self.id, %term, "the job is over");
                self.is_over = true;
            }
            ToWorker::End { term } => self.refuse(Attempt { term, number: 0 }),
            ToWorker::Cancel { attempt } => {
                if self.newest <= attempt {
                    self.on_attempt(attempt);
                    if !planted!(ZombieCommits) {
                        self.stop();
                    }
                } else {
                    self.refuse(attempt);
                }
            }
        }
    }

    /// Learns of an attempt: what belongs to an older one stops.
    fn on_attempt(&mut self, attempt: Attempt) {
        if attempt < self.newest {
            return self.refuse(attempt);
        }
        if self.newest < attempt && !planted!(ZombieCommits) {
            self.stop();
            self.newest = attempt;
            self.switchboard.on_attempt(attempt);
        }
    }

    /// Stops all subtasks, at whatever they are. What they had not committed stays invisible.
    fn stop(&mut self) {
        self.running.clear();
    }

    fn refuse(&self, stale: Attempt) {
        let current = self.newest;
        self.machine.observe(|| RuntimeEvent::StaleRefused { current, stale });
    }

    /// Passes a command on to all subtasks of the attempt it is for.
    fn command(&self, attempt: Attempt, command: Command) {
        if attempt != self.newest && !planted!(ZombieCommits) {
            return self.refuse(attempt);
        }
        for running in self.running.values() {
            // A subtask that has ended hears nothing more.
            let _ = running.commands.send(command.clone());
        }
    }

    fn on_deploy(&mut self, deployment: Deployment) {
        let Deployment { attempt, restored, subtasks, locations } = deployment;
        if attempt < self.newest {
            return self.refuse(attempt);
        }
        if attempt <= self.deployed {
            return;
        }
        self.on_attempt(attempt);
        if planted!(ZombieCommits) {
            self.stop();
            self.newest = attempt;
        }
        self.deployed = attempt;
        let subtask_count = subtasks.len();
        tracing::info!(worker = %self.id, %attempt, ?restored, subtask_count, "deployed");
        self.discard_copies(attempt, restored.unwrap_or_default());
        let locations: BTreeMap<_, _> = locations.into_iter().collect();
        let mut local_inputs = BTreeMap::new();
        let subtasks: Vec<_> = subtasks.into_iter().collect();
        // Outputs first: they make the local inputs.
        let outputs: Vec<_> = subtasks
            .iter()
            .map(|(subtask, _)| self.plan_outputs(*subtask, &locations, &mut local_inputs))
            .collect();
        for ((subtask, files), outputs) in subtasks.into_iter().zip(outputs) {
            let inputs = self.graph.channels_of(subtask).inputs.into_iter();
            let inputs = inputs.map(|channel| {
                let end = local_inputs.remove(&channel);
                (channel, end.map_or(PlannedInput::Expected, PlannedInput::Ready))
            });
            let (commands, command_receiver) = mpsc::unbounded_channel();
            let plan = SubtaskPlan {
                machine: self.machine.clone(),
                program: self.program.clone(),
                attempt,
                subtask,
                restored,
                files,
                inputs: inputs.collect(),
                outputs,
                wants: self.want_sender.clone(),
                commands: command_receiver,
                reports: self.report_sender.clone(),
                has_checkpoints: self.options.has_checkpoints,
                storage: self.options.storage.clone(),
                copies: self.copies.clone(),
                state_size_max: self.options.state_size_max,
                pulse_interval: self.options.cluster.heartbeat_interval,
            };
            let task = Some(self.machine.spawn("subtask", plan.run()));
            let status = SubtaskStatus::Starting;
            self.running.insert(subtask, Running { status, commands, task });
        }
        self.heartbeat();
    }

    /// Deletes the copies that `newest`, a complete checkpoint, makes superfluous. In the background:
    /// nothing waits for it.
    fn discard_copies(&self, attempt: Attempt, newest: CheckpointId) {
        let Some(copies) = self.copies.clone() else { return };
        let discard = async move { copies.discard(attempt, newest).await };
        self.machine.spawn("discard-copies", discard).detach();
    }

    /// Decides how each output channel of `subtask` is reached. Channels inside this worker are made
    /// at once; their receiving ends go to `local_inputs`.
    fn plan_outputs(
        &self,
        subtask: SubtaskId,
        locations: &BTreeMap<SubtaskId, String>,
        local_inputs: &mut BTreeMap<ChannelId, floodmark_dataflow::InputEnd>,
    ) -> Vec<(ChannelId, PlannedOutput)> {
        let outputs = self.graph.channels_of(subtask).outputs.into_iter();
        let plan = outputs.map(|channel| {
            let location = locations.get(&self.graph.receiver_of(channel));
            let location = location.cloned().unwrap_or_default();
            if location == self.data_address.0 {
                let (output, input) = self.program.local_channel(channel.edge);
                local_inputs.insert(channel, input);
                (channel, PlannedOutput::Ready(output))
            } else {
                (channel, PlannedOutput::At(Address(location)))
            }
        });
        plan.collect()
    }

    fn on_report(&mut self, report: Report) {
        let Report { attempt, subtask, news } = report;
        if attempt != self.newest {
            return;
        }
        match news {
            News::Running => self.set_status(subtask, SubtaskStatus::Running),
            News::Exhausted => self.set_status(subtask, SubtaskStatus::Exhausted),
            News::Acknowledged { checkpoint, files } => {
                self.link.send(ToCoordinator::Acknowledge { attempt, checkpoint, subtask, files });
            }
            News::Watermark { group, watermark } => {
                self.link.send(ToCoordinator::Watermark { attempt, subtask, group, watermark });
            }
            News::Declined { checkpoint, reason } => {
                self.link.send(ToCoordinator::Decline { attempt, checkpoint, subtask, reason });
            }
        }
    }

    fn on_ended(
        &mut self,
        subtask: SubtaskId,
        result: Result<Result<(), floodmark_dataflow::Error>, TaskError>,
    ) {
        let status = match result {
            Ok(Ok(())) => SubtaskStatus::Finished,
            Ok(Err(error)) => SubtaskStatus::Failed { reason: error.to_string() },
            Err(error) => SubtaskStatus::Failed { reason: error.to_string() },
        };
        if let SubtaskStatus::Failed { reason } = &status {
            let attempt = self.newest;
            tracing::warn!(worker = %self.id, %attempt, %subtask, %reason, "a subtask has failed");
        }
        self.set_status(subtask, status);
    }

    fn set_status(&mut self, subtask: SubtaskId, status: SubtaskStatus) {
        let Some(running) = self.running.get_mut(&subtask) else { return };
        // The last reports of a subtask may come in after its end.
        if !matches!(running.status, SubtaskStatus::Finished | SubtaskStatus::Failed { .. }) {
            running.status = status;
        }
        self.heartbeat();
    }

    fn on_offer(&mut self, handshake: Handshake, connection: Connection) {
        let Handshake { attempt, channel } = handshake;
        match self.switchboard.on_offer(attempt, channel, connection) {
            // A subtask that was cancelled meanwhile no longer waits.
            Offer::Taken(connection, receiver) => drop(receiver.send(connection)),
            Offer::Kept => {}
            Offer::Stale => self.refuse(attempt),
        }
    }
}

/// Accepts data connections and hears what each one is.
async fn accept(
    machine: Machine,
    mut listener: Box<dyn Listener>,
    offers: mpsc::UnboundedSender<(Handshake, Connection)>,
) {
    while let Ok(mut connection) = listener.accept().await {
        let (clock, offers) = (machine.clone(), offers.clone());
        let greet = async move {
            let first = clock.timeout(HANDSHAKE_TIMEOUT, connection.receiver.receive()).await;
            let Some(Some(Ok(payload))) = first else { return };
            match decode_handshake(&payload) {
                // Nobody listens when the worker is going down.
                Ok(handshake) => drop(offers.send((handshake, connection))),
                Err(error) => tracing::warn!(%error, "a data connection is refused"),
            }
        };
        machine.spawn("greeting", greet).detach();
    }
}
