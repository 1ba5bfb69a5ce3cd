//! The plan of a job: its operators as the user connected them, and how they become vertices.
//!
//! Streams are typed and plans are not. The bridge is the [`Blueprint`]: each node knows the type of
//! its own input, which is enough to build its stage of a chain, the exchange that leads to it, the
//! channel that carries its input, and the head that receives it. Types meet only where a node's
//! output is handed to a consumer's input, in [`Assembly::output`], and they were the same when
//! the stream was built.

use std::{
    any::{Any, TypeId},
    collections::BTreeMap,
    sync::Arc,
};

use floodmark_dataflow::{
    Chained, ChannelSender, EndedInputs, Exchange as ExchangeStage, GateHead, Head, InputEnd,
    Output, OutputEnd, OutputTag, Partitioner, Program, Push, Rebalance, SideOutputs, Wiring,
    local_channel,
    operators::{Mark, Sided},
};
use floodmark_model::{
    Attempt, ChannelId, Edge, EdgeId, Exchange, JobGraph, KeyGroupLayout, SubtaskId, Vertex,
    VertexId,
};
use floodmark_platform::Machine;
use floodmark_state::Data;

use crate::Error;

mod outline;

pub(crate) use outline::{Part, PartInput, Role};

/// A node's index in the plan.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct NodeId(usize);

/// Where a stream comes from: the main output of a node, or one of its side outputs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Port {
    pub(crate) node: NodeId,
    pub(crate) side: Option<&'static str>,
}

/// How a node finds its state again.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Identity {
    /// It keeps none.
    Stateless,
    /// By the uid that the user must give.
    Needed,
    /// By this uid.
    Given(String),
    /// By the uid of the nearest node before it, and this suffix.
    Derived(&'static str),
}

/// An operator, source or sink as the user wrote it.
#[derive(Clone)]
pub(crate) struct Node {
    pub(crate) name: String,
    pub(crate) identity: Identity,
    pub(crate) role: Role,
    pub(crate) inputs: Vec<NodeInput>,
    pub(crate) blueprint: Arc<dyn Blueprint>,
    /// Subtasks, where they differ from the job's parallelism.
    pub(crate) parallelism: Option<u16>,
    /// The side outputs that someone consumes.
    pub(crate) sides: Vec<SideOutput>,
}

/// A side output that someone consumes.
#[derive(Clone)]
pub(crate) struct SideOutput {
    name: &'static str,
    value: TypeId,
    add: Arc<AddSide>,
}

type AddSide = dyn Fn(NodeId, &mut Assembly<'_>, &mut SideOutputs) + Send + Sync;

impl SideOutput {
    fn new<T: Data>(tag: OutputTag<T>) -> Self {
        let add = move |node, assembly: &mut Assembly<'_>, sides: &mut SideOutputs| {
            let output = assembly.consumers::<T>(Port { node, side: Some(tag.name()) });
            sides.add(tag, output);
        };
        Self { name: tag.name(), value: TypeId::of::<T>(), add: Arc::new(add) }
    }
}

/// One origin of a node's input.
#[derive(Clone, Copy)]
pub(crate) struct NodeInput {
    pub(crate) from: Port,
    pub(crate) exchange: Exchange,
}

