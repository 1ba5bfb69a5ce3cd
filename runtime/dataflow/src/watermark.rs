//! The event time of a subtask: the minimum over its channels.
//!
//! # Invariants
//!
//! - The merged watermark never goes back.
//! - An idle channel does not hold it back, and does not push it on: when all channels are idle
//!   there is no progress, because the minimum of nothing is unknown, not infinite.
//! - What a channel promised before a restore, it promised: restored watermarks are floors.

use floodmark_model::{ChannelId, Timestamp};
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
}

/// What a change of one channel means for the subtask.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[must_use]
pub(crate) enum Progress {
    /// Nothing.
    None,
    /// Event time advanced to this watermark.
    Advanced(Timestamp),
    /// Every channel is idle.
    Idle,
}

impl WatermarkMerge {
    /// Creates the merge of `channels`, none of which has promised anything.
    pub fn new(channels: &[ChannelId]) -> Self {
        let unknown =
            |&channel| WatermarkFloor { channel, watermark: Timestamp::MIN, is_idle: false };
        Self { channels: channels.iter().map(unknown).collect(), merged: Timestamp::MIN }
    }

    /// Sets the floors of those channels that were restored, and the merged watermark with them.
    pub fn restore(&mut self, merged: Timestamp, floors: &[WatermarkFloor]) {
        for channel in &mut self.channels {
            if let Some(floor) = floors.iter().find(|floor| floor.channel == channel.channel) {
                *channel = *floor;
            }
        }
        self.merged = merged;
    }

    /// Returns the merged watermark.
    pub fn merged(&self) -> Timestamp {
        self.merged
    }

    /// Returns what a snapshot keeps.
    pub fn floors(&self) -> &[WatermarkFloor] {
        &self.channels
    }

    /// Records a promise on the channel at `index`. Returns whether the channel's promise grew.
    pub fn on_watermark(&mut self, index: usize, watermark: Timestamp) -> bool {
        let channel = &mut self.channels[index];
        channel.is_idle = false;
        let has_grown = channel.watermark < watermark;
        channel.watermark = channel.watermark.max(watermark);
        has_grown
    }

    /// Records that records arrived on the channel at `index`, which is therefore not idle.
    pub fn on_records(&mut self, index: usize) {
        self.channels[index].is_idle = false;
    }

    /// Records that the channel at `index` is idle.
    pub fn on_idle(&mut self, index: usize) {
        self.channels[index].is_idle = true;
    }

    /// Merges again after a change.
    pub(crate) fn advance(&mut self) -> Progress {
        let active = self.channels.iter().filter(|channel| !channel.is_idle);
        let Some(minimum) = active.map(|channel| channel.watermark).min() else {
            return Progress::Idle;
        };
        if minimum <= self.merged {
            return Progress::None;
        }
        self.merged = minimum;
        Progress::Advanced(minimum)
    }

    /// Merges again after a change, and returns the merged watermark if it advanced.
    pub fn advanced(&mut self) -> Option<Timestamp> {
        match self.advance() {
            Progress::Advanced(watermark) => Some(watermark),
            Progress::None | Progress::Idle => None,
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
        merge.on_records(1);
        assert_eq!(merge.advanced(), None, "the merged watermark never goes back");
    }

    #[test]
    fn the_minimum_of_nothing_is_no_progress() {
        let mut merge = merge(2);
        merge.on_idle(0);
        merge.on_idle(1);
        assert_eq!(merge.advance(), Progress::Idle);
        assert_eq!(merge.merged(), Timestamp::MIN);
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
