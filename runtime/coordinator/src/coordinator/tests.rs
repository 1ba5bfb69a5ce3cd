//! The awkward orders of events, against the whole of the decisions.

mod stopping;

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt::Write as _,
};

use expect_test::{Expect, expect};
use floodmark_model::{
    ClusterConfig, Edge, EdgeId, Exchange, JobGraph, RestartStrategy, Vertex, VertexId,
};
use floodmark_wire::SubtaskStatus;

use super::*;

/// The interval of checkpoints in seconds.
const INTERVAL: u64 = 10;

/// One thing that happens.
enum Do {
    /// A connection opens and a worker registers over it.
    Join {
        connection: u64,
        worker: u64,
    },
    /// The worker reports its subtasks of attempt `number` of term 3.
    Report {
        connection: u64,
        number: u32,
        status: SubtaskStatus,
    },
    /// A worker reports an attempt of another term.
    ReportTerm(u64),
    Ack {
        number: u32,
        checkpoint: u64,
        subtask: SubtaskId,
    },
    Decline {
        checkpoint: u64,
    },
    Disconnect(u64),
    Time(u64),
    Stored,
    Taken(u64),
    /// The next slot of the log is empty, or holds the reign of a term.
    Found(Option<u64>),
    Cancel,
    /// Stop within so many seconds.
    Stop(u64),
    /// The worker behind a connection says farewell.
    Leave(u64),
}

const SOURCE_0: SubtaskId = SubtaskId { vertex: VertexId(0), index: 0 };
const SOURCE_1: SubtaskId = SubtaskId { vertex: VertexId(0), index: 1 };
const SUM: SubtaskId = SubtaskId { vertex: VertexId(1), index: 0 };

/// Two sources and one sum: the first slot holds a source and the sum, the second a source.
fn job() -> JobGraph {
    let vertex = |id, name: &str, parallelism, is_source| Vertex {
        id: VertexId(id),
        name: name.to_owned(),
        parallelism,
        is_source,
    };
    JobGraph {
        name: "sums".to_owned(),
        key_group_count: 8,
        vertices: vec![vertex(0, "numbers", 2, true), vertex(1, "sum", 1, false)],
        edges: vec![Edge {
            id: EdgeId(0),
            from: VertexId(0),
            to: VertexId(1),
            exchange: Exchange::Hash,
        }],
    }
}

fn options(checkpoints: Option<CheckpointConfig>) -> CoordinatorOptions {
    let second = Duration::from_secs(1);
    CoordinatorOptions {
        job: job(),
        cluster: ClusterConfig {
            heartbeat_interval: second * 5,
            heartbeat_timeout: second * 1000,
            deployment_timeout: second * 30,
        },
        checkpoints,
        restart: RestartStrategy::FixedDelay { attempts: 1, delay: second },
        storage: "store".to_owned(),
    }
}

/// A coordinator with the subtasks it ordered over each connection.
struct Bench {
    coordinator: Coordinator,
    now: Duration,
    orders: BTreeMap<u64, Vec<SubtaskId>>,
}

impl Bench {
    fn with_checkpoints() -> Self {
        let config =
            CheckpointConfig::every(Duration::from_secs(INTERVAL)).timeout(Duration::from_secs(20));
        let options = options(Some(config.clone()));
        let reign = Reign {
            term: Term(3),
            claim: 7,
            slot: 4,
            manifests: BTreeMap::new(),
            unreadable: BTreeSet::new(),
        };
        let next = CheckpointId(1);
        Self::of(Coordinator::ruling(Duration::ZERO, options, config, reign, next))
    }

    fn without_checkpoints() -> Self {
        Self::of(Coordinator::new(Duration::ZERO, options(None)))
    }

    fn of(coordinator: Coordinator) -> Self {
        Self { coordinator, now: Duration::ZERO, orders: BTreeMap::new() }
    }

