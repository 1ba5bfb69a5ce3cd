//! What a failing check speaks of: the ids in its reason.

use std::collections::BTreeSet;

use floodmark::{
    ChannelId, CheckpointId, EdgeId, Exchange, JobGraph, RuntimeEvent, SubtaskId, Term, VertexId,
};

use super::hindsight::Hindsight;
use crate::{Account, Failure};

/// Checks that compare results, and name no part of the runtime.
const ABOUT_RESULTS: [&str; 3] = ["exactly_once", "law_of_the_job", "results"];

/// The ids that a reason names, and what explains them.
#[derive(Clone, Debug, Default)]
pub(crate) struct Focus {
    pub(crate) subtasks: BTreeSet<SubtaskId>,
    pub(crate) channels: BTreeSet<ChannelId>,
    pub(crate) checkpoints: BTreeSet<CheckpointId>,
    pub(crate) sinks: BTreeSet<String>,
    /// Channels whose barriers matter: a cut is explained by all inputs of the one who made it.
    barriers: BTreeSet<ChannelId>,
    /// Whether results are wrong, and nobody was named.
    pub(crate) is_about_results: bool,
    pub(super) hindsight: Hindsight,
}

/// An id in a text that has a name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Found {
    Subtask(SubtaskId),
    Channel(ChannelId),
}

impl Focus {
    /// Returns what matters in a run, with or without a failure.
    pub(crate) fn new(account: &Account, failure: Option<&Failure>) -> Self {
        let mut focus = failure.map(|failure| Self::of(&failure.reason)).unwrap_or_default();
        focus.hindsight = Hindsight::new(account);
        if failure.is_some_and(|failure| failure.check == "consistent_cut") {
            let job = &account.job;
            let receivers = focus.channels.iter().filter_map(|channel| {
                let edge = job.edges.iter().find(|edge| edge.id == channel.edge)?;
                Some(SubtaskId { vertex: edge.to, index: channel.to })
            });
            let named = focus.subtasks.iter().copied().chain(receivers);
            focus.barriers = named.flat_map(|subtask| inputs_of(job, subtask)).collect();
        }
        let is_about_results =
            failure.is_some_and(|failure| ABOUT_RESULTS.contains(&&*failure.check));
        focus.is_about_results = is_about_results && focus.is_empty();
        focus
    }

    /// Reads the ids in a reason.
    fn of(reason: &str) -> Self {
        let mut focus = Self::default();
        let mut rest = reason;
        while let Some((_, found, _, after)) = find(rest) {
            match found {
                Found::Subtask(subtask) => focus.subtasks.insert(subtask),
                Found::Channel(channel) => focus.channels.insert(channel),
            };
            rest = after;
        }
        for (at, word) in reason.match_indices("checkpoint ") {
            focus.checkpoints.extend(checkpoint(&reason[at + word.len()..]));
        }
        let sinks = reason.split("sink ").skip(1);
        focus.sinks.extend(sinks.filter_map(|text| Some(text.split_once(" in ")?.0.to_owned())));
        focus
    }

    /// Returns whether a check named anything.
    pub(crate) fn is_empty(&self) -> bool {
        self.subtasks.is_empty() && self.channels.is_empty() && self.checkpoints.is_empty()
    }

    /// Returns whether an event is about what was named, or explains it.
    pub(crate) fn is_about(&self, event: &RuntimeEvent) -> bool {
        if self.is_about_results {
            return self.is_about_output(event);
        }
        if self.is_empty() {
            return false;
        }
        let is_ours = match (event.subtask(), event.channel()) {
            (Some(subtask), _) => self.subtasks.contains(&subtask),
            (None, Some(channel)) => {
                let is_barrier = matches!(event, RuntimeEvent::BarrierArrived { .. });
                self.channels.contains(&channel) || is_barrier && self.barriers.contains(&channel)
            }
            (None, None) => !self.checkpoints.is_empty() && event.checkpoint().is_some(),
        };
        let is_time = match self.checkpoint_of(event) {
            Some(checkpoint) => {
                self.checkpoints.is_empty() || self.checkpoints.contains(&checkpoint)
            }
            None => self.checkpoints.is_empty(),
        };
        is_ours && is_time && self.is_about_sink(event)
    }

    /// Returns the checkpoint that an event is about: what happens when an attempt begins is about the
    /// one that it restores.
    #[expect(clippy::wildcard_enum_match_arm, reason = "few events belong to a restore")]
    pub(super) fn checkpoint_of(&self, event: &RuntimeEvent) -> Option<CheckpointId> {
        match event {
            RuntimeEvent::EventTimeRestored { attempt, .. }
            | RuntimeEvent::TransactionAborted { attempt, .. } => self.hindsight.restored(*attempt),
            _ => event.checkpoint(),
        }
    }

