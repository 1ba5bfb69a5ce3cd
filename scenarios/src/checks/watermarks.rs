//! Promises about event time are kept, and event time goes on.
//!
//! The laws, each per attempt and net of what a restore rolls back:
//!
//! - what is promised of a split, sent on an edge, received on a channel or reached by a subtask only
//!   grows, also across a recovery;
//! - a source promises no more than each of its splits that has not ended and is not idle, and a
//!   split counts from the moment it is assigned, with or without records;
//! - a channel delivers no more than was sent, and a subtask's event time is exactly where its inputs
//!   allow it to be (see [`merging`]);
//! - event time is never stuck: at every snapshot a subtask has come as far as its inputs allow, and
//!   what its senders had promised before their barriers has arrived before it;
//! - what an operator passes on that waits for requests only grows, and those who follow it begin there;
//!   as long as requests are under way, what waits for them is not stuck;
//! - a source that has come to its end says so in every attempt, and a subtask finishes at the end of
//!   time.
//!
//! A subtask that is not told of a promise, or does not act on one, is therefore found at the first
//! checkpoint after it at the latest.

use std::collections::{BTreeMap, BTreeSet};

use floodmark::{
    Attempt, ChannelId, CheckpointId, EdgeId, EndedInputs, Exchange, JobGraph, RuntimeEvent,
    SectionDigest, SubtaskId, Timestamp,
};

use super::{Check, Names, requests_under_way};
use merging::{Change, Merging};

mod merging;

/// Follows the watermark of every split, channel and subtask.
#[derive(Debug)]
pub struct Watermarks {
    names: Names,
    job: JobGraph,
    /// What each subtask has come to, in its latest attempt.
    subtasks: BTreeMap<SubtaskId, State>,
    /// The edges of second inputs.
    second: BTreeSet<EdgeId>,
    /// What each subtask had come to when it took its snapshot.
    snapshots: BTreeMap<(CheckpointId, SubtaskId), State>,
    /// The event time at which operators begin, of subtasks that have not told that they run.
    opened: BTreeMap<SubtaskId, (Attempt, Vec<(String, Timestamp)>)>,
    /// The attempt that is over although event time is not, because the job is to stop.
    stopping: Option<Attempt>,
    ended_inputs: EndedInputs,
}

/// How far a lane has come, and whether it is idle.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Lane {
    watermark: Timestamp,
    is_idle: bool,
}

const NEW: Lane = Lane { watermark: Timestamp::MIN, is_idle: false };

/// What a subtask has come to.
#[derive(Clone, Debug)]
struct State {
    attempt: Attempt,
    watermark: Timestamp,
    channels: BTreeMap<ChannelId, Lane>,
    /// How far the channels allow to go.
    merging: Merging,
    sent: BTreeMap<EdgeId, Lane>,
    /// Splits of a source; those that have ended; and what operators promise of them.
    splits: Option<u32>,
    ended: BTreeSet<u32>,
    promises: BTreeMap<String, Promises>,
    /// What operators with requests have passed on, and whether there are any.
    released: BTreeMap<String, Timestamp>,
    has_requests: bool,
    /// Whether the end of time was sent in this attempt, and whether it is overdue.
    has_sent_end: bool,
    is_end_overdue: bool,
}

/// What one operator promises.
#[derive(Clone, Debug)]
struct Promises {
    splits: BTreeMap<u32, Lane>,
    emitted: Timestamp,
}

/// Returns how far those lanes allow to go that are neither idle nor at the end of time; to the end,
/// if all are there; nowhere, if there is none.
fn least<'a>(lanes: impl Iterator<Item = &'a Lane>) -> Option<Timestamp> {
    let (mut least, mut waits) = (None, false);
    for lane in lanes {
        if lane.is_idle {
            waits = true;
        } else {
            least =
                Some(least.map_or(lane.watermark, |least: Timestamp| least.min(lane.watermark)));
        }
    }
    least.filter(|least| *least < Timestamp::MAX || !waits)
}

