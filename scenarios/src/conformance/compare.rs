//! Compares what came out with what was recorded.
//!
//! The log falls into segments between its watermarks. What belongs to one step of a segment must be
//! the same rows on both sides, and in the same order where the case says so.

use std::collections::BTreeMap;

use floodmark::Timestamp;

use super::{
    case::Case,
    recorder::{Entry, Line, Log},
    row::{Row, Value},
};

/// Returns what differs, in words.
pub(crate) fn difference(case: &Case, actual: &Log) -> Option<String> {
    main_difference(case, &actual.main).or_else(|| side_difference(case, actual))
}

fn main_difference(case: &Case, actual: &[Entry]) -> Option<String> {
    let (expected, actual) = (Segments::new(&case.main), Segments::new(actual));
    if expected.marks != actual.marks {
        return Some("the watermarks differ".to_owned());
    }
    let mut pairs = expected.lines.iter().zip(&actual.lines).enumerate();
    pairs.find_map(|(index, (expected, actual))| {
        let words = lines_difference(expected, actual, case.order.as_deref())?;
        let end = expected_end(&case.main, index);
        Some(format!("{words}, before {end}"))
    })
}

/// Returns what ends a segment, in words.
fn expected_end(main: &[Entry], index: usize) -> String {
    let mut marks = main.iter().filter(|entry| !matches!(entry, Entry::Line(_)));
    marks.nth(index).map_or("the end".to_owned(), |mark| format!("{mark:?}"))
}

fn side_difference(case: &Case, actual: &Log) -> Option<String> {
    let tags = case.sides.keys().chain(actual.sides.keys());
    tags.into_iter().find_map(|tag| {
        let lines_of =
            |sides: &BTreeMap<String, Vec<Line>>| sides.get(tag).cloned().unwrap_or_default();
        let (expected, actual) = (lines_of(&case.sides), lines_of(&actual.sides));
        let (expected, actual): (Vec<_>, Vec<_>) =
            (expected.iter().collect(), actual.iter().collect());
        let words = lines_difference(&expected, &actual, Some(&["k".to_owned()]))?;
        Some(format!("{words}, in the side output {tag:?}"))
    })
}

/// Returns what differs when only the records are known. Where the case orders them per key, or
/// whatever else, their order is that of the whole log.
pub(crate) fn difference_of_records(
    case: &Case,
    actual: &BTreeMap<String, Vec<(Timestamp, Row)>>,
) -> Option<String> {
    let main = case.main.iter().filter_map(|entry| match entry {
        Entry::Line(line) => Some(line.clone()),
        Entry::Watermark(..) | Entry::Idle(..) => None,
    });
    let mut expected = case.sides.clone();
    expected.insert(String::new(), main.collect());
    expected.iter().find_map(|(tag, lines)| {
        let none = Vec::new();
        let rows = actual.get(tag).unwrap_or(&none);
        let without_step = |timestamp, row| Line { at: 0, timestamp, row };
        let expected: Vec<_> =
            lines.iter().map(|line| without_step(line.timestamp, line.row.clone())).collect();
        let actual: Vec<_> =
            rows.iter().map(|(time, row)| without_step(*time, row.clone())).collect();
        let key = ["k".to_owned()];
        let order = if tag.is_empty() { case.order.as_deref() } else { Some(&key[..]) };
        // Which of several inputs is faster is nobody's business.
        let order = order.filter(|_| case.input_count == 1);
        let words = lines_difference(
            &expected.iter().collect::<Vec<_>>(),
            &actual.iter().collect::<Vec<_>>(),
            order.filter(|fields| !fields.is_empty()),
        )?;
        Some(format!("{words}, in the output {tag:?}"))
    })
}

/// A log, cut at its marks.
struct Segments<'a> {
    marks: Vec<&'a Entry>,
    lines: Vec<Vec<&'a Line>>,
}

impl<'a> Segments<'a> {
    fn new(log: &'a [Entry]) -> Self {
        let mut this = Self { marks: Vec::new(), lines: vec![Vec::new()] };
        for entry in log {
            match entry {
                Entry::Line(line) => this.lines.last_mut().expect("there is one").push(line),
                Entry::Watermark(..) | Entry::Idle(..) => {
                    this.marks.push(entry);
                    this.lines.push(Vec::new());
                }
            }
        }
        this
    }
}

/// Compares rows between two marks: as multisets, and in order among those that agree in the
/// fields of `order`.
fn lines_difference(
    expected: &[&Line],
    actual: &[&Line],
    order: Option<&[String]>,
) -> Option<String> {
    let mut sorted = [expected.to_vec(), actual.to_vec()];
    sorted.iter_mut().for_each(|lines| lines.sort());
    if sorted[0] != sorted[1] {
        let missing = sorted[0].iter().find(|line| !sorted[1].contains(line));
        let extra = sorted[1].iter().find(|line| !sorted[0].contains(line));
        return Some(match (missing, extra) {
            (Some(missing), _) => format!("missing: {missing}"),
            (None, Some(extra)) => format!("too much: {extra}"),
            (None, None) => "rows are repeated or left out".to_owned(),
        });
    }
    let fields = order?;
    let group_of = |line: &Line| -> Vec<Option<Value>> {
        fields.iter().map(|field| line.row.get(field).cloned()).collect()
    };
    let mut groups: Vec<_> = expected.iter().map(|line| group_of(line)).collect();
    groups.sort();
    groups.dedup();
    groups.iter().find_map(|group| {
        let of = |lines: &[&Line]| -> Vec<Line> {
            lines
                .iter()
                .filter(|line| group_of(line) == *group)
                .map(|line| (*line).clone())
                .collect()
        };
        (of(expected) != of(actual)).then(|| "the order differs".to_owned())
    })
}
