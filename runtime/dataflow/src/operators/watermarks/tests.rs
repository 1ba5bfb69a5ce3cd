//! What follows from records and splits, step by step.

use expect_test::{Expect, expect};
use floodmark_model::Record;
use floodmark_state::RestoredState;

use super::*;
use crate::{
    Push as _, Stage as _,
    operators::trial::{Log, logged},
};

/// What happens to the operator.
enum Do {
    Records(&'static [i64]),
    /// A tick after so many seconds of activity.
    Tick(u64),
    /// The next records come from this split.
    From(usize),
    /// This split has ended.
    EndOf(usize),
    /// The turn of this split has not come.
    Waiting(usize),
    /// It has come.
    Begun(usize),
    /// Those further up say that nothing will come for a while.
    Idle,
    End,
}

#[track_caller]
fn check(strategy: WatermarkStrategy<i64>, script: &[Do], want: Expect) {
    check_splits(1, strategy, script, want);
}

#[track_caller]
fn check_splits(split_count: usize, strategy: WatermarkStrategy<i64>, script: &[Do], want: Expect) {
    let operator = WatermarkOperator::new("watermarks".to_owned(), strategy);
    check_operator(operator, split_count, script, want);
}

#[track_caller]
fn check_operator(
    mut operator: WatermarkOperator<i64>,
    split_count: usize,
    script: &[Do],
    want: Expect,
) {
    let log = Log::default();
    operator.progress.splits.resize(split_count, SplitProgress::NEW);
    operator.activity.resize(split_count, Activity::default());
    let mut stage = logged(operator, &log);
    for action in script {
        match action {
            Do::Records(values) => {
                let record = |value: &i64| Record { timestamp: Timestamp::MIN, value: *value };
                stage.push(values.iter().map(record).collect()).unwrap();
            }
            Do::Tick(seconds) => stage.on_tick(Duration::from_secs(*seconds)).unwrap(),
            Do::From(split) => stage.on_split(Split::Reading(*split)).unwrap(),
            Do::EndOf(split) => stage.on_split(Split::Ended(*split)).unwrap(),
            Do::Waiting(split) => stage.on_split(Split::Waiting(*split)).unwrap(),
            Do::Begun(split) => stage.on_split(Split::Begun(*split)).unwrap(),
            Do::Idle => stage.on_idle().unwrap(),
            Do::End => stage.on_watermark(Timestamp::MAX).unwrap(),
        }
    }
    want.assert_eq(&log.text());
}

#[test]
fn a_watermark_follows_every_so_many_records_and_never_goes_back() {
    let strategy = WatermarkStrategy::bounded_out_of_orderness(Duration::from_millis(10));
    check(
        strategy.timestamps(|value| *value).emit_every(2),
        &[Do::Records(&[100, 120, 90]), Do::Records(&[95, 96, 150]), Do::End, Do::End],
        expect![[r#"
            records 100@100 120@120
            watermark 109
            records 90@90
            records 95@95 96@96 150@150
            watermark 139
            watermark +∞
        "#]],
    );
}

#[test]
fn time_that_passes_is_a_chance_to_promise_if_that_is_wanted() {
    let strategy = WatermarkStrategy::ascending().timestamps(|value| *value).periodically();
    check(
        strategy,
        &[Do::Records(&[5, 7]), Do::Tick(1), Do::Tick(2), Do::Records(&[6]), Do::Tick(3)],
        expect![[r#"
            records 5@5 7@7
            watermark 6
            records 6@6
        "#]],
    );
}

#[test]
fn some_records_say_how_far_event_time_has_come() {
    check(
        WatermarkStrategy::punctuated(|value, _| (value % 10 == 0).then_some(Timestamp(*value)))
            .timestamps(|value| *value),
        &[Do::Records(&[5, 10, 7, 3]), Do::Records(&[10, 30, 20]), Do::End],
        expect![[r#"
            records 5@5 10@10
            watermark 10
            records 7@7 3@3
            records 10@10 30@30
            watermark 30
            records 20@20
            watermark +∞
        "#]],
    );
}

#[test]
fn splits_that_wait_hold_nothing_back_and_those_that_have_begun_do() {
    check_splits(
        3,
        WatermarkStrategy::ascending().timestamps(|value| *value).emit_every(1),
        &[
            Do::Waiting(1),
            Do::Waiting(2),
            Do::From(0),
            Do::Records(&[10]),
            Do::Begun(1),
            Do::Begun(2),
            Do::EndOf(0),
            Do::From(1),
            Do::Records(&[30]),
            Do::From(2),
            Do::Records(&[20]),
            Do::EndOf(2),
        ],
        expect![[r#"
            Waiting(1)
            Waiting(2)
            Reading(0)
            records 10@10
            watermark 9
            Begun(1)
            Begun(2)
            Ended(0)
            Reading(1)
            records 30@30
            Reading(2)
            records 20@20
            watermark 19
            watermark 29
            Ended(2)
        "#]],
    );
}

#[test]
fn a_split_that_begins_has_its_time_before_it_is_idle() {
    let strategy = WatermarkStrategy::ascending().timestamps(|value| *value).emit_every(1);
    check_splits(
        2,
        strategy.idle_after(Duration::from_secs(5)),
        &[
            Do::Waiting(1),
            Do::From(0),
            Do::Records(&[10]),
            Do::Tick(1),
            Do::Tick(9),
            Do::Begun(1),
            Do::EndOf(0),
            Do::Tick(10),
            Do::Tick(14),
            Do::Tick(15),
        ],
        expect![[r#"
            Waiting(1)
            Reading(0)
            records 10@10
            watermark 9
            idle
            watermark 9
            Begun(1)
            Ended(0)
            idle
        "#]],
    );
}

#[test]
fn who_is_idle_is_waited_for_again_before_the_end_of_time_comes() {
    let strategy = WatermarkStrategy::ascending().timestamps(|value| *value).emit_every(1);
    check(
        strategy.idle_after(Duration::from_secs(5)),
        &[Do::Records(&[10]), Do::Tick(1), Do::Tick(6), Do::End],
        expect![[r#"
            records 10@10
            watermark 9
            idle
            watermark 9
            watermark +∞
        "#]],
    );
}

#[test]
fn who_is_idle_further_up_is_for_this_strategy_to_say() {
    let strategy = WatermarkStrategy::ascending().timestamps(|value| *value).emit_every(1);
    check(
        strategy,
        &[Do::Records(&[10]), Do::Idle, Do::Records(&[20])],
        expect![[r#"
            records 10@10
            watermark 9
            records 20@20
            watermark 19
        "#]],
    );
}

/// Promises what two records have in common, and falls idle with a negative one.
#[derive(Clone, Debug, Serialize, Deserialize)]
struct Pairs(Option<i64>);

impl WatermarkGenerator<i64> for Pairs {
    fn on_record(&mut self, value: &i64, _: Timestamp, output: &mut WatermarkOutput) {
        if *value < 0 {
            return output.mark_idle();
        }
        if let Some(first) = self.0.replace(*value) {
            output.emit(Timestamp(first.min(*value)));
        }
    }
}

#[test]
fn every_split_has_a_generator_of_its_own_which_can_fall_idle() {
    let generator = WatermarkStrategy::generator(Pairs(None)).timestamps(|value| *value);
    let mut operator = WatermarkOperator::new("watermarks".to_owned(), generator);
    let generators = operator.generators.as_mut().unwrap();
    generators.open("watermarks", &mut RestoredState::default(), 2).unwrap();
    check_operator(
        operator,
        2,
        &[
            Do::From(0),
            Do::Records(&[5, 7]),
            Do::From(1),
            Do::Records(&[3, 9]),
            Do::Records(&[-1]),
            Do::From(0),
            Do::Records(&[-1]),
            Do::Records(&[-1]),
            Do::From(1),
            Do::Records(&[8]),
        ],
        expect![[r#"
            Reading(0)
            records 5@5 7@7
            Reading(1)
            records 3@3 9@9
            watermark 3
            records -1@-1
            watermark 5
            Reading(0)
            records -1@-1
            idle
            records -1@-1
            Reading(1)
            watermark 5
            records 8@8
            watermark 8
        "#]],
    );
}

#[test]
fn ascending_timestamps_promise_everything_before_the_latest() {
    check(
        WatermarkStrategy::ascending().timestamps(|value| *value).emit_every(1),
        &[Do::Records(&[5, 7])],
        expect![[r#"
            records 5@5
            watermark 4
            records 7@7
            watermark 6
        "#]],
    );
}

#[test]
fn silence_makes_idle_once_and_a_record_ends_it() {
    check(
        WatermarkStrategy::ascending()
            .timestamps(|value| *value)
            .emit_every(1)
            .idle_after(Duration::from_secs(3)),
        &[
            Do::Records(&[5]),
            Do::Tick(1),
            Do::Tick(3),
            Do::Tick(4),
            Do::Tick(9),
            Do::Records(&[8]),
            Do::Tick(10),
            Do::Tick(13),
        ],
        expect![[r#"
            records 5@5
            watermark 4
            idle
            watermark 4
            records 8@8
            watermark 7
            idle
        "#]],
    );
}

#[test]
fn a_fast_split_waits_for_the_slow_one_from_the_beginning() {
    check_splits(
        2,
        WatermarkStrategy::ascending().timestamps(|value| *value).emit_every(1),
        &[
            Do::From(0),
            Do::Records(&[50, 90]),
            Do::From(1),
            Do::Records(&[10]),
            Do::From(0),
            Do::Records(&[95]),
            Do::From(1),
            Do::Records(&[20]),
        ],
        expect![[r#"
            Reading(0)
            records 50@50 90@90
            Reading(1)
            records 10@10
            watermark 9
            Reading(0)
            records 95@95
            Reading(1)
            records 20@20
            watermark 19
        "#]],
    );
}

#[test]
fn a_split_that_has_ended_holds_nothing_back_and_no_split_pushes_on() {
    check_splits(
        2,
        WatermarkStrategy::ascending().timestamps(|value| *value).emit_every(1),
        &[Do::From(0), Do::Records(&[50]), Do::EndOf(1), Do::Records(&[60]), Do::EndOf(0), Do::End],
        expect![[r#"
            Reading(0)
            records 50@50
            watermark 49
            Ended(1)
            records 60@60
            watermark 59
            Ended(0)
            watermark +∞
        "#]],
    );
}

#[test]
fn an_idle_split_holds_nothing_back_and_all_of_them_make_the_subtask_idle() {
    check_splits(
        2,
        WatermarkStrategy::ascending()
            .timestamps(|value| *value)
            .emit_every(1)
            .idle_after(Duration::from_secs(3)),
        &[
            Do::From(0),
            Do::Records(&[50]),
            Do::Tick(1),
            Do::Tick(3),
            Do::Tick(4),
            Do::From(1),
            Do::Records(&[70]),
            Do::Tick(5),
            Do::From(0),
            Do::Records(&[51]),
            Do::EndOf(1),
        ],
        expect![[r#"
            Reading(0)
            records 50@50
            watermark 49
            idle
            Reading(1)
            watermark 49
            records 70@70
            watermark 69
            Reading(0)
            records 51@51
            Ended(1)
        "#]],
    );
}
