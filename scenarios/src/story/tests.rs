//! Stories of constructed runs, word for word.

use std::{sync::Arc, time::Duration};

use expect_test::{Expect, expect};
use floodmark::{
    Attempt, ChannelId, CheckpointConfig, CheckpointId, EdgeId, Environment, FileSink, Generator,
    RuntimeEvent, SnapshotOrigin, SubtaskId, Term, Timestamp, VertexId, WorkerId,
};
use floodmark_sim::{
    Chronicle, DiskFate, Fault, FrameFate, FrameId, Happening, LinkSelector, What,
};

use super::*;

const ATTEMPT: Attempt = Attempt { term: Term(1), number: 1 };

fn millis(count: u64) -> Duration {
    Duration::from_millis(count)
}

/// The second vertex, which is the sink.
fn sink(index: u16) -> SubtaskId {
    SubtaskId { vertex: VertexId(1), index }
}

fn said(at: u64, node: &str, event: RuntimeEvent) -> Happening {
    Happening { at: millis(at), node: Some(node.into()), what: What::Observed(Arc::new(event)) }
}

fn happened(at: u64, node: Option<&str>, what: What) -> Happening {
    Happening { at: millis(at), node: node.map(Into::into), what }
}

/// An account of a job with one source and a sink in two parts.
fn account(happenings: Vec<Happening>) -> Account {
    let environment =
        Environment::new().chain_exchanges(false).checkpoints(CheckpointConfig::every(millis(300)));
    environment
        .source("numbers", Generator::new(10, |index| index))
        .key_by(|number| *number)
        .reduce(|sum, number| sum + number)
        .uid("sum")
        .sink("sums", FileSink::new("output", |sum: &u64| sum.to_string()));
    let mut job = environment.build("sums").expect("the job is well-formed").graph().clone();
    job.vertices[1].parallelism = 2;
    let virtual_time = happenings.last().map_or(Duration::ZERO, |last| last.at);
    Account {
        job,
        worker_count: 2,
        has_standby: false,
        virtual_time,
        chronicle: Chronicle(happenings),
    }
}

fn started(at: u64, attempt: Attempt, restored: Option<u64>) -> Vec<Happening> {
    let restored = restored.map(CheckpointId);
    let started = (0..2).map(|index| {
        let node = format!("worker-{}", index + 1);
        let watermark = Timestamp::MIN;
        let event = RuntimeEvent::SubtaskStarted {
            attempt,
            subtask: sink(index),
            restored,
            watermark,
            sections: Vec::new(),
        };
        said(at + 5, &node, event)
    });
    let mut happenings =
        vec![said(at, "coordinator", RuntimeEvent::AttemptStarted { attempt, restored })];
    happenings.extend(started);
    happenings.push(said(at + 8, "coordinator", RuntimeEvent::AttemptRunning { attempt }));
    happenings
}

fn completed(at: u64, checkpoint: u64) -> Happening {
    let (term, checkpoint) = (Term(1), CheckpointId(checkpoint));
    said(
        at,
        "coordinator",
        RuntimeEvent::ManifestStored { term, attempt: ATTEMPT, checkpoint, files: Vec::new() },
    )
}

/// The only subtask of the first vertex.
const SOURCE: SubtaskId = SubtaskId { vertex: VertexId(0), index: 0 };

fn began(at: u64, attempt: Attempt, checkpoint: u64) -> Happening {
    let checkpoint = CheckpointId(checkpoint);
    let event = RuntimeEvent::CheckpointTriggered { attempt, checkpoint, is_final: false };
    said(at, "coordinator", event)
}

fn emitted(at: u64, node: &str, attempt: Attempt, checkpoint: u64) -> Happening {
    let checkpoint = CheckpointId(checkpoint);
    said(at, node, RuntimeEvent::BarrierEmitted { attempt, subtask: SOURCE, checkpoint })
}

