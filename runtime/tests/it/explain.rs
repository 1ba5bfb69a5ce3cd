//! What a job says of itself before it runs.

use std::time::Duration;

use expect_test::{Expect, expect};
use floodmark::{
    BoxError, BroadcastRead, BroadcastWrite, CheckpointConfig, Context, Delivery, Environment,
    FileSink, Guarantee, KeyedBroadcastProcess, KeyedCoProcess, LocalCopies, OutputTag,
    ProcessFunction, Record, RecordContext, RestartStrategy, RuleContext, Source, SplitReader,
    TextFile, Tumbling, WatermarkStrategy, Writer,
    platform::{BoxFuture, Machine},
};

fn environment() -> Environment {
    Environment::new()
        .parallelism(2)
        .checkpoints(CheckpointConfig::every(Duration::from_secs(10)))
        .restart(RestartStrategy::FixedDelay { attempts: 3, delay: Duration::from_secs(1) })
}

#[track_caller]
fn check(env: &Environment, want: Expect) {
    let explained = env.explain("job").expect("the job has no mistake").to_string();
    want.assert_eq(&explained);
    // What is explained is what is built.
    let built = env.build("job").expect("an explanation leaves the job as it is");
    assert_eq!(built.explain().to_string(), explained);
}

/// A source like a socket: what it has yielded is gone.
#[derive(Clone)]
struct Once;

impl Source for Once {
    type Out = u64;
    type Split = ();

    fn splits(&self, _: &Machine, _: u16) -> BoxFuture<Result<Vec<()>, BoxError>> {
        unreachable!("the job does not run")
    }

    fn read(&self, _: &Machine, (): ()) -> Box<dyn SplitReader<Self>> {
        unreachable!("the job does not run")
    }

    fn is_replayable(&self) -> bool {
        false
    }
}

/// Writes by key into a table.
#[derive(Clone)]
struct Upsert;

impl Writer<u64> for Upsert {
    const DELIVERY: Delivery = Delivery::Idempotent;

    fn write(&mut self, _: Record<u64>) -> Result<(), BoxError> {
        unreachable!("the job does not run")
    }
}

fn words(env: &Environment) {
    env.source("lines", TextFile::new("input/lines.txt"))
        .filter(|line| !line.content.is_empty())
        .map(|line| (String::from_utf8_lossy(&line.content).into_owned(), 0))
        .watermarks(WatermarkStrategy::ascending().timestamps(|(_, time): &(String, i64)| *time))
        .key_by(|(word, _)| word.clone())
        .window(Tumbling::event_time(Duration::from_secs(5)))
        .count()
        .uid("count")
        .map(|(word, _, count)| (word, count))
        .sink(
            "counts",
            FileSink::new("output", |(word, count): &(String, u64)| format!("{word},{count}")),
        );
}

