//! The connection to the coordinator: opened, watched, and opened again for ever.

use std::{collections::BTreeSet, time::Duration};

use floodmark_model::ClusterConfig;
use floodmark_platform::{Address, Connection, Frame, FrameKind, Machine, TaskHandle};
use floodmark_wire::{ToCoordinator, ToWorker, decode_to_worker};
use tokio::sync::mpsc;

/// Messages that wait to be sent; more are dropped, as a network might do.
const QUEUE_LENGTH: usize = 256;

/// Pause before a lost connection is opened again.
const RECONNECT_PAUSE: Duration = Duration::from_millis(100);

/// What the link tells the worker.
#[derive(Debug)]
pub(crate) enum LinkEvent {
    /// A new connection stands: register.
    Connected,
    /// The coordinator said something.
    Message(ToWorker),
    /// The connection is gone, or the coordinator has been silent for too long.
    Lost,
}

/// The worker's end of the link.
pub(crate) struct Link {
    messages: mpsc::Sender<ToCoordinator>,
    pub(crate) events: mpsc::UnboundedReceiver<LinkEvent>,
    _task: TaskHandle<()>,
}

impl Link {
    /// Starts to look for a coordinator at `addresses`, one after the other.
    pub(crate) fn new(machine: &Machine, addresses: Vec<Address>, cluster: ClusterConfig) -> Self {
        let (messages, queue) = mpsc::channel(QUEUE_LENGTH);
        let (event_sender, events) = mpsc::unbounded_channel();
        let keeper = Keeper {
            machine: machine.clone(),
            addresses,
            next: 0,
            told: BTreeSet::new(),
            cluster,
            queue,
            events: event_sender,
        };
        Self { messages, events, _task: machine.spawn("coordinator-link", keeper.run()) }
    }

    /// Sends a message, or loses it: whatever matters is said again.
    pub(crate) fn send(&self, message: ToCoordinator) {
        if let Err(error) = self.messages.try_send(message) {
            tracing::debug!(%error, "a message to the coordinator is dropped");
        }
    }

    /// Waits until everything that was sent is with the network, or until there is no connection.
    pub(crate) async fn drain(self) {
        let Self { messages, mut events, _task } = self;
        drop(messages);
        while let Some(event) = events.recv().await {
            if matches!(event, LinkEvent::Lost) {
                return;
            }
        }
    }
}

/// The task behind the link.
struct Keeper {
    machine: Machine,
    addresses: Vec<Address>,
    /// The address that is tried next.
    next: usize,
    /// Why there is no connection, as far as that was logged.
    told: BTreeSet<String>,
    cluster: ClusterConfig,
    queue: mpsc::Receiver<ToCoordinator>,
    events: mpsc::UnboundedSender<LinkEvent>,
}

impl Keeper {
    async fn run(mut self) {
        loop {
            if let Some(connection) = self.connect().await {
                // What waited for the old connection is not meant for the new one.
                while self.queue.try_recv().is_ok() {}
                if self.events.send(LinkEvent::Connected).is_err() {
                    return;
                }
                self.serve(connection).await;
                if self.events.send(LinkEvent::Lost).is_err() {
                    return;
                }
            }
            self.machine.sleep(RECONNECT_PAUSE).await;
        }
    }

    async fn connect(&mut self) -> Option<Connection> {
        let address = &self.addresses[self.next % self.addresses.len()];
        self.next += 1;
        let connecting = self.machine.network().connect(address);
        let reason = match self.machine.timeout(self.cluster.heartbeat_timeout, connecting).await {
            Some(Ok(connection)) => {
                tracing::debug!(%address, "connected to a coordinator");
                self.told.clear();
                return Some(connection);
            }
            Some(Err(error)) => error.to_string(),
            None => format!("connecting to {address}: no answer"),
        };
        // The same reason, ten times a second, says nothing more.
        if !self.told.contains(&reason) {
            tracing::warn!(%reason, "there is no coordinator; trying on");
            self.told.insert(reason);
        }
        None
    }

    /// Passes messages in both directions until the connection breaks or falls silent.
    async fn serve(&mut self, connection: Connection) {
        let Connection { mut sender, mut receiver } = connection;
        let queue = &mut self.queue;
        let outgoing = async {
            while let Some(message) = queue.recv().await {
                let kind = FrameKind(message.label());
                if sender.send(Frame { kind, payload: message.encode() }).await.is_err() {
                    return;
                }
            }
        };
        let (machine, events) = (&self.machine, &self.events);
        let limit = self.cluster.heartbeat_timeout;
        let incoming = async {
            while let Some(Some(Ok(payload))) = machine.timeout(limit, receiver.receive()).await {
                match decode_to_worker(&payload).map(LinkEvent::Message) {
                    // Nobody listens when the worker is going down.
                    Ok(event) => drop(events.send(event)),
                    Err(error) => tracing::warn!(%error, "a message of the coordinator is dropped"),
                }
            }
        };
        futures_util::future::select(std::pin::pin!(outgoing), std::pin::pin!(incoming)).await;
    }
}
