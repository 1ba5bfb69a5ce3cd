//! The event time of a subtask: the minimum over its channels.
//!
//! # Invariants
//!
//! - The merged watermark never goes back.
//! - A channel is idle from its idle mark until its next watermark. Records do not end idleness: a
//!   sender that becomes active says so first, by a watermark, though it be an old one.
//! - Neither a channel that is idle nor one that has ended holds it back, or pushes it on: when there
//!   are no others there is no progress, because the minimum of nothing is unknown, not infinite.
//!   Only when all have ended is it at the end of time.
//! - What a channel promised before a restore, it promised: restored watermarks are floors.

use floodmark_model::{ChannelId, Timestamp};
use floodmark_platform::planted;
use serde::{Deserialize, Serialize};

/// The watermark of one channel, as a snapshot keeps it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct WatermarkFloor {
    /// Of which channel.
    pub channel: ChannelId,
    /// The latest promise.
    pub watermark: Timestamp,
    /// Whether the channel was idle.
    pub is_idle: bool,
}

/// Merges the watermarks of several channels.
#[derive(Clone, Debug)]
pub struct WatermarkMerge {
    channels: Vec<WatermarkFloor>,
    merged: Timestamp,
    /// Whether all channels were idle when they were last merged.
    is_idle: bool,
}

/// What a change of one channel means for the subtask.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[must_use]
pub(crate) enum Progress {
    /// Nothing.
    None,
    /// Event time advanced to this watermark.
    Advanced(Timestamp),
    /// Every channel is idle, and was not before.
    Idle,
    /// A channel is active, and none was before. Event time did not advance.
    Active,
}

impl WatermarkMerge {
    /// Creates the merge of `channels`, none of which has promised anything.
    pub fn new(channels: &[ChannelId]) -> Self {
        let unknown =
            |&channel| WatermarkFloor { channel, watermark: Timestamp::MIN, is_idle: false };
        let channels = channels.iter().map(unknown).collect();
        Self { channels, merged: Timestamp::MIN, is_idle: false }
    }

    /// Sets the floors of those channels that were restored, and the merged watermark with them.
    pub fn restore(&mut self, merged: Timestamp, floors: &[WatermarkFloor]) {
        for channel in &mut self.channels {
            if let Some(floor) = floors.iter().find(|floor| floor.channel == channel.channel) {
                *channel = *floor;
            }
        }
        self.merged = merged;
        if planted!(WatermarkComparedAsBytes) {
            let bytes = |floor: &&WatermarkFloor| floor.watermark.0.to_le_bytes();
            self.merged = floors.iter().min_by_key(bytes).map_or(merged, |floor| floor.watermark);
        }
        self.is_idle = self.channels.iter().all(|channel| channel.is_idle);
    }

    /// Returns the merged watermark.
    pub fn merged(&self) -> Timestamp {
        self.merged
    }

    /// Returns what a snapshot keeps.
    pub fn floors(&self) -> &[WatermarkFloor] {
        &self.channels
    }

    /// Records a promise on the channel at `index`, which is therefore not idle. Returns whether the
    /// channel's promise grew.
    pub fn on_watermark(&mut self, index: usize, watermark: Timestamp) -> bool {
        let channel = &mut self.channels[index];
        channel.is_idle = false;
        let has_grown = channel.watermark < watermark;
        channel.watermark = channel.watermark.max(watermark);
        has_grown
    }

    /// Returns whether the channel at `index` is idle.
    pub(crate) fn is_idle(&self, index: usize) -> bool {
        self.channels[index].is_idle
    }

    /// Records that the channel at `index` is idle.
    pub fn on_idle(&mut self, index: usize) {
        self.channels[index].is_idle = true;
    }

    /// Returns the least promise of those channels that are neither idle nor at the end of time; the
    /// end of time, if all are there.
    fn minimum(&self) -> Option<Timestamp> {
        let is_counted = |channel: &&WatermarkFloor| !channel.is_idle || planted!(IdleHoldsBack);
        let active = self.channels.iter().filter(is_counted).map(|channel| channel.watermark);
        let has_ended = |channel: &WatermarkFloor| channel.watermark == Timestamp::MAX;
        let minimum = active.min();
        minimum.filter(|minimum| *minimum < Timestamp::MAX || self.channels.iter().all(has_ended))
    }

