//! A failure on disk: everything needed to see it again.

use std::{fs, io, path::Path};

use floodmark_sim::{FaultPlan, Tape};
use serde::{Deserialize, Serialize};
use thiserror::Error;

use crate::{RunOptions, RunReport, Scenario, Shape, catalog, fault_in_words, run};

/// Choices that a test may hold.
const EMBEDDED_CHOICE_COUNT: usize = 200;

/// A recorded run. It names its choices, so it can be replayed without its seed's random numbers.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct ReplayFile {
    /// The scenario's name.
    pub scenario: String,
    /// The seed, which decides the input and the options of the job.
    pub seed: u64,
    /// How cluster and input differ from the scenario's.
    #[serde(default)]
    pub shape: Shape,
    /// What went wrong, and when.
    pub faults: FaultPlan,
    /// Every other choice that was made, or that matters.
    pub tape: Tape,
    /// Whether choices that the tape does not make go the plain way, and not that of the seed.
    #[serde(default)]
    pub is_plain: bool,
    /// The check that spoke, if one did.
    pub check: Option<String>,
    /// The hash of the run, in hexadecimal.
    pub hash: String,
}

/// A replay file that cannot be used.
#[derive(Debug, Error)]
pub enum ReplayError {
    /// The file cannot be read or written.
    #[error("the replay file {path:?}: {source}")]
    File {
        /// Its path.
        path: String,
        /// The system's own words.
        source: io::Error,
    },
    /// The file is not a replay file.
    #[error("{path:?} is not a replay file: {source}")]
    Malformed {
        /// Its path.
        path: String,
        /// What is wrong.
        source: serde_json::Error,
    },
    /// It is about a scenario that does not exist.
    #[error("there is no scenario {scenario:?}")]
    UnknownScenario {
        /// Its name.
        scenario: String,
    },
}

impl From<&RunReport> for ReplayFile {
    fn from(report: &RunReport) -> Self {
        Self {
            scenario: report.scenario.to_owned(),
            seed: report.seed,
            shape: report.shape.clone(),
            faults: report.faults.clone(),
            tape: report.tape.clone(),
            is_plain: report.is_plain,
            check: report.failure.as_ref().map(|failure| failure.check.clone()),
            hash: format!("{:032x}", report.hash),
        }
    }
}

impl ReplayFile {
    /// Returns the options that repeat the run.
    pub fn options(&self) -> RunOptions {
        RunOptions {
            shape: self.shape.clone(),
            faults: Some(self.faults.clone()),
            tape: Some(self.tape.clone()),
            is_plain: self.is_plain,
            ..RunOptions::default()
        }
    }

    /// Runs the recorded run again.
    ///
    /// # Errors
    ///
    /// When the catalog has no such scenario.
    pub fn replay(&self) -> Result<RunReport, ReplayError> {
        Ok(run(self.find()?, self.seed, &self.options()))
    }

    /// Returns the scenario in the catalog.
    pub(crate) fn find(&self) -> Result<&'static Scenario, ReplayError> {
        let unknown = || ReplayError::UnknownScenario { scenario: self.scenario.clone() };
        catalog::find(&self.scenario).ok_or_else(unknown)
    }

    /// Returns a test in Rust that replays the run and demands that all is well.
    pub fn to_test(&self) -> String {
        let mut compact = self.clone();
        if compact.tape.0.len() > EMBEDDED_CHOICE_COUNT && !compact.is_plain {
            // The seed says the same.
            compact.tape = Tape::default();
        }
        let text = serde_json::to_string_pretty(&compact);
        let text = text.expect("a replay file has only plain fields");
        let check = self.check.as_deref().unwrap_or("nothing");
        let name: String = format!("{}_{}_{check}", self.scenario, self.seed);
        let faults: String = self
            .faults
            .0
            .iter()
            .map(|fault| format!("/// - {}\n", fault_in_words(fault)))
            .collect();
        format!(
            "/// Once, `{check}` spoke up in this run.\n{faults}#[test]\nfn {name}() {{\n    \
             let case = r##\"{text}\"##;\n    \
             let case = floodmark_scenarios::ReplayFile::parse(case).expect(\"it is a case\");\n    \
             let report = case.replay().expect(\"the scenario exists\");\n    \
             assert!(report.failure.is_none(), \"{{report}}\");\n}}"
        )
    }

    /// Reads a replay file that is given as text.
    ///
    /// # Errors
    ///
    /// When it is none.
    pub fn parse(text: &str) -> Result<Self, ReplayError> {
        let path = "the given text".to_owned();
        serde_json::from_str(text).map_err(|source| ReplayError::Malformed { path, source })
    }
}

#[expect(clippy::disallowed_methods, reason = "replay files are the user's own, not a node's")]
impl ReplayFile {
    /// Reads a file.
    ///
    /// # Errors
    ///
    /// When it cannot be read, or is not a replay file.
    pub fn read(path: &Path) -> Result<Self, ReplayError> {
        let named = path.display().to_string();
        let text = fs::read_to_string(path)
            .map_err(|source| ReplayError::File { path: named.clone(), source })?;
        serde_json::from_str(&text).map_err(|source| ReplayError::Malformed { path: named, source })
    }

    /// Writes a file, and the directories above it.
    ///
    /// # Errors
    ///
    /// When it cannot be written.
    pub fn write(&self, path: &Path) -> Result<(), ReplayError> {
        let error = |source| ReplayError::File { path: path.display().to_string(), source };
        if let Some(directory) = path.parent() {
            fs::create_dir_all(directory).map_err(error)?;
        }
        let text = serde_json::to_string(self).expect("a replay file has only plain fields");
        fs::write(path, text).map_err(error)
    }
}
