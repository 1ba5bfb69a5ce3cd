//! A limit to what objects may take, so that a full disk can be met before the disk is full.
//!
//! What is there is counted by every write: other processes write into the same directory, and files
//! that are no objects take room as well. Two writes at once may both find room for one, as they
//! may not on a disk; the limit is then passed by what processes write at once.

use std::{
    fs, io,
    path::{Path, PathBuf},
};

/// The most bytes that the files below a directory may take.
#[derive(Clone, Debug)]
pub(super) struct Quota {
    root: PathBuf,
    size_max: u64,
}

impl Quota {
    /// Limits the files below `root` to `size_max` bytes.
    pub(super) fn new(root: &Path, size_max: u64) -> Self {
        Self { root: root.to_owned(), size_max }
    }

    /// Returns why `size` more bytes cannot be written to `path`, if they cannot. Blocks.
    pub(super) fn check(&self, path: Option<PathBuf>, size: u64) -> Result<(), String> {
        if path.is_none_or(|path| !path.starts_with(&self.root)) {
            return Ok(());
        }
        let used = size_of(&self.root).map_err(|error| error.to_string())?;
        if used.saturating_add(size) <= self.size_max {
            return Ok(());
        }
        let (root, size_max) = (self.root.display(), self.size_max);
        Err(format!("no room for {size} bytes: {used} of {size_max} bytes in {root} are taken"))
    }
}

/// Returns the length of all files below `directory`. What goes away meanwhile takes no room.
fn size_of(directory: &Path) -> io::Result<u64> {
    let entries = match fs::read_dir(directory) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(0),
        entries => entries?,
    };
    let mut size = 0;
    for entry in entries {
        let entry = entry?;
        match entry.metadata() {
            Ok(metadata) if metadata.is_dir() => size += size_of(&entry.path())?,
            Ok(metadata) => size += metadata.len(),
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            Err(error) => return Err(error),
        }
    }
    Ok(size)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_would_pass_the_limit_is_refused_until_there_is_room_again() {
        let directory = tempfile::tempdir().unwrap();
        let path = |name: &str| directory.path().join(name);
        let quota = Quota::new(directory.path(), 10);
        fs::create_dir(path("below")).unwrap();
        fs::write(path("below/file"), [0; 6]).unwrap();
        assert_eq!(quota.check(Some(path("other")), 4), Ok(()));
        let refused = quota.check(Some(path("other")), 5).unwrap_err();
        assert!(refused.starts_with("no room for 5 bytes: 6 of 10"), "{refused}");
        assert_eq!(quota.check(Some("/elsewhere".into()), 5), Ok(()));

        fs::remove_file(path("below/file")).unwrap();
        assert_eq!(quota.check(Some(path("other")), 5), Ok(()));
    }
}