fn taken(at: u64, node: &str, subtask: SubtaskId, checkpoint: u64) -> Happening {
    let event = RuntimeEvent::SnapshotTaken {
        attempt: ATTEMPT,
        subtask,
        checkpoint: CheckpointId(checkpoint),
        watermark: Timestamp::MIN,
        received: Vec::new(),
        sent: Vec::new(),
        sections: Vec::new(),
    };
    said(at, node, event)
}

fn failed(at: u64, attempt: Attempt, reason: &str) -> Happening {
    let reason = reason.to_owned();
    said(at, "coordinator", RuntimeEvent::AttemptFailed { attempt, reason })
}

/// A source that began an attempt on a node.
fn source_began(at: u64, node: &str, attempt: Attempt) -> Happening {
    let event = RuntimeEvent::SubtaskStarted {
        attempt,
        subtask: SOURCE,
        restored: None,
        watermark: Timestamp::MIN,
        sections: Vec::new(),
    };
    said(at, node, event)
}

fn failure(at: u64, check: &str, reason: &str) -> Failure {
    Failure {
        check: check.to_owned(),
        reason: reason.to_owned(),
        at: millis(at),
        is_comparison: false,
        story: None,
        log: Vec::new(),
    }
}

#[expect(clippy::needless_pass_by_value, reason = "an expectation is used once")]
fn check(happenings: Vec<Happening>, failure: Option<&Failure>, expected: Expect) {
    expected.assert_eq(&Story::new(&account(happenings), failure).to_string());
}

