//! Snapshots on their way out, and restored state on its way in.

use std::{any::type_name, collections::BTreeMap};

use floodmark_model::{KeyGroup, KeyGroupRange, SectionDigest};
use floodmark_platform::BoxFuture;
use floodmark_wire::{KeyGroupBytes, Section, SnapshotFile, WireError, codec};
use serde::de::DeserializeOwned;
use thiserror::Error;

use crate::Data;

/// A part of a snapshot whose content is fixed and whose bytes are not yet made.
pub type FrozenSection = Box<dyn FnOnce() -> Section + Send>;

/// The snapshot of one subtask, gathered along its chain in an instant.
#[derive(Default)]
pub struct Snapshot {
    sections: Vec<FrozenSection>,
    /// What all subtasks of the vertex restore.
    shared: Vec<FrozenSection>,
    uploads: Vec<BoxFuture<Result<(), String>>>,
}

/// State that cannot be restored.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum StateError {
    /// The stored type is another one.
    #[error("state {operator}/{name} was stored as {stored}, and is wanted as {wanted}")]
    Type {
        /// The operator's uid.
        operator: String,
        /// The state's name.
        name: String,
        /// What the snapshot holds.
        stored: String,
        /// What the operator asks for.
        wanted: String,
    },
    /// Nobody would find the state of an operator without a name again.
    #[error("state {name} belongs to an operator without a uid: give it one")]
    NoUid {
        /// The state's name.
        name: String,
    },
    /// One name is used for two states of different types.
    #[error("state {operator}/{name} is used as {first} and as {second}")]
    InUse {
        /// The operator's uid.
        operator: String,
        /// The state's name.
        name: String,
        /// The type with which it was used first.
        first: String,
        /// The type with which it was used then.
        second: String,
    },
    /// The stored state is of another kind: a list is no map.
    #[error("state {operator}/{name} was stored as {stored}, and is wanted as {wanted}")]
    Kind {
        /// The operator's uid.
        operator: String,
        /// The state's name.
        name: String,
        /// What the snapshot holds.
        stored: String,
        /// What the operator asks for.
        wanted: String,
    },
    /// The state was stored by a newer version of the job.
    #[error(
        "state {operator}/{name} was stored in version {found}, and this job expects version \
         {expected}, which is older"
    )]
    Newer {
        /// The operator's uid.
        operator: String,
        /// The state's name.
        name: String,
        /// The version that was stored.
        found: u32,
        /// The version of today.
        expected: u32,
    },
    /// The state was stored by an older version of the job, and there is no way from there.
    #[error(
        "state {operator}/{name} was stored in version {found}, and this job expects version \
         {expected} and has no migration from {found}"
    )]
    Unmigrated {
        /// The operator's uid.
        operator: String,
        /// The state's name.
        name: String,
        /// The version that was stored.
        found: u32,
        /// The version of today.
        expected: u32,
    },
    /// A migration has made one of two names of a map.
    #[error("the migration of state {operator}/{name} gives two entries of a map one name")]
    Merged {
        /// The operator's uid.
        operator: String,
        /// The state's name.
        name: String,
    },
    /// The bytes are not what they should be.
    #[error("state {operator}/{name} cannot be read: {source}")]
    Malformed {
        /// The operator's uid.
        operator: String,
        /// The state's name.
        name: String,
        /// What is wrong with the bytes.
        source: WireError,
    },
    /// The job has no operator for this state.
    #[error("the snapshot holds state {operator}/{name}, and the job has no such operator")]
    Unclaimed {
        /// The operator's uid.
        operator: String,
        /// The state's name.
        name: String,
    },
}

impl Snapshot {
    /// Adds a section.
    pub fn add(&mut self, section: FrozenSection) {
        self.sections.push(section);
    }

    /// Adds a section that all subtasks of the vertex restore.
    pub fn add_shared(&mut self, section: FrozenSection) {
        self.shared.push(section);
    }

    /// Adds work that must be done before the snapshot may be acknowledged.
    pub fn add_upload(&mut self, upload: BoxFuture<Result<(), String>>) {
        self.uploads.push(upload);
    }

