//! Sources that always have more: the rest of the cluster, on the same threads, gets its turn.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    task::{Context, Poll},
    time::Duration,
};

use floodmark::{
    Batch, BoxError, CheckpointConfig, Source, SplitReader,
    platform::{BoxFuture, Machine},
};

use crate::machine::{Folder, run};

/// Batches after which a reader loses hope. Some seconds' worth.
const BATCH_COUNT_MAX: u64 = 5_000_000;

/// Yields values until it hears that a checkpoint is complete.
#[derive(Clone)]
struct Busy {
    has_heard: Arc<AtomicBool>,
}

struct BusyReader {
    has_heard: Arc<AtomicBool>,
    batch_count: u64,
}

impl Source for Busy {
    type Out = u64;
    type Split = u64;

    fn splits(&self, _: &Machine, parallelism: u16) -> BoxFuture<Result<Vec<u64>, BoxError>> {
        Box::pin(async move { Ok(vec![0; usize::from(parallelism)]) })
    }

    fn read(&self, _: &Machine, batch_count: u64) -> Box<dyn SplitReader<Self>> {
        Box::new(BusyReader { has_heard: self.has_heard.clone(), batch_count })
    }
}

impl SplitReader<Busy> for BusyReader {
    fn poll_next(&mut self, _: &mut Context<'_>) -> Poll<Result<Option<Batch<u64>>, BoxError>> {
        if self.has_heard.load(Ordering::Relaxed) {
            return Poll::Ready(Ok(None));
        }
        if self.batch_count == BATCH_COUNT_MAX {
            return Poll::Ready(Err("no checkpoint has completed".into()));
        }
        self.batch_count += 1;
        Poll::Ready(Ok(Some(vec![self.batch_count.into()])))
    }

    fn position(&self) -> u64 {
        self.batch_count
    }

    fn on_checkpoint_complete(&mut self, _: &u64) {
        self.has_heard.store(true, Ordering::Relaxed);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn checkpoints_complete_while_every_thread_has_a_source_that_never_waits() {
    let folder = Folder::new();
    let has_heard = Arc::new(AtomicBool::new(false));
    let env = folder
        .environment()
        .checkpoints(CheckpointConfig::every(Duration::from_millis(10)))
        .parallelism(4);
    env.source("busy", Busy { has_heard: has_heard.clone() }).for_each("drop", |_| Ok(()));
    run(&env).await.expect("it ends well");
    assert!(has_heard.load(Ordering::Relaxed));
}
