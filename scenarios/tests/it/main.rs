//! The scenarios themselves, the command that runs them, and the same job on real threads.

mod broken_jobs;
mod browser;
mod command;
mod conformance;
mod generated;
mod lifecycle;
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

use std::collections::BTreeSet;

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

/// Returns the names that the façade exports.
fn exports() -> BTreeSet<&'static str> {
    let statements = include_str!("../../../runtime/src/lib.rs").split("pub use ").skip(1);
    let statements = statements.map(|after| after.split_once(';').expect("a statement ends").0);
    let names = statements.flat_map(|statement| {
        let named = statement.split_once(" as ").map_or(statement, |(_, name)| name);
        let paths = named.split([',', '{', '}']).map(str::trim);
        paths.filter_map(|path| path.rsplit("::").next()).filter(|name| !name.is_empty())
    });
    names.collect()
}

#[test]
fn the_page_for_those_who_come_from_flink_names_everything() {
    let exports = exports();
    assert!(
        ["Stream", "Trigger", "platform", "object_name"].iter().all(|name| exports.contains(name))
    );
    let page = include_str!("../../../docs/coming-from-flink.md");
    let prose = page.split("```").step_by(2);
    let quoted = prose.flat_map(|prose| prose.split('`').skip(1).step_by(2));
    let is_part = |letter: char| letter.is_alphanumeric() || letter == '_';
    let named: BTreeSet<&str> =
        quoted.flat_map(|quote| quote.split(|letter| !is_part(letter))).collect();
    let missing: Vec<_> = exports.difference(&named).collect();
    assert!(missing.is_empty(), "docs/coming-from-flink.md says nothing of {missing:?}");
}
