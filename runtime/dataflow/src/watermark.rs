//! The event time of a subtask: the minimum over its channels, and over its inputs.
//!
//! The rules are Flink's, but for the end of time, where they are on request ([`EndedInputs`]). The
//! channels of one input are merged first; a subtask with two inputs then takes the lesser of both.
//!
//! # Invariants
//!
//! - The merged watermark never goes back.
//! - A channel is idle from its idle mark until its next watermark. Records do not end idleness: a
//!   sender that becomes active says so first, by a watermark, though it be an old one.
//! - A channel that was idle and comes back behind its input's watermark is not waited for until it has
//!   caught up. An *input* that comes back is waited for at once.
//! - When the last active channel falls silent that held its input back, the input goes on to what the
//!   furthest of the idle ones had promised: nobody is left to wait for. The same holds for inputs.
//! - A channel that has ended neither holds anything back nor, unless [`EndedInputs::PushOn`] is
//!   asked for, pushes it on: the end of one is no reason to take what the idle ones will bring for
//!   late. Only when all have ended is it the end of time.
//! - What a channel promised before a restore, it promised: restored watermarks are floors.
//!
//! # Sources
//!
//! Flink's `StatusWatermarkValve` (channels) and `CombinedWatermarkStatus` (inputs). There, a channel
//! that has ended pushes event time to its end if all others are idle.

use std::collections::VecDeque;

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

/// What an input that has ended means for event time, as long as others have not.
///
/// # Examples
///
/// ```
/// # use floodmark_dataflow as floodmark;
/// use floodmark::EndedInputs;
///
/// assert_eq!(EndedInputs::default(), EndedInputs::LeaveOut);
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum EndedInputs {
    /// Nothing. If all others are idle, event time waits for them: what they bring when they wake up
    /// is on time.
    #[default]
    LeaveOut,
    /// It promises the end of time, as any other watermark does, which is Flink's rule. If all others
    /// are idle, event time jumps to its end, and what they bring later is late.
    PushOn,
}

/// Merges the watermarks of several channels.
#[derive(Clone, Debug)]
pub struct WatermarkMerge {
    channels: Vec<WatermarkFloor>,
    /// The input of each channel.
    input_of: Vec<usize>,
    /// What the channels of each input come to.
    inputs: Vec<Lane>,
    merged: Timestamp,
    /// Whether all inputs were idle when they were last merged.
    is_idle: bool,
    /// What was not told yet.
    news: VecDeque<Progress>,
    ended_inputs: EndedInputs,
}

/// What is promised on one of several lanes that are merged.
#[derive(Clone, Copy, Debug)]
struct Lane {
    watermark: Timestamp,
    is_idle: bool,
    /// Whether its end is no promise.
    is_left_out_at_end: bool,
}

/// What a change of one channel means for the subtask.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[must_use]
pub(crate) enum Progress {
    /// Nothing.
    None,
    /// Event time advanced to this watermark.
    Advanced(Timestamp),
    /// Every input is idle, and was not before.
    Idle,
    /// An input is active, and none was before. Event time did not advance.
    Active,
}

impl Lane {
    fn has_ended(self) -> bool {
        self.is_left_out_at_end && self.watermark == Timestamp::MAX
    }

    /// Returns whether others wait for it.
    fn is_awaited(self) -> bool {
        (!self.is_idle || planted!(IdleHoldsBack)) && !self.has_ended()
    }
}

/// Returns the least promise of the lanes that are awaited and not behind `floor`; the end of time if
/// all are there.
fn least(lanes: impl Iterator<Item = Lane> + Clone, floor: Timestamp) -> Option<Timestamp> {
    if lanes.clone().all(Lane::has_ended) {
        return Some(Timestamp::MAX);
    }
    let awaited = lanes.filter(|lane| lane.is_awaited() && floor <= lane.watermark);
    awaited.map(|lane| lane.watermark).min()
}

/// Returns the furthest promise of those lanes that have not ended.
fn furthest(lanes: impl Iterator<Item = Lane>) -> Option<Timestamp> {
    lanes.filter(|lane| !lane.has_ended()).map(|lane| lane.watermark).max()
}

/// Returns whether nothing is to be expected of any lane for a while.
fn are_silent(mut lanes: impl Iterator<Item = Lane> + Clone) -> bool {
    let have_ended = lanes.clone().all(Lane::has_ended);
    !have_ended && lanes.all(|lane| lane.is_idle || lane.has_ended())
}

impl WatermarkMerge {
    /// Creates the merge of `channels`, which are all of one input, and none of which has promised
    /// anything.
    pub fn new(channels: &[ChannelId]) -> Self {
        Self::of_inputs(channels, vec![0; channels.len()])
    }

