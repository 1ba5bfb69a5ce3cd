//! What a scenario is: a cluster, a job, faults, and situations that must be reached.

use std::{num::NonZeroU32, time::Duration};

use floodmark::{CheckpointConfig, Environment};
use floodmark_sim::FaultPlan;

use crate::{
    Probe, cluster,
    jobs::{ScenarioJob, mix},
};

/// A story that the simulator tells, once per seed.
pub struct Scenario {
    /// Its name on the command line.
    pub name: &'static str,
    /// What it is about, in the catalog.
    pub group: Group,
    /// The story in one sentence.
    pub tells: &'static str,
    /// The jobs it is told with; a seed chooses one.
    pub jobs: &'static [&'static ScenarioJob],
    /// Records of input.
    pub size: usize,
    /// Workers at the start. Each has slots enough that one may be missing.
    pub worker_count: u16,
    /// What goes wrong, as the seed decides.
    pub faults: fn(seed: u64) -> FaultPlan,
    /// Situations that at least one seed of a sweep must meet.
    pub must_reach: &'static [Probe],
    /// Simulated time in which the job must be done, once nothing goes wrong any more.
    pub finishes_within: Duration,
    /// How the job's checkpoints differ from what the seed draws.
    pub checkpoints: fn(CheckpointConfig) -> CheckpointConfig,
    /// When a second coordinator is started beside the first, if the story has one.
    pub standby_after: Option<fn(seed: u64) -> Duration>,
    /// When the job is asked to stop, to be started again, if the story has that.
    pub stops_after: Option<fn(seed: u64) -> Duration>,
}

/// What a story is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Group {
    /// Nothing in particular: calm, and everything at once.
    Whole,
    /// What passes through a checkpoint, from the trigger to the notification.
    Checkpoint,
    /// Processes that die, sleep, and come back.
    Process,
    /// What becomes of frames.
    Network,
    /// What becomes of objects.
    Storage,
    /// Clocks and event time.
    Time,
    /// Where records enter and leave.
    Edge,
}

/// A number that a seed decides, by name: naming another one does not change it.
#[derive(Clone, Copy, Debug)]
pub struct Draw(u64);

impl Draw {
    /// Begins to draw for `seed`.
    pub fn new(seed: u64) -> Self {
        Self(mix(seed))
    }

    /// Returns a number below `bound`.
    pub fn below(self, name: &str, bound: u64) -> u64 {
        let named = name.bytes().fold(self.0, |hash, byte| mix(hash ^ u64::from(byte)));
        named % bound
    }

    /// Returns a duration in `min..max`, in whole milliseconds.
    pub fn millis(self, name: &str, min: u64, max: u64) -> Duration {
        Duration::from_millis(min + self.below(name, max - min))
    }

    /// Returns whether something with this probability in percent happens.
    pub fn percent(self, name: &str, probability: u64) -> bool {
        self.below(name, 100) < probability
    }
}

impl Group {
    /// Returns the group's name, for people.
    pub fn title(self) -> &'static str {
        match self {
            Self::Whole => "the whole",
            Self::Checkpoint => "the life of a checkpoint",
            Self::Process => "processes",
            Self::Network => "the network",
            Self::Storage => "the object store",
            Self::Time => "time",
            Self::Edge => "sources and sinks",
        }
    }
}

impl Scenario {
    /// Returns the job that `seed` chooses.
    pub fn job(&self, seed: u64) -> &'static ScenarioJob {
        let index = Draw::new(seed).below("job", self.jobs.len() as u64);
        self.jobs[usize::try_from(index).expect("there are few jobs")]
    }

    /// Returns the subtasks per operator that `seed` chooses.
    pub fn parallelism(&self, seed: u64) -> u16 {
        let drawn = Draw::new(seed).below("parallelism", 4);
        1 + u16::try_from(drawn).expect("below 4")
    }

    /// Returns whether operators of one subtask each run as one. Mostly not: with an exchange between
    /// them there is more that can go wrong.
    pub(crate) fn chains_exchanges(&self, seed: u64) -> bool {
        Draw::new(seed).percent("chained", 25)
    }

    /// Returns the options of the job; the seed varies what no result may depend on.
    pub fn environment(&self, seed: u64) -> Environment {
        let draw = Draw::new(seed);
        let batch_size = usize::try_from(1 + draw.below("batch", 64)).expect("at most 64");
        let interval = draw.millis("interval", 150, 600);
        let retained = u32::try_from(1 + draw.below("retained", 3)).expect("at most 3");
        let retained = NonZeroU32::new(retained).expect("at least 1");
        let checkpoints = CheckpointConfig::every(interval).retain(retained);
        cluster::environment((self.checkpoints)(cluster::impatient(checkpoints)))
            .parallelism(self.parallelism(seed))
            .key_groups(16)
            .batch_size(batch_size)
            .chain_exchanges(self.chains_exchanges(seed))
            .storage("checkpoints")
    }
}
