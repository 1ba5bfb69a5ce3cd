//! Versions of what is stored, and the way from an older one to that of today.
//!
//! The version stands in the section, behind the name of the type, from version 2 on: what was stored
//! before there were versions is of version 1. Values of an older version are never brought into
//! memory all at once: each is read, migrated and put into its table before the next one is read.

use std::{
    any::type_name,
    fmt::{self, Debug},
    time::Duration,
};

use floodmark_wire::{Section, WireError, codec};

use crate::{Data, StateError, snapshot::other_type};

/// The version of state that says nothing of versions.
const FIRST: u32 = 1;

/// What stands between type and version in a section.
const SEPARATOR: &str = " version ";

/// How values of an older version become values of today: the older version, and a function from the
/// type it had to the type of today.
///
/// The old type is read from the bytes that were stored, so it has the fields of that time in the
/// order of that time. Its name and that of its module do not matter.
///
/// # Examples
///
/// ```
/// # use floodmark_state as floodmark;
/// use floodmark::Migration;
///
/// /// What was stored once: euros.
/// fn in_cents(euros: u32) -> u64 {
///     u64::from(euros) * 100
/// }
///
/// const FROM_EUROS: Migration<u32, u64> = Migration(1, in_cents);
/// assert_eq!((FROM_EUROS.1)(3), 300);
/// ```
#[derive(Debug)]
#[doc(alias = "TypeSerializerSnapshot")]
pub struct Migration<O, T>(
    /// The version that was stored.
    pub u32,
    /// What becomes of a value.
    pub fn(O) -> T,
);

/// A [`Migration`] to `T`, whatever it is from.
///
/// # Examples
///
/// ```
/// # use floodmark_state as floodmark;
/// use floodmark::{MigrateTo, Migration};
///
/// const FROM_EUROS: Migration<u32, u64> = Migration(1, |euros| u64::from(euros) * 100);
/// const FROM_CENTS: Migration<u32, u64> = Migration(2, u64::from);
///
/// // Migrations from different types, all to one.
/// const ALL: [&dyn MigrateTo<u64>; 2] = [&FROM_EUROS, &FROM_CENTS];
/// assert_eq!(ALL.map(|migration| migration.version()), [1, 2]);
/// ```
pub trait MigrateTo<T>: Sync {
    /// Returns the version that it is from.
    fn version(&self) -> u32;

    /// Reads a value of that version from the beginning of `bytes`, which it shortens, and migrates
    /// it.
    ///
    /// # Errors
    ///
    /// When the bytes do not begin with such a value.
    fn read(&self, bytes: &mut &[u8]) -> Result<T, WireError>;
}

impl<O: Data, T> MigrateTo<T> for Migration<O, T> {
    fn version(&self) -> u32 {
        self.0
    }

    fn read(&self, bytes: &mut &[u8]) -> Result<T, WireError> {
        codec::read_value(bytes).map(self.1)
    }
}

/// All migrations to `T`.
///
/// # Examples
///
/// ```
/// # use floodmark_state as floodmark;
/// use floodmark::{Migration, Migrations};
///
/// const FROM_EUROS: Migration<u32, u64> = Migration(1, |euros| u64::from(euros) * 100);
///
/// // For `ValueState::version(2, IN_CENTS)`.
/// const IN_CENTS: Migrations<u64> = &[&FROM_EUROS];
/// assert_eq!(IN_CENTS.len(), 1);
/// ```
pub type Migrations<T> = &'static [&'static dyn MigrateTo<T>];

/// The name of a state, how long its contents live, and the version of what they are made of: values
/// of type `T`, values of a list, or entries of a map.
pub struct Declaration<T: 'static> {
    name: &'static str,
    ttl: Option<Duration>,
    version: u32,
    migrations: Migrations<T>,
}

impl<T> Clone for Declaration<T> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<T> Copy for Declaration<T> {}

impl<T> Debug for Declaration<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { name, ttl, version, .. } = self;
        write!(f, "{name} (version {version}, ttl {ttl:?})")
    }
}

impl<T> Declaration<T> {
    /// Declares the state `name`, whose contents last, in the first version.
    pub const fn new(name: &'static str) -> Self {
        Self { name, ttl: None, version: FIRST, migrations: &[] }
    }

