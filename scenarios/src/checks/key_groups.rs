//! Every key group has one owner, and every record is processed by the owner of its key.

use std::collections::BTreeMap;

use floodmark::{Attempt, JobGraph, KeyGroup, RuntimeEvent, SubtaskId, VertexId};

use super::{Check, Names};

/// Follows which subtask of an attempt meets which key groups.
#[derive(Debug)]
pub struct KeyGroups {
    names: Names,
    group_count: u32,
    /// Subtasks of each vertex.
    parallelism: BTreeMap<VertexId, u32>,
    /// Who met a key group, by attempt, vertex and operator.
    owners: BTreeMap<(Attempt, VertexId, String, KeyGroup), SubtaskId>,
}

impl KeyGroups {
    /// Creates the check for a job.
    pub fn new(job: &JobGraph, names: Names) -> Self {
        let parallelism = job.vertices.iter().map(|one| (one.id, u32::from(one.parallelism)));
        Self {
            names,
            group_count: u32::from(job.key_group_count),
            parallelism: parallelism.collect(),
            owners: BTreeMap::new(),
        }
    }

    /// Returns the index of the subtask to which a key group belongs: each of `n` subtasks owns an
    /// n-th of them, in order.
    fn owner_of(&self, vertex: VertexId, group: KeyGroup) -> Option<u32> {
        let parallelism = self.parallelism.get(&vertex)?;
        Some(u32::from(group.0) * parallelism / self.group_count)
    }
}

impl Check for KeyGroups {
    fn name(&self) -> &'static str {
        "key_groups"
    }

    fn on_event(&mut self, _: &str, event: &RuntimeEvent) -> Result<(), String> {
        let RuntimeEvent::KeyGroupMet { attempt, subtask, operator, group } = event else {
            return Ok(());
        };
        let key = (*attempt, subtask.vertex, operator.clone(), *group);
        let first = *self.owners.entry(key).or_insert(*subtask);
        if first != *subtask {
            return Err(format!(
                "{operator}: records of {group} came to {} and to {} in {attempt}",
                self.names.of(first),
                self.names.of(*subtask),
            ));
        }
        match self.owner_of(subtask.vertex, *group) {
            Some(owner) if owner != u32::from(subtask.index) => Err(format!(
                "{operator}: records of {group} came to {} in {attempt}, and it belongs to subtask \
                 {owner}",
                self.names.of(*subtask),
            )),
            _ => Ok(()),
        }
    }
}
