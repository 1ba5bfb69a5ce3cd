//! What cannot work is refused in words that name the culprit: without a panic, a hang, or a loss.

use std::time::Duration;

use expect_test::{Expect, expect};
use floodmark::{
    CheckpointConfig, Context, Environment, ErrorKind, ErrorPolicy, Failed, FileSink, KeyedProcess,
    Line, Malformed, MalformedLine, OutputTag, Stream, TextFile, Tumbling,
};
use serde::{Deserialize, Serialize};

use crate::machine::{Folder, run, sorted};

const SECOND: Duration = Duration::from_secs(1);

/// Asserts that the job of `connect` cannot be built.
fn check_build(env: Environment, connect: impl FnOnce(&Environment), expected: Expect) {
    connect(&env);
    let Err(error) = env.build("job") else { panic!("the job is built") };
    assert_eq!(error.kind(), ErrorKind::Job);
    expected.assert_eq(&error.to_string());
}

/// Asserts that the job of `connect` fails, and is not started again.
async fn check_run(folder: &Folder, connect: impl FnOnce(&Environment), expected: Expect) {
    let env = folder.environment();
    connect(&env);
    let Err(error) = run(&env).await else { panic!("the job finishes") };
    assert_eq!(error.kind(), ErrorKind::Failure);
    // One line for each thing that is named, from the outside in.
    expected.assert_eq(&folder.anonymous(&error.to_string()).replace(": ", ":\n"));
}

fn numbers(env: &Environment) -> Stream<u32> {
    env.from_vec("numbers", vec![1, 2, 3])
}

fn checkpointed() -> Environment {
    Environment::new().checkpoints(CheckpointConfig::every(SECOND))
}

/// Counts the numbers of each second.
fn count(env: &Environment) -> Stream<u64> {
    let keyed = numbers(env).key_by(|number| *number);
    let windows = keyed.window(Tumbling::event_time(SECOND)).fold(0, |count, _| *count += 1);
    windows.map(|(_, _, count)| count)
}

#[test]
fn parallelism_is_at_most_the_number_of_key_groups() {
    let env = Environment::new().parallelism(9).key_groups(8);
    check_build(
        env,
        |env| numbers(env).print(),
        expect![
            "parallelism 9 is zero or above the number of key groups, 8; raise `key_groups` or lower `parallelism`"
        ],
    );
}

#[test]
fn the_parallelism_of_one_operator_is_at_most_the_number_of_key_groups() {
    let env = Environment::new().key_groups(8);
    check_build(
        env,
        |env| numbers(env).map(|n| n).parallelism(9).print(),
        expect![
            "parallelism 9 is zero or above the number of key groups, 8; raise `key_groups` or lower `parallelism`"
        ],
    );
}

#[test]
fn parallelism_is_not_zero() {
    check_build(
        Environment::new().parallelism(0),
        |env| numbers(env).print(),
        expect!["parallelism is 0, and must lie in 1..=65535"],
    );
}