    fn step(&mut self, action: Do) -> String {
        let commands = match action {
            Do::Join { connection, worker } => {
                let id = ConnectionId(connection);
                let mut commands = self.tell(Event::Connected(id));
                let (slot_count, data_address) = (1, format!("w{worker}"));
                let worker = WorkerId(worker);
                let register = ToCoordinator::Register { worker, slot_count, data_address };
                commands.extend(self.tell(Event::Message(id, register)));
                commands.extend(self.report(connection, Attempt::default(), None));
                commands
            }
            Do::Report { connection, number, status } => {
                let attempt = Attempt { term: self.coordinator.term, number };
                self.report(connection, attempt, Some(status))
            }
            Do::ReportTerm(term) => self.report(1, Attempt { term: Term(term), number: 1 }, None),
            Do::Ack { number, checkpoint, subtask } => {
                let (attempt, checkpoint) =
                    (Attempt { term: Term(3), number }, CheckpointId(checkpoint));
                let files = Vec::new();
                let ack = ToCoordinator::Acknowledge { attempt, checkpoint, subtask, files };
                self.tell(Event::Message(ConnectionId(1), ack))
            }
            Do::Decline { checkpoint } => {
                let attempt = self.coordinator.newest_attempt();
                let (checkpoint, reason) = (CheckpointId(checkpoint), "disk full".to_owned());
                let decline = ToCoordinator::Decline { attempt, checkpoint, subtask: SUM, reason };
                self.tell(Event::Message(ConnectionId(1), decline))
            }
            Do::Disconnect(connection) => self.tell(Event::Disconnected(ConnectionId(connection))),
            Do::Time(second) => {
                self.now = Duration::from_secs(second);
                self.tell(Event::Time)
            }
            Do::Stored => self.tell(Event::Appended(Appended::Stored)),
            Do::Taken(term) => self.tell(Event::Appended(Appended::Taken(reign(term)))),
            Do::Found(term) => {
                let found = term.map_or(Found::Missing, |term| Found::Entry(reign(term)));
                self.tell(Event::Found(found))
            }
            Do::Cancel => self.tell(Event::Cancel),
            Do::Stop(seconds) => self.tell(Event::Stop { within: Duration::from_secs(seconds) }),
            Do::Leave(connection) => {
                let leave = ToCoordinator::Leave { worker: WorkerId(0) };
                self.tell(Event::Message(ConnectionId(connection), leave))
            }
        };
        let lines: Vec<String> = commands.iter().filter_map(describe).collect();
        lines.join(", ")
    }

    fn report(
        &mut self,
        connection: u64,
        attempt: Attempt,
        status: Option<SubtaskStatus>,
    ) -> Vec<Command> {
        let ordered = self.orders.get(&connection).cloned().unwrap_or_default();
        let subtasks = status.into_iter().flat_map(|status| {
            ordered.iter().map(move |one| SubtaskReport { subtask: *one, status: status.clone() })
        });
        let (worker, subtasks) = (WorkerId(0), subtasks.collect());
        let heartbeat = ToCoordinator::Heartbeat { worker, attempt, subtasks };
        self.tell(Event::Message(ConnectionId(connection), heartbeat))
    }

    fn tell(&mut self, event: Event) -> Vec<Command> {
        let commands = self.coordinator.on_event(self.now, event);
        for command in &commands {
            if let Command::Send(connection, ToWorker::Deploy(deployment)) = command {
                let subtasks = deployment.subtasks.iter().map(|(subtask, _)| *subtask).collect();
                self.orders.insert(connection.0, subtasks);
            }
        }
        commands
    }
}

fn reign(term: u64) -> LogEntry {
    LogEntry::Reign { term: Term(term), claim: 0 }
}

/// Returns a command in few words; heartbeats and registrations are left out.
fn describe(command: &Command) -> Option<String> {
    Some(match command {
        Command::Send(_, ToWorker::Heartbeat { .. } | ToWorker::Registered { .. }) => return None,
        Command::Send(ConnectionId(to), ToWorker::Deploy(deployment)) => {
            let subtasks = deployment.subtasks.iter();
            let subtasks: Vec<String> = subtasks.map(|one| one.0.to_string()).collect();
            let restored = deployment.restored.map(|checkpoint| checkpoint.0);
            let number = deployment.attempt.number;
            format!("{to}← deploy {number} {restored:?} {}", subtasks.join(" + "))
        }
        Command::Send(ConnectionId(to), ToWorker::Notify { checkpoint, is_final, .. }) => {
            format!("{to}← notify {}{}", checkpoint.0, if *is_final { " final" } else { "" })
        }
        Command::Send(ConnectionId(to), ToWorker::Cancel { attempt }) => {
            format!("{to}← cancel {}", attempt.number)
        }
        Command::Send(ConnectionId(to), ToWorker::Stop { checkpoint, .. }) => {
            format!("{to}← stop {}", checkpoint.0)
        }
        Command::Send(ConnectionId(to), message) => format!("{to}← {}", message.label()),
        Command::Observe(RuntimeEvent::AttemptFailed { attempt, reason }) => {
            format!("{attempt} failed ({reason})")
        }
        Command::Observe(RuntimeEvent::CheckpointTriggered { checkpoint, is_final, .. }) => {
            format!("{checkpoint} triggered{}", if *is_final { " final" } else { "" })
        }
        Command::Observe(event) => Into::<&'static str>::into(event).to_owned(),
        Command::Append { slot, manifest } => {
            format!("append {} to slot {slot}", manifest.checkpoint)
        }
        Command::Clean(_) => "clean".to_owned(),
        Command::Report(_) => return None,
        Command::Close(_) | Command::Read(_) | Command::End(_) => format!("{command:?}"),
    })
}

