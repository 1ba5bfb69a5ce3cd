//! What a run tells when it is over.

use std::{
    collections::BTreeSet,
    fmt,
    path::{Path, PathBuf},
    time::Duration,
};

use floodmark_sim::{FaultPlan, Tape};
use serde::Serialize;

use crate::{Account, Shape, Situation, Story, story};

/// The end of a run.
#[derive(Clone, Debug)]
pub struct RunReport {
    /// The scenario that was run.
    pub scenario: &'static str,
    /// The seed it was run with.
    pub seed: u64,
    /// How cluster and input differed from the scenario's.
    pub shape: Shape,
    /// Whether choices that the tape does not make go the plain way.
    pub is_plain: bool,
    /// The recording that was replayed, if one was.
    pub recording: Option<PathBuf>,
    /// The hash over everything that happened.
    pub hash: u128,
    /// Simulated time that passed.
    pub virtual_time: Duration,
    /// Events of the simulated world.
    pub event_count: u64,
    /// What was counted.
    pub counts: Counts,
    /// Names of the probes that were reached.
    pub reached: BTreeSet<&'static str>,
    /// The situations that were reached.
    pub situations: BTreeSet<Situation>,
    /// What went wrong, and when.
    pub faults: FaultPlan,
    /// Every choice that was made, if the run was recorded.
    pub tape: Tape,
    /// Everything needed to tell the run, if that was asked for.
    pub account: Option<Account>,
    /// The promise that was broken, if one was.
    pub failure: Option<Failure>,
}

/// What happened how often.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Counts {
    /// Faults of the plan.
    pub faults: u64,
    /// Attempts that were started from a checkpoint.
    pub recoveries: u64,
    /// Attempts that were started.
    pub attempts: u64,
    /// Checkpoints that were completed.
    pub checkpoints: u64,
    /// Output lines that were compared.
    pub lines: u64,
}

/// A broken promise.
#[derive(Clone, Debug, Serialize)]
pub struct Failure {
    /// The check that spoke.
    pub check: String,
    /// Its reason, with ids.
    pub reason: String,
    /// Simulated time of the failure.
    #[serde(skip)]
    pub at: Duration,
    /// Whether it is the run without faults that broke it, and not the one it is compared with.
    #[serde(skip)]
    pub is_comparison: bool,
    /// What led to it, in words.
    #[serde(skip)]
    pub story: Option<Story>,
    /// The last events before it, in words.
    pub log: Vec<String>,
}

/// The commit that the binary was built from; a seed means nothing without it.
pub const COMMIT: &str = match option_env!("FLOODMARK_COMMIT") {
    Some(commit) => commit,
    None => "unknown",
};

/// Returns the command that runs a seed.
pub(crate) fn command(scenario: &str, seed: u64) -> String {
    let (features, plant) = planting();
    format!("cargo run --release {features}-- run {scenario} --seed {seed}{plant}")
}

/// Returns the command that does something (`replay`, `shrink`) with a recording.
pub fn replay_command(verb: &str, path: &Path) -> String {
    let (features, plant) = planting();
    format!("cargo run --release {features}-- {verb} {}{plant}", path.display())
}

impl RunReport {
    /// Returns the command that repeats the run: a recording may hold less than its seed.
    pub fn command(&self) -> String {
        match &self.recording {
            Some(path) => replay_command("replay", path),
            None => command(self.scenario, self.seed),
        }
    }

    /// Returns what happened in words, if there is an account of the run.
    pub fn story(&self) -> Option<Story> {
        let told = self.failure.as_ref().and_then(|failure| failure.story.clone());
        told.or_else(|| Some(Story::new(self.account.as_ref()?, self.failure.as_ref())))
    }

    /// Returns the run as one JSON object.
    pub fn to_json(&self) -> serde_json::Value {
        let Self { scenario, seed, counts, failure, reached, .. } = self;
        serde_json::json!({
            "scenario": scenario,
            "seed": seed,
            "commit": COMMIT,
            "ok": failure.is_none(),
            "hash": format!("{:032x}", self.hash),
            "virtual_ms": u64::try_from(self.virtual_time.as_millis()).unwrap_or(u64::MAX),
            "events": self.event_count,
            "counts": counts,
            "reached": reached,
            "failure": failure.as_ref().map(|failure| serde_json::json!({
                "check": failure.check,
                "reason": failure.reason,
                "comparison": failure.is_comparison,
                "at_ms": u64::try_from(failure.at.as_millis()).unwrap_or(u64::MAX),
                "story": failure.story.as_ref().map(|story| story.to_string()),
                "log": failure.log,
            })),
            "command": self.command(),
        })
    }
}

/// Returns what a command has to say, before and after its `--`, to plant the bug that is planted.
#[cfg(feature = "planted-bugs")]
pub(crate) fn planting() -> (&'static str, String) {
    match floodmark::platform::planted() {
        Some(bug) => ("--features planted-bugs ", format!(" --plant {bug:?}")),
        None => ("", String::new()),
    }
}

/// Returns nothing: no bug can be planted.
#[cfg(not(feature = "planted-bugs"))]
pub(crate) fn planting() -> (&'static str, String) {
    ("", String::new())
}

/// A failure ends with the command that runs it again, ready to paste. The alternate form has the
/// last events besides the story.
impl fmt::Display for RunReport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { scenario, seed, counts, .. } = self;
        let seconds = self.virtual_time.as_secs_f64();
        let Some(Failure { check, reason, at, is_comparison, story, log }) = &self.failure else {
            let Counts { faults, attempts, checkpoints, lines, .. } = counts;
            return write!(
                f,
                "ok {scenario}, seed {seed}: {lines} lines exactly once; {faults} faults, \
                 {attempts} attempts, {checkpoints} checkpoints in {seconds:.3} s of simulated \
                 time\n  hash {:032x}",
                self.hash
            );
        };
        writeln!(f, "FAILED {scenario}, seed {seed}, commit {COMMIT}")?;
        let place = if *is_comparison { " (in the run without faults)" } else { "" };
        writeln!(f, "  {check}{place}: {}", story::with_dates(reason))?;
        writeln!(
            f,
            "  at {:.3} s of simulated time, event {}",
            at.as_secs_f64(),
            self.event_count
        )?;
        writeln!(f, "  faults:")?;
        for fault in &self.faults.0 {
            writeln!(f, "    {}", story::fault_in_words(fault))?;
        }
        if let Some(story) = story {
            writeln!(f, "  the story:")?;
            for line in story.to_string().lines() {
                writeln!(f, "  {line}")?;
            }
        }
        if f.alternate() || story.is_none() {
            writeln!(f, "  the last events:")?;
            for line in log {
                writeln!(f, "    {line}")?;
            }
        }
        write!(f, "  {}", self.command())
    }
}
