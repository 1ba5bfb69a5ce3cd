//! Every planted bug is found, and a build that can plant bugs has none as long as it does not.
//!
//! A binary of its own, because the switch of planted bugs is the process's. `FLOODMARK_ORDINARY` names
//! a `floodmark` command that was built from the same sources without the feature; `./check` builds it.

#[path = "../it/browser.rs"]
mod browser;
mod regressions;
mod robust;
mod shrinking;

use std::{
    env, fs,
    path::{Path, PathBuf},
    process::{Command, Output},
};

use floodmark::platform::{PlantedBug, plant};
use floodmark_scenarios::{
    RunOptions,
    bugs::{ALL, Bug},
    catalog,
    kill_matrix::{HuntOptions, hunt, one_at_a_time},
    run, timeline,
};

/// Seeds in which each bug must be found.
const SEED_COUNT: u64 = 200;

#[test]
fn every_planted_bug_is_found_by_a_check_that_is_about_it() {
    let (mut survivors, mut kill_count, mut right_count) = (Vec::new(), 0, 0);
    for bug in ALL.iter().filter(|bug| bug.reason_to_wait().is_none()) {
        let options = HuntOptions { range_count: 3, seed_count: SEED_COUNT, thread_count: 2 };
        let hunt = hunt(bug, options, || {});
        kill_count += 3;
        right_count += hunt.right_count();
        if !hunt.is_found() || hunt.right_count() < 1 {
            survivors.push((bug.id, hunt.kills));
        }
    }
    assert!(
        95 * kill_count <= 100 * right_count,
        "{right_count} of {kill_count} by the right check"
    );
    assert!(survivors.is_empty(), "not found, or not as expected: {survivors:#?}");
}

#[test]
fn without_a_planted_bug_a_run_is_that_of_an_ordinary_build() {
    let _none_is_planted = one_at_a_time();
    for scenario in catalog::ALL {
        for seed in [4, 17] {
            let report = run(scenario, seed, &RunOptions::default());
            assert!(report.failure.is_none(), "{report}");
            let output = ordinary(&["run", scenario.name, "--seed", &seed.to_string(), "--json"]);
            let text = String::from_utf8_lossy(&output.stdout);
            let ordinary: serde_json::Value = serde_json::from_str(&text).expect("it is JSON");
            let hash = format!("{:032x}", report.hash);
            assert_eq!(ordinary["hash"], hash, "{}, seed {seed}", scenario.name);
        }
    }
}

#[test]
fn nothing_of_planted_bugs_is_left_in_an_ordinary_build() {
    let here = env::current_exe().expect("a test knows where it is");
    for bug in PlantedBug::ALL {
        let name = format!("{bug:?}");
        assert!(holds(&here, &name), "a build that can plant {name} holds the name");
        assert!(!holds(&ordinary_path(), &name), "an ordinary build holds {name}");
    }
}

#[test]
fn an_ordinary_build_says_how_to_get_planted_bugs() {
    let output = ordinary(&["bugs"]);
    assert_eq!(output.status.code(), Some(2), "{output:?}");
    let complaint = String::from_utf8_lossy(&output.stderr);
    assert!(complaint.contains("--features planted-bugs"), "{complaint}");
}

#[test]
fn the_command_shows_what_it_hunted() {
    let floodmark = |arguments: &[&str]| {
        let mut command = Command::new(env!("CARGO_BIN_EXE_floodmark"));
        command.args(arguments).output().expect("the command can be started")
    };
    let output = floodmark(&["bugs", "--bug", "M12", "--json"]);
    assert!(output.status.success(), "{output:?}");
    let text = String::from_utf8_lossy(&output.stdout);
    let rows: Vec<serde_json::Value> =
        text.lines().map(|line| serde_json::from_str(line).expect("it is JSON")).collect();
    assert_eq!((&rows[0]["bug"], &rows[0]["found"]), (&"M12".into(), &5.into()));
    assert_eq!((&rows[1]["bugs"], &rows[1]["found"]), (&1.into(), &1.into()));

    let waiting = floodmark(&["bugs", "--bug", "M01"]);
    assert_eq!(waiting.status.code(), Some(2), "{waiting:?}");
    assert!(Bug::find("M01").is_some_and(|bug| bug.switch().is_none()));
}

fn ordinary_path() -> PathBuf {
    let path = env::var_os("FLOODMARK_ORDINARY");
    path.expect("FLOODMARK_ORDINARY names an ordinary build of the command, as in `./check`").into()
}

fn ordinary(arguments: &[&str]) -> Output {
    let mut command = Command::new(ordinary_path());
    command.args(arguments).output().expect("the command can be started")
}

#[expect(clippy::disallowed_methods, reason = "a binary on the real disk is read")]
fn holds(binary: &PathBuf, name: &str) -> bool {
    let bytes = fs::read(binary).expect("the binary can be read");
    bytes.windows(name.len()).any(|window| window == name.as_bytes())
}