impl State {
    /// Returns what `operator` may emit at most. Results of requests come after their split has ended, or
    /// waits again; then any split may be the one they are of.
    fn emission_limit(&self, operator: &str) -> Option<Timestamp> {
        if !self.has_requests {
            return self.limit(operator);
        }
        let lanes = self.promises.get(operator).into_iter().flat_map(|own| own.splits.values());
        lanes.map(|lane| lane.watermark).max()
    }

    /// Returns what `operator` may promise at most: nothing new, if no split is active.
    fn limit(&self, operator: &str) -> Option<Timestamp> {
        let promises = self.promises.get(operator);
        let open = (0..self.splits?).filter(|split| !self.ended.contains(split));
        let lanes = open
            .map(|split| promises.and_then(|promises| promises.splits.get(&split)).unwrap_or(&NEW));
        least(lanes)
    }

    fn promises(&mut self, operator: &str) -> &mut Promises {
        let promises = Promises { splits: BTreeMap::new(), emitted: Timestamp::MIN };
        self.promises.entry(operator.to_owned()).or_insert(promises)
    }

    fn have_all_splits_ended(&self) -> bool {
        self.splits.is_some_and(|count| self.ended.len() == count as usize)
    }
}

impl Watermarks {
    /// Creates the check.
    pub fn new(job: &JobGraph, names: Names) -> Self {
        Self {
            names,
            job: job.clone(),
            subtasks: BTreeMap::new(),
            second: BTreeSet::new(),
            snapshots: BTreeMap::new(),
            opened: BTreeMap::new(),
            stopping: None,
            ended_inputs: EndedInputs::LeaveOut,
        }
    }

    /// Sets what the job takes the end of an input for.
    #[must_use]
    pub fn ended_inputs(self, ended_inputs: EndedInputs) -> Self {
        Self { ended_inputs, ..self }
    }

    fn new_state(&self, attempt: Attempt, subtask: SubtaskId) -> State {
        let edges = self.job.edges.iter().filter(|edge| edge.to == subtask.vertex);
        let channels = edges.flat_map(|edge| {
            let senders = match edge.exchange {
                Exchange::Forward => subtask.index..subtask.index + 1,
                Exchange::Hash | Exchange::Rebalance | Exchange::Broadcast => {
                    0..self.job.vertices[edge.from.0 as usize].parallelism
                }
            };
            senders.map(|from| (ChannelId { edge: edge.id, from, to: subtask.index }, NEW))
        });
        State {
            attempt,
            watermark: Timestamp::MIN,
            channels: channels.collect(),
            merging: Merging::new(self.ended_inputs),
            sent: BTreeMap::new(),
            splits: None,
            ended: BTreeSet::new(),
            promises: BTreeMap::new(),
            released: BTreeMap::new(),
            has_requests: false,
            has_sent_end: false,
            is_end_overdue: false,
        }
    }

    /// Returns whether there is anyone to whom a subtask sends.
    fn has_edges(&self, subtask: SubtaskId) -> bool {
        self.job.edges.iter().any(|edge| edge.from == subtask.vertex)
    }

    /// Rolls a subtask back to where an attempt begins, once per attempt.
    fn begin(
        &mut self,
        attempt: Attempt,
        subtask: SubtaskId,
        restored: Option<CheckpointId>,
    ) -> Result<(), String> {
        if self.subtasks.get(&subtask).is_some_and(|state| attempt <= state.attempt) {
            return Ok(());
        }
        let state = match restored {
            None => self.new_state(attempt, subtask),
            Some(checkpoint) => {
                let state = self.snapshots.get(&(checkpoint, subtask)).cloned();
                let state = state.ok_or_else(|| {
                    let name = self.names.of(subtask);
                    format!(
                        "{name} begins {attempt} from {checkpoint}, of which it took no snapshot"
                    )
                })?;
                State { attempt, has_sent_end: false, is_end_overdue: false, ..state }
            }
        };
        self.subtasks.insert(subtask, state);
        Ok(())
    }

