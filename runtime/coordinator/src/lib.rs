//! Who decides: scheduling, checkpoints, failover, leadership.
//!
//! One coordinator rules a job at a time. It takes a term in the job's log, waits for workers with
//! enough slots, deploys the execution graph, triggers checkpoints, and answers every failure with
//! a fresh attempt that restores the newest complete checkpoint.
//!
//! ```text
//!            log ◀────────── store ─────────┐
//!  leadership takes a term              │ results come back as events
//!             │                             │
//!             ▼      Event      ┌───────────┴───┐  Command
//!  links ───────────────────────▶ `coordinator`  ├──────────▶ links, store, observers
//!                               └───────────────┘
//!                 membership · attempt · failover · checkpoints · retention
//! ```
//!
//! Every decision is made by a state machine without I/O; `driver`, `log`, `link` and `cleaning`
//! perform what was decided. Read in this order: `run` for the life of a coordinator, `coordinator` for
//! what answers what, then the parts.

mod append;
mod attempt;
mod checkpoints;
mod cleaning;
mod coordinator;
mod driver;
mod error;
mod failover;
mod groups;
mod leadership;
mod link;
mod log;
mod membership;
mod options;
mod pending;
mod retention;
mod run;

pub use error::{Error, Recovery};
pub use options::{CoordinatorOptions, JobStatus, Request};
pub use pending::{Ack, PendingCheckpoint};
pub use run::run;
