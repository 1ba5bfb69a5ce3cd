//! The beats of a story: what mattered, each with a weight.

use std::{
    collections::{BTreeMap, BTreeSet},
    time::Duration,
};

use floodmark::{Attempt, CheckpointId, RuntimeEvent, SubtaskId, Term};
use floodmark_sim::{Happening, What};

use super::{
    completed, faults,
    focus::{Focus, find},
    number, plural,
    words::{count, seconds, span},
};
use crate::{Account, account::event};

/// Steps of one thing that are closer than this have one time.
const STEP_SHOWN: Duration = Duration::from_millis(20);

/// Beats about what a check named when it named no checkpoint: only the last ones matter.
const LAST_COUNT: usize = 6;

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
}

/// What a beat is about. Those that follow each other with one topic are told as one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Topic {
    /// Checkpoints that completed.
    Completed,
    /// Checkpoints that were given up, for one reason.
    GivenUp(String),
    /// The steps of one checkpoint that a check named.
    Steps(CheckpointId),
    /// Something that comes again and again.
    Again(String),
    /// What is told for itself.
    Alone,
    /// A place where lesser beats were left out.
    LeftOut,
}

impl Beat {
    pub(super) fn new(at: Duration, weight: u8, topic: Topic, text: String) -> Self {
        Self { at, topic, weight, last: text.clone(), text, until: at, count: 1 }
    }

    /// Returns whether another beat only goes on with this one.
    pub(super) fn joins(&self, next: &Self) -> bool {
        self.topic == next.topic && !matches!(self.topic, Topic::Alone | Topic::LeftOut)
    }

    /// Goes on with another beat.
    pub(super) fn join(&mut self, next: Self) {
        if let Topic::Steps(_) = self.topic {
            let is_shown = STEP_SHOWN < next.at - self.until;
            let time = if is_shown { format!(" ({})", seconds(next.at)) } else { String::new() };
            // The checkpoint was named at the first step, and who did it at the step before.
            let step_of = |text: &'_ str| text.split_once(": ").map(|(_, step)| step.to_owned());
            let step = step_of(&next.text).unwrap_or_default();
            let before = step_of(&self.last).unwrap_or_default();
            let step = match (subject(&before), subject(&step)) {
                (Some(before), Some(who)) if who == before => step[who.len()..].trim_start(),
                _ => &step,
            };
            self.text = format!("{}; {step}{time}", self.text);
        }
        self.weight = self.weight.max(next.weight);
        self.until = next.at;
        self.count += next.count;
        self.last = next.last;
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
            Topic::Again(_) | Topic::Steps(_) | Topic::Alone | Topic::LeftOut => {}
        }
    }
}

/// Returns the subtask that a sentence begins with.
fn subject(sentence: &str) -> Option<&str> {
    let (before, _, id, _) = find(sentence)?;
    before.is_empty().then_some(id)
}

/// An attempt that has begun.
struct Begun {
    attempt: Attempt,
    at: Duration,
    beat: usize,
    started_count: usize,
}

/// Reads a chronicle.
struct Reader<'a> {
    account: &'a Account,
    focus: &'a Focus,
    beats: Vec<Beat>,
    attempt: Option<Begun>,
    /// The node on which each subtask last began.
    places: BTreeMap<SubtaskId, String>,
    /// The node whose registration arrived last, and the workers by what they call themselves.
    registering: Option<String>,
    workers: BTreeMap<u64, String>,
    prepared: BTreeSet<(SubtaskId, CheckpointId)>,
    /// Who heard that a checkpoint is complete.
    heard: BTreeSet<(SubtaskId, CheckpointId)>,
    /// Checkpoints that a check has named and that completed.
    completed: BTreeMap<CheckpointId, Duration>,
    /// Nodes whose death or sleep a fault has told.
    told: BTreeSet<String>,
}