    /// Returns the state of a subtask, unless the event is of an attempt that is over.
    fn state(&mut self, attempt: Attempt, subtask: SubtaskId) -> Option<&mut State> {
        self.subtasks.get_mut(&subtask).filter(|state| state.attempt == attempt)
    }

    /// Follows a change of a channel that its receiver has noticed.
    fn merge(&mut self, receiver: SubtaskId, channel: ChannelId, change: Change) {
        let second = &self.second;
        if let Some(state) = self.subtasks.get_mut(&receiver) {
            let input_of = |channel: &ChannelId| usize::from(second.contains(&channel.edge));
            state.merging.follow(&state.channels, input_of, channel, change);
        }
    }

    fn receiver(&self, channel: ChannelId) -> SubtaskId {
        let vertex = self.job.edges[channel.edge.0 as usize].to;
        SubtaskId { vertex, index: channel.to }
    }

    fn sender(&self, channel: ChannelId) -> SubtaskId {
        let vertex = self.job.edges[channel.edge.0 as usize].from;
        SubtaskId { vertex, index: channel.from }
    }

    fn on_started(
        &mut self,
        attempt: Attempt,
        subtask: SubtaskId,
        (restored, sections): (Option<CheckpointId>, &[SectionDigest]),
        watermark: Timestamp,
    ) -> Result<(), String> {
        self.begin(attempt, subtask, restored)?;
        if let Some(state) = self.state(attempt, subtask) {
            state.has_requests = requests_under_way(sections).next().is_some();
        }
        let name = self.names.of(subtask);
        let before = restored.and_then(|checkpoint| self.snapshots.get(&(checkpoint, subtask)));
        let promised = before.map_or(Timestamp::MIN, |state| state.watermark);
        // Who follows an operator that makes promises of its own had heard those.
        let own = before.iter().flat_map(|state| state.promises.values());
        let own: Vec<Timestamp> = own.map(|promises| promises.emitted).collect();
        let mut heard = if own.is_empty() { vec![promised] } else { own };
        // And who follows one with requests had heard what that had passed on.
        heard.extend(requests_under_way(sections).map(|(operator, _)| {
            let released = before.and_then(|state| state.released.get(operator));
            released.copied().unwrap_or(Timestamp::MIN)
        }));
        let from = restored.map_or("no checkpoint".to_owned(), |checkpoint| checkpoint.to_string());
        if watermark != promised {
            return Err(format!(
                "{name} had reached watermark {promised} in {from}, and begins {attempt} with \
                 {watermark}",
            ));
        }
        let Some((opened_in, opened)) = self.opened.remove(&subtask) else { return Ok(()) };
        match opened.iter().find(|(_, at)| !heard.contains(at)) {
            Some((operator, at)) if opened_in == attempt => Err(format!(
                "{operator} in {name} had reached watermark {heard} in {from}, and begins {attempt} \
                 with {at} — the subtask itself is at {watermark}",
                heard = heard[0]
            )),
            _ => Ok(()),
        }
    }

    fn on_channel_watermark(
        &mut self,
        attempt: Attempt,
        channel: ChannelId,
        watermark: Timestamp,
    ) -> Result<(), String> {
        let (sender, receiver) = (self.sender(channel), self.receiver(channel));
        let sent = self.state(attempt, sender).and_then(|state| state.sent.get(&channel.edge));
        let sent = sent.copied();
        let Some(state) = self.state(attempt, receiver) else { return Ok(()) };
        let lane = state.channels.entry(channel).or_insert(NEW);
        let before = std::mem::replace(lane, Lane { watermark, is_idle: false });
        let last = before.watermark;
        self.merge(receiver, channel, Change::Promised { before });
        let name = self.names.of(receiver);
        if watermark <= last {
            return Err(format!(
                "{channel} to {name} in {attempt}: watermark {watermark} follows {last}"
            ));
        }
        match sent {
            Some(sent) if sent.watermark < watermark => Err(format!(
                "{channel} to {name} in {attempt}: watermark {watermark} arrived, and {} was sent",
                sent.watermark
            )),
            _ => Ok(()),
        }
    }

