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
