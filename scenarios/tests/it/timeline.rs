//! The page of a run, in a real browser.

#![expect(clippy::disallowed_methods, reason = "a page is a file that a browser reads")]

use std::{fs, path::PathBuf, process::Command};

use floodmark_scenarios::{Failure, RunOptions, RunReport, catalog, run, timeline};
use tempfile::TempDir;

use crate::browser::{attribute, open};

/// A page must not be larger than this, so that it can be attached to anything.
const SIZE_MAX: usize = 2 << 20;

/// Words that would end the script, and begin another, if they were put into the page as they are.
const HOSTILE: &str = "</script><script>document.title = 'broken'</script><!-- \u{2028} & \"x\"";

fn told(scenario: &str, seed: u64) -> RunReport {
    let scenario = catalog::find(scenario).expect("the scenario is in the catalog");
    let report = run(scenario, seed, &RunOptions { is_told: true, ..RunOptions::default() });
    assert!(report.failure.is_none(), "{report}");
    report
}

/// A run that a check has ended, with a reason that names a subtask and a checkpoint.
fn failed() -> RunReport {
    let mut report = told("lost_barrier", 3);
    report.failure = Some(Failure {
        check: "two_phase".to_owned(),
        reason: format!("subtask 1.0 has not committed checkpoint 2 {HOSTILE}"),
        at: report.virtual_time / 2,
        is_comparison: false,
        story: None,
        log: Vec::new(),
    });
    report
}

fn write(report: &RunReport) -> (TempDir, PathBuf) {
    let directory = tempfile::tempdir().expect("a directory");
    let file = directory.path().join("run.html");
    let page = timeline::page(report).expect("the run was told");
    assert!(page.len() <= SIZE_MAX, "the page has {} bytes", page.len());
    fs::write(&file, page).expect("the page is written");
    (directory, file)
}

#[test]
fn the_failing_check_is_marked_and_its_reason_cannot_break_the_page() {
    let report = failed();
    let (_directory, file) = write(&report);
    let document = open(&file, "");
    assert!(document.contains("id=\"failure-mark\""), "{document}");
    assert_eq!(attribute(&document, "data-check"), "two_phase");
    let at: f64 = attribute(&document, "data-at").parse().expect("a number");
    let failure = report.failure.expect("it failed");
    assert!((at - failure.at.as_secs_f64() * 1_000.0).abs() < 0.01);
    assert!(document.contains("<title>Floodmark: lost_barrier, seed 3</title>"), "{document}");
    assert!(!document.contains("<script>document.title"), "the reason became a script");
}

#[test]
fn every_control_of_the_page_does_what_it_says() {
    for report in [failed(), told("chaos", 2), told("calm", 5)] {
        let (_directory, file) = write(&report);
        let said = open(&file, "selftest=1");
        let said = attribute(&said, "data-selftest");
        assert!(!said.contains("BROKEN"), "{said}");
        for control in ["zoom-in", "wheel", "pan", "checkpoint", "text", "hover", "network"] {
            assert!(said.contains(&format!("{control}:ok")), "{control}: {said}");
        }
    }
}

#[test]
fn the_address_chooses_what_is_shown() {
    let (_directory, file) = write(&told("calm", 5));
    let shown = |hash: &str| -> u64 {
        let document = open(&file, hash);
        attribute(&document, "data-shown").parse().expect("a number")
    };
    let (all, one, none) = (shown(""), shown("checkpoint=2"), shown("text=no%20such%20words"));
    assert!(0 < one && one < all, "{one} of {all}");
    assert_eq!(none, 0);
    let document = open(&file, "from=500&to=700");
    assert_eq!(attribute(&document, "data-from"), "500.000");
    assert_eq!(attribute(&document, "data-to"), "700.000");
}

#[test]
fn the_page_asks_for_nothing_from_elsewhere() {
    let page = timeline::page(&told("flights", 1)).expect("the run was told");
    for elsewhere in ["http://", "https://", " src=", "<link", "@import", "url(//"] {
        assert!(!page.contains(elsewhere), "the page has {elsewhere}");
    }
    assert!(page.contains("default-src 'none'"));
}

#[test]
fn a_chronicle_changes_nothing_of_a_run() {
    let scenario = catalog::find("chaos").expect("the scenario is in the catalog");
    let told = told("chaos", 4);
    let untold = run(scenario, 4, &RunOptions::default());
    assert_eq!(told.hash, untold.hash);
    assert_eq!(told.event_count, untold.event_count);
    assert!(untold.account.is_none());
}

#[test]
fn the_command_tells_a_story_and_writes_a_page() {
    let directory = tempfile::tempdir().expect("a directory");
    let page = directory.path().join("page.html");
    let recording = directory.path().join("run.json");
    let output = Command::new(env!("CARGO_BIN_EXE_floodmark"))
        .args(["run", "worker_crash", "--seed", "1", "--story", "--timeline"])
        .arg(&page)
        .arg("--record")
        .arg(&recording)
        .output()
        .expect("the command can be started");
    let text = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success(), "{text}");
    assert!(text.contains("A coordinator and 3 workers run the job"), "{text}");
    assert!(text.contains("fault: worker-"), "{text}");
    assert!(text.contains("every promise was kept"), "{text}");
    assert!(fs::read_to_string(&page).expect("the page is there").contains("worker_crash"));

    let output = Command::new(env!("CARGO_BIN_EXE_floodmark"))
        .args(["replay", "--story"])
        .arg(&recording)
        .output()
        .expect("the command can be started");
    let replayed = String::from_utf8_lossy(&output.stdout);
    let story = |text: &str| text.lines().take_while(|line| !line.starts_with("ok")).count();
    assert_eq!(story(&replayed), story(&text), "{replayed}");
}
