//! Stopping a job so that nothing of it is lost: with a last checkpoint, if there can be one.
//!
//! ```text
//!  Running ── stop ──▶ stopping checkpoint ── manifest ──▶ sinks commit, subtasks end ──▶ Ended
//!     │                        │                                      │
//!     └── no attempt runs ─────┴── attempt fails, or time is up ──────┴──────────────────▶ Ended
//! ```
//!
//! Stopping never waits for another attempt: whatever happens, the job ends at its newest complete
//! checkpoint, and what a sink has prepared and not committed by then is committed when the job is
//! started again.

use std::time::Duration;

use floodmark_model::RuntimeEvent;

use super::{Coordinator, Ending, Phase};

impl Coordinator {
    /// Begins to stop. A repetition changes nothing.
    pub(super) fn on_stop(&mut self, within: Duration) {
        if self.stop_by.is_some() {
            return;
        }
        match (&self.phase, &mut self.ledger) {
            (Phase::Running(_), Some(ledger)) => {
                ledger.checkpoints.on_stop(self.now);
                self.stop_by = Some(self.now + within);
            }
            // Nothing has been processed that a checkpoint could keep.
            _ => self.stop_here(),
        }
    }

    /// Stops without a last checkpoint when the time for one is up.
    pub(super) fn on_stop_time(&mut self) {
        if !self.is_ended() && self.stop_by.is_some_and(|deadline| deadline <= self.now) {
            self.stop_here();
        }
    }

    /// Ends the job at its newest complete checkpoint.
    pub(super) fn stop_here(&mut self) {
        let attempt = self.newest_attempt();
        let aborted = self.ledger.as_mut().and_then(|ledger| ledger.checkpoints.stop());
        if let Some(checkpoint) = aborted {
            let reason = "the time to stop is up".to_owned();
            self.observe(RuntimeEvent::CheckpointAborted { attempt, checkpoint, reason });
        }
        let checkpoint = self.newest_manifest().map(|manifest| manifest.checkpoint);
        self.observe(RuntimeEvent::JobStopped { checkpoint });
        self.cancel_everywhere();
        self.end(Ending::Stopped { checkpoint });
    }
}
