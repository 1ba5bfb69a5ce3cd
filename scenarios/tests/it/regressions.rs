//! Runs that were red once, each of which names the check that spoke.

use std::{fs, path::Path};

use floodmark_scenarios::ReplayFile;

#[test]
#[expect(clippy::disallowed_methods, reason = "the files are those of this repository")]
fn what_was_red_once_is_green() {
    let directory = Path::new(env!("CARGO_MANIFEST_DIR")).join("regressions");
    let mut count = 0;
    for entry in fs::read_dir(directory).expect("there are regressions").flatten() {
        let file = ReplayFile::read(&entry.path()).expect("it is a replay file");
        assert!(file.check.is_some(), "{:?} names the check that spoke", entry.path());
        assert!(!file.faults.0.is_empty(), "{:?} has faults", entry.path());
        let report = file.replay().expect("the scenario exists");
        assert!(report.failure.is_none(), "{report}");
        count += 1;
    }
    assert!(41 <= count, "only {count} files");
}
