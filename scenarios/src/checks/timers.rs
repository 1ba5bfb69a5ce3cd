//! Every timer fires exactly once, net of restore: in order, not early, and not never.
//!
//! - A timer that fires was set, has not fired and was not removed; no earlier one of its operator and
//!   domain is left.
//! - Its time has come: the watermark, or the clock, has reached it.
//! - When event time has advanced everywhere in a subtask, no event-time timer up to it is left: at its
//!   inputs, behind operators with requests, and behind those that make event time themselves. One that
//!   is set for a time that some of them have reached is due when all have gone beyond that. At every
//!   barrier no processing-time timer up to the clock is left.
//!
//! The timers that are set are kept with every snapshot, so that a restore rolls the check back too.

use std::collections::{BTreeMap, BTreeSet};

use floodmark::{
    Attempt, CheckpointId, RuntimeEvent, SectionDigest, SubtaskId, TimeDomain, Timestamp,
};

use super::{Check, Names, requests_under_way};

/// Follows every timer from when it is set until it fires.
#[derive(Debug)]
pub struct Timers {
    names: Names,
    subtasks: BTreeMap<SubtaskId, State>,
    snapshots: BTreeMap<(CheckpointId, SubtaskId), State>,
    /// Subtasks that read from a source, and have no event time at their inputs.
    sources: BTreeSet<SubtaskId>,
}

/// The timers that are set in one subtask.
#[derive(Clone, Debug, Default)]
struct State {
    attempt: Attempt,
    /// With each, the latest event time in the subtask when it was set.
    set: BTreeMap<(String, TimeDomain), BTreeMap<(Timestamp, u64), Timestamp>>,
    /// The latest event time for which event-time timers fired.
    fired_for: Option<Timestamp>,
    /// The event time of the inputs, if there are any.
    heard: Option<Timestamp>,
    /// What operators with requests have passed on, and those that make event time have made.
    released: BTreeMap<String, Timestamp>,
}

/// One timer, where it was set.
#[derive(Clone, Copy)]
struct Timer<'a> {
    attempt: Attempt,
    subtask: SubtaskId,
    operator: &'a str,
    domain: TimeDomain,
    time: Timestamp,
    key: u64,
}

impl State {
    /// Returns how far event time is, wherever it changes in the subtask.
    fn event_times(&self) -> impl Iterator<Item = Timestamp> {
        self.heard.into_iter().chain(self.released.values().copied())
    }
}

/// Returns the operators that make event time: those that keep nothing else.
fn makers(sections: &[SectionDigest]) -> impl Iterator<Item = &str> {
    const OURS: [&str; 3] = ["progress", "generators", "requests-under-way"];
    let is_maker = |operator: &str| {
        let kept = sections.iter().filter_map(|section| section.name.rsplit_once('/'));
        kept.filter(|(owner, _)| *owner == operator).all(|(_, name)| OURS.contains(&name))
    };
    let progress = sections.iter().filter_map(|section| section.name.strip_suffix("/progress"));
    progress.filter(move |operator| is_maker(operator))
}

impl Timers {
    /// Creates the check.
    pub fn new(names: Names) -> Self {
        let (subtasks, snapshots) = (BTreeMap::new(), BTreeMap::new());
        Self { names, subtasks, snapshots, sources: BTreeSet::new() }
    }

    /// Returns the state of a subtask, unless the event is of an attempt that is over.
    fn state(&mut self, attempt: Attempt, subtask: SubtaskId) -> Option<&mut State> {
        self.subtasks.get_mut(&subtask).filter(|state| state.attempt == attempt)
    }

    fn describe(&self, timer: Timer<'_>) -> String {
        let Timer { attempt, subtask, operator, domain, time, key } = timer;
        let name = self.names.of(subtask);
        format!(
            "the timer of {operator} at {domain} {time} for key {key:016x} in {name} in {attempt}"
        )
    }

    fn begin(
        &mut self,
        attempt: Attempt,
        subtask: SubtaskId,
        restored: Option<CheckpointId>,
        (watermark, sections): (Timestamp, &[SectionDigest]),
    ) {
        if self.subtasks.get(&subtask).is_some_and(|state| attempt <= state.attempt) {
            return;
        }
        let kept = restored.and_then(|checkpoint| self.snapshots.get(&(checkpoint, subtask)));
        let (set, before) = kept.map(|state| (state.set.clone(), state.released.clone())).unzip();
        let with_requests = requests_under_way(sections).map(|(operator, _)| operator);
        let releasers = with_requests.chain(makers(sections));
        let released = releasers.map(|operator| {
            let before = before.as_ref().and_then(|before| before.get(operator));
            (operator.to_owned(), before.copied().unwrap_or(Timestamp::MIN))
        });
        let state = State {
            attempt,
            released: released.collect(),
            set: set.unwrap_or_default(),
            fired_for: None,
            heard: (!self.sources.contains(&subtask)).then_some(watermark),
        };
        self.subtasks.insert(subtask, state);
    }

