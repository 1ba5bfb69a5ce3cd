//! What a job will be, told before it runs: its operators, what they keep, and what is promised.
//!
//! A path from a source to a sink is as good as its weakest part: a source that cannot be read again
//! loses records, an engine without checkpoints knows nothing after a failure, and a sink that does
//! not commit writes records again. Which operators lie between makes no difference, so there is one
//! answer for each source and each sink that it reaches.

mod draw;
mod path;
mod text;

use std::collections::BTreeSet;

use floodmark_dataflow::Program as _;
use floodmark_model::KeyGroupLayout;

pub use self::path::PathGuarantee;
use crate::{
    job::JobOptions,
    plan::{Part, Plan, Role},
};

/// A job as it would run: as text (`Display`), as Graphviz DOT, or as Mermaid.
///
/// The text is made for people, and may change from version to version; [`Explanation::paths`] is for
/// programs.
///
/// # Examples
///
/// ```
/// use floodmark::{Environment, Guarantee};
///
/// # fn main() -> Result<(), floodmark::Error> {
/// let env = Environment::new();
/// let words = env.from_vec("words", vec!["to".to_owned(), "be".to_owned()]);
/// words.key_by(|word| word.clone()).stateful(|_, count: &mut u64, _| *count += 1).collect("counts");
///
/// let explanation = env.build("word-count")?.explain();
/// assert!(explanation.to_string().contains("sink \"counts\""));
/// assert!(explanation.to_dot().starts_with("digraph"));
/// assert!(explanation.to_mermaid().starts_with("flowchart"));
/// // There are no checkpoints.
/// assert_eq!(explanation.paths()[0].guarantee(), Guarantee::Nothing);
/// # Ok(())
/// # }
/// ```
#[doc(alias = "getExecutionPlan")]
#[doc(alias = "plan")]
pub struct Explanation {
    job: String,
    key_group_count: u16,
    options: JobOptions,
    vertices: Vec<Chain>,
    parts: Vec<Part>,
    paths: Vec<PathGuarantee>,
    /// Names of operators that emit records which nobody takes.
    loose_ends: Vec<String>,
}

/// A vertex, as it is explained.
struct Chain {
    parallelism: u16,
    /// The indices of its operators, with the number of branchings before them. All of a branch comes
    /// before the next one.
    parts: Vec<(usize, usize)>,
}

impl Explanation {
    pub(crate) fn new(plan: &Plan, options: &JobOptions) -> Self {
        let graph = plan.graph();
        let parts = plan.parts();
        let vertices = graph.vertices.iter().map(|vertex| {
            let is_head = |part: &Part| {
                let is_first = part.inputs.iter().all(|input| input.exchange.is_some());
                part.vertex == vertex.id && is_first
            };
            let head = parts.iter().position(is_head).expect("a vertex has a first operator");
            let mut chain = Chain { parallelism: vertex.parallelism, parts: Vec::new() };
            chain.add(&parts, head, 0);
            chain
        });
        let vertices = vertices.collect();
        let taken: BTreeSet<usize> =
            parts.iter().flat_map(|part| part.inputs.iter().map(|input| input.from)).collect();
        let is_loose = |(index, part): &(usize, &Part)| {
            !taken.contains(index) && !matches!(part.role, Role::Sink { .. })
        };
        let loose_ends = parts.iter().enumerate().filter(is_loose);
        let loose_ends = loose_ends.map(|(_, part)| part.name.clone()).collect();
        Self {
            job: graph.name.clone(),
            key_group_count: graph.key_group_count,
            options: options.clone(),
            paths: path::all(&parts, options),
            vertices,
            parts,
            loose_ends,
        }
    }

    /// Returns what is promised of the records of each source in each sink that they reach, in the
    /// order in which sources, and then sinks, were added to the job.
    pub fn paths(&self) -> &[PathGuarantee] {
        &self.paths
    }
}

impl Chain {
    fn add(&mut self, parts: &[Part], index: usize, depth: usize) {
        self.parts.push((index, depth));
        let is_next = |part: &Part| {
            part.inputs.iter().any(|input| input.from == index && input.exchange.is_none())
        };
        let next = (0..parts.len()).filter(|next| is_next(&parts[*next])).collect::<Vec<_>>();
        let depth = if next.len() == 1 { depth } else { depth + 1 };
        next.into_iter().for_each(|next| self.add(parts, next, depth));
    }

    /// Returns how many subtasks it has, in words.
    fn subtasks(&self) -> String {
        match self.parallelism {
            1 => "1 subtask".to_owned(),
            count => format!("{count} subtasks"),
        }
    }

    /// Returns how many of the key groups a subtask has, in words.
    fn key_groups(&self, group_count: u16) -> String {
        let layout = KeyGroupLayout { group_count, parallelism: self.parallelism };
        let sizes = (0..self.parallelism).map(|index| layout.range_of(index).len());
        let (least, most) = (sizes.clone().min(), sizes.max());
        let (least, most) = (least.unwrap_or(0), most.unwrap_or(0));
        if least == most {
            format!("{least} key groups each")
        } else {
            format!("{least} or {most} key groups each")
        }
    }
}

/// Returns what an operator is called, in front of its name.
fn kind(role: Role) -> &'static str {
    match role {
        Role::Source { .. } => "source ",
        Role::Step { .. } => "",
        Role::Sink { .. } => "sink ",
    }
}
