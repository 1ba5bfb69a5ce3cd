//! The disks of nodes: what was not synced may be gone or torn after a crash.

use std::{collections::BTreeMap, fmt};

use bytes::Bytes;
use serde::{Deserialize, Serialize};

use crate::choice::Choices;

/// What becomes of a node's disk when the node is restarted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum DiskFate {
    /// It is as the crash left it.
    Kept,
    /// It is a new one.
    Lost,
}

impl fmt::Display for DiskFate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Kept => "with its disk",
            Self::Lost => "with a new disk",
        })
    }
}

/// The disk of one node.
#[derive(Debug, Default)]
pub(crate) struct Disk {
    files: BTreeMap<String, File>,
}

#[derive(Debug, Default)]
struct File {
    /// What a reader sees.
    current: Option<Bytes>,
    /// What a crash cannot take.
    synced: Option<Bytes>,
}

impl Disk {
    pub(crate) fn write(&mut self, name: &str, content: Bytes) {
        self.files.entry(name.to_owned()).or_default().current = Some(content);
    }

    pub(crate) fn read(&self, name: &str) -> Option<Bytes> {
        self.files.get(name)?.current.clone()
    }

    pub(crate) fn sync(&mut self, name: &str) {
        if let Some(file) = self.files.get_mut(name) {
            file.synced = file.current.clone();
        }
    }

    pub(crate) fn remove(&mut self, name: &str) {
        if let Some(file) = self.files.get_mut(name) {
            file.current = None;
        }
    }

    /// Does to every file that was not synced what a loss of power might do.
    pub(crate) fn crash(&mut self, actor: u64, choices: &mut Choices) {
        for file in self.files.values_mut().filter(|file| file.current != file.synced) {
            match (choices.below("unsynced_file", actor, 3), &file.current) {
                (0, _) => {}
                (1, Some(content)) => {
                    let size = choices.below("torn_file", actor, content.len() as u64 + 1);
                    let size = usize::try_from(size).expect("a file fits into memory");
                    file.current = Some(content.slice(..size));
                }
                _ => file.current = file.synced.clone(),
            }
            file.synced = file.current.clone();
        }
    }

    pub(crate) fn lose(&mut self) {
        self.files.clear();
    }
}
