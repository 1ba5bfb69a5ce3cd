//! The speed of the simulator: whole clusters per second, and what the checks take of it.

use std::time::Duration;

use floodmark::CheckpointConfig;
use floodmark_sim::{Fault, FaultPlan};
use serde::Serialize;

use super::meter::{Meter, Reading};
use crate::{
    Draw, Group, RunOptions, Scenario, Shape, cluster,
    faults::{at, crash, frames},
    jobs::transfers,
    run,
};

const RECORD_COUNT: usize = 2_000;
const WORKER_COUNT: u16 = 3;
const PARALLELISM: u16 = 3;
const FAULT_COUNT: u64 = 3;
const CHECKPOINT_COUNT_MIN: u64 = 3;

/// A cluster of ordinary size in which a worker dies, a barrier is lost and a worker cannot be reached
/// for a while. It tells nothing that the catalog does not tell; it is there to be timed.
static STANDARD: Scenario = Scenario {
    name: "standard",
    group: Group::Whole,
    tells: "a worker dies, a barrier is lost, and a worker cannot be reached for a while",
    jobs: &[&transfers::JOB],
    size: RECORD_COUNT,
    worker_count: WORKER_COUNT,
    faults: |seed| {
        let draw = Draw::new(seed);
        let lasts = Duration::from_millis(700);
        let barrier = Fault::Lose { link: frames("barrier"), per_mille: 1_000, limit: 1, lasts };
        let partition = Fault::Partition {
            from: vec![cluster::worker(2)],
            to: vec![cluster::COORDINATOR.to_owned(), cluster::worker(3)],
            direction: floodmark_sim::Direction::Both,
            lasts,
        };
        FaultPlan(vec![
            at(draw.millis("crash", 300, 1_000), crash(cluster::worker(1), lasts)),
            at(draw.millis("barrier", 1_000, 2_000), barrier),
            at(draw.millis("partition", 2_000, 3_000), partition),
        ])
    },
    must_reach: &[],
    finishes_within: Duration::from_secs(60),
    checkpoints: |drawn| CheckpointConfig { interval: Duration::from_millis(300), ..drawn },
    standby_after: None,
    stops_after: None,
};

/// How fast the standard scenario runs.
#[derive(Clone, Copy, Debug, Serialize)]
pub struct SimulationSpeed {
    /// Runs of each kind.
    pub run_count: u64,
    /// Whole clusters per second of computing, with all checks.
    pub runs_per_second: f64,
    /// Simulated time per computing time.
    pub speed_up: f64,
    /// Events of the simulated world per second of computing.
    pub events_per_second: f64,
    /// The part of a run's computing that is done by the checks.
    pub check_share: f64,
    /// Runs per second as a sweep does them: each is compared with a run without faults.
    pub compared_runs_per_second: f64,
    /// Checkpoints that a run completed, on average.
    pub checkpoints_per_run: f64,
    /// Records of input of each run.
    pub record_count: usize,
    /// Workers of each run.
    pub worker_count: u16,
    /// Subtasks per operator.
    pub parallelism: u16,
    /// Faults of each run.
    pub fault_count: u64,
}

/// What the runs of one kind came to.
#[derive(Default)]
struct Total {
    computed: u64,
    virtual_time: Duration,
    events: u64,
    checkpoints: u64,
}

impl Total {
    fn run(&mut self, seed: u64, options: &RunOptions, meter: Meter) -> Result<(), String> {
        let begin = meter();
        let report = run(&STANDARD, seed, options);
        let Reading([_, computed]) = meter() - begin;
        if let Some(failure) = report.failure {
            return Err(format!("seed {seed}: {}: {}", failure.check, failure.reason));
        }
        let (checkpoints, faults) = (report.counts.checkpoints, report.counts.faults);
        if checkpoints < CHECKPOINT_COUNT_MIN || faults != FAULT_COUNT {
            return Err(format!("seed {seed}: {checkpoints} checkpoints, {faults} faults"));
        }
        self.computed += computed;
        self.virtual_time += report.virtual_time;
        self.events += report.event_count;
        self.checkpoints += checkpoints;
        Ok(())
    }

    fn seconds(&self) -> f64 {
        Duration::from_nanos(self.computed).as_secs_f64()
    }
}

/// Runs the standard scenario with `run_count` seeds, one after the other, in three ways that take
/// turns: without checks, with checks, and as a sweep does it.
///
/// # Errors
///
/// When a run is red, or is not what the standard scenario should be.
#[expect(clippy::cast_precision_loss, reason = "speeds are shown with a few digits")]
pub fn measure_simulation(run_count: u64, meter: Meter) -> Result<SimulationSpeed, String> {
    let shape = Shape { parallelism: Some(PARALLELISM), ..Shape::default() };
    let compared = RunOptions { shape, ..RunOptions::default() };
    let checked = RunOptions { is_alone: true, ..compared.clone() };
    let unchecked = RunOptions { is_unchecked: true, ..checked.clone() };
    let mut totals = [Total::default(), Total::default(), Total::default()];
    // The first run pays for what is done once.
    run(&STANDARD, u64::MAX, &compared);
    for seed in 0..run_count {
        for (options, total) in [&unchecked, &checked, &compared].into_iter().zip(&mut totals) {
            total.run(seed, options, meter)?;
        }
    }
    let [unchecked, checked, compared] = totals;
    let per_second = |count: u64, total: &Total| count as f64 / total.seconds();
    Ok(SimulationSpeed {
        run_count,
        runs_per_second: per_second(run_count, &checked),
        speed_up: checked.virtual_time.as_secs_f64() / checked.seconds(),
        events_per_second: per_second(checked.events, &checked),
        check_share: 1.0 - unchecked.seconds() / checked.seconds(),
        compared_runs_per_second: per_second(run_count, &compared),
        checkpoints_per_run: checked.checkpoints as f64 / run_count as f64,
        record_count: RECORD_COUNT,
        worker_count: WORKER_COUNT,
        parallelism: PARALLELISM,
        fault_count: FAULT_COUNT,
    })
}
