//! What becomes of a job that is to stop, and of those who leave it.

use super::*;

/// Lets attempt 1 run, asks it to stop, and lets the manifest of that checkpoint be stored.
fn stopped() -> Vec<Do> {
    let mut actions = running();
    actions.extend([Do::Stop(30), Do::Time(0)]);
    actions.extend([SOURCE_0, SOURCE_1, SUM].map(|subtask| ack(1, subtask)));
    actions.push(Do::Stored);
    actions
}

#[test]
fn a_stop_is_over_when_every_subtask_has_committed() {
    check(
        running(),
        vec![
            Do::Stop(30),
            Do::Stop(1),
            Do::Time(0),
            ack(1, SOURCE_0),
            ack(1, SOURCE_1),
            ack(1, SUM),
            Do::Stored,
            Do::Time(5),
            beat(1, 1, SubtaskStatus::Finished),
            beat(2, 1, SubtaskStatus::Finished),
            Do::Time(90),
        ],
        expect![[r#"
            - 
            - 
            - job_stopping, checkpoint 1 triggered, 1← stop 1, 2← stop 1
            - checkpoint_acknowledged
            - checkpoint_acknowledged
            - checkpoint_acknowledged, append checkpoint 1 to slot 5
            - 1← notify 1 final, 2← notify 1 final, clean
            - 1← notify 1 final, 2← notify 1 final
            - 
            - job_stopped, 1← cancel 1, 2← cancel 1, 1← farewell, 2← farewell, End(Stopped { checkpoint: Some(CheckpointId(1)) })
            - 
        "#]],
    );
}

#[test]
fn a_stop_without_a_running_attempt_ends_at_once() {
    check(
        Vec::new(),
        vec![Do::Stop(30)],
        expect![[r#"
        - job_stopped, End(Stopped { checkpoint: None })
    "#]],
    );
    check(
        deployed(),
        vec![Do::Stop(30)],
        expect![[r#"
        - job_stopped, 1← cancel 1, 2← cancel 1, 1← farewell, 2← farewell, End(Stopped { checkpoint: None })
    "#]],
    );
}

#[test]
fn a_stop_that_takes_too_long_ends_at_the_newest_checkpoint() {
    let mut before = storing();
    before.push(Do::Stored);
    check(
        before,
        vec![Do::Stop(7), Do::Time(16), Do::Time(17), Do::Time(50)],
        expect![[r#"
            - 
            - job_stopping, checkpoint 2 triggered, 1← stop 2, 2← stop 2
            - checkpoint_aborted, job_stopped, 1← cancel 1, 2← cancel 1, 1← farewell, 2← farewell, End(Stopped { checkpoint: Some(CheckpointId(1)) })
            - 
        "#]],
    );
}

#[test]
fn a_failure_while_stopping_begins_no_other_attempt() {
    check(
        running(),
        vec![Do::Stop(30), Do::Time(0), Do::Disconnect(2)],
        expect![[r#"
            - 
            - job_stopping, checkpoint 1 triggered, 1← stop 1, 2← stop 1
            - worker_lost, attempt 3.1 failed (numbers [1]: worker 0000000000000014 is lost), 1← cancel 1, checkpoint_aborted, job_stopped, 1← cancel 1, 1← farewell, End(Stopped { checkpoint: None })
        "#]],
    );
    check(
        stopped(),
        vec![Do::Disconnect(2), Do::Time(5)],
        expect![[r#"
        - worker_lost, attempt 3.1 failed (numbers [1]: worker 0000000000000014 is lost), 1← cancel 1, job_stopped, 1← cancel 1, 1← farewell, End(Stopped { checkpoint: Some(CheckpointId(1)) })
        - 
    "#]],
    );
}

#[test]
fn a_cancellation_ends_a_stop() {
    check(
        running(),
        vec![Do::Stop(30), Do::Cancel],
        expect![[r#"
        - 
        - 1← cancel 1, 2← cancel 1, 1← farewell, 2← farewell, End(Cancelled)
    "#]],
    );
}

#[test]
fn a_coordinator_that_slept_does_not_stop_the_job_of_another() {
    let mut before = running();
    before.extend([Do::Stop(30), Do::Time(0)]);
    before.extend([SOURCE_0, SOURCE_1, SUM].map(|subtask| ack(1, subtask)));
    check(
        before,
        vec![Do::Taken(4)],
        expect![[r#"
        - stepped_down, End(Fenced { current: Term(4) })
    "#]],
    );
}

#[test]
fn a_worker_that_leaves_uses_up_no_restart() {
    check(
        running(),
        vec![
            Do::Leave(2),
            Do::Join { connection: 3, worker: 30 },
            Do::Found(None),
            beat(1, 2, SubtaskStatus::Running),
            beat(3, 2, SubtaskStatus::Running),
            Do::Leave(3),
            Do::Join { connection: 4, worker: 40 },
            Do::Found(None),
        ],
        expect![[r#"
            - Close(ConnectionId(2)), worker_left, attempt 3.1 failed (numbers [1]: worker 0000000000000014 has left), 1← cancel 1
            - worker_registered, Read(5)
            - attempt_started, 1← deploy 2 None subtask 0.0 + subtask 1.0, 3← deploy 2 None subtask 0.1
            - 
            - attempt_running
            - Close(ConnectionId(3)), worker_left, attempt 3.2 failed (numbers [1]: worker 000000000000001e has left), 1← cancel 2
            - worker_registered, Read(5)
            - attempt_started, 1← deploy 3 None subtask 0.0 + subtask 1.0, 4← deploy 3 None subtask 0.1
        "#]],
    );
}

#[test]
fn a_coordinator_that_its_workers_have_left_looks_whether_it_still_rules() {
    check(
        running(),
        vec![Do::Disconnect(1), Do::Disconnect(2), Do::Time(5), Do::Time(10), Do::Found(Some(4))],
        expect![[r#"
            - worker_lost, attempt 3.1 failed (numbers [0]: worker 000000000000000a is lost), 2← cancel 1
            - worker_lost
            - 
            - Read(5)
            - stepped_down, End(Fenced { current: Term(4) })
        "#]],
    );
}
