//! Systems outside the cluster, as far as a run has to know them.

use std::sync::{Mutex, PoisonError};

use floodmark::platform::BoxFuture;
use floodmark_sim::{CallError, World};

/// A system that a job talks to and that no node of the cluster runs. It outlives every crash, and
/// begins anew with every run.
pub trait OutsideSystem: Send + Sync {
    /// Begins a run, with nothing in it.
    fn begin(&self, world: &World);

    /// Ends the run. What was written can be read until the next one begins.
    fn end(&self);

    /// Returns what readers of the system see, line by line, by name: `outside/…`.
    fn lines(&self) -> Vec<(&'static str, Vec<String>)>;

    /// Returns whether the job has left the system in order.
    ///
    /// # Errors
    ///
    /// The check that speaks, and its reason.
    fn verdict(&self) -> Result<(), (&'static str, String)>;
}

/// The way to a system: present while a run lasts.
#[derive(Default)]
pub(crate) struct Wire(Mutex<Option<World>>);

impl Wire {
    pub(crate) fn begin(&self, world: &World) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = Some(world.clone());
    }

    pub(crate) fn end(&self) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = None;
    }

    /// Asks the system for something; `act` is given the time, in milliseconds of the run.
    pub(crate) fn call<T: Send + 'static>(
        &self,
        system: &'static str,
        operation: &'static str,
        act: impl FnOnce(u64) -> T + Send + 'static,
    ) -> BoxFuture<Result<T, CallError>> {
        let world = self.0.lock().unwrap_or_else(PoisonError::into_inner).clone();
        let Some(world) = world else {
            return Box::pin(async move { Err(CallError::Failed { system, operation }) });
        };
        let clock = world.clone();
        let now = move || u64::try_from(clock.now().as_millis()).unwrap_or(u64::MAX);
        world.call(system, operation, move || act(now()))
    }
}
