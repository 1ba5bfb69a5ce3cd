//! How far the channels of a subtask allow event time to go, worked out step by step.
//!
//! The channels of one input, first: event time is the least promise of those that are active and not
//! behind it. Who comes back from idleness behind it is not waited for until it has caught up. When the
//! last active channel falls silent or ends, and it was the one that event time stood at, event time
//! goes on to the furthest promise of the idle ones. Those that have ended count only when all have;
//! unless the job says that an end is a promise like any other.
//!
//! Two inputs, then: the lesser of those that are active; when none is, the greater. It never goes
//! back, so an input that comes back behind it stops it.

use std::collections::BTreeMap;

use floodmark::{ChannelId, EndedInputs, Timestamp};

use super::Lane;

/// How far each input allows to go, and both together.
#[derive(Clone, Debug)]
pub(super) struct Merging {
    inputs: [Timestamp; 2],
    merged: Timestamp,
    /// The promise that ends a lane; none, if no promise does.
    end: Option<Timestamp>,
}

/// What happened on a channel.
#[derive(Clone, Copy, Debug)]
pub(super) enum Change {
    /// It promised more than before.
    Promised { before: Lane },
    /// It is idle now.
    Silent,
    /// It is not idle any more.
    Active,
}

/// What the channels of one input have to say.
struct Lanes<'a> {
    all: Vec<&'a Lane>,
    end: Option<Timestamp>,
}

impl Lanes<'_> {
    fn has_ended(&self, lane: &Lane) -> bool {
        Some(lane.watermark) == self.end
    }

    fn have_all_ended(&self) -> bool {
        self.all.iter().all(|lane| self.has_ended(lane))
    }

    /// Returns the promises of those that are active and have not ended.
    fn active(&self) -> impl Iterator<Item = Timestamp> {
        let active = self.all.iter().filter(|lane| !lane.is_idle && !self.has_ended(lane));
        active.map(|lane| lane.watermark)
    }

    fn are_silent(&self) -> bool {
        !self.have_all_ended() && self.active().next().is_none()
    }

    /// Returns the furthest promise of those that have not ended.
    fn furthest(&self) -> Option<Timestamp> {
        self.all.iter().filter(|lane| !self.has_ended(lane)).map(|lane| lane.watermark).max()
    }
}

impl Merging {
    pub(super) fn new(ended_inputs: EndedInputs) -> Self {
        let end = (ended_inputs == EndedInputs::LeaveOut).then_some(Timestamp::MAX);
        Self { inputs: [Timestamp::MIN; 2], merged: Timestamp::MIN, end }
    }

    /// Returns how far event time can have gone.
    pub(super) fn merged(&self) -> Timestamp {
        self.merged
    }

    /// Follows what happened on the channel `changed`; `channels` are as they are after it.
    pub(super) fn follow(
        &mut self,
        channels: &BTreeMap<ChannelId, Lane>,
        input_of: impl Fn(&ChannelId) -> usize,
        changed: ChannelId,
        change: Change,
    ) {
        let inputs = [0, 1].map(|input| {
            let ours = channels.iter().filter(|(channel, _)| input_of(channel) == input);
            Lanes { all: ours.map(|(_, lane)| lane).collect(), end: self.end }
        });
        let index = input_of(&changed);
        let (lanes, reached) = (&inputs[index], self.inputs[index]);
        let last = match change {
            Change::Promised { before } => before.watermark,
            Change::Silent | Change::Active => channels[&changed].watermark,
        };
        let allowed = match change {
            Change::Active => None,
            Change::Silent if last != reached => None,
            Change::Promised { .. } if lanes.are_silent() && last != reached => None,
            Change::Silent | Change::Promised { .. } if lanes.are_silent() => lanes.furthest(),
            Change::Silent | Change::Promised { .. } if lanes.have_all_ended() => {
                Some(Timestamp::MAX)
            }
            Change::Silent | Change::Promised { .. } => {
                lanes.active().filter(|promise| reached <= *promise).min()
            }
        };
        self.inputs[index] = reached.max(allowed.unwrap_or(reached));
        self.merge(&inputs);
    }

    fn merge(&mut self, inputs: &[Lanes<'_>]) {
        let used = inputs.iter().zip(self.inputs).filter(|(lanes, _)| !lanes.all.is_empty());
        let used: Vec<_> = used.collect();
        let active = used.iter().filter(|(lanes, _)| !lanes.are_silent());
        let is_open = |at: &Timestamp| Some(*at) != self.end;
        let active = active.map(|(_, reached)| *reached).filter(is_open);
        let open = used.iter().map(|(_, reached)| *reached).filter(is_open);
        let allowed = active.min().or_else(|| open.max()).unwrap_or(Timestamp::MAX);
        self.merged = self.merged.max(allowed);
    }
}
