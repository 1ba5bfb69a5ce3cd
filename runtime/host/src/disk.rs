//! The private disk: files in one directory.
//!
//! A file's name is a relative path of plain parts, separated by `/`. Anything else, above all `..`,
//! is refused: a name comes from a layer above, and must not lead out of the directory.

use std::{
    fs::{self, File},
    io::{self, Read as _, Seek as _, SeekFrom},
    path::{Component, Path, PathBuf},
};

use bytes::Bytes;
use floodmark_platform::{BoxFuture, Disk};

use crate::machine::Host;

impl Disk for Host {
    fn write_file(&self, name: &str, content: Bytes) -> BoxFuture<io::Result<()>> {
        self.with_file(name, move |_, path| {
            if let Some(parent) = path.parent() {
                fs::create_dir_all(parent)?;
            }
            fs::write(path, content)
        })
    }

    fn read(&self, name: &str, offset: u64, size_max: usize) -> BoxFuture<io::Result<Bytes>> {
        self.with_file(name, move |_, path| read_once(path, offset, size_max))
    }

    fn sync_file(&self, name: &str) -> BoxFuture<io::Result<()>> {
        self.with_file(name, |disk, path| {
            File::open(path)?.sync_all()?;
            let inside = |directory: &&Path| directory.starts_with(disk);
            path.ancestors().skip(1).take_while(inside).try_for_each(sync_directory)
        })
    }

    fn rename_file(&self, from: &str, to: &str) -> BoxFuture<io::Result<()>> {
        let to = path_of(&self.disk, to);
        self.with_file(from, move |_, path| {
            let to = to?;
            if let Some(parent) = to.parent() {
                fs::create_dir_all(parent)?;
            }
            fs::rename(path, to)
        })
    }

    fn remove_file(&self, name: &str) -> BoxFuture<io::Result<()>> {
        self.with_file(name, |_, path| match fs::remove_file(path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
            result => result,
        })
    }

    fn list_files(&self, directory: &str) -> BoxFuture<io::Result<Vec<String>>> {
        self.with_file(directory, |disk, path| {
            let mut names = Vec::new();
            match collect_names(disk, path, &mut names) {
                Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
                // A directory that is not there, or is being removed, holds nothing.
                _ => names.sort(),
            }
            Ok(names)
        })
    }
}

impl Host {
    /// Lets `work` block on the file `name`, given the disk's directory and the file's path.
    fn with_file<T: Send + 'static>(
        &self,
        name: &str,
        work: impl FnOnce(&Path, &Path) -> io::Result<T> + Send + 'static,
    ) -> BoxFuture<io::Result<T>> {
        let disk = self.disk.clone();
        let path = path_of(&disk, name);
        Box::pin(self.run_blocking(move || {
            let path = path?;
            work(&disk, &path).map_err(|error| {
                io::Error::new(error.kind(), format!("{}: {error}", path.display()))
            })
        }))
    }
}