/// Builds the parts of a node, each of the type of its input.
pub(crate) trait Blueprint: Send + Sync {
    /// Builds the node and everything chained behind it: a `Box<dyn Push<In>>`.
    fn stage(&self, node: NodeId, assembly: &mut Assembly<'_>) -> Box<dyn Any>;

    /// Builds the end of another chain that leads to this node: a `Box<dyn Push<In>>`.
    fn exchange(
        &self,
        input: usize,
        channels: Vec<(ChannelId, OutputEnd)>,
        assembly: &Assembly<'_>,
    ) -> Box<dyn Any>;

    /// Builds the head of the vertex that begins with this node.
    fn head(
        &self,
        node: NodeId,
        inputs: Vec<(ChannelId, InputEnd)>,
        assembly: &mut Assembly<'_>,
    ) -> Box<dyn Head>;

    /// Creates a channel that carries the node's input inside a process.
    fn local_channel(&self) -> (OutputEnd, InputEnd);

    /// Returns whether the origin at this index belongs to the second of two inputs.
    fn is_second(&self, _input: usize) -> bool {
        false
    }
}

/// Makes a partitioner for one input of a node.
pub(crate) type Routing<T> = Arc<dyn Fn(KeyGroupLayout) -> Box<dyn Partitioner<T>> + Send + Sync>;

/// The blueprint of a node that takes records from other nodes.
pub(crate) struct OperatorBlueprint<T, F> {
    /// One per input.
    pub(crate) routings: Vec<Routing<T>>,
    pub(crate) build: F,
}

impl<T, F> Blueprint for OperatorBlueprint<T, F>
where
    T: Data,
    F: Fn(NodeId, &mut Assembly<'_>) -> Box<dyn Push<T>> + Send + Sync,
{
    fn stage(&self, node: NodeId, assembly: &mut Assembly<'_>) -> Box<dyn Any> {
        Box::new((self.build)(node, assembly))
    }

    fn exchange(
        &self,
        input: usize,
        channels: Vec<(ChannelId, OutputEnd)>,
        assembly: &Assembly<'_>,
    ) -> Box<dyn Any> {
        Box::new(exchange_stage(&self.routings[input], channels, assembly))
    }

    fn head(
        &self,
        node: NodeId,
        inputs: Vec<(ChannelId, InputEnd)>,
        assembly: &mut Assembly<'_>,
    ) -> Box<dyn Head> {
        let chain = (self.build)(node, assembly);
        let head = GateHead::new(&assembly.machine, assembly.attempt, inputs, chain);
        Box::new(head.with_ended_inputs(assembly.plan.ended_inputs))
    }

    fn local_channel(&self) -> (OutputEnd, InputEnd) {
        local_channel::<T>()
    }
}

/// The blueprint of a node that takes records of two kinds from other nodes.
pub(crate) struct TwoInputBlueprint<A, B, F> {
    /// Of the first input, one per origin.
    pub(crate) first: Vec<Routing<Sided<A, B>>>,
    /// Of the second input, one per origin.
    pub(crate) second: Vec<Routing<Sided<A, B>>>,
    pub(crate) build: F,
}

impl<A, B, F> Blueprint for TwoInputBlueprint<A, B, F>
where
    A: Data,
    B: Data,
    F: Fn(NodeId, &mut Assembly<'_>) -> Box<dyn Push<Sided<A, B>>> + Send + Sync,
{
    fn stage(&self, _: NodeId, _: &mut Assembly<'_>) -> Box<dyn Any> {
        unreachable!("a node with two inputs begins a chain")
    }

    fn exchange(
        &self,
        input: usize,
        channels: Vec<(ChannelId, OutputEnd)>,
        assembly: &Assembly<'_>,
    ) -> Box<dyn Any> {
        let count = self.first.len();
        if input < count {
            let exchange = exchange_stage(&self.first[input], channels, assembly);
            Box::new(marked(Sided::First, exchange))
        } else {
            let exchange = exchange_stage(&self.second[input - count], channels, assembly);
            Box::new(marked(Sided::Second, exchange))
        }
    }

    fn head(
        &self,
        node: NodeId,
        inputs: Vec<(ChannelId, InputEnd)>,
        assembly: &mut Assembly<'_>,
    ) -> Box<dyn Head> {
        let route = |edge: EdgeId| &assembly.plan.routes[edge.0 as usize];
        let input_of =
            |(channel, _): &(ChannelId, _)| usize::from(self.is_second(route(channel.edge).input));
        let input_of = inputs.iter().map(input_of).collect();
        let chain = (self.build)(node, assembly);
        let head = GateHead::new(&assembly.machine, assembly.attempt, inputs, chain);
        Box::new(head.with_inputs(input_of).with_ended_inputs(assembly.plan.ended_inputs))
    }

    fn local_channel(&self) -> (OutputEnd, InputEnd) {
        local_channel::<Sided<A, B>>()
    }

    fn is_second(&self, input: usize) -> bool {
        self.first.len() <= input
    }
}

/// Puts before an exchange what says from which input a record is.
fn marked<T: Data, A: Data, B: Data>(
    mark: fn(T) -> Sided<A, B>,
    exchange: Box<dyn Push<Sided<A, B>>>,
) -> Box<dyn Push<T>> {
    let output = Output::new(vec![exchange]);
    Box::new(Chained::new(Mark::new(mark), output, SideOutputs::default()))
}

/// Builds the end of a chain that leads to another one.
fn exchange_stage<T: Data>(
    routing: &Routing<T>,
    channels: Vec<(ChannelId, OutputEnd)>,
    assembly: &Assembly<'_>,
) -> Box<dyn Push<T>> {
    let edge = assembly.edge_of(&channels);
    let partitioner = match edge.exchange {
        Exchange::Rebalance => Box::new(Rebalance::default()),
        Exchange::Forward | Exchange::Hash | Exchange::Broadcast => {
            routing(assembly.layout_of(edge.to))
        }
    };
    let senders = channels.into_iter();
    let senders = senders.map(|(id, end)| ChannelSender::<T>::new(assembly.attempt, id, end));
    Box::new(ExchangeStage::new(partitioner, senders.collect(), assembly.plan.batch_size))
}

/// The blueprint of a node that takes records from outside.
pub(crate) struct SourceBlueprint<F> {
    pub(crate) build: F,
}

impl<F> Blueprint for SourceBlueprint<F>
where
    F: Fn(NodeId, &mut Assembly<'_>) -> Box<dyn Head> + Send + Sync,
{
    fn stage(&self, _: NodeId, _: &mut Assembly<'_>) -> Box<dyn Any> {
        unreachable!("nothing is chained before a source")
    }

    fn exchange(&self, _: usize, _: Vec<(ChannelId, OutputEnd)>, _: &Assembly<'_>) -> Box<dyn Any> {
        unreachable!("no exchange leads to a source")
    }

    fn head(
        &self,
        node: NodeId,
        _: Vec<(ChannelId, InputEnd)>,
        assembly: &mut Assembly<'_>,
    ) -> Box<dyn Head> {
        (self.build)(node, assembly)
    }

    fn local_channel(&self) -> (OutputEnd, InputEnd) {
        unreachable!("no channel leads to a source")
    }
}

/// The nodes of a job, in the order in which they were added; so inputs come before outputs.
#[derive(Default)]
pub(crate) struct Draft {
    nodes: Vec<Node>,
    /// The first mistake that was noticed while building.
    mistake: Option<Error>,
}

impl Draft {
    pub(crate) fn add(&mut self, node: Node) -> NodeId {
        self.nodes.push(node);
        NodeId(self.nodes.len() - 1)
    }

    pub(crate) fn node_mut(&mut self, id: NodeId) -> &mut Node {
        &mut self.nodes[id.0]
    }

    /// Declares that someone consumes the side output `tag` of a node.
    pub(crate) fn consume_side<T: Data>(&mut self, node: NodeId, tag: OutputTag<T>) {
        let Node { name, sides, .. } = &mut self.nodes[node.0];
        match sides.iter().find(|side| side.name == tag.name()) {
            None => sides.push(SideOutput::new(tag)),
            Some(side) if side.value == TypeId::of::<T>() => {}
            Some(_) => {
                let mistake = Error::SideOutputType { operator: name.clone(), tag: tag.name() };
                self.report(mistake);
            }
        }
    }

    pub(crate) fn report(&mut self, mistake: Error) {
        self.mistake.get_or_insert(mistake);
    }

    /// Returns a draft with the same nodes; this one can be finished later. If there is a mistake, it
    /// moves, and everything else with it: neither draft makes a plan then.
    pub(crate) fn copy(&mut self) -> Self {
        match self.mistake {
            Some(_) => std::mem::take(self),
            None => Self { nodes: self.nodes.clone(), mistake: None },
        }
    }

    /// Fixes the plan.
    ///
    /// # Errors
    ///
    /// When nodes cannot be told apart, or the first mistake noticed while building.
    pub(crate) fn finish(mut self, shape: Shape) -> Result<Plan, Error> {
        if let Some(mistake) = self.mistake {
            return Err(mistake);
        }
        if self.nodes.is_empty() {
            return Err(Error::Empty);
        }
        for node in &mut self.nodes {
            let parallelism = *node.parallelism.get_or_insert(shape.parallelism);
            let key_group_count = shape.key_group_count;
            if parallelism == 0 || key_group_count < parallelism {
                return Err(Error::ParallelismTooHigh { parallelism, key_group_count });
            }
        }
        if shape.chains_exchanges {
            chain_exchanges(&mut self.nodes);
        }
        let uids = resolve_uids(&self.nodes, shape.needs_uids)?;
        let layout = Layout::new(&self.nodes, &shape);
        Ok(Plan {
            nodes: self.nodes,
            uids,
            heads: layout.heads,
            routes: layout.routes,
            graph: layout.graph,
            batch_size: shape.batch_size,
            ended_inputs: shape.ended_inputs,
        })
    }
}

/// What a plan needs to know of the job's options.
pub(crate) struct Shape {
    pub(crate) job: String,
    pub(crate) parallelism: u16,
    pub(crate) key_group_count: u16,
    pub(crate) batch_size: usize,
    pub(crate) needs_uids: bool,
    /// Whether an exchange between two single subtasks is left out.
    pub(crate) chains_exchanges: bool,
    pub(crate) ended_inputs: EndedInputs,
}

/// Leaves out the exchanges from one subtask to one subtask: there is nothing to exchange.
fn chain_exchanges(nodes: &mut [Node]) {
    for index in 0..nodes.len() {
        let [NodeInput { from, .. }] = nodes[index].inputs.as_slice() else { continue };
        if nodes[from.node.0].parallelism == Some(1) && nodes[index].parallelism == Some(1) {
            nodes[index].inputs[0].exchange = Exchange::Forward;
        }
    }
}

/// Returns the uid of every node; empty for those that keep no state.
fn resolve_uids(nodes: &[Node], needs_uids: bool) -> Result<Vec<String>, Error> {
    let mut uids: Vec<String> = Vec::new();
    let mut owners: BTreeMap<String, &str> = BTreeMap::new();
    for (index, node) in nodes.iter().enumerate() {
        let uid = match &node.identity {
            Identity::Stateless => String::new(),
            Identity::Given(uid) => uid.clone(),
            Identity::Needed if needs_uids => {
                return Err(Error::MissingUid { operator: node.name.clone() });
            }
            Identity::Needed => format!("operator-{index}"),
            Identity::Derived(suffix) => format!("{}/{suffix}", nearest_uid(nodes, &uids, index)),
        };
        if !uid.is_empty()
            && let Some(first) = owners.insert(uid.clone(), &node.name)
        {
            return Err(Error::DuplicateUid {
                uid,
                first: first.to_owned(),
                second: node.name.clone(),
            });
        }
        uids.push(uid);
    }
    Ok(uids)
}

/// Returns the uid of the nearest node before `index` that has one.
fn nearest_uid(nodes: &[Node], uids: &[String], index: usize) -> String {
    let mut index = index;
    while let Some(input) = nodes[index].inputs.first() {
        index = input.from.node.0;
        if !uids[index].is_empty() {
            return uids[index].clone();
        }
    }
    nodes[index].name.clone()
}

/// How nodes become vertices.
struct Layout {
    graph: JobGraph,
    heads: Vec<NodeId>,
    routes: Vec<Route>,
}

/// What lies behind an edge.
struct Route {
    from: Port,
    to: NodeId,
    /// Which input of `to`.
    input: usize,
}

impl Layout {
    fn new(nodes: &[Node], shape: &Shape) -> Self {
        let mut vertices: Vec<Vertex> = Vec::new();
        let mut vertex_of: Vec<VertexId> = Vec::new();
        let mut heads = Vec::new();
        for (index, node) in nodes.iter().enumerate() {
            if let Some(before) = chained_behind(nodes, node) {
                let vertex = vertex_of[before.0];
                let name = &mut vertices[vertex.0 as usize].name;
                *name = format!("{name} → {}", node.name);
                vertex_of.push(vertex);
                continue;
            }
            let id = VertexId(u32::try_from(vertices.len()).expect("a job fits into memory"));
            heads.push(NodeId(index));
            vertex_of.push(id);
            vertices.push(Vertex {
                id,
                name: node.name.clone(),
                parallelism: node.parallelism.unwrap_or(shape.parallelism),
                is_source: node.inputs.is_empty(),
            });
        }
        let (edges, routes) = edges(nodes, &vertices, &vertex_of);
        let Shape { job, key_group_count, .. } = shape;
        let graph =
            JobGraph { name: job.clone(), key_group_count: *key_group_count, vertices, edges };
        graph.check();
        Self { graph, heads, routes }
    }
}

/// Returns the node that `node` continues in one chain, if it does.
fn chained_behind(nodes: &[Node], node: &Node) -> Option<NodeId> {
    match node.inputs.as_slice() {
        [NodeInput { from, exchange: Exchange::Forward }] => {
            let is_equal = nodes[from.node.0].parallelism == node.parallelism;
            is_equal.then_some(from.node)
        }
        _ => None,
    }
}

/// Returns the edges between vertices, and what lies behind each.
fn edges(nodes: &[Node], vertices: &[Vertex], vertex_of: &[VertexId]) -> (Vec<Edge>, Vec<Route>) {
    let mut edges = Vec::new();
    let mut routes = Vec::new();
    let parallelism = |vertex: VertexId| vertices[vertex.0 as usize].parallelism;
    for (index, node) in nodes.iter().enumerate() {
        if chained_behind(nodes, node).is_some() {
            continue;
        }
        for (input, NodeInput { from, exchange }) in node.inputs.iter().enumerate() {
            let (sender, receiver) = (vertex_of[from.node.0], vertex_of[index]);
            let is_uneven = parallelism(sender) != parallelism(receiver);
            edges.push(Edge {
                id: EdgeId(u32::try_from(edges.len()).expect("a job fits into memory")),
                from: sender,
                to: receiver,
                // There is no subtask with the same index to forward to.
                exchange: if *exchange == Exchange::Forward && is_uneven {
                    Exchange::Rebalance
                } else {
                    *exchange
                },
            });
            routes.push(Route { from: *from, to: NodeId(index), input });
        }
    }
    (edges, routes)
}

/// A finished plan: the shape of a job, and its code.
pub(crate) struct Plan {
    nodes: Vec<Node>,
    /// By node.
    uids: Vec<String>,
    /// The first node of each vertex.
    heads: Vec<NodeId>,
    /// By edge.
    routes: Vec<Route>,
    graph: JobGraph,
    batch_size: usize,
    ended_inputs: EndedInputs,
}

impl Plan {
    pub(crate) fn ended_inputs(&self) -> EndedInputs {
        self.ended_inputs
    }
}

impl Program for Plan {
    fn graph(&self) -> &JobGraph {
        &self.graph
    }

    fn local_channel(&self, edge: EdgeId) -> (OutputEnd, InputEnd) {
        let route = &self.routes[edge.0 as usize];
        self.nodes[route.to.0].blueprint.local_channel()
    }

    fn instantiate(&self, wiring: Wiring) -> Box<dyn Head> {
        let Wiring { machine, attempt, subtask, inputs, outputs } = wiring;
        let head = self.heads[subtask.vertex.0 as usize];
        let mut assembly = Assembly { plan: self, machine, attempt, subtask, outputs };
        let instance = self.nodes[head.0].blueprint.head(head, inputs, &mut assembly);
        assert!(assembly.outputs.is_empty(), "every output channel has found its exchange");
        instance
    }
}

/// The construction of one subtask.
pub(crate) struct Assembly<'a> {
    plan: &'a Plan,
    pub(crate) machine: Machine,
    pub(crate) attempt: Attempt,
    pub(crate) subtask: SubtaskId,
    /// Channels that have not found their exchange yet.
    outputs: Vec<(ChannelId, OutputEnd)>,
}

impl Assembly<'_> {
    /// Returns the uid of a node.
    pub(crate) fn uid(&self, node: NodeId) -> String {
        self.plan.uids[node.0].clone()
    }

    /// Returns how the subtasks of this vertex share the key groups.
    pub(crate) fn layout(&self) -> KeyGroupLayout {
        self.layout_of(self.subtask.vertex)
    }

    fn layout_of(&self, vertex: VertexId) -> KeyGroupLayout {
        let job = &self.plan.graph;
        let parallelism = job.vertex(vertex).parallelism;
        KeyGroupLayout { group_count: job.key_group_count, parallelism }
    }

    fn edge_of(&self, channels: &[(ChannelId, OutputEnd)]) -> &Edge {
        let (first, _) = channels.first().expect("an exchange has channels");
        &self.plan.graph.edges[first.edge.0 as usize]
    }

    /// Builds all consumers of a node's main output.
    pub(crate) fn output<T: Data>(&mut self, node: NodeId) -> Output<T> {
        self.consumers(Port { node, side: None })
    }

    /// Builds all consumers of a node's side outputs.
    pub(crate) fn sides(&mut self, node: NodeId) -> SideOutputs {
        let mut sides = SideOutputs::default();
        for side in self.plan.nodes[node.0].sides.clone() {
            (side.add)(node, self, &mut sides);
        }
        sides
    }

    fn consumers<T: Data>(&mut self, port: Port) -> Output<T> {
        let plan = self.plan;
        let mut consumers = Vec::new();
        for (index, node) in plan.nodes.iter().enumerate() {
            if chained_behind(&plan.nodes, node).is_some() && node.inputs[0].from == port {
                consumers.push(node.blueprint.stage(NodeId(index), self));
            }
        }
        for (index, route) in plan.routes.iter().enumerate() {
            if route.from == port {
                let channels = self.take_channels(index);
                let target = &plan.nodes[route.to.0].blueprint;
                consumers.push(target.exchange(route.input, channels, self));
            }
        }
        let typed = consumers.into_iter().map(|consumer| {
            let consumer = consumer.downcast::<Box<dyn Push<T>>>();
            *consumer.expect("a stream and its consumers have one type")
        });
        Output::new(typed.collect())
    }

    /// Takes the channels of the edge at this index.
    fn take_channels(&mut self, edge: usize) -> Vec<(ChannelId, OutputEnd)> {
        let all = std::mem::take(&mut self.outputs);
        let (ours, others) = all.into_iter().partition(|(id, _)| id.edge.0 as usize == edge);
        self.outputs = others;
        ours
    }
}
