//! A simulated cluster: a coordinator and workers on nodes that can be killed, and a job on them.

use std::{
    collections::{BTreeMap, BTreeSet},
    future::{pending, poll_fn},
    pin::pin,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    task::Poll,
    time::Duration,
};

use bytes::Bytes;
use floodmark::{
    CheckpointConfig, ClusterConfig, Environment, Error, Job, JobStatus, LocalCopies,
    RestartStrategy, RuntimeEvent,
    platform::{Address, BoxFuture, Machine},
};
use floodmark_sim::{FaultPlan, LogEntry, RunError, RunOptions, Seed, Tape, World};

use crate::{
    Account, Counts, Probe, Progress, Sighting, Situation,
    account::QUIET_KINDS,
    checks::{self, Check},
    jobs::{Lines, outside::OutsideSystem},
    situations::Steps,
};

/// The node that coordinates.
pub const COORDINATOR: &str = "coordinator";

/// The node of a second coordinator, in stories that have one.
pub const STANDBY: &str = "standby";

/// The port on which coordinators listen.
const COORDINATOR_PORT: u16 = 7000;

/// Slots of a worker: enough that the others can take over when one is lost.
const SLOT_COUNT: u32 = 2;

/// Time in which a job that is asked to stop must take its last checkpoint.
const STOP_WITHIN: Duration = Duration::from_millis(2_500);

/// Pause before a process that ended is started again.
const SUPERVISOR_PAUSE: Duration = Duration::from_millis(300);

/// Virtual time after which everything heals, whatever the plan says.
const HEAL_AT: Duration = Duration::from_secs(12);

/// Virtual time in which a job that has ended must have cleaned up after itself.
const CLEANS_WITHIN: Duration = Duration::from_secs(20);

/// Events that a failure shows.
const SHOWN_EVENT_COUNT: usize = 25;

/// How often the story looks whether the job has ended.
const LOOK_INTERVAL: Duration = Duration::from_millis(50);

/// Returns the name of worker `number`, from 1.
pub fn worker(number: u16) -> String {
    format!("worker-{number}")
}

/// Returns the checkpoints of a simulated job: they do not wait for long, and a few may fail.
pub(crate) fn impatient(checkpoints: CheckpointConfig) -> CheckpointConfig {
    checkpoints
        .timeout(Duration::from_millis(1_500))
        .tolerable_failures(3)
        .local_copies(LocalCopies::Newest)
}

/// Returns the options of a simulated job: it never gives up, and notices quickly what is wrong.
pub(crate) fn environment(checkpoints: CheckpointConfig) -> Environment {
    Environment::new()
        .checkpoints(checkpoints)
        .restart(RestartStrategy::FixedDelay {
            attempts: u32::MAX,
            delay: Duration::from_millis(100),
        })
        .cluster(ClusterConfig {
            heartbeat_interval: Duration::from_millis(200),
            heartbeat_timeout: Duration::from_millis(1_000),
            deployment_timeout: Duration::from_millis(3_000),
        })
}

/// What is the same for all runs of a seed.
#[derive(Clone)]
pub(crate) struct Cluster {
    pub(crate) job: Job,
    /// The version of the job that goes on when this one was stopped, if it is another one.
    pub(crate) successor: Option<Job>,
    /// Objects that exist before the job starts.
    pub(crate) objects: Vec<(String, Vec<u8>)>,
    /// The system outside the cluster that the job talks to.
    pub(crate) outside: Option<Arc<dyn OutsideSystem>>,
    pub(crate) worker_count: u16,
    /// Virtual time in which the job must end after everything has healed.
    pub(crate) finishes_within: Duration,
    /// When a second coordinator starts, although the first one may be alive.
    pub(crate) standby_after: Option<Duration>,
    /// When the coordinator is asked to stop the job; it is started again afterwards.
    pub(crate) stops_after: Option<Duration>,
}

/// What is different in each run.
#[derive(Clone, Default)]
pub(crate) struct Trial {
    pub(crate) seed: u64,
    pub(crate) faults: FaultPlan,
    pub(crate) tape: Option<Tape>,
    pub(crate) is_plain: bool,
    pub(crate) dummy_choices: u32,
    pub(crate) is_recorded: bool,
    /// Whether no check listens.
    pub(crate) is_unchecked: bool,
    pub(crate) is_verbose: bool,
    /// Whether the ending has an account of the run.
    pub(crate) is_told: bool,
    pub(crate) probes: &'static [Probe],
}

