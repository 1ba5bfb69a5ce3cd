//! Lists of a subtask: state of functions that have no keys.
//!
//! A list belongs to the subtask that wrote it. When the job is restored, either each subtask gets its
//! own again, or, of a *union* list, each gets those of all subtasks, one behind the other in the
//! order of the subtasks.
//!
//! Union lists are kept in a file of their own beside the snapshot, because all subtasks of the vertex
//! read it. As long as a function has not written to a restored union list, the next snapshot has what
//! its subtask had stored itself, and not everything that it was given: a union list that is only read
//! does not grow with every restart.

use std::{
    any::{Any, type_name},
    collections::BTreeMap,
    marker::PhantomData,
};

use floodmark_model::KeyGroup;
use floodmark_wire::{KeyGroupBytes, SHARED_SECTION, Section, codec};

use serde::Serialize;

use crate::{
    Data, Declaration, FrozenSection, RestoredState, Snapshot, StateError,
    pages::{FrozenPages, Pages},
    schema::{fingerprint, split},
    snapshot::{StoredList, decode, other_type},
    states::Reader,
};

/// Who gets the elements of a list when the job is restored.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Distribution {
    /// The subtask that stored them; after a change of parallelism, everybody as many as anybody.
    Split,
    /// Everybody all of them.
    Union,
}

/// Stands in a section for a list of a subtask.
struct SplitList<T>(PhantomData<T>);

/// Stands in a section for a list that all subtasks get.
struct UnionList<T>(PhantomData<T>);

impl Distribution {
    fn type_name<T>(self) -> &'static str {
        match self {
            Self::Split => type_name::<SplitList<T>>(),
            Self::Union => type_name::<UnionList<T>>(),
        }
    }

    /// Returns the name of a list's section.
    fn section_name(self, name: &str) -> String {
        match self {
            Self::Split => name.to_owned(),
            Self::Union => format!("{SHARED_SECTION}{name}"),
        }
    }

    fn other(self) -> Self {
        match self {
            Self::Split => Self::Union,
            Self::Union => Self::Split,
        }
    }

    fn kind(self) -> String {
        match self {
            Self::Split => "a list of each subtask".to_owned(),
            Self::Union => "a union list".to_owned(),
        }
    }
}

/// Returns whether a section holds a list of a subtask.
pub fn is_subtask_list(section: &Section) -> bool {
    let path = |name: &'static str| name.split('<').next().unwrap_or(name);
    let (found, _) = split(&section.type_name);
    let found = found.split('<').next();
    [path(type_name::<SplitList<()>>()), path(type_name::<UnionList<()>>())]
        .into_iter()
        .any(|path| Some(path) == found)
}

/// A subtask among those of its vertex.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Place {
    /// Its index, from 0.
    pub index: u16,
    /// How many there are.
    pub parallelism: u16,
}

/// Returns what each of `parallelism` subtasks gets of lists that others have stored: what they have is
/// put behind one another and cut into pieces that differ by one element at most, the longer ones
/// first. As many subtasks as before keep what they had.
///
/// # Panics
///
/// When there is no subtask.
///
/// # Examples
///
/// ```
/// use floodmark_state::redistribute;
///
/// let stored = vec![vec![1, 2, 3, 4, 5], vec![], vec![6, 7]];
/// assert_eq!(redistribute(stored.clone(), 2), [vec![1, 2, 3, 4], vec![5, 6, 7]]);
/// assert_eq!(redistribute(stored.clone(), 3), stored);
/// ```
pub fn redistribute<T>(stored: Vec<Vec<T>>, parallelism: u16) -> Vec<Vec<T>> {
    let count = usize::from(parallelism);
    assert!(0 < count, "somebody takes what is there");
    if stored.len() == count {
        return stored;
    }
    let total: usize = stored.iter().map(Vec::len).sum();
    let mut all = stored.into_iter().flatten();
    let pieces = (0..count).map(|index| {
        let longer = usize::from(index < total % count);
        all.by_ref().take(total / count + longer).collect()
    });
    pieces.collect()
}

/// The lists of one subtask in one operator, created when they are first used.
///
/// Lists that were restored and not yet used stay in their stored form, and go into the next snapshot
/// unchanged.
pub struct OperatorStore {
    operator: String,
    place: Place,
    /// The lists in use, in the order of their first use; there are few.
    lists: Vec<Used>,
    /// Restored lists not in use yet.
    unclaimed: BTreeMap<String, StoredList>,
}

/// A list in use.
struct Used {
    name: &'static str,
    version: u32,
    distribution: Distribution,
    type_name: &'static str,
    list: Box<dyn AnyList>,
}

