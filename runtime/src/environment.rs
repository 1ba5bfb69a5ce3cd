//! Where a job begins: its options and its sources.

use std::{
    path::Path,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use floodmark_dataflow::{EndedInputs, Head, Source, SourceHead};
use floodmark_model::{CheckpointConfig, ClusterConfig, KEY_GROUP_COUNT_MAX, RestartStrategy};
use floodmark_state::Data;

use crate::{
    Error, Explanation, Job, JobHandle, Process, Stream, VecSource,
    cluster::execute,
    job::JobOptions,
    options::{Options, Resolved},
    path::object_key,
    plan::{Assembly, Draft, Identity, Node, NodeId, Role, Shape, SourceBlueprint},
    process::run,
};

/// The options of a job, and the place where its streams begin.
///
/// Nothing runs before [`Environment::execute`].
///
/// # Examples
///
/// ```
/// use floodmark::Environment;
///
/// # #[tokio::main]
/// # async fn main() -> Result<(), floodmark::Error> {
/// let env = Environment::new().parallelism(1);
/// let squares = env.from_vec("numbers", vec![1, 2, 3]).map(|n| n * n).collect("squares");
/// env.execute("squares").await?.wait().await?;
/// assert_eq!(squares.values(), [1, 4, 9]);
/// # Ok(())
/// # }
/// ```
#[doc(alias = "StreamExecutionEnvironment")]
pub struct Environment {
    /// What the code sets.
    code: Options,
    /// What a file says.
    file: Options,
    draft: SharedDraft,
}

/// A draft that all streams of a job add to.
#[derive(Clone, Default)]
pub(crate) struct SharedDraft(Arc<Mutex<Draft>>);

impl SharedDraft {
    pub(crate) fn lock(&self) -> MutexGuard<'_, Draft> {
        // A draft is consistent between any two calls, so a panic elsewhere does not spoil it.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Default for Environment {
    fn default() -> Self {
        Self::new()
    }
}

impl Environment {
    /// Creates an environment with one subtask per operator, 128 key groups, no checkpoints and no
    /// restart.
    ///
    /// # Examples
    ///
    /// ```
    /// use floodmark::{CheckpointConfig, Environment, RestartStrategy};
    /// use std::time::Duration;
    ///
    /// let env = Environment::new()
    ///     .parallelism(4)
    ///     .checkpoints(CheckpointConfig::every(Duration::from_secs(1)))
    ///     .restart(RestartStrategy::FixedDelay { attempts: 3, delay: Duration::from_secs(10) })
    ///     .storage("checkpoints");
    /// # let _ = env;
    /// ```
    pub fn new() -> Self {
        let (code, file, draft) = Default::default();
        Self { code, file, draft }
    }

    /// Creates an environment with the options that `text` sets, in TOML. They have the names of the
    /// methods that set them in code, and code wins: see the page on configuration.
    ///
    /// # Examples
    ///
    /// ```
    /// use floodmark::Environment;
    ///
    /// # fn main() -> Result<(), floodmark::Error> {
    /// let env = Environment::from_toml(
    ///     r#"
    ///     parallelism = 4
    ///
    ///     [checkpoints]
    ///     interval = "10 s"
    ///     "#,
    /// )?;
    /// assert!(env.to_toml().contains("parallelism = 4"));
    /// assert!(env.parallelism(2).to_toml().contains("parallelism = 2"));
    ///
    /// let refused = Environment::from_toml("paralelism = 4").err().expect("it is misspelt");
    /// assert_eq!(
    ///     refused.to_string(),
    ///     "unknown key `paralelism` in line 1: did you mean `parallelism`?"
    /// );
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    ///
    /// [`Error::Options`], when the text is no TOML, or something in it is no option.
    pub fn from_toml(text: &str) -> Result<Self, Error> {
        Self::new().options_from_toml(text)
    }

    /// As [`Environment::from_toml`], with the text in the file at `path`.
    ///
    /// # Errors
    ///
    /// [`Error::OptionsFile`] when the file cannot be read, and as [`Environment::from_toml`].
    pub fn from_file(path: impl AsRef<Path>) -> Result<Self, Error> {
        Self::new().options_from_file(path)
    }

    /// Sets the options that `text` sets, in TOML, unless the code sets them, before or after this. What
    /// earlier texts and files set, and this one does not, stays.
    ///
    /// # Errors
    ///
    /// As [`Environment::from_toml`].
    pub fn options_from_toml(self, text: &str) -> Result<Self, Error> {
        let file = Options::from_toml(text)?.or(self.file);
        Ok(Self { file, ..self })
    }

    /// As [`Environment::options_from_toml`], with the text in the file at `path`.
    ///
    /// # Errors
    ///
    /// As [`Environment::from_file`].
    pub fn options_from_file(self, path: impl AsRef<Path>) -> Result<Self, Error> {
        let file = Options::from_file(path.as_ref())?.or(self.file);
        Ok(Self { file, ..self })
    }

    /// Returns all options in TOML, with what counts for each: what the code sets, else what a file
    /// says, else what is so if nobody says otherwise.
    pub fn to_toml(&self) -> String {
        self.resolved().to_toml()
    }

    pub(crate) fn resolved_for(&self, process: &Process) -> Resolved {
        self.code.clone().or(process.options.clone()).or(self.file.clone()).resolved()
    }

    pub(crate) fn resolved(&self) -> Resolved {
        self.code.clone().or(self.file.clone()).resolved()
    }

    /// Sets the subtasks per operator. At most the number of key groups.
    #[must_use]
    pub fn parallelism(mut self, parallelism: u16) -> Self {
        self.code.parallelism = Some(parallelism);
        self
    }

    /// Sets the number of key groups: the largest parallelism the job can ever have. It cannot
    /// change during a job's life. At most 32 768; more of them cost a little in every snapshot.
    #[must_use]
    #[doc(alias = "max_parallelism")]
    pub fn key_groups(mut self, key_group_count: u16) -> Self {
        self.code.key_groups = Some(key_group_count);
        self
    }

    /// Sets the most records that travel together. More cost less each; fewer arrive sooner, though
    /// a subtask without further input never waits for a batch to fill. 1 to 65 536.
    #[must_use]
    pub fn batch_size(mut self, batch_size: usize) -> Self {
        self.code.batch_size = Some(batch_size);
        self
    }

    /// Sets whether an exchange between two operators of one subtask each is left out, so that both
    /// run as one, in one task. That is so unless it is turned off; then the two can run at the same
    /// time, at the price of handing over every batch.
    #[must_use]
    pub fn chain_exchanges(mut self, chains_exchanges: bool) -> Self {
        self.code.chain_exchanges = Some(chains_exchanges);
        self
    }

    /// Sets what an input that has ended means for event time while the others are idle. Unless it is
    /// set, nothing: no record is late because another input has ended. Flink's rule is
    /// [`EndedInputs::PushOn`].
    ///
    /// # Examples
    ///
    /// ```
    /// use floodmark::{EndedInputs, Environment};
    ///
    /// let env = Environment::new().ended_inputs(EndedInputs::PushOn);
    /// # let _ = env;
    /// ```
    #[must_use]
    pub fn ended_inputs(mut self, ended_inputs: EndedInputs) -> Self {
        self.code.ended_inputs = Some(ended_inputs);
        self
    }

    /// Turns checkpoints on.
    #[must_use]
    pub fn checkpoints(mut self, checkpoints: CheckpointConfig) -> Self {
        self.code.checkpoints = Some(checkpoints);
        self
    }

    /// Sets what follows a failure.
    #[must_use]
    pub fn restart(mut self, restart: RestartStrategy) -> Self {
        self.code.restart = Some(restart);
        self
    }

    /// Sets the directory under which checkpoints are kept, in a folder with the job's name.
    ///
    /// The path may be relative or absolute, and must not contain `..`.
    #[must_use]
    pub fn storage(mut self, storage: &str) -> Self {
        self.code.storage = Some(storage.to_owned());
        self
    }

    /// Sets how the processes of the cluster watch each other.
    #[must_use]
    pub fn cluster(mut self, cluster: ClusterConfig) -> Self {
        self.code.cluster = Some(cluster);
        self
    }

    /// Begins a stream. `name` is the source's uid: by it, positions are found again.
    ///
    /// # Examples
    ///
    /// ```
    /// use floodmark::{Environment, TextFile};
    ///
    /// let env = Environment::new();
    /// let lines = env.source("access-log", TextFile::new("logs/access.log"));
    /// # let _ = lines;
    /// ```
    pub fn source<S: Source>(&self, name: &str, source: S) -> Stream<S::Out> {
        let role = Role::Source { is_replayable: source.is_replayable() };
        let build = move |node: NodeId, assembly: &mut Assembly<'_>| {
            let chain = crate::stream::fan_out::<S::Out>(node, assembly);
            let place = (assembly.subtask.index, assembly.layout().parallelism);
            let (uid, machine) = (assembly.uid(node), assembly.machine.clone());
            let head: Box<dyn Head> =
                Box::new(SourceHead::new(uid, source.clone(), machine, place, chain));
            head
        };
        let node = self.draft.lock().add(Node {
            name: name.to_owned(),
            identity: Identity::Given(name.to_owned()),
            role,
            inputs: Vec::new(),
            blueprint: Arc::new(SourceBlueprint { build }),
            parallelism: None,
            sides: Vec::new(),
        });
        Stream::of_node(self.draft.clone(), node)
    }

    /// Begins a stream of the given values, dealt out to all subtasks in turn.
    pub fn from_vec<T: Data>(&self, name: &str, values: Vec<T>) -> Stream<T> {
        self.source(name, VecSource::new(values))
    }

    /// Finishes the job without running it. The environment and its streams are of no further use.
    ///
    /// # Errors
    ///
    /// When options contradict each other, or operators cannot be told apart.
    pub fn build(&self, name: &str) -> Result<Job, Error> {
        self.finish(name, std::mem::take(&mut *self.draft.lock()))
    }

    /// Explains the job as it is now, without running anything: its operators, what they keep, and what
    /// is promised if something fails. The environment and its streams stay as they are.
    ///
    /// # Examples
    ///
    /// ```
    /// use floodmark::{CheckpointConfig, Environment, Guarantee};
    /// use std::time::Duration;
    ///
    /// # fn main() -> Result<(), floodmark::Error> {
    /// let env = Environment::new().checkpoints(CheckpointConfig::every(Duration::from_secs(10)));
    /// env.from_vec("numbers", vec![1, 2, 3]).map(|number| number * 2).print();
    /// let explanation = env.explain("doubles")?;
    /// println!("{explanation}");
    /// assert_eq!(explanation.paths()[0].guarantee(), Guarantee::AtLeastOnce);
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    ///
    /// As [`Environment::build`]. After a mistake in the streams themselves the environment is of no
    /// further use.
    #[doc(alias = "getExecutionPlan")]
    pub fn explain(&self, name: &str) -> Result<Explanation, Error> {
        let draft = self.draft.lock().copy();
        Ok(self.finish(name, draft)?.explain())
    }

    fn finish(&self, name: &str, draft: Draft) -> Result<Job, Error> {
        finish(name, draft, self.resolved())
    }

    /// Starts the job on threads of this process: one coordinator, and one worker with a slot for
    /// every subtask. Must be called inside a multi-threaded tokio runtime. Relative paths of files
    /// and checkpoints begin at the current directory.
    ///
    /// With checkpoints, a job's name and storage are its identity: started again, it goes on from its
    /// last completed checkpoint, and one that had finished finds nothing left to do. For a fresh
    /// start, give it another name or storage.
    ///
    /// # Errors
    ///
    /// When the job cannot be built, or the machine's directories cannot be used.
    pub async fn execute(&self, name: &str) -> Result<JobHandle, Error> {
        execute(self.build(name)?).await
    }

    /// Runs this process of the job's cluster, until the job is over or a signal asks it to stop. All
    /// processes build the same job under the same name. Must be called inside a multi-threaded tokio
    /// runtime.
    ///
    /// `SIGTERM` or Ctrl-C asks a coordinator to stop the job with a last checkpoint, so that
    /// everything it has processed is committed; a second signal cancels it. A worker says farewell
    /// and leaves: the coordinator then restarts the job on the others, without counting that as a
    /// failure. Started again, the job goes on from its last completed checkpoint.
    ///
    /// A coordinator starts again by itself after a failure that may pass. A worker looks for a
    /// coordinator for ever.
    ///
    /// # Examples
    ///
    /// ```no_run
    /// use floodmark::{CheckpointConfig, Environment, Error, FileSink, Process, TextFile};
    /// use std::time::Duration;
    ///
    /// #[tokio::main]
    /// async fn main() -> Result<(), Error> {
    ///     let env = Environment::new()
    ///         .parallelism(2)
    ///         .checkpoints(CheckpointConfig::every(Duration::from_secs(10)));
    ///     env.source("lines", TextFile::new("input/lines.txt"))
    ///         .map(|line| line.content.len())
    ///         .sink("lengths", FileSink::new("output/lengths", |length: &usize| length.to_string()));
    ///     match Process::from_environment()? {
    ///         Some(process) => env.run_as("lengths", &process).await,
    ///         None => env.execute("lengths").await?.wait().await,
    ///     }
    /// }
    /// ```
    ///
    /// # Errors
    ///
    /// When the job cannot be built, the port or a directory cannot be used, the job failed, or
    /// another coordinator rules it ([`Error::Fenced`]): then that one should be left alone.
    pub async fn run_as(&self, name: &str, process: &Process) -> Result<(), Error> {
        let draft = std::mem::take(&mut *self.draft.lock());
        run(&finish(name, draft, self.resolved_for(process))?, process).await
    }
}

