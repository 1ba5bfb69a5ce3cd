//! Tasks: units of concurrent work of one node.

use std::{
    any::Any,
    pin::Pin,
    task::{Context, Poll},
};

use thiserror::Error;
use tokio::sync::oneshot;

use crate::BoxFuture;

/// Starts tasks on this node. All of them end with the node.
pub trait Tasks {
    /// Starts `task` under a name that logs and traces show.
    fn spawn(&self, name: &'static str, task: BoxFuture<()>) -> Box<dyn Abort>;

    /// Returns whether the node is up. Whoever can ask runs on it, so the answer is no only to the
    /// destructors of a simulated node that has crashed: a real one would not have run them.
    fn is_running(&self) -> bool {
        true
    }
}

/// Ends a task from outside.
pub trait Abort: Send + Sync {
    /// Drops the task at its next suspension point. Without effect on a task that has ended.
    fn abort(&self);
}

/// Why a task gave no result.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum TaskError {
    /// The task panicked, with this message.
    #[error("the task panicked: {0}")]
    Panicked(String),
    /// The task was aborted, or its node is going down.
    #[error("the task was aborted")]
    Aborted,
}

/// A running task. Dropping the handle aborts the task; [`TaskHandle::detach`] lets it run on.
pub struct TaskHandle<T> {
    result: oneshot::Receiver<Result<T, TaskError>>,
    abort: Option<Box<dyn Abort>>,
}

impl<T> TaskHandle<T> {
    pub(crate) fn new(
        result: oneshot::Receiver<Result<T, TaskError>>,
        abort: Box<dyn Abort>,
    ) -> Self {
        Self { result, abort: Some(abort) }
    }

    /// Lets the task run to its own end, without a way to reach it.
    pub fn detach(mut self) {
        self.abort = None;
    }
}

/// Yields the task's result; its panic is an error value.
impl<T> Future for TaskHandle<T> {
    type Output = Result<T, TaskError>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        Pin::new(&mut self.result).poll(cx).map(|result| result.unwrap_or(Err(TaskError::Aborted)))
    }
}

impl<T> Drop for TaskHandle<T> {
    fn drop(&mut self) {
        if let Some(abort) = self.abort.take() {
            abort.abort();
        }
    }
}

/// Returns the words of a panic.
pub(crate) fn panic_message(panic: Box<dyn Any + Send>) -> String {
    let text = panic.downcast_ref::<&str>().map(|text| (*text).to_owned());
    text.or_else(|| panic.downcast_ref::<String>().cloned())
        .unwrap_or_else(|| "a panic without a message".to_owned())
}
