//! What a worker needs to know of a job's code.

use floodmark_model::{Attempt, ChannelId, EdgeId, JobGraph, SubtaskId};
use floodmark_platform::Machine;

use crate::{Head, InputEnd, OutputEnd};

/// The code of a job, found by vertex. Every process of a job has the same one.
pub trait Program: Send + Sync + 'static {
    /// Returns the shape of the job.
    fn graph(&self) -> &JobGraph;

    /// Creates both ends of a channel of `edge` inside a process.
    fn local_channel(&self, edge: EdgeId) -> (OutputEnd, InputEnd);

    /// Creates the head and the chain of a subtask.
    fn instantiate(&self, wiring: Wiring) -> Box<dyn Head>;
}

/// A subtask's place in the world.
pub struct Wiring {
    /// The node it runs on.
    pub machine: Machine,
    /// The attempt it is part of.
    pub attempt: Attempt,
    /// Which subtask it is.
    pub subtask: SubtaskId,
    /// Its connected input channels, in the order of the execution graph.
    pub inputs: Vec<(ChannelId, InputEnd)>,
    /// Its connected output channels, in the order of the execution graph.
    pub outputs: Vec<(ChannelId, OutputEnd)>,
}