/// A list whose type is known only to the handle that asks for it.
trait AnyList: Send {
    fn as_any_mut(&mut self) -> &mut dyn Any;
    fn freeze(&mut self) -> Content;
}

/// What a list has in a snapshot.
enum Content {
    Elements(Box<dyn FnOnce() -> (u64, KeyGroupBytes) + Send>),
    /// What the subtask itself had stored before, if it had.
    Unchanged(Option<Section>),
}

struct Elements<T> {
    elements: Pages<T>,
    /// What the subtask itself has stored of a union list, until it is written to.
    own: Option<Option<Section>>,
}

impl<T: Data> AnyList for Elements<T> {
    fn as_any_mut(&mut self) -> &mut dyn Any {
        self
    }

    fn freeze(&mut self) -> Content {
        if let Some(own) = &self.own {
            return Content::Unchanged(own.clone());
        }
        let frozen = self.elements.freeze();
        Content::Elements(Box::new(move || encode(&frozen)))
    }
}

/// Returns the bytes of all elements: a list belongs to no key.
fn group_of<T: Serialize>(elements: &[T]) -> KeyGroupBytes {
    let mut bytes = Vec::new();
    codec::encode_value(elements, &mut bytes);
    KeyGroupBytes { group: KeyGroup(0), bytes }
}

fn encode<T: Data>(frozen: &FrozenPages<T>) -> (u64, KeyGroupBytes) {
    let elements: Vec<&T> = frozen.iter().collect();
    (elements.len() as u64, group_of(&elements))
}

/// A list of a subtask.
///
/// # Examples
///
/// ```
/// # use floodmark_state as floodmark;
/// use floodmark::OperatorListRef;
///
/// /// Adds a line, and keeps the newest three: `add(cx.state(LATEST), line)`.
/// fn add(mut latest: OperatorListRef<'_, String>, line: String) {
///     latest.push(line);
///     let lines = latest.get();
///     latest.set(lines[lines.len().saturating_sub(3)..].to_vec());
/// }
/// ```
pub struct OperatorListRef<'a, T> {
    list: &'a mut Elements<T>,
}

impl<T: Data> OperatorListRef<'_, T> {
    fn for_writing(&mut self) -> &mut Pages<T> {
        self.list.own = None;
        &mut self.list.elements
    }

    /// Returns the elements, in their order.
    pub fn iter(&self) -> impl Iterator<Item = &T> {
        self.list.elements.iter()
    }

    /// Returns a copy of the elements, in their order.
    pub fn get(&self) -> Vec<T> {
        self.iter().cloned().collect()
    }

    /// Returns the number of elements.
    pub fn len(&self) -> usize {
        self.list.elements.len()
    }

    /// Returns whether there are no elements.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Adds an element at the end.
    pub fn push(&mut self, element: T) {
        self.for_writing().push(element);
    }

    /// Adds elements at the end.
    pub fn extend(&mut self, elements: impl IntoIterator<Item = T>) {
        let list = self.for_writing();
        for element in elements {
            list.push(element);
        }
    }

    /// Replaces all elements.
    #[doc(alias = "update")]
    pub fn set(&mut self, elements: impl IntoIterator<Item = T>) {
        self.clear();
        self.extend(elements);
    }

    /// Removes all elements.
    pub fn clear(&mut self) {
        self.for_writing().clear();
    }
}

impl OperatorStore {
    /// Creates the store of a subtask of `operator`, with everything `restored` still holds for it. An
    /// operator without a name has no lists.
    pub fn new(operator: &str, place: Place, restored: &mut RestoredState) -> Self {
        let mut store = Self {
            operator: operator.to_owned(),
            place,
            lists: Vec::new(),
            unclaimed: BTreeMap::new(),
        };
        if !operator.is_empty() {
            let lists = restored.take_lists(operator, place.index).into_iter();
            store.unclaimed = lists.map(|list| (list.name.clone(), list)).collect();
        }
        store
    }

