//! What follows from records and splits, step by step.

use std::{
    fmt::Write as _,
    sync::{Arc, Mutex},
};

use expect_test::{Expect, expect};
use floodmark_model::{Barrier, CheckpointId, Record};
use floodmark_state::RestoredState;

use super::*;
use crate::{Chained, Commit, Output, Push, SideOutputs, Stage, chain::Outlet};

/// Writes down what arrives.
struct Recorder(Arc<Mutex<String>>);

impl Recorder {
    fn say(&self, text: &str) -> Result<(), Error> {
        writeln!(self.0.lock().unwrap(), "{text}").unwrap();
        Ok(())
    }
}

impl Push<i64> for Recorder {
    fn push(&mut self, batch: Batch<i64>) -> Result<(), Error> {
        let times: Vec<_> = batch.iter().map(|record| record.timestamp.0).collect();
        self.say(&format!("records {times:?}"))
    }
}

impl Stage for Recorder {
    fn open(&mut self, _: &mut OpenContext<'_>) -> Result<(), Error> {
        Ok(())
    }

    fn on_split(&mut self, _: Split) -> Result<(), Error> {
        Ok(())
    }

    fn on_watermark(&mut self, watermark: Timestamp) -> Result<(), Error> {
        self.say(&format!("watermark {watermark}"))
    }

    fn on_idle(&mut self) -> Result<(), Error> {
        self.say("idle")
    }

    fn on_barrier(&mut self, _: Barrier, _: &mut Snapshot) -> Result<(), Error> {
        Ok(())
    }

    fn freeze(&mut self, _: &mut Snapshot) {}

    fn on_complete(&mut self, _: CheckpointId, _: &mut Vec<Commit>) {}

    fn on_end(&mut self, _: &mut Vec<Commit>) -> Result<(), Error> {
        Ok(())
    }

    fn on_tick(&mut self, _: Duration) -> Result<(), Error> {
        Ok(())
    }

    fn next_timer(&mut self) -> Option<Timestamp> {
        None
    }

    fn on_processing_time(&mut self, _: Timestamp) -> Result<(), Error> {
        Ok(())
    }

    fn visit_outlets(&mut self, _: &mut dyn FnMut(&mut dyn Outlet)) {}
}

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
    let got = Arc::new(Mutex::new(String::new()));
    operator.progress.splits.resize(split_count, SplitProgress::NEW);
    operator.activity.resize(split_count, Activity::default());
    let output = Output::new(vec![Box::new(Recorder(got.clone())) as Box<dyn Push<i64>>]);
    let mut stage = Chained::new(operator, output, SideOutputs::default());
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
    want.assert_eq(&got.lock().unwrap());
}

#[test]
fn a_watermark_follows_every_so_many_records_and_never_goes_back() {
    let strategy = WatermarkStrategy::bounded_out_of_orderness(Duration::from_millis(10));
    check(
        strategy.timestamps(|value| *value).emit_every(2),
        &[Do::Records(&[100, 120, 90]), Do::Records(&[95, 96, 150]), Do::End, Do::End],
        expect![[r#"
            records [100, 120]
            watermark 109
            records [90]
            records [95, 96, 150]
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
            records [5, 7]
            watermark 6
            records [6]
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
            records [5, 10]
            watermark 10
            records [7, 3]
            records [10, 30]
            watermark 30
            records [20]
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
            records [10]
            watermark 9
            records [30]
            records [20]
            watermark 19
            watermark 29
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
            records [10]
            watermark 9
            idle
            watermark 9
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
            records [10]
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
            records [10]
            watermark 9
            records [20]
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
            records [5, 7]
            records [3, 9]
            watermark 3
            records [-1]
            watermark 5
            records [-1]
            idle
            records [-1]
            watermark 5
            records [8]
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
            records [5]
            watermark 4
            records [7]
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
            records [5]
            watermark 4
            idle
            watermark 4
            records [8]
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
            records [50, 90]
            records [10]
            watermark 9
            records [95]
            records [20]
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
            records [50]
            watermark 49
            records [60]
            watermark 59
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
            records [50]
            watermark 49
            idle
            watermark 49
            records [70]
            watermark 69
            records [51]
        "#]],
    );
}
