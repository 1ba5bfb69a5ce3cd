//! Lines of comma-separated values become records.

use floodmark_dataflow::{Emitter, Error as DataflowError, Operator, OutputTag};
use floodmark_model::Batch;
use floodmark_state::Data;
use serde::{Deserialize, Serialize};

use super::{Line, pace::error};
use crate::{Stream, plan::Identity};

/// What becomes of a line that is not a record.
///
/// # Examples
///
/// ```
/// use floodmark::{Environment, Malformed, TextFile};
///
/// let env = Environment::new();
/// let lines = env.source("pairs", TextFile::new("pairs.csv"));
/// // A line that is no pair of numbers fails the job.
/// lines.parse_csv::<(u64, u64)>(Malformed::Fail).print();
/// ```
#[derive(Clone, Copy, Debug)]
pub enum Malformed {
    /// It fails the job. Nothing is skipped in silence.
    Fail,
    /// It goes to this side output, and the job goes on.
    To(OutputTag<MalformedLine>),
}

/// A line that is not a record.
///
/// # Examples
///
/// ```
/// use floodmark::{Environment, Malformed, MalformedLine, OutputTag, TextFile};
///
/// const BROKEN: OutputTag<MalformedLine> = OutputTag::new("broken");
///
/// let env = Environment::new();
/// let lines = env.source("pairs", TextFile::new("pairs.csv"));
/// let pairs = lines.parse_csv::<(u64, u64)>(Malformed::To(BROKEN));
/// let complaints = pairs.side_output(BROKEN).map(|MalformedLine { line, reason }| {
///     format!("{} at byte {}: {reason}", line.path, line.offset)
/// });
/// complaints.print();
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct MalformedLine {
    /// The line as it was read.
    pub line: Line,
    /// What is wrong with it.
    pub reason: String,
}

impl Stream<Line> {
    /// Parses each line into a `T`: the first column into its first field, and so on. Quoted columns
    /// may contain commas, but not line ends. Columns after the last field are ignored.
    ///
    /// # Examples
    ///
    /// ```
    /// use floodmark::{Environment, Malformed, MalformedLine, OutputTag, TextFile};
    ///
    /// #[derive(Clone, serde::Serialize, serde::Deserialize)]
    /// struct Reading { sensor: String, time_ms: i64, level: f64 }
    /// const BROKEN: OutputTag<MalformedLine> = OutputTag::new("broken");
    ///
    /// let env = Environment::new();
    /// let lines = env.source("readings", TextFile::new("readings.csv").skip_header());
    /// let readings = lines.parse_csv::<Reading>(Malformed::To(BROKEN));
    /// readings.side_output(BROKEN).print();
    /// readings.map(|reading| reading.level).print();
    /// ```
    pub fn parse_csv<T: Data>(self, malformed: Malformed) -> Stream<T> {
        self.then("parse_csv", Identity::Stateless, move |_, _| ParseCsv::<T> {
            malformed,
            columns: Columns::new(),
            value: std::marker::PhantomData,
        })
    }
}

struct ParseCsv<T> {
    malformed: Malformed,
    columns: Columns,
    value: std::marker::PhantomData<fn() -> T>,
}

/// Splits lines into columns. Kept from line to line, because its tables cost more than many lines.
struct Columns {
    reader: csv_core::Reader,
    content: Vec<u8>,
    ends: Vec<usize>,
    record: csv::ByteRecord,
}

impl Columns {
    fn new() -> Self {
        let mut reader = csv_core::ReaderBuilder::new();
        // A lone `\r` ends no line. If it did, what follows it would be skipped in silence.
        reader.terminator(csv_core::Terminator::Any(b'\n'));
        Self {
            reader: reader.build(),
            content: Vec::new(),
            ends: Vec::new(),
            record: csv::ByteRecord::new(),
        }
    }

