//! The numbers of an event, by name, for those who choose one event among many.

use crate::{Attempt, ChannelId, CheckpointId, RuntimeEvent, SubtaskId};

/// The numbers of an event, so that a fault can wait for *the second acknowledgement of checkpoint
/// 3*: `term`, `attempt` (its number), `checkpoint`, `vertex` and `subtask` (its index), `edge`,
/// `from` and `to`, `restored` (1 if the attempt or subtask began from a checkpoint), `final`.
impl From<&RuntimeEvent> for Vec<(&'static str, u64)> {
    fn from(event: &RuntimeEvent) -> Self {
        let mut fields = Self::new();
        if let Some(Attempt { term, number }) = event.attempt() {
            fields.extend([("term", term.0), ("attempt", number.into())]);
        }
        if let Some(checkpoint) = event.checkpoint() {
            fields.push(("checkpoint", checkpoint.0));
        }
        if let Some(SubtaskId { vertex, index }) = event.subtask() {
            fields.extend([("vertex", vertex.0.into()), ("subtask", index.into())]);
        }
        if let Some(ChannelId { edge, from, to }) = event.channel() {
            fields.extend([("edge", edge.0.into()), ("from", from.into()), ("to", to.into())]);
        }
        #[expect(clippy::wildcard_enum_match_arm, reason = "few events have numbers of their own")]
        match event {
            RuntimeEvent::TermTaken { term } => fields.push(("term", term.0)),
            RuntimeEvent::AttemptStarted { restored, .. }
            | RuntimeEvent::SubtaskStarted { restored, .. }
            | RuntimeEvent::SplitsAssigned { restored, .. } => {
                fields.push(("restored", restored.is_some().into()));
            }
            RuntimeEvent::CheckpointTriggered { is_final, .. } => {
                fields.push(("final", (*is_final).into()));
            }
            _ => {}
        }
        fields
    }
}

#[expect(clippy::wildcard_enum_match_arm, reason = "an event without the id has none")]
impl RuntimeEvent {
    /// Returns the attempt it is part of.
    pub fn attempt(&self) -> Option<Attempt> {
        match self {
            Self::AttemptStarted { attempt, .. }
            | Self::AttemptRunning { attempt }
            | Self::AttemptFailed { attempt, .. }
            | Self::JobStopping { attempt, .. }
            | Self::CheckpointTriggered { attempt, .. }
            | Self::BarrierEmitted { attempt, .. }
            | Self::BarrierArrived { attempt, .. }
            | Self::AlignmentAborted { attempt, .. }
            | Self::SnapshotTaken { attempt, .. }
            | Self::TransactionPrepared { attempt, .. }
            | Self::SnapshotStored { attempt, .. }
            | Self::SnapshotDeclined { attempt, .. }
            | Self::SnapshotRefused { attempt, .. }
            | Self::SnapshotFetched { attempt, .. }
            | Self::CheckpointAcknowledged { attempt, .. }
            | Self::AcknowledgementIgnored { attempt, .. }
            | Self::ManifestStored { attempt, .. }
            | Self::CheckpointNotified { attempt, .. }
            | Self::TransactionCommitted { attempt, .. }
            | Self::TransactionAborted { attempt, .. }
            | Self::CheckpointAborted { attempt, .. }
            | Self::SubtaskStarted { attempt, .. }
            | Self::ChannelWatermark { attempt, .. }
            | Self::WatermarkAdvanced { attempt, .. }
            | Self::SourceExhausted { attempt, .. }
            | Self::SubtaskFinished { attempt, .. }
            | Self::RecordsCounted { attempt, .. }
            | Self::GapDetected { attempt, .. }
            | Self::SplitsAssigned { attempt, .. }
            | Self::SplitWatermark { attempt, .. }
            | Self::SplitIdle { attempt, .. }
            | Self::DriftLimited { attempt, .. }
            | Self::SplitHeld { attempt, .. }
            | Self::SplitEnded { attempt, .. }
            | Self::WatermarkEmitted { attempt, .. }
            | Self::WatermarkReleased { attempt, .. }
            | Self::WatermarkSent { attempt, .. }
            | Self::IdleSent { attempt, .. }
            | Self::AllInputsIdle { attempt, .. }
            | Self::SecondInput { attempt, .. }
            | Self::EventTimeRestored { attempt, .. }
            | Self::TimerRegistered { attempt, .. }
            | Self::TimerDeleted { attempt, .. }
            | Self::TimerFired { attempt, .. }
            | Self::ProcessingTimeReached { attempt, .. }
            | Self::ChannelIdle { attempt, .. }
            | Self::KeyGroupMet { attempt, .. }
            | Self::RepeatDropped { attempt, .. } => Some(*attempt),
            _ => None,
        }
    }

