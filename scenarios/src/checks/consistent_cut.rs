//! For every channel, as many records were sent before the sender's snapshot as were received
//! before the receiver's.

use std::collections::BTreeMap;

use floodmark::{Attempt, ChannelId, CheckpointId, RuntimeEvent, SubtaskId};

use super::{Check, Names};

/// Compares both ends of every channel, checkpoint by checkpoint.
#[derive(Debug)]
pub struct ConsistentCut {
    names: Names,
    /// The end of a channel that was heard of first: its count, who, and whether it sent.
    halves: BTreeMap<(CheckpointId, Attempt, ChannelId), (u64, SubtaskId, bool)>,
}

impl ConsistentCut {
    /// Creates the check.
    pub fn new(names: Names) -> Self {
        Self { names, halves: BTreeMap::new() }
    }

    fn on_half(
        &mut self,
        key: (CheckpointId, Attempt, ChannelId),
        half: (u64, SubtaskId, bool),
    ) -> Result<(), String> {
        let Some(other) = self.halves.remove(&key) else {
            self.halves.insert(key, half);
            return Ok(());
        };
        let (sender, receiver) = if half.2 { (half, other) } else { (other, half) };
        if sender.0 == receiver.0 {
            return Ok(());
        }
        let (checkpoint, attempt, channel) = key;
        Err(format!(
            "{channel} in {attempt}: {} had sent {} records when it took its snapshot of \
             {checkpoint}, and {} had received {}",
            self.names.of(sender.1),
            sender.0,
            self.names.of(receiver.1),
            receiver.0,
        ))
    }
}

impl Check for ConsistentCut {
    fn name(&self) -> &'static str {
        "consistent_cut"
    }

    fn on_event(&mut self, _: &str, event: &RuntimeEvent) -> Result<(), String> {
        if let RuntimeEvent::ManifestStored { checkpoint, .. } = event {
            // What was aborted before is never restored.
            self.halves.retain(|(older, ..), _| checkpoint <= older);
        }
        let RuntimeEvent::SnapshotTaken { attempt, subtask, checkpoint, received, sent, .. } =
            event
        else {
            return Ok(());
        };
        for (channel, count) in received {
            self.on_half((*checkpoint, *attempt, *channel), (*count, *subtask, false))?;
        }
        for (channel, count) in sent {
            self.on_half((*checkpoint, *attempt, *channel), (*count, *subtask, true))?;
        }
        Ok(())
    }
}