    fn on_registered(&mut self, timer: Timer<'_>) -> Result<(), String> {
        let description = self.describe(timer);
        let Some(state) = self.state(timer.attempt, timer.subtask) else { return Ok(()) };
        let latest = state.event_times().max().unwrap_or(Timestamp::MIN);
        let set = state.set.entry((timer.operator.to_owned(), timer.domain)).or_default();
        match set.insert((timer.time, timer.key), latest) {
            None => Ok(()),
            Some(_) => Err(format!("{description} was set twice")),
        }
    }

    fn on_deleted(&mut self, timer: Timer<'_>) -> Result<(), String> {
        let description = self.describe(timer);
        let Some(state) = self.state(timer.attempt, timer.subtask) else { return Ok(()) };
        let set = state.set.entry((timer.operator.to_owned(), timer.domain)).or_default();
        if set.remove(&(timer.time, timer.key)).is_some() {
            return Ok(());
        }
        Err(format!("{description} was removed, and was not set"))
    }

    fn on_fired(&mut self, timer: Timer<'_>, now: Timestamp) -> Result<(), String> {
        let description = self.describe(timer);
        let Some(state) = self.state(timer.attempt, timer.subtask) else { return Ok(()) };
        let set = state.set.entry((timer.operator.to_owned(), timer.domain)).or_default();
        if set.remove(&(timer.time, timer.key)).is_none() {
            return Err(format!("{description} fires, and is not set"));
        }
        if now < timer.time {
            return Err(format!("{description} fires early, at {now}"));
        }
        if let Some(((earlier, key), _)) = set.first_key_value()
            && *earlier < timer.time
        {
            return Err(format!("{description} fires before one at {earlier} for key {key:016x}"));
        }
        if timer.domain == TimeDomain::Event {
            state.fired_for = state.fired_for.max(Some(now));
        }
        Ok(())
    }

    /// An operator with requests has passed event time on. Those behind all such operators have heard
    /// what the slowest of them has passed on.
    fn on_released(
        &mut self,
        (attempt, subtask): (Attempt, SubtaskId),
        operator: &str,
        watermark: Timestamp,
    ) -> Result<(), String> {
        let Some(state) = self.state(attempt, subtask) else { return Ok(()) };
        state.released.insert(operator.to_owned(), watermark);
        self.on_settled((attempt, subtask))
    }

    /// An operator makes event time, which those behind it are about to hear. What it made before they
    /// have heard.
    fn on_emitted(
        &mut self,
        (attempt, subtask): (Attempt, SubtaskId),
        operator: &str,
        watermark: Timestamp,
    ) -> Result<(), String> {
        self.on_settled((attempt, subtask))?;
        let Some(state) = self.state(attempt, subtask) else { return Ok(()) };
        state.released.insert(operator.to_owned(), watermark);
        Ok(())
    }

    /// All that event time has come to in a subtask has arrived.
    fn on_settled(&mut self, (attempt, subtask): (Attempt, SubtaskId)) -> Result<(), String> {
        let Some(state) = self.state(attempt, subtask) else { return Ok(()) };
        let Some(slowest) = state.event_times().min() else { return Ok(()) };
        if !state.released.is_empty() {
            // Those between two of them may have heard more.
            state.fired_for = None;
        }
        self.on_reached((attempt, subtask), TimeDomain::Event, slowest)
    }

    /// The event time of a subtask's inputs has advanced, and those that follow have heard.
    fn on_advanced(
        &mut self,
        attempt: Attempt,
        subtask: SubtaskId,
        watermark: Timestamp,
    ) -> Result<(), String> {
        let Some(state) = self.state(attempt, subtask) else { return Ok(()) };
        state.heard = Some(watermark);
        self.on_settled((attempt, subtask))
    }

