//! The job graph: vertices and edges, without parallel instances.

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};

use crate::{EdgeId, VertexId};

/// The shape of a job: what every process of a job agrees on. The code of its operators is found
/// by vertex in the job's own binary.
///
/// # Examples
///
/// ```
/// # use floodmark_model as floodmark;
/// use floodmark::JobGraph;
///
/// /// Returns how many subtasks a job has.
/// fn subtask_count(job: &JobGraph) -> u32 {
///     job.vertices.iter().map(|vertex| u32::from(vertex.parallelism)).sum()
/// }
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[doc(alias = "StreamGraph")]
pub struct JobGraph {
    /// The job's name. Its checkpoints are kept under it.
    pub name: String,
    /// Key groups of the job; the most subtasks a vertex can ever have.
    pub key_group_count: u16,
    /// Vertices, at the index of their id.
    pub vertices: Vec<Vertex>,
    /// Edges, at the index of their id.
    pub edges: Vec<Edge>,
}

/// A node of the job graph: one chain of operators.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Vertex {
    /// Its id.
    pub id: VertexId,
    /// The operators of the chain in words, for people.
    pub name: String,
    /// Parallel instances. At least 1.
    pub parallelism: u16,
    /// Whether it reads from outside and has no input channels.
    pub is_source: bool,
}

/// How records find their subtask on the other side of an edge.
///
/// # Examples
///
/// ```
/// # use floodmark_model as floodmark;
/// use floodmark::{Exchange, JobGraph};
///
/// /// Returns how many exchanges of a job send every record everywhere.
/// fn broadcast_count(job: &JobGraph) -> usize {
///     job.edges.iter().filter(|edge| edge.exchange == Exchange::Broadcast).count()
/// }
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum Exchange {
    /// To the subtask with the same index.
    Forward,
    /// To the owner of the key group of their key.
    Hash,
    /// To each subtask in turn.
    Rebalance,
    /// To every subtask.
    Broadcast,
}

/// An exchange between two vertices.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Edge {
    /// Its id.
    pub id: EdgeId,
    /// The sending vertex.
    pub from: VertexId,
    /// The receiving vertex.
    pub to: VertexId,
    /// The rule by which records choose a channel.
    pub exchange: Exchange,
}

impl JobGraph {
    /// Returns the vertex `id`.
    pub fn vertex(&self, id: VertexId) -> &Vertex {
        let vertex = &self.vertices[id.0 as usize];
        assert_eq!(vertex.id, id, "a vertex stands at the index of its id");
        vertex
    }

    /// Returns the edges that enter `vertex`, in order of their id.
    pub fn edges_into(&self, vertex: VertexId) -> impl Iterator<Item = &Edge> {
        self.edges.iter().filter(move |edge| edge.to == vertex)
    }

    /// Returns the edges that leave `vertex`, in order of their id.
    pub fn edges_out_of(&self, vertex: VertexId) -> impl Iterator<Item = &Edge> {
        self.edges.iter().filter(move |edge| edge.from == vertex)
    }

    /// Asserts what every graph must be: dense ids, edges between known vertices, forward edges
    /// between equals, sources without inputs, and no cycle.
    pub fn check(&self) {
        for (index, vertex) in self.vertices.iter().enumerate() {
            assert_eq!(vertex.id.0 as usize, index);
            assert!(0 < vertex.parallelism && vertex.parallelism <= self.key_group_count);
            assert_eq!(vertex.is_source, self.edges_into(vertex.id).next().is_none());
        }
        let mut done = BTreeSet::new();
        while done.len() < self.vertices.len() {
            let ready = self.vertices.iter().find(|vertex| {
                !done.contains(&vertex.id)
                    && self.edges_into(vertex.id).all(|edge| done.contains(&edge.from))
            });
            done.insert(ready.expect("a job graph has no cycle").id);
        }
        for (index, edge) in self.edges.iter().enumerate() {
            assert_eq!(edge.id.0 as usize, index);
            let is_forward = edge.exchange == Exchange::Forward;
            let (from, to) = (self.vertex(edge.from), self.vertex(edge.to));
            assert!(!is_forward || from.parallelism == to.parallelism);
        }
    }
}