    /// Merges again after a change.
    pub(crate) fn advance(&mut self) -> Progress {
        let Some(minimum) = self.minimum() else {
            if planted!(MinimumOfNothing) {
                self.merged = Timestamp::MAX;
                return Progress::Advanced(Timestamp::MAX);
            }
            let was_idle = std::mem::replace(&mut self.is_idle, true);
            return if was_idle { Progress::None } else { Progress::Idle };
        };
        let was_idle = std::mem::take(&mut self.is_idle);
        if minimum <= self.merged {
            return if was_idle { Progress::Active } else { Progress::None };
        }
        self.merged = minimum;
        Progress::Advanced(minimum)
    }

    /// Merges again after a change, and returns the merged watermark if it advanced.
    pub fn advanced(&mut self) -> Option<Timestamp> {
        match self.advance() {
            Progress::Advanced(watermark) => Some(watermark),
            Progress::None | Progress::Idle | Progress::Active => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use floodmark_model::EdgeId;

    use super::*;

    fn merge(channel_count: u16) -> WatermarkMerge {
        let channel = |from| ChannelId { edge: EdgeId(0), from, to: 0 };
        WatermarkMerge::new(&(0..channel_count).map(channel).collect::<Vec<_>>())
    }

    fn advance(merge: &mut WatermarkMerge, index: usize, watermark: i64) -> Option<i64> {
        merge.on_watermark(index, Timestamp(watermark));
        merge.advanced().map(|watermark| watermark.0)
    }

    #[test]
    fn event_time_follows_the_slowest_channel() {
        let mut merge = merge(2);
        assert_eq!(advance(&mut merge, 0, 10), None);
        assert_eq!(advance(&mut merge, 1, 7), Some(7));
        assert_eq!(advance(&mut merge, 1, 12), Some(10));
        assert_eq!(advance(&mut merge, 1, 3), None);
    }

    #[test]
    fn an_idle_channel_does_not_hold_event_time_back() {
        let mut merge = merge(2);
        assert_eq!(advance(&mut merge, 0, 10), None);
        merge.on_idle(1);
        assert_eq!(merge.advanced(), Some(Timestamp(10)));
        merge.on_watermark(1, Timestamp(3));
        assert_eq!(merge.advanced(), None, "the merged watermark never goes back");
    }

    #[test]
    fn the_minimum_of_nothing_is_no_progress() {
        let mut merge = merge(2);
        merge.on_idle(0);
        merge.on_idle(1);
        assert_eq!(merge.advance(), Progress::Idle);
        assert_eq!(merge.advance(), Progress::None, "idleness is told once");
        assert_eq!(merge.merged(), Timestamp::MIN);
        merge.on_watermark(0, Timestamp::MIN);
        assert_eq!(merge.advance(), Progress::Active);
        assert_eq!(merge.advance(), Progress::None, "activity is told once");
    }

    #[test]
    fn a_channel_that_has_ended_does_not_push_on_what_the_idle_ones_wait_for() {
        let mut merge = merge(2);
        assert_eq!(advance(&mut merge, 1, 10), None);
        merge.on_watermark(0, Timestamp::MAX);
        assert_eq!(merge.advanced(), Some(Timestamp(10)));
        merge.on_idle(1);
        assert_eq!(merge.advance(), Progress::Idle);
        assert_eq!(merge.merged(), Timestamp(10));
        merge.on_watermark(1, Timestamp(11));
        assert_eq!(merge.advance(), Progress::Advanced(Timestamp(11)));
        merge.on_watermark(1, Timestamp::MAX);
        assert_eq!(merge.advance(), Progress::Advanced(Timestamp::MAX), "all have ended");
    }

    #[test]
    fn what_was_idle_is_idle_after_a_restore() {
        let mut first = merge(1);
        first.on_idle(0);
        assert_eq!(first.advance(), Progress::Idle);
        let mut restored = merge(1);
        restored.restore(first.merged(), first.floors());
        assert_eq!(restored.advance(), Progress::None, "those downstream know");
        restored.on_watermark(0, Timestamp::MIN);
        assert_eq!(restored.advance(), Progress::Active);
    }

    #[test]
    fn a_restored_promise_is_a_floor() {
        let mut first = merge(2);
        let _ = (advance(&mut first, 0, 10), advance(&mut first, 1, 20));
        let mut restored = merge(2);
        restored.restore(first.merged(), first.floors());
        assert_eq!(advance(&mut restored, 0, 5), None);
        assert_eq!(advance(&mut restored, 0, 30), Some(20));
    }
}
