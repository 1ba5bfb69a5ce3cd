//! From `open` to `close`: the life of a function that a user wrote.

use std::{
    ops::{Deref, DerefMut},
    panic::{AssertUnwindSafe, catch_unwind},
};

use floodmark_platform::Machine;

use crate::BoxError;

/// A function that is closed once when its operator goes, if it was opened: at the end of the input,
/// after a failure of whatever part of the job, and when the attempt is cancelled. A node that crashes
/// closes nothing.
pub(crate) struct Lifecycle<F> {
    operator: String,
    function: F,
    close: fn(&mut F) -> Result<(), BoxError>,
    /// The node, from the opening on.
    machine: Option<Machine>,
}

impl<F> Lifecycle<F> {
    /// Takes a function of `operator` that was not opened, and what closes it.
    pub(crate) fn new(
        operator: &str,
        function: F,
        close: fn(&mut F) -> Result<(), BoxError>,
    ) -> Self {
        Self { operator: operator.to_owned(), function, close, machine: None }
    }

    /// Opens the function.
    pub(crate) fn open(
        &mut self,
        machine: &Machine,
        open: fn(&mut F) -> Result<(), BoxError>,
    ) -> Result<(), BoxError> {
        open(&mut self.function)?;
        self.machine = Some(machine.clone());
        Ok(())
    }
}

impl<F> Drop for Lifecycle<F> {
    fn drop(&mut self) {
        if !self.machine.as_ref().is_some_and(Machine::is_running) {
            return;
        }
        // What the function had to say is said; nobody is left who could go back.
        let (operator, close) = (&self.operator, self.close);
        match catch_unwind(AssertUnwindSafe(|| close(&mut self.function))) {
            Ok(Ok(())) => {}
            Ok(Err(error)) => tracing::warn!(operator, %error, "a function was not closed well"),
            Err(_) => tracing::warn!(operator, "a function panicked while it was closed"),
        }
    }
}

impl<F> Deref for Lifecycle<F> {
    type Target = F;

    fn deref(&self) -> &F {
        &self.function
    }
}

impl<F> DerefMut for Lifecycle<F> {
    fn deref_mut(&mut self) -> &mut F {
        &mut self.function
    }
}
