//! The simulator for jobs of one's own.

use std::{
    collections::BTreeMap,
    ops::Range,
    panic::{AssertUnwindSafe, catch_unwind, resume_unwind},
    sync::Arc,
    time::Duration,
};

use floodmark::{CheckpointConfig, Collected, Data, Environment, Stream};
use floodmark_sim::{FaultPlan, RunError, quietly};

use crate::{
    Failure, Story,
    cluster::{self, Cluster, Ending, Trial},
    fault_in_words, faults,
    shrink::minimise,
    sweep::cause_of,
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
    build: Arc<Build<T>>,
    objects: BTreeMap<String, Vec<u8>>,
    seeds: Range<u64>,
    parallelism: u16,
    interval: Duration,
}

type Build<T> = dyn Fn(&Environment) -> Stream<T>;

/// Runs in which a failing seed is made simpler.
const SHRINKING_RUN_COUNT_MAX: u32 = 100;

/// Workers of the cluster.
const WORKER_COUNT: u16 = 3;

impl<T: Data> Simulation<T> {
    /// Simulates the job that `build` makes; its results are the stream that `build` returns.
    pub fn new(build: impl Fn(&Environment) -> Stream<T> + 'static) -> Self {
        Self {
            build: Arc::new(build),
            objects: BTreeMap::new(),
            seeds: 0..100,
            parallelism: 2,
            interval: Duration::from_millis(300),
        }
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

    /// Sets the time between two checkpoints; 300 ms of virtual time if not called. At most 1.5 s.
    #[must_use]
    pub fn checkpoint_interval(self, interval: Duration) -> Self {
        Self { interval, ..self }
    }

    /// Runs every seed, each with a mix of faults of its own, and hands the results to `check`. All
    /// promises of the runtime are checked as well.
    ///
    /// The first seed that fails is run again with ever fewer faults, at most 100 times: `check` must
    /// say the same of the same results.
    ///
    /// # Panics
    ///
    /// When `check` panics or a promise is broken: with the seed, the faults that it takes, and what
    /// happened last.
    pub fn check(self, check: impl Fn(&[T])) {
        for seed in self.seeds.clone() {
            let Some(faults) = self.fewest_faults(seed, &check) else { continue };
            let repeat = format!("run it alone with `.seeds({seed}..{})`", seed + 1);
            let results = match self.run(seed, &faults) {
                Ok(results) => results,
                Err(failure) => panic!("{failure}\n{repeat}"),
            };
            let Err(panic) = catch_unwind(AssertUnwindSafe(|| check(&results))) else {
                panic!("the check of the results says one thing now and another then\n{repeat}");
            };
            #[expect(clippy::print_stderr, reason = "a test's own words come before this")]
            {
                let failure = self.tell(seed, &faults, "the check of the results failed");
                eprintln!("{failure}\n{repeat}");
            }
            resume_unwind(panic);
        }
    }

    /// Returns why a run with these faults fails, if it does, numbers aside.
    fn cause(&self, seed: u64, faults: &FaultPlan, check: &impl Fn(&[T])) -> Option<String> {
        let (cluster, results) = self.cluster();
        let ending = cluster.simulate(Trial { seed, faults: faults.clone(), ..Trial::default() });
        let words = match ending.result {
            Ok(()) => quietly(|| check(&results.values())).err()?,
            Err(error) => error.to_string(),
        };
        Some(cause_of(&words))
    }

    /// Returns the faults of a seed that it takes to make it fail, if it does.
    fn fewest_faults(&self, seed: u64, check: &impl Fn(&[T])) -> Option<FaultPlan> {
        let all = faults::swarm(seed, WORKER_COUNT);
        let cause = self.cause(seed, &all, check)?;
        let mut runs_left = SHRINKING_RUN_COUNT_MAX;
        let mut fails = |faults: &Vec<_>| {
            let Some(left) = runs_left.checked_sub(1) else { return false };
            runs_left = left;
            self.cause(seed, &FaultPlan(faults.clone()), check).as_ref() == Some(&cause)
        };
        Some(FaultPlan(minimise(all.0, 1, |cases| cases.iter().position(&mut fails))))
    }

    /// Runs one seed with the given faults and returns the results.
    ///
    /// # Errors
    ///
    /// When a promise of the runtime is broken: which one, the faults, and what happened last.
    pub fn run(&self, seed: u64, faults: &FaultPlan) -> Result<Vec<T>, String> {
        let (cluster, results) = self.cluster();
        let ending = cluster.simulate(Trial { seed, faults: faults.clone(), ..Trial::default() });
        match ending.result {
            Ok(()) => Ok(results.values()),
            Err(error) => Err(self.tell(seed, faults, &error.to_string())),
        }
    }

    /// Returns what a failure says; the run is done once more, for the sake of its words.
    fn tell(&self, seed: u64, faults: &FaultPlan, reason: &str) -> String {
        let (cluster, _) = self.cluster();
        let trial = Trial {
            seed,
            faults: faults.clone(),
            is_verbose: true,
            is_told: true,
            ..Trial::default()
        };
        let Ending { result, account, virtual_time, log, .. } = cluster.simulate(trial);
        let log = log.join("\n  ");
        // The results may be wrong although no check has spoken.
        let speaks = |check: &str, reason: &str, at| Failure {
            check: check.to_owned(),
            reason: reason.to_owned(),
            at,
            is_comparison: false,
            story: None,
            log: Vec::new(),
        };
        let failure = match result {
            Err(RunError::Failed { check, reason, at }) => speaks(check, &reason, at),
            Ok(()) | Err(_) => speaks("results", reason, virtual_time),
        };
        let story = account.map(|account| Story::new(&account, Some(&failure)).to_string());
        let story = story.unwrap_or_default().replace('\n', "\n  ");
        let faults: Vec<_> = faults.0.iter().map(fault_in_words).collect();
        let faults = faults.join("\n  ");
        format!(
            "{reason}\nseed {seed}, faults:\n  {faults}\nthe story:\n  {story}\nlast events:\n  {log}"
        )
    }

    fn cluster(&self) -> (Cluster, Collected<T>) {
        let environment =
            cluster::environment(cluster::impatient(CheckpointConfig::every(self.interval)))
                .parallelism(self.parallelism);
        let results = (self.build)(&environment).collect("simulation-results");
        let job = match environment.build("simulation") {
            Ok(job) => job,
            Err(error) => panic!("the job cannot be built: {error}"),
        };
        let cluster = Cluster {
            job,
            successor: None,
            objects: self.objects.clone().into_iter().collect(),
            outside: None,
            worker_count: WORKER_COUNT,
            finishes_within: Duration::from_secs(60),
            standby_after: None,
            stops_after: None,
        };
        (cluster, results)
    }
}

#[cfg(test)]
mod tests {
    use floodmark::{BoxError, Context, Generator, KeyedProcess};