    fn on_advanced(
        &mut self,
        attempt: Attempt,
        subtask: SubtaskId,
        watermark: Timestamp,
    ) -> Result<(), String> {
        let name = self.names.of(subtask);
        let Some(state) = self.state(attempt, subtask) else { return Ok(()) };
        let last = std::mem::replace(&mut state.watermark, watermark);
        if watermark <= last {
            return Err(format!("{name} in {attempt}: watermark {watermark} follows {last}"));
        }
        let limit = state.merging.merged();
        if watermark <= limit {
            return Ok(());
        }
        let mut active = state.channels.iter().filter(|(_, lane)| !lane.is_idle);
        let slowest = active.find(|(_, lane)| lane.watermark == limit);
        Err(match slowest {
            Some((slowest, _)) => format!(
                "{name} in {attempt} advanced to watermark {watermark}, and {slowest} had promised \
                 {limit}"
            ),
            None => format!(
                "{name} in {attempt} advanced to watermark {watermark}, and its inputs allow {limit}: \
                 the others are idle or have ended"
            ),
        })
    }

    fn on_emitted(
        &mut self,
        attempt: Attempt,
        subtask: SubtaskId,
        operator: &str,
        watermark: Timestamp,
    ) -> Result<(), String> {
        let name = self.names.of(subtask);
        let Some(state) = self.state(attempt, subtask) else { return Ok(()) };
        let last = std::mem::replace(&mut state.promises(operator).emitted, watermark);
        // The end is repeated in every attempt.
        if watermark < last || (watermark == last && watermark != Timestamp::MAX) {
            return Err(format!(
                "{operator} in {name} in {attempt}: watermark {watermark} follows {last}"
            ));
        }
        let is_end = watermark == Timestamp::MAX && state.have_all_splits_ended();
        if state.splits.is_none() || is_end {
            return Ok(());
        }
        match state.emission_limit(operator) {
            Some(limit) if watermark <= limit => Ok(()),
            Some(limit) => Err(format!(
                "{operator} in {name} in {attempt} promised {watermark}, and one of its splits \
                 had promised {limit}"
            )),
            None => Err(format!(
                "{operator} in {name} in {attempt} promised {watermark}, and none of its splits is \
                 active"
            )),
        }
    }

    fn on_snapshot(
        &mut self,
        attempt: Attempt,
        subtask: SubtaskId,
        checkpoint: CheckpointId,
        sections: &[SectionDigest],
    ) -> Result<(), String> {
        let is_waiting = requests_under_way(sections).any(|(_, count)| 0 < count);
        let (name, has_edges) = (self.names.of(subtask), self.has_edges(subtask));
        let Some(state) = self.state(attempt, subtask) else { return Ok(()) };
        let stuck = |what: &str, at: Timestamp, limit: Timestamp| {
            Err(format!(
                "{what} in {attempt} is stuck at watermark {at} in {checkpoint}: all its active \
                 inputs had promised {limit}"
            ))
        };
        let limit = state.merging.merged();
        if state.watermark < limit {
            return stuck(&name, state.watermark, limit);
        }
        for (operator, promises) in &state.promises {
            if let Some(limit) = state.limit(operator)
                && promises.emitted < limit
                && !is_waiting
            {
                return stuck(&format!("{operator} in {name}"), promises.emitted, limit);
            }
        }
        if has_edges && state.have_all_splits_ended() && !state.has_sent_end && !is_waiting {
            // The barrier may come just before the source notices.
            if std::mem::replace(&mut state.is_end_overdue, true) {
                return Err(format!(
                    "{name} has ended, and has not said so in {attempt} by {checkpoint}"
                ));
            }
        }
        let state = state.clone();
        self.compare_cut(attempt, checkpoint, &state)?;
        self.snapshots.insert((checkpoint, subtask), state);
        Ok(())
    }

