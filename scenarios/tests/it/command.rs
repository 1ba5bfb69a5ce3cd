//! The `floodmark` command, as a user meets it.

use std::{
    process::{Command, Output},
    time::Duration,
};

use floodmark_scenarios::{
    ReplayFile,
    faults::{at, keys_with},
};
use floodmark_sim::Fault;

fn floodmark(arguments: &[&str]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_floodmark"));
    command.args(arguments).output().expect("the command can be started")
}

fn json(output: &Output) -> serde_json::Value {
    let text = String::from_utf8_lossy(&output.stdout);
    serde_json::from_str(text.lines().next().expect("there is a line")).expect("it is JSON")
}

fn lines(output: &Output) -> Vec<serde_json::Value> {
    let text = String::from_utf8_lossy(&output.stdout);
    text.lines().map(|line| serde_json::from_str(line).expect("it is JSON")).collect()
}

#[expect(clippy::disallowed_methods, reason = "a file of the test's, not a node's")]
fn write(path: &str, content: &[u8]) {
    std::fs::write(path, content).expect("a file can be written");
}

#[test]
fn one_seed_in_two_processes_has_one_hash() {
    let run = || floodmark(&["run", "flights", "--seed", "7", "--json"]);
    let (first, second) = (run(), run());
    assert!(first.status.success(), "{first:?}");
    assert_eq!(json(&first)["hash"], json(&second)["hash"]);
    assert_eq!(json(&first)["hash"].as_str().map(str::len), Some(32));
}

#[test]
fn a_job_is_explained_without_running_it() {
    let explained = |format: &[&str]| {
        let output = floodmark(&[&["explain", "flights"], format].concat());
        assert!(output.status.success(), "{output:?}");
        String::from_utf8_lossy(&output.stdout).into_owned()
    };
    assert!(explained(&[]).contains(": exactly once"));
    assert!(explained(&["--format", "dot"]).starts_with("digraph \"flights\" {"));
    assert!(explained(&["--format", "mermaid"]).starts_with("flowchart LR"));
}

#[test]
fn a_recording_is_replayed_from_its_file() {
    let directory = tempfile::tempdir().expect("a directory");
    let file = directory.path().join("run.json");
    let file = file.to_str().expect("a plain path");
    let recorded = floodmark(&["run", "chaos", "--seed", "11", "--record", file, "--json"]);
    let replayed = floodmark(&["replay", file, "--json"]);
    assert!(replayed.status.success(), "{replayed:?}");
    assert_eq!(json(&recorded)["hash"], json(&replayed)["hash"]);
}

#[test]
fn a_recording_that_nobody_survives_is_replayed_with_a_warning() {
    let directory = tempfile::tempdir().expect("a directory");
    let path = directory.path().join("run.json");
    let file = path.to_str().expect("a plain path");
    floodmark(&["run", "calm", "--seed", "3", "--record", file]);
    let fair = floodmark(&["replay", file]);
    assert!(fair.stderr.is_empty(), "{fair:?}");

    let mut recording = ReplayFile::read(&path).expect("it was written");
    let second = Duration::from_secs(1);
    let stale = Fault::StaleListing { store: keys_with("/log"), age: second, lasts: second };
    recording.faults.0.push(at(second, stale));
    recording.write(&path).expect("it can be written");
    let unfair = floodmark(&["replay", file]);
    let warning = String::from_utf8_lossy(&unfair.stderr);
    assert!(warning.contains("a stale listing of the job's log"), "{unfair:?}");
    assert!(!unfair.stdout.is_empty(), "it runs all the same: {unfair:?}");
}

#[test]
fn a_sweep_tells_what_it_saw() {
    let output = floodmark(&["sweep", "calm", "worker_crash", "--seeds", "3..6", "--json"]);
    assert!(output.status.success(), "{output:?}");
    let rows: Vec<_> = lines(&output).into_iter().filter(|row| row["line"] == "scenario").collect();
    assert_eq!(rows.len(), 2);
    assert!(rows.iter().all(|row| row["ok"] == true && row["runs"] == 3), "{rows:?}");
}

