//! A recorded case: what goes in, through what, and what came out.

use std::collections::BTreeMap;

use floodmark::Timestamp;
use thiserror::Error;

use super::{
    event::{Parameters, Step, time},
    recorder::{Entry, Line},
    row::Row,
};

/// A small job and what it must put out.
#[derive(Clone, Debug)]
pub struct Case {
    /// Its name.
    pub name: String,
    /// What it is about; also the name of its file.
    pub feature: String,
    /// Whether the recorded output follows from an accident of the engine that was recorded.
    pub is_quirk: bool,
    pub(crate) input_count: usize,
    pub(crate) steps: Vec<Step>,
    pub(crate) pipeline: Vec<Parameters>,
    /// The fields that tell apart what may come in any order; without it any order will do.
    pub(crate) order: Option<Vec<String>>,
    pub(crate) main: Vec<Entry>,
    pub(crate) sides: BTreeMap<String, Vec<Line>>,
}

/// A case that cannot be read.
#[derive(Debug, Error)]
pub enum CaseError {
    /// The file is not JSON.
    #[error("this is no list of cases")]
    Json(#[from] serde_json::Error),
    /// Something in it is not what the description says.
    #[error("{what} of the case {case:?} is not as described")]
    Malformed {
        /// The case.
        case: String,
        /// Its part.
        what: &'static str,
    },
}

impl Case {
    /// Reads the cases of one file, each for itself.
    ///
    /// # Errors
    ///
    /// When the content is not a list.
    pub fn read_all(content: &str) -> Result<Vec<Result<Self, CaseError>>, CaseError> {
        let cases: Vec<serde_json::Value> = serde_json::from_str(content)?;
        Ok(cases.iter().map(Self::from_json).collect())
    }

    fn from_json(json: &serde_json::Value) -> Result<Self, CaseError> {
        let input_count = json["inputs"].as_u64().map_or(Ok(1), usize::try_from);
        let text = |name: &str| json[name].as_str().unwrap_or_default().to_owned();
        let list = |name: &str| json[name].as_array().cloned().unwrap_or_default();
        let name = text("name");
        let malformed = |what| CaseError::Malformed { case: name.clone(), what };
        let steps: Option<Vec<_>> = list("input").iter().map(Step::from_json).collect();
        let order = json["order"].as_array().map(|fields| {
            fields.iter().map(|field| field.as_str().unwrap_or_default().to_owned()).collect()
        });
        let main = json["expect"]["main"].as_array().map(Vec::as_slice).unwrap_or_default();
        let main: Option<Vec<_>> = main.iter().map(entry).collect();
        let sides = json["expect"]["side"].as_object().into_iter().flatten();
        let sides: Option<BTreeMap<_, _>> = sides.map(|(tag, rows)| side(tag, rows)).collect();
        Ok(Self {
            feature: text("feature"),
            is_quirk: list("tags").iter().any(|tag| tag == "quirk"),
            input_count: input_count.map_err(|_| malformed("the number of inputs"))?,
            steps: steps.ok_or_else(|| malformed("the input"))?,
            pipeline: list("pipeline").iter().map(Parameters::from_json).collect(),
            order,
            main: main.ok_or_else(|| malformed("the main output"))?,
            sides: sides.ok_or_else(|| malformed("a side output"))?,
            name,
        })
    }
}

fn side(tag: &str, rows: &serde_json::Value) -> Option<(String, Vec<Line>)> {
    let rows: Option<Vec<_>> = rows.as_array()?.iter().map(line).collect();
    Some((tag.to_owned(), rows?))
}

fn line(json: &serde_json::Value) -> Option<Line> {
    let at = usize::try_from(json["at"].as_u64()?).ok()?;
    Some(Line { at, timestamp: time(&json["ts"])?, row: Row::from_json(json.get("out")?) })
}

fn entry(json: &serde_json::Value) -> Option<Entry> {
    let at = usize::try_from(json["at"].as_u64()?).ok()?;
    if json.get("out").is_some() {
        return line(json).map(Entry::Line);
    }
    if let Some(watermark) = json.get("wm") {
        return time(watermark).map(|watermark: Timestamp| Entry::Watermark(at, watermark));
    }
    json.get("idle")?.as_bool().map(|is_idle| Entry::Idle(at, is_idle))
}
