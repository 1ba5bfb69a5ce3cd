//! What happened: a hash over everything, and the last events in words.

use std::{collections::VecDeque, fmt, time::Duration};

use xxhash_rust::xxh3::Xxh3;

/// Entries that are kept.
const LOG_LENGTH: usize = 40;

/// Words of eight bytes that an event has at most: its moment and its numbers.
const WORDS: usize = 5;

/// An event in words.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LogEntry {
    /// Virtual time.
    pub at: Duration,
    /// The node it happened on, or that did it.
    pub node: String,
    /// What happened.
    pub text: String,
}

impl fmt::Display for LogEntry {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { at, node, text } = self;
        write!(f, "{:9.4} s  {node:12} {text}", at.as_secs_f64())
    }
}

/// The trace of one run.
pub(crate) struct Trace {
    hasher: Xxh3,
    event_count: u64,
    log: VecDeque<LogEntry>,
}

impl Trace {
    pub(crate) fn new() -> Self {
        Self { hasher: Xxh3::new(), event_count: 0, log: VecDeque::new() }
    }

    /// Adds an event: its kind, when it happened, and numbers that tell it from others.
    pub(crate) fn add(&mut self, kind: &str, at: Duration, numbers: &[u64]) {
        self.event_count += 1;
        assert!(numbers.len() < WORDS, "an event fits into its buffer");
        let mut bytes = [0; 8 * WORDS];
        let (words, _) = bytes.as_chunks_mut::<8>();
        words[0] = u64::try_from(at.as_nanos()).unwrap_or(u64::MAX).to_le_bytes();
        for (word, number) in words[1..].iter_mut().zip(numbers) {
            *word = number.to_le_bytes();
        }
        self.hasher.update(kind.as_bytes());
        self.hasher.update(&bytes[..8 * (1 + numbers.len())]);
    }

    /// Adds an event that hashes itself.
    pub(crate) fn hasher(&mut self) -> &mut Xxh3 {
        &mut self.hasher
    }

    /// Keeps an event in words. Words are not part of the hash.
    pub(crate) fn log(&mut self, at: Duration, node: &str, text: String) {
        if self.log.len() == LOG_LENGTH {
            self.log.pop_front();
        }
        self.log.push_back(LogEntry { at, node: node.to_owned(), text });
    }

    pub(crate) fn event_count(&self) -> u64 {
        self.event_count
    }

    pub(crate) fn hash(&self) -> u128 {
        self.hasher.digest128()
    }

    pub(crate) fn take_log(&mut self) -> Vec<LogEntry> {
        self.log.drain(..).collect()
    }
}
