//! The lanes of a page: a node, and below it the subtasks that ever ran there.

use std::{collections::BTreeSet, sync::Arc};

use floodmark::{RuntimeEvent, SubtaskId};
use serde_json::{Value, json};

use crate::{Account, account::event, story::Names};

/// Which lane is whose.
pub(super) struct Lanes {
    /// Names of nodes.
    pub(super) nodes: Vec<Arc<str>>,
    /// The node of each lane, and the subtask if it is not the node's own.
    lanes: Vec<(usize, Option<SubtaskId>)>,
}

impl Lanes {
    pub(super) fn new(account: &Account) -> Self {
        let happenings = &account.chronicle.0;
        let names: BTreeSet<&Arc<str>> =
            happenings.iter().filter_map(|happening| happening.node.as_ref()).collect();
        let mut nodes: Vec<Arc<str>> = names.into_iter().cloned().collect();
        // Those who decide come first.
        nodes.sort_by_key(|node| (node.starts_with("worker"), node.clone()));
        let place = |node: &Arc<str>| nodes.iter().position(|known| known == node);
        let mut homes: BTreeSet<(usize, SubtaskId)> = BTreeSet::new();
        for happening in happenings {
            let Some(RuntimeEvent::SubtaskStarted { subtask, .. }) = event(happening) else {
                continue;
            };
            if let Some(node) = happening.node.as_ref().and_then(place) {
                homes.insert((node, *subtask));
            }
        }
        let lanes = (0..nodes.len()).flat_map(|node| {
            let ours = homes.iter().filter(move |(home, _)| *home == node);
            let subtasks = ours.map(move |(_, subtask)| (node, Some(*subtask)));
            [(node, None)].into_iter().chain(subtasks)
        });
        let lanes = lanes.collect();
        Self { nodes, lanes }
    }

    pub(super) fn node(&self, name: &str) -> Option<usize> {
        self.nodes.iter().position(|node| &**node == name)
    }

    /// Returns the lane of a subtask on a node; the node's own if it never began there.
    pub(super) fn lane(&self, node: usize, subtask: Option<SubtaskId>) -> Option<usize> {
        let find = |subtask| self.lanes.iter().position(|lane| *lane == (node, subtask));
        find(subtask).or_else(|| find(None))
    }

    pub(super) fn to_json(&self, names: &Names) -> Vec<Value> {
        let lanes = self.lanes.iter().map(|(node, subtask)| {
            let name =
                subtask.map_or_else(|| self.nodes[*node].to_string(), |id| names.subtask(id));
            json!({ "node": node, "subtask": subtask.map(|id| id.to_string()), "name": name })
        });
        lanes.collect()
    }
}
