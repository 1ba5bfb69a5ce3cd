//! What must be true of every run, whatever was done to it.
//!
//! A check listens to what the runtime says it does and compares it with a law. It speaks as soon as
//! the law is broken, names the operator, the channel and the checkpoint, and keeps nothing that
//! grows with the records. Checks read events alone and share no code with the runtime.

mod conservation;
mod consistent_cut;
mod exactly_once;
mod fencing;
mod restore;
mod two_phase;
mod watermarks;

pub use conservation::Conservation;
pub use consistent_cut::ConsistentCut;
pub use exactly_once::exactly_once;
pub use fencing::Fencing;
pub use restore::Restore;
pub use two_phase::TwoPhase;
pub use watermarks::Watermarks;

use floodmark::{JobGraph, RuntimeEvent, SubtaskId};

/// A law about what happens during a run.
pub trait Check: Send {
    /// Returns the name of the law, as failures show it.
    fn name(&self) -> &'static str;

    /// Hears of an event on a node.
    ///
    /// # Errors
    ///
    /// When it breaks the law: what broke, in words.
    fn on_event(&mut self, node: &str, event: &RuntimeEvent) -> Result<(), String>;

    /// Hears that the job has ended well.
    ///
    /// # Errors
    ///
    /// When something that had to happen did not.
    fn on_end(&mut self) -> Result<(), String> {
        Ok(())
    }
}

/// Returns all checks that listen, fresh.
pub fn all(job: &JobGraph) -> Vec<Box<dyn Check>> {
    let names = Names::new(job);
    vec![
        Box::new(Fencing::default()),
        Box::new(ConsistentCut::new(names.clone())),
        Box::new(Watermarks::new(names.clone())),
        Box::new(Restore::new(names.clone())),
        Box::new(TwoPhase::new(names.clone())),
        Box::new(Conservation::new(names)),
    ]
}

/// The names of a job's vertices, so that failures speak of operators and not of numbers.
#[derive(Clone, Debug)]
pub struct Names(std::sync::Arc<[String]>);

impl Names {
    fn new(job: &JobGraph) -> Self {
        Self(job.vertices.iter().map(|vertex| vertex.name.clone()).collect())
    }

    /// Returns the name and index of a subtask.
    fn of(&self, subtask: SubtaskId) -> String {
        let name = self.0.get(subtask.vertex.0 as usize).map_or("?", String::as_str);
        format!("{subtask} ({name})")
    }
}