    /// Returns all sections as one file, and the uploads that go with them. Serialises everything.
    pub fn into_parts(self) -> (SnapshotFile, Vec<BoxFuture<Result<(), String>>>) {
        let Files { mut own, shared, uploads } = self.into_files();
        own.sections.extend(shared.into_iter().flat_map(|file| file.sections));
        (own, uploads)
    }

    /// Returns the files of the snapshot. Serialises everything.
    pub fn into_files(self) -> Files {
        let file = |sections: Vec<FrozenSection>| SnapshotFile {
            sections: sections.into_iter().map(|section| section()).collect(),
        };
        let shared = file(self.shared);
        let shared = (!shared.sections.is_empty()).then_some(shared);
        Files { own: file(self.sections), shared, uploads: self.uploads }
    }
}

/// A snapshot as it is stored.
pub struct Files {
    /// What its subtask alone restores.
    pub own: SnapshotFile,
    /// What all subtasks of the vertex restore, if there is any.
    pub shared: Option<SnapshotFile>,
    /// Work that must be done before the snapshot may be acknowledged.
    pub uploads: Vec<BoxFuture<Result<(), String>>>,
}

/// Freezes a single value that belongs to no key.
pub fn freeze_value<T: Data>(operator: &str, name: &str, value: T) -> FrozenSection {
    let (operator, name) = (operator.to_owned(), name.to_owned());
    Box::new(move || {
        let mut bytes = Vec::new();
        codec::encode_value(&value, &mut bytes);
        let type_name = type_name::<T>().to_owned();
        let groups = vec![KeyGroupBytes { group: KeyGroup(0), bytes }];
        Section { operator, name, type_name, entry_count: 1, groups }
    })
}

/// What was stored of a list of subtasks.
pub(crate) struct StoredList {
    /// The name of its sections.
    pub(crate) name: String,
    /// By whom, and what.
    pub(crate) parts: Vec<(u16, Section)>,
    /// Whether they are those of all subtasks of a job with another parallelism.
    pub(crate) is_of_all: bool,
}

/// The state a subtask starts from, handed out section by section.
#[derive(Debug, Default)]
pub struct RestoredState {
    sections: BTreeMap<(String, String), Vec<Section>>,
    /// What all subtasks of the vertex restore: by whom it was stored, in the order of subtasks.
    shared: BTreeMap<(String, String), Vec<(u16, Section)>>,
    /// Whether `sections` are those of all subtasks of a job with another parallelism.
    is_of_all: bool,
    /// What was taken by functions that may have changed it before anybody looks again.
    taken: Vec<SectionDigest>,
}

impl RestoredState {
    /// Gathers the sections of all files.
    pub fn new(files: Vec<SnapshotFile>) -> Self {
        let mut sections: BTreeMap<_, Vec<_>> = BTreeMap::new();
        for section in files.into_iter().flat_map(|file| file.sections) {
            let key = (section.operator.clone(), section.name.clone());
            sections.entry(key).or_default().push(section);
        }
        Self { sections, ..Self::default() }
    }

    /// Adds what all subtasks of the vertex restore, and who stored it.
    #[must_use]
    pub fn with_shared(mut self, mut files: Vec<(u16, SnapshotFile)>) -> Self {
        files.sort_by_key(|(by, _)| *by);
        for (by, file) in files {
            for section in file.sections {
                let key = (section.operator.clone(), section.name.clone());
                self.shared.entry(key).or_default().push((by, section));
            }
        }
        self
    }

    /// Says that the files are those of all subtasks of a job with another parallelism, in their
    /// order.
    #[must_use]
    pub fn of_all(self) -> Self {
        Self { is_of_all: true, ..self }
    }

    /// Takes the single value stored under this name, if there is one.
    ///
    /// # Errors
    ///
    /// When it was stored as another type, or its bytes are malformed.
    pub fn take_value<T: Data>(
        &mut self,
        operator: &str,
        name: &str,
    ) -> Result<Option<T>, StateError> {
        let sections = self.take(operator, name);
        let Some(section) = sections.first() else { return Ok(None) };
        check_type::<T>(section)?;
        let Some(part) = section.groups.first() else { return Ok(None) };
        decode(section, &part.bytes).map(Some)
    }