/// What a run came to.
pub(crate) struct Ending {
    pub(crate) seed: u64,
    pub(crate) result: Result<(), RunError>,
    pub(crate) hash: u128,
    pub(crate) virtual_time: Duration,
    pub(crate) event_count: u64,
    pub(crate) counts: Counts,
    pub(crate) reached: BTreeSet<&'static str>,
    pub(crate) situations: BTreeSet<Situation>,
    pub(crate) tape: Tape,
    pub(crate) log: Vec<String>,
    pub(crate) account: Option<Account>,
    /// Content of all objects under `output/`, by key.
    output: BTreeMap<String, Bytes>,
    /// What readers of the system outside see, by name.
    outside: BTreeMap<&'static str, Vec<String>>,
}

impl Ending {
    /// Returns the committed lines of some directories.
    pub(crate) fn lines(&self, directories: impl Iterator<Item = &'static str>) -> Lines {
        let lines_of = |directory: &str| {
            if let Some(lines) = self.outside.get(directory) {
                return lines.clone();
            }
            let prefix = format!("{directory}/part-");
            let parts = self.output.iter().filter(|(key, _)| key.starts_with(&prefix));
            let lines = parts.flat_map(|(_, content)| {
                String::from_utf8_lossy(content).lines().map(str::to_owned).collect::<Vec<_>>()
            });
            lines.collect()
        };
        directories.map(|directory| (directory, lines_of(directory))).collect()
    }
}

/// What listens to the events of a run.
struct Watch {
    checks: Vec<Box<dyn Check>>,
    probes: &'static [Probe],
    progress: Progress,
    counts: Counts,
    reached: BTreeSet<&'static str>,
    steps: Steps,
    /// How the job ended, once it has.
    ended: Option<Option<String>>,
}

impl Watch {
    fn new(job: &Job, probes: &'static [Probe]) -> Self {
        Self {
            checks: checks::all(job),
            probes,
            progress: Progress::new(job.graph()),
            counts: Counts::default(),
            reached: BTreeSet::new(),
            steps: Steps::default(),
            ended: None,
        }
    }

    /// Asks the probes, and then remembers.
    fn see(&mut self, sighting: Sighting<'_>) {
        for probe in self.probes {
            if !self.reached.contains(probe.name) && probe.is_reached(&self.progress, sighting) {
                self.reached.insert(probe.name);
            }
        }
        if !self.probes.is_empty() {
            self.progress.see(sighting);
            self.steps.see(sighting);
        }
    }

    #[expect(clippy::wildcard_enum_match_arm, reason = "a few kinds of event are counted")]
    fn on_event(&mut self, node: &str, event: &RuntimeEvent) -> Result<(), (&'static str, String)> {
        self.see(Sighting::Event(node, event));
        match event {
            RuntimeEvent::AttemptStarted { restored, .. } => {
                self.counts.attempts += 1;
                self.counts.recoveries += u64::from(restored.is_some());
            }
            RuntimeEvent::ManifestStored { .. } => self.counts.checkpoints += 1,
            RuntimeEvent::JobEnded { failure } => self.ended = Some(failure.clone()),
            _ => {}
        }
        self.checks.iter_mut().try_for_each(|check| {
            check.on_event(node, event).map_err(|reason| (check.name(), reason))
        })
    }

    fn on_object(
        &mut self,
        key: &str,
        content: Option<&Bytes>,
    ) -> Result<(), (&'static str, String)> {
        self.checks.iter_mut().try_for_each(|check| {
            check.on_object(key, content).map_err(|reason| (check.name(), reason))
        })
    }

    /// Returns whether the job has ended well and a check waits for what follows that.
    fn is_waiting(&self) -> bool {
        self.ended == Some(None) && self.checks.iter().any(|check| check.is_waiting())
    }
}

type SharedWatch = Arc<Mutex<Watch>>;

