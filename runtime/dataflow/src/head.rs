//! The head of a subtask: where its input comes from, and the chain it goes into.

use std::{
    pin::Pin,
    task::{Context, Poll},
};

use floodmark_model::{Barrier, ChannelId, CheckpointId, Element, Timestamp};
use floodmark_platform::Machine;
use floodmark_state::{Data, Snapshot};

use crate::{
    ChannelReceiver, EndedInputs, Error, Gate, InputEnd, Push, SourceDrift, Stage,
    chain::{Commit, OpenContext},
};

/// The input side of a subtask, without the type of its records.
pub trait Head: Send {
    /// Prepares the input, then the chain.
    ///
    /// # Errors
    ///
    /// When the source cannot be opened, or restored state does not fit.
    fn open<'a>(
        &'a mut self,
        cx: &'a mut OpenContext<'_>,
    ) -> Pin<Box<dyn Future<Output = Result<(), Error>> + Send + 'a>>;

    /// Takes the next input. Records go through the chain before this returns.
    fn poll_advance(&mut self, cx: &mut Context<'_>) -> Poll<Result<Input, Error>>;

    /// Ends an epoch: adds the positions of the input to `snapshot`, then the chain's state.
    ///
    /// # Errors
    ///
    /// When an epoch cannot be made ready to commit.
    fn on_barrier(&mut self, barrier: Barrier, snapshot: &mut Snapshot) -> Result<(), Error>;

    /// Hears that a checkpoint is complete, and adds what is to be committed to `commits`.
    fn on_complete(&mut self, checkpoint: CheckpointId, commits: &mut Vec<Commit>) {
        self.chain().on_complete(checkpoint, commits);
    }

    /// Adds the positions of the input and the chain's state to `snapshot`, and does nothing else.
    fn freeze(&mut self, snapshot: &mut Snapshot);

    /// Returns whether all input is known to be over before any of it is taken.
    fn has_ended(&self) -> bool;

    /// Returns how far the source may run ahead of others, if a strategy says so. Known once the head
    /// is open.
    fn drift(&self) -> Option<&SourceDrift> {
        None
    }

    /// Takes nothing more from the channel at this index.
    fn block(&mut self, channel: usize);

    /// Lets all channels flow again.
    fn unblock(&mut self);

    /// Returns the input channels.
    fn channels(&self) -> Vec<ChannelId>;

    /// Returns the input to which each channel belongs. Inputs count from 0.
    fn inputs(&self) -> Vec<usize> {
        vec![0; self.channels().len()]
    }

    /// Returns what an input that has ended means for event time.
    fn ended_inputs(&self) -> EndedInputs {
        EndedInputs::default()
    }

    /// Returns per channel the records delivered since the attempt began.
    fn received(&self) -> Vec<(ChannelId, u64)>;

    /// Repeats the credit of all channels.
    fn pulse(&mut self, cx: &mut Context<'_>);

    /// Returns the chain.
    fn chain(&mut self) -> &mut dyn Stage;
}

/// What came in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Input {
    /// Records; they are processed.
    Records,
    /// A watermark.
    Watermark(usize, Timestamp),
    /// A barrier.
    Barrier(usize, Barrier),
    /// The channel has become idle.
    Idle(usize),
    /// The channel has ended.
    End(usize),
    /// All splits of the source have ended. Repeated at every call.
    Exhausted,
}

/// The head of a subtask that receives from other subtasks.
pub struct GateHead<T> {
    gate: Gate<T>,
    channels: Vec<ChannelId>,
    inputs: Vec<usize>,
    ended_inputs: EndedInputs,
    chain: Box<dyn Push<T>>,
}

impl<T: Data> GateHead<T> {
    /// Creates the head over wired channels.
    pub fn new(
        machine: &Machine,
        attempt: floodmark_model::Attempt,
        inputs: Vec<(ChannelId, InputEnd)>,
        chain: Box<dyn Push<T>>,
    ) -> Self {
        let channels: Vec<_> = inputs.iter().map(|(channel, _)| *channel).collect();
        let one = vec![0; channels.len()];
        let receivers = inputs
            .into_iter()
            .map(|(channel, end)| ChannelReceiver::new(machine.clone(), attempt, channel, end));
        Self {
            gate: Gate::new(receivers.collect()),
            channels,
            inputs: one,
            ended_inputs: EndedInputs::default(),
            chain,
        }
    }

    /// Says to which input each channel belongs. Inputs count from 0.
    #[must_use]
    pub fn with_inputs(self, inputs: Vec<usize>) -> Self {
        assert_eq!(inputs.len(), self.channels.len(), "every channel belongs to an input");
        Self { inputs, ..self }
    }

    /// Says what an input that has ended means for event time.
    #[must_use]
    pub fn with_ended_inputs(self, ended_inputs: EndedInputs) -> Self {
        Self { ended_inputs, ..self }
    }
}

impl<T: Data> Head for GateHead<T> {
    fn open<'a>(
        &'a mut self,
        cx: &'a mut OpenContext<'_>,
    ) -> Pin<Box<dyn Future<Output = Result<(), Error>> + Send + 'a>> {
        Box::pin(async move { self.chain.open(cx) })
    }

    fn poll_advance(&mut self, cx: &mut Context<'_>) -> Poll<Result<Input, Error>> {
        let next = std::task::ready!(self.gate.poll_next(cx));
        Poll::Ready(next.and_then(|(channel, element)| {
            Ok(match element {
                Element::Batch(batch) => {
                    self.chain.push(batch)?;
                    Input::Records
                }
                Element::Watermark(watermark) => Input::Watermark(channel, watermark),
                Element::Barrier(barrier) => Input::Barrier(channel, barrier),
                Element::Idle => Input::Idle(channel),
                Element::End => Input::End(channel),
            })
        }))
    }

    fn on_barrier(&mut self, barrier: Barrier, snapshot: &mut Snapshot) -> Result<(), Error> {
        self.chain.on_barrier(barrier, snapshot)
    }

    fn freeze(&mut self, snapshot: &mut Snapshot) {
        self.chain.freeze(snapshot);
    }

    fn has_ended(&self) -> bool {
        false
    }

    fn block(&mut self, channel: usize) {
        self.gate.block(channel);
    }

    fn unblock(&mut self) {
        self.gate.unblock();
    }

    fn channels(&self) -> Vec<ChannelId> {
        self.channels.clone()
    }

    fn inputs(&self) -> Vec<usize> {
        self.inputs.clone()
    }

    fn ended_inputs(&self) -> EndedInputs {
        self.ended_inputs
    }

    fn received(&self) -> Vec<(ChannelId, u64)> {
        self.gate.received()
    }

    fn pulse(&mut self, cx: &mut Context<'_>) {
        self.gate.pulse(cx);
    }

    fn chain(&mut self) -> &mut dyn Stage {
        &mut *self.chain
    }
}