    /// Takes the sections stored under this name.
    pub fn take(&mut self, operator: &str, name: &str) -> Vec<Section> {
        let key = (operator.to_owned(), name.to_owned());
        self.sections.remove(&key).unwrap_or_default()
    }

    /// Takes all lists of subtasks of an operator. `index` is the subtask that asks.
    pub(crate) fn take_lists(&mut self, operator: &str, index: u16) -> Vec<StoredList> {
        let is_of_all = self.is_of_all;
        let own = self.take_rest(operator).into_iter().map(|(name, sections)| {
            let parts = sections.into_iter().map(|section| (index, section)).collect();
            StoredList { name, parts, is_of_all }
        });
        let own: Vec<_> = own.collect();
        let keys = self.shared.keys().filter(|(owner, _)| owner == operator);
        let keys: Vec<_> = keys.cloned().collect();
        let shared = keys.into_iter().map(|key| {
            let parts = self.shared.remove(&key).expect("the key was just seen");
            StoredList { name: key.1, parts, is_of_all: false }
        });
        let shared: Vec<_> = shared.collect();
        for (_, section) in own.iter().flat_map(|list| &list.parts) {
            self.taken.push(section.digest());
        }
        for (by, section) in shared.iter().flat_map(|list| &list.parts) {
            let SectionDigest { name, entry_count, hash } = section.digest();
            let name = format!("{name} of {by}");
            self.taken.push(SectionDigest { name, entry_count, hash });
        }
        own.into_iter().chain(shared).collect()
    }

    /// Returns what functions without keys have taken, as it was stored. Of what all subtasks restore,
    /// the names end in ` of ` and the index of who stored it.
    pub fn into_taken(self) -> Vec<SectionDigest> {
        self.taken
    }

    /// Takes all sections of an operator that are left, by name.
    pub fn take_rest(&mut self, operator: &str) -> BTreeMap<String, Vec<Section>> {
        let keys = self.sections.keys().filter(|(owner, _)| owner == operator);
        let keys: Vec<_> = keys.cloned().collect();
        keys.into_iter()
            .map(|key| (key.1.clone(), self.sections.remove(&key).expect("the key was just seen")))
            .collect()
    }

    /// Returns whether every section was taken.
    ///
    /// # Errors
    ///
    /// When a section is left: state that nobody restores would be lost without a word.
    pub fn check_all_taken(&self) -> Result<(), StateError> {
        match self.sections.keys().chain(self.shared.keys()).next().cloned() {
            Some((operator, name)) => Err(StateError::Unclaimed { operator, name }),
            None => Ok(()),
        }
    }
}

/// Returns whether `section` holds values of type `T`.
pub(crate) fn check_type<T>(section: &Section) -> Result<(), StateError> {
    let wanted = type_name::<T>();
    if section.type_name == wanted {
        return Ok(());
    }
    Err(other_type(section, wanted))
}

pub(crate) fn other_type(section: &Section, wanted: &str) -> StateError {
    StateError::Type {
        operator: section.operator.clone(),
        name: section.name.clone(),
        stored: section.type_name.clone(),
        wanted: wanted.to_owned(),
    }
}

/// Returns the value in `bytes`, a part of `section`.
pub(crate) fn decode<T: DeserializeOwned>(
    section: &Section,
    bytes: &[u8],
) -> Result<T, StateError> {
    codec::decode_value(bytes).map_err(|source| malformed(section, source))
}

/// Returns the value at the beginning of `bytes`, which then begin behind it.
pub(crate) fn read<T: DeserializeOwned>(
    section: &Section,
    bytes: &mut &[u8],
) -> Result<T, StateError> {
    codec::read_value(bytes).map_err(|source| malformed(section, source))
}

pub(crate) fn malformed(section: &Section, source: WireError) -> StateError {
    let (operator, name) = (section.operator.clone(), section.name.clone());
    StateError::Malformed { operator, name, source }
}

/// Returns the parts of `sections` that fall into `range`, each with its section.
pub(crate) fn parts_in(
    sections: &[Section],
    range: KeyGroupRange,
) -> impl Iterator<Item = (&Section, &KeyGroupBytes)> {
    sections.iter().flat_map(move |section| {
        let parts = section.groups.iter().filter(move |part| range.contains(part.group));
        parts.map(move |part| (section, part))
    })
}
