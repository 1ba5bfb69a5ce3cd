//! A run as one page that any browser shows, without a network: lanes of nodes and subtasks, barriers
//! that pass through them, event time, faults, and where it went wrong.
//!
//! The page is `assets/timeline.html`; this module puts the run into it. Nothing is drawn here.

mod lanes;
mod marks;

use std::{collections::BTreeMap, time::Duration};

use floodmark::{Attempt, CheckpointId, RuntimeEvent};
use floodmark_sim::{Happening, What};
use serde_json::{Value, json};

use crate::{Account, COMMIT, RunReport, Story, account::event, story};
use lanes::Lanes;

/// The page, with a place for the run.
const PAGE: &str = include_str!("../assets/timeline.html");

/// Where the run goes.
const PLACE: &str = "\"the run\"";

/// The state of a checkpoint that has begun.
const UNDECIDED: &str = "undecided";

/// Control messages that a page has at most. Those that a fault struck come first.
const MESSAGE_COUNT_MAX: usize = 3_000;

/// Returns the page of a run, if there is an account of it.
pub fn page(report: &RunReport) -> Option<String> {
    let account = report.account.as_ref()?;
    let story = report.story().unwrap_or_default();
    let run = run(report, account, &story);
    // In a script, `<` could begin its end. JSON knows another way to write it.
    let text = run.to_string().replace('<', "\\u003c").replace('\u{2028}', "\\u2028");
    Some(PAGE.replacen(PLACE, &text, 1))
}

/// Returns a moment in milliseconds, to the microsecond.
fn ms(at: Duration) -> Value {
    #[expect(clippy::cast_precision_loss, reason = "a run is short")]
    let ms = at.as_micros() as f64 / 1_000.0;
    json!(ms)
}

fn run(report: &RunReport, account: &Account, story: &Story) -> Value {
    let mut names = story::Names::new(&account.job).without_ids();
    let lanes = Lanes::new(account);
    let failure = report.failure.as_ref();
    let focus = story::Focus::new(account, failure);
    let faults = story::struck(&account.chronicle, account.virtual_time);
    json!({
        "scenario": report.scenario,
        "seed": report.seed,
        "commit": COMMIT,
        "command": report.command(),
        "job": account.job.name,
        "end": ms(account.virtual_time),
        "failure": failure.map(|failure| json!({
            "at": ms(failure.at),
            "check": failure.check,
            "law": story::law(&failure.check),
            "reason": story::with_dates(&names.apply(&failure.reason)),
        })),
        "story": story.0.iter().map(|line| json!({ "at": line.at.map(ms), "text": line.text }))
            .collect::<Vec<_>>(),
        "nodes": lanes.nodes,
        "lanes": lanes.to_json(&names),
        "down": down(account, &lanes),
        "attempts": attempts(account, &mut names),
        "checkpoints": checkpoints(account, &mut names),
        "faults": faults.iter().map(|fault| {
            let text = format!("{} {}", fault.fault, fault.text());
            let named = lanes.nodes.iter().enumerate();
            let hit: Vec<usize> =
                named.filter(|(_, node)| text.contains(&***node)).map(|(index, _)| index).collect();
            json!({
                "number": fault.number,
                "from": ms(fault.began),
                "to": ms(fault.ended),
                "text": fault.text(),
                "harmless": fault.is_harmless(),
                "nodes": hit,
            })
        }).collect::<Vec<_>>(),
        "marks": marks::marks(account, &lanes, &mut names, &focus),
        "waves": marks::waves(account, &lanes, &names),
        "watermarks": marks::watermarks(account, &lanes),
        "messages": messages(account, &lanes),
    })
}

/// Returns when nodes were dead or asleep.
#[expect(clippy::wildcard_enum_match_arm, reason = "few happenings are about the life of nodes")]
fn down(account: &Account, lanes: &Lanes) -> Vec<Value> {
    let mut since: BTreeMap<usize, (Duration, &str)> = BTreeMap::new();
    let mut spans = Vec::new();
    let mut end = |node: usize, from: Duration, to: Duration, how: &str| {
        spans.push(json!({ "node": node, "from": ms(from), "to": ms(to), "how": how }));
    };
    for Happening { at, node, what } in &account.chronicle.0 {
        let Some(node) = node.as_deref().and_then(|node| lanes.node(node)) else { continue };
        let how = match what {
            What::Crashed => Some("dead"),
            What::Paused => Some("asleep"),
            What::Restarted { .. } | What::Resumed => None,
            _ => continue,
        };
        if let Some((from, how)) = since.remove(&node) {
            end(node, from, *at, how);
        }
        if let Some(how) = how {
            since.insert(node, (*at, how));
        }
    }
    for (node, (from, how)) in since {
        end(node, from, account.virtual_time, how);
    }
    spans
}

