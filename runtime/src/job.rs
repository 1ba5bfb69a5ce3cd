//! A finished job: what every process of it runs.

use std::sync::Arc;

use floodmark_dataflow::{EndedInputs, Program};
use floodmark_model::{CheckpointConfig, ClusterConfig, JobGraph, RestartStrategy};

use crate::{Explanation, plan::Plan};

/// A job that can be run, any number of times, by any number of processes. Clones are cheap.
///
/// # Examples
///
/// ```
/// use floodmark::Environment;
///
/// # fn main() -> Result<(), floodmark::Error> {
/// let env = Environment::new().parallelism(2);
/// env.from_vec("numbers", vec![1, 2, 3]).key_by(|number| *number).process(Echo).collect("seen");
/// let job = env.build("numbers")?;
/// assert_eq!((job.graph().vertices.len(), job.slot_count()), (2, 2));
/// assert_eq!(job.storage(), "checkpoints");
/// # Ok(())
/// # }
/// # use floodmark::{BoxError, Context, KeyedProcess};
/// # #[derive(Clone)]
/// # struct Echo;
/// # impl KeyedProcess for Echo {
/// #     type Key = u64;
/// #     type In = u64;
/// #     type Out = u64;
/// #     fn on_element(&mut self, value: u64, cx: &mut Context<'_, u64, u64>) -> Result<(), BoxError> {
/// #         cx.emit(value);
/// #         Ok(())
/// #     }
/// # }
/// ```
#[derive(Clone)]
pub struct Job {
    plan: Arc<Plan>,
    options: JobOptions,
}

/// The options that matter once a job is built.
#[derive(Clone)]
pub(crate) struct JobOptions {
    pub(crate) checkpoints: Option<CheckpointConfig>,
    pub(crate) restart: RestartStrategy,
    pub(crate) cluster: ClusterConfig,
    pub(crate) storage: String,
}

impl Job {
    pub(crate) fn new(plan: Plan, options: JobOptions) -> Self {
        Self { plan: Arc::new(plan), options }
    }

    /// Returns the job's shape.
    pub fn graph(&self) -> &JobGraph {
        self.plan.graph()
    }

    /// Returns the directory under which checkpoints are kept.
    pub fn storage(&self) -> &str {
        &self.options.storage
    }

    /// Returns what an input that has ended means for event time while the others are idle.
    pub fn ended_inputs(&self) -> EndedInputs {
        self.plan.ended_inputs()
    }

    /// Returns the slots that the job needs: subtasks of different vertices share one.
    pub fn slot_count(&self) -> u16 {
        let vertices = self.graph().vertices.iter();
        vertices.map(|vertex| vertex.parallelism).max().unwrap_or(1)
    }

    /// Explains the job, without running anything: its operators, what they keep, and what is promised
    /// if something fails.
    pub fn explain(&self) -> Explanation {
        Explanation::new(&self.plan, &self.options)
    }

    pub(crate) fn program(&self) -> Arc<dyn Program> {
        self.plan.clone()
    }

    pub(crate) fn options(&self) -> &JobOptions {
        &self.options
    }
}