fn lock(watch: &SharedWatch) -> MutexGuard<'_, Watch> {
    // A run is one thread; a panic in it ends the run.
    watch.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Cluster {
    /// Runs the cluster once.
    pub(crate) fn simulate(&self, trial: Trial) -> Ending {
        let Trial { seed, faults, tape, is_plain, dummy_choices, .. } = trial;
        let Trial { is_recorded, is_verbose, is_told, probes, .. } = trial;
        let mut watch = Watch::new(&self.job, probes);
        if trial.is_unchecked {
            watch.checks.clear();
        }
        let watch = Arc::new(Mutex::new(watch));
        let options = RunOptions {
            tape,
            is_plain,
            dummy_choices,
            is_recorded,
            is_verbose,
            chronicle: is_told.then_some(QUIET_KINDS),
            ..RunOptions::new(Seed(seed))
        };
        let (cluster, watching) = (self.clone(), watch.clone());
        let outcome = floodmark_sim::run(options, move |world| async move {
            cluster.tell(world, &faults, &watching).await
        });
        let mut watch = lock(&watch);
        let (result, output) = match outcome.result {
            Ok((verdict, output)) => (verdict, output),
            Err(error) => (Err(error), BTreeMap::new()),
        };
        let outside: BTreeMap<_, _> = match &self.outside {
            Some(outside) => {
                outside.end();
                outside.lines().into_iter().collect()
            }
            None => BTreeMap::new(),
        };
        let outside_count = outside.values().map(Vec::len).sum::<usize>() as u64;
        let lines = line_count(&output) + outside_count;
        let counts = Counts { lines, ..watch.counts };
        Ending {
            seed,
            result,
            hash: outcome.hash,
            virtual_time: outcome.virtual_time,
            event_count: outcome.event_count,
            counts,
            reached: std::mem::take(&mut watch.reached),
            situations: std::mem::take(&mut watch.steps).into_seen(),
            tape: outcome.tape,
            log: notable(&outcome.log),
            account: is_told.then(|| Account {
                job: self.job.graph().clone(),
                worker_count: self.worker_count,
                has_standby: self.standby_after.is_some(),
                virtual_time: outcome.virtual_time,
                chronicle: outcome.chronicle,
            }),
            output,
            outside,
        }
    }

    /// The story: start everything, let the faults happen, heal, and wait for the job to end.
    async fn tell(
        self,
        world: World,
        faults: &FaultPlan,
        watch: &SharedWatch,
    ) -> (Result<(), RunError>, BTreeMap<String, Bytes>) {
        for (key, content) in &self.objects {
            world.preload(key, Bytes::from(content.clone()));
        }
        if let Some(outside) = &self.outside {
            outside.begin(&world);
        }
        listen(&world, watch);
        self.start(&world);
        world.schedule(faults);
        let has_ended = || lock(watch).ended.is_some();
        while world.now() < HEAL_AT && world.has_faults() && !has_ended() {
            world.sleep(LOOK_INTERVAL).await;
        }
        world.heal();
        let deadline = world.now() + self.finishes_within;
        while world.now() < deadline && !has_ended() {
            world.sleep(LOOK_INTERVAL).await;
        }
        let deadline = world.now() + CLEANS_WITHIN;
        while world.now() < deadline && lock(watch).is_waiting() {
            world.sleep(LOOK_INTERVAL).await;
        }
        let verdict = self.verdict(&world, watch);
        (verdict, output(&world))
    }

    fn start(&self, world: &World) {
        let (versions, stops_after) = (Versions::new(self), self.stops_after);
        let of_coordinator = versions.clone();
        world.add_node(COORDINATOR, move |machine| {
            coordinate(machine, of_coordinator.clone(), stops_after)
        });
        if let Some(pause) = self.standby_after {
            let versions = versions.clone();
            world.add_node(STANDBY, move |machine| {
                let versions = versions.clone();
                Box::pin(async move {
                    machine.sleep(pause).await;
                    coordinate(machine, versions, None).await;
                })
            });
        }
        for number in 1..=self.worker_count {
            let versions = versions.clone();
            world.add_node(&worker(number), move |machine| work(machine, versions.clone()));
        }
    }

    fn verdict(&self, world: &World, watch: &SharedWatch) -> Result<(), RunError> {
        let mut watch = lock(watch);
        let failed = |check, reason| Err(RunError::Failed { check, reason, at: world.now() });
        match &watch.ended {
            None => failed(
                "liveness",
                format!(
                    "the job has not ended {:?} after everything had healed; {} checkpoints were \
                     completed in {} attempts",
                    self.finishes_within, watch.counts.checkpoints, watch.counts.attempts
                ),
            ),
            Some(Some(reason)) => {
                failed("liveness", format!("the job ended in a failure: {reason}"))
            }
            Some(None) => match watch
                .checks
                .iter_mut()
                .find_map(|check| check.on_end().err().map(|reason| (check.name(), reason)))
            {
                Some((check, reason)) => failed(check, reason),
                None => match self.outside.as_ref().map_or(Ok(()), |outside| outside.verdict()) {
                    Err((check, reason)) => failed(check, reason),
                    Ok(()) => Ok(()),
                },
            },
        }
    }
}

/// Lets the checks hear what happens.
fn listen(world: &World, watch: &SharedWatch) {
    let watching = watch.clone();
    world.listen_incidents(move |incident| {
        let mut watch = lock(&watching);
        watch.checks.iter_mut().for_each(|check| check.on_incident(incident));
        watch.see(Sighting::Incident(incident));
    });
    let (listening, watch, stored) = (world.clone(), watch.clone(), watch.clone());
    world.listen(move |seen| {
        let Some(event) = seen.observation.as_any().downcast_ref::<RuntimeEvent>() else { return };
        if let Err((check, reason)) = lock(&watch).on_event(seen.node_name, event) {
            listening.fail(check, reason);
        }
    });
    let (listening, watch) = (world.clone(), stored);
    world.listen_store(move |effect| {
        if let Err((check, reason)) = lock(&watch).on_object(effect.key, effect.content) {
            listening.fail(check, reason);
        }
    });
}