#[test]
fn a_job_from_a_file_into_files_is_exactly_once() {
    let env = environment();
    words(&env);
    check(
        &env,
        expect![[r#"
        job "job": 2 vertices, 4 subtasks, 2 slots, 128 key groups
        checkpoints: every 10s, in "checkpoints"
        after a failure: the job begins from its last checkpoint, 1s later, at most 3 times

        vertex 0: 2 subtasks
          source "lines": keeps positions, can be read again
          "filter"
          "map"
          "watermarks": uid "lines/watermarks", keeps event time per split

        vertex 1: 2 subtasks, 64 key groups each
          <- "watermarks" in vertex 0, hash
          "window aggregate": uid "count", keeps windows per key
          "map"
          sink "counts": keeps prepared transactions

        from "lines" to "counts": exactly once
          source  exactly once   the source "lines" is read again from its position in a checkpoint
          engine  exactly once   all state goes back to one checkpoint, and positions with it
          sink    exactly once   the sink "counts" commits what a completed checkpoint covers, and nothing else
    "#]],
    );
}

#[test]
fn without_checkpoints_nothing_is_promised() {
    let env = Environment::new();
    words(&env);
    check(
        &env,
        expect![[r#"
        job "job": 1 vertex, 1 subtask, 1 slot, 128 key groups
        checkpoints: none
        after a failure: the job ends; started again, it begins anew

        vertex 0: 1 subtask
          source "lines": keeps positions, can be read again
          "filter"
          "map"
          "watermarks": uid "lines/watermarks", keeps event time per split
          "window aggregate": uid "count", keeps windows per key
          "map"
          sink "counts": keeps prepared transactions

        from "lines" to "counts": nothing, because of the engine
          source  exactly once   the source "lines" is read again from its position in a checkpoint
          engine  nothing        there are no checkpoints: after a failure nothing is known of what came before
          sink    exactly once   the sink "counts" commits; without checkpoints only when the job has finished
    "#]],
    );
}

#[test]
fn a_source_that_cannot_be_read_again_loses_records() {
    let env = environment().restart(RestartStrategy::None);
    let numbers = env.source("socket", Once);
    numbers.clone().for_each("alert", |_| Ok(()));
    numbers.key_by(|_| ()).reduce(|left, right| left + right).uid("total").print();
    check(
        &env,
        expect![[r#"
        job "job": 2 vertices, 4 subtasks, 2 slots, 128 key groups
        checkpoints: every 10s, in "checkpoints"
        after a failure: the job ends; started again, it goes on from a checkpoint

        vertex 0: 2 subtasks
          source "socket": keeps positions, cannot be read again
          sink "alert"

        vertex 1: 2 subtasks, 64 key groups each
          <- "socket" in vertex 0, hash
          "reduce": uid "total", keeps one record per key
          sink "print"

        from "socket" to "alert": at most once, because of the source
          source  at most once   the source "socket" cannot be read again: what it has yielded since the last checkpoint is lost with a failure
          engine  exactly once   all state goes back to one checkpoint, and positions with it
          sink    at least once  the sink "alert" writes again what comes again, which here is what windows and timers have made since the last checkpoint

        from "socket" to "print": at most once, because of the source
          source  at most once   the source "socket" cannot be read again: what it has yielded since the last checkpoint is lost with a failure
          engine  exactly once   all state goes back to one checkpoint, and positions with it
          sink    at least once  the sink "print" writes again what comes again, which here is what windows and timers have made since the last checkpoint
    "#]],
    );
}

#[test]
fn a_sink_says_how_it_writes() {
    let env = environment();
    let numbers = env.from_vec("numbers", vec![1, 2, 3]).name("the first three numbers");
    numbers.clone().write("table", Upsert);
    numbers.clone().collect("committed");
    numbers.print();
    let explanation = env.explain("job").unwrap();
    let paths = explanation.paths().iter();
    let found: Vec<_> = paths.map(|path| (path.sink(), path.of_sink(), path.guarantee())).collect();
    assert_eq!(
        found,
        [
            ("table", Guarantee::ExactlyOnce, Guarantee::ExactlyOnce),
            ("committed", Guarantee::ExactlyOnce, Guarantee::ExactlyOnce),
            ("print", Guarantee::AtLeastOnce, Guarantee::AtLeastOnce),
        ]
    );
    check(
        &env,
        expect![[r#"
        job "job": 1 vertex, 2 subtasks, 2 slots, 128 key groups
        checkpoints: every 10s, in "checkpoints"
        after a failure: the job begins from its last checkpoint, 1s later, at most 3 times

        vertex 0: 2 subtasks
          source "the first three numbers": uid "numbers", keeps positions, can be read again
            sink "table"
            sink "committed": keeps prepared transactions
            sink "print"

        from "the first three numbers" to "table": exactly once
          source  exactly once   the source "the first three numbers" is read again from its position in a checkpoint
          engine  exactly once   all state goes back to one checkpoint, and positions with it
          sink    exactly once   the sink "table" overwrites what it wrote before, though until it has caught up readers can see earlier values again

        from "the first three numbers" to "committed": exactly once
          source  exactly once   the source "the first three numbers" is read again from its position in a checkpoint
          engine  exactly once   all state goes back to one checkpoint, and positions with it
          sink    exactly once   the sink "committed" commits what a completed checkpoint covers, and nothing else

        from "the first three numbers" to "print": at least once, because of the sink
          source  exactly once   the source "the first three numbers" is read again from its position in a checkpoint
          engine  exactly once   all state goes back to one checkpoint, and positions with it
          sink    at least once  the sink "print" writes again what came since the last checkpoint
    "#]],
    );
}

const ODD: OutputTag<u64> = OutputTag::new("odd");

/// Sends odd numbers aside.
#[derive(Clone)]
struct Split;

impl ProcessFunction for Split {
    type In = u64;
    type Out = u64;

    fn on_element(&mut self, _: u64, _: &mut RecordContext<'_, u64>) -> Result<(), BoxError> {
        unreachable!("the job does not run")
    }
}

/// Branches, a union, a side output, and a stream that goes nowhere.
fn branches(env: &Environment) {
    let north = env.from_vec("north", vec![1_u64]);
    let south = env.from_vec("south", vec![2_u64]).parallelism(1);
    let split = north.union(south).rebalance().process(Split);
    split.side_output(ODD).map(|odd| odd + 1).collect("odd-seen");
    split.side_output(ODD).broadcast().for_each("everywhere", |_| Ok(()));
    let doubled = split.map(|even| even * 2);
    doubled.clone().filter(|number| *number != 4);
    doubled.collect("even-seen");
}

#[test]
fn branches_unions_and_side_outputs_are_shown() {
    let env = environment().parallelism(3).key_groups(16);
    branches(&env);
    check(
        &env,
        expect![[r#"
        job "job": 4 vertices, 10 subtasks, 3 slots, 16 key groups
        checkpoints: every 10s, in "checkpoints"
        after a failure: the job begins from its last checkpoint, 1s later, at most 3 times

        vertex 0: 3 subtasks
          source "north": keeps positions, can be read again

        vertex 1: 1 subtask
          source "south": keeps positions, can be read again

        vertex 2: 3 subtasks
          <- "north" in vertex 0, rebalance
          <- "south" in vertex 1, rebalance
          "process"
            "map": takes the side output "odd"
            sink "odd-seen": keeps prepared transactions
            "map"
              "filter"
              sink "even-seen": keeps prepared transactions

        vertex 3: 3 subtasks
          <- the side output "odd" of "process" in vertex 2, broadcast
          sink "everywhere"

        from "north" to "odd-seen": exactly once
          source  exactly once   the source "north" is read again from its position in a checkpoint
          engine  exactly once   all state goes back to one checkpoint, and positions with it
          sink    exactly once   the sink "odd-seen" commits what a completed checkpoint covers, and nothing else

        from "north" to "everywhere": at least once, because of the sink
          source  exactly once   the source "north" is read again from its position in a checkpoint
          engine  exactly once   all state goes back to one checkpoint, and positions with it
          sink    at least once  the sink "everywhere" writes again what came since the last checkpoint

        from "north" to "even-seen": exactly once
          source  exactly once   the source "north" is read again from its position in a checkpoint
          engine  exactly once   all state goes back to one checkpoint, and positions with it
          sink    exactly once   the sink "even-seen" commits what a completed checkpoint covers, and nothing else

        from "south" to "odd-seen": exactly once
          source  exactly once   the source "south" is read again from its position in a checkpoint
          engine  exactly once   all state goes back to one checkpoint, and positions with it
          sink    exactly once   the sink "odd-seen" commits what a completed checkpoint covers, and nothing else

        from "south" to "everywhere": at least once, because of the sink
          source  exactly once   the source "south" is read again from its position in a checkpoint
          engine  exactly once   all state goes back to one checkpoint, and positions with it
          sink    at least once  the sink "everywhere" writes again what came since the last checkpoint

        from "south" to "even-seen": exactly once
          source  exactly once   the source "south" is read again from its position in a checkpoint
          engine  exactly once   all state goes back to one checkpoint, and positions with it
          sink    exactly once   the sink "even-seen" commits what a completed checkpoint covers, and nothing else

        nobody takes the records of "filter"
    "#]],
    );
}

/// Two inputs, with state per key.
#[derive(Clone)]
struct Match;

impl KeyedCoProcess for Match {
    type Key = u64;
    type First = u64;
    type Second = String;
    type Out = u64;

    fn on_first(&mut self, _: u64, _: &mut Context<'_, u64, u64>) -> Result<(), BoxError> {
        unreachable!("the job does not run")
    }

    fn on_second(&mut self, _: String, _: &mut Context<'_, u64, u64>) -> Result<(), BoxError> {
        unreachable!("the job does not run")
    }
}

/// Records, and rules that go to everybody.
#[derive(Clone)]
struct Rules;

impl KeyedBroadcastProcess for Rules {
    type Key = u64;
    type In = u64;
    type Rule = u64;
    type Name = u64;
    type Kept = u64;
    type Out = u64;

    fn on_element(
        &mut self,
        _: u64,
        _: BroadcastRead<'_, u64, u64>,
        _: &mut Context<'_, u64, u64>,
    ) -> Result<(), BoxError> {
        unreachable!("the job does not run")
    }

    fn on_rule(
        &mut self,
        _: u64,
        _: BroadcastWrite<'_, u64, u64>,
        _: &mut RuleContext<'_, u64, u64>,
    ) -> Result<(), BoxError> {
        unreachable!("the job does not run")
    }
}

fn two_inputs(env: &Environment) {
    let orders = env.from_vec("orders", vec![1_u64]);
    let paid = env.source("paid", Once).map(|paid| paid.to_string());
    let rules = env.from_vec("rules", vec![3_u64]);
    orders
        .key_by(|order| *order)
        .connect(paid.key_by(|paid| paid.len() as u64))
        .process(Match)
        .uid("match")
        .key_by(|order| *order)
        .with_rules(rules.as_rules())
        .process(Rules)
        .uid("rules-applied")
        .collect("matched");
}

#[test]
fn two_inputs_and_broadcasts_are_shown() {
    let env = environment();
    two_inputs(&env);
    check(
        &env,
        expect![[r#"
        job "job": 5 vertices, 10 subtasks, 2 slots, 128 key groups
        checkpoints: every 10s, in "checkpoints"
        after a failure: the job begins from its last checkpoint, 1s later, at most 3 times

        vertex 0: 2 subtasks
          source "orders": keeps positions, can be read again

        vertex 1: 2 subtasks
          source "paid": keeps positions, cannot be read again
          "map"

        vertex 2: 2 subtasks
          source "rules": keeps positions, can be read again

        vertex 3: 2 subtasks, 64 key groups each
          <- "orders" in vertex 0, hash
          <- "map" in vertex 1, hash, as second input
          "co-process": uid "match", keeps state and timers per key

        vertex 4: 2 subtasks, 64 key groups each
          <- "co-process" in vertex 3, hash
          <- "rules" in vertex 2, broadcast, as second input
          "broadcast": uid "rules-applied", keeps rules, and state and timers per key
          sink "matched": keeps prepared transactions

        from "orders" to "matched": exactly once
          source  exactly once   the source "orders" is read again from its position in a checkpoint
          engine  exactly once   all state goes back to one checkpoint, and positions with it
          sink    exactly once   the sink "matched" commits what a completed checkpoint covers, and nothing else

        from "paid" to "matched": at most once, because of the source
          source  at most once   the source "paid" cannot be read again: what it has yielded since the last checkpoint is lost with a failure
          engine  exactly once   all state goes back to one checkpoint, and positions with it
          sink    exactly once   the sink "matched" commits what a completed checkpoint covers, and nothing else

        from "rules" to "matched": exactly once
          source  exactly once   the source "rules" is read again from its position in a checkpoint
          engine  exactly once   all state goes back to one checkpoint, and positions with it
          sink    exactly once   the sink "matched" commits what a completed checkpoint covers, and nothing else
    "#]],
    );
}

#[test]
fn graphviz_and_mermaid_show_the_same() {
    let env = environment();
    branches(&env);
    let explanation = env.explain("a \"job\"");
    let explanation = explanation.unwrap();
    expect![[r#"
        digraph "a \"job\"" {
          rankdir=LR;
          node [shape=box];
          subgraph cluster_0 {
            label="vertex 0, 2 subtasks";
            operator_0 [label="north\nkeeps positions\ncan be read again", shape=cds];
          }
          subgraph cluster_1 {
            label="vertex 1, 1 subtask";
            operator_1 [label="south\nkeeps positions\ncan be read again", shape=cds];
          }
          subgraph cluster_2 {
            label="vertex 2, 2 subtasks";
            operator_2 [label="process"];
            operator_3 [label="map\ntakes the side output \"odd\""];
            operator_4 [label="odd-seen\nkeeps prepared transactions\nfrom \"north\": exactly once\nfrom \"south\": exactly once", shape=cylinder];
            operator_6 [label="map"];
            operator_7 [label="filter"];
            operator_8 [label="even-seen\nkeeps prepared transactions\nfrom \"north\": exactly once\nfrom \"south\": exactly once", shape=cylinder];
          }
          subgraph cluster_3 {
            label="vertex 3, 2 subtasks";
            operator_5 [label="everywhere\nfrom \"north\": at least once\nfrom \"south\": at least once", shape=cylinder];
          }
          operator_0 -> operator_2 [label="rebalance"];
          operator_1 -> operator_2 [label="rebalance"];
          operator_2 -> operator_3 [label="side output \"odd\""];
          operator_3 -> operator_4;
          operator_2 -> operator_5 [label="side output \"odd\", broadcast"];
          operator_2 -> operator_6;
          operator_6 -> operator_7;
          operator_6 -> operator_8;
        }
    "#]].assert_eq(&explanation.to_dot());
    expect![[r#"
        flowchart LR
          subgraph vertex_0["vertex 0, 2 subtasks"]
            operator_0(["north<br>keeps positions<br>can be read again"])
          end
          subgraph vertex_1["vertex 1, 1 subtask"]
            operator_1(["south<br>keeps positions<br>can be read again"])
          end
          subgraph vertex_2["vertex 2, 2 subtasks"]
            operator_2["process"]
            operator_3["map<br>takes the side output #34;odd#34;"]
            operator_4[("odd-seen<br>keeps prepared transactions<br>from #34;north#34;: exactly once<br>from #34;south#34;: exactly once")]
            operator_6["map"]
            operator_7["filter"]
            operator_8[("even-seen<br>keeps prepared transactions<br>from #34;north#34;: exactly once<br>from #34;south#34;: exactly once")]
          end
          subgraph vertex_3["vertex 3, 2 subtasks"]
            operator_5[("everywhere<br>from #34;north#34;: at least once<br>from #34;south#34;: at least once")]
          end
          operator_0 -->|"rebalance"| operator_2
          operator_1 -->|"rebalance"| operator_2
          operator_2 -->|"side output #34;odd#34;"| operator_3
          operator_3 --> operator_4
          operator_2 -->|"side output #34;odd#34;, broadcast"| operator_5
          operator_2 --> operator_6
          operator_6 --> operator_7
          operator_6 --> operator_8
    "#]].assert_eq(&explanation.to_mermaid());
}

#[test]
fn names_cannot_break_a_picture() {
    let env = Environment::new();
    env.from_vec("a", vec![1]).name("a \"b\"\n<c> # \\ & `d`").print();
    let explanation = env.explain("job").unwrap();
    let line = |picture: &str| {
        let lines = picture.lines().filter(|line| line.contains("<c>") || line.contains("#60;c"));
        lines.map(str::trim).collect::<Vec<_>>().join("\n")
    };
    expect![[r#"
        operator_0 [label="a \"b\"\n<c> # \\ & `d`\nuid \"a\"\nkeeps positions\ncan be read again", shape=cds];
        operator_1 [label="print\nfrom \"a \\\"b\\\"\\n<c> # \\\\ & `d`\": nothing", shape=cylinder];"#]].assert_eq(&line(&explanation.to_dot()));
    expect![[r#"
        operator_0(["a #34;b#34; #60;c#62; #35; #92; #38; #96;d#96;<br>uid #34;a#34;<br>keeps positions<br>can be read again"])
        operator_1[("print<br>from #34;a #92;#34;b#92;#34;#92;n#60;c#62; #35; #92;#92; #38; #96;d#96;#34;: nothing")]"#]].assert_eq(&line(&explanation.to_mermaid()));
}

#[test]
fn mistakes_are_those_of_the_build() {
    let explained = |env: &Environment| env.explain("job").err().unwrap().to_string();

    let env = environment();
    env.from_vec("numbers", vec![1]).key_by(|_| ()).reduce(|left, right| left + right).print();
    let first = explained(&env);
    assert_eq!(first, env.build("job").err().unwrap().to_string());
    expect![[r#""reduce" keeps state and has no uid; add `.uid("…")` after it"#]].assert_eq(&first);

    expect!["the job has no source"].assert_eq(&explained(&environment()));
    expect!["parallelism is 0, and must lie in 1..=65535"]
        .assert_eq(&explained(&environment().parallelism(0)));

    let env = environment();
    let numbers = env.from_vec("numbers", vec![1]);
    let _ = numbers.clone().union(numbers).uid("both");
    expect![[r#"the uid "both" is for one operator, and this stream is a union or a side output"#]]
        .assert_eq(&explained(&env));
    assert!(env.build("job").is_err(), "a mistake is not forgotten");
}

#[test]
fn an_explained_job_can_go_on_growing() {
    let env = environment().checkpoints(
        CheckpointConfig::every(Duration::from_secs(1)).local_copies(LocalCopies::Newest),
    );
    let numbers = env.from_vec("numbers", vec![1]);
    assert!(env.explain("job").unwrap().paths().is_empty());
    numbers.collect("all");
    let explanation = env.explain("job").unwrap();
    let [path] = explanation.paths() else { panic!("there is one path") };
    assert_eq!((path.source(), path.sink()), ("numbers", "all"));
    assert_eq!(
        (path.of_source(), path.of_engine()),
        (Guarantee::ExactlyOnce, Guarantee::ExactlyOnce)
    );
}
