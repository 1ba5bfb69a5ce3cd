//! Promises about event time are kept: per channel, per subtask, and across recovery.

use std::collections::BTreeMap;

use floodmark::{Attempt, ChannelId, CheckpointId, RuntimeEvent, SubtaskId, Timestamp};

use super::{Check, Names};

/// Follows the watermark of every channel and subtask.
#[derive(Debug)]
pub struct Watermarks {
    names: Names,
    /// The last promise on each channel, and the attempt it was made in.
    channels: BTreeMap<ChannelId, (Attempt, Timestamp)>,
    /// The event time of each subtask, and the attempt.
    subtasks: BTreeMap<SubtaskId, (Attempt, Timestamp)>,
    /// What each subtask had reached when it took its snapshot.
    snapshots: BTreeMap<(CheckpointId, SubtaskId), Timestamp>,
}

impl Watermarks {
    /// Creates the check.
    pub fn new(names: Names) -> Self {
        Self {
            names,
            channels: BTreeMap::new(),
            subtasks: BTreeMap::new(),
            snapshots: BTreeMap::new(),
        }
    }

    fn on_started(
        &mut self,
        attempt: Attempt,
        subtask: SubtaskId,
        restored: Option<CheckpointId>,
        watermark: Timestamp,
    ) -> Result<(), String> {
        self.subtasks.insert(subtask, (attempt, watermark));
        let Some(checkpoint) = restored else { return Ok(()) };
        match self.snapshots.get(&(checkpoint, subtask)) {
            Some(promised) if watermark == *promised => Ok(()),
            Some(promised) => Err(format!(
                "{} had reached watermark {promised} in {checkpoint}, and begins {attempt} with \
                 {watermark}",
                self.names.of(subtask),
            )),
            None => Err(format!(
                "{} begins {attempt} from {checkpoint}, of which it took no snapshot",
                self.names.of(subtask),
            )),
        }
    }
}

impl Check for Watermarks {
    fn name(&self) -> &'static str {
        "watermarks"
    }

    #[expect(clippy::wildcard_enum_match_arm, reason = "a law is about a few kinds of event")]
    fn on_event(&mut self, _: &str, event: &RuntimeEvent) -> Result<(), String> {
        match event {
            RuntimeEvent::ChannelWatermark { attempt, channel, watermark } => {
                let last = self.channels.insert(*channel, (*attempt, *watermark));
                match last {
                    Some((same, last)) if same == *attempt && *watermark <= last => {
                        Err(format!("{channel} in {attempt}: watermark {watermark} follows {last}"))
                    }
                    _ => Ok(()),
                }
            }
            RuntimeEvent::WatermarkAdvanced { attempt, subtask, watermark } => {
                let last = self.subtasks.insert(*subtask, (*attempt, *watermark));
                match last {
                    Some((same, last)) if same == *attempt && *watermark <= last => Err(format!(
                        "{} in {attempt}: watermark {watermark} follows {last}",
                        self.names.of(*subtask),
                    )),
                    _ => Ok(()),
                }
            }
            RuntimeEvent::SnapshotTaken { subtask, checkpoint, watermark, .. } => {
                self.snapshots.insert((*checkpoint, *subtask), *watermark);
                Ok(())
            }
            RuntimeEvent::SubtaskStarted { attempt, subtask, restored, watermark, .. } => {
                self.on_started(*attempt, *subtask, *restored, *watermark)
            }
            _ => Ok(()),
        }
    }
}
