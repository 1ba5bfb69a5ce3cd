//! What another engine does: small jobs with the output that Apache Flink recorded for them.
//!
//! ```text
//! conformance/flink/*.json ──case──▶ a job through the public API ──execute──▶ a log ──compare──▶ Outcome
//! ```
//!
//! A case is an input in steps, a pipeline, and the log of what came out. The job runs on a simulated
//! cluster of one worker, one subtask per operator; each step of the input becomes available when the
//! one before has gone through everything, so the log can say which step caused what. The format and
//! the meaning of every operator are described in `conformance/flink/README.md`.
//!
//! The operators of a pipeline are built in a file per topic: `stateless`, `windows`,
//! `functions`, `two_inputs`.

mod case;
mod compare;
mod event;
mod execute;
mod functions;
mod pipeline;
mod recorder;
mod row;
mod script;
mod stateless;
mod two_inputs;
mod windows;

pub use case::{Case, CaseError};
pub use execute::{Difference, Outcome, depends_on_interleaving, run_case, run_case_in_chaos};

/// The cases that come out otherwise unless a job asks for Flink's rule about inputs that have ended,
/// for a reason that `docs/flink-differences.md` gives.
pub const DIFFERENT: &[&str] = &["union_idle_twice", "watermark_combine_mix_r05"];
