//! What goes into a pipeline: elements, and the steps that bring them.

use std::{collections::BTreeMap, time::Duration};

use floodmark::{Timestamp, WatermarkGenerator, WatermarkOutput};
use serde::{Deserialize, Serialize};

use super::row::Row;

/// An element of the input.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Event {
    /// A word, mostly the key.
    pub(crate) k: String,
    /// A number.
    pub(crate) v: i64,
    /// Another word, often a command to a function.
    #[serde(default)]
    pub(crate) c: String,
    /// When it happened.
    pub(crate) ts: i64,
}

impl From<Event> for Row {
    fn from(Event { k, v, c, ts }: Event) -> Self {
        let row = Self::default().with("k", k).with("v", v).with("ts", Timestamp(ts));
        if c.is_empty() { row } else { row.with("c", c) }
    }
}

/// A step of the input.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Step {
    /// On which input.
    pub(crate) input: usize,
    /// What comes.
    pub(crate) what: Input,
}

/// What a step brings.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum Input {
    Event(Event),
    Watermark(Timestamp),
    Idle,
}

impl Step {
    /// Reads a step of a recorded case.
    pub(crate) fn from_json(json: &serde_json::Value) -> Option<Self> {
        let input = match json.get("in") {
            Some(input) => usize::try_from(input.as_u64()?).ok()?,
            None => 0,
        };
        let what = if let Some(event) = json.get("e") {
            Input::Event(serde_json::from_value(event.clone()).ok()?)
        } else if let Some(watermark) = json.get("wm") {
            Input::Watermark(time(watermark)?)
        } else {
            json.get("idle")?.as_bool()?.then_some(Input::Idle)?
        };
        Some(Self { input, what })
    }

    /// Returns the event time of what the step brings.
    pub(crate) fn timestamp(&self) -> i64 {
        match &self.what {
            Input::Event(event) => event.ts,
            Input::Watermark(_) | Input::Idle => i64::MIN,
        }
    }

    /// Returns the element, if the step brings one.
    pub(crate) fn into_event(self) -> Option<Event> {
        match self.what {
            Input::Event(event) => Some(event),
            Input::Watermark(_) | Input::Idle => None,
        }
    }
}

/// Reads a time, whose ends have names.
pub(crate) fn time(json: &serde_json::Value) -> Option<Timestamp> {
    match json.as_str() {
        Some("MIN") => Some(Timestamp::MIN),
        Some("MAX") => Some(Timestamp::MAX),
        Some(_) => None,
        None => json.as_i64().map(Timestamp),
    }
}

/// Promises what the steps say.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub(crate) struct AsTold;

impl WatermarkGenerator<Step> for AsTold {
    fn on_record(&mut self, step: &Step, _: Timestamp, output: &mut WatermarkOutput) {
        match step.what {
            Input::Event(_) => {}
            Input::Watermark(watermark) => output.emit(watermark),
            Input::Idle => output.mark_idle(),
        }
    }
}

/// Parameters of an operator or a function, by name.
#[derive(Clone, Debug, Default)]
pub(crate) struct Parameters(BTreeMap<String, serde_json::Value>);

impl Parameters {
    pub(crate) fn from_json(json: &serde_json::Value) -> Self {
        let fields = json.as_object().into_iter().flatten();
        Self(fields.map(|(name, value)| (name.clone(), value.clone())).collect())
    }

    /// Returns a text, if it is there.
    pub(crate) fn text(&self, name: &str) -> Option<&str> {
        self.0.get(name)?.as_str()
    }

    /// Returns a whole number, if it is there.
    pub(crate) fn int(&self, name: &str) -> Option<i64> {
        self.0.get(name)?.as_i64()
    }

    /// Returns a number that must be there.
    pub(crate) fn needed(&self, name: &str) -> Result<i64, String> {
        self.int(name).ok_or_else(|| format!("the parameter {name} is missing in {self:?}"))
    }

    /// Returns a length of time, 0 if it is not there. The longest has a name.
    pub(crate) fn span(&self, name: &str) -> Duration {
        let time = self.0.get(name).and_then(time).unwrap_or(Timestamp(0));
        Duration::from_millis(time.0.unsigned_abs())
    }

    /// Returns whether a flag is set.
    pub(crate) fn flag(&self, name: &str) -> bool {
        self.0.get(name).and_then(serde_json::Value::as_bool).unwrap_or_default()
    }

    /// Returns parameters of a part, if they are there.
    pub(crate) fn part(&self, name: &str) -> Option<Self> {
        self.0.get(name).map(Self::from_json)
    }

    /// Returns the name of what these are the parameters of.
    pub(crate) fn kind(&self) -> &str {
        self.text("type").unwrap_or_default()
    }
}
