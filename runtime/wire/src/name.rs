//! Names of the objects of a job.
//!
//! ```text
//! <storage>/<job>/log/<slot>                                        reigns and manifests
//! <storage>/<job>/data/<term>-<attempt>-<checkpoint>/<vertex>-<index>   snapshots
//! ```
//!
//! Numbers are padded, so that the order of keys is the order of numbers. Data names contain term,
//! attempt and checkpoint, so that no two executions ever write the same file.

use floodmark_model::{Attempt, CheckpointId, SubtaskId};

/// Returns the prefix of the log.
pub fn log(storage: &str, job: &str) -> String {
    format!("{storage}/{job}/log")
}

/// Returns the key of a slot of the log.
pub fn log_slot(storage: &str, job: &str, slot: u64) -> String {
    format!("{storage}/{job}/log/{slot:012}")
}

/// Returns the slot that `key` names, if it names one.
pub fn parse_log_slot(key: &str) -> Option<u64> {
    key.rsplit('/').next()?.parse().ok()
}

/// Returns the prefix of all snapshots.
pub fn data(storage: &str, job: &str) -> String {
    format!("{storage}/{job}/data")
}

/// Returns the prefix of the snapshots of one checkpoint of one attempt.
pub fn checkpoint(storage: &str, job: &str, attempt: Attempt, checkpoint: CheckpointId) -> String {
    let Attempt { term, number } = attempt;
    format!("{storage}/{job}/data/{:06}-{number:06}-{:020}", term.0, checkpoint.0)
}

/// Returns the attempt and checkpoint whose snapshot `key` is, if it is one.
pub fn parse_snapshot(key: &str) -> Option<(Attempt, CheckpointId)> {
    let mut numbers = key.rsplit('/').nth(1)?.split('-');
    let term = floodmark_model::Term(numbers.next()?.parse().ok()?);
    let number = numbers.next()?.parse().ok()?;
    let checkpoint = CheckpointId(numbers.next()?.parse().ok()?);
    Some((Attempt { term, number }, checkpoint))
}

/// Returns the key of the snapshot of one subtask.
pub fn snapshot(checkpoint_prefix: &str, subtask: SubtaskId) -> String {
    format!("{checkpoint_prefix}/{:03}-{:05}", subtask.vertex.0, subtask.index)
}

#[cfg(test)]
mod tests {
    use floodmark_model::{Term, VertexId};

    use super::*;

    #[test]
    fn names_say_what_they_name() {
        let attempt = Attempt { term: Term(2), number: 3 };
        let prefix = checkpoint("checkpoints", "flights", attempt, CheckpointId(17));
        let key = snapshot(&prefix, SubtaskId { vertex: VertexId(1), index: 4 });
        assert_eq!(key, "checkpoints/flights/data/000002-000003-00000000000000000017/001-00004");
        assert_eq!(parse_snapshot(&key), Some((attempt, CheckpointId(17))));
        assert_eq!(parse_log_slot(&log_slot("a", "b", 12)), Some(12));
    }
}