/// Asks once for bytes of a file; fewer may come than are asked for.
fn read_once(path: &Path, offset: u64, size_max: usize) -> io::Result<Bytes> {
    let mut file = File::open(path)?;
    let left = file.metadata()?.len().saturating_sub(offset);
    let size = usize::try_from(left).unwrap_or(usize::MAX).min(size_max);
    file.seek(SeekFrom::Start(offset))?;
    let mut content = vec![0; size];
    loop {
        match file.read(&mut content) {
            Ok(count) => {
                content.truncate(count);
                return Ok(content.into());
            }
            // A signal came, and nothing was read.
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
}

/// Adds the names of all files below `directory` that can be names on this disk.
fn collect_names(disk: &Path, directory: &Path, names: &mut Vec<String>) -> io::Result<()> {
    for entry in fs::read_dir(directory)? {
        let path = entry?.path();
        if path.is_dir() {
            collect_names(disk, &path, names)?;
            continue;
        }
        let parts = path.strip_prefix(disk).unwrap_or(&path).components();
        let parts: Option<Vec<_>> = parts.map(|part| part.as_os_str().to_str()).collect();
        names.extend(parts.map(|parts| parts.join("/")));
    }
    Ok(())
}

/// Makes the names in a directory survive a loss of power.
pub(crate) fn sync_directory(path: &Path) -> io::Result<()> {
    // Elsewhere a directory cannot be opened, and its names are durable by themselves.
    if cfg!(unix) { File::open(path)?.sync_all() } else { Ok(()) }
}

/// Returns where the file `name` lies.
fn path_of(disk: &Path, name: &str) -> io::Result<PathBuf> {
    let is_plain = |part| matches!(part, Component::Normal(_));
    let is_file = !name.is_empty() && !name.ends_with('/') && !name.contains('\0');
    if is_file && Path::new(name).components().all(is_plain) {
        Ok(disk.join(name))
    } else {
        let reason = format!("{name:?} is not the name of a file on this disk");
        Err(io::Error::new(io::ErrorKind::InvalidInput, reason))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::machine::tests::machine_in;

    #[tokio::test]
    async fn a_file_is_written_replaced_and_removed() {
        let directory = tempfile::tempdir().unwrap();
        let machine = machine_in(directory.path());
        let disk = machine.disk();
        for name in ["state", "tables/7/000001.table"] {
            let missing = disk.read_file(name).await.unwrap_err();
            assert_eq!(missing.kind(), io::ErrorKind::NotFound);

            disk.write_file(name, Bytes::from_static(b"the first content")).await.unwrap();
            disk.write_file(name, Bytes::from_static(b"the second")).await.unwrap();
            disk.sync_file(name).await.unwrap();
            assert_eq!(disk.read_file(name).await.unwrap(), "the second");

            disk.remove_file(name).await.unwrap();
            disk.remove_file(name).await.unwrap();
            let missing = disk.read_file(name).await.unwrap_err();
            assert_eq!(missing.kind(), io::ErrorKind::NotFound);
        }
    }

    #[tokio::test]
    async fn a_read_begins_where_it_is_told_and_ends_with_the_file() {
        let directory = tempfile::tempdir().unwrap();
        let machine = machine_in(directory.path());
        let disk = machine.disk();
        disk.write_file("file", Bytes::from_static(b"content")).await.unwrap();
        assert_eq!(disk.read("file", 3, 2).await.unwrap(), "te");
        assert_eq!(disk.read("file", 3, 100).await.unwrap(), "tent");
        assert_eq!(disk.read("file", 7, 100).await.unwrap(), "");
        assert_eq!(disk.read("file", 8, 100).await.unwrap(), "");
    }

    #[tokio::test]
    async fn a_renamed_file_takes_the_place_of_the_one_before_and_is_listed() {
        let directory = tempfile::tempdir().unwrap();
        let machine = machine_in(directory.path());
        let disk = machine.disk();
        assert_eq!(disk.list_files("copies").await.unwrap(), Vec::<String>::new());
        disk.write_file("copies/b/1", Bytes::from_static(b"before")).await.unwrap();
        disk.write_file("copies/a.part", Bytes::from_static(b"after")).await.unwrap();
        disk.write_file("other", Bytes::new()).await.unwrap();
        assert_eq!(disk.list_files("copies").await.unwrap(), ["copies/a.part", "copies/b/1"]);

        disk.rename_file("copies/a.part", "copies/b/1").await.unwrap();
        disk.sync_file("copies/b/1").await.unwrap();
        assert_eq!(disk.list_files("copies").await.unwrap(), ["copies/b/1"]);
        assert_eq!(disk.read_file("copies/b/1").await.unwrap(), "after");
        let gone = disk.rename_file("copies/a.part", "copies/b/1").await.unwrap_err();
        assert_eq!(gone.kind(), io::ErrorKind::NotFound);
    }

    #[tokio::test]
    async fn no_name_leads_out_of_the_directory() {
        let directory = tempfile::tempdir().unwrap();
        let machine = machine_in(directory.path());
        for name in ["", ".", "..", "../root/a", "a/../../root/a", "/tmp/a", "a/", "a\0b"] {
            let content = Bytes::from_static(b"content");
            let refused = machine.disk().write_file(name, content).await.unwrap_err();
            assert_eq!(refused.kind(), io::ErrorKind::InvalidInput, "{name:?}");
        }
    }

    #[tokio::test]
    async fn an_error_names_the_path() {
        let directory = tempfile::tempdir().unwrap();
        let machine = machine_in(directory.path());
        machine.disk().write_file("file", Bytes::new()).await.unwrap();
        let refused = machine.disk().write_file("file/below", Bytes::new()).await.unwrap_err();
        assert!(refused.to_string().contains("disk/file/below"), "{refused}");
    }

    #[tokio::test]
    async fn files_outlive_the_machine() {
        let directory = tempfile::tempdir().unwrap();
        let content = Bytes::from_static(b"content");
        machine_in(directory.path()).disk().write_file("file", content.clone()).await.unwrap();
        let read = machine_in(directory.path()).disk().read_file("file").await.unwrap();
        assert_eq!(read, content);
    }
}
