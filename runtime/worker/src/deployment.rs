//! From an order to a running subtask: restore, connect, run.

use std::{io, sync::Arc, time::Duration};

use floodmark_dataflow::{
    Command, Error, InputEnd, OutputEnd, Program, Report, Subtask, SubtaskOptions, Wiring,
};
use floodmark_model::{Attempt, ChannelId, CheckpointId, KeyGroupLayout, SubtaskId};
use floodmark_platform::{Address, Connection, Frame, FrameKind, Machine};
use floodmark_state::CopyShelf;
use floodmark_wire::{Handshake, StoredFile};
use tokio::sync::{mpsc, oneshot};

use crate::restore::Restore;

/// Pause between two tries at something that failed.
const RETRY_PAUSE: Duration = Duration::from_millis(50);

/// A subtask that waits for a connection on a channel.
pub(crate) struct Want {
    pub(crate) attempt: Attempt,
    pub(crate) channel: ChannelId,
    pub(crate) receiver: oneshot::Sender<Connection>,
}

/// One end of a channel, as far as it is known when the subtask is deployed.
pub(crate) enum PlannedInput {
    /// The other end is in this process.
    Ready(InputEnd),
    /// Another worker will connect.
    Expected,
}

/// One end of a channel, as far as it is known when the subtask is deployed.
pub(crate) enum PlannedOutput {
    /// The other end is in this process.
    Ready(OutputEnd),
    /// The other end is at this address.
    At(Address),
}

/// Everything a subtask needs to start.
pub(crate) struct SubtaskPlan {
    pub(crate) machine: Machine,
    pub(crate) program: Arc<dyn Program>,
    pub(crate) attempt: Attempt,
    pub(crate) subtask: SubtaskId,
    pub(crate) restored: Option<CheckpointId>,
    pub(crate) files: Vec<StoredFile>,
    pub(crate) inputs: Vec<(ChannelId, PlannedInput)>,
    pub(crate) outputs: Vec<(ChannelId, PlannedOutput)>,
    pub(crate) wants: mpsc::UnboundedSender<Want>,
    pub(crate) commands: mpsc::UnboundedReceiver<Command>,
    pub(crate) reports: mpsc::UnboundedSender<Report>,
    pub(crate) has_checkpoints: bool,
    pub(crate) storage: String,
    pub(crate) copies: Option<CopyShelf>,
    pub(crate) state_size_max: Option<u64>,
    pub(crate) pulse_interval: Duration,
}

impl SubtaskPlan {
    /// Runs the subtask to its end.
    pub(crate) async fn run(mut self) -> Result<(), Error> {
        let restored = match self.restored {
            Some(checkpoint) => {
                let (attempt, subtask) = (self.attempt, self.subtask);
                let (machine, copies) = (self.machine.clone(), self.copies.clone());
                let restore = Restore { machine, attempt, subtask, checkpoint, copies };
                Some((checkpoint, restore.fetch(&self.files).await?))
            }
            None => None,
        };
        let outputs = self.connect_outputs().await;
        let inputs = self.await_inputs().await?;
        let Self { machine, program, attempt, subtask, .. } = self;
        let job = program.graph();
        let layout = KeyGroupLayout {
            group_count: job.key_group_count,
            parallelism: job.vertex(subtask.vertex).parallelism,
        };
        let options = SubtaskOptions {
            machine: machine.clone(),
            attempt,
            subtask,
            key_groups: layout.range_of(subtask.index),
            restored,
            has_checkpoints: self.has_checkpoints,
            storage: (self.storage, job.name.clone()),
            copies: self.copies,
            state_size_max: self.state_size_max,
            pulse_interval: self.pulse_interval,
            commands: self.commands,
            reports: self.reports,
        };
        let head = program.instantiate(Wiring { machine, attempt, subtask, inputs, outputs });
        Subtask::start(options, head).await?.run().await
    }

    /// Opens the connections to other workers. Keeps trying: the deployment has a timeout.
    async fn connect_outputs(&mut self) -> Vec<(ChannelId, OutputEnd)> {
        let machine = self.machine.clone();
        let mut outputs = Vec::new();
        for (channel, planned) in std::mem::take(&mut self.outputs) {
            let end = match planned {
                PlannedOutput::Ready(end) => end,
                PlannedOutput::At(address) => loop {
                    match connect(&machine, self.attempt, channel, &address).await {
                        Ok(connection) => break OutputEnd::Remote(connection),
                        Err(error) => tracing::debug!(%error, %channel, "connecting"),
                    }
                    machine.sleep(RETRY_PAUSE).await;
                },
            };
            outputs.push((channel, end));
        }
        outputs
    }

    /// Waits for the connections from other workers.
    async fn await_inputs(&mut self) -> Result<Vec<(ChannelId, InputEnd)>, Error> {
        let mut inputs = Vec::new();
        for (channel, planned) in std::mem::take(&mut self.inputs) {
            let end = match planned {
                PlannedInput::Ready(end) => end,
                PlannedInput::Expected => {
                    let (receiver, connection) = oneshot::channel();
                    let want = Want { attempt: self.attempt, channel, receiver };
                    // If the worker is gone, so is the other half of `connection`.
                    let _ = self.wants.send(want);
                    InputEnd::Remote(connection.await.map_err(|_| Error::Closed { channel })?)
                }
            };
            inputs.push((channel, end));
        }
        Ok(inputs)
    }
}

/// Opens a data connection and says what it is.
async fn connect(
    machine: &Machine,
    attempt: Attempt,
    channel: ChannelId,
    address: &Address,
) -> io::Result<Connection> {
    let mut connection = machine.network().connect(address).await?;
    let payload = Handshake { attempt, channel }.encode();
    connection.sender.send(Frame { kind: FrameKind("handshake"), payload }).await?;
    Ok(connection)
}
