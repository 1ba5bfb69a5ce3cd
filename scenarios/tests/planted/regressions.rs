//! What was red once, and is green, is red again with the bug that it was found by.

use std::{fs, path::Path};

use floodmark::platform::plant;
use floodmark_scenarios::{ReplayFile, bugs::Bug, kill_matrix::one_at_a_time};

#[test]
#[expect(clippy::disallowed_methods, reason = "the recordings are the repository's, not a node's")]
fn a_regression_speaks_if_its_bug_comes_back() {
    let _switch = one_at_a_time();
    let directory = Path::new(env!("CARGO_MANIFEST_DIR")).join("regressions");
    for entry in fs::read_dir(directory).expect("there are regressions").flatten() {
        let name = entry.file_name().into_string().expect("the name is plain");
        // The name begins with the id of the bug.
        let id = name.split('_').next().unwrap_or_default().to_uppercase();
        let bug = Bug::find(&id).and_then(Bug::switch);
        let file = ReplayFile::read(&entry.path()).expect("it is a recording");
        plant(Some(bug.unwrap_or_else(|| panic!("{name}: {id} is no planted bug"))));
        let failure = file.replay().expect("the scenario exists").failure;
        plant(None);
        assert_eq!(failure.map(|failure| failure.check), file.check, "{name}");
    }
}
