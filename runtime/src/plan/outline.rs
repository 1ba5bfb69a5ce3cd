//! What a plan looks like from outside: its operators without their code.

use floodmark_dataflow::{Delivery, Operator};
use floodmark_model::{Exchange, VertexId};

use super::{NodeId, Plan, Port, Route, chained_behind};

/// What a node is for, and what it promises.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Role {
    /// Records begin here.
    Source {
        /// Whether they can be read again.
        is_replayable: bool,
    },
    /// Records pass through.
    Step {
        /// What it keeps in snapshots, in words.
        keeps: &'static str,
    },
    /// Records end here.
    Sink {
        /// What it keeps in snapshots, in words.
        keeps: &'static str,
        /// How it treats records that come again.
        delivery: Delivery,
    },
}

impl Role {
    /// Returns the role of an operator.
    pub(crate) fn of<P: Operator>() -> Self {
        let keeps = P::KEEPS;
        match P::DELIVERY {
            Some(delivery) => Self::Sink { keeps, delivery },
            None => Self::Step { keeps },
        }
    }

    /// Returns what it keeps in snapshots, in words; empty if that is nothing.
    pub(crate) fn keeps(self) -> &'static str {
        match self {
            Self::Source { .. } => "positions",
            Self::Step { keeps } | Self::Sink { keeps, .. } => keeps,
        }
    }
}

/// An operator of a plan.
pub(crate) struct Part {
    pub(crate) name: String,
    /// Empty if it needs none.
    pub(crate) uid: String,
    pub(crate) role: Role,
    pub(crate) vertex: VertexId,
    pub(crate) inputs: Vec<PartInput>,
}

/// Where an operator's records come from.
pub(crate) struct PartInput {
    /// The index of the part they come from.
    pub(crate) from: usize,
    /// The side output they come from, if it is not the main one.
    pub(crate) side: Option<&'static str>,
    /// How they find their subtask; `None` within a chain.
    pub(crate) exchange: Option<Exchange>,
    /// Whether they are the second of two inputs.
    pub(crate) is_second: bool,
}

impl Plan {
    /// Returns all operators, in the order in which they were added; so inputs come before outputs.
    pub(crate) fn parts(&self) -> Vec<Part> {
        let mut parts: Vec<Part> = Vec::new();
        for (index, (node, uid)) in self.nodes.iter().zip(&self.uids).enumerate() {
            let (vertex, inputs) = match chained_behind(&self.nodes, node) {
                Some(before) => {
                    let vertex = parts[before.0].vertex;
                    (vertex, vec![self.input(index, 0, node.inputs[0].from, None)])
                }
                None => {
                    let head = self.heads.iter().position(|head| *head == NodeId(index));
                    let head = head.expect("what is not chained begins a vertex");
                    let vertex = self.graph.vertices[head].id;
                    (vertex, self.exchanges_into(NodeId(index)).collect())
                }
            };
            parts.push(Part {
                name: node.name.clone(),
                uid: uid.clone(),
                role: node.role,
                vertex,
                inputs,
            });
        }
        parts
    }

    fn exchanges_into(&self, node: NodeId) -> impl Iterator<Item = PartInput> {
        let edges = self.routes.iter().zip(&self.graph.edges);
        let ours = edges.filter(move |(Route { to, .. }, _)| *to == node);
        ours.map(|(Route { from, to, input }, edge)| {
            self.input(to.0, *input, *from, Some(edge.exchange))
        })
    }

    fn input(
        &self,
        node: usize,
        input: usize,
        from: Port,
        exchange: Option<Exchange>,
    ) -> PartInput {
        let is_second = self.nodes[node].blueprint.is_second(input);
        PartInput { from: from.node.0, side: from.side, exchange, is_second }
    }
}
