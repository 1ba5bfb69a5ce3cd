//! The disks of nodes: what was not synced may be gone or torn after a crash.

use std::{collections::BTreeMap, fmt};

use bytes::Bytes;
use serde::{Deserialize, Serialize};

use crate::choice::{Choices, actor_named};

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

/// Bytes that a disk writes in one step: a loss of power may take some blocks and leave others.
const BLOCK_SIZE: usize = 512;

/// The disk of one node.
#[derive(Debug, Default)]
pub(crate) struct Disk {
    names: BTreeMap<String, Name>,
    /// How many files there have been, to tell one from another of the same name.
    file_count: u64,
}

/// What a name stands for.
#[derive(Debug, Default)]
struct Name {
    /// What a reader finds.
    current: Option<File>,
    /// What a crash cannot take.
    synced: Option<File>,
}

#[derive(Clone, Debug)]
struct File {
    number: u64,
    content: Bytes,
    /// What was synced of the content.
    synced: Bytes,
}

impl Disk {
    pub(crate) fn write(&mut self, name: &str, content: Bytes) {
        self.file_count += 1;
        let number = self.file_count;
        match &mut self.names.entry(name.to_owned()).or_default().current {
            Some(file) => file.content = content,
            none => *none = Some(File { number, content, synced: Bytes::new() }),
        }
    }

    /// Returns up to `size_max` bytes from `offset` on.
    pub(crate) fn read(&self, name: &str, offset: u64, size_max: usize) -> Option<Bytes> {
        let content = &self.names.get(name)?.current.as_ref()?.content;
        let start = usize::try_from(offset).unwrap_or(usize::MAX).min(content.len());
        let end = start.saturating_add(size_max).min(content.len());
        Some(content.slice(start..end))
    }

    /// Makes a file durable, and all names of its directory. Returns whether there is such a file.
    pub(crate) fn sync(&mut self, name: &str) -> bool {
        let Some(file) = self.names.get_mut(name).and_then(|name| name.current.as_mut()) else {
            return false;
        };
        file.synced = file.content.clone();
        let directory = directory_of(name).to_owned();
        for (name, entry) in &mut self.names {
            if directory_of(name) == directory {
                entry.synced.clone_from(&entry.current);
            }
        }
        true
    }

    /// Gives a file another name. Returns whether there is such a file.
    pub(crate) fn rename(&mut self, from: &str, to: &str) -> bool {
        let Some(file) = self.names.get_mut(from).and_then(|name| name.current.take()) else {
            return false;
        };
        self.names.entry(to.to_owned()).or_default().current = Some(file);
        true
    }

    pub(crate) fn remove(&mut self, name: &str) {
        if let Some(name) = self.names.get_mut(name) {
            name.current = None;
        }
        self.names.retain(|_, name| name.current.is_some() || name.synced.is_some());
    }

    /// Returns the names of the files below `directory`; the empty one has all.
    pub(crate) fn list(&self, directory: &str) -> Vec<String> {
        let under = match directory.trim_end_matches('/') {
            "" => String::new(),
            directory => format!("{directory}/"),
        };
        let names = self.names.iter().filter(|(_, name)| name.current.is_some());
        names.map(|(name, _)| name).filter(|name| name.starts_with(&under)).cloned().collect()
    }

    /// Returns whether a file has no bytes, or does not exist.
    pub(crate) fn is_empty(&self, name: &str) -> bool {
        let file = self.names.get(name).and_then(|name| name.current.as_ref());
        file.is_none_or(|file| file.content.is_empty())
    }

    /// Changes one byte of a file, for good.
    pub(crate) fn rot(&mut self, name: &str, actor: u64, choices: &mut Choices) {
        let Some(file) = self.names.get_mut(name).and_then(|name| name.current.as_mut()) else {
            return;
        };
        let is_synced = file.content == file.synced;
        file.content = corrupted(&file.content, "rotten_byte", actor, choices);
        if is_synced {
            file.synced = file.content.clone();
        }
    }

    /// Does to everything that was not synced what a loss of power might do.
    pub(crate) fn crash(&mut self, actor: u64, choices: &mut Choices) {
        for (path, name) in &mut self.names {
            let actor = actor_named(actor, path);
            let number = |file: &Option<File>| file.as_ref().map(|file| file.number);
            let is_unsynced = number(&name.current) != number(&name.synced);
            if is_unsynced && choices.below("unsynced_name", actor, 3) == 2 {
                name.current = name.synced.take();
            }
            if let Some(file) = &mut name.current {
                file.content = after_crash(file, actor, choices);
                file.synced = file.content.clone();
            }
            name.synced.clone_from(&name.current);
        }
        self.names.retain(|_, name| name.current.is_some());
    }

    pub(crate) fn lose(&mut self) {
        self.names.clear();
    }
}

/// Returns what a loss of power leaves of a file.
fn after_crash(file: &File, actor: u64, choices: &mut Choices) -> Bytes {
    let File { content, synced, .. } = file;
    if content == synced {
        return content.clone();
    }
    match choices.below("unsynced_file", actor, 4) {
        0 => content.clone(),
        1 => {
            let size = choices.below("torn_file", actor, content.len() as u64 + 1);
            content.slice(..usize::try_from(size).expect("a file fits into memory"))
        }
        2 => {
            let mut left = content.to_vec();
            for block in left.chunks_mut(BLOCK_SIZE) {
                if choices.below("unwritten_block", actor, 2) == 1 {
                    block.fill(0);
                }
            }
            left.into()
        }
        _ => synced.clone(),
    }
}

/// Returns `content` with one byte changed, if it has any.
pub(crate) fn corrupted(
    content: &Bytes,
    site: &'static str,
    actor: u64,
    choices: &mut Choices,
) -> Bytes {
    let mut changed = content.to_vec();
    let index = choices.below(site, actor, content.len() as u64);
    if let Some(byte) = changed.get_mut(usize::try_from(index).expect("content fits into memory")) {
        // Any change but none.
        *byte ^= 1 << (index % 8);
    }
    changed.into()
}

fn directory_of(name: &str) -> &str {
    name.rsplit_once('/').map_or("", |(directory, _)| directory)
}