    /// Creates the merge of `channels`, each of which belongs to the input at the same place of
    /// `input_of`. Inputs count from 0.
    pub fn of_inputs(channels: &[ChannelId], input_of: Vec<usize>) -> Self {
        assert_eq!(channels.len(), input_of.len(), "every channel belongs to an input");
        let unknown =
            |&channel| WatermarkFloor { channel, watermark: Timestamp::MIN, is_idle: false };
        let channels = channels.iter().map(unknown).collect();
        let input_count = input_of.iter().max().map_or(1, |last| last + 1);
        let unknown = Lane { watermark: Timestamp::MIN, is_idle: false, is_left_out_at_end: true };
        let inputs = vec![unknown; input_count];
        let (merged, is_idle, news) = (Timestamp::MIN, false, VecDeque::new());
        let ended_inputs = EndedInputs::default();
        Self { channels, input_of, inputs, merged, is_idle, news, ended_inputs }
    }

    /// Sets what an input that has ended means for event time.
    #[must_use]
    pub fn ended_inputs(mut self, ended_inputs: EndedInputs) -> Self {
        for input in &mut self.inputs {
            input.is_left_out_at_end = ended_inputs == EndedInputs::LeaveOut;
        }
        Self { ended_inputs, ..self }
    }

    /// Sets the floors of those channels that were restored, and with them the merged watermark and
    /// those of the inputs. With one input both are the same.
    pub fn restore(
        &mut self,
        merged: Timestamp,
        floors: &[WatermarkFloor],
        inputs: Option<&[Timestamp]>,
    ) {
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
        for input in 0..self.inputs.len() {
            let watermark = inputs.and_then(|inputs| inputs.get(input).copied());
            let is_idle = are_silent(self.lanes(input));
            let watermark = watermark.unwrap_or(self.merged);
            self.inputs[input] = Lane { watermark, is_idle, ..self.inputs[input] };
        }
        self.is_idle = are_silent(self.inputs.iter().copied());
    }

    /// Returns the merged watermark.
    pub fn merged(&self) -> Timestamp {
        self.merged
    }

    /// Returns what a snapshot keeps of the channels.
    pub fn floors(&self) -> &[WatermarkFloor] {
        &self.channels
    }

    /// Returns what a snapshot keeps of the inputs, if there are several.
    pub fn input_floors(&self) -> Option<Vec<Timestamp>> {
        let floors = || self.inputs.iter().map(|input| input.watermark).collect();
        (1 < self.inputs.len()).then(floors)
    }

    /// Records a promise on the channel at `index`, which is therefore not idle. Returns whether the
    /// channel's promise grew.
    pub fn on_watermark(&mut self, index: usize, watermark: Timestamp) -> bool {
        let before = self.lane(&self.channels[index]);
        let channel = &mut self.channels[index];
        channel.is_idle = false;
        channel.watermark = channel.watermark.max(watermark);
        let (has_grown, after) = (before.watermark < watermark, self.lane(&self.channels[index]));
        let input = self.input_of[index];
        if has_grown && after.has_ended() && are_silent(self.lanes(input)) {
            // Who ends is silent from then on.
            self.silence(input, before);
        } else {
            self.inputs[input].is_idle = are_silent(self.lanes(input));
            if has_grown {
                self.raise(input, least(self.lanes(input), self.inputs[input].watermark));
            }
        }
        self.merge_inputs();
        has_grown
    }

    /// Returns whether the channel at `index` is idle.
    pub(crate) fn is_idle(&self, index: usize) -> bool {
        self.channels[index].is_idle
    }

    /// Records that the channel at `index` is idle.
    pub fn on_idle(&mut self, index: usize) {
        let channel = &mut self.channels[index];
        if std::mem::replace(&mut channel.is_idle, true) {
            return;
        }
        let before = Lane { is_idle: false, ..self.lane(&self.channels[index]) };
        let input = self.input_of[index];
        if are_silent(self.lanes(input)) {
            self.silence(input, before);
        } else if before.watermark == self.inputs[input].watermark {
            self.raise(input, least(self.lanes(input), self.inputs[input].watermark));
        }
        self.merge_inputs();
    }

    /// The last channel of an input has fallen silent.
    fn silence(&mut self, input: usize, last: Lane) {
        if planted!(MinimumOfNothing) {
            self.raise(input, Some(Timestamp::MAX));
        } else if last.watermark == self.inputs[input].watermark {
            self.raise(input, furthest(self.lanes(input)));
        }
        self.inputs[input].is_idle = true;
    }

    fn raise(&mut self, input: usize, watermark: Option<Timestamp>) {
        let input = &mut self.inputs[input];
        input.watermark = input.watermark.max(watermark.unwrap_or(Timestamp::MIN));
    }

    fn lane(&self, floor: &WatermarkFloor) -> Lane {
        let WatermarkFloor { watermark, is_idle, .. } = *floor;
        let is_left_out_at_end = self.ended_inputs == EndedInputs::LeaveOut;
        Lane { watermark, is_idle, is_left_out_at_end }
    }

    fn lanes(&self, input: usize) -> impl Iterator<Item = Lane> + Clone {
        let channels = self.channels.iter().zip(&self.input_of);
        channels.filter(move |(_, of)| **of == input).map(|(channel, _)| self.lane(channel))
    }