    #[expect(clippy::wildcard_enum_match_arm, reason = "few events are about one sink")]
    fn is_about_sink(&self, event: &RuntimeEvent) -> bool {
        match event {
            RuntimeEvent::TransactionPrepared { operator, .. }
            | RuntimeEvent::TransactionCommitted { operator, .. }
            | RuntimeEvent::TransactionAborted { operator, .. } => self.is_about_one(operator),
            _ => true,
        }
    }

    /// Returns whether a sink was named, or none was.
    pub(super) fn is_about_one(&self, sink: &str) -> bool {
        self.sinks.is_empty() || self.sinks.contains(sink)
    }

    /// Returns whether an event decides which results there are: a source that reads on from a
    /// checkpoint, or a transaction that comes to nothing.
    #[expect(clippy::wildcard_enum_match_arm, reason = "few events decide over results")]
    fn is_about_output(&self, event: &RuntimeEvent) -> bool {
        match event {
            RuntimeEvent::SplitsAssigned { restored, .. } => restored.is_some(),
            RuntimeEvent::TransactionAborted { .. } => true,
            RuntimeEvent::TransactionPrepared { subtask, operator, checkpoint, .. } => {
                self.hindsight.is_lost(&(*subtask, operator.clone(), *checkpoint))
            }
            _ => false,
        }
    }
}

/// Returns all channels into a subtask.
fn inputs_of(job: &JobGraph, subtask: SubtaskId) -> impl Iterator<Item = ChannelId> {
    let edges = job.edges.iter().filter(move |edge| edge.to == subtask.vertex);
    edges.flat_map(move |edge| {
        let senders = match edge.exchange {
            Exchange::Forward => subtask.index..subtask.index + 1,
            Exchange::Hash | Exchange::Rebalance | Exchange::Broadcast => {
                0..job.vertices[edge.from.0 as usize].parallelism
            }
        };
        senders.map(move |from| ChannelId { edge: edge.id, from, to: subtask.index })
    })
}

/// Finds the first subtask or channel in a text: what is before it, the id, its text, what follows.
pub(super) fn find(text: &str) -> Option<(&str, Found, &str, &str)> {
    let mut from = 0;
    while from < text.len() {
        let rest = &text[from..];
        let starts = ["subtask ", "channel "].map(|word| rest.find(word));
        let start = starts.into_iter().flatten().min()?;
        let id = &rest[start..];
        let read = if id.starts_with('s') { subtask(&id[8..]) } else { channel(&id[8..]) };
        if let Some((found, len)) = read {
            let (id, after) = id.split_at(8 + len);
            return Some((&text[..from + start], found, id, after));
        }
        from += start + 8;
    }
    None
}

fn subtask(text: &str) -> Option<(Found, usize)> {
    let (vertex, rest) = digits(text)?;
    let (index, rest) = digits(rest.strip_prefix('.')?)?;
    let vertex = VertexId(u32::try_from(vertex).ok()?);
    let subtask = SubtaskId { vertex, index: u16::try_from(index).ok()? };
    Some((Found::Subtask(subtask), text.len() - rest.len()))
}

fn channel(text: &str) -> Option<(Found, usize)> {
    let (edge, rest) = digits(text)?;
    let (from, rest) = digits(rest.strip_prefix(':')?)?;
    let (to, rest) = digits(rest.strip_prefix('→')?)?;
    let edge = EdgeId(u32::try_from(edge).ok()?);
    let channel = ChannelId { edge, from: u16::try_from(from).ok()?, to: u16::try_from(to).ok()? };
    Some((Found::Channel(channel), text.len() - rest.len()))
}

/// Reads `7`, or `2.7` for the seventh of the second term.
fn checkpoint(text: &str) -> Option<CheckpointId> {
    let (first, rest) = digits(text)?;
    let second = rest.strip_prefix('.').and_then(digits);
    let (term, number) = second.map_or((1, first), |(second, _)| (first, second));
    if term == 0 || number == 0 {
        return None;
    }
    Some(CheckpointId(CheckpointId::first_of(Term(term)).0 + number - 1))
}

/// Reads a number.
fn digits(text: &str) -> Option<(u64, &str)> {
    let len = text.bytes().take_while(u8::is_ascii_digit).count();
    Some((text[..len].parse().ok()?, &text[len..]))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_reason_is_read_for_its_ids() {
        let focus = Focus::of(
            "channel 0:1→2 in attempt 1.1: subtask 3.4 (a → b) had sent 5 records when it took its \
             snapshot of checkpoint 2.7, and no channel was idle",
        );
        assert_eq!(focus.subtasks, [SubtaskId { vertex: VertexId(3), index: 4 }].into());
        assert_eq!(focus.channels, [ChannelId { edge: EdgeId(0), from: 1, to: 2 }].into());
        let seventh = CheckpointId(CheckpointId::first_of(Term(2)).0 + 6);
        assert_eq!(focus.checkpoints, [seventh].into());
        assert!(Focus::of("the job has not ended; 3 checkpoints were completed").is_empty());
    }
}
