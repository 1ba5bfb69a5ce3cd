//! What another engine recorded comes out here, too.

use std::{collections::BTreeSet, path::Path};

use floodmark::EndedInputs;
use floodmark_scenarios::conformance::{
    Case, DIFFERENT, Outcome, depends_on_interleaving, run_case, run_case_in_chaos,
};

/// Operators that no pipeline can have yet. A case with one of them is not run; an operator that is
/// here and can be built fails the test.
const MISSING: &[&str] = &[];

#[expect(clippy::disallowed_methods, reason = "the cases lie in the source tree")]
#[expect(clippy::unwrap_used, reason = "a test may panic, also where it is helped")]
fn cases() -> Vec<Case> {
    let directory = Path::new(env!("CARGO_MANIFEST_DIR")).join("conformance/flink");
    let files = std::fs::read_dir(directory).unwrap().map(|entry| entry.unwrap().path());
    let mut files: Vec<_> = files
        .filter(|path| path.extension().is_some_and(|end| end == "json"))
        .filter(|path| !path.ends_with("key_groups.json"))
        .collect();
    files.sort();
    let read = |path| Case::read_all(&std::fs::read_to_string(path).unwrap()).unwrap();
    files.iter().flat_map(read).collect()
}

#[test]
fn what_was_recorded_comes_out_here_too() {
    let cases = cases();
    assert_eq!(cases.len(), 731);
    let (mut missing, mut wrong) = (BTreeSet::new(), Vec::new());
    for case in &cases {
        match run_case(case, EndedInputs::PushOn) {
            Outcome::Passed => {}
            Outcome::Unsupported(reason) => {
                let op =
                    reason.strip_prefix("op ").and_then(|op| op.strip_suffix(" is not supported"));
                missing.insert(op.map_or(reason.clone(), str::to_owned));
            }
            Outcome::Failed(difference) => {
                wrong.push(format!("{}: {}: {difference}", case.feature, case.name));
            }
        }
    }
    let words: Vec<_> = wrong.iter().take(5).map(String::as_str).collect();
    assert!(wrong.is_empty(), "{} cases differ:\n{}", wrong.len(), words.join("\n"));
    let missing: Vec<_> = missing.iter().map(String::as_str).collect();
    assert_eq!(missing, MISSING);
}

#[test]
fn only_the_end_of_inputs_means_something_else_unless_asked_for() {
    let differs = |case: &Case| {
        let outcome = run_case(case, EndedInputs::LeaveOut);
        matches!(outcome, Outcome::Failed(_)).then(|| case.name.clone())
    };
    let different: Vec<_> = cases().iter().filter_map(differs).collect();
    assert_eq!(different, DIFFERENT);
}

/// One case in so many is put through faults here; `floodmark conformance --chaos` takes all.
const CHAOS_EVERY: usize = 7;

#[test]
fn faults_change_nothing_of_it() {
    let mut run_count = 0;
    for (index, case) in cases().iter().enumerate().step_by(CHAOS_EVERY) {
        if depends_on_interleaving(case) {
            continue;
        }
        let first = index as u64;
        for seed in first..first + 2 {
            match run_case_in_chaos(case, seed) {
                Outcome::Passed => run_count += 1,
                Outcome::Unsupported(reason) => panic!("{}: {reason}", case.name),
                Outcome::Failed(difference) => panic!("{}: {difference}", case.name),
            }
        }
    }
    assert!(50 < run_count, "{run_count}");
}