fn beat(connection: u64, number: u32, status: SubtaskStatus) -> Do {
    Do::Report { connection, number, status }
}

fn ack(checkpoint: u64, subtask: SubtaskId) -> Do {
    Do::Ack { number: 1, checkpoint, subtask }
}

/// Deploys attempt 1 to two workers.
fn deployed() -> Vec<Do> {
    vec![
        Do::Join { connection: 1, worker: 10 },
        Do::Join { connection: 2, worker: 20 },
        Do::Found(None),
    ]
}

/// Deploys attempt 1, and lets it run since second 0.
fn running() -> Vec<Do> {
    let mut actions = deployed();
    actions.extend([1, 2].map(|connection| beat(connection, 1, SubtaskStatus::Running)));
    actions
}

/// Deploys attempt 1, and lets the manifest of its first checkpoint be stored from second 10 on.
fn storing() -> Vec<Do> {
    let mut actions = running();
    actions.push(Do::Time(INTERVAL));
    actions.extend([SOURCE_0, SOURCE_1, SUM].map(|subtask| ack(1, subtask)));
    actions
}

/// Performs `before` silently, then `script`, one line each.
#[track_caller]
fn check_in(mut bench: Bench, before: Vec<Do>, script: Vec<Do>, want: Expect) {
    for action in before {
        bench.step(action);
    }
    let mut got = String::new();
    for action in script {
        writeln!(got, "- {}", bench.step(action)).unwrap();
    }
    want.assert_eq(&got);
}

#[track_caller]
fn check(before: Vec<Do>, script: Vec<Do>, want: Expect) {
    check_in(Bench::with_checkpoints(), before, script, want);
}

