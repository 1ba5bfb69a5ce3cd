//! The execution graph: the job graph times parallelism.

use crate::{ChannelId, Edge, Exchange, JobGraph, SubtaskId, VertexId};

/// The subtasks of a job and the channels between them, derived from its job graph.
#[derive(Clone, Debug)]
pub struct ExecutionGraph {
    job: JobGraph,
}

/// The channels of one subtask.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SubtaskChannels {
    /// Channels it receives from, by edge and then by sender.
    pub inputs: Vec<ChannelId>,
    /// Channels it sends to, by edge and then by receiver.
    pub outputs: Vec<ChannelId>,
}

impl ExecutionGraph {
    /// Expands `job`.
    pub fn new(job: JobGraph) -> Self {
        job.check();
        Self { job }
    }

    /// Returns the job graph it was made from.
    pub fn job(&self) -> &JobGraph {
        &self.job
    }

    /// Returns all subtasks, by vertex and then by index.
    pub fn subtasks(&self) -> impl Iterator<Item = SubtaskId> {
        self.job.vertices.iter().flat_map(|vertex| {
            (0..vertex.parallelism).map(|index| SubtaskId { vertex: vertex.id, index })
        })
    }

    /// Returns the subtasks that read from outside.
    pub fn sources(&self) -> impl Iterator<Item = SubtaskId> {
        self.subtasks().filter(|subtask| self.job.vertex(subtask.vertex).is_source)
    }

    /// Returns the subtask that sends on `channel`.
    pub fn sender_of(&self, channel: ChannelId) -> SubtaskId {
        SubtaskId { vertex: self.edge_of(channel).from, index: channel.from }
    }

    /// Returns the subtask that receives from `channel`.
    pub fn receiver_of(&self, channel: ChannelId) -> SubtaskId {
        SubtaskId { vertex: self.edge_of(channel).to, index: channel.to }
    }

    /// Returns the channels of `subtask`.
    pub fn channels_of(&self, subtask: SubtaskId) -> SubtaskChannels {
        let inputs = self.job.edges_into(subtask.vertex).flat_map(|edge| {
            let senders = self.peers(edge, edge.from, subtask.index);
            senders.map(|from| ChannelId { edge: edge.id, from, to: subtask.index })
        });
        let outputs = self.job.edges_out_of(subtask.vertex).flat_map(|edge| {
            let receivers = self.peers(edge, edge.to, subtask.index);
            receivers.map(|to| ChannelId { edge: edge.id, from: subtask.index, to })
        });
        SubtaskChannels { inputs: inputs.collect(), outputs: outputs.collect() }
    }

    /// Returns the indices of the subtasks of `vertex` to which subtask `index` on the other side
    /// of `edge` is connected.
    fn peers(&self, edge: &Edge, vertex: VertexId, index: u16) -> std::ops::Range<u16> {
        match edge.exchange {
            Exchange::Forward => index..index + 1,
            Exchange::Hash | Exchange::Rebalance | Exchange::Broadcast => {
                0..self.job.vertex(vertex).parallelism
            }
        }
    }

    fn edge_of(&self, channel: ChannelId) -> &Edge {
        &self.job.edges[channel.edge.0 as usize]
    }
}
