//! Who executes: slots, deployment, restore, reporting.
//!
//! A worker registers with the coordinator, runs the subtasks it is told to, and reports what
//! becomes of them. It decides nothing about a job: it obeys the newest attempt it has heard of,
//! and what belongs to an older one is refused. A worker that slept through a failover finds out
//! with the first message it exchanges, and until then can do no harm, because nobody accepts what
//! its subtasks send.

mod deployment;
mod error;
mod link;
mod restore;
mod switchboard;
mod worker;

pub use error::Error;
pub use switchboard::{Offer, Switchboard};
pub use worker::{WorkerOptions, run};
