//! Writes down what comes out of a pipeline, and which step of the input caused it.

use std::{
    collections::BTreeMap,
    fmt,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use floodmark::{BoxError, Record, Timestamp, Writer, platform::Machine};

use super::row::Row;

/// Virtual time of the first step. The job is running by then.
pub(crate) const FIRST_STEP: Duration = Duration::from_secs(1);

/// Virtual time between two steps: what one causes has happened before the next.
pub(crate) const STEP: Duration = Duration::from_millis(10);

/// A row that came out.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Line {
    /// The step that caused it.
    pub(crate) at: usize,
    /// Its event time.
    pub(crate) timestamp: Timestamp,
    /// Its content.
    pub(crate) row: Row,
}

/// Something that came out of the last operator.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Entry {
    Line(Line),
    Watermark(usize, Timestamp),
    Idle(usize, bool),
}

/// All that came out.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Log {
    pub(crate) main: Vec<Entry>,
    pub(crate) sides: BTreeMap<String, Vec<Line>>,
}

/// A log that writers share.
#[derive(Clone, Default)]
pub(crate) struct SharedLog(Arc<Mutex<Log>>);

impl SharedLog {
    pub(crate) fn lock(&self) -> MutexGuard<'_, Log> {
        // A log is consistent between any two calls.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Writes the main output down.
#[derive(Clone)]
pub(crate) struct MainWriter {
    log: SharedLog,
    machine: Option<Machine>,
    watermark: Timestamp,
    is_idle: bool,
}

/// Writes a side output down.
#[derive(Clone)]
pub(crate) struct SideWriter {
    log: SharedLog,
    tag: String,
    machine: Option<Machine>,
}

impl MainWriter {
    pub(crate) fn new(log: SharedLog) -> Self {
        Self { log, machine: None, watermark: Timestamp::MIN, is_idle: false }
    }

    fn add(&self, entry: impl FnOnce(usize) -> Entry) {
        let entry = entry(step(self.machine.as_ref()));
        self.log.lock().main.push(entry);
    }
}

impl SideWriter {
    pub(crate) fn new(log: SharedLog, tag: &str) -> Self {
        Self { log, tag: tag.to_owned(), machine: None }
    }
}

/// Returns the step during which a machine is.
fn step(machine: Option<&Machine>) -> usize {
    let now = machine.expect("a writer is opened before it is used").now();
    let steps = now.saturating_sub(FIRST_STEP).as_nanos() / STEP.as_nanos();
    usize::try_from(steps).unwrap_or(usize::MAX)
}

impl<T: Into<Row> + 'static> Writer<T> for MainWriter {
    fn open(&mut self, machine: &Machine) -> Result<(), BoxError> {
        self.machine = Some(machine.clone());
        Ok(())
    }

    fn write(&mut self, Record { timestamp, value }: Record<T>) -> Result<(), BoxError> {
        self.add(|at| Entry::Line(Line { at, timestamp, row: value.into() }));
        Ok(())
    }

    fn on_watermark(&mut self, watermark: Timestamp) -> Result<(), BoxError> {
        if std::mem::take(&mut self.is_idle) {
            self.add(|at| Entry::Idle(at, false));
        }
        if self.watermark < watermark {
            self.watermark = watermark;
            self.add(|at| Entry::Watermark(at, watermark));
        }
        Ok(())
    }

    fn on_idle(&mut self) -> Result<(), BoxError> {
        if !std::mem::replace(&mut self.is_idle, true) {
            self.add(|at| Entry::Idle(at, true));
        }
        Ok(())
    }
}

impl<T: Into<Row> + 'static> Writer<T> for SideWriter {
    fn open(&mut self, machine: &Machine) -> Result<(), BoxError> {
        self.machine = Some(machine.clone());
        Ok(())
    }

    fn write(&mut self, Record { timestamp, value }: Record<T>) -> Result<(), BoxError> {
        let line = Line { at: step(self.machine.as_ref()), timestamp, row: value.into() };
        self.log.lock().sides.entry(self.tag.clone()).or_default().push(line);
        Ok(())
    }
}

impl fmt::Display for Line {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "at {:>2}  ts {}  {}", self.at, self.timestamp, self.row)
    }
}

impl fmt::Display for Entry {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Line(line) => write!(f, "{line}"),
            Self::Watermark(at, watermark) => write!(f, "at {at:>2}  watermark {watermark}"),
            Self::Idle(at, true) => write!(f, "at {at:>2}  idle"),
            Self::Idle(at, false) => write!(f, "at {at:>2}  active"),
        }
    }
}
