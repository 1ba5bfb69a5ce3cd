//! The handle behind which the world hides.

use std::{panic::AssertUnwindSafe, pin::pin, sync::Arc, time::Duration};

use futures_util::{
    FutureExt as _,
    future::{Either, select},
};
use tokio::sync::oneshot;

use crate::{
    Clock, Disk, Entropy, Network, ObjectStore, Observation, Observe, TaskHandle, Tasks,
    tasks::panic_message,
};

/// Everything one node may ask of the world.
pub trait Platform:
    Clock + Tasks + Network + ObjectStore + Disk + Entropy + Observe + Send + Sync + 'static
{
}

impl<T> Platform for T where
    T: Clock + Tasks + Network + ObjectStore + Disk + Entropy + Observe + Send + Sync + 'static
{
}

/// One node's handle to its world. Clones are cheap and mean the same node.
#[derive(Clone)]
pub struct Machine(Arc<dyn Platform>);

impl Machine {
    /// Creates the handle of a node of the given world.
    pub fn new(platform: impl Platform) -> Self {
        Self(Arc::new(platform))
    }

    /// Returns this node's clock.
    pub fn clock(&self) -> &dyn Clock {
        &*self.0
    }

    /// Returns the network.
    pub fn network(&self) -> &dyn Network {
        &*self.0
    }

    /// Returns the object store, which all nodes share.
    pub fn object_store(&self) -> &dyn ObjectStore {
        &*self.0
    }

    /// Returns this node's disk.
    pub fn disk(&self) -> &dyn Disk {
        &*self.0
    }

    /// Returns the maker of free choices.
    pub fn entropy(&self) -> &dyn Entropy {
        &*self.0
    }

    /// Returns the time since some fixed moment of this node.
    pub fn now(&self) -> Duration {
        self.0.now()
    }

    /// Completes after `duration` on this node's clock.
    pub async fn sleep(&self, duration: Duration) {
        self.0.sleep_until(self.now().saturating_add(duration)).await;
    }

    /// Returns what `future` yields, or `None` if it takes longer than `limit`.
    pub async fn timeout<F: Future>(&self, limit: Duration, future: F) -> Option<F::Output> {
        let deadline = self.0.sleep_until(self.now().saturating_add(limit));
        match select(pin!(future), deadline).await {
            Either::Left((output, _)) => Some(output),
            Either::Right(((), _)) => None,
        }
    }

    /// Starts a task. Its panic becomes an error value of the handle.
    pub fn spawn<T: Send + 'static>(
        &self,
        name: &'static str,
        task: impl Future<Output = T> + Send + 'static,
    ) -> TaskHandle<T> {
        let (sender, receiver) = oneshot::channel();
        let guarded = AssertUnwindSafe(task).catch_unwind();
        let abort = self.0.spawn(
            name,
            Box::pin(async move {
                let result = guarded.await;
                let result =
                    result.map_err(|panic| crate::TaskError::Panicked(panic_message(panic)));
                // Nobody waits for a detached task.
                let _ = sender.send(result);
            }),
        );
        TaskHandle::new(receiver, abort)
    }

    /// Returns whether this node is up: no for destructors that a crash of a simulated node runs.
    pub fn is_running(&self) -> bool {
        self.0.is_running()
    }

    /// Returns whether anybody listens to what happens.
    pub fn is_observed(&self) -> bool {
        self.0.is_observed()
    }

    /// Tells whoever listens what happened; `observation` is not even built when nobody does.
    pub fn observe<O: Observation>(&self, observation: impl FnOnce() -> O) {
        if self.0.is_observed() {
            self.0.observe(&observation());
        }
    }
}
