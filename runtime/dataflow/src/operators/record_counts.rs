//! Where the records of an operator with windows have gone.

use floodmark_model::{Attempt, RuntimeEvent, SubtaskId, Timestamp};
use floodmark_platform::Machine;
use floodmark_state::{Data, Snapshot, freeze_value};
use serde::{Deserialize, Serialize};

use crate::{
    Error, OutputTag,
    chain::{Emitter, OpenContext},
};

/// Counts records since the job began, and tells those who watch at every snapshot. Every record that
/// was received was accepted, was late, or was dropped because nobody wants late ones.
pub(super) struct RecordCounts {
    machine: Machine,
    attempt: Attempt,
    subtask: SubtaskId,
    operator: String,
    /// The name under which the counts are kept.
    name: &'static str,
    counts: Counts,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
struct Counts {
    received: u64,
    accepted: u64,
    late: u64,
    dropped: u64,
}

impl RecordCounts {
    /// Goes on with what was counted for the operator `uid` under `name`.
    pub(super) fn restore(
        uid: &str,
        name: &'static str,
        cx: &mut OpenContext<'_>,
    ) -> Result<Self, Error> {
        Ok(Self {
            machine: cx.machine.clone(),
            attempt: cx.attempt,
            subtask: cx.subtask,
            operator: uid.to_owned(),
            name,
            counts: cx.restored.take_value(uid, name)?.unwrap_or_default(),
        })
    }

    /// Counts records that have come, none of which is late as far as is known.
    pub(super) fn on_received(&mut self, count: usize) {
        self.counts.received += count as u64;
        self.counts.accepted += count as u64;
    }

    /// Counts one of them as one for whose window it is too late, and hands it on if someone wants it.
    #[cold]
    pub(super) fn on_late<T: Data, O: Data>(
        &mut self,
        late_to: Option<OutputTag<T>>,
        timestamp: Timestamp,
        value: T,
        out: &mut Emitter<O>,
    ) {
        self.counts.accepted -= 1;
        match late_to {
            Some(tag) => {
                self.counts.late += 1;
                out.emit_to(tag, timestamp, value);
            }
            None => self.counts.dropped += 1,
        }
    }

    /// Adds the counts to a snapshot, and tells them.
    pub(super) fn freeze(&self, snapshot: &mut Snapshot) {
        snapshot.add(freeze_value(&self.operator, self.name, self.counts));
        let Counts { received, accepted, late, dropped } = self.counts;
        self.machine.observe(|| RuntimeEvent::RecordsCounted {
            attempt: self.attempt,
            subtask: self.subtask,
            operator: self.operator.clone(),
            received,
            accepted,
            late,
            dropped,
        });
    }
}