    /// Time has reached `now` in a domain: what was set up to it has fired.
    fn on_reached(
        &mut self,
        (attempt, subtask): (Attempt, SubtaskId),
        domain: TimeDomain,
        now: Timestamp,
    ) -> Result<(), String> {
        let name = self.names.of(subtask);
        let Some(state) = self.state(attempt, subtask) else { return Ok(()) };
        if domain == TimeDomain::Event && Some(now) < state.fired_for {
            let fired_for = state.fired_for.unwrap_or(now);
            return Err(format!(
                "timers in {name} in {attempt} fired for event time {fired_for}, and it is {now}"
            ));
        }
        let sets = state.set.iter().filter(|((_, of), _)| *of == domain);
        for ((operator, _), set) in sets {
            let is_due = |latest: &Timestamp| domain == TimeDomain::Processing || *latest < now;
            let reached = set.iter().take_while(|((time, _), _)| *time <= now);
            let due = reached.filter(|(_, latest)| is_due(latest)).map(|(timer, _)| *timer).next();
            if let Some((time, key)) = due {
                let operator = operator.clone();
                let timer = Timer { attempt, subtask, operator: &operator, domain, time, key };
                return Err(format!("{} has not fired by {now}", self.describe(timer)));
            }
        }
        Ok(())
    }
}

