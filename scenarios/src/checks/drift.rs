//! Sources of a group wait for each other.
//!
//! A split is read until it promises more than the group allows, and what it returns at once may go
//! further; so the law leaves it as much again. What is allowed is measured from the true least promise
//! of the group, and not from what anybody was told: a limit that is out of date is one that is too
//! strict.

use std::{
    collections::{BTreeMap, BTreeSet},
    time::Duration,
};

use floodmark::{Attempt, RuntimeEvent, SubtaskId, Timestamp};

use super::{Check, Names};

/// Compares the promises of all splits of a group.
#[derive(Debug)]
pub struct Drift {
    names: Names,
    newest: Attempt,
    /// The group of each source, and how far it may run ahead.
    limits: BTreeMap<SubtaskId, (String, Duration)>,
    /// The last promise of each split that counts.
    promises: BTreeMap<(SubtaskId, u32), Timestamp>,
    /// Splits for which nobody waits.
    silent: BTreeSet<(SubtaskId, u32)>,
}

impl Drift {
    /// Creates the check.
    pub fn new(names: Names) -> Self {
        Self {
            names,
            newest: Attempt::default(),
            limits: BTreeMap::new(),
            promises: BTreeMap::new(),
            silent: BTreeSet::new(),
        }
    }

    fn begin(&mut self, attempt: Attempt) {
        self.newest = attempt;
        self.limits.clear();
        self.promises.clear();
        self.silent.clear();
    }

    fn on_promise(
        &mut self,
        subtask: SubtaskId,
        split: u32,
        watermark: Timestamp,
    ) -> Result<(), String> {
        self.promises.insert((subtask, split), watermark);
        let Some((group, max_drift)) = self.limits.get(&subtask) else { return Ok(()) };
        let in_group =
            |member: &SubtaskId| self.limits.get(member).is_some_and(|(other, _)| other == group);
        let counted = self.promises.iter().filter(|(key, _)| !self.silent.contains(key));
        let counted = counted.filter(|((member, _), _)| in_group(member));
        let Some(((slow, of), least)) = counted.min_by_key(|(_, promise)| **promise) else {
            return Ok(());
        };
        let allowed = *least + *max_drift + *max_drift;
        if watermark <= allowed {
            return Ok(());
        }
        Err(format!(
            "split {split} of {} runs ahead of its group {group:?}: it promises {watermark}, and \
             split {of} of {} promises {least}; {max_drift:?} is what the group allows",
            self.names.of(subtask),
            self.names.of(*slow),
        ))
    }
}

impl Check for Drift {
    fn name(&self) -> &'static str {
        "drift"
    }

    #[expect(clippy::wildcard_enum_match_arm, reason = "a law is about a few kinds of event")]
    fn on_event(&mut self, _: &str, event: &RuntimeEvent) -> Result<(), String> {
        match event {
            RuntimeEvent::AttemptStarted { attempt, .. } if self.newest < *attempt => {
                self.begin(*attempt);
            }
            RuntimeEvent::DriftLimited { attempt, subtask, group, max_drift }
                if *attempt == self.newest =>
            {
                self.limits.insert(*subtask, (group.clone(), *max_drift));
            }
            RuntimeEvent::SplitIdle { attempt, subtask, split, is_idle, .. }
                if *attempt == self.newest =>
            {
                let key = (*subtask, *split);
                if *is_idle {
                    self.silent.insert(key)
                } else {
                    self.silent.remove(&key)
                };
            }
            RuntimeEvent::SplitEnded { attempt, subtask, split } if *attempt == self.newest => {
                self.silent.insert((*subtask, *split));
            }
            RuntimeEvent::SplitWatermark { attempt, subtask, split, watermark, .. }
                if *attempt == self.newest =>
            {
                self.on_promise(*subtask, *split, *watermark)?;
            }
            _ => {}
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use floodmark::VertexId;

    use super::*;

    const ATTEMPT: Attempt = Attempt { term: floodmark::Term(1), number: 1 };

    fn source(vertex: u32) -> SubtaskId {
        SubtaskId { vertex: VertexId(vertex), index: 0 }
    }

    /// Returns a check that has heard of two sources of one group, and of one that is in none.
    fn check() -> Drift {
        let names = ["fast", "slow", "other"].map(str::to_owned);
        let mut check = Drift::new(Names(names.into()));
        let begun = RuntimeEvent::AttemptStarted { attempt: ATTEMPT, restored: None };
        assert_eq!(check.on_event("coordinator", &begun), Ok(()));
        for vertex in 0..2 {
            let (group, max_drift) = ("group".to_owned(), Duration::from_millis(10));
            let subtask = source(vertex);
            let event = RuntimeEvent::DriftLimited { attempt: ATTEMPT, subtask, group, max_drift };
            assert_eq!(check.on_event("worker-1", &event), Ok(()));
        }
        check
    }

    fn promise(check: &mut Drift, vertex: u32, watermark: i64) -> Result<(), String> {
        let event = RuntimeEvent::SplitWatermark {
            attempt: ATTEMPT,
            subtask: source(vertex),
            operator: "watermarks".to_owned(),
            split: 0,
            watermark: Timestamp(watermark),
        };
        check.on_event("worker-1", &event)
    }

    #[test]
    fn a_split_that_runs_away_is_named_with_the_slowest() {
        let mut check = check();
        assert_eq!(promise(&mut check, 1, 5), Ok(()));
        assert_eq!(promise(&mut check, 0, 25), Ok(()));
        assert_eq!(promise(&mut check, 2, 900), Ok(()));
        let reason = promise(&mut check, 0, 26).unwrap_err();
        assert_eq!(
            reason,
            "split 0 of subtask 0.0 (fast) runs ahead of its group \"group\": it promises 26, and \
             split 0 of subtask 1.0 (slow) promises 5; 10ms is what the group allows"
        );
    }

    #[test]
    fn nobody_waits_for_what_has_ended_or_is_of_another_attempt() {
        let mut check = check();
        assert_eq!(promise(&mut check, 1, 5), Ok(()));
        let ended = RuntimeEvent::SplitEnded { attempt: ATTEMPT, subtask: source(1), split: 0 };
        assert_eq!(check.on_event("worker-1", &ended), Ok(()));
        assert_eq!(promise(&mut check, 0, 500), Ok(()));
        let next = Attempt { number: 2, ..ATTEMPT };
        let begun = RuntimeEvent::AttemptStarted { attempt: next, restored: None };
        assert_eq!(check.on_event("coordinator", &begun), Ok(()));
        assert_eq!(promise(&mut check, 0, 900), Ok(()));
    }
}