fn attempts(account: &Account, names: &mut story::Names) -> Vec<Value> {
    let mut attempts: Vec<Value> = Vec::new();
    for happening in &account.chronicle.0 {
        let at = ms(happening.at);
        match event(happening) {
            Some(RuntimeEvent::AttemptStarted { attempt, restored }) => {
                if let Some(last) = attempts.last_mut().filter(|last| last["to"].is_null()) {
                    last["to"] = at.clone();
                }
                attempts.push(json!({
                    "name": attempt.to_string(),
                    "from": at,
                    "to": null,
                    "restored": restored.map(|checkpoint| checkpoint.to_string()),
                    "failed": null,
                }));
            }
            Some(RuntimeEvent::AttemptFailed { attempt, reason }) => {
                let name = attempt.to_string();
                let ours = attempts.iter_mut().rev().find(|known| known["name"] == name);
                if let Some(known) = ours.filter(|known| known["failed"].is_null()) {
                    known["to"] = at;
                    known["failed"] = json!(names.apply(reason));
                }
            }
            _ => {}
        }
    }
    if let Some(last) = attempts.last_mut().filter(|last| last["to"].is_null()) {
        last["to"] = ms(account.virtual_time);
    }
    attempts
}

/// Returns the checkpoints: two attempts that use one number have two.
#[expect(clippy::wildcard_enum_match_arm, reason = "few events decide a checkpoint")]
fn checkpoints(account: &Account, names: &mut story::Names) -> Vec<Value> {
    let mut checkpoints: BTreeMap<(CheckpointId, Attempt), Value> = BTreeMap::new();
    for happening in &account.chronicle.0 {
        let at = ms(happening.at);
        let Some(event) = event(happening) else { continue };
        if let RuntimeEvent::TermTaken { term } = event {
            // Nobody waits for them any more.
            let left = checkpoints.iter_mut().filter(|((_, attempt), entry)| {
                attempt.term < *term && entry["state"] == UNDECIDED
            });
            for ((_, attempt), entry) in left {
                entry["to"] = at.clone();
                entry["state"] = json!(format!("left behind by {}", attempt.term));
            }
        }
        let (Some(checkpoint), Some(attempt)) = (event.checkpoint(), event.attempt()) else {
            continue;
        };
        let (state, reason) = match event {
            RuntimeEvent::CheckpointTriggered { is_final, .. } => {
                let entry = json!({
                    "id": number(checkpoint),
                    "attempt": attempt.to_string(),
                    "from": at,
                    "to": ms(account.virtual_time),
                    "state": UNDECIDED,
                    "reason": null,
                    "final": is_final,
                });
                checkpoints.entry((checkpoint, attempt)).or_insert(entry);
                continue;
            }
            RuntimeEvent::ManifestStored { .. } => ("complete", None),
            RuntimeEvent::CheckpointAborted { reason, .. } => {
                ("given up", Some(names.apply(reason)))
            }
            _ => continue,
        };
        if let Some(entry) = checkpoints.get_mut(&(checkpoint, attempt)) {
            entry["to"] = at;
            entry["state"] = json!(state);
            entry["reason"] = json!(reason);
        }
    }
    checkpoints.into_values().collect()
}

/// Returns `2.7` of `checkpoint 2.7`.
fn number(checkpoint: CheckpointId) -> String {
    let name = checkpoint.to_string();
    name.trim_start_matches("checkpoint ").to_owned()
}

/// Returns control messages: when and by whom they were sent, when they arrived, and their fate.
#[expect(clippy::wildcard_enum_match_arm, reason = "few happenings are about messages")]
fn messages(account: &Account, lanes: &Lanes) -> Vec<Value> {
    let mut messages: Vec<(bool, [Value; 6])> = Vec::new();
    let mut on_their_way = BTreeMap::new();
    for Happening { at, node, what } in &account.chronicle.0 {
        let node = node.as_deref().and_then(|node| lanes.node(node));
        match what {
            What::Sent { frame, kind, to, fate } => {
                // Signs of life come all the time.
                if *kind == "heartbeat" && *fate == floodmark_sim::FrameFate::Deliver {
                    continue;
                }
                let fate_word = match fate {
                    floodmark_sim::FrameFate::Deliver => "",
                    floodmark_sim::FrameFate::Lose => "lost",
                    floodmark_sim::FrameFate::Duplicate => "came twice",
                    floodmark_sim::FrameFate::Reorder => "overtaken",
                };
                on_their_way.insert(*frame, messages.len());
                let row = [ms(*at), json!(node), Value::Null, json!(lanes.node(to)), json!(kind)];
                let [sent, from, arrived, to, kind] = row;
                let row = [sent, from, arrived, to, kind, json!(fate_word)];
                messages.push((!fate_word.is_empty(), row));
            }
            What::Arrived { frame, .. } => {
                if let Some(index) = on_their_way.remove(frame) {
                    messages[index].1[2] = ms(*at);
                }
            }
            _ => {}
        }
    }
    let struck_count = messages.iter().filter(|(is_struck, _)| *is_struck).count();
    let mut room = MESSAGE_COUNT_MAX.saturating_sub(struck_count);
    messages.retain(|(is_struck, _)| {
        let is_kept = *is_struck || 0 < room;
        room = room.saturating_sub(usize::from(!is_struck));
        is_kept
    });
    messages.into_iter().map(|(_, row)| json!(row)).collect()
}

#[cfg(test)]
mod tests;
