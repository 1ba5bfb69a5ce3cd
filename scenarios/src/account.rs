//! What is kept of a run so that it can be told: who took part, and what happened.

use std::time::Duration;

use floodmark::{JobGraph, RuntimeEvent};
use floodmark_sim::{Chronicle, Happening, What};

/// Kinds of frames that come by the thousand. A chronicle has them only if a fault strikes them.
pub(crate) const QUIET_KINDS: &[&str] = &["records", "credit", "pulse", "watermark"];

/// Everything needed to tell a run.
#[derive(Clone, Debug)]
pub struct Account {
    /// The job.
    pub job: JobGraph,
    /// Workers of the cluster.
    pub worker_count: u16,
    /// Whether there is a second coordinator.
    pub has_standby: bool,
    /// Virtual time that passed.
    pub virtual_time: Duration,
    /// What happened.
    pub chronicle: Chronicle,
}

/// Returns what the runtime said, if it said something.
pub(crate) fn event(happening: &Happening) -> Option<&RuntimeEvent> {
    match &happening.what {
        What::Observed(observation) => observation.as_any().downcast_ref(),
        What::Crashed
        | What::Restarted { .. }
        | What::Paused
        | What::Resumed
        | What::Panicked { .. }
        | What::FaultBegan { .. }
        | What::FaultEnded { .. }
        | What::Healed
        | What::Sent { .. }
        | What::Arrived { .. }
        | What::StoreFailed { .. }
        | What::StoreChanged { .. } => None,
    }
}
