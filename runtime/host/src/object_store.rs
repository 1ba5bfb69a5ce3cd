//! The object store: files below a directory that all nodes share.
//!
//! A key is a path. A relative one lies below the root of the machine; one that begins with `/` is
//! the absolute path itself, so that a job reads the files its user names. A file is found under
//! its own name, whatever characters that has: keys are not escaped.
//!
//! A value is written to a file of another name (`key#1`), synced, and then takes its place in one
//! step, so no reader ever sees a part of it; the directory is synced before success is reported.
//! `put_if_absent` links instead of renaming, which of several callers lets one succeed; it needs a
//! file system with hard links. A process that dies while it writes leaves the other file behind,
//! which harms nothing: `name#` and digits is not a key, is never listed and never read.
//!
//! What cannot be a key is refused: empty parts, `.` and `..`, control characters, a final `/`, a
//! part of one letter and `:` or `|`.
//!
//! # Invariants
//!
//! - An operation that succeeded survives a loss of power, removals included.
//! - A write is reported as failed only if its value never became visible; otherwise it is in doubt.

mod quota;

use std::{
    error::Error as _,
    io,
    ops::Range,
    path::{Path as FilePath, PathBuf},
};

use bytes::Bytes;
use floodmark_platform::{BoxFuture, ObjectEntry, ObjectStore, StoreError};
use futures_util::TryStreamExt as _;
use object_store::{
    Error, GetOptions, ObjectMeta, ObjectStore as _, ObjectStoreExt as _, PutMode, PutOptions,
    local::LocalFileSystem, path::Path,
};

use self::quota::Quota;
use crate::{disk::sync_directory, machine::Host};

/// The directories that keys lead to.
#[derive(Clone)]
pub(crate) struct Directories {
    /// The directory of relative keys.
    root: PathBuf,
    /// Reaches relative keys.
    below_root: LocalFileSystem,
    /// Reaches absolute keys.
    everywhere: LocalFileSystem,
    /// The most that objects below the root may take, if there is a limit.
    quota: Option<Quota>,
}

impl Directories {
    /// Creates the store whose relative keys lie below `root`, a directory. What lies there may take
    /// `size_max` bytes, if that is given.
    pub(crate) fn new(root: &FilePath, size_max: Option<u64>) -> io::Result<Self> {
        if root.to_str().is_none() {
            let reason = "the path is not valid UTF-8";
            return Err(io::Error::new(io::ErrorKind::InvalidInput, reason));
        }
        let below_root = LocalFileSystem::new_with_prefix(root).map_err(io::Error::other)?;
        Ok(Self {
            root: root.to_owned(),
            below_root: below_root.with_fsync(true),
            everywhere: LocalFileSystem::new().with_fsync(true),
            quota: size_max.map(|size_max| Quota::new(root, size_max)),
        })
    }

    /// Returns what the key of an object leads to.
    fn object(&self, key: &str) -> Result<Object, StoreError> {
        let refused = |reason: &str| {
            Err(StoreError::Failed { key: key.to_owned(), reason: reason.to_owned() })
        };
        if key.is_empty() || key.ends_with('/') {
            return refused("a key is not empty and does not end with a slash");
        }
        let object = self.place(key)?;
        // The library takes paths through URLs, where a part like `C:` or `C|` is a drive and not
        // a name. The bytes are compared: paths are equal although one ends with a slash.
        match object.store.path_to_filesystem(&object.path) {
            Ok(path) if path.as_os_str() != self.root.join(key).as_os_str() => {
                refused("a part of a key is not one letter and `:` or `|`")
            }
            _ => Ok(object),
        }
    }

    /// Returns what `key` leads to, which may be a directory.
    fn place(&self, key: &str) -> Result<Object, StoreError> {
        let path = Path::parse(key).map_err(|error| StoreError::Failed {
            key: key.to_owned(),
            reason: error.to_string(),
        })?;
        let store = if key.starts_with('/') { &self.everywhere } else { &self.below_root };
        Ok(Object { store: store.clone(), path, key: key.to_owned() })
    }
}

