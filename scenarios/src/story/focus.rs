//! What a failing check speaks of: the ids in its reason.

use std::collections::BTreeSet;

use floodmark::{ChannelId, CheckpointId, EdgeId, RuntimeEvent, SubtaskId, Term, VertexId};

/// The ids that a reason names.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Focus {
    pub(crate) subtasks: BTreeSet<SubtaskId>,
    pub(crate) channels: BTreeSet<ChannelId>,
    pub(crate) checkpoints: BTreeSet<CheckpointId>,
    pub(crate) sinks: BTreeSet<String>,
}

/// An id in a text that has a name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Found {
    Subtask(SubtaskId),
    Channel(ChannelId),
}

impl Focus {
    /// Reads the ids in a reason.
    pub(crate) fn of(reason: &str) -> Self {
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

    /// Returns whether an event is about what was named.
    pub(crate) fn is_about(&self, event: &RuntimeEvent) -> bool {
        if self.is_empty() {
            return false;
        }
        let is_ours = match (event.subtask(), event.channel()) {
            (Some(subtask), _) => self.subtasks.contains(&subtask),
            (None, Some(channel)) => self.channels.contains(&channel),
            (None, None) => !self.checkpoints.is_empty() && event.checkpoint().is_some(),
        };
        let is_time = match event.checkpoint() {
            Some(checkpoint) => {
                self.checkpoints.is_empty() || self.checkpoints.contains(&checkpoint)
            }
            None => self.checkpoints.is_empty(),
        };
        is_ours && is_time && self.is_about_sink(event)
    }
}

impl Focus {
    #[expect(clippy::wildcard_enum_match_arm, reason = "few events are about one sink")]
    fn is_about_sink(&self, event: &RuntimeEvent) -> bool {
        match event {
            RuntimeEvent::TransactionPrepared { operator, .. }
            | RuntimeEvent::TransactionCommitted { operator, .. } => {
                self.sinks.is_empty() || self.sinks.contains(operator)
            }
            _ => true,
        }
    }
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
