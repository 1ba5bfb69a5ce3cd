//! What the tests need of the real machine: directories, jobs that end, and a source with a gate.

#![expect(clippy::disallowed_methods, reason = "these tests look at what the machine holds")]
#![expect(clippy::unwrap_used, reason = "a test may panic, also where it is helped")]

use std::{
    fs,
    sync::Arc,
    task::{Context, Poll},
    time::Duration,
};

use floodmark::{
    Batch, BoxError, CheckpointConfig, Environment, Error, JobHandle, Source, SplitReader,
    platform::{BoxFuture, Machine},
};
use serde::{Deserialize, Serialize};

/// Nothing here takes nearly as long. It turns a test that would hang into one that fails.
const PATIENCE: Duration = Duration::from_secs(120);

/// A directory that is removed in the end.
pub(crate) struct Folder(tempfile::TempDir);

impl Folder {
    pub(crate) fn new() -> Self {
        Self(tempfile::tempdir().unwrap())
    }

    /// Returns the absolute path of `name` in the folder.
    pub(crate) fn path(&self, name: &str) -> String {
        self.0.path().join(name).to_str().unwrap().to_owned()
    }

    /// Writes a file and returns its path.
    pub(crate) fn write(&self, name: &str, content: impl AsRef<[u8]>) -> String {
        let path = self.path(name);
        fs::write(&path, content).unwrap();
        path
    }

    /// Returns the lines that sinks have committed to the directory `name`, sorted.
    pub(crate) fn lines(&self, name: &str) -> Vec<String> {
        let Ok(entries) = fs::read_dir(self.path(name)) else { return Vec::new() };
        let parts = entries.map(|entry| entry.unwrap());
        // What the store still writes has a name with `#`.
        let parts = parts.filter(|entry| {
            let name = entry.file_name().into_string().unwrap();
            name.starts_with("part-") && !name.contains('#')
        });
        let contents = parts.map(|entry| fs::read_to_string(entry.path()).unwrap());
        let lines =
            contents.flat_map(|content| content.lines().map(str::to_owned).collect::<Vec<_>>());
        sorted(lines)
    }

    /// Returns `text` with the folder's path replaced, so that it is the same in every run.
    pub(crate) fn anonymous(&self, text: &str) -> String {
        text.replace(self.0.path().to_str().unwrap(), "<folder>")
    }

    /// Returns an environment that keeps its checkpoints here.
    pub(crate) fn environment(&self) -> Environment {
        Environment::new().storage(&self.path("checkpoints"))
    }

    /// Returns an environment that keeps its checkpoints here and takes many.
    pub(crate) fn checkpointed(&self) -> Environment {
        self.environment().checkpoints(CheckpointConfig::every(Duration::from_millis(50)))
    }
}

/// Returns the items in order.
pub(crate) fn sorted<T: Ord>(items: impl IntoIterator<Item = T>) -> Vec<T> {
    let mut items: Vec<T> = items.into_iter().collect();
    items.sort();
    items
}

/// Runs the job to its end.
pub(crate) async fn run(env: &Environment) -> Result<(), Error> {
    ended(env.execute("job").await?).await
}

/// Waits for the end of the job.
pub(crate) async fn ended(job: JobHandle) -> Result<(), Error> {
    tokio::time::timeout(PATIENCE, job.wait()).await.expect("the job ends")
}

/// Stops the job.
pub(crate) async fn cancelled(job: JobHandle) -> Result<(), Error> {
    tokio::time::timeout(PATIENCE, job.cancel()).await.expect("the job ends")
}

/// Waits until `is_so` returns true.
pub(crate) async fn until(is_so: impl Fn() -> bool) {
    let waiting = async {
        while !is_so() {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(PATIENCE, waiting).await.expect("what is waited for happens");
}

/// A source of `first..count` that stops before `gate_at` until its gate opens.
#[derive(Clone)]
pub(crate) struct Gated {
    pub(crate) first: u64,
    pub(crate) count: u64,
    pub(crate) gate_at: u64,
    pub(crate) gate: Gate,
}

/// What a source waits for.
#[derive(Clone)]
pub(crate) enum Gate {
    /// Nothing: there is never more.
    Closed,
    /// This to become true.
    OpensWhen(Arc<dyn Fn() -> bool + Send + Sync>),
}

/// The values `next`, `next + step`, ….
#[derive(Clone, Serialize, Deserialize)]
pub(crate) struct GatedSplit {
    next: u64,
    step: u64,
}

struct GatedReader {
    source: Gated,
    split: GatedSplit,
}

impl Source for Gated {
    type Out = u64;
    type Split = GatedSplit;

    fn splits(
        &self,
        _: &Machine,
        parallelism: u16,
    ) -> BoxFuture<Result<Vec<GatedSplit>, BoxError>> {
        let step = u64::from(parallelism);
        let splits = (0..step).map(|index| GatedSplit { next: self.first + index, step }).collect();
        Box::pin(async { Ok(splits) })
    }

    fn read(&self, _: &Machine, split: GatedSplit) -> Box<dyn SplitReader<Self>> {
        Box::new(GatedReader { source: self.clone(), split })
    }
}

impl SplitReader<Gated> for GatedReader {
    fn poll_next(&mut self, cx: &mut Context<'_>) -> Poll<Result<Option<Batch<u64>>, BoxError>> {
        let Gated { count, gate_at, gate, .. } = &self.source;
        let GatedSplit { next, step } = self.split;
        if *count <= next {
            return Poll::Ready(Ok(None));
        }
        let is_open = match gate {
            _ if next < *gate_at => true,
            Gate::Closed => return Poll::Pending,
            Gate::OpensWhen(is_open) => is_open(),
        };
        if !is_open {
            cx.waker().wake_by_ref();
            return Poll::Pending;
        }
        self.split.next += step;
        Poll::Ready(Ok(Some(vec![next.into()])))
    }

    fn position(&self) -> GatedSplit {
        self.split.clone()
    }
}
