//! The steps of what happened to something that a check has named.

use std::{collections::BTreeMap, time::Duration};

use floodmark::{RuntimeEvent, SubtaskId};

use super::{
    focus::Focus,
    words::{count, seconds},
};

/// Steps of one thing that are closer than this have one time.
const STEP_SHOWN: Duration = Duration::from_millis(1);

/// One step.
#[derive(Clone, Debug)]
pub(super) struct Step {
    pub(super) at: Duration,
    /// Who took it, if the sentence does not say so itself.
    pub(super) who: Option<Who>,
    /// What was done, as the rest of a sentence.
    pub(super) what: String,
}

/// A subtask; where and in which attempt, if another of its name could be meant.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Who {
    pub(super) subtask: SubtaskId,
    pub(super) instance: Option<String>,
}

/// Tells steps in one sentence. A name stands for the same instance until the sentence says another.
pub(super) fn sentence(steps: &[Step]) -> String {
    let mut text = String::new();
    let mut shown = steps.first().map_or(Duration::ZERO, |step| step.at);
    let mut before: Option<&Who> = None;
    let mut instances: BTreeMap<SubtaskId, &str> = BTreeMap::new();
    for (index, Step { at, who, what }) in steps.iter().enumerate() {
        if 0 < index {
            text.push_str("; ");
        }
        let is_later = STEP_SHOWN < at.saturating_sub(shown);
        if is_later {
            text.push_str(&format!("at {} ", seconds(*at)));
            shown = *at;
        }
        match who {
            Some(who) if is_later || before != Some(who) => {
                text.push_str(&format!("{} ", who.subtask));
                if let Some(instance) = &who.instance
                    && instances.insert(who.subtask, instance) != Some(instance)
                {
                    text.push_str(&format!("{instance} "));
                }
            }
            Some(_) | None => {}
        }
        text.push_str(what);
        before = who.as_ref();
    }
    text
}

/// Says what an event means for what a check has named, as the rest of a sentence about the one who
/// did it.
#[expect(clippy::wildcard_enum_match_arm, reason = "other events are no steps")]
pub(super) fn what(node: &str, event: &RuntimeEvent, focus: &Focus) -> Option<String> {
    Some(match event {
        RuntimeEvent::CheckpointTriggered { .. } => "it begins".to_owned(),
        RuntimeEvent::BarrierEmitted { .. } => "sends its barrier".to_owned(),
        RuntimeEvent::BarrierArrived { channel, .. } => {
            format!("the barrier arrives on {channel}")
        }
        RuntimeEvent::AlignmentAborted { .. } => "stops waiting for the other barriers".to_owned(),
        RuntimeEvent::SnapshotTaken { received, sent, .. } => {
            let counts = |counts: &[(_, u64)], word: &str| -> Vec<String> {
                let named = counts.iter().filter(|(channel, _)| focus.channels.contains(channel));
                named.map(|(channel, count)| format!(", {count} {word} on {channel}")).collect()
            };
            let counts = [counts(received, "received"), counts(sent, "sent")].concat().concat();
            format!("takes its snapshot{counts}")
        }
        RuntimeEvent::TransactionPrepared { operator: sink, .. } => {
            format!("prepares its transaction in sink {sink}")
        }
        RuntimeEvent::SnapshotStored { .. } => "stores its snapshot".to_owned(),
        RuntimeEvent::SnapshotDeclined { reason, .. } => {
            format!("cannot store its snapshot, and declines: {reason}")
        }
        RuntimeEvent::CheckpointAcknowledged { .. } => format!("has told {node}"),
        RuntimeEvent::AcknowledgementIgnored { .. } => format!("has told {node} too late"),
        RuntimeEvent::ManifestStored { .. } => "it completes".to_owned(),
        RuntimeEvent::CheckpointAborted { reason, .. } => format!("it is given up: {reason}"),
        RuntimeEvent::CheckpointNotified { .. } => "hears that it is complete".to_owned(),
        RuntimeEvent::TransactionCommitted { operator: sink, checkpoint, notified, .. } => {
            let told = if checkpoint == notified {
                String::new()
            } else {
                format!(", told of {notified}")
            };
            format!("commits its transaction in sink {sink}{told}")
        }
        RuntimeEvent::TransactionAborted { transaction, .. } => format!("discards {transaction}"),
        RuntimeEvent::SnapshotFetched { origin, .. } => format!("reads its snapshot {origin}"),
        RuntimeEvent::SnapshotRefused { origin, reason, .. } => {
            format!("refuses its snapshot {origin}: {reason}")
        }
        RuntimeEvent::EventTimeRestored { operator, watermark, .. } => {
            format!("opens {operator} at event time {watermark}")
        }
        RuntimeEvent::SplitsAssigned { restored: Some(_), split_count, ended_count, .. } => {
            format!("reads on in {}", splits(*split_count, *ended_count))
        }
        RuntimeEvent::SubtaskStarted { restored, watermark, .. } => {
            let from = restored.map_or("from nothing", |_| "from it");
            format!("starts again {from}, at event time {watermark}")
        }
        RuntimeEvent::WatermarkAdvanced { watermark, .. } => {
            format!("reaches event time {watermark}")
        }
        RuntimeEvent::ChannelWatermark { channel, watermark, .. } => {
            format!("{channel} promises event time {watermark}")
        }
        RuntimeEvent::SourceExhausted { .. } => "has no more input".to_owned(),
        RuntimeEvent::SubtaskFinished { .. } => "has finished".to_owned(),
        _ => return None,
    })
}

/// Returns `2 splits, 1 of them at its end`.
pub(super) fn splits(split_count: u32, ended_count: u32) -> String {
    let ended = match ended_count {
        0 => String::new(),
        ended => format!(", {ended} of them ended"),
    };
    format!("{}{ended}", count(split_count.into(), "split"))
}
