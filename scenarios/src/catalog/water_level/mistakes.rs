//! The story of the alarms, with a mistake of its author in each: these must fail.
//!
//! They are not in the list of scenarios, and no sweep runs them unless it is told their name.

use super::SCENARIO;
use crate::{Scenario, jobs::water_level::mistakes};

/// A crash forgets what only the function knew.
pub const PLAIN_FIELDS: Scenario = Scenario {
    name: "water_level_plain_fields",
    tells: "a user's mistake: level and timer are in plain fields, and a crash forgets them",
    jobs: &[&mistakes::PLAIN_FIELDS],
    ..SCENARIO
};

/// Gauges call off each other's alarms.
pub const SHARED_BY_ALL_KEYS: Scenario = Scenario {
    name: "water_level_shared_by_all_keys",
    tells: "a user's mistake: one level and one timer for all gauges",
    jobs: &[&mistakes::SHARED_BY_ALL_KEYS],
    ..SCENARIO
};

/// A second of event time is not a second on any clock.
pub const MIXED_TIME_DOMAINS: Scenario = Scenario {
    name: "water_level_mixed_time_domains",
    tells: "a user's mistake: what is due in event time is set on the clock of the node",
    jobs: &[&mistakes::MIXED_TIME_DOMAINS],
    ..SCENARIO
};

/// An alarm is not called off.
pub const WRONG_TIMER_DELETED: Scenario = Scenario {
    name: "water_level_wrong_timer_deleted",
    tells: "a user's mistake: a fall deletes the timer of another time",
    jobs: &[&mistakes::WRONG_TIMER_DELETED],
    ..SCENARIO
};

/// Every high reading is taken for a rise.
pub const LEVEL_NEVER_UPDATED: Scenario = Scenario {
    name: "water_level_level_never_updated",
    tells: "a user's mistake: the last level is never written",
    jobs: &[&mistakes::LEVEL_NEVER_UPDATED],
    ..SCENARIO
};