/// A notification is lost, and the bug forgets what it should have committed.
#[test]
#[expect(clippy::disallowed_methods, reason = "a page is a file that a browser reads")]
fn the_story_and_the_page_of_a_failure_show_what_matters() {
    let _one = one_at_a_time();
    plant(Some(PlantedBug::CommitOnlyLatest));
    let scenario = catalog::find("lost_notification").expect("the scenario is in the catalog");
    let options = RunOptions { is_told: true, ..RunOptions::default() };
    let found = (0..SEED_COUNT).find_map(|seed| {
        let report = run(scenario, seed, &options);
        let story = report.failure.as_ref()?.story.as_ref()?.to_string();
        story.contains("never hears so").then_some((report, story))
    });
    plant(None);
    let (report, story) = found.expect("a seed loses a notification that mattered");
    let failure = report.failure.as_ref().expect("it failed");
    assert_eq!(failure.check, "two_phase", "{report}");

    let (_, after) = failure.reason.split_once("subtask ").expect("the reason names a subtask");
    let subtask = format!("(subtask {})", after.split_once(' ').expect("words follow").0);
    let (_, after) = failure.reason.rsplit_once("transaction of ").expect("and a transaction");
    let checkpoint: Vec<&str> = after.split(' ').take(2).collect();
    let steps = format!("{}: ", checkpoint.join(" "));
    for matters in [&*subtask, &steps, "fault: ", "notifications get lost", "FAILED", "(two_phase)"]
    {
        assert!(story.contains(matters), "{matters} is not in the story:\n{story}");
    }
    assert!(story.lines().count() <= 15, "{story}");

    let directory = tempfile::tempdir().expect("a directory");
    let file = directory.path().join("run.html");
    fs::write(&file, timeline::page(&report).expect("the run was told")).expect("it is written");
    let document = browser::open(&file, "selftest=1");
    assert_eq!(browser::attribute(&document, "data-check"), "two_phase");
    assert!(!browser::attribute(&document, "data-selftest").contains("BROKEN"), "{document}");
    for matters in
        ["data-message=\"lost\"", "data-fault=", &format!("data-wave=\"{}\"", checkpoint[1])]
    {
        assert!(document.contains(matters), "{matters} is not in the page");
    }
}

/// Replays a regression with its bug, as a user would, and returns what the command says.
fn replay(bug: PlantedBug, name: &str, page: &Path) -> String {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("regressions").join(name);
    let mut command = Command::new(env!("CARGO_BIN_EXE_floodmark"));
    command.args(["--plant", &format!("{bug:?}"), "replay", "--story", "--timeline"]);
    let output = command.arg(page).arg(path).output().expect("the command can be started");
    assert_eq!(output.status.code(), Some(1), "{output:?}");
    String::from_utf8(output.stdout).expect("a report is text")
}

#[test]
fn a_failure_says_what_explains_it() {
    let directory = tempfile::tempdir().expect("a directory");
    let explanations: [(PlantedBug, &str, &[&str]); 8] = [
        (
            PlantedBug::CommitOnlyLatest,
            "m12_commit_only_latest.json",
            &["all notifications get lost for 500 ms, at most one", "commits nothing: its"],
        ),
        (
            PlantedBug::UnblockedChannel,
            "m30_unblocked_channel.json",
            &["the barrier arrives on transfers/1 → balances/0", "; at 1.183 s the barrier"],
        ),
        (
            PlantedBug::EpochRestarts,
            "m21_epoch_restarts.json",
            &["term 2 begins with 2.1", "checkpoint 3 is left behind by term 1"],
        ),
        (
            PlantedBug::ZombieCommits,
            "m70_zombie_commits.json",
            &[
                "flights/0 on worker-1 (attempt 1.2) sends its barrier",
                "flights/0 on worker-3 (attempt 1.1) sends its barrier",
                "worker-3 wakes up, and goes on with attempt 1.1",
                "coordinator refuses a heartbeat from worker-3: it is of attempt 1.1",
                "coordinator hears again from worker-3",
            ],
        ),
        (
            PlantedBug::WatermarkNotRestored,
            "m48_watermark_not_restored.json",
            &["opens per-hour at event time -∞", "(2013-01-10T22:19:59.999Z)"],
        ),
        (
            PlantedBug::AcknowledgedTooEarly,
            "m35_acknowledged_too_early.json",
            &[
                "is made of record 0 of the input",
                "never committed: the transaction of messages/0",
                "reads on from where checkpoint 5 was: queue/0",
                "discards transactions: output/messages/",
                "the job has finished",
            ],
        ),
        (
            PlantedBug::SwallowedUploadError,
            "m16_swallowed_upload_error.json",
            &["flights/0 has neither stored its snapshot nor declined it"],
        ),
        (
            PlantedBug::SharedLocalPath,
            "m72_shared_local_path.json",
            &["that is what transfers/1 stored in checkpoint 3", "read on the worker's disk"],
        ),
    ];
    for (bug, name, words) in explanations {
        let text = replay(bug, name, &directory.path().join("run.html"));
        for said in words {
            assert!(text.contains(said), "{said} is not in the report of {name}:\n{text}");
        }
        let again = format!("regressions/{name} --plant {bug:?}");
        assert!(text.contains(&again) && text.contains("-- replay "), "{text}");
        assert!(!text.contains("-- run "), "a seed is another run: {text}");
    }
}

/// The event that explains a lost watermark is of a group that is hidden at first.
#[test]
fn what_the_check_names_is_shown_though_its_group_is_hidden() {
    let directory = tempfile::tempdir().expect("a directory");
    let page = directory.path().join("run.html");
    replay(PlantedBug::WatermarkNotRestored, "m48_watermark_not_restored.json", &page);
    let document = browser::open(&page, "selftest=1");
    let said = browser::attribute(&document, "data-selftest");
    for control in ["named:ok", "named-hidden:ok", "hide:ok", "unhide:ok"] {
        assert!(said.contains(control), "{control}: {said}");
    }
}
