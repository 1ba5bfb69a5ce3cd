//! What mattered in a run: its chronicle, read for beats.

use std::{
    collections::{BTreeMap, BTreeSet},
    time::Duration,
};

use floodmark::{Attempt, CheckpointId, RuntimeEvent, SubtaskId, Term};
use floodmark_sim::{Happening, What};

use super::{
    beat::{Beat, LISTED_COUNT, Topic},
    faults,
    focus::Focus,
    steps::{Step, Who, sentence, splits, what},
    words::{count, list, span},
    workers::Workers,
};
use crate::{Account, account::event};

/// Beats about what a check named when it named no checkpoint: only the last ones matter.
const LAST_COUNT: usize = 6;

/// What a node does this soon after a frame has arrived, it does because of the frame.
const ARRIVED_NOW: Duration = Duration::from_micros(100);

/// Checkpoints that are not decided for so long are told.
const UNDECIDED_SHOWN: Duration = Duration::from_secs(5);

/// An attempt that has begun.
struct Begun {
    attempt: Attempt,
    at: Duration,
    beat: usize,
    started_count: usize,
    has_failed: bool,
}

/// Attempts that have failed one after the other, for one reason.
struct Failing {
    reason: String,
    beat: usize,
    text: String,
    again_count: u64,
}

/// Reads a chronicle.
struct Reader<'a> {
    account: &'a Account,
    focus: &'a Focus,
    /// When the story ends.
    end: Duration,
    beats: Vec<Beat>,
    attempt: Option<Begun>,
    failing: Option<Failing>,
    /// The attempt that each node last began.
    believed: BTreeMap<String, Attempt>,
    workers: Workers,
    /// What arrived last on each node: when, its kind, and from whom.
    arrived: BTreeMap<String, (Duration, &'static str, String)>,
    /// When checkpoints began that are not decided, with their attempts.
    open: BTreeMap<(CheckpointId, Attempt), Duration>,
    /// Snapshots that a check has named and that were taken.
    taken: BTreeSet<(CheckpointId, Attempt, SubtaskId)>,
    prepared: BTreeMap<(SubtaskId, CheckpointId), Attempt>,
    /// Who heard that a checkpoint is complete.
    heard: BTreeSet<(SubtaskId, CheckpointId)>,
    /// Checkpoints that a check has named and that completed.
    completed: BTreeMap<CheckpointId, Duration>,
    /// Nodes whose death or sleep a fault has told.
    told: BTreeSet<String>,
}

