//! Where a line of output comes from: the records of the input that it is made of.
//!
//! The naive model knows. A record belongs to a line if the model no longer expects the line, as
//! often, when the record is left out. Halves of the input that make no difference are left alone,
//! so a line of few records is explained by few evaluations of the model.

use crate::jobs::{Input, ScenarioJob};

/// Records that are named.
const NAMED_COUNT: usize = 8;

/// Evaluations of the model after which the search ends.
const EVALUATION_COUNT_MAX: u32 = 400;

/// Searches for the records of one line.
struct Search<'a> {
    job: &'a ScenarioJob,
    input: &'a Input,
    indices: Vec<u64>,
    directory: &'static str,
    line: &'a str,
    count: usize,
    evaluations_left: u32,
    found: Vec<u64>,
}

/// Returns the places in the input of the records that a line of `directory` is made of, ascending;
/// at most 8, and none if the model does not expect the line.
pub(crate) fn provenance(
    job: &ScenarioJob,
    input: &Input,
    directory: &'static str,
    line: &str,
) -> Vec<u64> {
    let indices = input.indices();
    let mut search = Search {
        job,
        input,
        indices,
        directory,
        line,
        count: 0,
        evaluations_left: EVALUATION_COUNT_MAX,
        found: Vec::new(),
    };
    search.count = search.count_without(0, 0);
    if 0 < search.count {
        search.search(0, search.indices.len());
    }
    search.found
}

impl Search<'_> {
    /// Looks for records among those from `start` to `end`.
    fn search(&mut self, start: usize, end: usize) {
        let is_over = NAMED_COUNT <= self.found.len() || self.evaluations_left == 0;
        if is_over || start == end || self.count_without(start, end) == self.count {
            return;
        }
        if end - start == 1 {
            return self.found.push(self.indices[start]);
        }
        let middle = start.midpoint(end);
        self.search(start, middle);
        self.search(middle, end);
    }

    /// Returns how often the model expects the line when some records are left out.
    fn count_without(&mut self, start: usize, end: usize) -> usize {
        self.evaluations_left -= 1;
        let kept = [&self.indices[..start], &self.indices[end..]].concat();
        let kept = Some(kept.into());
        let prepared = (self.job.prepare)(&Input { kept, ..self.input.clone() });
        let lines = prepared.expected.get(self.directory);
        lines.map_or(0, |lines| lines.iter().filter(|line| *line == self.line).count())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::jobs::word_count;

    #[test]
    fn a_count_is_made_of_the_lines_with_its_word() {
        // So few lines that no count exceeds the records that are named.
        let input = Input { seed: 3, size: 16, kept: None };
        let expected = (word_count::JOB.prepare)(&input).expected;
        let (directory, lines) = expected.first_key_value().unwrap();
        for line in &lines[..3] {
            let records = provenance(&word_count::JOB, &input, directory, line);
            assert!(!records.is_empty(), "{line}");
            let alone = Input { kept: Some(records.clone().into()), ..input.clone() };
            let lines = (word_count::JOB.prepare)(&alone).expected;
            assert!(lines[directory].contains(line), "{line} is made of {records:?}");
        }
    }

    #[test]
    fn a_line_that_nobody_expects_comes_from_nowhere() {
        let input = Input { seed: 3, size: 50, kept: None };
        let records = provenance(&word_count::JOB, &input, "output/counts", "nothing,0,1");
        assert_eq!(records, Vec::<u64>::new());
    }
}
