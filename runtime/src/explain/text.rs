//! An explanation as text.

use std::{
    fmt::{Display, Formatter, Result, Write as _},
    time::Duration,
};

use floodmark_dataflow::Guarantee;
use floodmark_model::{Exchange, LocalCopies, RestartStrategy};

use super::{
    Chain, Explanation, kind,
    path::{Component, PathGuarantee},
};
use crate::plan::{Part, PartInput, Role};

impl Display for Explanation {
    fn fmt(&self, f: &mut Formatter<'_>) -> Result {
        self.fmt_options(f)?;
        for (index, chain) in self.vertices.iter().enumerate() {
            writeln!(f)?;
            self.fmt_vertex(f, index, chain)?;
        }
        for path in &self.paths {
            writeln!(f)?;
            fmt_path(f, path)?;
        }
        if !self.loose_ends.is_empty() {
            writeln!(f)?;
        }
        for name in &self.loose_ends {
            writeln!(f, "nobody takes the records of {name:?}")?;
        }
        Ok(())
    }
}

impl Explanation {
    fn fmt_options(&self, f: &mut Formatter<'_>) -> Result {
        let Self { job, key_group_count, options, vertices, .. } = self;
        let subtasks = vertices.iter().map(|chain| u32::from(chain.parallelism)).sum::<u32>();
        let slots = vertices.iter().map(|chain| chain.parallelism).max().unwrap_or(0);
        writeln!(
            f,
            "job {job:?}: {}, {}, {}, {key_group_count} key groups",
            counted(vertices.len(), "vertex", "vertices"),
            counted(subtasks, "subtask", "subtasks"),
            counted(slots, "slot", "slots"),
        )?;
        match &options.checkpoints {
            None => writeln!(f, "checkpoints: none")?,
            Some(checkpoints) => {
                let copies = match checkpoints.local_copies {
                    LocalCopies::None => "",
                    LocalCopies::Newest => ", copies on the workers' disks",
                };
                let interval = words(checkpoints.interval);
                let limit = checkpoints.state_size_max.map_or_else(String::new, |size| {
                    format!(", of at most {size} bytes per subtask")
                });
                writeln!(
                    f,
                    "checkpoints: every {interval}, in {:?}{copies}{limit}",
                    options.storage
                )?;
            }
        }
        match (options.restart, options.checkpoints.is_some()) {
            (RestartStrategy::None, false) => {
                writeln!(f, "after a failure: the job ends; started again, it begins anew")
            }
            (RestartStrategy::None, true) => {
                writeln!(
                    f,
                    "after a failure: the job ends; started again, it goes on from a checkpoint"
                )
            }
            (RestartStrategy::FixedDelay { attempts, delay }, has_checkpoints) => {
                let from = if has_checkpoints { "from its last checkpoint" } else { "anew" };
                let times = counted(attempts, "time", "times");
                let delay = words(delay);
                writeln!(
                    f,
                    "after a failure: the job begins {from}, {delay} later, at most {times}"
                )
            }
        }
    }

    fn fmt_vertex(&self, f: &mut Formatter<'_>, index: usize, chain: &Chain) -> Result {
        let (head, _) = chain.parts[0];
        let inputs = &self.parts[head].inputs;
        write!(f, "vertex {index}: {}", chain.subtasks())?;
        if inputs.iter().any(|input| input.exchange == Some(Exchange::Hash)) {
            write!(f, ", {}", chain.key_groups(self.key_group_count))?;
        }
        writeln!(f)?;
        for input in inputs {
            writeln!(f, "  <- {}", self.input(input))?;
        }
        for (part, depth) in &chain.parts {
            let part = &self.parts[*part];
            let indent = (depth + 1) * 2;
            write!(f, "{:indent$}{}{:?}", "", kind(part.role), part.name)?;
            let facts = facts(part);
            if !facts.is_empty() {
                write!(f, ": {}", facts.join(", "))?;
            }
            writeln!(f)?;
        }
        Ok(())
    }

    /// Returns where records come from and how, in words.
    fn input(&self, input: &PartInput) -> String {
        let PartInput { from, side, exchange, is_second } = input;
        let Part { name, vertex, .. } = &self.parts[*from];
        let mut words = String::new();
        if let Some(side) = side {
            let _ = write!(words, "the side output {side:?} of ");
        }
        let _ = write!(words, "{name:?} in vertex {}", vertex.0);
        if let Some(exchange) = exchange {
            let _ = write!(words, ", {}", exchange_name(*exchange));
        }
        if *is_second {
            words.push_str(", as second input");
        }
        words
    }
}

/// Returns what there is to say of an operator but its name.
pub(super) fn facts(part: &Part) -> Vec<String> {
    let Part { name, uid, role, .. } = part;
    let mut facts = Vec::new();
    if let Role::Step { .. } = role
        && let [PartInput { side: Some(side), exchange: None, .. }] = part.inputs.as_slice()
    {
        facts.push(format!("takes the side output {side:?}"));
    }
    if !uid.is_empty() && uid != name {
        facts.push(format!("uid {uid:?}"));
    }
    // What is not named is not kept: it could not be found again.
    if !uid.is_empty() && !role.keeps().is_empty() {
        facts.push(format!("keeps {}", role.keeps()));
    }
    match role {
        Role::Source { is_replayable: true } => facts.push("can be read again".to_owned()),
        Role::Source { is_replayable: false } => facts.push("cannot be read again".to_owned()),
        Role::Step { .. } | Role::Sink { .. } => {}
    }
    facts
}

/// Returns what an exchange is called.
pub(super) fn exchange_name(exchange: Exchange) -> &'static str {
    match exchange {
        Exchange::Forward => "forward",
        Exchange::Hash => "hash",
        Exchange::Rebalance => "rebalance",
        Exchange::Broadcast => "broadcast",
    }
}

fn fmt_path(f: &mut Formatter<'_>, path: &PathGuarantee) -> Result {
    let guarantee = path.guarantee();
    write!(f, "from {:?} to {:?}: {guarantee}", path.source(), path.sink())?;
    if guarantee < Guarantee::ExactlyOnce {
        write!(f, ", because of the {}", path.weakest().name)?;
    }
    writeln!(f)?;
    for component in path.components() {
        let Component { name, guarantee, reason } = component;
        writeln!(f, "  {name:6}  {guarantee:13}  {reason}")?;
    }
    Ok(())
}

fn counted<N: Display + Copy + From<u8> + PartialEq>(count: N, one: &str, many: &str) -> String {
    let name = if count == N::from(1) { one } else { many };
    format!("{count} {name}")
}

fn words(duration: Duration) -> String {
    format!("{duration:?}")
}
