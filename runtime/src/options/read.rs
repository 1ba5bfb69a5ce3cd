//! Options from text in TOML. What is wrong in it is told with its line, what was found, and what
//! could be there instead.

use std::{num::NonZeroU32, time::Duration};

use floodmark_dataflow::EndedInputs;
use floodmark_model::{
    CheckpointConfig, ClusterConfig, KEY_GROUP_COUNT_MAX, LocalCopies, RestartStrategy,
};
use toml::{
    Spanned,
    de::{DeTable, DeValue},
};

use super::{Options, duration};

/// Something in the text that is no option.
#[derive(Debug)]
pub(super) struct Mistake {
    /// Counted from 1.
    pub(super) line: usize,
    /// What it is, and where.
    pub(super) reason: String,
}

/// The keys of each table; a key that is a table itself is listed with both.
const KEYS: [(&str, &[&str]); 5] = [
    (
        "",
        &[
            "parallelism",
            "key_groups",
            "batch_size",
            "chain_exchanges",
            "ended_inputs",
            "storage",
            "restart",
            "checkpoints",
            "cluster",
        ],
    ),
    (
        "checkpoints",
        &[
            "interval",
            "timeout",
            "min_pause",
            "tolerable_failures",
            "retain",
            "local_copies",
            "state_size_max",
        ],
    ),
    ("restart", &["fixed_delay"]),
    ("restart.fixed_delay", &["attempts", "delay"]),
    ("cluster", &["heartbeat_interval", "heartbeat_timeout", "deployment_timeout"]),
];

/// Reads all options.
///
/// # Errors
///
/// The first mistake in the text.
pub(super) fn options(text: &str) -> Result<Options, Mistake> {
    let document = DeTable::parse(text).map_err(|error| {
        let line = line_of(text, error.span().map_or(0, |span| span.start));
        Mistake { line, reason: format!("line {line} is no TOML: {}", error.message()) }
    })?;
    let mut options = Options::default();
    for entry in Entry::all(text, "", document.get_ref()) {
        match entry.key {
            "parallelism" => options.parallelism = Some(entry.number(1, u16::MAX.into())?),
            "key_groups" => options.key_groups = Some(entry.number(1, KEY_GROUP_COUNT_MAX.into())?),
            "batch_size" => options.batch_size = Some(entry.number(1, 65_536)?),
            "chain_exchanges" => options.chain_exchanges = Some(entry.truth()?),
            "ended_inputs" => options.ended_inputs = Some(ended_inputs(&entry)?),
            "storage" => options.storage = Some(entry.text("a directory")?.to_owned()),
            "restart" => options.restart = Some(restart(&entry)?),
            "checkpoints" => options.checkpoints = Some(checkpoints(&entry)?),
            "cluster" => options.cluster = Some(cluster(&entry)?),
            _ => return Err(entry.unknown()),
        }
    }
    Ok(options)
}

fn ended_inputs(entry: &Entry<'_>) -> Result<EndedInputs, Mistake> {
    const CHOICES: &str = "\"leave_out\" or \"push_on\"";
    match entry.text(CHOICES)? {
        "leave_out" => Ok(EndedInputs::LeaveOut),
        "push_on" => Ok(EndedInputs::PushOn),
        _ => Err(entry.expected(CHOICES)),
    }
}

fn checkpoints(table: &Entry<'_>) -> Result<CheckpointConfig, Mistake> {
    let entries = table.entries("a table")?;
    let interval = entries.iter().find(|entry| entry.key == "interval");
    let interval = match interval {
        Some(interval) => interval.duration()?,
        // What is there under another name explains why it is missing.
        None => match entries.iter().find(|entry| !entry.is_known()) {
            Some(unknown) => return Err(unknown.unknown()),
            None => return Err(table.lacks("interval")),
        },
    };
    let mut checkpoints = CheckpointConfig::every(interval);
    for entry in entries {
        match entry.key {
            "interval" => {}
            "timeout" => checkpoints.timeout = entry.duration()?,
            "min_pause" => checkpoints.min_pause = entry.duration()?,
            "tolerable_failures" => {
                checkpoints.tolerable_failure_count = entry.number(0, u32::MAX.into())?;
            }
            "retain" => {
                let count = entry.number(1, u32::MAX.into())?;
                checkpoints.retained_count = NonZeroU32::new(count).expect("at least 1");
            }
            "local_copies" => checkpoints.local_copies = local_copies(&entry)?,
            "state_size_max" => {
                checkpoints.state_size_max = Some(entry.number(1, i64::MAX.unsigned_abs())?);
            }
            _ => return Err(entry.unknown()),
        }
    }
    Ok(checkpoints)
}

