//! The coordinator dies between the last acknowledgement and the manifest, or between the manifest
//! and the notification, and comes back with a higher term.
//!
//! Or it dies just after a trigger, and leaves no trace of the checkpoint it began: the next term must
//! not use its id again. Its last write may land after its death. Whether it did is decided by the log alone, and workers
//! that still run the old attempt are stopped by the first message of the new term.

use std::time::Duration;

use floodmark_sim::FaultPlan;

use crate::{
    Draw, Group, Scenario, cluster,
    faults::{after, crash},
    jobs::{flights, transfers, word_count},
    probes,
};

/// The story above.
pub const SCENARIO: Scenario = Scenario {
    name: "coordinator_crash",
    group: Group::Process,
    tells: "the coordinator dies around the trigger or the commit of a checkpoint, and returns",
    jobs: &[&flights::JOB, &transfers::JOB, &word_count::JOB],
    size: 1_200,
    worker_count: 3,
    faults: |seed| {
        let draw = Draw::new(seed);
        let moments =
            [("checkpoint_acknowledged", 5), ("manifest_stored", 2), ("checkpoint_triggered", 3)];
        let moment = usize::try_from(draw.below("moment", 3)).expect("below 3");
        let (label, occurrence) = moments[moment];
        let down = draw.millis("down", 50, 2_000);
        let crash = crash(cluster::COORDINATOR.to_owned(), down);
        FaultPlan(vec![after(label, occurrence, draw.millis("delay", 0, 6), crash)])
    },
    must_reach: &[probes::SECOND_TERM, probes::RESTORED],
    finishes_within: Duration::from_secs(60),
    checkpoints: |drawn| drawn,
    standby_after: None,
    stops_after: None,
};
