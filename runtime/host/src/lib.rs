//! The real machine behind the platform; the only crate that touches the OS.
//!
//! Everything `platform` promises is kept here with an asynchronous runtime of threads, TCP, a
//! local file system and the clocks of the system. One type stands for the whole machine, and each
//! file below implements one promise for it, so what the runtime asks of the world and where the
//! world answers can be read side by side.
//!
//! The border runs here because nothing in this crate can be replayed: a decision made in it is one
//! the simulation never sees. So it decides nothing; it translates calls and names errors.

mod error;
mod machine;
mod secret;
mod signal;

mod clock;
mod disk;
mod entropy;
mod network;
mod object_store;
mod tasks;

pub use error::HostError;
pub use machine::{HostOptions, machine, machine_observed};
pub use secret::Secret;
pub use signal::StopSignals;