fn local_copies(entry: &Entry<'_>) -> Result<LocalCopies, Mistake> {
    const CHOICES: &str = "\"none\" or \"newest\"";
    match entry.text(CHOICES)? {
        "none" => Ok(LocalCopies::None),
        "newest" => Ok(LocalCopies::Newest),
        _ => Err(entry.expected(CHOICES)),
    }
}

fn restart(entry: &Entry<'_>) -> Result<RestartStrategy, Mistake> {
    const CHOICES: &str = "\"none\" or a table with `fixed_delay`";
    let value = entry.value.get_ref();
    if value.as_str() == Some("none") {
        return Ok(RestartStrategy::None);
    }
    let mut found = None;
    for strategy in entry.entries(CHOICES)? {
        match strategy.key {
            "fixed_delay" => found = Some(fixed_delay(&strategy)?),
            _ => return Err(strategy.unknown()),
        }
    }
    found.ok_or_else(|| entry.lacks("fixed_delay"))
}

fn fixed_delay(table: &Entry<'_>) -> Result<RestartStrategy, Mistake> {
    let (mut attempts, mut delay) = (None, None);
    for entry in table.entries("a table with `attempts` and `delay`")? {
        match entry.key {
            "attempts" => attempts = Some(entry.number(0, u32::MAX.into())?),
            "delay" => delay = Some(entry.duration()?),
            _ => return Err(entry.unknown()),
        }
    }
    let attempts = attempts.ok_or_else(|| table.lacks("attempts"))?;
    let delay = delay.ok_or_else(|| table.lacks("delay"))?;
    Ok(RestartStrategy::FixedDelay { attempts, delay })
}

fn cluster(table: &Entry<'_>) -> Result<ClusterConfig, Mistake> {
    let mut cluster = ClusterConfig::default();
    for entry in table.entries("a table")? {
        match entry.key {
            "heartbeat_interval" => cluster.heartbeat_interval = entry.duration()?,
            "heartbeat_timeout" => cluster.heartbeat_timeout = entry.duration()?,
            "deployment_timeout" => cluster.deployment_timeout = entry.duration()?,
            _ => return Err(entry.unknown()),
        }
    }
    Ok(cluster)
}

/// A key and its value, and where they are.
struct Entry<'a> {
    text: &'a str,
    /// The name of the table that it is in; empty for the outermost.
    table: String,
    key: &'a str,
    /// Where the key is in the text.
    place: usize,
    value: &'a Spanned<DeValue<'a>>,
}

impl<'a> Entry<'a> {
    /// Returns the entries of a table in the order of the text.
    fn all(text: &'a str, name: &str, table: &'a DeTable<'a>) -> Vec<Self> {
        let entries = table.iter().map(|(key, value)| Self {
            text,
            table: name.to_owned(),
            key: key.get_ref(),
            place: key.span().start,
            value,
        });
        let mut entries: Vec<Self> = entries.collect();
        entries.sort_by_key(|entry| entry.place);
        entries
    }

    /// Returns the entries of the table that is the value.
    fn entries(&self, expected: &str) -> Result<Vec<Self>, Mistake> {
        let table = self.value.get_ref().as_table().ok_or_else(|| self.expected(expected))?;
        Ok(Self::all(self.text, &self.name(), table))
    }

    fn name(&self) -> String {
        if self.table.is_empty() {
            self.key.to_owned()
        } else {
            format!("{}.{}", self.table, self.key)
        }
    }

