//! Names of the objects of a job.
//!
//! ```text
//! <storage>/<job>/log/<slot>                                        reigns and manifests
//! <storage>/<job>/data/<term>-<attempt>-<checkpoint>/<vertex>-<index>   snapshots
//! <storage>/<job>/data/<term>-<attempt>-<checkpoint>/<vertex>-<index>-shared
//!                                                     what all subtasks of the vertex restore
//! ```
//!
//! and of the files on a worker's own disk:
//!
//! ```text
//! copies/<storage>/<job>/data/<term>-<attempt>-<checkpoint>-<vertex>-<index>
//! ```
//!
//! Numbers are padded, so that the order of keys is the order of numbers. Data names contain term,
//! attempt and checkpoint, so that no two executions ever write the same file.
//!
//! # Examples
//!
//! ```
//! # use floodmark_wire::name as object_name;
//! let log = object_name::log("checkpoints", "word-count");
//! assert_eq!(log, "checkpoints/word-count/log");
//! let slot = object_name::log_slot("checkpoints", "word-count", 7);
//! assert_eq!(object_name::parse_log_slot(&slot), Some(7));
//! ```

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
    parse_execution(key.rsplit('/').nth(1)?)
}

/// Returns the attempt and checkpoint with which `text` begins.
fn parse_execution(text: &str) -> Option<(Attempt, CheckpointId)> {
    let mut numbers = text.split('-');
    let term = floodmark_model::Term(numbers.next()?.parse().ok()?);
    let number = numbers.next()?.parse().ok()?;
    let checkpoint = CheckpointId(numbers.next()?.parse().ok()?);
    Some((Attempt { term, number }, checkpoint))
}

/// Returns the key of the snapshot of one subtask.
pub fn snapshot(checkpoint_prefix: &str, subtask: SubtaskId) -> String {
    format!("{checkpoint_prefix}/{:03}-{:05}", subtask.vertex.0, subtask.index)
}

/// Returns the key of what all subtasks of the vertex restore of the snapshot of one.
pub fn shared_snapshot(checkpoint_prefix: &str, subtask: SubtaskId) -> String {
    format!("{}-shared", snapshot(checkpoint_prefix, subtask))
}

/// Returns the index of the subtask that has stored `key`, if all subtasks of its vertex restore it.
pub fn parse_shared_snapshot(key: &str) -> Option<u16> {
    let (_, index) = key.strip_suffix("-shared")?.rsplit_once('-')?;
    index.parse().ok()
}

/// Returns the directory of the copies of a job's snapshots on a worker's own disk.
pub fn local_copies(storage: &str, job: &str) -> String {
    format!("copies/{}", data(storage, job).trim_start_matches('/'))
}

/// Returns the name of the copy of the snapshot `key` on a worker's own disk. All copies of a job
/// lie in one directory, so that none is left behind when a checkpoint's copies are gone.
pub fn local_copy(key: &str) -> String {
    let key = key.trim_start_matches('/');
    let (directory, file) = key.rsplit_once('/').unwrap_or(("", key));
    format!("copies/{directory}-{file}")
}

/// Returns the attempt and checkpoint whose copy `name` is, or is to become.
pub fn parse_local_copy(name: &str) -> Option<(Attempt, CheckpointId)> {
    parse_execution(name.rsplit('/').next()?)
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
        assert_eq!(parse_shared_snapshot(&key), None);
        let shared = shared_snapshot(&prefix, SubtaskId { vertex: VertexId(1), index: 4 });
        assert_eq!(shared, format!("{key}-shared"));
        assert_eq!(parse_snapshot(&shared), Some((attempt, CheckpointId(17))));
        assert_eq!(parse_shared_snapshot(&shared), Some(4));
        let copy = local_copy(&key);
        assert_eq!(
            copy,
            "copies/checkpoints/flights/data/000002-000003-00000000000000000017-001-00004"
        );
        assert!(copy.starts_with(&local_copies("checkpoints", "flights")));
        assert_eq!(parse_local_copy(&format!("{copy}.part")), Some((attempt, CheckpointId(17))));
        assert_eq!(parse_log_slot(&log_slot("a", "b", 12)), Some(12));
    }
}
