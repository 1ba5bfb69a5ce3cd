//! A source that reads a file line by line.

use std::{
    num::NonZeroU32,
    str::Utf8Error,
    task::{Context, Poll, ready},
};

use bytes::{Buf as _, Bytes, BytesMut};
use floodmark_dataflow::{BoxError, Source, SplitReader};
use floodmark_model::{Batch, Record};
use floodmark_platform::{BoxFuture, Machine, StoreError, planted};
use serde::{Deserialize, Serialize};

use super::pace::{Pace, error, rate_of};
use crate::path::object_key;

/// Lines in one batch.
const BATCH_SIZE: usize = 256;

/// The longest line, in bytes.
const LINE_SIZE_MAX: usize = 1 << 20;

/// Reads a text file that does not change, in one or several splits of about equal size.
///
/// A split is a range of bytes; a line belongs to the split in which it begins. The position of
/// every line is known, so reading goes on after a failure exactly where the checkpoint was.
///
/// # Examples
///
/// ```
/// use floodmark::{Environment, TextFile};
///
/// let env = Environment::new();
/// let lines = env.source("access-log", TextFile::new("logs/access.log").splits(4));
/// # let _ = lines;
/// ```
#[derive(Clone, Debug)]
#[doc(alias = "readTextFile")]
pub struct TextFile {
    path: String,
    split_count: u16,
    chunk_size: u64,
    has_header: bool,
    rate: Option<NonZeroU32>,
}

/// One line of a file, without its end.
///
/// # Examples
///
/// ```
/// use floodmark::Line;
///
/// let line = Line { path: "access.log".to_owned(), offset: 0, content: b"GET /tea".to_vec() };
/// assert_eq!(line.text(), Ok("GET /tea"));
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Line {
    /// The file.
    pub path: String,
    /// Where the line begins, in bytes from the start of the file.
    pub offset: u64,
    /// The bytes of the line, without `\n` or `\r\n`.
    pub content: Vec<u8>,
}

impl Line {
    /// Returns the line as text.
    ///
    /// # Errors
    ///
    /// When it is not UTF-8.
    pub fn text(&self) -> Result<&str, Utf8Error> {
        std::str::from_utf8(&self.content)
    }
}

/// A range of bytes of a file.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct FileSplit {
    path: String,
    /// Where to go on reading.
    next: u64,
    /// Lines that begin here or later belong to others.
    end: u64,
    /// Whether a line begins at `next`. If not, the line that is cut there belongs to others.
    is_at_line: bool,
}

impl TextFile {
    /// Reads the file at `path` in one split, from the first line on. The path may be relative or
    /// absolute, and must not contain `..`.
    pub fn new(path: &str) -> Self {
        Self {
            path: path.to_owned(),
            split_count: 1,
            chunk_size: 64 << 10,
            has_header: false,
            rate: None,
        }
    }

    /// Reads the file in `count` splits at once. Lines of different splits come in no fixed order.
    /// At least 1.
    #[must_use]
    pub fn splits(self, count: u16) -> Self {
        assert!(0 < count, "a file has at least one split");
        Self { split_count: count, ..self }
    }

    /// Does not yield the first line.
    #[must_use]
    pub fn skip_header(self) -> Self {
        Self { has_header: true, ..self }
    }

    /// Reads so many bytes at a time. More need fewer reads; fewer hold less memory. At least 1.
    #[must_use]
    pub fn chunk_size(self, size_bytes: u32) -> Self {
        assert!(0 < size_bytes, "a chunk has at least one byte");
        Self { chunk_size: u64::from(size_bytes), ..self }
    }

    /// Yields at most so many lines per second and split. At least 1.
    #[must_use]
    pub fn rate(self, per_second: u32) -> Self {
        Self { rate: rate_of(per_second), ..self }
    }
}

impl Source for TextFile {
    type Out = Line;
    type Split = FileSplit;

    fn splits(&self, machine: &Machine, _: u16) -> BoxFuture<Result<Vec<FileSplit>, BoxError>> {
        let (machine, path) = (machine.clone(), object_key(&self.path));
        let count = u64::from(self.split_count);
        Box::pin(async move {
            let path = path?;
            let listing = machine.object_store().list(&path);
            let entries = listing.await?;
            let Some(file) = entries.into_iter().find(|entry| entry.key == path) else {
                return Err(error(format!("the file {path:?} does not exist")));
            };
            let bound = |index| file.size_bytes * index / count;
            let split = |index| FileSplit {
                path: path.clone(),
                next: bound(index),
                end: bound(index + 1),
                // Of the splits that begin with the file, all but the last are empty.
                is_at_line: bound(index) == 0,
            };
            Ok((0..count).map(split).collect())
        })
    }