    /// What was promised on a channel before the sender's barrier has arrived before the receiver's.
    fn compare_cut(
        &self,
        attempt: Attempt,
        checkpoint: CheckpointId,
        receiver: &State,
    ) -> Result<(), String> {
        for (channel, known) in &receiver.channels {
            let sender = self.sender(*channel);
            let Some(state) = self.snapshots.get(&(checkpoint, sender)) else { continue };
            let sent = state.sent.get(&channel.edge).copied().unwrap_or(NEW);
            if state.attempt == attempt && sent != *known {
                let describe = |lane: Lane| {
                    let Lane { watermark, is_idle } = lane;
                    format!("{watermark}{}", if is_idle { ", and idle" } else { "" })
                };
                return Err(format!(
                    "{channel} from {} in {attempt}: the sender was at {} before its barrier of \
                     {checkpoint}, and the receiver knows of {}",
                    self.names.of(sender),
                    describe(sent),
                    describe(*known),
                ));
            }
        }
        Ok(())
    }

    fn on_released(
        &mut self,
        attempt: Attempt,
        subtask: SubtaskId,
        operator: &str,
        watermark: Timestamp,
    ) -> Result<(), String> {
        let name = self.names.of(subtask);
        let Some(state) = self.state(attempt, subtask) else { return Ok(()) };
        let last = state.released.insert(operator.to_owned(), watermark);
        match last.filter(|last| watermark <= *last) {
            None => Ok(()),
            Some(last) => Err(format!(
                "{operator} in {name} in {attempt} passed on watermark {watermark} after {last}"
            )),
        }
    }

    fn on_sent(
        &mut self,
        attempt: Attempt,
        subtask: SubtaskId,
        edge: EdgeId,
        watermark: Timestamp,
    ) -> Result<(), String> {
        let name = self.names.of(subtask);
        let Some(state) = self.state(attempt, subtask) else { return Ok(()) };
        state.has_sent_end |= watermark == Timestamp::MAX;
        let last = state.sent.insert(edge, Lane { watermark, is_idle: false }).unwrap_or(NEW);
        if last.watermark <= watermark {
            return Ok(());
        }
        let (edge, last) = (edge.0, last.watermark);
        Err(format!("{name} in {attempt} sent watermark {watermark} on edge {edge} after {last}"))
    }

    /// A source has no more input: by now it has said so.
    fn on_exhausted(&mut self, attempt: Attempt, subtask: SubtaskId) -> Result<(), String> {
        let has_edges = self.has_edges(subtask);
        let name = self.names.of(subtask);
        match self.state(attempt, subtask) {
            Some(state) if has_edges && !state.has_sent_end => {
                Err(format!("{name} has ended, and has not said so in {attempt}"))
            }
            _ => Ok(()),
        }
    }

