//! What a page has of constructed runs.

use std::{collections::BTreeSet, sync::Arc};

use floodmark::{Environment, FileSink, Generator, KeyGroup, SubtaskId, Term, Timestamp, VertexId};
use floodmark_sim::Chronicle;

use super::*;
use crate::{Failure, story::Focus};

const SINK: SubtaskId = SubtaskId { vertex: VertexId(1), index: 0 };

fn attempt(term: u64, number: u32) -> Attempt {
    Attempt { term: Term(term), number }
}

fn said(at: u64, node: &str, event: RuntimeEvent) -> Happening {
    let at = Duration::from_millis(at);
    Happening { at, node: Some(node.into()), what: What::Observed(Arc::new(event)) }
}

fn began(at: u64, attempt: Attempt) -> Happening {
    let checkpoint = CheckpointId(3);
    let event = RuntimeEvent::CheckpointTriggered { attempt, checkpoint, is_final: false };
    said(at, "coordinator", event)
}

fn started(at: u64, node: &str, attempt: Attempt) -> Happening {
    let event = RuntimeEvent::SubtaskStarted {
        attempt,
        subtask: SINK,
        restored: None,
        watermark: Timestamp::MIN,
        sections: Vec::new(),
    };
    said(at, node, event)
}

/// A job with one source and one sink.
fn account(happenings: Vec<Happening>) -> Account {
    let environment = Environment::new().parallelism(1).chain_exchanges(false);
    environment
        .source("numbers", Generator::new(10, |index| index))
        .key_by(|number| *number)
        .reduce(|sum, number| sum + number)
        .uid("sum")
        .sink("sums", FileSink::new("output", |sum: &u64| sum.to_string()));
    let job = environment.build("sums").expect("the job is well-formed").graph().clone();
    let chronicle = Chronicle(happenings);
    let virtual_time = Duration::from_secs(1);
    Account { job, worker_count: 2, has_standby: false, virtual_time, chronicle }
}

fn failure(check: &str, reason: &str) -> Failure {
    Failure {
        check: check.to_owned(),
        reason: reason.to_owned(),
        at: Duration::from_secs(1),
        is_comparison: false,
        story: None,
        log: Vec::new(),
    }
}

/// Returns lane and emphasis of the events with a label.
fn marks_of(account: &Account, failure: &Failure, label: &str) -> Vec<(u64, bool)> {
    let lanes = Lanes::new(account);
    let mut names = story::Names::new(&account.job).without_ids();
    let focus = Focus::new(account, Some(failure));
    let marks = marks::marks(account, &lanes, &mut names, &focus);
    let ours = marks.iter().filter(|mark| mark[3] == label);
    ours.map(|mark| (mark[1].as_u64().expect("a lane"), mark[6] == 1)).collect()
}

#[test]
fn checkpoints_with_one_number_and_two_attempts_are_two() {
    let account = account(vec![
        began(300, attempt(1, 1)),
        said(500, "coordinator", RuntimeEvent::TermTaken { term: Term(2) }),
        began(800, attempt(2, 1)),
    ]);
    let mut names = story::Names::new(&account.job).without_ids();
    let rows = checkpoints(&account, &mut names);
    let rows: Vec<_> = rows
        .iter()
        .map(|row| (&row["id"], &row["attempt"], row["from"].as_f64(), row["to"].as_f64()))
        .collect();
    assert_eq!(
        rows,
        [
            (&json!("3"), &json!("attempt 1.1"), Some(300.0), Some(500.0)),
            (&json!("3"), &json!("attempt 2.1"), Some(800.0), Some(1_000.0)),
        ]
    );
}

#[test]
fn key_groups_are_met_in_the_lane_of_the_subtask() {
    let met = RuntimeEvent::KeyGroupMet {
        attempt: attempt(1, 1),
        subtask: SINK,
        operator: "sum".to_owned(),
        group: KeyGroup(7),
    };
    let account = account(vec![
        said(1, "coordinator", RuntimeEvent::TermTaken { term: Term(1) }),
        started(2, "worker-1", attempt(1, 1)),
        said(3, "worker-1", met),
    ]);
    let failure = failure("key_groups", "subtask 1.0 met what it should not");
    // Lanes: the coordinator's, the worker's, and that of its subtask.
    assert_eq!(marks_of(&account, &failure, "key_group_met"), [(2, true)]);
}

#[test]
fn event_time_that_is_restored_is_named_with_the_checkpoint_it_is_of() {
    let (first, second) = (attempt(1, 1), attempt(1, 2));
    let begins = |attempt, restored| RuntimeEvent::AttemptStarted { attempt, restored };
    let opened = |at, attempt| {
        let (operator, watermark) = ("sum".to_owned(), Timestamp::MIN);
        let event = RuntimeEvent::EventTimeRestored { attempt, subtask: SINK, operator, watermark };
        said(at, "worker-1", event)
    };
    let account = account(vec![
        said(1, "coordinator", begins(first, None)),
        opened(2, first),
        started(3, "worker-1", first),
        said(4, "coordinator", begins(second, Some(CheckpointId(7)))),
        opened(5, second),
        started(6, "worker-1", second),
    ]);
    let failure = failure("watermarks", "subtask 1.0 had reached watermark 5 in checkpoint 7");
    let marks = marks_of(&account, &failure, "event_time_restored");
    assert_eq!(marks.iter().map(|(_, is_named)| *is_named).collect::<Vec<_>>(), [false, true]);
}

#[test]
fn two_lives_of_a_subtask_have_two_curves_in_two_lanes() {
    let advanced = |at, node, attempt, watermark| {
        let watermark = Timestamp(watermark);
        let event = RuntimeEvent::WatermarkAdvanced { attempt, subtask: SINK, watermark };
        said(at, node, event)
    };
    let (first, second) = (attempt(1, 1), attempt(1, 2));
    let account = account(vec![
        started(1, "worker-1", first),
        started(5, "worker-2", second),
        advanced(6, "worker-2", second, 3),
        // It slept, and goes on.
        advanced(7, "worker-1", first, 9),
    ]);
    let curves = marks::watermarks(&account, &Lanes::new(&account));
    let lanes: BTreeSet<String> = curves.iter().map(|curve| curve[0].to_string()).collect();
    assert_eq!((curves.len(), lanes.len()), (2, 2), "{curves:?}");
    assert!(curves.iter().all(|curve| curve[1].as_array().is_some_and(|points| points.len() == 1)));
}
