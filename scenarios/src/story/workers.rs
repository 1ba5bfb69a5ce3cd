//! Which node a worker is: coordinators know workers by ids that these draw for themselves.
//!
//! A registration is a frame from a node, and a while later the coordinator says which id it had. It
//! takes registrations in the order in which they came, and says nothing of those that are repeated.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use floodmark::WorkerId;

/// The nodes of workers.
#[derive(Debug, Default)]
pub(super) struct Workers {
    /// Registrations that arrived at each coordinator and that it has not spoken of.
    arrived: BTreeMap<String, VecDeque<String>>,
    /// The nodes that each coordinator counts on.
    registered: BTreeMap<String, BTreeSet<String>>,
    /// The node behind each id.
    nodes: BTreeMap<WorkerId, String>,
}

impl Workers {
    /// Learns that the registration of a node arrived.
    pub(super) fn on_registration(&mut self, coordinator: &str, from: &str) {
        self.arrived.entry(coordinator.to_owned()).or_default().push_back(from.to_owned());
    }

    /// Learns that a coordinator counts on a worker. Returns its node, if it was known before.
    pub(super) fn on_registered(&mut self, coordinator: &str, worker: WorkerId) -> Option<String> {
        let registered = self.registered.entry(coordinator.to_owned()).or_default();
        let arrived = self.arrived.entry(coordinator.to_owned()).or_default();
        let node = loop {
            // One that is registered has only repeated itself.
            let node = arrived.pop_front()?;
            if registered.insert(node.clone()) {
                break node;
            }
        };
        let is_known = self.nodes.values().any(|known| *known == node);
        self.nodes.insert(worker, node.clone());
        is_known.then_some(node)
    }

    /// Learns that a coordinator counts on a worker no more. Returns its node, or else its id.
    pub(super) fn on_lost(&mut self, coordinator: &str, worker: WorkerId) -> String {
        let Some(node) = self.nodes.get(&worker) else { return worker.to_string() };
        if let Some(registered) = self.registered.get_mut(coordinator) {
            registered.remove(node);
        }
        node.clone()
    }

    /// Learns that a coordinator begins anew, with nobody.
    pub(super) fn on_reign(&mut self, coordinator: &str) {
        self.registered.remove(coordinator);
    }

    /// Learns that a node died, with all that it had heard.
    pub(super) fn on_death(&mut self, node: &str) {
        self.registered.remove(node);
        self.arrived.remove(node);
    }

    /// Puts nodes in the place of ids.
    pub(super) fn named(&self, text: &str) -> String {
        self.nodes
            .iter()
            .fold(text.to_owned(), |text, (id, node)| text.replace(&id.to_string(), node))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn registrations_that_come_together_are_told_apart_and_repeats_are_nobody() {
        let mut workers = Workers::default();
        for from in ["worker-1", "worker-2", "worker-2", "worker-3"] {
            workers.on_registration("coordinator", from);
        }
        for id in 1..=3 {
            assert_eq!(workers.on_registered("coordinator", WorkerId(id)), None);
        }
        assert_eq!(workers.named(&format!("{} is lost", WorkerId(3))), "worker-3 is lost");

        assert_eq!(workers.on_lost("coordinator", WorkerId(2)), "worker-2");
        workers.on_registration("coordinator", "worker-2");
        let again = workers.on_registered("coordinator", WorkerId(4));
        assert_eq!(again.as_deref(), Some("worker-2"));

        workers.on_death("coordinator");
        workers.on_registration("coordinator", "worker-3");
        let again = workers.on_registered("coordinator", WorkerId(3));
        assert_eq!(again.as_deref(), Some("worker-3"));
    }
}
