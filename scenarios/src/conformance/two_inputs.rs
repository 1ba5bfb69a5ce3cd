//! The operators that bring several inputs together.

use super::pipeline::{Building, Flow};

pub(crate) fn build(building: &Building<'_>, _: Flow) -> Result<Flow, String> {
    Err(building.unsupported())
}
