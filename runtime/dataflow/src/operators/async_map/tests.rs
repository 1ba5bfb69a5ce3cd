//! What is asked, and what follows from the answers, step by step.

use std::{
    collections::BTreeMap,
    sync::{Mutex, MutexGuard},
    task::Waker,
    time::Duration,
};

use expect_test::{Expect, expect};
use tokio::sync::oneshot;

use super::*;
use crate::{
    Chained, Push as _, Stage as _,
    operators::trial::{self, Log, frozen},
};

/// Questions that are open.
#[derive(Clone, Default)]
struct Questions(Arc<Mutex<BTreeMap<i64, oneshot::Sender<Reply>>>>);

type Reply = Result<Vec<i64>, BoxError>;

impl Questions {
    fn lock(&self) -> MutexGuard<'_, BTreeMap<i64, oneshot::Sender<Reply>>> {
        self.0.lock().unwrap()
    }

    fn ask(&self, value: i64) -> oneshot::Receiver<Reply> {
        let (sender, receiver) = oneshot::channel();
        self.lock().insert(value, sender);
        receiver
    }

    fn answer(&self, value: i64, answer: Reply) {
        let sender = self.lock().remove(&value).expect("it was asked");
        sender.send(answer).expect("somebody waits for it");
    }
}

/// What happens to the operator. A record's time is its value.
enum Do {
    Records(&'static [i64]),
    Watermark(i64),
    Idle,
    From(usize),
    EndOf(usize),
    /// The answers are the value, and the value with a hundred more.
    Answer(i64),
    /// There is an answer, and nothing in it.
    AnswerNothing(i64),
    Fail(i64),
    /// A snapshot is taken, and another attempt begins from it.
    Restart,
}

use Do::{Answer as Answers, AnswerNothing, EndOf, Fail, From, Idle, Records, Restart, Watermark};

type Operated = Chained<AsyncOperator<i64, i64>>;

/// Opens an operator whose subtask was at event time 77 in the snapshot.
fn opened(
    options: &AsyncOptions<i64, Vec<i64>>,
    (log, questions): (&Log, &Questions),
    from: Option<Snapshot>,
) -> Operated {
    let (asked, seen) = (questions.clone(), log.clone());
    let call: Arc<AsyncCall<i64, Vec<i64>>> = Arc::new(move |value, _| {
        seen.say(&format!("asks {value}")).unwrap();
        let answer = asked.ask(value);
        Box::pin(async move { answer.await.expect("questions are answered") })
    });
    let operator = AsyncOperator::new("lookup".to_owned(), options.clone(), call);
    let watermark = if from.is_some() { Timestamp(77) } else { Timestamp::MIN };
    trial::opened(operator, log, from, watermark)
}

/// Does what the subtask does: polls, and passes on what there is.
fn go_on(stage: &mut Operated, log: &Log) {
    let mut cx = Context::from_waker(Waker::noop());
    while stage.poll_requests(&mut cx).is_ready() {
        if let Err(error) = stage.on_results() {
            log.say(&error.to_string()).unwrap();
        }
    }
}

#[track_caller]
fn check(options: AsyncOptions<i64, Vec<i64>>, script: &[Do], want: Expect) {
    let (log, questions) = (Log::default(), Questions::default());
    let mut stage = opened(&options, (&log, &questions), None);
    for step in script {
        match *step {
            Records(values) => {
                let record = |value: &i64| Record { timestamp: Timestamp(*value), value: *value };
                stage.push(values.iter().map(record).collect()).unwrap();
            }
            Watermark(at) => stage.on_watermark(Timestamp(at)).unwrap(),
            Idle => stage.on_idle().unwrap(),
            From(split) => stage.on_split(Split::Reading(split)).unwrap(),
            EndOf(split) => stage.on_split(Split::Ended(split)).unwrap(),
            Answers(value) => questions.answer(value, Ok(vec![value, value + 100])),
            AnswerNothing(value) => questions.answer(value, Ok(Vec::new())),
            Fail(value) => questions.answer(value, Err("nobody knows".into())),
            Restart => {
                let snapshot = frozen(&mut stage);
                log.say("restart").unwrap();
                stage = opened(&options, (&log, &questions), Some(snapshot));
                let (again, once) = (frozen(&mut stage).into_parts().0, frozen(&mut stage));
                assert_eq!(again, once.into_parts().0, "freezing changes nothing");
            }
        }
        go_on(&mut stage, &log);
    }
    want.assert_eq(&log.text());
}

fn ordered(capacity: usize) -> AsyncOptions<i64, Vec<i64>> {
    AsyncOptions::ordered(capacity, Duration::MAX)
}

fn unordered(capacity: usize) -> AsyncOptions<i64, Vec<i64>> {
    AsyncOptions::unordered(capacity, Duration::MAX)
}

#[test]
fn event_time_and_idleness_wait_for_the_answers_before_them() {
    check(
        unordered(10),
        &[
            Watermark(0),
            Records(&[1, 2]),
            Watermark(5),
            Records(&[6]),
            Idle,
            Answers(6),
            Answers(2),
            AnswerNothing(1),
        ],
        expect![[r#"
            opens at -∞
            watermark 0
            asks 1
            asks 2
            asks 6
            records 2@2 102@2
            watermark 5
            records 6@6 106@6
            idle
        "#]],
    );
}

#[test]
fn a_batch_that_is_larger_than_the_capacity_waits_for_its_turn() {
    check(
        ordered(2),
        &[Records(&[1, 2, 3, 4]), Answers(2), Answers(1), Answers(3), Answers(4)],
        expect![[r#"
            opens at -∞
            asks 1
            asks 2
            asks 3
            asks 4
            records 1@1 101@1 2@2 102@2
            records 3@3 103@3
            records 4@4 104@4
        "#]],
    );
}

#[test]
fn what_was_not_passed_on_is_asked_again_in_its_place() {
    check(
        ordered(2),
        &[
            Records(&[1, 2]),
            Watermark(2),
            Records(&[3]),
            Watermark(3),
            Answers(1),
            Answers(3),
            Restart,
            Records(&[4]),
            Answers(3),
            Answers(2),
            Answers(4),
        ],
        expect![[r#"
            opens at -∞
            asks 1
            asks 2
            asks 3
            records 1@1 101@1
            restart
            opens at -∞
            asks 2
            asks 3
            asks 4
            records 2@2 102@2
            watermark 2
            records 3@3 103@3
            watermark 3
            records 4@4 104@4
        "#]],
    );
}

#[test]
fn those_downstream_begin_where_they_had_come() {
    check(
        unordered(10),
        &[Watermark(3), Records(&[5]), Watermark(7), Restart, Answers(5), Restart],
        expect![[r#"
            opens at -∞
            watermark 3
            asks 5
            restart
            opens at 3
            asks 5
            records 5@5 105@5
            watermark 7
            restart
            opens at 7
        "#]],
    );
}

#[test]
fn results_are_of_the_split_of_their_record() {
    check(
        unordered(10),
        &[
            From(0),
            Records(&[1]),
            From(1),
            Records(&[2]),
            EndOf(1),
            From(0),
            Records(&[3]),
            Answers(2),
            Restart,
            EndOf(1),
            Answers(1),
            Answers(3),
        ],
        expect![[r#"
            opens at -∞
            asks 1
            asks 2
            asks 3
            Reading(1)
            records 2@2 102@2
            restart
            opens at -∞
            asks 1
            asks 3
            Reading(0)
            records 1@1 101@1
            Ended(1)
            records 3@3 103@3
        "#]],
    );
}

#[test]
fn a_request_that_fails_names_its_operator() {
    check(
        ordered(2),
        &[Records(&[1, 2]), Fail(2)],
        expect![[r#"
            opens at -∞
            asks 1
            asks 2
            operator lookup: nobody knows
        "#]],
    );
}
