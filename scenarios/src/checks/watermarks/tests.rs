//! What is lawful, and what is not.

use floodmark::{Environment, VertexId};

use super::*;

const SOURCE: SubtaskId = SubtaskId { vertex: VertexId(0), index: 0 };
const SUMS: SubtaskId = SubtaskId { vertex: VertexId(1), index: 0 };
const CHANNEL: ChannelId = ChannelId { edge: EdgeId(0), from: 0, to: 0 };

/// A source of one subtask, an exchange, and sums of one subtask.
fn check() -> Watermarks {
    let env = Environment::new().parallelism(1).chain_exchanges(false);
    let numbers = env.from_vec("numbers", vec![1_u64]);
    let sums = numbers.key_by(|_| ()).reduce(|left, right| left + right).uid("sums");
    let _collected = sums.collect("collected");
    let job = env.build("sums").expect("the job is well-formed");
    Watermarks::new(job.graph(), Names::new(job.graph()))
}

fn started(subtask: SubtaskId) -> RuntimeEvent {
    RuntimeEvent::SubtaskStarted {
        attempt: Attempt::default(),
        subtask,
        restored: None,
        watermark: Timestamp::MIN,
        sections: Vec::new(),
    }
}

fn assigned(split_count: u32) -> RuntimeEvent {
    let (attempt, subtask) = (Attempt::default(), SOURCE);
    RuntimeEvent::SplitsAssigned { attempt, subtask, restored: None, split_count, ended_count: 0 }
}

fn split(split: u32, watermark: i64) -> RuntimeEvent {
    let (attempt, subtask, operator) = (Attempt::default(), SOURCE, "strategy".to_owned());
    let watermark = Timestamp(watermark);
    RuntimeEvent::SplitWatermark { attempt, subtask, operator, split, watermark }
}

fn emitted(watermark: i64) -> RuntimeEvent {
    let (attempt, subtask, operator) = (Attempt::default(), SOURCE, "strategy".to_owned());
    let watermark = Timestamp(watermark);
    RuntimeEvent::WatermarkEmitted { attempt, subtask, operator, watermark }
}

fn sent(watermark: i64) -> RuntimeEvent {
    let (attempt, subtask, edge) = (Attempt::default(), SOURCE, EdgeId(0));
    RuntimeEvent::WatermarkSent { attempt, subtask, edge, watermark: Timestamp(watermark) }
}

fn arrived(watermark: i64) -> RuntimeEvent {
    let watermark = Timestamp(watermark);
    RuntimeEvent::ChannelWatermark { attempt: Attempt::default(), channel: CHANNEL, watermark }
}

fn advanced(watermark: i64) -> RuntimeEvent {
    let (attempt, subtask) = (Attempt::default(), SUMS);
    RuntimeEvent::WatermarkAdvanced { attempt, subtask, watermark: Timestamp(watermark) }
}

fn idle(is_idle: bool) -> RuntimeEvent {
    RuntimeEvent::ChannelIdle { attempt: Attempt::default(), channel: CHANNEL, is_idle }
}

fn snapshot(subtask: SubtaskId) -> RuntimeEvent {
    RuntimeEvent::SnapshotTaken {
        attempt: Attempt::default(),
        subtask,
        checkpoint: CheckpointId(3),
        watermark: Timestamp::MIN,
        received: Vec::new(),
        sent: Vec::new(),
        sections: Vec::new(),
    }
}

/// Returns what the check says to the last event; all others must be lawful.
#[track_caller]
fn verdict(events: &[RuntimeEvent]) -> Result<(), String> {
    let mut check = check();
    let mut verdict = Ok(());
    for event in [assigned(2), started(SOURCE), started(SUMS)].iter().chain(events) {
        assert_eq!(verdict, Ok(()), "only the last event may break the law");
        verdict = check.on_event("worker-1", event);
    }
    verdict
}

#[track_caller]
fn speaks(events: &[RuntimeEvent], words: &str) {
    let reason = verdict(events).expect_err("the law is broken");
    assert!(reason.contains(words), "{reason}");
}

#[test]
fn promises_that_are_kept_are_lawful() {
    let script = [
        split(0, 9),
        split(1, 5),
        emitted(5),
        sent(5),
        snapshot(SOURCE),
        arrived(5),
        advanced(5),
        snapshot(SUMS),
    ];
    assert_eq!(verdict(&script), Ok(()));
}

#[test]
fn a_split_counts_before_its_first_record() {
    speaks(&[split(0, 9), emitted(9)], "one of its splits had promised -∞");
}