/// Returns what mattered until the end of the story, in order.
pub(super) fn beats(account: &Account, focus: &Focus, end: Duration) -> Vec<Beat> {
    let mut reader = Reader {
        account,
        focus,
        end,
        beats: Vec::new(),
        attempt: None,
        failing: None,
        believed: BTreeMap::new(),
        workers: Workers::default(),
        arrived: BTreeMap::new(),
        open: BTreeMap::new(),
        taken: BTreeSet::new(),
        prepared: BTreeMap::new(),
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
    reader.tell_undecided();
    let mut beats = reader.beats;
    // An attempt that only fails as the one before it is told there.
    beats.retain(|beat| !beat.text.is_empty() || !matches!(beat.topic, Topic::Alone));
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
            What::Arrived { kind, from, .. } => {
                if *kind == "registration" {
                    self.workers.on_registration(node, from);
                }
                self.arrived.insert(node.to_owned(), (*at, kind, from.to_string()));
            }
            What::Resumed => {
                let believed = self.believed.get(node).copied();
                let current = self.attempt.as_ref().map(|begun| begun.attempt);
                let still = match believed.filter(|_| believed < current) {
                    Some(attempt) => format!(", and goes on with {attempt}"),
                    None => String::new(),
                };
                self.tell(*at, 55, Topic::Alone, format!("{node} wakes up{still}"));
            }
            What::Crashed => {
                self.workers.on_death(node);
                if !self.told.contains(node) {
                    self.tell(*at, 70, Topic::Alone, format!("{node} dies"));
                }
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
            RuntimeEvent::TermTaken { term: Term(1) } => self.workers.on_reign(node),
            RuntimeEvent::TermTaken { term } => self.on_term(at, node, *term),
            RuntimeEvent::SteppedDown { held, .. } => {
                let text = format!("{node} learns that it rules no more ({held})");
                self.tell(at, 50, Topic::Alone, text);
            }
            RuntimeEvent::WorkerRegistered { worker } => {
                if let Some(from) = self.workers.on_registered(node, *worker) {
                    self.list(at, 30, format!("{node} hears again from "), from);
                }
            }
            RuntimeEvent::WorkerLost { worker } => {
                let text = format!("{node} gives {} up", self.workers.on_lost(node, *worker));
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
                self.on_failed(at, *attempt, reason);
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
            RuntimeEvent::StaleRefused { current, stale } => {
                let what = self.refused(at, node, *stale);
                let text = format!("{node} refuses {what}: it is of {stale}, and {current} is on");
                self.tell(at, 35, Topic::Again(text.clone()), text);
            }
            RuntimeEvent::JobEnded { failure: None } if at < self.end => {
                self.tell(at, 50, Topic::Alone, "the job has finished".to_owned());
            }
            RuntimeEvent::JobEnded { failure: Some(reason) } => {
                self.tell(at, 75, Topic::Alone, format!("the job fails: {reason}"));
            }
            _ if self.focus.is_about_results => self.on_output(at, event),
            _ => self.on_step(at, node, event),
        }
        self.remember(at, node, event);
    }

    #[expect(clippy::wildcard_enum_match_arm, reason = "few events are needed later")]
    fn remember(&mut self, at: Duration, node: &str, event: &RuntimeEvent) {
        match event {
            RuntimeEvent::CheckpointTriggered { attempt, checkpoint, .. } => {
                self.open.insert((*checkpoint, *attempt), at);
            }
            RuntimeEvent::CheckpointAborted { attempt, checkpoint, .. } => {
                self.open.remove(&(*checkpoint, *attempt));
                if self.focus.checkpoints.contains(checkpoint) {
                    self.tell_undeclined(at, *attempt, *checkpoint);
                }
            }
            RuntimeEvent::SnapshotTaken { attempt, subtask, checkpoint, .. }
                if self.focus.is_about(event) =>
            {
                self.taken.insert((*checkpoint, *attempt, *subtask));
            }
            RuntimeEvent::TransactionPrepared { attempt, subtask, checkpoint, .. } => {
                self.prepared.insert((*subtask, *checkpoint), *attempt);
            }
            RuntimeEvent::CheckpointNotified { subtask, checkpoint, .. } => {
                self.heard.insert((*subtask, *checkpoint));
            }
            RuntimeEvent::ManifestStored { attempt, checkpoint, .. } => {
                self.open.remove(&(*checkpoint, *attempt));
                if self.focus.checkpoints.contains(checkpoint) {
                    self.completed.insert(*checkpoint, at);
                }
            }
            RuntimeEvent::SubtaskStarted { attempt, .. } => {
                self.believed.insert(node.to_owned(), *attempt);
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
        self.attempt = Some(Begun { attempt, at, beat, started_count: 0, has_failed: false });
        let weight = if restored.is_some() { 58 } else { 50 };
        self.tell(at, weight, Topic::Alone, from);
    }

    /// Tells that an attempt fails; many that fail for one reason are told as one.
    fn on_failed(&mut self, at: Duration, attempt: Attempt, reason: &str) {
        let reason = self.workers.named(reason);
        let begun = self.attempt.as_mut().filter(|begun| begun.attempt == attempt);
        let start = begun.map(|begun| {
            begun.has_failed = true;
            begun.beat
        });
        match &mut self.failing {
            Some(failing) if failing.reason == reason => {
                failing.again_count += 1;
                let again = count(failing.again_count, "more attempt");
                let text = format!("{}; {again} for the same reason, {attempt} last", failing.text);
                self.beats[failing.beat].text = text;
                if let Some(start) = start {
                    self.beats[start].text.clear();
                }
            }
            Some(_) | None => {
                let text = format!("{attempt} fails: {reason}");
                let (beat, text_again) = (self.beats.len(), text.clone());
                self.failing = Some(Failing { reason, beat, text: text_again, again_count: 0 });
                self.tell(at, 60, Topic::Alone, text);
            }
        }
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
            .filter_map(|subtask| {
                let place = self.focus.hindsight.place(*subtask, attempt)?;
                Some(format!("{subtask} on {place}"))
            })
            .collect();
        if !places.is_empty() {
            text.push_str(&format!(", {}", places.join(", ")));
        }
        self.beats[begun.beat].text.push_str(&text);
    }

    /// Tells of a new reign, and of what the one before it left behind.
    fn on_term(&mut self, at: Duration, node: &str, term: Term) {
        self.workers.on_reign(node);
        let mut text = format!("{node} rules now ({term})");
        if let Some(begun) = self.attempt.as_ref().filter(|begun| !begun.has_failed)
            && begun.attempt.term < term
        {
            text.push_str(&format!("; {} ends with {}", begun.attempt, begun.attempt.term));
        }
        self.open.retain(|(checkpoint, attempt), _| {
            let is_left = attempt.term < term;
            if is_left {
                text.push_str(&format!("; {checkpoint} is left behind by {}", attempt.term));
            }
            !is_left
        });
        self.tell(at, 60, Topic::Alone, text);
    }

    /// Says what a node refuses: what has just arrived there, if its sender believes in `stale`.
    fn refused(&self, at: Duration, node: &str, stale: Attempt) -> String {
        match self.arrived.get(node) {
            Some((then, kind, from))
                if at - *then < ARRIVED_NOW
                    && self.believed.get(from).is_none_or(|believed| *believed == stale) =>
            {
                format!("a {kind} from {from}")
            }
            _ => "something".to_owned(),
        }
    }

    /// Tells one more of several things of one kind.
    fn list(&mut self, at: Duration, weight: u8, words: String, thing: String) {
        let mut beat = Beat::new(at, weight, Topic::Listed(words), thing.clone());
        beat.things.push(thing);
        self.beats.push(beat);
    }

    /// Tells a step of a checkpoint.
    fn step(&mut self, checkpoint: CheckpointId, attempt: Option<Attempt>, step: Step) {
        let name = self.focus.hindsight.name_of(checkpoint, attempt);
        let topic = Topic::Steps(checkpoint, name);
        let mut beat = Beat::new(step.at, 90, topic, String::new());
        beat.steps.push(step);
        self.beats.push(beat);
    }

    fn who(&self, subtask: SubtaskId, attempt: Option<Attempt>) -> Who {
        let hindsight = &self.focus.hindsight;
        let instance = attempt.and_then(|attempt| hindsight.instance(subtask, attempt));
        Who { subtask, instance }
    }

    /// Tells an event about what a check has named.
    fn on_step(&mut self, at: Duration, node: &str, event: &RuntimeEvent) {
        if !self.focus.is_about(event) {
            return;
        }
        let Some(mut what) = what(node, event, self.focus) else { return };
        let attempt = event.attempt();
        let who = event.subtask().map(|subtask| self.who(subtask, attempt));
        if let RuntimeEvent::CheckpointNotified { attempt, subtask, checkpoint } = event {
            what.push_str(&self.left_prepared(at, *attempt, *subtask, *checkpoint));
        }
        if let RuntimeEvent::BarrierArrived { attempt, channel, .. } = event {
            let receiver = self.account.job.edges.iter().find(|edge| edge.id == channel.edge);
            let receiver = receiver.map(|edge| SubtaskId { vertex: edge.to, index: channel.to });
            let hindsight = &self.focus.hindsight;
            let place = receiver.and_then(|subtask| hindsight.instance(subtask, *attempt));
            what.push_str(&place.map_or(String::new(), |place| format!(", {place}")));
        }
        let step = Step { at, who, what };
        match self.focus.checkpoint_of(event) {
            Some(checkpoint) => self.step(checkpoint, attempt, step),
            None => self.tell(at, 90, Topic::Alone, sentence(&[step])),
        }
    }

    /// Says what a subtask does not commit, ever, though it hears that it may.
    fn left_prepared(
        &self,
        at: Duration,
        attempt: Attempt,
        subtask: SubtaskId,
        notified: CheckpointId,
    ) -> String {
        let hindsight = &self.focus.hindsight;
        let lost = hindsight.lost_by(subtask, attempt, notified);
        let lost = lost.filter(|(_, sink, _)| self.focus.is_about_one(sink));
        let lost: Vec<String> = lost.map(|(_, _, checkpoint)| checkpoint.to_string()).collect();
        // What it hears at the very end it has had no time to follow.
        if lost.is_empty() || self.end <= at {
            return String::new();
        }
        let (transactions, are) =
            if lost.len() == 1 { ("transaction", "is") } else { ("transactions", "are") };
        let lost = list(&lost, LISTED_COUNT);
        if hindsight.has_committed(attempt, subtask, notified) {
            return format!(", and leaves its {transactions} of {lost} prepared");
        }
        format!(", and commits nothing: its {transactions} of {lost} {are} still prepared")
    }

    /// Tells an event that decides which results there are.
    #[expect(clippy::wildcard_enum_match_arm, reason = "few events decide over results")]
    fn on_output(&mut self, at: Duration, event: &RuntimeEvent) {
        if !self.focus.is_about(event) {
            return;
        }
        match event {
            RuntimeEvent::SplitsAssigned {
                attempt,
                subtask,
                restored: Some(checkpoint),
                split_count,
                ended_count,
            } => {
                let words = format!("{attempt} reads on from where {checkpoint} was: ");
                let splits = splits(*split_count, *ended_count);
                self.list(at, 56, words, format!("{subtask} in {splits}"));
            }
            RuntimeEvent::TransactionAborted { attempt, subtask, transaction, .. } => {
                let words = format!("{attempt} discards transactions: ");
                self.list(at, 57, words, format!("{transaction} ({subtask})"));
            }
            RuntimeEvent::TransactionPrepared { attempt, subtask, checkpoint, .. } => {
                let words = format!(
                    "prepared for {checkpoint} in {attempt} and never committed: the transaction of "
                );
                self.list(at, 62, words, subtask.to_string());
            }
            _ => {}
        }
    }

    /// Tells who has neither stored nor declined a snapshot of a checkpoint that is given up while its
    /// attempt goes on.
    fn tell_undeclined(&mut self, at: Duration, attempt: Attempt, checkpoint: CheckpointId) {
        let begun = self.attempt.as_ref();
        if begun.is_none_or(|begun| begun.attempt != attempt || begun.has_failed) {
            return;
        }
        let taken = self.taken.iter().filter(|(one, by, subtask)| {
            let is_settled = self.focus.hindsight.is_settled((*by, *subtask, *one));
            (*one, *by) == (checkpoint, attempt) && !is_settled
        });
        let silent: Vec<SubtaskId> = taken.map(|(_, _, subtask)| *subtask).collect();
        for subtask in silent {
            let who = Some(self.who(subtask, Some(attempt)));
            let what = "has neither stored its snapshot nor declined it".to_owned();
            self.step(checkpoint, Some(attempt), Step { at, who, what });
        }
    }

    /// Tells which checkpoints came to no end.
    fn tell_undecided(&mut self) {
        for ((checkpoint, _), began) in std::mem::take(&mut self.open) {
            let lasts = self.end.saturating_sub(began);
            if UNDECIDED_SHOWN < lasts {
                let lasts = span(lasts);
                let text = format!(
                    "{checkpoint} begins, and after {lasts} it is neither complete nor given up"
                );
                self.tell(began, 65, Topic::Alone, text);
            }
        }
    }

    /// Tells who never heard that a checkpoint which a check has named is complete.
    fn tell_unheard(&mut self) {
        let silent = self.completed.iter().flat_map(|(checkpoint, at)| {
            let named = self.focus.subtasks.iter();
            let silent = named.filter_map(|subtask| {
                let attempt = self.prepared.get(&(*subtask, *checkpoint))?;
                let is_silent = !self.heard.contains(&(*subtask, *checkpoint));
                is_silent.then_some((*subtask, *attempt))
            });
            silent.map(|(subtask, attempt)| (*at, *checkpoint, subtask, attempt))
        });
        let silent: Vec<_> = silent.collect();
        for (at, checkpoint, subtask, attempt) in silent {
            let who = Some(self.who(subtask, Some(attempt)));
            let what = "never hears so".to_owned();
            self.step(checkpoint, Some(attempt), Step { at, who, what });
        }
    }
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
