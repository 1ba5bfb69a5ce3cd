//! Work changes hands with every restart: what one subtask counts, another one goes on counting. They
//! know it from a union list, of which every subtask restores the parts of all. Each seed draws its
//! own mix of faults, so parts are read from disks and from the store, and by few workers or many.

use std::time::Duration;

use crate::{Group, Scenario, faults, jobs::shares, probes};

/// The story above.
pub const SCENARIO: Scenario = Scenario {
    name: "changing_hands",
    group: Group::Process,
    tells: "with every restart subtasks take over what others have counted, under a mix of faults",
    jobs: &[&shares::JOB],
    size: 1_000,
    worker_count: 3,
    faults: |seed| faults::swarm(seed, 3),
    must_reach: &[
        probes::RESTORED,
        probes::WORKER_LOST,
        probes::SECOND_TERM,
        probes::CHECKPOINT_ABORTED,
        probes::UNION_RESTORED,
        probes::UNION_RESTORED_AGAIN,
    ],
    finishes_within: Duration::from_secs(60),
    checkpoints: |drawn| drawn,
    standby_after: None,
    stops_after: None,
};
