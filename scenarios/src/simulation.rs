//! The simulator for jobs of one's own.

use std::{
    collections::BTreeMap,
    ops::Range,
    panic::{AssertUnwindSafe, catch_unwind, resume_unwind},
    sync::Arc,
    time::Duration,
};

use floodmark::{
    CheckpointConfig, ClusterConfig, Collected, Data, Environment, RestartStrategy, Stream,
};

use crate::{
    cluster::{Cluster, Trial},
    faults,
};

/// Runs a job under faults, seed by seed, on a simulated cluster of one coordinator and three
/// workers.
///
/// # Examples
///
/// ```
/// use floodmark_scenarios::Simulation;
///
/// Simulation::new(|env| env.from_vec("numbers", (0..100_u64).collect()).map(|number| number * 2))
///     .seeds(0..3)
///     .check(|numbers| assert_eq!(numbers.iter().sum::<u64>(), 9_900));
/// ```
pub struct Simulation<T> {
    build: Arc<dyn Fn(&Environment) -> Stream<T>>,
    objects: BTreeMap<String, Vec<u8>>,
    seeds: Range<u64>,
    parallelism: u16,
}

/// Workers of the cluster.
const WORKER_COUNT: u16 = 3;

impl<T: Data> Simulation<T> {
    /// Simulates the job that `build` makes; its results are the stream that `build` returns.
    pub fn new(build: impl Fn(&Environment) -> Stream<T> + 'static) -> Self {
        Self { build: Arc::new(build), objects: BTreeMap::new(), seeds: 0..100, parallelism: 2 }
    }

    /// Puts a file into the simulated store before the job starts.
    #[must_use]
    pub fn file(mut self, path: &str, content: impl Into<Vec<u8>>) -> Self {
        self.objects.insert(path.to_owned(), content.into());
        self
    }

    /// Sets the seeds; 0 to 99 if not called. Each has faults of its own.
    #[must_use]
    pub fn seeds(self, seeds: Range<u64>) -> Self {
        Self { seeds, ..self }
    }

    /// Sets the subtasks per operator; 2 if not called.
    #[must_use]
    pub fn parallelism(self, parallelism: u16) -> Self {
        Self { parallelism, ..self }
    }

    /// Runs every seed and hands the results of each to `check`. All promises of the runtime are
    /// checked as well.
    ///
    /// # Panics
    ///
    /// When `check` panics or a promise is broken: with the seed, the faults, and what happened last.
    pub fn check(self, check: impl Fn(&[T])) {
        for seed in self.seeds.clone() {
            let (cluster, results) = self.cluster();
            let plan = faults::swarm(seed, WORKER_COUNT);
            let trial = Trial { seed, faults: plan.clone(), ..Trial::default() };
            let ending = cluster.simulate(trial.clone());
            let tell = || {
                let (cluster, _) = self.cluster();
                let log = cluster.simulate(Trial { is_verbose: true, ..trial.clone() }).log;
                let faults: Vec<_> = plan.0.iter().map(ToString::to_string).collect();
                format!(
                    "seed {seed}; faults:\n  {}\nlast events:\n  {}\nrun it alone with `.seeds({seed}..{})`",
                    faults.join("\n  "),
                    log.join("\n  "),
                    seed + 1,
                )
            };
            if let Err(error) = ending.result {
                panic!("{error}\n{}", tell());
            }
            if let Err(panic) = catch_unwind(AssertUnwindSafe(|| check(&results.values()))) {
                #[expect(clippy::print_stderr, reason = "a test's own words come after this")]
                {
                    eprintln!("the check of the results failed: {}", tell());
                }
                resume_unwind(panic);
            }
        }
    }

    fn cluster(&self) -> (Cluster, Collected<T>) {
        let environment = Environment::new()
            .parallelism(self.parallelism)
            .checkpoints(
                CheckpointConfig::every(Duration::from_millis(300))
                    .timeout(Duration::from_millis(1_500))
                    .tolerable_failures(3),
            )
            .restart(RestartStrategy::FixedDelay {
                attempts: u32::MAX,
                delay: Duration::from_millis(100),
            })
            .cluster(ClusterConfig {
                heartbeat_interval: Duration::from_millis(200),
                heartbeat_timeout: Duration::from_millis(1_000),
                deployment_timeout: Duration::from_millis(3_000),
            });
        let results = (self.build)(&environment).collect("simulation-results");
        let job = match environment.build("simulation") {
            Ok(job) => job,
            Err(error) => panic!("the job cannot be built: {error}"),
        };
        let cluster = Cluster {
            job,
            objects: self.objects.clone().into_iter().collect(),
            worker_count: WORKER_COUNT,
            finishes_within: Duration::from_secs(60),
            standby_after: None,
        };
        (cluster, results)
    }
}
