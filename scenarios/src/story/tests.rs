//! Stories of constructed runs, word for word.

use std::{sync::Arc, time::Duration};

use expect_test::{Expect, expect};
use floodmark::{
    Attempt, CheckpointConfig, CheckpointId, Environment, FileSink, Generator, RuntimeEvent,
    SubtaskId, Term, Timestamp, VertexId,
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
    let environment = Environment::new().checkpoints(CheckpointConfig::every(millis(300)));
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
          0.600 s  checkpoint 2: it begins; sums/1 prepares its transaction in sink sums; it completes; sums/1 never hears so
          0.900 s  checkpoint 3: it begins; sums/1 prepares its transaction in sink sums; it completes; sums/1 hears that it is complete
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
