//! A machine that has nothing but a clock that stands still.

use std::{io, ops::Range, time::Duration};

use bytes::Bytes;
use floodmark_platform::{
    Abort, Address, BoxFuture, Clock, Connection, Disk, Entropy, Listener, Machine, Network,
    ObjectEntry, ObjectStore, Observation, Observe, StoreError, Tasks,
};

/// Returns the machine.
pub(super) fn machine() -> Machine {
    Machine::new(Nowhere)
}

struct Nowhere;

fn nobody<T>() -> T {
    unreachable!("an operator asks nothing of its machine")
}

impl Clock for Nowhere {
    fn now(&self) -> Duration {
        Duration::ZERO
    }

    fn wall(&self) -> Duration {
        Duration::ZERO
    }

    fn sleep_until(&self, _: Duration) -> BoxFuture<()> {
        Box::pin(std::future::pending())
    }
}

impl Tasks for Nowhere {
    fn spawn(&self, _: &'static str, _: BoxFuture<()>) -> Box<dyn Abort> {
        nobody()
    }
}

impl Network for Nowhere {
    fn listen(&self, _: u16) -> BoxFuture<io::Result<Box<dyn Listener>>> {
        nobody()
    }

    fn connect(&self, _: &Address) -> BoxFuture<io::Result<Connection>> {
        nobody()
    }
}

impl ObjectStore for Nowhere {
    fn put_if_absent(&self, _: &str, _: Bytes) -> BoxFuture<Result<(), StoreError>> {
        nobody()
    }

    fn put(&self, _: &str, _: Bytes) -> BoxFuture<Result<(), StoreError>> {
        nobody()
    }

    fn get(&self, _: &str) -> BoxFuture<Result<Bytes, StoreError>> {
        nobody()
    }

    fn get_range(&self, _: &str, _: Range<u64>) -> BoxFuture<Result<Bytes, StoreError>> {
        nobody()
    }

    fn list(&self, _: &str) -> BoxFuture<Result<Vec<ObjectEntry>, StoreError>> {
        nobody()
    }

    fn delete(&self, _: &str) -> BoxFuture<Result<(), StoreError>> {
        nobody()
    }
}

impl Disk for Nowhere {
    fn write_file(&self, _: &str, _: Bytes) -> BoxFuture<io::Result<()>> {
        nobody()
    }

    fn read(&self, _: &str, _: u64, _: usize) -> BoxFuture<io::Result<Bytes>> {
        nobody()
    }

    fn sync_file(&self, _: &str) -> BoxFuture<io::Result<()>> {
        nobody()
    }

    fn rename_file(&self, _: &str, _: &str) -> BoxFuture<io::Result<()>> {
        nobody()
    }

    fn remove_file(&self, _: &str) -> BoxFuture<io::Result<()>> {
        nobody()
    }

    fn list_files(&self, _: &str) -> BoxFuture<io::Result<Vec<String>>> {
        nobody()
    }
}

impl Entropy for Nowhere {
    fn choose(&self, _: &'static str, _: u64) -> u64 {
        nobody()
    }
}

impl Observe for Nowhere {
    fn is_observed(&self) -> bool {
        false
    }

    fn observe(&self, _: &dyn Observation) {}
}