impl Check for Timers {
    fn name(&self) -> &'static str {
        "timers"
    }

    #[expect(clippy::wildcard_enum_match_arm, reason = "a law is about a few kinds of event")]
    fn on_event(&mut self, _: &str, event: &RuntimeEvent) -> Result<(), String> {
        match *event {
            RuntimeEvent::SplitsAssigned { subtask, .. } => {
                self.sources.insert(subtask);
                Ok(())
            }
            RuntimeEvent::SubtaskStarted {
                attempt,
                subtask,
                restored,
                watermark,
                ref sections,
            } => {
                self.begin(attempt, subtask, restored, (watermark, sections));
                Ok(())
            }
            RuntimeEvent::SnapshotTaken { attempt, subtask, checkpoint, .. } => {
                if let Some(state) = self.state(attempt, subtask).cloned() {
                    self.snapshots.insert((checkpoint, subtask), state);
                }
                Ok(())
            }
            RuntimeEvent::TimerRegistered { attempt, subtask, ref operator, domain, time, key } => {
                self.on_registered(Timer { attempt, subtask, operator, domain, time, key })
            }
            RuntimeEvent::TimerDeleted { attempt, subtask, ref operator, domain, time, key } => {
                self.on_deleted(Timer { attempt, subtask, operator, domain, time, key })
            }
            RuntimeEvent::TimerFired { attempt, subtask, ref operator, domain, time, key, now } => {
                self.on_fired(Timer { attempt, subtask, operator, domain, time, key }, now)
            }
            RuntimeEvent::WatermarkAdvanced { attempt, subtask, watermark } => {
                self.on_advanced(attempt, subtask, watermark)
            }
            RuntimeEvent::WatermarkReleased { attempt, subtask, ref operator, watermark } => {
                self.on_released((attempt, subtask), operator, watermark)
            }
            RuntimeEvent::WatermarkEmitted { attempt, subtask, ref operator, watermark } => {
                self.on_emitted((attempt, subtask), operator, watermark)
            }
            RuntimeEvent::SubtaskFinished { attempt, subtask } => {
                self.on_settled((attempt, subtask))
            }
            RuntimeEvent::ProcessingTimeReached { attempt, subtask, now } => {
                self.on_reached((attempt, subtask), TimeDomain::Processing, now)
            }
            _ => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use floodmark::VertexId;

    use super::*;

    const SUBTASK: SubtaskId = SubtaskId { vertex: VertexId(1), index: 0 };
    const EVENT: TimeDomain = TimeDomain::Event;
    const PROCESSING: TimeDomain = TimeDomain::Processing;

    /// What happens to one operator's timers. Attempts are numbered from 1.
    #[derive(Clone, Copy)]
    enum Do {
        Begin(u32, Option<u64>),
        Set(TimeDomain, i64, u64),
        Delete(TimeDomain, i64, u64),
        /// Fires: the time, the key, and what time it is.
        Fire(TimeDomain, i64, u64, i64),
        Watermark(i64),
        /// An operator with requests passes event time on.
        Released(i64),
        /// An operator makes event time of its own.
        Emitted(i64),
        /// Another one does.
        OtherEmitted(i64),
        /// The subtask reads from a source.
        Splits,
        Clock(i64),
        Snapshot(u64),
        Finish,
    }

    use Do::{
        Begin, Clock, Delete, Emitted, Finish, Fire, OtherEmitted, Released, Set, Snapshot, Splits,
        Watermark,
    };

    fn event(attempt: Attempt, what: Do) -> RuntimeEvent {
        let (subtask, operator) = (SUBTASK, "alarm".to_owned());
        match what {
            Begin(_, restored) => RuntimeEvent::SubtaskStarted {
                attempt,
                subtask,
                restored: restored.map(CheckpointId),
                watermark: Timestamp::MIN,
                sections: Vec::new(),
            },
            Set(domain, time, key) => {
                let time = Timestamp(time);
                RuntimeEvent::TimerRegistered { attempt, subtask, operator, domain, time, key }
            }
            Delete(domain, time, key) => {
                let time = Timestamp(time);
                RuntimeEvent::TimerDeleted { attempt, subtask, operator, domain, time, key }
            }
            Fire(domain, time, key, now) => RuntimeEvent::TimerFired {
                attempt,
                subtask,
                operator,
                domain,
                time: Timestamp(time),
                key,
                now: Timestamp(now),
            },
            Watermark(watermark) => RuntimeEvent::WatermarkAdvanced {
                attempt,
                subtask,
                watermark: Timestamp(watermark),
            },
            Released(watermark) => RuntimeEvent::WatermarkReleased {
                attempt,
                subtask,
                operator: "lookup".to_owned(),
                watermark: Timestamp(watermark),
            },
            Emitted(watermark) | OtherEmitted(watermark) => RuntimeEvent::WatermarkEmitted {
                attempt,
                subtask,
                operator: if matches!(what, Emitted(_)) { "clock" } else { "calendar" }.to_owned(),
                watermark: Timestamp(watermark),
            },
            Splits => RuntimeEvent::SplitsAssigned {
                attempt,
                subtask,
                restored: None,
                split_count: 1,
                ended_count: 0,
            },
            Finish => RuntimeEvent::SubtaskFinished { attempt, subtask },
            Clock(now) => {
                RuntimeEvent::ProcessingTimeReached { attempt, subtask, now: Timestamp(now) }
            }
            Snapshot(checkpoint) => RuntimeEvent::SnapshotTaken {
                attempt,
                subtask,
                checkpoint: CheckpointId(checkpoint),
                watermark: Timestamp::MIN,
                received: Vec::new(),
                sent: Vec::new(),
                sections: Vec::new(),
            },
        }
    }

    /// Returns what the check says to the last step; all others must be lawful.
    #[track_caller]
    fn verdict(script: &[Do]) -> Result<(), String> {
        let mut check =
            Timers::new(Names(std::sync::Arc::from(["source", "alarms"].map(String::from))));
        let mut attempt = Attempt::default();
        let mut verdict = Ok(());
        for what in script {
            assert_eq!(verdict, Ok(()), "only the last step may break the law");
            if let Begin(number, _) = what {
                attempt.number = *number;
            }
            verdict = check.on_event("worker-1", &event(attempt, *what));
        }
        verdict
    }

    #[track_caller]
    fn speaks(script: &[Do], words: &str) {
        let reason = verdict(script).expect_err("the law is broken");
        assert!(reason.contains(words), "{reason}");
        assert!(reason.contains("(alarms)"), "{reason}");
    }

    #[test]
    fn timers_that_fire_in_order_and_in_time_are_lawful() {
        let script = [
            Begin(1, None),
            Set(EVENT, 10, 1),
            Set(EVENT, 5, 2),
            Set(PROCESSING, 5, 2),
            Set(EVENT, 7, 1),
            Delete(EVENT, 7, 1),
            Fire(EVENT, 5, 2, 8),
            Watermark(8),
            Snapshot(1),
            Fire(PROCESSING, 5, 2, 6),
            Clock(6),
            // After the failure it is set again, because the snapshot had it.
            Begin(2, Some(1)),
            Fire(PROCESSING, 5, 2, 9),
            Fire(EVENT, 10, 1, 12),
            Watermark(12),
        ];
        assert_eq!(verdict(&script), Ok(()));
    }

    #[test]
    fn a_timer_fires_once() {
        let fire = Fire(PROCESSING, 5, 2, 6);
        speaks(&[Begin(1, None), Set(PROCESSING, 5, 2), fire, fire], "is not set");
        // What fired before the snapshot does not fire after the restore.
        let set = Set(PROCESSING, 5, 2);
        speaks(&[Begin(1, None), set, fire, Snapshot(1), Begin(2, Some(1)), fire], "is not set");
    }

    #[test]
    fn a_timer_fires_neither_early_nor_out_of_order() {
        speaks(&[Begin(1, None), Set(EVENT, 5, 2), Fire(EVENT, 5, 2, 4)], "fires early");
        let set = [Begin(1, None), Set(EVENT, 5, 2), Set(EVENT, 3, 9)];
        speaks(&[&set[..], &[Fire(EVENT, 5, 2, 8)]].concat(), "fires before one at 3");
        let ahead = [Fire(EVENT, 3, 9, 8), Fire(EVENT, 5, 2, 8), Watermark(7)];
        speaks(&[&set[..], &ahead].concat(), "fired for event time 8, and it is 7");
    }

    #[test]
    fn timers_behind_requests_wait_until_those_pass_event_time_on() {
        let begin = [Begin(1, None), Released(1), Set(EVENT, 5, 7), Watermark(9), Released(4)];
        assert_eq!(verdict(&begin), Ok(()));
        let fired = [begin.as_slice(), &[Fire(EVENT, 5, 7, 6), Released(6)]].concat();
        assert_eq!(verdict(&fired), Ok(()));
        speaks(&[begin.as_slice(), &[Released(6)]].concat(), "has not fired by 6");
    }

    #[test]
    fn timers_behind_what_makes_event_time_follow_that() {
        let begin = [Splits, Begin(1, None), Emitted(1), Set(EVENT, 5, 7), Emitted(6)];
        let fired = [begin.as_slice(), &[Fire(EVENT, 5, 7, 6), Emitted(8)]].concat();
        assert_eq!(verdict(&fired), Ok(()));
        speaks(&[begin.as_slice(), &[Emitted(8)]].concat(), "has not fired by 6");
        speaks(&[begin.as_slice(), &[Finish]].concat(), "has not fired by 6");
        // One that is set when it is due waits for the next step.
        let belated = [fired.as_slice(), &[Set(EVENT, 3, 7), Emitted(10)]].concat();
        assert_eq!(verdict(&belated), Ok(()));
        speaks(&[belated.as_slice(), &[Emitted(12)]].concat(), "has not fired by 10");
        // A restore changes nothing of that.
        let restored = [Set(EVENT, 3, 7), Snapshot(1), Begin(2, Some(1)), Emitted(10)];
        let restored = [fired.as_slice(), &restored].concat();
        assert_eq!(verdict(&restored), Ok(()));
        speaks(&[restored.as_slice(), &[Emitted(12)]].concat(), "has not fired by 10");
    }

    #[test]
    fn timers_may_stand_before_what_makes_event_time() {
        let ahead = [Begin(1, None), Emitted(1), Set(EVENT, 50, 7), Watermark(4), Emitted(99)];
        let ahead = [ahead.as_slice(), &[Emitted(119), Watermark(49)]].concat();
        assert_eq!(verdict(&ahead), Ok(()));
        speaks(&[ahead.as_slice(), &[Watermark(51)]].concat(), "has not fired by 51");
        // Between two makers, and late for the first of them.
        let between = [Splits, Begin(1, None), OtherEmitted(100), Emitted(40), Set(EVENT, 30, 7)];
        let between = [between.as_slice(), &[Emitted(44), Emitted(49), OtherEmitted(101)]].concat();
        assert_eq!(verdict(&between), Ok(()));
        let left = [between.as_slice(), &[Emitted(110), OtherEmitted(111)]].concat();
        speaks(&left, "has not fired by 101");
    }

    #[test]
    fn a_state_of_a_user_is_not_taken_for_event_time() {
        let section = |name: &str| SectionDigest { name: name.to_owned(), entry_count: 1, hash: 7 };
        let sections = ["x/progress", "x/#timers", "clock/progress", "clock/generators", "a/b"];
        let sections = sections.map(section);
        assert!(makers(&sections).eq(["clock"]));
    }

    #[test]
    fn a_timer_whose_time_has_come_is_not_left() {
        speaks(&[Begin(1, None), Set(EVENT, 5, 2), Watermark(5)], "has not fired by 5");
        let restored = [Begin(1, None), Set(PROCESSING, 5, 2), Snapshot(1), Begin(2, Some(1))];
        speaks(&[&restored[..], &[Clock(7)]].concat(), "has not fired by 7");
    }
}
