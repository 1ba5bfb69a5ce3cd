//! What must be true of every run, whatever was done to it.
//!
//! A check listens to what the runtime says it does and compares it with a law. It speaks as soon as
//! the law is broken, names the operator, the channel and the checkpoint, and keeps nothing that
//! grows with the records. Checks read events alone and share no code with the runtime.
//!
//! A reason says which law was broken, and by whom. What explains it, and may differ from one failure
//! of the same cause to the next, stands behind a dash: ` — `.

mod conservation;
mod consistent_cut;
mod drift;
mod errors;
mod exactly_once;
mod fencing;
mod key_groups;
mod references;
mod restore;
mod timers;
mod two_phase;
mod watermarks;

pub use conservation::Conservation;
pub use consistent_cut::ConsistentCut;
pub use drift::Drift;
pub use errors::Errors;
pub use exactly_once::{exactly_once, first_difference};
pub use fencing::Fencing;
pub use key_groups::KeyGroups;
pub use references::References;
pub use restore::Restore;
pub use timers::Timers;
pub use two_phase::TwoPhase;
pub use watermarks::Watermarks;

use std::collections::BTreeMap;

use bytes::Bytes;
use floodmark::{Job, JobGraph, RuntimeEvent, SectionDigest, SubtaskId};
use floodmark_sim::Incident;

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

    /// Hears that an object of the store was written, or is gone.
    ///
    /// # Errors
    ///
    /// When that breaks the law: what broke, in words.
    fn on_object(&mut self, _key: &str, _content: Option<&Bytes>) -> Result<(), String> {
        Ok(())
    }

    /// Hears what a fault did.
    fn on_incident(&mut self, _incident: &Incident) {}

    /// Returns whether something may still happen after the job has ended that the law waits for.
    fn is_waiting(&self) -> bool {
        false
    }

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
pub fn all(job: &Job) -> Vec<Box<dyn Check>> {
    let (ended_inputs, job) = (job.ended_inputs(), job.graph());
    let names = Names::new(job);
    vec![
        Box::new(Fencing::default()),
        Box::new(ConsistentCut::new(names.clone())),
        // Lost state and a lost watermark mostly come together; the state is the cause.
        Box::new(Restore::new(names.clone())),
        Box::new(Watermarks::new(job, names.clone()).ended_inputs(ended_inputs)),
        Box::new(Timers::new(names.clone())),
        Box::new(TwoPhase::new(names.clone())),
        Box::new(KeyGroups::new(job, names.clone())),
        Box::new(References::new(names.clone())),
        Box::new(Errors::new(names.clone())),
        Box::new(Conservation::new(names.clone())),
        Box::new(Drift::new(names)),
    ]
}

/// Returns the sections by name. Prepared transactions are left out: a barrier adds to them and a
/// restore commits them, both on purpose, and the check of the two phases watches over them.
fn sections(sections: &[SectionDigest]) -> BTreeMap<String, SectionDigest> {
    let kept = sections.iter().filter(|section| !section.name.ends_with("/prepared"));
    kept.map(|section| (section.name.clone(), section.clone())).collect()
}

/// Returns the name of the first section that differs, and what it has on either side, in words.
fn difference(
    left: &BTreeMap<String, SectionDigest>,
    right: &BTreeMap<String, SectionDigest>,
) -> Option<(String, String, String)> {
    let mut names = left.keys().chain(right.keys());
    let hash_of =
        |side: &BTreeMap<String, SectionDigest>, name: &String| side.get(name).map(|one| one.hash);
    let name = names.find(|name| hash_of(left, name) != hash_of(right, name))?;
    let entries = |side: &BTreeMap<String, SectionDigest>| {
        side.get(name).map_or("no entries".to_owned(), |section| {
            let word = if section.entry_count == 1 { "entry" } else { "entries" };
            format!("{} {word} (hash {:016x})", section.entry_count, section.hash)
        })
    };
    Some((name.clone(), entries(left), entries(right)))
}

/// Returns the operators of a subtask that make requests, and how many of those were under way.
pub(crate) fn requests_under_way(sections: &[SectionDigest]) -> impl Iterator<Item = (&str, u64)> {
    sections.iter().filter_map(|section| {
        let operator = section.name.strip_suffix("/requests-under-way")?;
        Some((operator, section.entry_count))
    })
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