    /// Returns the checkpoint it is about.
    pub fn checkpoint(&self) -> Option<CheckpointId> {
        match self {
            Self::JobStopping { checkpoint, .. }
            | Self::CheckpointTriggered { checkpoint, .. }
            | Self::BarrierEmitted { checkpoint, .. }
            | Self::BarrierArrived { checkpoint, .. }
            | Self::AlignmentAborted { checkpoint, .. }
            | Self::SnapshotTaken { checkpoint, .. }
            | Self::TransactionPrepared { checkpoint, .. }
            | Self::SnapshotStored { checkpoint, .. }
            | Self::SnapshotDeclined { checkpoint, .. }
            | Self::SnapshotRefused { checkpoint, .. }
            | Self::SnapshotFetched { checkpoint, .. }
            | Self::CheckpointAcknowledged { checkpoint, .. }
            | Self::AcknowledgementIgnored { checkpoint, .. }
            | Self::ManifestStored { checkpoint, .. }
            | Self::CheckpointNotified { checkpoint, .. }
            | Self::TransactionCommitted { checkpoint, .. }
            | Self::CheckpointAborted { checkpoint, .. }
            | Self::CheckpointRetired { checkpoint } => Some(*checkpoint),
            Self::AttemptStarted { restored, .. }
            | Self::SubtaskStarted { restored, .. }
            | Self::SplitsAssigned { restored, .. } => *restored,
            Self::JobStopped { checkpoint } => *checkpoint,
            _ => None,
        }
    }

    /// Returns the subtask that did it.
    pub fn subtask(&self) -> Option<SubtaskId> {
        match self {
            Self::BarrierEmitted { subtask, .. }
            | Self::AlignmentAborted { subtask, .. }
            | Self::SnapshotTaken { subtask, .. }
            | Self::TransactionPrepared { subtask, .. }
            | Self::SnapshotStored { subtask, .. }
            | Self::SnapshotDeclined { subtask, .. }
            | Self::SnapshotRefused { subtask, .. }
            | Self::SnapshotFetched { subtask, .. }
            | Self::CheckpointAcknowledged { subtask, .. }
            | Self::AcknowledgementIgnored { subtask, .. }
            | Self::CheckpointNotified { subtask, .. }
            | Self::TransactionCommitted { subtask, .. }
            | Self::TransactionAborted { subtask, .. }
            | Self::SubtaskStarted { subtask, .. }
            | Self::WatermarkAdvanced { subtask, .. }
            | Self::SourceExhausted { subtask, .. }
            | Self::SubtaskFinished { subtask, .. }
            | Self::SplitsAssigned { subtask, .. }
            | Self::SplitWatermark { subtask, .. }
            | Self::SplitIdle { subtask, .. }
            | Self::DriftLimited { subtask, .. }
            | Self::SplitHeld { subtask, .. }
            | Self::SplitEnded { subtask, .. }
            | Self::WatermarkEmitted { subtask, .. }
            | Self::WatermarkReleased { subtask, .. }
            | Self::WatermarkSent { subtask, .. }
            | Self::IdleSent { subtask, .. }
            | Self::AllInputsIdle { subtask, .. }
            | Self::SecondInput { subtask, .. }
            | Self::EventTimeRestored { subtask, .. }
            | Self::TimerRegistered { subtask, .. }
            | Self::TimerDeleted { subtask, .. }
            | Self::TimerFired { subtask, .. }
            | Self::ProcessingTimeReached { subtask, .. }
            | Self::KeyGroupMet { subtask, .. }
            | Self::RecordsCounted { subtask, .. } => Some(*subtask),
            _ => None,
        }
    }

    /// Returns the channel on which it happened.
    pub fn channel(&self) -> Option<ChannelId> {
        match self {
            Self::BarrierArrived { channel, .. }
            | Self::ChannelWatermark { channel, .. }
            | Self::ChannelIdle { channel, .. }
            | Self::GapDetected { channel, .. }
            | Self::RepeatDropped { channel, .. } => Some(*channel),
            _ => None,
        }
    }
}
