//! Every record that a window operator received was accepted, sent to the late output, or counted
//! as dropped.

use floodmark::RuntimeEvent;

use super::{Check, Names};

/// Adds up the counters of window operators.
#[derive(Debug)]
pub struct Conservation {
    names: Names,
}

impl Conservation {
    /// Creates the check.
    pub fn new(names: Names) -> Self {
        Self { names }
    }
}

impl Check for Conservation {
    fn name(&self) -> &'static str {
        "conservation"
    }

    fn on_event(&mut self, _: &str, event: &RuntimeEvent) -> Result<(), String> {
        let RuntimeEvent::RecordsCounted {
            attempt,
            subtask,
            operator,
            received,
            accepted,
            late,
            dropped,
        } = event
        else {
            return Ok(());
        };
        if *received == accepted + late + dropped {
            return Ok(());
        }
        Err(format!(
            "{operator} in {} in {attempt} received {received} records: {accepted} accepted, \
             {late} late, {dropped} dropped",
            self.names.of(*subtask),
        ))
    }
}
