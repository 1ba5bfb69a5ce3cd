//! What goes wrong surfaces: work that was begun is either done or given up aloud.
//!
//! A subtask stores its snapshots one after the other. So when it stores or declines the snapshot
//! of a checkpoint, every earlier one it took in that attempt was stored or declined before. A
//! transaction is prepared when everything that was written for it is in the store. And a subtask whose
//! input has ended finishes with no request under way: its last snapshot is never restored, so nobody
//! would ask again.

use std::collections::{BTreeMap, BTreeSet};

use bytes::Bytes;
use floodmark::{Attempt, CheckpointId, RuntimeEvent, SectionDigest, SubtaskId, Timestamp};
use floodmark_sim::{Incident, Operation};

use super::{Check, Names, requests_under_way};

/// Where file sinks keep what is prepared: `…/_staged/<sink>-<subtask>/<attempt>-<number>`.
const STAGED: &str = "/_staged/";

/// Follows every snapshot from the barrier to its storing, every staged file that a fault struck, and
/// requests into the last snapshot.
#[derive(Debug)]
pub struct Errors {
    names: Names,
    /// Snapshots that were taken and neither stored nor declined.
    open: BTreeMap<(Attempt, SubtaskId), BTreeSet<CheckpointId>>,
    /// Sources that have no more input.
    exhausted: BTreeSet<(Attempt, SubtaskId)>,
    /// The latest snapshot of each subtask, if it holds requests and the input had ended before it.
    unanswered: BTreeMap<(Attempt, SubtaskId), Unanswered>,
    /// The attempt that was started last.
    newest: Option<Attempt>,
    /// Staged files whose writing was struck at least once, and those that were written all the same.
    struck: BTreeSet<String>,
    written: BTreeSet<String>,
}

/// Requests of an operator that a snapshot holds.
#[derive(Debug)]
struct Unanswered {
    checkpoint: CheckpointId,
    operator: String,
    count: u64,
}

impl Errors {
    /// Creates the check.
    pub fn new(names: Names) -> Self {
        Self {
            names,
            open: BTreeMap::new(),
            exhausted: BTreeSet::new(),
            unanswered: BTreeMap::new(),
            newest: None,
            struck: BTreeSet::new(),
            written: BTreeSet::new(),
        }
    }

    fn on_prepared(
        &self,
        attempt: Attempt,
        subtask: SubtaskId,
        sink: &str,
        checkpoint: CheckpointId,
    ) -> Result<(), String> {
        let Attempt { term, number } = attempt;
        let prefix = format!("{STAGED}{sink}-{:05}/{:06}-{number:06}-", subtask.index, term.0);
        let mut lost = self.struck.difference(&self.written);
        match lost.find(|key| key.contains(&prefix)) {
            None => Ok(()),
            Some(key) => Err(format!(
                "sink {sink} in {} says that its transaction of {checkpoint} is prepared, and \
                 {key:?} could not be written",
                self.names.of(subtask),
            )),
        }
    }

    fn on_taken(
        &mut self,
        subtask: (Attempt, SubtaskId),
        checkpoint: CheckpointId,
        watermark: Timestamp,
        sections: &[SectionDigest],
    ) {
        self.open.entry(subtask).or_default().insert(checkpoint);
        // Where a job is only stopped, event time goes on when it is started again, and so do requests.
        let has_ended = watermark == Timestamp::MAX || self.exhausted.contains(&subtask);
        let mut requests = requests_under_way(sections).filter(|(_, count)| 0 < *count);
        match requests.next().filter(|_| has_ended) {
            None => {
                self.unanswered.remove(&subtask);
            }
            Some((operator, count)) => {
                let operator = operator.to_owned();
                self.unanswered.insert(subtask, Unanswered { checkpoint, operator, count });
            }
        }
    }

    fn on_finished(&self, attempt: Attempt, subtask: SubtaskId) -> Result<(), String> {
        let lost = self.unanswered.get(&(attempt, subtask));
        let Some(Unanswered { checkpoint, operator, count }) = lost else { return Ok(()) };
        let records = if *count == 1 { "1 record".to_owned() } else { format!("{count} records") };
        Err(format!(
            "{} has finished in {attempt} without the answers that {operator} waited for — of {records} \
             in its last snapshot, that of {checkpoint}",
            self.names.of(subtask),
        ))
    }

    fn on_done(
        &mut self,
        attempt: Attempt,
        subtask: SubtaskId,
        checkpoint: CheckpointId,
    ) -> Result<(), String> {
        let Some(open) = self.open.get_mut(&(attempt, subtask)) else { return Ok(()) };
        open.remove(&checkpoint);
        match open.first() {
            Some(earlier) if *earlier < checkpoint => Err(format!(
                "{} took its snapshot of {earlier} in {attempt} and neither stored nor declined it, \
                 and goes on with {checkpoint}",
                self.names.of(subtask),
            )),
            _ => Ok(()),
        }
    }
}