    /// Returns the list that is declared so.
    ///
    /// # Errors
    ///
    /// When the list was stored, or is already in use, with another type or distribution; when it was
    /// stored in a version from which there is no way; when the operator has no name.
    pub fn list<T: Data>(
        &mut self,
        declaration: &Declaration<T>,
        distribution: Distribution,
    ) -> Result<OperatorListRef<'_, T>, StateError> {
        let (name, version) = (declaration.name(), declaration.current());
        if self.operator.is_empty() {
            return Err(StateError::NoUid { name: name.to_owned() });
        }
        let type_name = distribution.type_name::<T>();
        let index = match self.lists.iter().position(|used| used.name == name) {
            Some(index) => index,
            None => {
                let list = Box::new(self.restore(declaration, distribution)?);
                self.unclaimed.remove(&distribution.section_name(name));
                self.lists.push(Used { name, version, distribution, type_name, list });
                self.lists.len() - 1
            }
        };
        let used = &mut self.lists[index];
        let is_same = (used.version, used.distribution) == (version, distribution);
        let list = if is_same { Some(used.list.as_any_mut()) } else { None };
        let list = list.and_then(|list| list.downcast_mut()).ok_or_else(|| StateError::InUse {
            operator: self.operator.clone(),
            name: name.to_owned(),
            first: fingerprint(used.type_name, used.version),
            second: fingerprint(type_name, version),
        })?;
        Ok(OperatorListRef { list })
    }

    /// Reads what was stored of a list.
    fn restore<T: Data>(
        &self,
        declaration: &Declaration<T>,
        distribution: Distribution,
    ) -> Result<Elements<T>, StateError> {
        if self.unclaimed.contains_key(&distribution.other().section_name(declaration.name())) {
            return Err(StateError::Kind {
                operator: self.operator.clone(),
                name: declaration.name().to_owned(),
                stored: distribution.other().kind(),
                wanted: distribution.kind(),
            });
        }
        let Some(stored) = self.unclaimed.get(&distribution.section_name(declaration.name()))
        else {
            return Ok(Elements { elements: Pages::default(), own: None });
        };
        let sections = stored.parts.iter();
        let lists = sections.map(|(_, section)| read(section, declaration, distribution));
        let lists = lists.collect::<Result<Vec<_>, _>>()?;
        let Place { index, parallelism } = self.place;
        let (all, own) = match distribution {
            Distribution::Union => {
                let mut parts = stored.parts.iter().zip(&lists);
                let own = parts.find(|((by, _), _)| *by == index);
                // What is written from now on is of the version of today.
                let own = own.map(|((_, section), elements)| Section {
                    type_name: fingerprint(distribution.type_name::<T>(), declaration.current()),
                    groups: vec![group_of(elements)],
                    ..section.clone()
                });
                (lists.concat(), Some(own))
            }
            Distribution::Split if stored.is_of_all => {
                let mut pieces = redistribute(lists, parallelism);
                (pieces.swap_remove(usize::from(index)), None)
            }
            Distribution::Split => (lists.concat(), None),
        };
        let mut elements = Pages::default();
        for element in all {
            elements.push(element);
        }
        Ok(Elements { elements, own })
    }

    /// Adds all lists to `snapshot`.
    pub fn freeze(&mut self, snapshot: &mut Snapshot) {
        for Used { name, version, distribution, type_name, list } in &mut self.lists {
            let (operator, name) = (self.operator.clone(), distribution.section_name(name));
            let section: FrozenSection = match list.freeze() {
                Content::Unchanged(None) => continue,
                Content::Unchanged(Some(section)) => Box::new(move || section),
                Content::Elements(encode) => {
                    let type_name = fingerprint(type_name, *version);
                    Box::new(move || {
                        let (entry_count, elements) = encode();
                        Section { operator, name, type_name, entry_count, groups: vec![elements] }
                    })
                }
            };
            match distribution {
                Distribution::Split => snapshot.add(section),
                Distribution::Union => snapshot.add_shared(section),
            }
        }
        for (name, stored) in &self.unclaimed {
            let is_shared = name.starts_with(SHARED_SECTION);
            let kept = stored.parts.iter().filter(|(by, _)| !is_shared || *by == self.place.index);
            for (_, section) in kept.cloned() {
                let section: FrozenSection = Box::new(move || section);
                if is_shared { snapshot.add_shared(section) } else { snapshot.add(section) }
            }
        }
    }
}

/// Returns the elements in a section.
fn read<T: Data>(
    section: &Section,
    declaration: &Declaration<T>,
    distribution: Distribution,
) -> Result<Vec<T>, StateError> {
    let wanted = fingerprint(distribution.type_name::<T>(), declaration.current());
    if !is_subtask_list(section) {
        return Err(other_type(section, &wanted));
    }
    let migration = declaration.way_from(section)?;
    if migration.is_none() && section.type_name != wanted {
        return Err(other_type(section, &wanted));
    }
    let mut elements = Vec::new();
    for part in &section.groups {
        match migration {
            None => elements.append(&mut decode::<Vec<T>>(section, &part.bytes)?),
            Some(migration) => {
                let mut reader = Reader::new(section, &part.bytes, migration);
                elements.append(&mut reader.many(Reader::item)?);
                reader.check_end()?;
            }
        }
    }
    Ok(elements)
}

#[cfg(test)]
mod tests;
