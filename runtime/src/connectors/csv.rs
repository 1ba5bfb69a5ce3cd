//! Lines of comma-separated values become records.

use floodmark_dataflow::{Emitter, Error as DataflowError, Operator, OutputTag};
use floodmark_model::Batch;
use floodmark_state::Data;
use serde::{Deserialize, Serialize};

use super::{Line, pace::error};
use crate::{Stream, plan::Identity};

/// What becomes of a line that is not a record.
#[derive(Clone, Copy, Debug)]
pub enum Malformed {
    /// It fails the job. Nothing is skipped in silence.
    Fail,
    /// It goes to this side output, and the job goes on.
    To(OutputTag<MalformedLine>),
}

/// A line that is not a record.
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
            value: std::marker::PhantomData,
        })
    }
}

struct ParseCsv<T> {
    malformed: Malformed,
    value: std::marker::PhantomData<fn() -> T>,
}

/// Returns the record in `content`.
fn parse<T: Data>(content: &[u8]) -> Result<T, String> {
    let mut reader = csv::ReaderBuilder::new()
        .has_headers(false)
        // A lone `\r` ends no line. If it did, what follows it would be skipped in silence.
        .terminator(csv::Terminator::Any(b'\n'))
        .from_reader(content);
    let mut record = csv::StringRecord::new();
    match reader.read_record(&mut record) {
        Ok(true) => record.deserialize(None).map_err(|error| reason(&error)),
        Ok(false) => Err("the line is empty".to_owned()),
        Err(error) => Err(reason(&error)),
    }
}

/// Returns what is wrong, without the position in the line: that of the line is known better.
fn reason(error: &csv::Error) -> String {
    if let csv::ErrorKind::Deserialize { err, .. } = error.kind() {
        let column = err.field().map(|index| format!("column {}: ", index + 1));
        return format!("{}{}", column.unwrap_or_default(), err.kind());
    }
    if let csv::ErrorKind::Utf8 { err, .. } = error.kind() {
        return format!("column {}: invalid UTF-8", err.field() + 1);
    }
    error.to_string()
}

impl<T: Data> Operator for ParseCsv<T> {
    type In = Line;
    type Out = T;

    fn on_batch(&mut self, batch: Batch<Line>, out: &mut Emitter<T>) -> Result<(), DataflowError> {
        for record in batch {
            let (timestamp, line) = (record.timestamp, record.value);
            match (parse(&line.content), self.malformed) {
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