impl Check for Errors {
    fn name(&self) -> &'static str {
        "errors"
    }

    fn on_incident(&mut self, incident: &Incident) {
        if let Incident::OperationStruck { operation: Operation::Put, key, .. } = incident
            && key.contains(STAGED)
        {
            self.struck.insert(key.clone());
        }
    }

    fn on_object(&mut self, key: &str, content: Option<&Bytes>) -> Result<(), String> {
        if content.is_some() && key.contains(STAGED) {
            self.written.insert(key.to_owned());
        }
        Ok(())
    }

    #[expect(clippy::wildcard_enum_match_arm, reason = "a law is about a few kinds of event")]
    fn on_event(&mut self, _: &str, event: &RuntimeEvent) -> Result<(), String> {
        match event {
            RuntimeEvent::AttemptStarted { attempt, .. } => {
                // What belongs to older attempts is cut off in the middle.
                self.open.retain(|(one, _), _| *attempt <= *one);
                self.exhausted.retain(|(one, _)| *attempt <= *one);
                self.unanswered.retain(|(one, _), _| *attempt <= *one);
                self.newest = self.newest.max(Some(*attempt));
                Ok(())
            }
            RuntimeEvent::SourceExhausted { attempt, subtask } => {
                if self.newest <= Some(*attempt) {
                    self.exhausted.insert((*attempt, *subtask));
                }
                Ok(())
            }
            RuntimeEvent::SnapshotTaken {
                attempt,
                subtask,
                checkpoint,
                watermark,
                sections,
                ..
            } => {
                if self.newest <= Some(*attempt) {
                    self.on_taken((*attempt, *subtask), *checkpoint, *watermark, sections);
                }
                Ok(())
            }
            RuntimeEvent::SubtaskFinished { attempt, subtask } => {
                self.on_finished(*attempt, *subtask)
            }
            RuntimeEvent::TransactionPrepared { attempt, subtask, operator, checkpoint } => {
                self.on_prepared(*attempt, *subtask, operator, *checkpoint)
            }
            RuntimeEvent::SnapshotStored { attempt, subtask, checkpoint, .. }
            | RuntimeEvent::SnapshotDeclined { attempt, subtask, checkpoint, .. } => {
                self.on_done(*attempt, *subtask, *checkpoint)
            }
            _ => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use floodmark::VertexId;

    use super::*;

    const ATTEMPT: Attempt = Attempt { term: floodmark::Term(1), number: 1 };
    const SUBTASK: SubtaskId = SubtaskId { vertex: VertexId(1), index: 0 };
    const END: Timestamp = Timestamp::MAX;

    /// What happens to a subtask with requests.
    #[derive(Clone, Copy)]
    enum Do {
        /// It takes its snapshot of a checkpoint, at an event time, with so many requests under way.
        Snapshot(u64, Timestamp, u64),
        Exhausted,
        Finish,
        /// Its attempt is over, and another one begins.
        Restart,
    }

    use Do::{Exhausted, Finish, Restart, Snapshot};

    fn event(attempt: &mut Attempt, what: Do) -> RuntimeEvent {
        let subtask = SUBTASK;
        match what {
            Snapshot(checkpoint, watermark, entry_count) => RuntimeEvent::SnapshotTaken {
                attempt: *attempt,
                subtask,
                checkpoint: CheckpointId(checkpoint),
                watermark,
                received: Vec::new(),
                sent: Vec::new(),
                sections: vec![SectionDigest {
                    name: "asked/requests-under-way".to_owned(),
                    entry_count,
                    hash: 0,
                }],
            },
            Exhausted => RuntimeEvent::SourceExhausted { attempt: *attempt, subtask },
            Finish => RuntimeEvent::SubtaskFinished { attempt: *attempt, subtask },
            Restart => {
                attempt.number += 1;
                RuntimeEvent::AttemptStarted { attempt: *attempt, restored: None }
            }
        }
    }

    /// Returns what the check says to the last step; all others must be lawful.
    #[track_caller]
    fn verdict(script: &[Do]) -> Result<(), String> {
        let names = Names(std::sync::Arc::from(["numbers", "asked"].map(String::from)));
        let (mut check, mut attempt) = (Errors::new(names), ATTEMPT);
        let mut verdict = Ok(());
        for what in script {
            assert_eq!(verdict, Ok(()), "only the last step may break the law");
            verdict = check.on_event("worker-1", &event(&mut attempt, *what));
        }
        verdict
    }

    #[test]
    fn a_request_in_the_last_snapshot_is_lost() {
        let reason = verdict(&[Snapshot(3, END, 0), Snapshot(4, END, 2), Finish]).unwrap_err();
        assert_eq!(
            reason,
            "subtask 1.0 (asked) has finished in attempt 1.1 without the answers that asked waited \
             for — of 2 records in its last snapshot, that of checkpoint 4"
        );
        let reason = verdict(&[Exhausted, Snapshot(4, Timestamp::MIN, 1), Finish]).unwrap_err();
        assert!(reason.contains("of 1 record in"), "{reason}");
    }

    #[test]
    fn a_request_that_is_answered_or_asked_for_again_is_not() {
        assert_eq!(verdict(&[Snapshot(3, END, 2), Snapshot(4, END, 0), Finish]), Ok(()));
        // A stopped job goes on when it is started again.
        assert_eq!(verdict(&[Snapshot(3, Timestamp(5), 2), Finish]), Ok(()));
        assert_eq!(verdict(&[Snapshot(3, END, 2), Restart, Snapshot(4, END, 0), Finish]), Ok(()));
    }
}
