//! A run in about a dozen lines, for someone who has not seen the runtime.
//!
//! ```text
//! chronicle ──▶ beats (what matters, each with a weight) ──▶ folded ──▶ the weightiest ──▶ named
//! ```
//!
//! A failing check names subtasks, channels and checkpoints in its reason. What happened to those is
//! told step by step; everything else only as far as it explains them. Ids become names at the very
//! end, so that a reason that a check has written is treated like our own words.

mod beat;
mod beats;
mod faults;
mod focus;
mod hindsight;
mod names;
mod steps;
mod words;
mod workers;

use std::{fmt, time::Duration};

pub use faults::fault_in_words;
pub(crate) use faults::struck;
pub(crate) use focus::Focus;
pub(crate) use names::Names;
pub(crate) use words::{law, with_dates};

use crate::{Account, Failure};
use beat::{Beat, Topic};

use words::seconds;

/// Lines of a story at most, its first and last included.
const LINE_COUNT_MAX: usize = 15;

/// What happened in a run, in words.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Story(pub Vec<StoryLine>);

/// One sentence of a story.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StoryLine {
    /// When it happened, or began to; none for what is true all the time.
    pub at: Option<Duration>,
    /// What happened.
    pub text: String,
}

impl Story {
    /// Tells a run, and how it ended.
    pub fn new(account: &Account, failure: Option<&Failure>) -> Self {
        let focus = Focus::new(account, failure);
        let end = failure.map_or(account.virtual_time, |failure| failure.at);
        let beats = weightiest(fold(beats::beats(account, &focus, end)));
        let mut names = Names::new(&account.job);
        let mut lines = vec![StoryLine { at: None, text: opening(account, &names) }];
        lines.extend(beats.iter().map(|beat| StoryLine {
            at: (beat.topic != Topic::LeftOut).then_some(beat.at),
            text: with_dates(&names.apply(&beat.text)),
        }));
        let (at, text) = ending(account, failure);
        lines.push(StoryLine { at: Some(at), text: with_dates(&names.apply(&text)) });
        Self(lines)
    }
}

impl fmt::Display for Story {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let times = self.0.iter().filter_map(|line| line.at);
        let width = times.map(|at| seconds(at).len()).max().unwrap_or_default();
        for (index, StoryLine { at, text }) in self.0.iter().enumerate() {
            if 0 < index {
                f.write_str("\n")?;
            }
            let at = at.map(seconds).unwrap_or_default();
            write!(f, "{at:>width$}  {text}")?;
        }
        Ok(())
    }
}

/// Says who runs what.
fn opening(account: &Account, names: &Names) -> String {
    let vertices = account.job.vertices.iter();
    let parts: Vec<String> = vertices
        .map(|vertex| format!("{} ×{}", names.vertex(vertex.id), vertex.parallelism))
        .collect();
    let coordinators = if account.has_standby { "Two coordinators" } else { "A coordinator" };
    format!(
        "{coordinators} and {} run the job {:?}: {}",
        words::count(account.worker_count.into(), "worker"),
        account.job.name,
        parts.join(", "),
    )
}

fn ending(account: &Account, failure: Option<&Failure>) -> (Duration, String) {
    match failure {
        Some(Failure { check, reason, at, .. }) => {
            (*at, format!("FAILED, {}: {reason}", law(check)))
        }
        None => (account.virtual_time, "the job has ended, and every promise was kept".to_owned()),
    }
}

/// Folds beats that say the same again and again, and joins the steps of one thing.
fn fold(beats: Vec<Beat>) -> Vec<Beat> {
    let mut folded: Vec<Beat> = Vec::new();
    for beat in beats {
        // What is listed may be listed among other things.
        let reach = if matches!(beat.topic, Topic::Listed(_)) { usize::MAX } else { 1 };
        match folded.iter_mut().rev().take(reach).find(|last| last.joins(&beat)) {
            Some(last) => last.join(beat),
            None => folded.push(beat),
        }
    }
    folded.iter_mut().for_each(Beat::finish);
    folded
}

/// Leaves out what matters least, until the rest can be read in a minute.
fn weightiest(mut beats: Vec<Beat>) -> Vec<Beat> {
    let room = LINE_COUNT_MAX - 2;
    if beats.len() <= room {
        return beats;
    }
    let mut order: Vec<usize> = (0..beats.len()).collect();
    // Of equal weight, what is closer to the end explains more of it.
    order.sort_by_key(|index| (std::cmp::Reverse(beats[*index].weight), usize::MAX - *index));
    let mut kept: Vec<usize> = order[..room - 1].to_vec();
    kept.sort_unstable();
    let dropped = beats.len() - kept.len();
    let first_dropped = (0..beats.len()).find(|index| !kept.contains(index)).unwrap_or_default();
    let at = beats[first_dropped].at;
    let mut index = 0;
    beats.retain(|_| {
        index += 1;
        kept.contains(&(index - 1))
    });
    let place = beats.partition_point(|beat| beat.at < at);
    let text = format!("(left out: {})", words::count(dropped as u64, "lesser event"));
    let left_out = Beat::new(at, 0, Topic::LeftOut, text);
    beats.insert(place, left_out);
    beats
}

#[cfg(test)]
mod tests;
