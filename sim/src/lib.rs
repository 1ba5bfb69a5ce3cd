//! The simulated machine behind the platform: nodes, clock, network, storage, faults, replay.
//!
//! A run is one operating-system thread, one virtual clock and one seed. Nodes run the runtime's own
//! code on an executor that schedules every task by the seed; their links, their object store and
//! their disks are models in which anything that may go wrong in the world can be made to.
//!
//! ```text
//! run(options, story)
//!   └─ World ── nodes (crash, restart, pause) ── Machine ──▶ the code under test
//!        ├─ links: latency, loss, repetition, reordering, partition, reset
//!        ├─ object store: delay, failure, doubt
//!        ├─ choices: what could go either way, by name; a tape overrides them
//!        ├─ trace: a hash over everything, and the last events in words
//!        └─ chronicle: everything that happened, on request
//! ```
//!
//! Nothing here knows what the nodes compute. A frame has a kind and an observation has a label, and
//! both are words that only the layers above understand.

#[cfg(not(madsim))]
compile_error!(
    "the simulator needs `--cfg madsim`, which `.cargo/config.toml` sets; unset the environment \
     variable RUSTFLAGS, or add `--cfg madsim` to it, and build from inside the workspace"
);

mod choice;
mod chronicle;
mod disk;
mod fault;
mod incident;
mod link;
mod machine;
mod network;
mod node;
mod outside;
mod panics;
mod rule;
mod run;
mod store;
mod timer;
mod trace;
mod world;

pub use choice::{RecordedChoice, Tape};
pub use chronicle::{Chronicle, FrameId, Happening, What};
pub use disk::DiskFate;
pub use fault::{
    CallSelector, Direction, DiskSelector, Effect, EventSelector, Fault, FaultPlan, LinkSelector,
    Operation, PlannedFault, StoreSelector, When,
};
pub use incident::{DiskHarm, FrameFate, Incident};
pub use network::LinkProfile;
pub use node::NodeId;
pub use outside::CallError;
pub use panics::quietly;

pub use run::{Outcome, RunError, RunOptions, Seed, run};
pub use store::StoreEffect;
pub use trace::LogEntry;
pub use world::{Seen, World};