    /// Reads the columns of a line into `record`. Returns whether there are any.
    fn split(&mut self, line: &[u8]) -> bool {
        let Self { reader, content, ends, record } = self;
        record.clear();
        reader.reset();
        // A byte of a column, or its end, needs a byte of the line; only the line's own end does not.
        content.resize(line.len() + 1, 0);
        ends.resize(line.len() + 2, 0);
        let (mut result, _, mut size, mut count) = reader.read_record(line, content, ends);
        if result == csv_core::ReadRecordResult::InputEmpty {
            // That the line is over is told by an input without bytes.
            let (last, _, more, further) =
                reader.read_record(&[], &mut content[size..], &mut ends[count..]);
            (result, size, count) = (last, size + more, count + further);
        }
        if result == csv_core::ReadRecordResult::End {
            return false;
        }
        assert_eq!(result, csv_core::ReadRecordResult::Record, "a line fits into its own length");
        let mut start = 0;
        for end in &ends[..count] {
            record.push_field(&content[start..*end]);
            start = *end;
        }
        assert_eq!(start, size, "the last column ends with the line");
        true
    }

    /// Returns the record in a line.
    fn parse<T: Data>(&mut self, line: &[u8]) -> Result<T, String> {
        if !self.split(line) {
            return Err("the line is empty".to_owned());
        }
        let record = csv::StringRecord::from_byte_record(std::mem::take(&mut self.record));
        let record = record
            .map_err(|error| format!("column {}: invalid UTF-8", error.utf8_error().field() + 1))?;
        let value = record.deserialize(None).map_err(|error| reason(&error));
        self.record = record.into_byte_record();
        value
    }
}

/// Returns what is wrong, without the position in the line: that of the line is known better.
fn reason(error: &csv::Error) -> String {
    if let csv::ErrorKind::Deserialize { err, .. } = error.kind() {
        let column = err.field().map(|index| format!("column {}: ", index + 1));
        return format!("{}{}", column.unwrap_or_default(), err.kind());
    }
    error.to_string()
}

impl<T: Data> Operator for ParseCsv<T> {
    type In = Line;
    type Out = T;

    fn on_batch(&mut self, batch: Batch<Line>, out: &mut Emitter<T>) -> Result<(), DataflowError> {
        for record in batch {
            let (timestamp, line) = (record.timestamp, record.value);
            match (self.columns.parse(&line.content), self.malformed) {
                (Ok(value), _) => out.emit(timestamp, value),
                (Err(reason), Malformed::To(tag)) => {
                    out.emit_to(tag, timestamp, MalformedLine { line, reason });
                }
                (Err(reason), Malformed::Fail) => {
                    let Line { path, offset, .. } = line;
                    let message = format!("{path:?}: the line at byte {offset}: {reason}");
                    let operator = "parse_csv".to_owned();
                    return Err(DataflowError::Operator { operator, source: error(message) });
                }
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What a reader of its own, built for this line alone, makes of it.
    fn alone(line: &[u8]) -> Option<csv::ByteRecord> {
        let mut reader = csv::ReaderBuilder::new()
            .has_headers(false)
            .terminator(csv::Terminator::Any(b'\n'))
            .from_reader(line);
        let mut record = csv::ByteRecord::new();
        reader.read_byte_record(&mut record).unwrap().then_some(record)
    }

    #[test]
    fn a_line_is_split_as_if_it_were_the_first() {
        let mut columns = Columns::new();
        let lines: [&[u8]; 18] = [
            b"a,1",
            b"a,1,b,2,c,3",
            b"",
            b"\"c,c\",3",
            b"\"no end, 3",
            b"a,1",
            b"\"two \"\"quotes\"\"\",4",
            b"\"\"",
            b"\"\",\"\"",
            b",",
            b",,,",
            b"\"x\"y,z",
            b"a\rb,\r",
            b"\r",
            b"\xef\xbb\xbfmarked,5",
            b"\xff,4",
            b" spaces , kept ",
            b"\"",
        ];
        for line in lines.iter().chain(lines.iter().rev()) {
            let expected = alone(line);
            let found = columns.split(line).then(|| columns.record.clone());
            let text = String::from_utf8_lossy(line);
            assert_eq!(found, expected, "{text:?}");
        }
    }
}
