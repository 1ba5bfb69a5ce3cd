//! Tasks on the threads of the runtime in which the machine was created.
//!
//! A task ends with that runtime. Its name is the name of a span, so every line that a task logs
//! says which task it was.

use floodmark_platform::{Abort, BoxFuture, Tasks};
use tokio::task::AbortHandle;
use tracing::Instrument as _;

use crate::machine::Host;

/// A task that was started.
struct Started(AbortHandle);

impl Tasks for Host {
    fn spawn(&self, name: &'static str, task: BoxFuture<()>) -> Box<dyn Abort> {
        let span = tracing::info_span!("task", name);
        Box::new(Started(self.runtime.spawn(task.instrument(span)).abort_handle()))
    }
}

impl Abort for Started {
    fn abort(&self) {
        self.0.abort();
    }
}

#[cfg(test)]
mod tests {
    use std::future::pending;

    use floodmark_platform::TaskError;
    use tokio::sync::oneshot;

    use crate::machine::tests::machine_in;

    #[tokio::test]
    async fn a_task_yields_its_result() {
        let directory = tempfile::tempdir().unwrap();
        let task = machine_in(directory.path()).spawn("adding", async { 1 + 1 });
        assert_eq!(task.await, Ok(2));
    }

    #[tokio::test]
    async fn the_panic_of_a_task_is_an_error_value() {
        let directory = tempfile::tempdir().unwrap();
        let task = machine_in(directory.path()).spawn("panicking", async { panic!("no water") });
        let panicked: Result<(), TaskError> = task.await;
        assert_eq!(panicked, Err(TaskError::Panicked("no water".to_owned())));
    }

    #[tokio::test]
    async fn dropping_the_handle_aborts_the_task() {
        let directory = tempfile::tempdir().unwrap();
        let (held, dropped) = oneshot::channel::<()>();
        let task = machine_in(directory.path()).spawn("waiting", async move {
            let _held = held;
            pending::<()>().await;
        });
        drop(task);
        assert!(dropped.await.is_err(), "an aborted task drops what it holds");
    }

    #[tokio::test]
    async fn a_detached_task_runs_to_its_end() {
        let directory = tempfile::tempdir().unwrap();
        let (finish, finished) = oneshot::channel();
        machine_in(directory.path())
            .spawn("finishing", async move { finish.send("done").unwrap() })
            .detach();
        assert_eq!(finished.await, Ok("done"));
    }
}
