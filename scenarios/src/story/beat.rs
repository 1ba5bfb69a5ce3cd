//! The beats of a story: what mattered, each with a weight, and what becomes of those that say the
//! same.

use std::time::Duration;

use floodmark::CheckpointId;

use super::{
    steps::{Step, sentence},
    words::{count, list, span},
};

/// Things of one kind that a beat lists.
pub(super) const LISTED_COUNT: usize = 3;

/// Something that mattered.
#[derive(Clone, Debug)]
pub(super) struct Beat {
    pub(super) at: Duration,
    pub(super) topic: Topic,
    /// What matters more is heavier.
    pub(super) weight: u8,
    pub(super) text: String,
    /// When the last of several was.
    until: Duration,
    count: u32,
    last: String,
    /// What the text is followed by: steps, or things that are listed.
    pub(super) steps: Vec<Step>,
    pub(super) things: Vec<String>,
}

/// What a beat is about. Those that follow each other with one topic are told as one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Topic {
    /// Checkpoints that completed.
    Completed,
    /// Checkpoints that were given up, for one reason.
    GivenUp(String),
    /// The steps of one checkpoint that a check named, in an attempt if the checkpoint has several.
    Steps(CheckpointId, String),
    /// Something that comes again and again.
    Again(String),
    /// Several things of one kind, after the words that are said of all.
    Listed(String),
    /// What is told for itself.
    Alone,
    /// A place where lesser beats were left out.
    LeftOut,
}

impl Beat {
    pub(super) fn new(at: Duration, weight: u8, topic: Topic, text: String) -> Self {
        Self {
            at,
            topic,
            weight,
            last: text.clone(),
            text,
            until: at,
            count: 1,
            steps: Vec::new(),
            things: Vec::new(),
        }
    }

    /// Returns whether another beat only goes on with this one.
    pub(super) fn joins(&self, next: &Self) -> bool {
        self.topic == next.topic && !matches!(self.topic, Topic::Alone | Topic::LeftOut)
    }

    /// Goes on with another beat.
    pub(super) fn join(&mut self, next: Self) {
        self.weight = self.weight.max(next.weight);
        self.until = next.at;
        self.count += next.count;
        self.last = next.last;
        self.steps.extend(next.steps);
        self.things.extend(next.things);
    }

    /// Finds words for all that was joined.
    pub(super) fn finish(&mut self) {
        match &self.topic {
            Topic::Completed => {
                self.text = completed(&self.text, &self.last, self.count, self.at, self.until);
            }
            Topic::GivenUp(reason) => {
                self.text = match self.count {
                    1 => format!("{} is given up: {reason}", self.text),
                    2 => format!(
                        "{} and {} are given up: {reason}",
                        plural(&self.text),
                        number(&self.last)
                    ),
                    _ => format!(
                        "{} to {} are given up: {reason}",
                        plural(&self.text),
                        number(&self.last)
                    ),
                };
            }
            Topic::Again(what) if 1 < self.count => {
                self.text = format!("{}: {what}", count(self.count.into(), "time"));
            }
            Topic::Steps(_, checkpoint) => {
                self.text = format!("{checkpoint}: {}", sentence(&self.steps));
            }
            Topic::Listed(words) => {
                self.text = format!("{words}{}", list(&self.things, LISTED_COUNT));
            }
            Topic::Again(_) | Topic::Alone | Topic::LeftOut => {}
        }
    }
}

/// Returns the text of checkpoints that completed one after the other.
fn completed(first: &str, last: &str, count: u32, from: Duration, to: Duration) -> String {
    match count {
        1 => format!("{first} completes"),
        2 => format!("{} and {} complete", plural(first), number(last)),
        _ => {
            let every = (to - from) / (count - 1);
            format!("{} to {} complete, about every {}", plural(first), number(last), span(every))
        }
    }
}

/// Returns `checkpoints 2`.
fn plural(checkpoint: &str) -> String {
    checkpoint.replacen(' ', "s ", 1)
}

/// Returns `2` of `checkpoint 2`.
fn number(checkpoint: &str) -> &str {
    checkpoint.split_once(' ').map_or(checkpoint, |(_, number)| number)
}