#[test]
fn an_attempt_begins_when_the_slots_suffice_and_the_log_agrees() {
    check(
        Vec::new(),
        running(),
        expect![[r#"
            - worker_registered
            - worker_registered, Read(5)
            - attempt_started, 1← deploy 1 None subtask 0.0 + subtask 1.0, 2← deploy 1 None subtask 0.1
            - 
            - attempt_running
        "#]],
    );
}

#[test]
fn a_coordinator_that_slept_does_not_deploy() {
    check(
        Vec::new(),
        vec![
            Do::Join { connection: 1, worker: 10 },
            Do::Join { connection: 2, worker: 20 },
            Do::Found(Some(4)),
            Do::Time(5),
        ],
        expect![[r#"
            - worker_registered
            - worker_registered, Read(5)
            - stepped_down, End(Fenced { current: Term(4) })
            - 
        "#]],
    );
}

#[test]
fn slots_that_are_gone_when_the_log_has_agreed_are_waited_for() {
    check(
        Vec::new(),
        vec![
            Do::Join { connection: 1, worker: 10 },
            Do::Join { connection: 2, worker: 20 },
            Do::Disconnect(2),
            Do::Found(None),
            Do::Join { connection: 3, worker: 30 },
        ],
        expect![[r#"
            - worker_registered
            - worker_registered, Read(5)
            - worker_lost
            - 
            - worker_registered, Read(5)
        "#]],
    );
}

#[test]
fn an_order_is_repeated_until_it_is_known() {
    check(
        deployed(),
        vec![beat(1, 1, SubtaskStatus::Starting), Do::Time(5), Do::Time(30), Do::Time(31)],
        expect![[r#"
            - 
            - 2← deploy 1 None subtask 0.1
            - attempt 3.1 failed (numbers [0] has not started within 30s), 1← cancel 1, 2← cancel 1, 1← cancel 1, 2← cancel 1
            - Read(5)
        "#]],
    );
}

#[test]
fn a_worker_lost_while_deploying_fails_the_attempt() {
    check(
        deployed(),
        vec![Do::Disconnect(2), Do::Time(1), Do::Join { connection: 3, worker: 20 }],
        expect![[r#"
            - worker_lost, attempt 3.1 failed (numbers [1]: worker 0000000000000014 is lost), 1← cancel 1
            - 
            - worker_registered, Read(5)
        "#]],
    );
}

#[test]
fn a_worker_that_registers_again_has_lost_its_subtasks() {
    check(
        running(),
        vec![Do::Join { connection: 3, worker: 20 }],
        expect![[r#"
        - Close(ConnectionId(2)), worker_lost, attempt 3.1 failed (numbers [1]: worker 0000000000000014 is lost), 1← cancel 1, 3← cancel 1, worker_registered
    "#]],
    );
}

#[test]
fn a_spare_worker_is_not_missed() {
    let mut before = running();
    before.push(Do::Join { connection: 3, worker: 30 });
    check(
        before,
        vec![Do::Disconnect(3)],
        expect![[r#"
        - worker_lost
    "#]],
    );
}

#[test]
fn a_silent_worker_is_lost() {
    check(
        running(),
        vec![Do::Time(1000)],
        expect![[r#"
        - Close(ConnectionId(1)), worker_lost, attempt 3.1 failed (numbers [0]: worker 000000000000000a is lost), Close(ConnectionId(2)), worker_lost
    "#]],
    );
}

#[test]
fn a_used_up_restart_budget_ends_the_job() {
    let failed = || SubtaskStatus::Failed { reason: "division by zero".to_owned() };
    check(
        running(),
        vec![
            beat(2, 1, failed()),
            beat(2, 1, failed()),
            Do::Time(1),
            Do::Found(None),
            beat(1, 1, SubtaskStatus::Running),
            beat(1, 2, failed()),
            Do::Time(10),
        ],
        expect![[r#"
            - attempt 3.1 failed (numbers [1]: division by zero), 1← cancel 1, 2← cancel 1
            - 
            - Read(5)
            - attempt_started, 1← deploy 2 None subtask 0.0 + subtask 1.0, 2← deploy 2 None subtask 0.1
            - stale_refused
            - attempt 3.2 failed (numbers [0]: division by zero), 1← cancel 2, 2← cancel 2, job_ended, 1← farewell, 2← farewell, End(Failed { reason: "numbers [0]: division by zero" })
            - 
        "#]],
    );
}

#[test]
fn a_checkpoint_is_complete_when_its_manifest_is_stored() {
    check(
        running(),
        vec![
            Do::Time(10),
            ack(1, SOURCE_0),
            ack(1, SOURCE_0),
            ack(1, SUM),
            Do::Ack { number: 0, checkpoint: 1, subtask: SOURCE_1 },
            ack(1, SOURCE_1),
            Do::Time(19),
            Do::Stored,
            Do::Time(20),
        ],
        expect![[r#"
            - checkpoint 1 triggered, 1← trigger, 2← trigger
            - checkpoint_acknowledged
            - acknowledgement_ignored
            - checkpoint_acknowledged
            - acknowledgement_ignored
            - checkpoint_acknowledged, append checkpoint 1 to slot 5
            - 
            - 1← notify 1, 2← notify 1, clean
            - checkpoint 2 triggered, 1← trigger, 2← trigger
        "#]],
    );
}

#[test]
fn a_declined_checkpoint_ends_the_attempt_when_none_is_tolerated() {
    check(
        running(),
        vec![Do::Time(10), Do::Decline { checkpoint: 1 }, ack(1, SUM)],
        expect![[r#"
        - checkpoint 1 triggered, 1← trigger, 2← trigger
        - checkpoint_aborted, 1← abort, 2← abort, attempt 3.1 failed (checkpoint 1: subtask 1.0 declined: disk full), 1← cancel 1, 2← cancel 1
        - acknowledgement_ignored
    "#]],
    );
}

#[test]
fn a_failover_waits_for_the_manifest_and_restores_it() {
    check(
        storing(),
        vec![
            Do::Disconnect(2),
            Do::Join { connection: 3, worker: 20 },
            Do::Time(60),
            Do::Stored,
            Do::Found(None),
        ],
        expect![[r#"
            - worker_lost, attempt 3.1 failed (numbers [1]: worker 0000000000000014 is lost), 1← cancel 1
            - worker_registered
            - 1← cancel 1, 3← cancel 1
            - clean, Read(6)
            - attempt_started, 1← deploy 2 Some(1) subtask 0.0 + subtask 1.0, 3← deploy 2 Some(1) subtask 0.1
        "#]],
    );
}

#[test]
fn a_slot_taken_by_another_fences() {
    check(
        storing(),
        vec![Do::Taken(4), Do::Time(99)],
        expect![[r#"
        - stepped_down, End(Fenced { current: Term(4) })
        - 
    "#]],
    );
}

#[test]
fn a_worker_that_knows_a_higher_term_makes_the_coordinator_look() {
    check(
        running(),
        vec![Do::ReportTerm(9), Do::Found(None), Do::ReportTerm(9), Do::Found(Some(9))],
        expect![[r#"
            - Read(5)
            - 
            - Read(5)
            - stepped_down, End(Fenced { current: Term(9) })
        "#]],
    );
}

#[test]
fn a_finished_job_needs_a_final_checkpoint() {
    check(
        running(),
        vec![
            beat(2, 1, SubtaskStatus::Exhausted),
            beat(1, 1, SubtaskStatus::Exhausted),
            Do::Time(4),
            ack(1, SOURCE_0),
            ack(1, SOURCE_1),
            ack(1, SUM),
            Do::Stored,
            beat(1, 1, SubtaskStatus::Finished),
            Do::Time(5),
            beat(2, 1, SubtaskStatus::Finished),
            Do::Disconnect(2),
        ],
        expect![[r#"
            - 
            - 
            - checkpoint 1 triggered final, 1← trigger, 2← trigger
            - checkpoint_acknowledged
            - checkpoint_acknowledged
            - checkpoint_acknowledged, append checkpoint 1 to slot 5
            - 1← notify 1 final, 2← notify 1 final, clean
            - 
            - 1← notify 1 final, 2← notify 1 final
            - job_ended, 1← cancel 1, 2← cancel 1, 1← farewell, 2← farewell, End(Finished)
            - 
        "#]],
    );
}

#[test]
fn a_worker_lost_after_the_final_checkpoint_leads_the_same_way_again() {
    let mut before = running();
    before.extend([1, 2].map(|connection| beat(connection, 1, SubtaskStatus::Exhausted)));
    before.push(Do::Time(4));
    before.extend([SOURCE_0, SOURCE_1, SUM].map(|subtask| ack(1, subtask)));
    before.push(Do::Stored);
    check(
        before,
        vec![
            beat(1, 1, SubtaskStatus::Finished),
            Do::Disconnect(2),
            Do::Join { connection: 3, worker: 30 },
            Do::Time(5),
            Do::Found(None),
            beat(1, 2, SubtaskStatus::Exhausted),
            beat(3, 2, SubtaskStatus::Exhausted),
            Do::Time(6),
        ],
        expect![[r#"
            - 
            - worker_lost, attempt 3.1 failed (numbers [1]: worker 0000000000000014 is lost), 1← cancel 1
            - worker_registered
            - 1← cancel 1, 3← cancel 1, Read(6)
            - attempt_started, 1← deploy 2 Some(1) subtask 0.0 + subtask 1.0, 3← deploy 2 Some(1) subtask 0.1
            - 
            - attempt_running
            - checkpoint 2 triggered final, 1← trigger, 3← trigger
        "#]],
    );
}

#[test]
fn a_cancelled_job_ends_at_once() {
    check(
        storing(),
        vec![Do::Cancel, Do::Stored],
        expect![[r#"
            - 1← cancel 1, 2← cancel 1, 1← farewell, 2← farewell, End(Cancelled)
            - 
        "#]],
    );
}

#[test]
fn without_checkpoints_a_job_is_finished_when_its_subtasks_are() {
    check_in(
        Bench::without_checkpoints(),
        Vec::new(),
        vec![
            Do::Join { connection: 1, worker: 10 },
            Do::Join { connection: 2, worker: 20 },
            beat(1, 1, SubtaskStatus::Finished),
            beat(2, 1, SubtaskStatus::Running),
            beat(2, 1, SubtaskStatus::Finished),
        ],
        expect![[r#"
            - worker_registered
            - worker_registered, attempt_started, 1← deploy 1 None subtask 0.0 + subtask 1.0, 2← deploy 1 None subtask 0.1
            - 
            - attempt_running
            - job_ended, 1← cancel 1, 2← cancel 1, 1← farewell, 2← farewell, End(Finished)
        "#]],
    );
}

#[test]
fn without_a_log_a_newer_attempt_of_the_same_term_is_outnumbered() {
    check_in(
        Bench::without_checkpoints(),
        Vec::new(),
        vec![
            Do::Join { connection: 1, worker: 10 },
            beat(1, 5, SubtaskStatus::Running),
            Do::Join { connection: 2, worker: 20 },
            beat(2, 6, SubtaskStatus::Running),
        ],
        expect![[r#"
            - worker_registered
            - 
            - worker_registered, attempt_started, 1← deploy 6 None subtask 0.0 + subtask 1.0, 2← deploy 6 None subtask 0.1
            - 
        "#]],
    );
}