#[test]
fn a_subtask_is_never_ahead_of_its_inputs() {
    speaks(&[sent(5), arrived(5), advanced(6)], "had promised 5");
    speaks(&[sent(5), arrived(6)], "and 5 was sent");
    speaks(&[sent(5), arrived(5), idle(true), advanced(6)], "are idle or have ended");
}

#[test]
fn a_subtask_is_not_stuck_behind_its_inputs() {
    let stuck = "stuck at watermark -∞ in checkpoint 3";
    speaks(&[sent(5), arrived(5), snapshot(SUMS)], stuck);
    speaks(&[split(0, 9), split(1, 5), snapshot(SOURCE)], stuck);
}

#[test]
fn what_was_promised_before_the_barrier_arrives_before_it() {
    speaks(&[sent(5), snapshot(SOURCE), snapshot(SUMS)], "the receiver knows of -∞");
    let late = [sent(5), arrived(5), advanced(5), idle(true), snapshot(SOURCE), snapshot(SUMS)];
    speaks(&late, "knows of 5, and idle");
}

fn snapshot_with_requests(count: u64) -> RuntimeEvent {
    let mut snapshot = snapshot(SUMS);
    if let RuntimeEvent::SnapshotTaken { sections, .. } = &mut snapshot {
        sections.extend(requests(count));
    }
    snapshot
}

fn requests(entry_count: u64) -> Vec<SectionDigest> {
    let name = "lookup/requests-under-way".to_owned();
    vec![SectionDigest { name, entry_count, hash: 0 }]
}

fn released(watermark: i64) -> RuntimeEvent {
    let (attempt, subtask, operator) = (Attempt::default(), SUMS, "lookup".to_owned());
    let watermark = Timestamp(watermark);
    RuntimeEvent::WatermarkReleased { attempt, subtask, operator, watermark }
}

#[test]
fn who_follows_requests_begins_where_those_had_come() {
    let script = [sent(5), arrived(5), released(2), released(3), advanced(5)];
    speaks(&[script.as_slice(), &[released(3)]].concat(), "passed on watermark 3 after 3");
    let again = |at: i64| {
        let attempt = Attempt { number: 1, ..Attempt::default() };
        let (operator, restored) = ("sums".to_owned(), Some(CheckpointId(3)));
        let (subtask, watermark) = (SUMS, Timestamp(at));
        let started = RuntimeEvent::SubtaskStarted {
            attempt,
            subtask,
            restored,
            watermark: Timestamp(5),
            sections: requests(1),
        };
        let opened = RuntimeEvent::EventTimeRestored { attempt, subtask, operator, watermark };
        [script.as_slice(), &[snapshot_with_requests(1), opened, started]].concat()
    };
    assert_eq!(verdict(&again(3)), Ok(()));
    speaks(&again(4), "had reached watermark 5 in checkpoint 3, and begins attempt");
}

#[test]
fn results_of_a_split_may_come_behind_its_end() {
    let with_requests = |sections| RuntimeEvent::SubtaskStarted {
        attempt: Attempt::default(),
        subtask: SOURCE,
        restored: None,
        watermark: Timestamp::MIN,
        sections,
    };
    let ended = RuntimeEvent::SplitEnded { attempt: Attempt::default(), subtask: SOURCE, split: 0 };
    let behind = [assigned(1), with_requests(requests(3)), split(0, 5), emitted(5), ended];
    let behind = [&behind[..], &[split(0, 9), emitted(9)]].concat();
    assert_eq!(verdict(&behind), Ok(()));
    speaks(&[&behind[..], &[emitted(12)]].concat(), "had promised 9");
    let mut without = behind;
    without[1] = with_requests(Vec::new());
    speaks(&without, "none of its splits is active");
}

#[test]
fn who_follows_an_operator_with_promises_begins_where_that_had_come() {
    let attempt = Attempt { number: 1, ..Attempt::default() };
    let again = |at: i64| {
        let (operator, restored) = ("sums".to_owned(), Some(CheckpointId(3)));
        let (subtask, watermark) = (SOURCE, Timestamp(at));
        let mut script = vec![split(0, 9), split(1, 5), emitted(5), sent(5), snapshot(SOURCE)];
        script.push(RuntimeEvent::SplitsAssigned {
            attempt,
            subtask,
            restored,
            split_count: 2,
            ended_count: 0,
        });
        script.push(RuntimeEvent::EventTimeRestored { attempt, subtask, operator, watermark });
        script.push(RuntimeEvent::SubtaskStarted {
            attempt,
            subtask,
            restored,
            watermark: Timestamp::MIN,
            sections: Vec::new(),
        });
        script
    };
    assert_eq!(verdict(&again(5)), Ok(()));
    speaks(&again(4), "had reached watermark 5 in checkpoint 3, and begins attempt");
}