    fn on_finished(&mut self, attempt: Attempt, subtask: SubtaskId) -> Result<(), String> {
        if self.stopping == Some(attempt) {
            return Ok(());
        }
        let name = self.names.of(subtask);
        match self.state(attempt, subtask) {
            Some(state) if !state.channels.is_empty() && state.watermark < Timestamp::MAX => {
                Err(format!("{name} finished {attempt} at watermark {}", state.watermark))
            }
            _ => Ok(()),
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
            RuntimeEvent::SplitsAssigned { attempt, subtask, restored, split_count, .. } => {
                self.begin(*attempt, *subtask, *restored)?;
                if let Some(state) = self.state(*attempt, *subtask) {
                    state.splits = Some(*split_count);
                }
                Ok(())
            }
            RuntimeEvent::SplitEnded { attempt, subtask, split } => {
                if let Some(state) = self.state(*attempt, *subtask) {
                    state.ended.insert(*split);
                }
                Ok(())
            }
            RuntimeEvent::SplitIdle { attempt, subtask, operator, split, is_idle } => {
                if let Some(state) = self.state(*attempt, *subtask) {
                    let lane = state.promises(operator).splits.entry(*split).or_insert(NEW);
                    lane.is_idle = *is_idle;
                }
                Ok(())
            }
            RuntimeEvent::SplitWatermark { attempt, subtask, operator, split, watermark } => {
                let name = self.names.of(*subtask);
                let Some(state) = self.state(*attempt, *subtask) else { return Ok(()) };
                let lane = state.promises(operator).splits.entry(*split).or_insert(NEW);
                let last = std::mem::replace(&mut lane.watermark, *watermark);
                if last < *watermark {
                    return Ok(());
                }
                Err(format!(
                    "{operator} in {name} in {attempt}: watermark {watermark} of split {split} \
                     follows {last}"
                ))
            }
            RuntimeEvent::WatermarkEmitted { attempt, subtask, operator, watermark } => {
                self.on_emitted(*attempt, *subtask, operator, *watermark)
            }
            RuntimeEvent::WatermarkReleased { attempt, subtask, operator, watermark } => {
                self.on_released(*attempt, *subtask, operator, *watermark)
            }
            RuntimeEvent::WatermarkSent { attempt, subtask, edge, watermark } => {
                self.on_sent(*attempt, *subtask, *edge, *watermark)
            }
            RuntimeEvent::IdleSent { attempt, subtask, edge } => {
                if let Some(state) = self.state(*attempt, *subtask) {
                    state.sent.entry(*edge).or_insert(NEW).is_idle = true;
                }
                Ok(())
            }
            RuntimeEvent::ChannelIdle { attempt, channel, is_idle } => {
                let receiver = self.receiver(*channel);
                if let Some(state) = self.state(*attempt, receiver) {
                    state.channels.entry(*channel).or_insert(NEW).is_idle = *is_idle;
                    let change = if *is_idle { Change::Silent } else { Change::Active };
                    self.merge(receiver, *channel, change);
                }
                Ok(())
            }
            RuntimeEvent::ChannelWatermark { attempt, channel, watermark } => {
                self.on_channel_watermark(*attempt, *channel, *watermark)
            }
            RuntimeEvent::WatermarkAdvanced { attempt, subtask, watermark } => {
                self.on_advanced(*attempt, *subtask, *watermark)
            }
            RuntimeEvent::SecondInput { edges, .. } => {
                self.second.extend(edges.iter().copied());
                Ok(())
            }
            RuntimeEvent::EventTimeRestored { attempt, subtask, operator, watermark } => {
                let opened = self.opened.entry(*subtask).or_insert((*attempt, Vec::new()));
                if opened.0 != *attempt {
                    *opened = (*attempt, Vec::new());
                }
                opened.1.push((operator.clone(), *watermark));
                Ok(())
            }
            RuntimeEvent::SnapshotTaken { attempt, subtask, checkpoint, sections, .. } => {
                self.on_snapshot(*attempt, *subtask, *checkpoint, sections)
            }
            RuntimeEvent::SubtaskStarted { attempt, subtask, restored, watermark, sections } => {
                self.on_started(*attempt, *subtask, (*restored, sections), *watermark)
            }
            RuntimeEvent::SourceExhausted { attempt, subtask } => {
                self.on_exhausted(*attempt, *subtask)
            }
            RuntimeEvent::SubtaskFinished { attempt, subtask } => {
                self.on_finished(*attempt, *subtask)
            }
            RuntimeEvent::JobStopping { attempt, .. } => {
                self.stopping = Some(*attempt);
                Ok(())
            }
            _ => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests;