#[test]
fn two_operators_have_different_uids() {
    let connect = |env: &Environment| {
        let keyed = numbers(env).key_by(|number| *number);
        let sums = keyed.reduce(|left, right| left + right).uid("sum");
        sums.key_by(|sum| *sum).reduce(u32::max).name("maximum").uid("sum").print();
    };
    check_build(
        Environment::new(),
        connect,
        expect![[r#"the uid "sum" is used by "reduce" and by "maximum""#]],
    );
}

#[test]
fn a_source_and_a_sink_have_different_uids() {
    let connect = |env: &Environment| drop(numbers(env).collect("numbers"));
    check_build(
        Environment::new(),
        connect,
        expect![[r#"the uid "numbers" is used by "numbers" and by "numbers""#]],
    );
}

#[test]
fn with_checkpoints_a_window_has_a_uid() {
    check_build(
        checkpointed(),
        |env| count(env).print(),
        expect![[r#""window fold" keeps state and has no uid; add `.uid("…")` after it"#]],
    );
}

#[test]
fn without_checkpoints_a_window_needs_no_uid() {
    let env = Environment::new();
    count(&env).print();
    assert!(env.build("job").is_ok());
}

#[test]
fn a_checkpoint_has_at_least_the_interval_to_complete() {
    let checkpoints = CheckpointConfig::every(SECOND).timeout(SECOND / 2);
    let env = Environment::new().checkpoints(checkpoints);
    check_build(
        env,
        |env| numbers(env).print(),
        expect!["the checkpoint timeout (500ms) is shorter than the interval (1s)"],
    );
}

#[test]
fn a_union_has_no_uid() {
    let connect = |env: &Environment| {
        let others = env.from_vec("others", vec![4]);
        numbers(env).union(others).uid("both").print();
    };
    check_build(
        Environment::new(),
        connect,
        expect![[
            r#"the uid "both" is for one operator, and this stream is a union or a side output"#
        ]],
    );
}

#[test]
fn a_job_has_a_source() {
    check_build(Environment::new(), |_| {}, expect!["the job has no source"]);
}

#[test]
fn a_side_output_has_one_type() {
    let connect = |env: &Environment| {
        let sums = numbers(env).map(|number| number).name("identity");
        sums.side_output(OutputTag::<u32>::new("rest")).print();
        sums.side_output(OutputTag::<String>::new("rest")).print();
    };
    check_build(
        Environment::new(),
        connect,
        expect![[r#"the side output "rest" of "identity" is consumed as two different types"#]],
    );
}

#[test]
fn storage_has_no_parent_in_its_path() {
    let env = Environment::new().storage("a/../b");
    check_build(
        env,
        |env| numbers(env).print(),
        expect![[r#"the path "a/../b" contains `..`; write it without"#]],
    );
}

#[test]
fn storage_has_one_spelling() {
    let env = Environment::new().storage("./a//b/");
    numbers(&env).print();
    assert_eq!(env.build("job").unwrap().storage(), "a/b");
}

#[test]
fn the_name_of_a_job_is_that_of_a_directory() {
    for name in ["", ".", "../job", "/job", "a//b"] {
        let env = Environment::new();
        numbers(&env).print();
        let Err(error) = env.build(name) else { panic!("a job has the name {name:?}") };
        let expected = format!("the job name {name:?} is no name of a directory below the storage");
        assert_eq!(error.to_string(), expected);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_missing_file_fails_the_job() {
    let folder = Folder::new();
    let file = TextFile::new(&folder.path("missing.csv"));
    check_run(
        &folder,
        |env| env.source("lines", file).print(),
        expect![[r#"
        the job failed:
        lines → print [0]:
        operator lines:
        the file "<folder>/missing.csv" does not exist"#]],
    )
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_directory_is_not_a_file() {
    let folder = Folder::new();
    folder.write("x.csv", "1\n");
    let file = TextFile::new(&folder.path(""));
    check_run(
        &folder,
        |env| env.source("lines", file).print(),
        expect![[r#"
        the job failed:
        lines → print [0]:
        operator lines:
        the file "<folder>" does not exist"#]],
    )
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_file_has_no_parent_in_its_path() {
    let folder = Folder::new();
    let file = TextFile::new("data/../x.csv");
    check_run(
        &folder,
        |env| env.source("lines", file).print(),
        expect![[r#"
        the job failed:
        lines → print [0]:
        operator lines:
        the path "data/../x.csv" contains `..`; write it without"#]],
    )
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_path_may_be_spelled_in_many_ways() {
    let folder = Folder::new();
    folder.write("x.txt", "one\ntwo\n");
    let env = folder.environment();
    let lines = env.source("lines", TextFile::new(&folder.path(".//./x.txt")));
    let text = |line: &Line| line.text().unwrap().to_owned();
    lines.sink("copy", FileSink::new(&folder.path("./output//"), text));
    // The tests run in the directory of the crate.
    let manifest = env.source("manifest", TextFile::new("./Cargo.toml")).collect("manifest lines");
    run(&env).await.unwrap();
    assert_eq!(folder.lines("output"), ["one", "two"]);
    assert!(manifest.values().iter().any(|line| line.content == b"name = \"floodmark\""));
}

#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
struct Reading {
    sensor: String,
    level: u32,
}

const BROKEN: OutputTag<MalformedLine> = OutputTag::new("broken");

/// Asserts that a file with `content` fails the job that parses it.
async fn check_csv(content: impl AsRef<[u8]>, expected: Expect) {
    let folder = Folder::new();
    let file = TextFile::new(&folder.write("x.csv", content));
    let connect = |env: &Environment| {
        env.source("lines", file).parse_csv::<Reading>(Malformed::Fail).print();
    };
    check_run(&folder, connect, expected).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_malformed_line_fails_the_job() {
    check_csv(
        "a,1\nb,high\n",
        expect![[r#"
        the job failed:
        lines → parse_csv → print [0]:
        operator parse_csv:
        "<folder>/x.csv":
        the line at byte 4:
        column 2:
        invalid digit found in string"#]],
    )
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_line_without_enough_columns_fails_the_job() {
    check_csv(
        "a,1\nb\n",
        expect![[r#"
        the job failed:
        lines → parse_csv → print [0]:
        operator parse_csv:
        "<folder>/x.csv":
        the line at byte 4:
        invalid length 1, expected struct Reading with 2 elements"#]],
    )
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_empty_line_fails_the_job() {
    check_csv(
        "a,1\n\nb,2\n",
        expect![[r#"
        the job failed:
        lines → parse_csv → print [0]:
        operator parse_csv:
        "<folder>/x.csv":
        the line at byte 4:
        the line is empty"#]],
    )
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn invalid_utf_8_fails_the_job() {
    check_csv(
        b"a,1\n\xff,2\n",
        expect![[r#"
        the job failed:
        lines → parse_csv → print [0]:
        operator parse_csv:
        "<folder>/x.csv":
        the line at byte 4:
        column 1:
        invalid UTF-8"#]],
    )
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_carriage_return_inside_a_line_hides_nothing() {
    check_csv(
        "a,1\rb,2\r\n",
        expect![[r#"
        the job failed:
        lines → parse_csv → print [0]:
        operator parse_csv:
        "<folder>/x.csv":
        the line at byte 0:
        column 2:
        invalid digit found in string"#]],
    )
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn malformed_lines_go_to_the_side_output_and_all_others_are_processed() {
    let folder = Folder::new();
    let path = folder.write("x.csv", b"a,1\nb,high\n\"c,c\",3\n\n\xff,4\nd,5,extra");
    let env = folder.environment();
    let readings =
        env.source("lines", TextFile::new(&path)).parse_csv::<Reading>(Malformed::To(BROKEN));
    let broken = readings.side_output(BROKEN).collect("broken");
    let readings = readings.collect("readings");
    run(&env).await.unwrap();
    let readings = sorted(readings.values().into_iter().map(|one| (one.sensor, one.level)));
    expect![[r#"
        [
            (
                "a",
                1,
            ),
            (
                "c,c",
                3,
            ),
            (
                "d",
                5,
            ),
        ]
    "#]]
    .assert_debug_eq(&readings);
    let broken = broken.values().into_iter().map(|MalformedLine { line, reason }| {
        assert_eq!(line.path, path);
        format!("{}: {:?}: {reason}", line.offset, String::from_utf8_lossy(&line.content))
    });
    expect![[r#"
        4: "b,high": column 2: invalid digit found in string
        19: "": the line is empty
        20: "�,4": column 1: invalid UTF-8"#]]
    .assert_eq(&broken.collect::<Vec<_>>().join("\n"));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_user_function_meets_invalid_utf_8_as_an_error() {
    let folder = Folder::new();
    let file = TextFile::new(&folder.write("x.txt", b"fine\n\xff\n"));
    let connect = |env: &Environment| {
        env.source("lines", file)
            .for_each("reader", |line| line.text().map(drop).map_err(Into::into));
    };
    check_run(
        &folder,
        connect,
        expect![[r#"
        the job failed:
        lines → reader [0]:
        operator reader:
        invalid utf-8 sequence of 1 bytes from index 0"#]],
    )
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn output_does_not_go_below_a_file() {
    let folder = Folder::new();
    let output = format!("{}/output", folder.write("file", "mine"));
    let connect = |env: &Environment| {
        numbers(env).sink("numbers out", FileSink::new(&output, u32::to_string));
    };
    check_run(&folder, connect, expect![[r#"
        the job failed:
        numbers → numbers out [0]:
        commit of checkpoint 0 in numbers out:
        object <folder>/file/output/_staged/numbers out-00000/000001-000001-000000000:
        <folder>/file/output/_staged/numbers out-00000/000001-000001-000000000:
        Unable to open file <folder>/file/output/_staged/numbers out-00000/000001-000001-000000000#1:
        Not a directory (os error 20)"#]]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn output_has_no_parent_in_its_path() {
    let folder = Folder::new();
    let connect = |env: &Environment| {
        numbers(env).sink("numbers out", FileSink::new("../output", u32::to_string));
    };
    check_run(
        &folder,
        connect,
        expect![[r#"
        the job failed:
        numbers → numbers out [0]:
        operator numbers out:
        the path "../output" contains `..`; write it without"#]],
    )
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn unusable_storage_is_told_before_anything_starts() {
    let folder = Folder::new();
    let storage = format!("{}/checkpoints", folder.write("file", "mine"));
    let env = checkpointed().storage(&storage);
    numbers(&env).collect("kept");
    let Err(error) = env.execute("job").await else { panic!("the job starts") };
    assert_eq!(error.kind(), ErrorKind::Machine);
    let words = error.to_string();
    assert!(words.starts_with(&format!("storing checkpoints under {storage:?}: ")), "{words}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_panic_names_the_operator() {
    let folder = Folder::new();
    let connect = |env: &Environment| {
        let tasted = numbers(env).map(|number| {
            assert!(number != 2, "two is bitter");
            number
        });
        tasted.name("taster").print();
    };
    check_run(
        &folder,
        connect,
        expect![[r#"
        the job failed:
        numbers → taster → print [0]:
        the task panicked:
        two is bitter"#]],
    )
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_error_names_the_operator() {
    let folder = Folder::new();
    let connect = |env: &Environment| {
        numbers(env).for_each("taster", |number| match number {
            2 => Err("two is bitter".into()),
            _ => Ok(()),
        });
    };
    check_run(
        &folder,
        connect,
        expect![[r#"
        the job failed:
        numbers → taster [0]:
        operator taster:
        two is bitter"#]],
    )
    .await;
}

/// Refuses a number.
#[derive(Clone)]
struct Refuse(u64);

impl KeyedProcess for Refuse {
    type Key = u64;
    type In = u64;
    type Out = u64;

    fn on_element(
        &mut self,
        value: u64,
        _: &mut Context<'_, u64, u64>,
    ) -> Result<(), floodmark::BoxError> {
        if value == self.0 { Err(format!("{value} is refused").into()) } else { Ok(()) }
    }
}

/// The subtask that failed takes others with it, whose channels break. They are not the culprits.
#[tokio::test(flavor = "multi_thread")]
async fn the_first_failure_is_the_reason() {
    let folder = Folder::new();
    for _ in 0..20 {
        let env = folder.environment().parallelism(3).batch_size(1);
        env.from_vec("numbers", (0..10_000).collect())
            .key_by(|number| *number)
            .process(Refuse(3_000))
            .key_by(|number| *number)
            .reduce(u64::max)
            .for_each("nowhere", |_| Ok(()));
        let error = run(&env).await.unwrap_err().to_string();
        assert!(error.ends_with("3000 is refused"), "{error}");
        assert!(error.starts_with("the job failed: process ["), "{error}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_record_that_a_function_cannot_take_fails_the_job_unless_it_says_otherwise() {
    let odd = |number: u32| match number % 2 {
        1 => Ok(number),
        _ => Err(format!("{number} is even").into()),
    };
    let folder = Folder::new();
    check_run(
        &folder,
        |env| numbers(env).try_map(ErrorPolicy::Fail, odd).print(),
        expect![[r#"
            the job failed:
            numbers → try_map → print [0]:
            operator try_map:
            2 is even"#]],
    )
    .await;

    const EVEN: OutputTag<Failed<u32>> = OutputTag::new("even");
    let folder = Folder::new();
    let env = folder.environment();
    let numbers = numbers(&env);
    let skipped = numbers.clone().map(|n| n + 1).try_map(ErrorPolicy::Skip, odd).collect("skipped");
    let to_side = numbers.try_map(ErrorPolicy::To(EVEN), odd);
    let (failed, kept) = (to_side.side_output(EVEN).collect("failed"), to_side.collect("kept"));
    run(&env).await.unwrap();
    assert_eq!((kept.values(), skipped.values()), (vec![1, 3], vec![3]));
    assert_eq!(failed.values(), [Failed { value: 2, reason: "2 is even".to_owned() }]);
}