#[test]
fn merged_shards_are_the_whole_sweep() {
    let directory = tempfile::tempdir().expect("a directory");
    let swept = |name: &str, arguments: &[&str]| {
        let path = directory.path().join(name).to_str().expect("a plain path").to_owned();
        let output = floodmark(&[&["sweep"][..], arguments, &["--json"]].concat());
        assert!(output.status.success(), "{output:?}");
        write(&path, &output.stdout);
        path
    };
    let sweep = ["calm", "worker_crash", "--seeds", "2..7"];
    let whole = swept("whole", &sweep);
    let shards = ["1/2", "2/2"]
        .map(|shard| swept(&shard.replace('/', "-"), &[&sweep[..], &["--shard", shard]].concat()));
    let merged = floodmark(&["sweep", "merge", &shards[0], &shards[1], "--json"]);
    assert!(merged.status.success(), "{merged:?}");
    let again = floodmark(&["sweep", "merge", &whole, "--json"]);
    let without_parts = |output: &Output| {
        let is_kept = |row: &serde_json::Value| row["line"] == "scenario";
        lines(output).into_iter().filter(is_kept).collect::<Vec<_>>()
    };
    assert_eq!(without_parts(&merged), without_parts(&again));
    let last = |output: &Output| lines(output).pop().expect("there is a last line");
    assert_eq!(last(&merged)["new_percent"], last(&again)["new_percent"]);
    assert_eq!(last(&merged)["runs"], 10);

    let twice = floodmark(&["sweep", "merge", &whole, &shards[0]]);
    assert_eq!(twice.status.code(), Some(2), "{twice:?}");
    let complaint = String::from_utf8_lossy(&twice.stderr);
    assert!(complaint.contains("both ran calm with seed"), "{complaint}");
}

#[test]
fn a_sweep_stops_when_its_time_is_up() {
    let output =
        floodmark(&["sweep", "calm", "--time-budget", "300ms", "--threads", "1", "--json"]);
    assert!(output.status.success(), "{output:?}");
    let last = lines(&output).pop().expect("there is a last line");
    assert_eq!(last["parts"][0]["end"], "out_of_time");
    let runs = last["runs"].as_u64().expect("a count");
    assert_eq!(last["parts"][0]["seeds"]["end"], runs, "every seed that was begun has ended");
    assert_ne!(runs, 0);
}

/// Returns whether a process has a handler for the second signal, `SIGINT`.
#[cfg(target_os = "linux")]
#[expect(clippy::disallowed_methods, reason = "the real machine is asked about a real process")]
fn listens_to_interrupts(process: u32) -> bool {
    let status = std::fs::read_to_string(format!("/proc/{process}/status"));
    let status = status.expect("the process has not ended");
    let caught = status.lines().find_map(|line| line.strip_prefix("SigCgt:"));
    let caught = u64::from_str_radix(caught.expect("the line is there").trim(), 16);
    caught.expect("a mask") & (1 << 1) != 0
}

/// Starts a long sweep, interrupts it once it runs, and returns what it says.
#[cfg(target_os = "linux")]
#[test]
fn an_interrupted_sweep_tells_what_it_has_seen() {
    use std::{io::Read as _, process::Stdio};

    let mut command = Command::new(env!("CARGO_BIN_EXE_floodmark"));
    command.args(["sweep", "calm", "--seeds", "1000000", "--threads", "1", "--json"]);
    let mut child = command.stdout(Stdio::piped()).spawn().expect("the command can be started");
    // Until it listens to the signal, the signal would end it, in silence.
    while !listens_to_interrupts(child.id()) {
        std::thread::yield_now();
    }
    let kill = format!("kill -INT {}", child.id());
    let status = Command::new("sh").args(["-c", &kill]).status().expect("there is a shell");
    assert!(status.success());
    let status = child.wait().expect("it ends");
    assert_eq!(status.code(), Some(130));
    let mut text = String::new();
    child.stdout.take().expect("it is piped").read_to_string(&mut text).expect("it is text");
    let last = text.lines().last().expect("there is a last line");
    let last: serde_json::Value = serde_json::from_str(last).expect("it is JSON");
    assert_eq!(last["parts"][0]["end"], "interrupted");
    assert_eq!(last["ok"], true);
}

