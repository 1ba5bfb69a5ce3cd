//! The `floodmark` command, as a user meets it.

use std::process::{Command, Output};

fn floodmark(arguments: &[&str]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_floodmark"));
    command.args(arguments).output().expect("the command can be started")
}

fn json(output: &Output) -> serde_json::Value {
    let text = String::from_utf8_lossy(&output.stdout);
    serde_json::from_str(text.lines().next().expect("there is a line")).expect("it is JSON")
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
fn a_sweep_tells_what_it_saw() {
    let output = floodmark(&["sweep", "calm", "worker_crash", "--seeds", "3..6", "--json"]);
    assert!(output.status.success(), "{output:?}");
    let text = String::from_utf8_lossy(&output.stdout);
    let rows: Vec<serde_json::Value> =
        text.lines().map(|line| serde_json::from_str(line).expect("it is JSON")).collect();
    assert_eq!(rows.len(), 2);
    assert!(rows.iter().all(|row| row["ok"] == true && row["runs"] == 3), "{rows:?}");
}

#[test]
fn wrong_usage_is_told_apart_from_a_broken_promise() {
    for (arguments, words) in [
        (&["run", "no_such_story"][..], "there is no scenario \"no_such_story\""),
        (&["sweep", "calm", "--seeds", "5..5"], "has no seed in it"),
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
