//! Workloads that measure the speed of the runtime, beside loops that do the same work by hand.
//!
//! Every workload has two forms: a [job](Workload::measure) on the real machine, with checkpoints, and
//! a [loop](Workload::measure_loop) on one thread. Both must come to the same [`Tally`]. What the
//! runtime costs is the ratio of their times, taken on one machine.

mod ends;
mod events;
mod jobs;
mod loops;
mod meter;
mod remote;
mod simulation;
mod tally;

use std::{path::Path, sync::Arc, time::Duration};

use floodmark::{CheckpointConfig, Environment, Error, RestartStrategy};

use self::{ends::Board, events::WORDS_PER_LINE, jobs::Ends};
pub use self::{
    events::{Dictionary, Event, rnd},
    meter::{Marks, Meter, Reading, clocks, memory_peak_kib},
    remote::PartOptions,
    simulation::{SimulationSpeed, measure_simulation},
    tally::{Tally, row},
};

/// Work that can be done by the runtime and by hand.
pub struct Workload {
    /// Its name on the command line.
    pub name: &'static str,
    /// What it does, in a few words.
    pub tells: &'static str,
    /// How many events it is measured with when nothing else is said.
    pub event_count: u64,
    /// How many keys the events have.
    pub key_count: u64,
    /// The loop, of a number of events and of keys.
    by_hand: fn(u64, u64) -> Tally,
    /// The job, unless the runtime cannot do it.
    job: Option<fn(&Environment, &Ends)>,
}

/// All workloads, those that need less of the runtime first.
pub const WORKLOADS: &[Workload] = &[
    Workload {
        name: "gen",
        tells: "source and sink only",
        event_count: 2_000_000,
        key_count: 1_000_000,
        by_hand: loops::generate,
        job: Some(jobs::generate),
    },
    Workload {
        name: "w1",
        tells: "map and filter",
        event_count: 2_000_000,
        key_count: 1_000_000,
        by_hand: loops::map_and_filter,
        job: Some(jobs::map_and_filter),
    },
    Workload {
        name: "w2_1k",
        tells: "running count and sum of 1 000 keys, a row per event",
        event_count: 1_000_000,
        key_count: 1_000,
        by_hand: loops::running_total,
        job: Some(jobs::running_total),
    },
    Workload {
        name: "w2_1m",
        tells: "running count and sum of 1 000 000 keys, a row per event",
        event_count: 1_000_000,
        key_count: 1_000_000,
        by_hand: loops::running_total,
        job: Some(jobs::running_total),
    },
    Workload {
        name: "w3",
        tells: "sum and count of 10 000 keys in tumbling windows of 1 s",
        event_count: 1_000_000,
        key_count: 10_000,
        by_hand: loops::tumbling,
        job: Some(jobs::tumbling),
    },
    Workload {
        name: "w3_100",
        tells: "sum and count of 100 keys in tumbling windows of 1 s",
        event_count: 1_000_000,
        key_count: 100,
        by_hand: loops::tumbling,
        job: Some(jobs::tumbling),
    },
    Workload {
        name: "w4",
        tells: "sum and count of 10 000 keys in windows of 10 s, sliding by 1 s",
        event_count: 200_000,
        key_count: 10_000,
        by_hand: loops::sliding,
        job: Some(jobs::sliding),
    },
    Workload {
        name: "w5",
        tells: "sum and count of 10 000 keys in sessions",
        event_count: 500_000,
        key_count: 10_000,
        by_hand: loops::sessions,
        job: Some(jobs::sessions),
    },
    Workload {
        name: "w6",
        tells: "word count, a row per word",
        event_count: 1_000_000,
        key_count: 10_000,
        by_hand: loops::word_count,
        job: Some(jobs::word_count),
    },
];

/// How a job is measured.
#[derive(Clone, Debug)]
pub struct MeasureOptions {
    /// Events of the whole job.
    pub event_count: u64,
    /// Subtasks per operator.
    pub parallelism: u16,
    /// Time between checkpoints; without it there are none.
    pub checkpoint_interval: Option<Duration>,
    /// Records that travel together.
    pub batch_size: usize,
}

/// What a run came to.
#[derive(Clone, Copy, Debug)]
pub struct Measurement {
    /// The rows.
    pub tally: Tally,
    /// What the meter counted from the first event to the last row.
    pub whole: Reading,
    /// What it counted in the second half of the events.
    pub second_half: Reading,
    /// Epochs that a sink committed, which are checkpoints; 1 without checkpoints.
    pub epoch_count: u64,
}

impl Workload {
    /// Returns the workload of this name.
    pub fn find(name: &str) -> Option<&'static Self> {
        WORKLOADS.iter().find(|workload| workload.name == name)
    }

    /// Returns whether the runtime can do it.
    pub fn has_job(&self) -> bool {
        self.job.is_some()
    }

    /// Does the work in a loop of one thread, and reads `meter` before and after.
    pub fn measure_loop(&self, event_count: u64, meter: Meter) -> Measurement {
        // What is built once is built before the clock starts.
        (self.by_hand)(WORDS_PER_LINE, self.key_count);
        let marks = Marks::new(meter);
        marks.begin();
        marks.half();
        let tally = (self.by_hand)(event_count, self.key_count);
        marks.end();
        let (whole, second_half) = (marks.whole(), marks.second_half());
        Measurement { tally, whole, second_half, epoch_count: 1 }
    }

    /// Does the work as a job on threads of this process, with checkpoints below `directory`, and reads
    /// `meter` on the way.
    ///
    /// # Errors
    ///
    /// When the job cannot be started, or fails.
    ///
    /// # Panics
    ///
    /// When the runtime has no job for the workload, or no threads can be started.
    pub fn measure(
        &self,
        options: &MeasureOptions,
        directory: &Path,
        meter: Meter,
    ) -> Result<Measurement, Error> {
        let Job { env, marks, board } = self.job(options, directory, Place::Here, meter);
        threads().block_on(async { env.execute(self.name).await?.wait().await })?;
        Ok(Measurement {
            tally: board.total(),
            whole: marks.whole(),
            second_half: marks.second_half(),
            epoch_count: board.epoch_count(),
        })
    }

    /// Returns the job, and where its results will be.
    fn job(&self, options: &MeasureOptions, directory: &Path, place: Place, meter: Meter) -> Job {
        let build = self.job.expect("asked only of workloads that have a job");
        let marks = Arc::new(Marks::new(meter));
        let board = Arc::new(Board::default());
        let MeasureOptions { event_count, parallelism, checkpoint_interval, batch_size } = *options;
        let mut env = Environment::new()
            .parallelism(parallelism)
            .batch_size(batch_size)
            .restart(RestartStrategy::None)
            .storage(&directory.display().to_string());
        if let Some(interval) = checkpoint_interval {
            env = env.checkpoints(CheckpointConfig::every(interval));
        }
        build(
            &env,
            &Ends {
                count: event_count,
                key_count: self.key_count,
                batch_size,
                is_apart: place == Place::Apart,
                marks: marks.clone(),
                board: board.clone(),
            },
        );
        Job { env, marks, board }
    }
}

/// Where the two sides of the exchange are.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Place {
    /// In one process.
    Here,
    /// In two.
    Apart,
}

/// A job that is ready to run.
struct Job {
    env: Environment,
    marks: Arc<Marks>,
    board: Arc<Board>,
}

fn threads() -> tokio::runtime::Runtime {
    let threads = tokio::runtime::Builder::new_multi_thread().enable_all().build();
    threads.expect("the system has threads to give")
}
