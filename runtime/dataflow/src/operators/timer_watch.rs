//! What operators tell of their timers to those who watch.

use floodmark_model::{Attempt, RuntimeEvent, SubtaskId, TimeDomain, Timestamp};
use floodmark_platform::Machine;
use floodmark_state::Key;
use floodmark_wire::key_hash;

use crate::chain::OpenContext;

/// Tells of the timers of one operator. Without anybody who watches it costs a look at a flag.
pub(crate) struct TimerWatch {
    machine: Machine,
    attempt: Attempt,
    subtask: SubtaskId,
    operator: String,
}

impl TimerWatch {
    /// Watches the operator `uid`, and tells at which event time it begins.
    pub(crate) fn new(uid: &str, cx: &OpenContext<'_>) -> Self {
        let (attempt, subtask, watermark) = (cx.attempt, cx.subtask, cx.watermark);
        cx.machine.observe(|| RuntimeEvent::EventTimeRestored {
            attempt,
            subtask,
            operator: uid.to_owned(),
            watermark,
        });
        let machine = cx.machine.clone();
        Self { machine, attempt, subtask, operator: uid.to_owned() }
    }

    /// Returns whether anybody hears what is told.
    pub(crate) fn is_watched(&self) -> bool {
        self.machine.is_observed()
    }

    pub(crate) fn on_register<N: Key>(&mut self, domain: TimeDomain, time: Timestamp, owner: &N) {
        let Self { machine, attempt, subtask, operator } = self;
        machine.observe(|| RuntimeEvent::TimerRegistered {
            attempt: *attempt,
            subtask: *subtask,
            operator: operator.clone(),
            domain,
            time,
            key: key_hash(owner),
        });
    }

    pub(crate) fn on_delete<N: Key>(&mut self, domain: TimeDomain, time: Timestamp, owner: &N) {
        let Self { machine, attempt, subtask, operator } = self;
        machine.observe(|| RuntimeEvent::TimerDeleted {
            attempt: *attempt,
            subtask: *subtask,
            operator: operator.clone(),
            domain,
            time,
            key: key_hash(owner),
        });
    }

    /// Tells that the timer at `time` fires, because time has reached `now`.
    pub(crate) fn on_fire<N: Key>(
        &mut self,
        domain: TimeDomain,
        (time, now): (Timestamp, Timestamp),
        owner: &N,
    ) {
        let Self { machine, attempt, subtask, operator } = self;
        machine.observe(|| RuntimeEvent::TimerFired {
            attempt: *attempt,
            subtask: *subtask,
            operator: operator.clone(),
            domain,
            time,
            key: key_hash(owner),
            now,
        });
    }
}
