//! All scenarios.

pub mod aligned_sources;
pub mod blackout;
pub mod calm;
pub mod changing_hands;
pub mod chaos;
pub mod coordinator_crash;
pub mod crash_after_alignment;
pub mod crash_before_alignment;
pub mod crash_before_manifest;
pub mod crash_before_notification;
pub mod crash_during_restore;
pub mod crash_while_aligning;
pub mod deaf_coordinator;
pub mod deaf_worker;
pub mod empty_epochs;
pub mod failed_cleaning;
pub mod flaky_recovery;
pub mod flights;
pub mod forgetful_queue;
pub mod idle_and_finished_sources;
pub mod late_events;
pub mod late_uploads;
pub mod local_recovery;
pub mod lookups;
pub mod lost_abort;
pub mod lost_acknowledgement;
pub mod lost_barrier;
pub mod lost_notification;
pub mod lost_trigger;
pub mod manifest_in_doubt;
pub mod outside_ledger;
pub mod partition;
pub mod reminders;
pub mod shared_directory;
pub mod single_checkpoint;
pub mod sink_errors;
pub mod skewed_clocks;
pub mod skewed_splits;
pub mod slow_store;
pub mod stop_and_resume;
pub mod transaction_timeout;
pub mod two_coordinators;
pub mod unruly_frames;
pub mod upgrade;
pub mod upload_errors;
pub mod visits;
pub mod water_level;
pub mod worker_crash;
pub mod written_and_live;
pub mod zombie_cleanup;
pub mod zombie_commit;
pub mod zombie_worker;

use crate::Scenario;

/// Every scenario, in the order in which `list` shows them: those of a group stand together.
pub const ALL: &[&Scenario] = &[
    &flights::SCENARIO,
    &calm::SCENARIO,
    &chaos::SCENARIO,
    &crash_before_alignment::SCENARIO,
    &crash_while_aligning::SCENARIO,
    &crash_after_alignment::SCENARIO,
    &lost_trigger::SCENARIO,
    &lost_barrier::SCENARIO,
    &lost_acknowledgement::SCENARIO,
    &crash_before_manifest::SCENARIO,
    &manifest_in_doubt::SCENARIO,
    &crash_before_notification::SCENARIO,
    &lost_notification::SCENARIO,
    &worker_crash::SCENARIO,
    &crash_during_restore::SCENARIO,
    &zombie_worker::SCENARIO,
    &zombie_commit::SCENARIO,
    &zombie_cleanup::SCENARIO,
    &coordinator_crash::SCENARIO,
    &two_coordinators::SCENARIO,
    &stop_and_resume::SCENARIO,
    &upgrade::SCENARIO,
    &changing_hands::SCENARIO,
    &blackout::SCENARIO,
    &local_recovery::SCENARIO,
    &partition::SCENARIO,
    &deaf_coordinator::SCENARIO,
    &deaf_worker::SCENARIO,
    &unruly_frames::SCENARIO,
    &slow_store::SCENARIO,
    &upload_errors::SCENARIO,
    &single_checkpoint::SCENARIO,
    &flaky_recovery::SCENARIO,
    &failed_cleaning::SCENARIO,
    &late_uploads::SCENARIO,
    &late_events::SCENARIO,
    &skewed_splits::SCENARIO,
    &aligned_sources::SCENARIO,
    &idle_and_finished_sources::SCENARIO,
    &visits::SCENARIO,
    &reminders::SCENARIO,
    &skewed_clocks::SCENARIO,
    &water_level::SCENARIO,
    &written_and_live::SCENARIO,
    &empty_epochs::SCENARIO,
    &sink_errors::SCENARIO,
    &forgetful_queue::SCENARIO,
    &transaction_timeout::SCENARIO,
    &outside_ledger::SCENARIO,
    &lost_abort::SCENARIO,
    &shared_directory::SCENARIO,
    &lookups::SCENARIO,
];

/// Stories of jobs with a mistake of their author: they must fail. They are run by name only.
pub const BROKEN: &[&Scenario] = &[
    &water_level::mistakes::PLAIN_FIELDS,
    &water_level::mistakes::SHARED_BY_ALL_KEYS,
    &water_level::mistakes::MIXED_TIME_DOMAINS,
    &water_level::mistakes::WRONG_TIMER_DELETED,
    &water_level::mistakes::LEVEL_NEVER_UPDATED,
];

/// Returns the scenario `name`, also one of a job with a mistake.
pub fn find(name: &str) -> Option<&'static Scenario> {
    ALL.iter().chain(BROKEN).copied().find(|scenario| scenario.name == name)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn stories_of_a_group_stand_together_and_have_names_of_their_own() {
        let mut groups: Vec<_> = ALL.iter().map(|scenario| scenario.group).collect();
        groups.dedup();
        let distinct: BTreeSet<_> = groups.iter().copied().collect();
        assert_eq!(groups.len(), distinct.len(), "{groups:?}");
        let names: BTreeSet<_> = ALL.iter().chain(BROKEN).map(|scenario| scenario.name).collect();
        assert_eq!(names.len(), ALL.len() + BROKEN.len());
    }

    #[test]
    fn every_story_says_what_it_must_reach() {
        for scenario in ALL {
            assert!(!scenario.must_reach.is_empty(), "{} asks for nothing", scenario.name);
        }
    }
}