    /// Lets contents expire so long after they were written.
    #[must_use]
    pub const fn ttl(self, ttl: Duration) -> Self {
        Self { ttl: Some(ttl), ..self }
    }

    /// Gives what is stored a version, and ways from older ones.
    ///
    /// # Panics
    ///
    /// When the version is 0.
    #[must_use]
    pub const fn version(self, version: u32, migrations: Migrations<T>) -> Self {
        assert!(FIRST <= version, "versions are counted from 1");
        Self { version, migrations, ..self }
    }

    /// Returns the name.
    pub fn name(&self) -> &'static str {
        self.name
    }

    pub(crate) fn lifetime(&self) -> Option<Duration> {
        self.ttl
    }

    pub(crate) fn current(&self) -> u32 {
        self.version
    }

    /// Returns how `section` is to be read: as it is, or by a migration.
    ///
    /// # Errors
    ///
    /// When it is of a newer version, or there is no migration from its own.
    pub(crate) fn way_from(
        &self,
        section: &Section,
    ) -> Result<Option<&'static dyn MigrateTo<T>>, StateError> {
        let (_, found) = split(&section.type_name);
        let (operator, name) = (section.operator.clone(), section.name.clone());
        let expected = self.version;
        if found == expected {
            return Ok(None);
        }
        if expected < found {
            return Err(StateError::Newer { operator, name, found, expected });
        }
        let way = self.migrations.iter().find(|migration| migration.version() == found);
        way.map(|way| Some(*way)).ok_or(StateError::Unmigrated { operator, name, found, expected })
    }
}

/// Returns what a section says of the type of its contents and their version.
pub(crate) fn fingerprint(type_name: &str, version: u32) -> String {
    if version == FIRST { type_name.to_owned() } else { format!("{type_name}{SEPARATOR}{version}") }
}

/// Returns type and version of a fingerprint.
pub(crate) fn split(fingerprint: &str) -> (&str, u32) {
    let versioned = fingerprint.rsplit_once(SEPARATOR);
    let versioned = versioned.and_then(|(name, version)| Some((name, version.parse().ok()?)));
    versioned.unwrap_or((fingerprint, FIRST))
}

/// What a state keeps per key, as far as the name of a stored type tells it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Kind {
    name: &'static str,
    expires: bool,
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { name, expires } = self;
        write!(f, "{name}{}", if *expires { " with a life time" } else { "" })
    }
}

impl Kind {
    /// Returns the kind of a table of type `type_name` with keys of type `K`, if it has such keys.
    pub(crate) fn of<K>(fingerprint: &str) -> Option<Self> {
        use crate::states::{Entries, Expiring, List};

        let path = |name: &'static str| name.split('<').next().unwrap_or(name);
        let (type_name, _) = split(fingerprint);
        let value = type_name.strip_prefix('(')?.strip_prefix(std::any::type_name::<K>())?;
        let value = value.strip_prefix(", ")?;
        let is_one = |of: &str| value.strip_prefix(of).is_some_and(|rest| rest.starts_with('<'));
        let name = if is_one(path(self::type_name::<List<()>>())) {
            "a list"
        } else if is_one(path(self::type_name::<Entries<(), ()>>())) {
            "a map"
        } else {
            "a value"
        };
        // No type of a user's can have this one in it.
        let expires = value.contains(path(self::type_name::<Expiring<()>>()));
        Some(Self { name, expires })
    }
}

/// Makes sure that a section holds the kind of state that is wanted.
pub(crate) fn check_kind<K>(section: &Section, wanted: &str) -> Result<(), StateError> {
    match (Kind::of::<K>(&section.type_name), Kind::of::<K>(wanted)) {
        (Some(stored), Some(wanted)) if stored == wanted => Ok(()),
        (Some(stored), Some(wanted)) => Err(StateError::Kind {
            operator: section.operator.clone(),
            name: section.name.clone(),
            stored: stored.to_string(),
            wanted: wanted.to_string(),
        }),
        _ => Err(other_type(section, wanted)),
    }
}

#[cfg(test)]
mod tests;
