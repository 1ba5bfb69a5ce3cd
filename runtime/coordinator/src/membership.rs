//! Membership: which workers there are, over which connection, and which slots they offer.
//!
//! A worker is reached over one connection. When that breaks, falls silent, or is replaced by a new
//! registration, the worker is lost together with its subtasks, even if it comes back at once: the
//! frames between were lost with the connection.
//!
//! A worker counts for a deployment once it has answered its registration with a heartbeat. That
//! proves both directions and tells the newest attempt it has seen.
//!
//! # Invariants
//!
//! - A registered worker has exactly one open connection, and every other connection has none.

use std::{collections::BTreeMap, time::Duration};

use floodmark_model::{ExecutionGraph, WorkerId};

use crate::attempt::Placement;

/// A connection to the coordinator. Later ones have larger ids.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct ConnectionId(pub(crate) u64);

/// What a worker offers when it registers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Offer {
    /// Subtasks of each vertex it has room for.
    pub(crate) slot_count: u32,
    /// Where its data connections are accepted.
    pub(crate) data_address: String,
}

/// All connections and workers.
#[derive(Debug)]
pub(crate) struct Membership {
    timeout: Duration,
    connections: BTreeMap<ConnectionId, Connected>,
    members: BTreeMap<WorkerId, Member>,
}

#[derive(Debug)]
struct Connected {
    /// When something last arrived.
    heard: Duration,
    /// Who registered over it.
    worker: Option<WorkerId>,
}

#[derive(Debug)]
struct Member {
    connection: ConnectionId,
    offer: Offer,
    /// Whether it has answered its registration.
    is_ready: bool,
}

/// What a registration changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[must_use]
pub(crate) enum Registration {
    /// The worker was unknown.
    New,
    /// It is known by this connection already.
    Repeated,
    /// It had another connection, which must be closed; what it ran is lost.
    Replaced(ConnectionId),
    /// The message belongs to a connection that is closed or was replaced.
    Stale,
}

/// A connection that is gone, and whose it was.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Lost {
    /// The connection.
    pub(crate) connection: ConnectionId,
    /// The worker that had registered over it.
    pub(crate) worker: Option<WorkerId>,
}

impl Membership {
    /// Creates a membership without members, in which silence for `timeout` means death.
    pub(crate) fn new(timeout: Duration) -> Self {
        Self { timeout, connections: BTreeMap::new(), members: BTreeMap::new() }
    }

    /// Records a new connection.
    pub(crate) fn on_connected(&mut self, now: Duration, connection: ConnectionId) {
        let previous = self.connections.insert(connection, Connected { heard: now, worker: None });
        assert!(previous.is_none(), "connections have different ids");
    }

    /// Records that something arrived, and returns whether the connection is one of ours.
    pub(crate) fn on_heard(&mut self, now: Duration, connection: ConnectionId) -> bool {
        let connected = self.connections.get_mut(&connection);
        connected.map(|connected| connected.heard = now).is_some()
    }

    /// Records that `worker` registered over `connection`.
    pub(crate) fn on_register(
        &mut self,
        connection: ConnectionId,
        worker: WorkerId,
        offer: Offer,
    ) -> Registration {
        let current = self.members.get(&worker).map(|member| member.connection);
        let Some(connected) = self.connections.get_mut(&connection) else {
            return Registration::Stale;
        };
        // A connection belongs to the first who registers over it.
        if connected.worker.is_some_and(|owner| owner != worker) || Some(connection) < current {
            return Registration::Stale;
        }
        if current == Some(connection) {
            return Registration::Repeated;
        }
        connected.worker = Some(worker);
        self.members.insert(worker, Member { connection, offer, is_ready: false });
        let Some(replaced) = current else { return Registration::New };
        self.connections.remove(&replaced);
        self.check();
        Registration::Replaced(replaced)
    }

    /// Records that the worker behind `connection` answered, and returns who it is.
    pub(crate) fn on_heartbeat(&mut self, connection: ConnectionId) -> Option<WorkerId> {
        let worker = self.connections.get(&connection)?.worker?;
        let member = self.members.get_mut(&worker).expect("whoever registered is a member");
        member.is_ready = true;
        Some(worker)
    }

    /// Records the end of a connection. `None` if it was over before.
    pub(crate) fn on_disconnected(&mut self, connection: ConnectionId) -> Option<Lost> {
        let worker = self.connections.remove(&connection)?.worker;
        if let Some(worker) = worker {
            self.members.remove(&worker);
        }
        self.check();
        Some(Lost { connection, worker })
    }

    /// Returns the connections that have been silent for too long, and forgets them.
    pub(crate) fn on_time(&mut self, now: Duration) -> Vec<Lost> {
        let timeout = self.timeout;
        let silent = self.connections.iter().filter(|(_, one)| one.heard + timeout <= now);
        let silent: Vec<ConnectionId> = silent.map(|(connection, _)| *connection).collect();
        silent.into_iter().filter_map(|connection| self.on_disconnected(connection)).collect()
    }