/// The job in the version of the moment, as all nodes have it. Whoever starts begins with this one.
#[derive(Clone)]
struct Versions {
    first: Job,
    second: Option<Job>,
    is_upgraded: Arc<AtomicBool>,
}

impl Versions {
    fn new(cluster: &Cluster) -> Self {
        let (first, second) = (cluster.job.clone(), cluster.successor.clone());
        Self { first, second, is_upgraded: Arc::default() }
    }

    fn current(&self) -> &Job {
        let second = self.second.as_ref().filter(|_| self.is_upgraded.load(Ordering::Relaxed));
        second.unwrap_or(&self.first)
    }

    /// Puts the second version in the place of the first.
    fn upgrade(&self) {
        self.is_upgraded.store(true, Ordering::Relaxed);
    }

    /// Completes when a process of the first version has to make room for one of the second, which
    /// is looked after from time to time.
    async fn replaced(self, machine: Machine) {
        if self.second.is_none() || self.is_upgraded.load(Ordering::Relaxed) {
            return pending().await;
        }
        while !self.is_upgraded.load(Ordering::Relaxed) {
            machine.sleep(SUPERVISOR_PAUSE).await;
        }
    }
}

/// What the coordinator's node runs: a coordinator, under a supervisor that starts it again, also when
/// it was stopped.
fn coordinate(
    machine: Machine,
    versions: Versions,
    stops_after: Option<Duration>,
) -> BoxFuture<()> {
    Box::pin(async move {
        let mut stops_after = stops_after;
        loop {
            let (clock, after) = (machine.clone(), stops_after.take());
            let stop = async move {
                match after {
                    Some(after) => clock.sleep(after).await,
                    None => pending().await,
                }
                STOP_WITHIN
            };
            let machine = machine.clone();
            let job = versions.current();
            match floodmark::coordinator_until(machine.clone(), job, COORDINATOR_PORT, stop).await {
                Ok(JobStatus::Stopped { .. }) => {
                    versions.upgrade();
                    machine.sleep(SUPERVISOR_PAUSE).await;
                }
                // A coordinator that was fenced leaves the job to the one that rules.
                Ok(_) | Err(Error::JobFailed { .. } | Error::Fenced(_)) => return,
                Err(_) => machine.sleep(SUPERVISOR_PAUSE).await,
            }
        }
    })
}

/// What a worker's node runs.
fn work(machine: Machine, versions: Versions) -> BoxFuture<()> {
    Box::pin(async move {
        let coordinators =
            [COORDINATOR, STANDBY].map(|node| Address(format!("{node}:{COORDINATOR_PORT}")));
        loop {
            // Also when it was told that the job is over: the coordinator may have died before it had
            // cleaned up, and then the next one needs workers once more.
            let job = versions.current().clone();
            let working = floodmark::worker(machine.clone(), &job, &coordinators, SLOT_COUNT);
            let replaced = versions.clone().replaced(machine.clone());
            let (mut working, mut replaced) = (pin!(working), pin!(replaced));
            poll_fn(|cx| match working.as_mut().poll(cx) {
                Poll::Ready(_) => Poll::Ready(()),
                Poll::Pending => replaced.as_mut().poll(cx),
            })
            .await;
            machine.sleep(SUPERVISOR_PAUSE).await;
        }
    })
}

/// Returns the last events worth reading: watermarks come by the dozen.
fn notable(log: &[LogEntry]) -> Vec<String> {
    let notable = log.iter().filter(|entry| !entry.text.starts_with("watermark "));
    let lines: Vec<String> = notable.map(ToString::to_string).collect();
    lines[lines.len().saturating_sub(SHOWN_EVENT_COUNT)..].to_vec()
}

fn output(world: &World) -> BTreeMap<String, Bytes> {
    let keys = world.peek_list("output").into_iter();
    keys.filter_map(|key| Some((key.clone(), world.peek(&key)?))).collect()
}

/// Returns the number of committed lines.
fn line_count(output: &BTreeMap<String, Bytes>) -> u64 {
    let visible = output.iter().filter(|(key, _)| key.contains("/part-"));
    let lines = visible.map(|(_, content)| content.iter().filter(|byte| **byte == b'\n').count());
    lines.sum::<usize>() as u64
}
