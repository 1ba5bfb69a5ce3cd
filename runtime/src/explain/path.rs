//! What is promised of a source's records in a sink.

use std::{collections::BTreeSet, fmt};

use floodmark_dataflow::{Delivery, Guarantee};

use crate::{
    job::JobOptions,
    plan::{Part, Role},
};

/// What is promised of the records of one source in one sink, if something fails.
///
/// # Examples
///
/// A test that a job is never changed into one that loses or repeats something:
///
/// ```
/// use floodmark::{CheckpointConfig, Environment, FileSink, Guarantee, TextFile};
/// use std::time::Duration;
///
/// # fn main() -> Result<(), floodmark::Error> {
/// let env = Environment::new().checkpoints(CheckpointConfig::every(Duration::from_secs(10)));
/// let lines = env.source("access-log", TextFile::new("logs/access.log"));
/// let lengths = lines.map(|line| line.content.len());
/// lengths.sink("lengths", FileSink::new("output/lengths", |length: &usize| length.to_string()));
///
/// for path in env.explain("lengths")?.paths() {
///     assert_eq!(path.guarantee(), Guarantee::ExactlyOnce, "{path}");
/// }
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PathGuarantee {
    source: String,
    sink: String,
    /// The index of the sink among the job's operators.
    pub(super) sink_part: usize,
    parts: [Component; 3],
}

/// One of three that a guarantee needs: source, engine, sink.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Component {
    pub(super) name: &'static str,
    pub(super) guarantee: Guarantee,
    /// Why, as the rest of a sentence about the component.
    pub(super) reason: String,
}

impl PathGuarantee {
    /// Returns the name of the source.
    pub fn source(&self) -> &str {
        &self.source
    }

    /// Returns the name of the sink.
    pub fn sink(&self) -> &str {
        &self.sink
    }

    /// Returns what the source allows: exactly once if it can be read again, else at most once.
    pub fn of_source(&self) -> Guarantee {
        self.parts[0].guarantee
    }

    /// Returns what state and everything between source and sink allow: exactly once with checkpoints,
    /// else nothing.
    pub fn of_engine(&self) -> Guarantee {
        self.parts[1].guarantee
    }

    /// Returns what the sink allows.
    pub fn of_sink(&self) -> Guarantee {
        self.parts[2].guarantee
    }

    /// Returns what is promised from end to end: the least of the three.
    pub fn guarantee(&self) -> Guarantee {
        self.weakest().guarantee
    }

    /// Returns why it is no more than that, in words.
    pub fn reason(&self) -> &str {
        &self.weakest().reason
    }

    pub(super) fn components(&self) -> &[Component] {
        &self.parts
    }

    /// Returns the first of the weakest components, but the sink if all are equally good: there one
    /// sees what that is worth.
    pub(super) fn weakest(&self) -> &Component {
        let [source, engine, sink] = &self.parts;
        [sink, source, engine]
            .into_iter()
            .reduce(|least, next| if next.guarantee < least.guarantee { next } else { least })
            .expect("there are three")
    }
}

/// The end-to-end guarantee, and the reason.
impl fmt::Display for PathGuarantee {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { source, sink, .. } = self;
        write!(f, "from {source:?} to {sink:?}: {}, because {}", self.guarantee(), self.reason())
    }
}

/// Returns what is promised for every source and every sink that its records reach.
pub(super) fn all(parts: &[Part], options: &JobOptions) -> Vec<PathGuarantee> {
    let has_checkpoints = options.checkpoints.is_some();
    let mut paths = Vec::new();
    for (from, source) in parts.iter().enumerate() {
        let Role::Source { is_replayable } = source.role else { continue };
        let reached = reached(parts, from);
        for (to, sink) in parts.iter().enumerate() {
            let Role::Sink { delivery, .. } = sink.role else { continue };
            if !reached.contains(&to) {
                continue;
            }
            paths.push(PathGuarantee {
                source: source.name.clone(),
                sink: sink.name.clone(),
                sink_part: to,
                parts: [
                    of_source(source, is_replayable),
                    of_engine(has_checkpoints),
                    of_sink(sink, delivery, Around { is_replayable, has_checkpoints }),
                ],
            });
        }
    }
    paths
}

/// Returns the operators that records of the operator `from` reach. Inputs come before outputs.
fn reached(parts: &[Part], from: usize) -> BTreeSet<usize> {
    let mut reached = BTreeSet::from([from]);
    for (index, part) in parts.iter().enumerate() {
        if part.inputs.iter().any(|input| reached.contains(&input.from)) {
            reached.insert(index);
        }
    }
    reached
}

fn of_source(source: &Part, is_replayable: bool) -> Component {
    let name = &source.name;
    let (guarantee, reason) = if is_replayable {
        let reason = format!("the source {name:?} is read again from its position in a checkpoint");
        (Guarantee::ExactlyOnce, reason)
    } else {
        let reason = format!(
            "the source {name:?} cannot be read again: what it has yielded since the last checkpoint is \
             lost with a failure"
        );
        (Guarantee::AtMostOnce, reason)
    };
    Component { name: "source", guarantee, reason }
}

fn of_engine(has_checkpoints: bool) -> Component {
    let (guarantee, reason) = if has_checkpoints {
        let reason = "all state goes back to one checkpoint, and positions with it";
        (Guarantee::ExactlyOnce, reason)
    } else {
        let reason =
            "there are no checkpoints: after a failure nothing is known of what came before";
        (Guarantee::Nothing, reason)
    };
    Component { name: "engine", guarantee, reason: reason.to_owned() }
}

/// What the words about a sink depend on, besides the sink.
struct Around {
    is_replayable: bool,
    has_checkpoints: bool,
}

fn of_sink(sink: &Part, delivery: Delivery, around: Around) -> Component {
    let Around { is_replayable, has_checkpoints } = around;
    let name = &sink.name;
    let reason = match delivery {
        Delivery::Plain if is_replayable => {
            format!("the sink {name:?} writes again what came since the last checkpoint")
        }
        Delivery::Plain => format!(
            "the sink {name:?} writes again what comes again, which here is what windows and timers have \
             made since the last checkpoint"
        ),
        Delivery::Idempotent => format!(
            "the sink {name:?} overwrites what it wrote before, though until it has caught up readers \
             can see earlier values again"
        ),
        Delivery::Transactional if has_checkpoints => {
            format!(
                "the sink {name:?} commits what a completed checkpoint covers, and nothing else"
            )
        }
        Delivery::Transactional => {
            format!("the sink {name:?} commits; without checkpoints only when the job has finished")
        }
    };
    Component { name: "sink", guarantee: delivery.guarantee(), reason }
}