    /// Merges the inputs, and notes what has changed.
    fn merge_inputs(&mut self) {
        let inputs = self.inputs.iter().copied();
        let is_idle = are_silent(inputs.clone());
        let was_idle = std::mem::replace(&mut self.is_idle, is_idle);
        let least = if is_idle { furthest(inputs) } else { least(inputs, Timestamp::MIN) };
        match least.filter(|least| self.merged < *least) {
            Some(watermark) => {
                self.merged = watermark;
                self.news.push_back(Progress::Advanced(watermark));
            }
            None if was_idle && !is_idle => self.news.push_back(Progress::Active),
            None => {}
        }
        if is_idle && !was_idle {
            self.news.push_back(Progress::Idle);
        }
    }

    /// Returns what a change has led to and was not told yet: event time first, then idleness.
    pub(crate) fn advance(&mut self) -> Progress {
        self.news.pop_front().unwrap_or(Progress::None)
    }

    /// Returns the merged watermark if it advanced since this was last asked.
    pub fn advanced(&mut self) -> Option<Timestamp> {
        let mut advanced = self.news.drain(..).filter_map(|progress| match progress {
            Progress::Advanced(watermark) => Some(watermark),
            Progress::None | Progress::Idle | Progress::Active => None,
        });
        advanced.next_back()
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
    fn when_nobody_is_left_to_wait_for_the_furthest_promise_holds() {
        let mut merge = merge(2);
        let _ = (advance(&mut merge, 0, 50), advance(&mut merge, 1, 20));
        merge.on_idle(0);
        merge.on_idle(1);
        assert_eq!(merge.advance(), Progress::Advanced(Timestamp(50)));
        assert_eq!(merge.advance(), Progress::Idle);
        merge.on_idle(1);
        assert_eq!(merge.advance(), Progress::None, "idleness is told once");
        merge.on_watermark(1, Timestamp::MIN);
        assert_eq!(merge.advance(), Progress::Active);
        merge.on_watermark(0, Timestamp::MIN);
        assert_eq!(merge.advance(), Progress::None, "activity is told once");
    }

    #[test]
    fn a_channel_that_comes_back_is_not_waited_for_until_it_has_caught_up() {
        let mut merge = merge(2);
        let _ = (advance(&mut merge, 0, 20), advance(&mut merge, 1, 30));
        merge.on_idle(0);
        assert_eq!(merge.advanced(), Some(Timestamp(30)));
        assert_eq!(advance(&mut merge, 0, 25), None);
        assert_eq!(advance(&mut merge, 1, 40), Some(40), "the other one is behind");
        assert_eq!(advance(&mut merge, 0, 45), None);
        assert_eq!(advance(&mut merge, 1, 60), Some(45), "it has caught up, and counts");
    }

    #[test]
    fn an_input_that_comes_back_is_waited_for_at_once() {
        let channel = |from| ChannelId { edge: EdgeId(0), from, to: 0 };
        let mut merge = WatermarkMerge::of_inputs(&[channel(0), channel(1)], vec![0, 1]);
        let _ = (advance(&mut merge, 0, 20), advance(&mut merge, 1, 30));
        merge.on_idle(0);
        assert_eq!(merge.advanced(), Some(Timestamp(30)));
        assert_eq!(advance(&mut merge, 0, 25), None);
        assert_eq!(advance(&mut merge, 1, 40), None, "it waits for the first input");
        let mut restored = WatermarkMerge::of_inputs(&[channel(0), channel(1)], vec![0, 1]);
        restored.restore(merge.merged(), merge.floors(), merge.input_floors().as_deref());
        assert_eq!(advance(&mut restored, 0, 35), Some(35));
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
    fn a_channel_that_has_ended_pushes_event_time_on_where_that_is_asked_for() {
        let mut merge = merge(2).ended_inputs(EndedInputs::PushOn);
        assert_eq!(advance(&mut merge, 1, 10), None);
        merge.on_idle(1);
        merge.on_watermark(0, Timestamp::MAX);
        assert_eq!(merge.advance(), Progress::Advanced(Timestamp::MAX));
        assert_eq!(merge.advance(), Progress::None, "who has ended is not idle");
    }

    #[test]
    fn what_was_idle_is_idle_after_a_restore() {
        let mut first = merge(1);
        first.on_idle(0);
        assert_eq!(first.advance(), Progress::Idle);
        let mut restored = merge(1);
        restored.restore(first.merged(), first.floors(), None);
        assert_eq!(restored.advance(), Progress::None, "those downstream know");
        restored.on_watermark(0, Timestamp::MIN);
        assert_eq!(restored.advance(), Progress::Active);
    }

    #[test]
    fn a_restored_promise_is_a_floor() {
        let mut first = merge(2);
        let _ = (advance(&mut first, 0, 10), advance(&mut first, 1, 20));
        let mut restored = merge(2);
        restored.restore(first.merged(), first.floors(), None);
        assert_eq!(advance(&mut restored, 0, 5), None);
        assert_eq!(advance(&mut restored, 0, 30), Some(20));
    }
}
