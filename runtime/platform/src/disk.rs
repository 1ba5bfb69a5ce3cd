//! The private disk of one node.

use std::io;

use bytes::{Bytes, BytesMut};

use crate::BoxFuture;

/// Bytes that [`read_file`](trait.Disk.html#method.read_file) asks for at once.
const READ_SIZE: usize = 1 << 20;

/// A directory of this node alone, for what can be rebuilt from elsewhere.
///
/// It survives a restart of the process. What was not synced may be lost or torn when the node
/// loses power, and everything is lost with the node itself. Any operation may fail, a full disk
/// refuses what it cannot hold, and nobody vouches for the bytes: whoever needs them to be what they
/// were keeps a checksum elsewhere.
///
/// A file's name is a relative path of plain parts, separated by `/`.
pub trait Disk: Send + Sync {
    /// Replaces the content of the file `name`. Durable only after [`Disk::sync_file`]. When it
    /// fails, the file may hold a part of the content.
    fn write_file(&self, name: &str, content: Bytes) -> BoxFuture<io::Result<()>>;

    /// Returns bytes of the file `name` from `offset` on: at most `size_max`, and as few as the disk
    /// likes, but none only at the end of the file. `NotFound` if there is no such file.
    ///
    /// Whoever needs a whole file calls [`read_file`](trait.Disk.html#method.read_file), which reads
    /// on until the end.
    fn read(&self, name: &str, offset: u64, size_max: usize) -> BoxFuture<io::Result<Bytes>>;

    /// Makes the file `name`, its name and its directory survive a loss of power.
    fn sync_file(&self, name: &str) -> BoxFuture<io::Result<()>>;

    /// Calls the file `from` by the name `to`, in one step: whoever reads `to` finds the file that was
    /// there or the other one, and never a part. Durable only after [`Disk::sync_file`] of `to`.
    fn rename_file(&self, from: &str, to: &str) -> BoxFuture<io::Result<()>>;

    /// Removes the file `name`. Removing what is not there succeeds.
    fn remove_file(&self, name: &str) -> BoxFuture<io::Result<()>>;

    /// Returns the names of the files below `directory`, however deep, in order. None if there is no
    /// such directory.
    fn list_files(&self, directory: &str) -> BoxFuture<io::Result<Vec<String>>>;
}

impl dyn Disk + '_ {
    /// Returns the whole content of the file `name`, in as many reads as it takes.
    ///
    /// # Errors
    ///
    /// `NotFound` if there is no such file, and what the disk reports.
    pub async fn read_file(&self, name: &str) -> io::Result<Bytes> {
        let mut content = BytesMut::new();
        loop {
            let part = self.read(name, content.len() as u64, READ_SIZE).await?;
            if part.is_empty() {
                return Ok(content.freeze());
            }
            content.extend_from_slice(&part);
        }
    }
}
