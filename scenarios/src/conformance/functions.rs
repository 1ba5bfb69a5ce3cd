//! The functions with state and timers, and the running aggregations.

use super::pipeline::{Building, Flow};

pub(crate) fn build(building: &Building<'_>, _: Flow) -> Result<Flow, String> {
    Err(building.unsupported())
}
