//! The scenarios themselves, the command that runs them, and the same job on real threads.

mod broken_jobs;
mod browser;
mod command;
mod readme;
mod real_threads;
mod regressions;
mod replay;
mod sweeps;
mod timeline;
mod water_level;

#[test]
fn the_readme_shows_the_example_that_is_run() {
    let (_, example) = include_str!("readme.rs").split_once("\n\n").expect("a header comes first");
    assert!(include_str!("../../../README.md").contains(example));
}
