//! The job function of the scenario, on threads, sockets and files.

#![expect(clippy::disallowed_methods, reason = "this test is about the real machine")]

use std::{fs, path::Path, time::Duration};

use floodmark::{CheckpointConfig, Environment, RestartStrategy};
use floodmark_scenarios::jobs::flights;

/// Returns the lines of all committed parts of a directory, sorted.
fn lines(directory: &Path) -> Vec<String> {
    let mut lines = Vec::new();
    for entry in fs::read_dir(directory).expect("the directory was written").flatten() {
        if entry.file_name().to_string_lossy().starts_with("part-") {
            let text = fs::read_to_string(entry.path()).expect("a part is text");
            lines.extend(text.lines().map(str::to_owned));
        }
    }
    lines.sort();
    lines
}

#[tokio::test(flavor = "multi_thread")]
async fn flights_are_summed_up_on_real_threads_as_the_model_says() {
    let directory = tempfile::tempdir().expect("a directory");
    let path = |name: &str| directory.path().join(name).display().to_string();
    fs::write(path("flights.csv"), flights::FLIGHTS).expect("the input is written");
    let env = Environment::new()
        .parallelism(3)
        .checkpoints(CheckpointConfig::every(Duration::from_millis(50)))
        .restart(RestartStrategy::None)
        .storage(&path("checkpoints"));
    flights::build(&env, &path("flights.csv"), &path("output"), None, flights::WATERMARK_EVERY);
    env.execute("flights").await.expect("it starts").wait().await.expect("it ends well");

    let rows: Vec<&str> = flights::FLIGHTS.lines().skip(1).collect();
    for (name, mut expected) in flights::expected(&rows, flights::WATERMARK_EVERY) {
        expected.sort();
        assert!(!expected.is_empty());
        assert_eq!(lines(&directory.path().join(name)), expected, "{name}");
    }
}
