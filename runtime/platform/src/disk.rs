//! The private disk of one node.

use std::io;

use bytes::Bytes;

use crate::BoxFuture;

/// A directory of this node alone, for what can be rebuilt from elsewhere.
///
/// It survives a restart of the process. What was not synced may be lost or torn when the node
/// loses power, and everything is lost with the node itself.
pub trait Disk {
    /// Replaces the content of the file `name`. Durable only after [`Disk::sync_file`].
    fn write_file(&self, name: &str, content: Bytes) -> BoxFuture<io::Result<()>>;

    /// Returns the content of the file `name`; `NotFound` if there is none.
    fn read_file(&self, name: &str) -> BoxFuture<io::Result<Bytes>>;

    /// Makes the file `name`, and its name, survive a loss of power.
    fn sync_file(&self, name: &str) -> BoxFuture<io::Result<()>>;

    /// Removes the file `name`. Removing what is not there succeeds.
    fn remove_file(&self, name: &str) -> BoxFuture<io::Result<()>>;
}