/// Returns what mattered, in order.
pub(super) fn beats(account: &Account, focus: &Focus) -> Vec<Beat> {
    let mut reader = Reader {
        account,
        focus,
        beats: Vec::new(),
        attempt: None,
        places: BTreeMap::new(),
        registering: None,
        workers: BTreeMap::new(),
        prepared: BTreeSet::new(),
        heard: BTreeSet::new(),
        completed: BTreeMap::new(),
        told: BTreeSet::new(),
    };
    reader.tell_faults();
    for happening in &account.chronicle.0 {
        match event(happening) {
            Some(event) => {
                let node = happening.node.as_deref().unwrap_or_default();
                reader.on_event(happening.at, node, event);
            }
            None => reader.on_happening(happening),
        }
    }
    reader.tell_unheard();
    let mut beats = reader.beats;
    keep_last_steps(&mut beats, focus);
    beats.sort_by_key(|beat| beat.at);
    beats
}

impl Reader<'_> {
    fn tell(&mut self, at: Duration, weight: u8, topic: Topic, text: String) {
        self.beats.push(Beat::new(at, weight, topic, text));
    }

    fn tell_faults(&mut self) {
        for fault in faults::struck(&self.account.chronicle, self.account.virtual_time) {
            let weight = fault.weight();
            self.tell(fault.began, weight, Topic::Alone, format!("fault: {}", fault.text()));
            if let floodmark_sim::Fault::Crash { node, .. }
            | floodmark_sim::Fault::Pause { node, .. } = &fault.fault
            {
                self.told.insert(node.clone());
            }
        }
    }

    #[expect(clippy::wildcard_enum_match_arm, reason = "most happenings are no beats")]
    fn on_happening(&mut self, Happening { at, node, what }: &Happening) {
        let node = node.as_deref().unwrap_or_default();
        match what {
            What::Arrived { kind: "registration", from, .. } => {
                self.registering = Some(from.to_string());
            }
            What::Crashed if !self.told.contains(node) => {
                self.tell(*at, 70, Topic::Alone, format!("{node} dies"));
            }
            What::Panicked { message, .. } => {
                self.tell(*at, 80, Topic::Alone, format!("{node} panics: {message}"));
            }
            What::Healed => {
                let text = "no fault follows: whatever was broken works again".to_owned();
                self.tell(*at, 30, Topic::Alone, text);
            }
            _ => {}
        }
    }

    #[expect(clippy::wildcard_enum_match_arm, reason = "most events are no beats")]
    fn on_event(&mut self, at: Duration, node: &str, event: &RuntimeEvent) {
        match event {
            RuntimeEvent::TermTaken { term } if Term(1) < *term => {
                let text = format!("{node} rules now ({term})");
                self.tell(at, 60, Topic::Alone, text);
            }
            RuntimeEvent::SteppedDown { held, .. } => {
                let text = format!("{node} learns that it rules no more ({held})");
                self.tell(at, 50, Topic::Alone, text);
            }
            RuntimeEvent::WorkerRegistered { worker } => {
                if let Some(from) = self.registering.take() {
                    self.workers.insert(worker.0, from);
                }
            }
            RuntimeEvent::WorkerLost { worker } => {
                let lost = self.workers.get(&worker.0).map_or("a worker", String::as_str);
                let text = format!("{node} gives {lost} up");
                // Where it matters, an attempt fails of it.
                self.tell(at, 25, Topic::Alone, text);
            }
            RuntimeEvent::WorkerLeft { .. }
            | RuntimeEvent::JobStopping { .. }
            | RuntimeEvent::JobStopped { .. } => {
                self.tell(at, 55, Topic::Alone, event.to_string());
            }
            RuntimeEvent::AttemptStarted { attempt, restored } => {
                self.on_started(at, *attempt, *restored);
            }
            RuntimeEvent::AttemptRunning { attempt } => self.on_running(at, *attempt),
            RuntimeEvent::AttemptFailed { attempt, reason } => {
                let text = format!("{attempt} fails: {}", self.named_workers(reason));
                self.tell(at, 60, Topic::Alone, text);
            }
            RuntimeEvent::ManifestStored { checkpoint, .. }
                if !self.focus.checkpoints.contains(checkpoint) =>
            {
                self.tell(at, 40, Topic::Completed, checkpoint.to_string());
            }
            RuntimeEvent::CheckpointAborted { checkpoint, reason, .. }
                if !self.focus.checkpoints.contains(checkpoint) =>
            {
                let topic = Topic::GivenUp(reason.clone());
                self.tell(at, 45, topic, checkpoint.to_string());
            }
            RuntimeEvent::GapDetected { channel, .. } => {
                let text = format!("{channel} misses something that was sent");
                self.tell(at, 50, Topic::Again(text.clone()), text);
            }
            RuntimeEvent::StaleRefused { .. } => {
                let text = format!("{node} refuses what comes from the past");
                self.tell(at, 20, Topic::Again(text.clone()), text);
            }
            _ => self.on_step(at, node, event),
        }
        match event {
            RuntimeEvent::TransactionPrepared { subtask, checkpoint, .. } => {
                self.prepared.insert((*subtask, *checkpoint));
            }
            RuntimeEvent::CheckpointNotified { subtask, checkpoint, .. } => {
                self.heard.insert((*subtask, *checkpoint));
            }
            RuntimeEvent::ManifestStored { checkpoint, .. }
                if self.focus.checkpoints.contains(checkpoint) =>
            {
                self.completed.insert(*checkpoint, at);
            }
            RuntimeEvent::SubtaskStarted { subtask, .. } => {
                self.places.insert(*subtask, node.to_owned());
                if let Some(begun) = &mut self.attempt {
                    begun.started_count += 1;
                }
            }
            _ => {}
        }
    }

    fn on_started(&mut self, at: Duration, attempt: Attempt, restored: Option<CheckpointId>) {
        let from = match restored {
            Some(checkpoint) => format!("{attempt} starts from {checkpoint}"),
            None => format!("{attempt} starts from the beginning"),
        };
        let beat = self.beats.len();
        self.attempt = Some(Begun { attempt, at, beat, started_count: 0 });
        let weight = if restored.is_some() { 58 } else { 50 };
        self.tell(at, weight, Topic::Alone, from);
    }

    fn on_running(&mut self, at: Duration, attempt: Attempt) {
        let Some(begun) = &self.attempt else { return };
        if begun.attempt != attempt {
            return;
        }
        let after = span(at - begun.at);
        let mut text = format!("; all {} subtasks run after {after}", begun.started_count);
        let named = self.focus.subtasks.iter();
        let places: Vec<String> = named
            .filter_map(|subtask| Some(format!("{subtask} on {}", self.places.get(subtask)?)))
            .collect();
        if !places.is_empty() {
            text.push_str(&format!(", {}", places.join(", ")));
        }
        self.beats[begun.beat].text.push_str(&text);
    }

    /// Tells an event about what a check has named.
    fn on_step(&mut self, at: Duration, node: &str, event: &RuntimeEvent) {
        if !self.focus.is_about(event) {
            return;
        }
        let Some(text) = step(node, event, self.focus) else { return };
        match event.checkpoint() {
            Some(checkpoint) => {
                let text = format!("{checkpoint}: {text}");
                self.tell(at, 90, Topic::Steps(checkpoint), text);
            }
            None => self.tell(at, 90, Topic::Alone, text),
        }
    }

    /// Tells who never heard that a checkpoint which a check has named is complete.
    fn tell_unheard(&mut self) {
        let silent = self.completed.iter().flat_map(|(checkpoint, at)| {
            let named = self.focus.subtasks.iter();
            let silent = named.filter(|subtask| {
                self.prepared.contains(&(**subtask, *checkpoint))
                    && !self.heard.contains(&(**subtask, *checkpoint))
            });
            silent.map(|subtask| (*at, *checkpoint, *subtask))
        });
        let silent: Vec<_> = silent.collect();
        for (at, checkpoint, subtask) in silent {
            let text = format!("{checkpoint}: {subtask} never hears so");
            self.tell(at, 90, Topic::Steps(checkpoint), text);
        }
    }

    /// Puts nodes in the place of the ids of workers.
    fn named_workers(&self, reason: &str) -> String {
        self.workers.iter().fold(reason.to_owned(), |text, (id, node)| {
            text.replace(&format!("worker {id:016x}"), node)
        })
    }
}

