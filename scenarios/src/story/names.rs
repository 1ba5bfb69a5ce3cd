//! Names for ids: each id is told with its name once, and by its name alone after that.

use std::collections::{BTreeMap, BTreeSet};

use floodmark::{ChannelId, JobGraph, SubtaskId, VertexId};

use super::focus::{Found, find};

/// The names of a job's parts.
#[derive(Clone, Debug)]
pub(crate) struct Names {
    /// The chain of each vertex, and what to call it.
    vertices: Vec<(String, String)>,
    /// The ends of each edge.
    edges: Vec<(VertexId, VertexId)>,
    introduced: BTreeSet<String>,
    introduces: bool,
}

impl Names {
    /// Names the parts of a job: a vertex by its last operator, a source by its first, and by all of
    /// them where one is not enough.
    pub(crate) fn new(job: &JobGraph) -> Self {
        let short = |name: &str, is_source: bool| {
            let mut parts = name.split(" → ");
            let part = if is_source { parts.next() } else { parts.last() };
            part.unwrap_or(name).to_owned()
        };
        let shorts: Vec<String> =
            job.vertices.iter().map(|vertex| short(&vertex.name, vertex.is_source)).collect();
        let mut counts: BTreeMap<&str, usize> = BTreeMap::new();
        for name in &shorts {
            *counts.entry(name).or_default() += 1;
        }
        let called = job.vertices.iter().zip(&shorts).map(|(vertex, short)| {
            let is_unique = counts[short.as_str()] == 1;
            let name = if is_unique { short } else { &vertex.name };
            (vertex.name.clone(), name.clone())
        });
        Self {
            vertices: called.collect(),
            edges: job.edges.iter().map(|edge| (edge.from, edge.to)).collect(),
            introduced: BTreeSet::new(),
            introduces: true,
        }
    }

    /// Leaves ids out, where they would be in the way.
    pub(crate) fn without_ids(self) -> Self {
        Self { introduces: false, ..self }
    }

    /// Returns the name of a vertex.
    pub(crate) fn vertex(&self, vertex: VertexId) -> &str {
        self.vertices.get(vertex.0 as usize).map_or("?", |(_, name)| name)
    }

    /// Returns the name of a subtask.
    pub(crate) fn subtask(&self, subtask: SubtaskId) -> String {
        format!("{}/{}", self.vertex(subtask.vertex), subtask.index)
    }

    /// Returns the ends of a channel.
    pub(crate) fn ends(&self, channel: ChannelId) -> Option<(SubtaskId, SubtaskId)> {
        let (from, to) = *self.edges.get(channel.edge.0 as usize)?;
        let sender = SubtaskId { vertex: from, index: channel.from };
        Some((sender, SubtaskId { vertex: to, index: channel.to }))
    }

    /// Returns the name of a channel.
    pub(crate) fn channel(&self, channel: ChannelId) -> String {
        match self.ends(channel) {
            Some((from, to)) => format!("{} → {}", self.subtask(from), self.subtask(to)),
            None => channel.to_string(),
        }
    }

    /// Puts names in the place of the ids in a text.
    pub(crate) fn apply(&mut self, text: &str) -> String {
        let text = self.with_ids(text);
        let mut named = String::new();
        let mut rest = &*text;
        while let Some((before, found, id, after)) = find(rest) {
            named.push_str(before);
            rest = after;
            let (name, chain) = match found {
                Found::Subtask(subtask) => (self.subtask(subtask), self.chain(subtask)),
                Found::Channel(channel) => (self.channel(channel), None),
            };
            if let Some(chain) = chain {
                // Checks add the chain themselves.
                rest = rest.strip_prefix(&format!(" ({chain})")).unwrap_or(rest);
            }
            named.push_str(&name);
            if self.introduces && self.introduced.insert(id.to_owned()) {
                named.push_str(&format!(" ({id})"));
            }
        }
        named.push_str(rest);
        named
    }

    /// Puts ids in the place of what the coordinator calls subtasks: their chain and index.
    fn with_ids(&self, text: &str) -> String {
        let mut text = text.to_owned();
        for (vertex, (chain, _)) in self.vertices.iter().enumerate() {
            let called = format!("{chain} [");
            while let Some((before, after)) = text.split_once(&called) {
                let Some((index, rest)) = after.split_once(']') else { break };
                text = format!("{before}subtask {vertex}.{index}{rest}");
            }
        }
        text
    }

    fn chain(&self, subtask: SubtaskId) -> Option<&str> {
        self.vertices.get(subtask.vertex.0 as usize).map(|(chain, _)| chain.as_str())
    }
}