    fn number<N: TryFrom<u64>>(&self, min: u64, max: u64) -> Result<N, Mistake> {
        let integer = self.value.get_ref().as_integer();
        let number =
            integer.and_then(|integer| u64::from_str_radix(integer.as_str(), integer.radix()).ok());
        let number = number.filter(|number| min <= *number && *number <= max);
        let number = number.and_then(|number| N::try_from(number).ok());
        number.ok_or_else(|| self.expected(&format!("a whole number from {min} to {max}")))
    }

    fn truth(&self) -> Result<bool, Mistake> {
        self.value.get_ref().as_bool().ok_or_else(|| self.expected("true or false"))
    }

    fn text(&self, expected: &str) -> Result<&str, Mistake> {
        self.value.get_ref().as_str().ok_or_else(|| self.expected(expected))
    }

    fn duration(&self) -> Result<Duration, Mistake> {
        const EXAMPLES: &str = "a duration like \"10 s\" or \"500 ms\"";
        duration::parse(self.text(EXAMPLES)?).map_err(|reason| {
            let found = format!("{}, {reason},", self.found());
            self.mistake(|name, line| {
                format!("`{name}` in line {line} is {found} and must be {EXAMPLES}")
            })
        })
    }

    /// Returns what the value is, in words.
    fn found(&self) -> String {
        match self.value.get_ref() {
            DeValue::String(text) => format!("the text {text:?}"),
            DeValue::Integer(_) | DeValue::Float(_) => {
                format!("the number {}", &self.text[self.value.span()])
            }
            DeValue::Boolean(truth) => truth.to_string(),
            DeValue::Datetime(_) => "a date or a time".to_owned(),
            DeValue::Array(_) => "a list".to_owned(),
            DeValue::Table(_) => "a table".to_owned(),
        }
    }

    fn expected(&self, expected: &str) -> Mistake {
        let found = self.found();
        self.mistake(|name, line| {
            format!("`{name}` in line {line} is {found}, and must be {expected}")
        })
    }

    fn lacks(&self, key: &str) -> Mistake {
        self.mistake(|name, line| format!("`{name}` in line {line} lacks `{key}`"))
    }

    /// Returns the keys of the table that this entry is in.
    fn siblings(&self) -> &'static [&'static str] {
        let table = KEYS.iter().find(|(table, _)| *table == self.table);
        table.map_or(&[], |(_, keys)| keys)
    }

    fn is_known(&self) -> bool {
        self.siblings().contains(&self.key)
    }

    fn unknown(&self) -> Mistake {
        let suggestion = self.suggestion();
        self.mistake(|name, line| format!("unknown key `{name}` in line {line}{suggestion}"))
    }

    /// Returns which key may have been meant: one of the same table that is spelled alike, else one of
    /// another table; if there is none, which keys there are.
    fn suggestion(&self) -> String {
        /// Below this they have hardly more in common than two names have anyway.
        const LIKENESS_MIN: f64 = 0.8;
        let likeness = |known: &str| strsim::jaro_winkler(self.key, known);
        let is_alike = |known: &&&str| LIKENESS_MIN <= likeness(known);
        let best = |keys: &'static [&'static str]| {
            let alike = keys.iter().filter(is_alike);
            alike.max_by(|left, right| likeness(left).total_cmp(&likeness(right)))
        };
        if let Some(sibling) = best(self.siblings()) {
            return format!(": did you mean `{sibling}`?");
        }
        let elsewhere = KEYS.iter().find_map(|(table, keys)| Some((table, best(keys)?)));
        match elsewhere {
            Some((&"", key)) => format!(": did you mean `{key}`, outside of all tables?"),
            Some((table, key)) => format!(": did you mean `{table}.{key}`?"),
            None => {
                let known: Vec<_> = self.siblings().iter().map(|key| format!("`{key}`")).collect();
                format!("; there are {}", known.join(", "))
            }
        }
    }

    fn mistake(&self, words: impl FnOnce(&str, usize) -> String) -> Mistake {
        let line = line_of(self.text, self.place);
        Mistake { line, reason: words(&self.name(), line) }
    }
}

/// Returns the line of a place in the text, counted from 1.
fn line_of(text: &str, place: usize) -> usize {
    1 + text.as_bytes().iter().take(place).filter(|byte| **byte == b'\n').count()
}

#[cfg(test)]
mod tests;