/// Says what an event means for what a check has named.
#[expect(clippy::wildcard_enum_match_arm, reason = "other events are no steps")]
fn step(node: &str, event: &RuntimeEvent, focus: &Focus) -> Option<String> {
    Some(match event {
        RuntimeEvent::CheckpointTriggered { .. } => "it begins".to_owned(),
        RuntimeEvent::BarrierEmitted { subtask, .. } => format!("{subtask} sends its barrier"),
        RuntimeEvent::BarrierArrived { channel, .. } => {
            format!("the barrier arrives on {channel}")
        }
        RuntimeEvent::AlignmentAborted { subtask, .. } => {
            format!("{subtask} stops waiting for the other barriers")
        }
        RuntimeEvent::SnapshotTaken { subtask, received, sent, .. } => {
            let counts = |counts: &[(_, u64)], word: &str| -> Vec<String> {
                let named = counts.iter().filter(|(channel, _)| focus.channels.contains(channel));
                named.map(|(channel, count)| format!(", {count} {word} on {channel}")).collect()
            };
            let counts = [counts(received, "received"), counts(sent, "sent")].concat().concat();
            format!("{subtask} takes its snapshot{counts}")
        }
        RuntimeEvent::TransactionPrepared { subtask, operator: sink, .. } => {
            format!("{subtask} prepares its transaction in sink {sink}")
        }
        RuntimeEvent::SnapshotStored { subtask, .. } => format!("{subtask} stores its snapshot"),
        RuntimeEvent::CheckpointAcknowledged { subtask, .. } => {
            format!("{subtask} has told {node}")
        }
        RuntimeEvent::AcknowledgementIgnored { subtask, .. } => {
            format!("{subtask} has told {node} too late")
        }
        RuntimeEvent::ManifestStored { .. } => "it completes".to_owned(),
        RuntimeEvent::CheckpointAborted { reason, .. } => format!("it is given up: {reason}"),
        RuntimeEvent::CheckpointNotified { subtask, .. } => {
            format!("{subtask} hears that it is complete")
        }
        RuntimeEvent::TransactionCommitted {
            subtask,
            operator: sink,
            checkpoint,
            notified,
            ..
        } => {
            let told = if checkpoint == notified {
                String::new()
            } else {
                format!(", told of {notified}")
            };
            format!("{subtask} commits its transaction in sink {sink}{told}")
        }
        RuntimeEvent::SubtaskStarted { subtask, restored, watermark, .. } => {
            let from = restored.map_or("from nothing", |_| "from it");
            format!("{subtask} starts again {from}, at event time {watermark}")
        }
        RuntimeEvent::WatermarkAdvanced { subtask, watermark, .. } => {
            format!("{subtask} reaches event time {watermark}")
        }
        RuntimeEvent::ChannelWatermark { channel, watermark, .. } => {
            format!("{channel} promises event time {watermark}")
        }
        RuntimeEvent::SourceExhausted { subtask, .. } => format!("{subtask} has no more input"),
        RuntimeEvent::SubtaskFinished { subtask, .. } => format!("{subtask} has finished"),
        _ => return None,
    })
}

/// Of what was named without a checkpoint, only the last steps are kept.
fn keep_last_steps(beats: &mut Vec<Beat>, focus: &Focus) {
    if !focus.checkpoints.is_empty() {
        return;
    }
    let mut surplus = beats.iter().filter(|beat| beat.weight == 90).count();
    beats.retain(|beat| {
        let is_surplus = beat.weight == 90 && LAST_COUNT < surplus;
        surplus -= usize::from(beat.weight == 90);
        !is_surplus
    });
}