impl ObjectStore for Host {
    fn put_if_absent(&self, key: &str, value: Bytes) -> BoxFuture<Result<(), StoreError>> {
        self.put_in_mode(key, value, PutMode::Create)
    }

    fn put(&self, key: &str, value: Bytes) -> BoxFuture<Result<(), StoreError>> {
        self.put_in_mode(key, value, PutMode::Overwrite)
    }

    fn get(&self, key: &str) -> BoxFuture<Result<Bytes, StoreError>> {
        self.get_range(key, 0..u64::MAX)
    }

    fn get_range(&self, key: &str, range: Range<u64>) -> BoxFuture<Result<Bytes, StoreError>> {
        let object = self.directories.object(key);
        Box::pin(async move { object?.get_range(range).await })
    }

    /// The empty prefix means every relative key. A final `/` of the prefix changes nothing. Files
    /// reached through links are listed under the name of the link.
    fn list(&self, prefix: &str) -> BoxFuture<Result<Vec<ObjectEntry>, StoreError>> {
        let place = self.directories.place(prefix);
        Box::pin(async move { place?.list().await })
    }

    fn delete(&self, key: &str) -> BoxFuture<Result<(), StoreError>> {
        let object = self.directories.object(key);
        let runtime = self.runtime.clone();
        Box::pin(async move {
            let object = object?;
            object.delete().await?;
            let key = object.key.clone();
            let synced = runtime.spawn_blocking(move || object.sync_parent()).await;
            let synced = synced.unwrap_or_else(|gone| Err(io::Error::other(gone)));
            synced.map_err(|error| StoreError::InDoubt { key, reason: error.to_string() })
        })
    }
}

impl Host {
    /// Stores an object, unless that is more than there is room for.
    fn put_in_mode(
        &self,
        key: &str,
        value: Bytes,
        mode: PutMode,
    ) -> BoxFuture<Result<(), StoreError>> {
        let object = self.directories.object(key);
        let (quota, runtime) = (self.directories.quota.clone(), self.runtime.clone());
        Box::pin(async move {
            let object = object?;
            if let Some(quota) = quota {
                let (key, size) = (object.key.clone(), value.len() as u64);
                let path = object.store.path_to_filesystem(&object.path);
                let checked = runtime.spawn_blocking(move || quota.check(path.ok(), size)).await;
                let checked = checked.unwrap_or_else(|gone| Err(gone.to_string()));
                checked.map_err(|reason| StoreError::Failed { key, reason })?;
            }
            object.put(value, mode).await
        })
    }
}

/// What a key leads to.
struct Object {
    store: LocalFileSystem,
    path: Path,
    key: String,
}

impl Object {
    async fn put(&self, value: Bytes, mode: PutMode) -> Result<(), StoreError> {
        let options = PutOptions { mode, ..PutOptions::default() };
        match self.store.put_opts(&self.path, value.into(), options).await {
            Ok(_) => Ok(()),
            Err(Error::AlreadyExists { .. }) => {
                Err(StoreError::AlreadyExists { key: self.key.clone() })
            }
            Err(error) if is_without_effect(&error) => Err(self.failed(&error)),
            Err(error) => {
                Err(StoreError::InDoubt { key: self.key.clone(), reason: self.reason(&error) })
            }
        }
    }

    /// Opens the file once, so what is read is one version of the object.
    async fn get_range(&self, range: Range<u64>) -> Result<Bytes, StoreError> {
        let opened = self.store.get_opts(&self.path, GetOptions::default()).await;
        let mut opened = opened.map_err(|error| self.unreadable(&error))?;
        let end = range.end.min(opened.meta.size);
        if end <= range.start {
            return Ok(Bytes::new());
        }
        opened.range = range.start..end;
        opened.bytes().await.map_err(|error| self.unreadable(&error))
    }

    async fn list(&self) -> Result<Vec<ObjectEntry>, StoreError> {
        if let Some(entry) = self.entry().await? {
            return Ok(vec![entry]);
        }
        let listing = self.store.list(Some(&self.path)).map_ok(|meta| self.entry_of(&meta));
        match listing.try_collect::<Vec<_>>().await {
            Ok(mut entries) => {
                entries.sort_unstable_by(|left, right| left.key.cmp(&right.key));
                Ok(entries)
            }
            Err(error) if is_missing(&error) => Ok(Vec::new()),
            Err(error) => Err(self.failed(&error)),
        }
    }

