//! What a page shows on its lanes: events, the ways of barriers, and curves of event time.

use std::{collections::BTreeMap, time::Duration};

use floodmark::{Attempt, CheckpointId, RuntimeEvent, SubtaskId, Timestamp};
use floodmark_sim::What;
use serde_json::{Value, json};

use super::{lanes::Lanes, ms, number};
use crate::{
    Account,
    account::event,
    story::{Focus, Names, with_dates},
};

/// Events that a page has at most.
const MARK_COUNT_MAX: usize = 8_000;

/// Events at most that are of no group of their own: timers and watermarks come by the thousand, and
/// must not take the place of what matters.
const OTHER_COUNT_MAX: usize = 2_000;

/// Points of a curve at most.
const POINT_COUNT_MAX: usize = 250;

/// Event time on a lane, over time.
type Curve = (Option<usize>, Vec<(Duration, i64)>);

/// Returns the group under which events of a kind are shown and hidden.
fn group(label: &str) -> &'static str {
    match label {
        "barrier_emitted" | "barrier_arrived" | "alignment_aborted" => "barrier",
        "snapshot_taken"
        | "snapshot_stored"
        | "checkpoint_acknowledged"
        | "acknowledgement_ignored"
        | "snapshot_declined"
        | "snapshot_fetched"
        | "snapshot_refused" => "snapshot",
        "checkpoint_triggered"
        | "manifest_stored"
        | "checkpoint_aborted"
        | "checkpoint_retired"
        | "checkpoint_notified" => "checkpoint",
        "transaction_prepared" | "transaction_committed" | "transaction_aborted" => "transaction",
        "attempt_started" | "attempt_running" | "attempt_failed" | "subtask_started"
        | "subtask_finished" | "source_exhausted" | "job_ended" => "attempt",
        "gap_detected" | "repeat_dropped" | "stale_refused" | "worker_lost" | "stepped_down" => {
            "trouble"
        }
        _ => "other",
    }
}

/// Returns the events: when, on which lane, group, label, checkpoint, words, and whether the check
/// speaks of them.
#[expect(clippy::wildcard_enum_match_arm, reason = "other happenings are no marks")]
pub(super) fn marks(
    account: &Account,
    lanes: &Lanes,
    names: &mut Names,
    focus: &Focus,
) -> Vec<Value> {
    let mut marks = Vec::new();
    let mut other_count = 0;
    for happening in &account.chronicle.0 {
        let Some(node) = happening.node.as_deref().and_then(|node| lanes.node(node)) else {
            continue;
        };
        let mut add =
            |lane, group: &str, label: &str, checkpoint: Option<String>, text, named: bool| {
                let is_other = group == "other" && !named;
                other_count += usize::from(is_other);
                let has_room = !is_other || other_count <= OTHER_COUNT_MAX;
                if has_room && marks.len() < MARK_COUNT_MAX {
                    let at = ms(happening.at);
                    marks.push(json!([at, lane, group, label, checkpoint, text, u8::from(named)]));
                }
            };
        let own = lanes.lane(node, None);
        if let Some(event) = event(happening) {
            let label: &'static str = event.into();
            if is_curve(event) {
                continue;
            }
            let receiver = event.channel().and_then(|channel| names.ends(channel));
            let subtask = event.subtask().or(receiver.map(|(_, to)| to));
            let lane = lanes.lane(node, subtask);
            let text = with_dates(&names.apply(&event.to_string()));
            let checkpoint = event.checkpoint().map(number);
            add(lane, group(label), label, checkpoint, text, focus.is_about(event));
            continue;
        }
        let (group, text) = match &happening.what {
            What::Crashed => ("fault", "dies".to_owned()),
            What::Restarted { disk } => ("fault", format!("starts again {disk}")),
            What::Paused => ("fault", "falls asleep".to_owned()),
            What::Resumed => ("fault", "wakes up".to_owned()),
            What::Panicked { task, message } => {
                ("trouble", format!("task {task} panics: {message}"))
            }
            What::StoreFailed { operation, key, effect } => {
                ("store", format!("{operation:?} of {key} will {effect}"))
            }
            What::StoreChanged { operation, key } => ("store", format!("{operation:?} {key}")),
            _ => continue,
        };
        add(own, group, group, None, text, false);
    }
    marks
}