#[test]
fn a_calm_run_is_told_in_three_sentences() {
    let mut happenings = started(10, ATTEMPT, None);
    happenings.extend((1..10).map(|number| completed(300 * number, number)));
    check(
        happenings,
        None,
        expect![[r#"
                   A coordinator and 2 workers run the job "sums": numbers ×1, sums ×2
          0.010 s  attempt 1.1 starts from the beginning; all 2 subtasks run after 8 ms
          0.300 s  checkpoints 1 to 9 complete, about every 300 ms
          2.700 s  the job has ended, and every promise was kept"#]],
    );
}

#[test]
fn a_lost_notification_is_told_with_what_it_left_undone() {
    let (subtask, operator) = (sink(1), "sums".to_owned());
    let mut happenings = started(10, ATTEMPT, None);
    happenings.push(completed(300, 1));
    let link = LinkSelector { kind: Some("notification".to_owned()), ..LinkSelector::default() };
    let fault = Fault::Lose { link, per_mille: 300, limit: 3, lasts: millis(200) };
    happenings.push(happened(560, None, What::FaultBegan { number: 1, fault }));
    for (at, number) in [(600, 2), (900, 3)] {
        let (attempt, checkpoint) = (ATTEMPT, CheckpointId(number));
        happenings.push(said(
            at,
            "coordinator",
            RuntimeEvent::CheckpointTriggered { attempt, checkpoint, is_final: false },
        ));
        let operator = operator.clone();
        happenings.push(said(
            at + 2,
            "worker-2",
            RuntimeEvent::TransactionPrepared { attempt, subtask, operator, checkpoint },
        ));
        happenings.push(completed(at + 5, number));
        if number == 2 {
            let frame = FrameId { link: 1, number: 7 };
            let (kind, to, fate) = ("notification", "worker-2".into(), FrameFate::Lose);
            let what = What::Sent { frame, kind, to, fate };
            happenings.push(happened(at + 6, Some("coordinator"), what));
            happenings.push(happened(760, None, What::FaultEnded { number: 1 }));
        }
    }
    let heard =
        RuntimeEvent::CheckpointNotified { attempt: ATTEMPT, subtask, checkpoint: CheckpointId(3) };
    happenings.push(said(907, "worker-2", heard));
    let reason = "sink sums in subtask 1.1 (reduce → sums) was told that checkpoint 3 is complete, \
                  and has not committed its transaction of checkpoint 2";
    check(
        happenings,
        Some(&failure(910, "two_phase", reason)),
        expect![[r#"
                     A coordinator and 2 workers run the job "sums": numbers ×1, sums ×2
            0.010 s  attempt 1.1 starts from the beginning; all 2 subtasks run after 8 ms, sums/1 (subtask 1.1) on worker-2
            0.300 s  checkpoint 1 completes
            0.560 s  fault: 30 % of the notifications get lost for 200 ms; 1 time: from coordinator to worker-2 at 0.606 s
            0.600 s  checkpoint 2: it begins; at 0.602 s sums/1 prepares its transaction in sink sums; at 0.605 s it completes; sums/1 never hears so
            0.900 s  checkpoint 3: it begins; at 0.902 s sums/1 prepares its transaction in sink sums; at 0.905 s it completes; at 0.907 s sums/1 hears that it is complete, and commits nothing: its transactions of checkpoint 2 and checkpoint 3 are still prepared
            0.910 s  FAILED, what a checkpoint covers must be committed, and nothing else (two_phase): sink sums in sums/1 was told that checkpoint 3 is complete, and has not committed its transaction of checkpoint 2"#]],
    );
}

#[test]
fn attempts_are_told_with_their_end_and_the_checkpoint_they_restore() {
    let mut happenings = started(10, ATTEMPT, None);
    happenings.extend((1..4).map(|number| completed(300 * number, number)));
    let fault = Fault::Crash {
        node: "worker-1".to_owned(),
        down_for: Some(millis(500)),
        disk: DiskFate::Lost,
    };
    happenings.push(happened(1_000, None, What::FaultBegan { number: 1, fault }));
    happenings.push(happened(1_000, Some("worker-1"), What::Crashed));
    let reason = "reduce → sums [0]: worker-1 is lost".to_owned();
    let failed = RuntimeEvent::AttemptFailed { attempt: ATTEMPT, reason };
    happenings.push(said(2_000, "coordinator", failed));
    happenings.extend(started(2_100, Attempt { number: 2, ..ATTEMPT }, Some(3)));
    check(
        happenings,
        None,
        expect![[r#"
                   A coordinator and 2 workers run the job "sums": numbers ×1, sums ×2
          0.010 s  attempt 1.1 starts from the beginning; all 2 subtasks run after 8 ms
          0.300 s  checkpoints 1 to 3 complete, about every 300 ms
          1.000 s  fault: worker-1 dies, for 500 ms, with an empty disk
          2.000 s  attempt 1.1 fails: sums/0 (subtask 1.0): worker-1 is lost
          2.100 s  attempt 1.2 starts from checkpoint 3; all 2 subtasks run after 8 ms
          2.108 s  the job has ended, and every promise was kept"#]],
    );
}

#[test]
fn what_is_given_up_again_and_again_is_told_once() {
    let mut happenings = started(10, ATTEMPT, None);
    for number in 1..6 {
        let event = RuntimeEvent::CheckpointAborted {
            attempt: ATTEMPT,
            checkpoint: CheckpointId(number),
            reason: "no snapshot of subtask 0.0 within 1.5s".to_owned(),
        };
        happenings.push(said(1_800 * number, "coordinator", event));
    }
    check(
        happenings,
        Some(&failure(9_100, "liveness", "the job has not ended")),
        expect![[r#"
                   A coordinator and 2 workers run the job "sums": numbers ×1, sums ×2
          0.010 s  attempt 1.1 starts from the beginning; all 2 subtasks run after 8 ms
          1.800 s  checkpoints 1 to 5 are given up: no snapshot of numbers/0 (subtask 0.0) within 1.5s
          9.100 s  FAILED, when everything has healed, the job must end (liveness): the job has not ended"#]],
    );
}

#[test]
fn a_long_run_is_told_shortly() {
    let mut happenings = Vec::new();
    for number in 1..40 {
        let attempt = Attempt { number, ..ATTEMPT };
        happenings.extend(started(100 * u64::from(number), attempt, None));
        let reason = format!("number {number} breaks");
        let failed = RuntimeEvent::AttemptFailed { attempt, reason };
        happenings.push(said(100 * u64::from(number) + 50, "coordinator", failed));
    }
    let story = Story::new(&account(happenings), None);
    assert_eq!(story.0.len(), LINE_COUNT_MAX);
    let text = story.to_string();
    assert!(text.contains("(left out: 66 lesser events)"), "{text}");
    assert!(text.contains("number 39 breaks"), "the end explains most: {text}");
}

#[test]
fn two_attempts_of_a_subtask_are_never_under_one_name() {
    let second = Attempt { number: 2, ..ATTEMPT };
    let pause = Fault::Pause { node: "worker-3".to_owned(), lasts: millis(1_600) };
    let mut happenings = vec![source_began(5, "worker-3", ATTEMPT)];
    happenings.extend(started(10, ATTEMPT, None));
    happenings.push(happened(400, None, What::FaultBegan { number: 1, fault: pause }));
    happenings.push(happened(400, Some("worker-3"), What::Paused));
    happenings.push(failed(1_400, ATTEMPT, "numbers [0]: worker-3 is lost"));
    happenings.push(source_began(1_499, "worker-1", second));
    happenings.extend(started(1_500, second, None));
    happenings.push(happened(2_000, Some("worker-3"), What::Resumed));
    let frame = FrameId { link: 3, number: 1 };
    let arrived = What::Arrived { frame, kind: "heartbeat", from: "worker-3".into() };
    happenings.push(happened(2_001, Some("coordinator"), arrived));
    let refused = RuntimeEvent::StaleRefused { current: second, stale: ATTEMPT };
    happenings.push(said(2_001, "coordinator", refused));
    happenings.push(began(2_100, second, 7));
    happenings.push(emitted(2_100, "worker-1", second, 7));
    happenings.push(emitted(2_100, "worker-3", ATTEMPT, 7));
    let reason = "subtask 0.0 on worker-3 emitted the barrier of checkpoint 7 in attempt 1.1, and \
                  that belongs to attempt 1.2";
    check(
        happenings,
        Some(&failure(2_100, "fencing", reason)),
        expect![[r#"
                 A coordinator and 2 workers run the job "sums": numbers ×1, sums ×2
        0.010 s  attempt 1.1 starts from the beginning; all 2 subtasks run after 8 ms, numbers/0 (subtask 0.0) on worker-3
        0.400 s  fault: worker-3 freezes for 1.6 s, and does not notice
        1.400 s  attempt 1.1 fails: numbers/0: worker-3 is lost
        1.500 s  attempt 1.2 starts from the beginning; all 2 subtasks run after 8 ms, numbers/0 on worker-1
        2.000 s  worker-3 wakes up, and goes on with attempt 1.1
        2.001 s  coordinator refuses a heartbeat from worker-3: it is of attempt 1.1, and attempt 1.2 is on
        2.100 s  checkpoint 7: it begins; numbers/0 on worker-1 (attempt 1.2) sends its barrier; numbers/0 on worker-3 (attempt 1.1) sends its barrier
        2.100 s  FAILED, what is past must not act any more (fencing): numbers/0 on worker-3 emitted the barrier of checkpoint 7 in attempt 1.1, and that belongs to attempt 1.2"#]],
    );
}

#[test]
fn a_cut_is_told_with_the_barriers_of_all_inputs_and_their_times() {
    let mut account = account(started(10, ATTEMPT, None));
    account.job.vertices[0].parallelism = 2;
    let arrived = |at, from| {
        let channel = ChannelId { edge: EdgeId(0), from, to: 0 };
        let checkpoint = CheckpointId(2);
        let event = RuntimeEvent::BarrierArrived { attempt: ATTEMPT, channel, checkpoint };
        said(at, "worker-1", event)
    };
    let happenings = [
        began(300, ATTEMPT, 2),
        emitted(300, "worker-2", ATTEMPT, 2),
        arrived(301, 0),
        arrived(307, 1),
        taken(307, "worker-1", sink(0), 2),
    ];
    account.chronicle.0.extend(happenings);
    let reason = "channel 0:0→0 in attempt 1.1: subtask 0.0 had sent 0 records when it took its \
                  snapshot of checkpoint 2, and subtask 1.0 had received 2";
    let story = Story::new(&account, Some(&failure(307, "consistent_cut", reason)));
    expect![[r#"
                 A coordinator and 2 workers run the job "sums": numbers ×2, sums ×2
        0.010 s  attempt 1.1 starts from the beginning; all 2 subtasks run after 8 ms, sums/0 (subtask 1.0) on worker-1
        0.300 s  checkpoint 2: it begins; numbers/0 (subtask 0.0) sends its barrier; the barrier arrives on numbers/0 → sums/0 (channel 0:0→0); at 0.307 s the barrier arrives on numbers/1 → sums/0 (channel 0:1→0); sums/0 takes its snapshot
        0.307 s  FAILED, both ends of a channel must cut it at the same record (consistent_cut): numbers/0 → sums/0 in attempt 1.1: numbers/0 had sent 0 records when it took its snapshot of checkpoint 2, and sums/0 had received 2"#]].assert_eq(&story.to_string());
}

#[test]
fn what_is_heard_and_not_followed_is_told() {
    let (subtask, operator) = (sink(0), "sums".to_owned());
    let mut happenings = started(10, ATTEMPT, None);
    for (at, number) in [(300, 1), (600, 2), (900, 3)] {
        let (attempt, checkpoint) = (ATTEMPT, CheckpointId(number));
        if number == 1 {
            let operator = operator.clone();
            let event =
                RuntimeEvent::TransactionPrepared { attempt, subtask, operator, checkpoint };
            happenings.push(said(at, "worker-1", event));
        }
        happenings.push(completed(at + 1, number));
        let event = RuntimeEvent::CheckpointNotified { attempt, subtask, checkpoint };
        happenings.push(said(at + 1, "worker-1", event));
    }
    let reason = "sink sums in subtask 1.0 was told that checkpoint 2 is complete, and has not \
                  committed its transaction of checkpoint 1 when it hears of checkpoint 3";
    check(
        happenings,
        Some(&failure(901, "two_phase", reason)),
        expect![[r#"
                 A coordinator and 2 workers run the job "sums": numbers ×1, sums ×2
        0.010 s  attempt 1.1 starts from the beginning; all 2 subtasks run after 8 ms, sums/0 (subtask 1.0) on worker-1
        0.300 s  checkpoint 1: sums/0 prepares its transaction in sink sums; it completes; sums/0 hears that it is complete, and commits nothing: its transaction of checkpoint 1 is still prepared
        0.601 s  checkpoint 2: it completes; sums/0 hears that it is complete, and commits nothing: its transaction of checkpoint 1 is still prepared
        0.901 s  checkpoint 3: it completes; sums/0 hears that it is complete
        0.901 s  FAILED, what a checkpoint covers must be committed, and nothing else (two_phase): sink sums in sums/0 was told that checkpoint 2 is complete, and has not committed its transaction of checkpoint 1 when it hears of checkpoint 3"#]],
    );
}

#[test]
fn a_snapshot_that_is_neither_stored_nor_declined_is_told() {
    let mut happenings = started(10, ATTEMPT, None);
    happenings.push(began(300, ATTEMPT, 1));
    happenings.push(taken(300, "worker-1", sink(0), 1));
    let event = RuntimeEvent::CheckpointAborted {
        attempt: ATTEMPT,
        checkpoint: CheckpointId(1),
        reason: "no snapshot of subtask 1.0 within 1.5s".to_owned(),
    };
    happenings.push(said(1_800, "coordinator", event));
    happenings.push(began(1_801, ATTEMPT, 2));
    let reason = "subtask 1.0 took its snapshot of checkpoint 1 in attempt 1.1 and neither stored \
                  nor declined it, and goes on with checkpoint 2";
    check(
        happenings,
        Some(&failure(1_802, "errors", reason)),
        expect![[r#"
                 A coordinator and 2 workers run the job "sums": numbers ×1, sums ×2
        0.010 s  attempt 1.1 starts from the beginning; all 2 subtasks run after 8 ms, sums/0 (subtask 1.0) on worker-1
        0.300 s  checkpoint 1: it begins; sums/0 takes its snapshot; at 1.800 s it is given up: no snapshot of sums/0 within 1.5s; sums/0 has neither stored its snapshot nor declined it
        1.801 s  checkpoint 2: it begins
        1.802 s  FAILED, damage must be told, and never pass for success (errors): sums/0 took its snapshot of checkpoint 1 in attempt 1.1 and neither stored nor declined it, and goes on with checkpoint 2"#]],
    );
}

#[test]
fn a_new_reign_is_told_with_what_the_old_one_leaves_behind() {
    let second = Attempt { term: Term(2), number: 1 };
    let mut happenings = vec![said(1, "coordinator", RuntimeEvent::TermTaken { term: Term(1) })];
    let registers = |at, id| {
        let frame = FrameId { link: id, number: at };
        let arrived =
            What::Arrived { frame, kind: "registration", from: format!("worker-{id}").into() };
        let registered = RuntimeEvent::WorkerRegistered { worker: WorkerId(id) };
        [happened(at, Some("coordinator"), arrived), said(at, "coordinator", registered)]
    };
    happenings.extend((1..3).flat_map(|id| registers(2, id)));
    happenings.extend(started(10, ATTEMPT, None));
    happenings.push(began(300, ATTEMPT, 3));
    happenings.push(happened(310, Some("coordinator"), What::Crashed));
    happenings.push(said(500, "coordinator", RuntimeEvent::TermTaken { term: Term(2) }));
    happenings.extend((1..3).flat_map(|id| registers(510, id)));
    happenings.extend(started(520, second, None));
    happenings.push(began(800, second, 3));
    let reason = "checkpoint 3 was triggered in attempt 1.1 and in attempt 2.1";
    check(
        happenings,
        Some(&failure(800, "fencing", reason)),
        expect![[r#"
                 A coordinator and 2 workers run the job "sums": numbers ×1, sums ×2
        0.010 s  attempt 1.1 starts from the beginning; all 2 subtasks run after 8 ms
        0.300 s  checkpoint 3 of attempt 1.1: it begins
        0.310 s  coordinator dies
        0.500 s  coordinator rules now (term 2); attempt 1.1 ends with term 1; checkpoint 3 is left behind by term 1
        0.510 s  coordinator hears again from worker-1 and worker-2
        0.520 s  attempt 2.1 starts from the beginning; all 2 subtasks run after 8 ms
        0.800 s  checkpoint 3 of attempt 2.1: it begins
        0.800 s  FAILED, what is past must not act any more (fencing): checkpoint 3 was triggered in attempt 1.1 and in attempt 2.1"#]],
    );
}

#[test]
fn wrong_results_are_told_with_what_was_read_again_and_what_came_to_nothing() {
    let second = Attempt { number: 2, ..ATTEMPT };
    let (subtask, operator, attempt) = (sink(0), "sums".to_owned(), ATTEMPT);
    let mut happenings = started(10, ATTEMPT, None);
    happenings.push(completed(300, 1));
    let checkpoint = CheckpointId(2);
    let prepared = RuntimeEvent::TransactionPrepared { attempt, subtask, operator, checkpoint };
    happenings.push(said(600, "worker-1", prepared));
    happenings.push(failed(700, ATTEMPT, "numbers [0]: worker-2 is lost"));
    happenings.extend(started(800, second, Some(1)));
    let assigned = RuntimeEvent::SplitsAssigned {
        attempt: second,
        subtask: SOURCE,
        restored: Some(CheckpointId(1)),
        split_count: 4,
        ended_count: 3,
    };
    happenings.push(said(803, "worker-1", assigned));
    let discarded = RuntimeEvent::TransactionAborted {
        attempt: second,
        subtask,
        operator: "sums".to_owned(),
        transaction: "output/_staged/sums-00000/1".to_owned(),
    };
    happenings.push(said(804, "worker-1", discarded));
    happenings.push(said(900, "coordinator", RuntimeEvent::JobEnded { failure: None }));
    let reason = "against the naive model: output: 1 lines written, 2 expected";
    check(
        happenings,
        Some(&failure(950, "exactly_once", reason)),
        expect![[r#"
                 A coordinator and 2 workers run the job "sums": numbers ×1, sums ×2
        0.010 s  attempt 1.1 starts from the beginning; all 2 subtasks run after 8 ms
        0.300 s  checkpoint 1 completes
        0.600 s  prepared for checkpoint 2 in attempt 1.1 and never committed: the transaction of sums/0 (subtask 1.0)
        0.700 s  attempt 1.1 fails: numbers/0 (subtask 0.0): worker-2 is lost
        0.800 s  attempt 1.2 starts from checkpoint 1; all 2 subtasks run after 8 ms
        0.803 s  attempt 1.2 reads on from where checkpoint 1 was: numbers/0 in 4 splits, 3 of them ended
        0.804 s  attempt 1.2 discards transactions: output/_staged/sums-00000/1 (sums/0)
        0.900 s  the job has finished
        0.950 s  FAILED, every result must be written exactly once (exactly_once): against the naive model: output: 1 lines written, 2 expected"#]],
    );
}

#[test]
fn a_restore_is_told_with_the_place_it_read_and_the_event_time_of_its_operators() {
    let second = Attempt { number: 2, ..ATTEMPT };
    let subtask = sink(0);
    let mut happenings = started(10, ATTEMPT, None);
    happenings.push(completed(300, 1));
    happenings.push(failed(700, ATTEMPT, "numbers [0]: worker-2 is lost"));
    let (attempt, checkpoint) = (second, CheckpointId(1));
    let origin = SnapshotOrigin::Local;
    let fetched = RuntimeEvent::SnapshotFetched { attempt, subtask, checkpoint, origin };
    let watermark = Timestamp::MIN;
    let operator = "sum".to_owned();
    let opened = RuntimeEvent::EventTimeRestored { attempt, subtask, operator, watermark };
    let start = started(800, second, Some(1));
    happenings.push(start[0].clone());
    happenings.extend([said(801, "worker-1", fetched), said(802, "worker-1", opened)]);
    happenings.extend(start[1..].iter().cloned());
    let reason = "sum in subtask 1.0 had reached watermark 1357856399999 in checkpoint 1, and begins \
                  attempt 1.2 with -∞";
    check(
        happenings,
        Some(&failure(805, "watermarks", reason)),
        expect![[r#"
                 A coordinator and 2 workers run the job "sums": numbers ×1, sums ×2
        0.010 s  attempt 1.1 starts from the beginning; all 2 subtasks run after 8 ms, sums/0 (subtask 1.0) on worker-1
        0.300 s  checkpoint 1: it completes
        0.700 s  attempt 1.1 fails: numbers/0 (subtask 0.0): worker-2 is lost
        0.800 s  attempt 1.2 starts from checkpoint 1; all 2 subtasks run after 8 ms, sums/0 on worker-1
        0.801 s  checkpoint 1: sums/0 reads its snapshot on the worker's disk; opens sum at event time -∞; at 0.805 s sums/0 starts again from it, at event time -∞
        0.805 s  FAILED, event time must never go back (watermarks): sum in sums/0 had reached watermark 1357856399999 (2013-01-10T22:19:59.999Z) in checkpoint 1, and begins attempt 1.2 with -∞"#]],
    );
}

#[test]
fn attempts_that_fail_for_one_reason_are_told_once() {
    let mut happenings = Vec::new();
    for number in 1..40 {
        let attempt = Attempt { number, ..ATTEMPT };
        happenings.extend(started(100 * u64::from(number), attempt, None));
        happenings.push(failed(100 * u64::from(number) + 50, attempt, "the part is lost"));
    }
    check(
        happenings,
        Some(&failure(60_000, "liveness", "the job has not ended")),
        expect![[r#"
                  A coordinator and 2 workers run the job "sums": numbers ×1, sums ×2
         0.100 s  attempt 1.1 starts from the beginning; all 2 subtasks run after 8 ms
         0.150 s  attempt 1.1 fails: the part is lost; 38 more attempts for the same reason, attempt 1.39 last
        60.000 s  FAILED, when everything has healed, the job must end (liveness): the job has not ended"#]],
    );
}