    /// Returns the object of exactly this key, if there is one.
    async fn entry(&self) -> Result<Option<ObjectEntry>, StoreError> {
        if self.path.is_root() {
            return Ok(None);
        }
        match self.store.head(&self.path).await {
            Ok(meta) => Ok(Some(self.entry_of(&meta))),
            Err(error) if is_missing(&error) => Ok(None),
            Err(error) => Err(self.failed(&error)),
        }
    }

    /// Returns an entry whose key is absolute if this one is.
    fn entry_of(&self, meta: &ObjectMeta) -> ObjectEntry {
        let slash = if self.key.starts_with('/') { "/" } else { "" };
        ObjectEntry { key: format!("{slash}{}", meta.location), size_bytes: meta.size }
    }

    async fn delete(&self) -> Result<(), StoreError> {
        match self.store.delete(&self.path).await {
            Err(error) if !is_missing(&error) => Err(self.failed(&error)),
            _ => Ok(()),
        }
    }

    /// Makes the removal of the object durable. It may have been removed by an earlier call that
    /// did not get this far.
    fn sync_parent(&self) -> io::Result<()> {
        let path = self.store.path_to_filesystem(&self.path).map_err(io::Error::other)?;
        let synced = path.parent().map_or(Ok(()), sync_directory);
        match synced {
            Err(error) if is_absence(error.kind()) => Ok(()),
            Err(error) => Err(io::Error::new(error.kind(), format!("{}: {error}", path.display()))),
            Ok(()) => Ok(()),
        }
    }

    fn unreadable(&self, error: &Error) -> StoreError {
        if is_missing(error) {
            StoreError::NotFound { key: self.key.clone() }
        } else {
            self.failed(error)
        }
    }

    fn failed(&self, error: &Error) -> StoreError {
        StoreError::Failed { key: self.key.clone(), reason: self.reason(error) }
    }

    /// Returns the path and what the system said about it.
    fn reason(&self, error: &Error) -> String {
        let words = words(error);
        match self.store.path_to_filesystem(&self.path) {
            Ok(path) => format!("{}: {words}", path.display()),
            Err(_) => words,
        }
    }
}

/// Returns what the library says, without the name that it puts in front of its own errors.
fn words(error: &Error) -> String {
    if let Error::Generic { source, .. } = error { source.to_string() } else { error.to_string() }
}

/// Returns whether an error means that there is no object of that key: nothing at all, a directory,
/// or a path that leads through a file.
fn is_missing(error: &Error) -> bool {
    matches!(error, Error::NotFound { .. }) || system_error(error).is_some_and(is_absence)
}

fn is_absence(kind: io::ErrorKind) -> bool {
    matches!(
        kind,
        io::ErrorKind::NotFound | io::ErrorKind::NotADirectory | io::ErrorKind::IsADirectory
    )
}

/// Returns whether a write surely had no effect: it ended before its value took its place.
///
/// The library tells its steps apart only in words. An error in other words counts as in doubt,
/// which is always safe.
fn is_without_effect(error: &Error) -> bool {
    const EARLIER_STEPS: &[&str] = &[
        "Filenames containing",
        "Unable to open file",
        "Unable to create dir",
        "Unable to create file",
        "Unable to copy data to file",
        "Unable to sync data to disk",
    ];
    let words = words(error);
    let is_earlier_step = EARLIER_STEPS.iter().any(|step| words.starts_with(step));
    // A directory of that name refuses the last step itself.
    is_earlier_step || system_error(error) == Some(io::ErrorKind::IsADirectory)
}

/// Returns what kind of error the operating system reported, if it was the one who did.
fn system_error(error: &Error) -> Option<io::ErrorKind> {
    let mut cause = error.source();
    while let Some(error) = cause {
        if let Some(error) = error.downcast_ref::<io::Error>() {
            return Some(error.kind());
        }
        cause = error.source();
    }
    None
}

#[cfg(test)]
mod tests;