/// Returns whether an event is a point of a curve, or a count, and no mark.
fn is_curve(event: &RuntimeEvent) -> bool {
    matches!(
        event,
        RuntimeEvent::WatermarkAdvanced { .. }
            | RuntimeEvent::ChannelWatermark { .. }
            | RuntimeEvent::RecordsCounted { .. }
    )
}

/// Returns the ways of barriers and acknowledgements: checkpoint, from when and where, to when and
/// where, and which of the two.
#[expect(clippy::wildcard_enum_match_arm, reason = "a wave has a few kinds of event")]
pub(super) fn waves(account: &Account, lanes: &Lanes, names: &Names) -> Vec<Value> {
    let mut waves = Vec::new();
    // When each subtask let the barrier go, and when it froze its state.
    let mut left: BTreeMap<(SubtaskId, CheckpointId, Attempt), (Duration, Option<usize>)> =
        BTreeMap::new();
    for happening in &account.chronicle.0 {
        let Some(event) = event(happening) else { continue };
        let at = happening.at;
        let node = happening.node.as_deref().and_then(|node| lanes.node(node));
        match event {
            RuntimeEvent::BarrierEmitted { attempt, subtask, checkpoint }
            | RuntimeEvent::SnapshotTaken { attempt, subtask, checkpoint, .. } => {
                let lane = node.and_then(|node| lanes.lane(node, Some(*subtask)));
                left.entry((*subtask, *checkpoint, *attempt)).or_insert((at, lane));
            }
            RuntimeEvent::BarrierArrived { attempt, channel, checkpoint } => {
                let Some((sender, receiver)) = names.ends(*channel) else { continue };
                let key = (sender, *checkpoint, *attempt);
                let Some((then, from)) = left.get(&key) else { continue };
                let to = node.and_then(|node| lanes.lane(node, Some(receiver)));
                let row = (number(*checkpoint), ms(*then), from, ms(at), to, "barrier");
                waves.push(json!(row));
            }
            RuntimeEvent::CheckpointAcknowledged { attempt, subtask, checkpoint } => {
                let key = (*subtask, *checkpoint, *attempt);
                let Some((then, from)) = left.get(&key) else { continue };
                let to = node.and_then(|node| lanes.lane(node, None));
                let row = (number(*checkpoint), ms(*then), from, ms(at), to, "acknowledgement");
                waves.push(json!(row));
            }
            _ => {}
        }
    }
    waves
}

/// Returns event time by lane: `[lane, [[when, what], …]]`, one curve for each attempt of a subtask.
pub(super) fn watermarks(account: &Account, lanes: &Lanes) -> Vec<Value> {
    let mut open: BTreeMap<(SubtaskId, Attempt), usize> = BTreeMap::new();
    let mut curves: Vec<Curve> = Vec::new();
    for happening in &account.chronicle.0 {
        let (life, watermark) = match event(happening) {
            Some(RuntimeEvent::SubtaskStarted { attempt, subtask, watermark, .. }) => {
                let node = happening.node.as_deref().and_then(|node| lanes.node(node));
                let lane = node.and_then(|node| lanes.lane(node, Some(*subtask)));
                open.insert((*subtask, *attempt), curves.len());
                curves.push((lane, Vec::new()));
                ((*subtask, *attempt), watermark)
            }
            Some(RuntimeEvent::WatermarkAdvanced { attempt, subtask, watermark }) => {
                ((*subtask, *attempt), watermark)
            }
            _ => continue,
        };
        if let Some(curve) = open.get(&life)
            && Timestamp::MIN < *watermark
            && *watermark < Timestamp::MAX
        {
            curves[*curve].1.push((happening.at, watermark.0));
        }
    }
    let thinned = curves.into_iter().filter(|(_, points)| !points.is_empty());
    let rows = thinned.map(|(lane, points)| {
        let step = points.len().div_ceil(POINT_COUNT_MAX);
        let last = points.len() - 1;
        let kept =
            points.iter().enumerate().filter(|(index, _)| index % step == 0 || *index == last);
        let kept: Vec<_> = kept.map(|(_, (at, watermark))| (ms(*at), *watermark)).collect();
        json!([lane, kept])
    });
    rows.collect()
}
