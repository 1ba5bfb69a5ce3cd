//! A connection to a worker: one task that reads, one that writes.

use floodmark_platform::{
    Connection, Frame, FrameKind, FrameReceiver, FrameSender, Machine, TaskHandle,
};
use floodmark_wire::{ToCoordinator, ToWorker, decode_to_coordinator};
use tokio::sync::mpsc;

use crate::membership::ConnectionId;

/// Messages that wait to be sent to one worker; more are dropped, as a network might do.
const QUEUE_LENGTH: usize = 256;

/// What arrives over a link.
#[derive(Debug)]
pub(crate) enum LinkEvent {
    /// The worker said something.
    Message(ToCoordinator),
    /// The connection broke or was closed.
    Lost,
}

/// The coordinator's end of a connection. Dropping it closes the connection.
pub(crate) struct Link {
    queue: mpsc::Sender<ToWorker>,
    _reader: TaskHandle<()>,
    writer: TaskHandle<()>,
}

impl Link {
    /// Starts to serve `connection`; what arrives goes to `events`.
    pub(crate) fn new(
        machine: &Machine,
        id: ConnectionId,
        connection: Connection,
        events: mpsc::Sender<(ConnectionId, LinkEvent)>,
    ) -> Self {
        let (queue, messages) = mpsc::channel(QUEUE_LENGTH);
        let Connection { sender, receiver } = connection;
        Self {
            queue,
            _reader: machine.spawn("worker-reader", read(id, receiver, events.clone())),
            writer: machine.spawn("worker-writer", write(id, sender, messages, events)),
        }
    }

    /// Sends a message, or loses it: whatever matters is said again.
    pub(crate) fn send(&self, message: ToWorker) {
        if let Err(error) = self.queue.try_send(message) {
            tracing::debug!(%error, "a message to a worker is dropped");
        }
    }

    /// Waits until everything that was sent is with the network, then closes the connection.
    pub(crate) async fn drain(self) {
        let Self { queue, _reader, writer } = self;
        drop(queue);
        // A connection that broke has nothing left to send.
        let _ = writer.await;
    }
}

async fn read(
    id: ConnectionId,
    mut receiver: Box<dyn FrameReceiver>,
    events: mpsc::Sender<(ConnectionId, LinkEvent)>,
) {
    while let Some(Ok(payload)) = receiver.receive().await {
        let event = match decode_to_coordinator(&payload) {
            Ok(message) => LinkEvent::Message(message),
            Err(error) => {
                tracing::warn!(%error, "a message of a worker is dropped");
                continue;
            }
        };
        if events.send((id, event)).await.is_err() {
            return;
        }
    }
    // Nobody listens when the coordinator is going down.
    let _ = events.send((id, LinkEvent::Lost)).await;
}

async fn write(
    id: ConnectionId,
    mut sender: Box<dyn FrameSender>,
    mut messages: mpsc::Receiver<ToWorker>,
    events: mpsc::Sender<(ConnectionId, LinkEvent)>,
) {
    while let Some(message) = messages.recv().await {
        let kind = FrameKind(message.label());
        if sender.send(Frame { kind, payload: message.encode() }).await.is_err() {
            // Nobody listens when the coordinator is going down.
            let _ = events.send((id, LinkEvent::Lost)).await;
            return;
        }
    }
}
