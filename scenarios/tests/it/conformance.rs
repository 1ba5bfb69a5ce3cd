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
fn cases_in(directory: &str) -> Vec<Case> {
    let directory = Path::new(env!("CARGO_MANIFEST_DIR")).join("conformance").join(directory);
    let files = std::fs::read_dir(directory).unwrap().map(|entry| entry.unwrap().path());
    let mut files: Vec<_> = files
        .filter(|path| path.extension().is_some_and(|end| end == "json"))
        .filter(|path| !path.ends_with("key_groups.json"))
        .collect();
    files.sort();
    let read = |path| Case::read_all(&std::fs::read_to_string(path).unwrap()).unwrap();
    files.iter().flat_map(read).map(|case| case.unwrap()).collect()
}

fn cases() -> Vec<Case> {
    cases_in("flink")
}

/// Runs a case under the faults of a seed.
fn survives(case: &Case, seed: u64) {
    match run_case_in_chaos(case, seed) {
        Outcome::Passed => {}
        Outcome::Unsupported(reason) => panic!("{}: {reason}", case.name),
        Outcome::Failed(difference) => panic!("{}: {difference}", case.name),
    }
}

#[test]
fn what_follows_from_the_rules_comes_out_too() {
    let cases = cases_in("derived");
    assert_eq!(cases.len(), 30);
    for case in &cases {
        match run_case(case, EndedInputs::PushOn) {
            Outcome::Passed => {}
            Outcome::Unsupported(reason) => panic!("{}: {reason}", case.name),
            Outcome::Failed(difference) => panic!("{}: {difference}", case.name),
        }
        if !depends_on_interleaving(case) {
            (0..5).for_each(|seed| survives(case, seed));
        }
    }
}

#[test]
fn a_case_that_cannot_be_read_is_no_reason_to_leave_out_the_others() {
    let text =
        r#"[{"name": "odd", "input": [{"hello": 1}]}, {"name": "even", "input": [{"wm": 7}]}]"#;
    let cases = Case::read_all(text).expect("it is a list");
    let words: Vec<_> = cases.iter().map(|case| case.as_ref().map(|case| &*case.name)).collect();
    assert_eq!(words[1].ok(), Some("even"));
    let error = words[0].as_ref().expect_err("this is no step").to_string();
    assert_eq!(error, "the input of the case \"odd\" is not as described");
}

#[test]
fn a_parameter_out_of_bounds_fails_its_case_alone() {
    let text = r#"[{"name": "empty", "input": [{"wm": "MAX"}], "pipeline": [
        {"op": "key_by", "field": "k"},
        {"op": "window", "assigner": {"type": "tumbling", "size": 0},
         "function": {"type": "process", "fn": "list"}}]}]"#;
    let cases = Case::read_all(text).expect("it is a list");
    let case = cases[0].as_ref().expect("it is a case");
    assert!(matches!(run_case(case, EndedInputs::PushOn), Outcome::Unsupported(_)));
    assert!(matches!(run_case_in_chaos(case, 0), Outcome::Unsupported(_)));
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
            survives(case, seed);
            run_count += 1;
        }
    }
    assert!(50 < run_count, "{run_count}");
}
