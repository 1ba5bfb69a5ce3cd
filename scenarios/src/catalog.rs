//! All scenarios.

mod calm;
mod chaos;
mod coordinator_crash;
mod flights;
mod late_events;
mod lost_barrier;
mod partition;
mod worker_crash;
mod zombie_worker;

use crate::Scenario;

/// Every scenario, in the order in which `list` shows them.
pub const ALL: &[&Scenario] = &[
    &flights::SCENARIO,
    &calm::SCENARIO,
    &worker_crash::SCENARIO,
    &coordinator_crash::SCENARIO,
    &lost_barrier::SCENARIO,
    &partition::SCENARIO,
    &zombie_worker::SCENARIO,
    &late_events::SCENARIO,
    &chaos::SCENARIO,
];

/// Returns the scenario `name`.
pub fn find(name: &str) -> Option<&'static Scenario> {
    ALL.iter().copied().find(|scenario| scenario.name == name)
}
