//! Facts about the simulated machine: what it does to nodes, links and storage, and that it does the
//! same every time.

#![expect(clippy::unwrap_used, reason = "what a test relies on is part of what it checks")]

use std::{
    sync::{Arc, Mutex},
    time::Duration,
};

use bytes::Bytes;
use floodmark_platform::{Address, Connection, Frame, FrameKind, Machine};
use floodmark_sim::{Fault, FaultPlan, Outcome, PlannedFault, RunOptions, Seed, When, World, run};

mod chronicle;
mod determinism;
mod disk;
mod limits;
mod links;
mod nodes;
mod store;

/// An observation.
#[derive(Clone, Debug, Hash)]
struct Said(u64);

impl From<&Said> for &'static str {
    fn from(_: &Said) -> Self {
        "said"
    }
}

impl From<&Said> for Vec<(&'static str, u64)> {
    fn from(said: &Said) -> Self {
        vec![("number", said.0)]
    }
}

/// What several nodes add to and the test reads.
type Notes<T> = Arc<Mutex<Vec<T>>>;

fn millis(count: u64) -> Duration {
    Duration::from_millis(count)
}

fn options(seed: u64) -> RunOptions {
    RunOptions { is_verbose: true, ..RunOptions::new(Seed(seed)) }
}

fn at(time: u64, what: Fault) -> PlannedFault {
    PlannedFault { when: When::At(millis(time)), what }
}

/// Runs a story that has to end well.
fn tell<T, F, S>(seed: u64, story: F) -> Outcome<T>
where
    T: Send + 'static,
    F: FnOnce(World) -> S + Send + 'static,
    S: Future<Output = T> + 'static,
{
    let outcome = run(options(seed), story);
    if let Err(error) = &outcome.result {
        panic!("seed {seed}: {error}\n{:#?}", outcome.log);
    }
    outcome
}

/// Runs a story and returns what it returns.
fn told<T, F, S>(seed: u64, story: F) -> T
where
    T: Send + 'static,
    F: FnOnce(World) -> S + Send + 'static,
    S: Future<Output = T> + 'static,
{
    tell(seed, story).result.unwrap()
}

fn schedule(world: &World, faults: &[PlannedFault]) {
    world.schedule(&FaultPlan(faults.to_vec()));
}

fn frame(kind: &'static str, number: u8) -> Frame {
    Frame { kind: FrameKind(kind), payload: Bytes::copy_from_slice(&[number]) }
}

/// Connects, however often it takes.
async fn connected(machine: &Machine, to: &str) -> Connection {
    loop {
        match machine.network().connect(&Address(to.to_owned())).await {
            Ok(connection) => return connection,
            Err(_) => machine.sleep(millis(1)).await,
        }
    }
}

/// Listens on a port and returns the first connection.
async fn accepted(machine: &Machine, port: u16) -> Connection {
    let mut listener = machine.network().listen(port).await.unwrap();
    listener.accept().await.unwrap()
}