    fn read(&self, machine: &Machine, split: FileSplit) -> Box<dyn SplitReader<Self>> {
        // Begins one byte early, to see whether a line ends just before the split.
        let cut = u64::from(!split.is_at_line && 0 < split.next);
        Box::new(FileReader {
            machine: machine.clone(),
            file: self.clone(),
            pace: Pace::new(machine, self.rate),
            buffer: BytesMut::new(),
            scanned: 0,
            read_to: split.next - cut,
            line_start: split.next - cut,
            skips_line: !split.is_at_line,
            is_at_end: false,
            reading: None,
            split,
        })
    }
}

struct FileReader {
    machine: Machine,
    file: TextFile,
    pace: Pace,
    split: FileSplit,
    /// Bytes read and not yielded; the first one is at `line_start`.
    buffer: BytesMut,
    /// Bytes of the buffer that contain no line end.
    scanned: usize,
    line_start: u64,
    /// Where the next chunk begins.
    read_to: u64,
    /// Whether the line at `line_start` belongs to others.
    skips_line: bool,
    is_at_end: bool,
    reading: Option<BoxFuture<Result<Bytes, StoreError>>>,
}

impl FileReader {
    /// Takes the next whole line out of the buffer.
    fn next_line(&mut self) -> Result<Option<Line>, BoxError> {
        let end = self.buffer[self.scanned..].iter().position(|byte| *byte == b'\n');
        let (size, has_end) = match end {
            Some(position) => (self.scanned + position, 1),
            None if self.is_at_end && !self.buffer.is_empty() => (self.buffer.len(), 0),
            None => {
                self.scanned = self.buffer.len();
                // The last byte may be half of a line end.
                self.check_size(self.scanned.saturating_sub(1))?;
                return Ok(None);
            }
        };
        let offset = self.line_start;
        let line = &self.buffer[..size];
        let content = line.strip_suffix(b"\r").unwrap_or(line).to_vec();
        self.check_size(content.len())?;
        self.buffer.advance(size + has_end);
        self.scanned = 0;
        self.line_start += (size + has_end) as u64;
        Ok(Some(Line { path: self.split.path.clone(), offset, content }))
    }

    /// Refuses a line of more than the greatest size at the start of the buffer.
    fn check_size(&self, size: usize) -> Result<(), BoxError> {
        if size <= LINE_SIZE_MAX {
            return Ok(());
        }
        let (path, offset) = (&self.split.path, self.line_start);
        Err(error(format!("{path:?}: the line at byte {offset} is longer than 1 MiB")))
    }

    /// Drops what is in the buffer of a line that belongs to others, however long it is.
    fn skip_line(&mut self) {
        let end = self.buffer.iter().position(|byte| *byte == b'\n');
        let size = end.map_or(self.buffer.len(), |end| end + 1);
        self.buffer.advance(size);
        self.line_start += size as u64;
        self.skips_line = end.is_none();
    }

    /// Returns up to `max` lines that belong to the split.
    fn take_lines(&mut self, max: usize) -> Result<Vec<Line>, BoxError> {
        let mut lines = Vec::new();
        if self.skips_line {
            self.skip_line();
        }
        if self.skips_line {
            return Ok(lines);
        }
        while lines.len() < max && self.line_start < self.split.end {
            let Some(line) = self.next_line()? else { break };
            if !(self.file.has_header && line.offset == 0) {
                lines.push(line);
            }
        }
        (self.split.next, self.split.is_at_line) = (self.line_start, true);
        if planted!(OffsetInWrongUnits) {
            (self.split.next, self.split.is_at_line) = (self.read_to.min(self.split.end), false);
        }
        Ok(lines)
    }

    /// Returns whether no line of the split is left.
    fn is_done(&self) -> bool {
        let is_past_end = !self.skips_line && self.split.end <= self.line_start;
        is_past_end || (self.is_at_end && self.buffer.is_empty())
    }

    /// Reads the next chunk into the buffer.
    fn poll_read(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), BoxError>> {
        let size = self.file.chunk_size;
        let range = self.read_to..self.read_to + size;
        let (machine, path) = (&self.machine, &self.split.path);
        let reading =
            self.reading.get_or_insert_with(|| machine.object_store().get_range(path, range));
        let chunk = ready!(reading.as_mut().poll(cx));
        self.reading = None;
        let chunk = chunk?;
        self.is_at_end = (chunk.len() as u64) < size;
        self.read_to += chunk.len() as u64;
        self.buffer.extend_from_slice(&chunk);
        Poll::Ready(Ok(()))
    }
}

impl SplitReader<TextFile> for FileReader {
    fn poll_next(&mut self, cx: &mut Context<'_>) -> Poll<Result<Option<Batch<Line>>, BoxError>> {
        let max = ready!(self.pace.poll_allowance(cx, BATCH_SIZE));
        loop {
            let lines = self.take_lines(max)?;
            if !lines.is_empty() {
                self.pace.on_yield(lines.len());
                return Poll::Ready(Ok(Some(lines.into_iter().map(Record::from).collect())));
            }
            if self.is_done() {
                return Poll::Ready(Ok(None));
            }
            ready!(self.poll_read(cx))?;
        }
    }

    fn position(&self) -> FileSplit {
        self.split.clone()
    }
}
