//! Stories about clusters: each a job, faults, checks, and situations that must be reached.
//!
//! ```text
//! catalog ──▶ Scenario ──run──▶ one simulated cluster, one seed ──▶ RunReport
//!                └──── sweep ─▶ many seeds over all cores ────────▶ SweepSummary
//! ```
//!
//! A run prepares the job's input from the seed, starts a coordinator and workers on simulated
//! nodes, lets the faults happen, heals everything, and waits for the job to end. Checks listen all
//! the while; at the end the output is compared with that of a run without faults and with a naive
//! model ([`jobs`]). [`Simulation`] does the same for a job of the user's own. [`bugs`] lists the
//! mistakes that must not survive all this; [`mod@bench`] measures the speed of the real thing.

mod account;
pub mod atlas;
pub mod bench;
pub mod bugs;
pub mod catalog;
pub mod checks;
pub mod cluster;
pub mod conformance;
pub mod faults;
pub mod jobs;
#[cfg(feature = "planted-bugs")]
pub mod kill_matrix;
pub mod probes;
mod progress;
mod provenance;
mod replay_file;
mod report;
mod run;
mod scenario;
mod shrink;
mod simulation;
mod situations;
mod story;
pub mod sweep;
pub mod timeline;

pub use account::Account;
pub use probes::{Probe, Sighting};
pub use progress::{NodeProgress, Progress};
pub use replay_file::{ReplayError, ReplayFile};
pub use report::{COMMIT, Counts, Failure, RunReport, replay_command};
pub use run::{RunOptions, Shape, run};
pub use scenario::{Draw, Group, Scenario};
pub use shrink::{CaseSize, ShrinkOptions, Shrunk, shrink};
pub use simulation::Simulation;
pub use situations::{Seen, Situation, Situations};
pub use story::{Story, StoryLine, fault_in_words};

/// The example of the README, compiled with everything else.
#[cfg(doctest)]
#[doc = include_str!("../../README.md")]
struct Readme;

/// The examples of the page for those who come from Flink, which need the simulator.
#[cfg(doctest)]
#[doc = include_str!("../../docs/coming-from-flink.md")]
struct ComingFromFlinkPage;
