//! All scenarios.

pub mod calm;
pub mod chaos;
pub mod coordinator_crash;
pub mod flights;
pub mod late_events;
pub mod local_recovery;
pub mod lost_barrier;
pub mod partition;
pub mod two_coordinators;
pub mod worker_crash;
pub mod zombie_worker;

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
    &two_coordinators::SCENARIO,
    &local_recovery::SCENARIO,
    &late_events::SCENARIO,
    &chaos::SCENARIO,
];

/// Returns the scenario `name`.
pub fn find(name: &str) -> Option<&'static Scenario> {
    ALL.iter().copied().find(|scenario| scenario.name == name)
}