    use super::*;

    /// Counts in a plain field.
    #[derive(Clone, Default)]
    struct Forgetful(u64);

    impl KeyedProcess for Forgetful {
        type Key = ();
        type In = u64;
        type Out = u64;

        fn on_element(&mut self, _: u64, cx: &mut Context<'_, (), u64>) -> Result<(), BoxError> {
            self.0 += 1;
            cx.emit(self.0);
            Ok(())
        }
    }

    #[test]
    fn of_all_faults_those_are_left_that_matter() {
        let simulation = Simulation::new(|env| {
            let numbers = env.source("numbers", Generator::new(300, |number| number).rate(60));
            numbers.key_by(|_| ()).process(Forgetful::default()).uid("count")
        });
        let check = |counts: &[u64]| assert_eq!(counts.iter().max(), Some(&300));
        let failing =
            (0..20).filter_map(|seed| Some((seed, simulation.fewest_faults(seed, &check)?)));
        let failing: Vec<_> = failing.collect();
        assert!(5 < failing.len(), "{failing:?}");
        for (seed, faults) in failing {
            assert!((1..=2).contains(&faults.0.len()), "seed {seed}: {faults:?}");
            let fewer = FaultPlan(faults.0[1..].to_vec());
            check(&simulation.run(seed, &fewer).expect("no promise is broken"));
        }
    }
}
