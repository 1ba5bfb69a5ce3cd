//! The scenarios themselves, the command that runs them, and the same job on real threads.

mod broken_jobs;
mod browser;
mod command;
mod conformance;
mod generated;
mod operators;
mod readme;
mod real_threads;
mod regressions;
mod replay;
mod sweeps;
mod timeline;
mod water_level;
mod windows;
mod workloads;

#[test]
fn the_readme_shows_the_example_that_is_run() {
    let (_, example) = include_str!("readme.rs").split_once("\n\n").expect("a header comes first");
    assert!(include_str!("../../../README.md").contains(example));
}

#[test]
fn the_page_on_testing_shows_code_that_is_run() {
    let page = include_str!("../../../docs/testing-your-job.md");
    let blocks: Vec<&str> = page
        .split("```rust\n")
        .skip(1)
        .map(|after| after.split_once("```").expect("every block ends").0)
        .collect();
    assert_eq!(blocks.len(), 3);
    for block in blocks {
        assert!(include_str!("water_level.rs").contains(block), "nobody runs this:\n{block}");
    }
}
