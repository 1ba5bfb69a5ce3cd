//! The output is what the naive model says, and what the run without faults wrote.

use std::collections::BTreeMap;

use crate::jobs::Lines;

/// Lines of a difference that a failure shows.
const SHOWN_COUNT: usize = 5;

/// Compares what was committed with what must be.
///
/// # Errors
///
/// The lines that are missing and those that are too many, by directory.
pub fn exactly_once(actual: &Lines, expected: &Lines) -> Result<(), String> {
    for (directory, expected) in expected {
        let actual = actual.get(directory).map_or(&[][..], Vec::as_slice);
        let mut counts: BTreeMap<&str, i64> = BTreeMap::new();
        for line in expected {
            *counts.entry(line).or_default() += 1;
        }
        for line in actual {
            *counts.entry(line).or_default() -= 1;
        }
        let missing = shown(&counts, |count| 0 < count);
        let extra = shown(&counts, |count| count < 0);
        if !missing.is_empty() || !extra.is_empty() {
            return Err(format!(
                "{directory}: {} lines written, {} expected; missing: [{missing}]; too many: \
                 [{extra}]",
                actual.len(),
                expected.len(),
            ));
        }
    }
    Ok(())
}

/// Returns the directory and the text of the first line that is missing, or else of the first one
/// that is there too often.
pub fn first_difference(actual: &Lines, expected: &Lines) -> Option<(&'static str, String)> {
    let mut too_many = None;
    for (directory, lines) in expected {
        let written = actual.get(directory).map_or(&[][..], Vec::as_slice);
        let count =
            |lines: &[String], line: &String| lines.iter().filter(|one| *one == line).count();
        let is_missing = |line: &&String| count(written, line) < count(lines, line);
        if let Some(line) = lines.iter().find(is_missing) {
            return Some((directory, line.clone()));
        }
        let is_extra = |line: &&String| count(lines, line) < count(written, line);
        let extra = written.iter().find(is_extra);
        too_many = too_many.or(extra.map(|line| (*directory, line.clone())));
    }
    too_many
}

fn shown(counts: &BTreeMap<&str, i64>, is_wrong: impl Fn(i64) -> bool) -> String {
    let wrong: Vec<&str> =
        counts.iter().filter(|(_, count)| is_wrong(**count)).map(|(line, _)| *line).collect();
    let mut text = wrong[..wrong.len().min(SHOWN_COUNT)].join(" | ");
    if SHOWN_COUNT < wrong.len() {
        text.push_str(&format!(" and {} more", wrong.len() - SHOWN_COUNT));
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lines(lines: &[&str]) -> Lines {
        BTreeMap::from([("out", lines.iter().map(|line| (*line).to_owned()).collect())])
    }

    #[test]
    fn order_does_not_matter_and_multiplicity_does() {
        assert_eq!(exactly_once(&lines(&["b", "a"]), &lines(&["a", "b"])), Ok(()));
        let error = exactly_once(&lines(&["a", "a"]), &lines(&["a", "b"])).unwrap_err();
        assert!(error.contains("missing: [b]; too many: [a]"), "{error}");
    }

    #[test]
    fn a_directory_that_was_not_written_is_missed() {
        assert!(exactly_once(&BTreeMap::new(), &lines(&["a"])).is_err());
    }
}
