//! The options of a job: what the code sets, what a file sets, and what is so if nobody says
//! otherwise.
//!
//! Each option is looked for in that order, so code wins over a file no matter what is called first.
//! An option is one method of the environment: checkpoints set in code are set as a whole, and what a
//! file says of them does not count.

mod duration;
mod read;
mod write;

use floodmark_dataflow::EndedInputs;
use floodmark_model::{CheckpointConfig, ClusterConfig, RestartStrategy};

use crate::Error;

/// Options, as far as they are set.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Options {
    pub(crate) parallelism: Option<u16>,
    pub(crate) key_groups: Option<u16>,
    pub(crate) batch_size: Option<usize>,
    pub(crate) chain_exchanges: Option<bool>,
    pub(crate) ended_inputs: Option<EndedInputs>,
    pub(crate) checkpoints: Option<CheckpointConfig>,
    pub(crate) restart: Option<RestartStrategy>,
    pub(crate) storage: Option<String>,
    pub(crate) cluster: Option<ClusterConfig>,
}

impl Options {
    /// Returns what is so if nobody says otherwise. Checkpoints are not set then, and there are none.
    fn unless_set() -> Self {
        Self {
            parallelism: Some(1),
            key_groups: Some(128),
            batch_size: Some(512),
            chain_exchanges: Some(true),
            ended_inputs: Some(EndedInputs::default()),
            checkpoints: None,
            restart: Some(RestartStrategy::None),
            storage: Some("checkpoints".to_owned()),
            cluster: Some(ClusterConfig::default()),
        }
    }

    /// Reads options from text in TOML.
    ///
    /// # Errors
    ///
    /// When the text is no TOML, or something in it is no option.
    pub(crate) fn from_toml(text: &str) -> Result<Self, Error> {
        read::options(text).map_err(|read::Mistake { line, reason }| {
            let file = String::new();
            Error::Options { file, line, reason }
        })
    }

    /// Reads options from a file in TOML.
    ///
    /// # Errors
    ///
    /// When the file cannot be read, and as [`Options::from_toml`].
    #[expect(clippy::disallowed_methods, reason = "`main` reads its configuration by this call")]
    pub(crate) fn from_file(path: &std::path::Path) -> Result<Self, Error> {
        let name = path.display().to_string();
        let text = std::fs::read_to_string(path)
            .map_err(|source| Error::OptionsFile { file: name.clone(), source })?;
        read::options(&text).map_err(|read::Mistake { line, reason }| {
            let file = name;
            Error::Options { file, line, reason }
        })
    }

    /// Returns these options, and the others where these are not set.
    #[must_use]
    pub(crate) fn or(self, others: Self) -> Self {
        Self {
            parallelism: self.parallelism.or(others.parallelism),
            key_groups: self.key_groups.or(others.key_groups),
            batch_size: self.batch_size.or(others.batch_size),
            chain_exchanges: self.chain_exchanges.or(others.chain_exchanges),
            ended_inputs: self.ended_inputs.or(others.ended_inputs),
            checkpoints: self.checkpoints.or(others.checkpoints),
            restart: self.restart.or(others.restart),
            storage: self.storage.or(others.storage),
            cluster: self.cluster.or(others.cluster),
        }
    }

    /// Returns all options, with a value for each of those that are not set.
    pub(crate) fn resolved(self) -> Resolved {
        const SET: &str = "it is set if nobody says otherwise";
        let all = self.or(Self::unless_set());
        Resolved {
            parallelism: all.parallelism.expect(SET),
            key_group_count: all.key_groups.expect(SET),
            batch_size: all.batch_size.expect(SET),
            chains_exchanges: all.chain_exchanges.expect(SET),
            ended_inputs: all.ended_inputs.expect(SET),
            checkpoints: all.checkpoints,
            restart: all.restart.expect(SET),
            storage: all.storage.expect(SET),
            cluster: all.cluster.expect(SET),
        }
    }
}

/// Options that all have a value.
pub(crate) struct Resolved {
    pub(crate) parallelism: u16,
    pub(crate) key_group_count: u16,
    pub(crate) batch_size: usize,
    pub(crate) chains_exchanges: bool,
    pub(crate) ended_inputs: EndedInputs,
    pub(crate) checkpoints: Option<CheckpointConfig>,
    pub(crate) restart: RestartStrategy,
    pub(crate) storage: String,
    pub(crate) cluster: ClusterConfig,
}