    /// Returns when the next connection will have been silent for too long.
    pub(crate) fn deadline(&self) -> Option<Duration> {
        self.connections.values().map(|connected| connected.heard + self.timeout).min()
    }

    /// Returns the connection of `worker`.
    pub(crate) fn connection_of(&self, worker: WorkerId) -> Option<ConnectionId> {
        self.members.get(&worker).map(|member| member.connection)
    }

    /// Returns where `worker` accepts data connections.
    pub(crate) fn data_address_of(&self, worker: WorkerId) -> Option<&str> {
        self.members.get(&worker).map(|member| member.offer.data_address.as_str())
    }

    /// Returns the registered workers.
    pub(crate) fn workers(&self) -> Vec<WorkerId> {
        self.members.keys().copied().collect()
    }

    /// Returns where each subtask of `graph` will run, or `None` while there are too few slots.
    ///
    /// A slot holds one subtask of each vertex: all those with its index. Slots are dealt to the
    /// workers in turn, in order of their ids.
    pub(crate) fn place(&self, graph: &ExecutionGraph) -> Option<Placement> {
        let needed = graph.job().vertices.iter().map(|vertex| vertex.parallelism).max()?;
        let ready = self.members.iter().filter(|(_, member)| member.is_ready);
        let mut free: Vec<(WorkerId, u32)> =
            ready.map(|(worker, member)| (*worker, member.offer.slot_count)).collect();
        let mut slots = Vec::new();
        while slots.len() < usize::from(needed) {
            free.retain(|(_, count)| 0 < *count);
            if free.is_empty() {
                return None;
            }
            for (worker, count) in &mut free {
                slots.push(*worker);
                *count -= 1;
            }
        }
        Some(graph.subtasks().map(|one| (one, slots[usize::from(one.index)])).collect())
    }

    /// Asserts what holds between any two calls.
    fn check(&self) {
        for (worker, member) in &self.members {
            let connected = self.connections.get(&member.connection);
            assert_eq!(connected.and_then(|one| one.worker), Some(*worker));
        }
    }
}

#[cfg(test)]
mod tests {
    use expect_test::{Expect, expect};
    use floodmark_model::{JobGraph, Vertex, VertexId};

    use super::*;

    fn offer(slot_count: u32) -> Offer {
        Offer { slot_count, data_address: String::new() }
    }

    /// Registers `(connection, worker)` in order, each over a connection of that id.
    #[track_caller]
    fn check(registrations: &[(u64, u64)], want: Expect) {
        let mut membership = Membership::new(Duration::from_secs(10));
        for id in 1..=3 {
            membership.on_connected(Duration::ZERO, ConnectionId(id));
        }
        let outcomes = registrations.iter().map(|&(connection, worker)| {
            membership.on_register(ConnectionId(connection), WorkerId(worker), offer(1))
        });
        want.assert_eq(&format!("{:?}", outcomes.collect::<Vec<_>>()));
    }

    #[test]
    fn a_repeated_registration_changes_nothing() {
        check(&[(1, 8), (1, 8)], expect!["[New, Repeated]"]);
    }

    #[test]
    fn a_late_registration_of_a_replaced_connection_is_stale() {
        check(&[(1, 8), (2, 8), (1, 8)], expect!["[New, Replaced(ConnectionId(1)), Stale]"]);
    }

    #[test]
    fn a_connection_belongs_to_one_worker() {
        check(&[(1, 8), (1, 9), (3, 9)], expect!["[New, Stale, New]"]);
    }

    #[test]
    fn slots_are_dealt_in_turn_and_shared_by_all_vertices() {
        let vertex = |id, parallelism| Vertex {
            id: VertexId(id),
            name: String::new(),
            parallelism,
            is_source: true,
        };
        let graph = ExecutionGraph::new(JobGraph {
            name: String::new(),
            key_group_count: 8,
            vertices: vec![vertex(0, 3), vertex(1, 1)],
            edges: Vec::new(),
        });
        let mut membership = Membership::new(Duration::from_secs(10));
        for (id, worker, slot_count) in [(1, 20, 2), (2, 10, 1)] {
            let connection = ConnectionId(id);
            membership.on_connected(Duration::ZERO, connection);
            let _ = membership.on_register(connection, WorkerId(worker), offer(slot_count));
            assert_eq!(membership.place(&graph), None, "an unanswered registration has no slots");
            membership.on_heartbeat(connection);
        }
        let placement = membership.place(&graph).unwrap();
        let placement: Vec<_> =
            placement.iter().map(|(one, id)| format!("{one}: {}", id.0)).collect();
        expect!["subtask 0.0: 10, subtask 0.1: 20, subtask 0.2: 20, subtask 1.0: 10"]
            .assert_eq(&placement.join(", "));
    }
}