/// Closes the output before anything is written to it.
#[test]
fn a_reader_who_leaves_ends_the_command_without_a_word() {
    use std::{io::pipe, process::Stdio};

    for arguments in [&["list"][..], &["run", "flights"], &["sweep", "calm", "--seeds", "2"]] {
        let (reader, writer) = pipe().expect("a pipe");
        let mut command = Command::new(env!("CARGO_BIN_EXE_floodmark"));
        command.args(arguments).stdout(writer).stderr(Stdio::piped());
        drop(reader);
        let output = command.output().expect("the command can be started");
        assert_eq!(output.status.code(), Some(141), "{arguments:?}");
        assert_eq!(String::from_utf8_lossy(&output.stderr), "", "{arguments:?}");
    }
}

#[test]
fn wrong_usage_is_told_apart_from_a_broken_promise() {
    for (arguments, words) in [
        (&["run", "no_such_story"][..], "there is no scenario \"no_such_story\""),
        (&["sweep", "calm", "--seeds", "5..5"], "has no seed in it"),
        (&["sweep", "calm", "--shard", "3/2"], "shards are numbered from 1"),
        (&["sweep", "calm", "--time-budget", "soon"], "is not a time like"),
        (&["sweep", "merge", "no/such/file.jsonl"], "no/such/file.jsonl"),
        (&["replay", "no/such/file.json"], "no/such/file.json"),
    ] {
        let output = floodmark(arguments);
        assert_eq!(output.status.code(), Some(2), "{output:?}");
        let complaint = String::from_utf8_lossy(&output.stderr);
        assert!(complaint.contains(words), "{complaint}");
    }
}

#[test]
fn list_names_every_scenario() {
    let output = floodmark(&["list"]);
    let text = String::from_utf8_lossy(&output.stdout);
    for scenario in floodmark_scenarios::catalog::ALL {
        assert!(text.contains(scenario.name), "{text}");
    }
}

#[test]
fn a_workload_is_measured_beside_its_loop() {
    let output = floodmark(&["bench", "w1", "--events", "2000", "--baseline", "--json"]);
    assert!(output.status.success(), "{output:?}");
    let lines = lines(&output);
    let [by_hand, job, ratio] = lines.as_slice() else { panic!("three lines: {lines:?}") };
    assert_eq!((&by_hand["peer"], &job["peer"]), (&"loop".into(), &"floodmark".into()));
    assert_eq!((&by_hand["rows"], &by_hand["check"]), (&job["rows"], &job["check"]));
    assert!(ratio["cpu_ratio"].as_f64().is_some());
}

#[test]
fn a_job_in_two_processes_comes_to_the_rows_of_the_loop() {
    let output =
        floodmark(&["bench", "w3", "--events", "30000", "--remote", "--baseline", "--json"]);
    assert!(output.status.success(), "{output:?}");
    let runs = lines(&output);
    assert_eq!(runs[0]["check"], runs[1]["check"]);
    assert_eq!(runs[0]["peer"], "loop");
    assert_eq!(runs[1]["variant"], "exactly-once, 1000 ms, two processes");
}

#[test]
fn the_simulator_is_measured_with_and_without_its_checks() {
    let output = floodmark(&["bench", "sim", "--events", "2", "--json"]);
    assert!(output.status.success(), "{output:?}");
    assert_eq!(json(&output)["run_count"], 2);
    assert_eq!(json(&output)["fault_count"], 3);
}
