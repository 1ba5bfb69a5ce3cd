//! Stories of the catalogue under generated faults. What fails is recorded, and is repeated and shrunk
//! by the same commands as a failure of a sweep.

use std::path::{Path, PathBuf};

use floodmark_scenarios::{ReplayFile, RunOptions, RunReport, Shape, catalog, run};
use floodmark_sim::FaultPlan;
use proptest::{prelude::*, test_runner::FileFailurePersistence};

use crate::clusters::plan;

/// Where recordings of failures go, from the root of the workspace.
const FAILURES: &str = "target/floodmark-failures";

/// Runs the calm story with faults and, if it is red, records it. Returns what to say.
fn check(seed: u64, parallelism: u16, faults: FaultPlan) -> Result<(), String> {
    let report = tell(seed, parallelism, faults);
    if report.failure.is_none() {
        return Ok(());
    }
    let path = Path::new(FAILURES).join(format!("proptest-{}-{seed}.json", report.scenario));
    let command = "cargo run --release --";
    let path = path.display();
    let said = match record(&report, &from_root(&path.to_string())) {
        Ok(()) => format!("{command} replay {path}\n{command} shrink {path}"),
        Err(error) => error,
    };
    Err(format!("{report}\n{said}"))
}

fn tell(seed: u64, parallelism: u16, faults: FaultPlan) -> RunReport {
    let shape = Shape { parallelism: Some(parallelism), ..Shape::default() };
    let faults = Some(faults);
    let options = RunOptions { shape, faults, is_recorded: true, ..RunOptions::default() };
    run(catalog::find("calm").expect("the story is in the catalogue"), seed, &options)
}

fn record(report: &RunReport, path: &Path) -> Result<(), String> {
    ReplayFile::from(report).write(path).map_err(|error| error.to_string())
}

/// Tests run in the directory of their package, commands in that of the workspace.
fn from_root(path: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..").join(path)
}

proptest! {
    #![proptest_config(ProptestConfig {
        cases: 96,
        failure_persistence: Some(Box::new(FileFailurePersistence::Direct(
            "proptest-regressions/scenarios.txt",
        ))),
        ..ProptestConfig::default()
    })]

    /// Every promise is kept and every line written once, whatever goes wrong.
    #[test]
    fn the_calm_story_bears_any_fault_plan(
        seed in 0_u64..1 << 20,
        parallelism in 1_u16..=4,
        faults in plan(),
    ) {
        if let Err(said) = check(seed, parallelism, faults) {
            prop_assert!(false, "{}", said);
        }
    }
}

#[test]
fn what_is_recorded_is_repeated_by_the_command_of_a_sweep() {
    let report = tell(11, 2, FaultPlan::default());
    let path = from_root("target/floodmark-failures/proptest-example.json");
    record(&report, &path).expect("the directory of failures can be written");
    let file = ReplayFile::read(&path).expect("what was written is read");
    let again = file.replay().expect("the story exists");
    assert_eq!(again.hash, report.hash);
    assert_eq!(again.faults, report.faults);
}