/// Makes a job of a draft and its options.
fn finish(name: &str, draft: Draft, options: Resolved) -> Result<Job, Error> {
    let Resolved { parallelism, key_group_count, batch_size, .. } = options;
    check_bounds("parallelism", u64::from(parallelism), u64::from(u16::MAX))?;
    let key_group_max = u64::from(KEY_GROUP_COUNT_MAX);
    check_bounds("key_groups", u64::from(key_group_count), key_group_max)?;
    check_bounds("batch_size", batch_size as u64, 65_536)?;
    if key_group_count < parallelism {
        return Err(Error::ParallelismTooHigh { parallelism, key_group_count });
    }
    options.cluster.check()?;
    options.checkpoints.iter().try_for_each(CheckpointConfig::check)?;
    check_job_name(name)?;
    let storage = object_key(&options.storage)?;
    let plan = draft.finish(Shape {
        job: name.to_owned(),
        parallelism,
        key_group_count,
        batch_size,
        needs_uids: options.checkpoints.is_some(),
        chains_exchanges: options.chains_exchanges,
        ended_inputs: options.ended_inputs,
    })?;
    let Resolved { checkpoints, restart, cluster, .. } = options;
    Ok(Job::new(plan, JobOptions { checkpoints, restart, cluster, storage }))
}

/// Refuses a name that the storage would refuse: a coordinator would ask it again for ever.
fn check_job_name(name: &str) -> Result<(), Error> {
    let is_relative_key = object_key(name).is_ok_and(|key| key == name) && !name.starts_with('/');
    if is_relative_key { Ok(()) } else { Err(Error::JobName { name: name.to_owned() }) }
}

fn check_bounds(name: &'static str, value: u64, max: u64) -> Result<(), Error> {
    if 1 <= value && value <= max { Ok(()) } else { Err(Error::OutOfBounds { name, value, max }) }
}
