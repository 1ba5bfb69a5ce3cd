//! One life of a node, as the code under test sees it.

use std::{future::poll_fn, io, ops::Range, time::Duration};

use bytes::Bytes;
use floodmark_platform::{
    Abort, Address, BoxFuture, Clock, Connection, Disk, Entropy, Listener, Network, ObjectEntry,
    ObjectStore, Observation, Observe, StoreError, Tasks,
};
use madsim::{runtime::NodeHandle, task::AbortHandle};
use xxhash_rust::xxh3::xxh3_64;

use crate::{
    DiskHarm, Incident,
    choice::{Choices, actor_named},
    disk, network,
    node::Life,
    panics,
    rule::{DiskOperation, DiskView},
    store::{Answer, Request},
    timer::ClockSleep,
    world::Shared,
};

/// The platform of one life of a node.
#[derive(Clone)]
pub(crate) struct SimMachine {
    pub(crate) shared: Shared,
    pub(crate) life: Life,
    /// The executor's handle of this life, so that what a dead life starts never runs.
    pub(crate) handle: NodeHandle,
}

impl Clock for SimMachine {
    fn now(&self) -> Duration {
        let now = self.shared.now();
        self.shared.lock().nodes[self.life.node.0].clock.local(now)
    }

    fn wall(&self) -> Duration {
        let now = self.shared.now();
        self.shared.lock().nodes[self.life.node.0].clock.wall(now)
    }

    fn sleep_until(&self, deadline: Duration) -> BoxFuture<()> {
        Box::pin(ClockSleep::new(self.shared.clone(), self.life.node.0, deadline))
    }
}

struct SimAbort(AbortHandle);

impl Abort for SimAbort {
    fn abort(&self) {
        self.0.abort();
    }
}

impl Tasks for SimMachine {
    fn spawn(&self, name: &'static str, mut task: BoxFuture<()>) -> Box<dyn Abort> {
        let (shared, life) = (self.shared.clone(), self.life);
        let watched = poll_fn(move |cx| {
            let poll = task.as_mut().poll(cx);
            if let Some(words) = panics::take() {
                shared.on_panic(life, name, words);
            }
            poll
        });
        Box::new(SimAbort(self.handle.spawn(watched).abort_handle()))
    }

    fn is_running(&self) -> bool {
        self.shared.lock().is_alive(self.life)
    }
}

impl Network for SimMachine {
    fn listen(&self, port: u16) -> BoxFuture<io::Result<Box<dyn Listener>>> {
        network::listen(self.shared.clone(), self.life, port)
    }

    fn connect(&self, to: &Address) -> BoxFuture<io::Result<Connection>> {
        network::connect(self.shared.clone(), self.life, to)
    }
}

impl SimMachine {
    fn ask(&self, key: &str, request: Request) -> BoxFuture<Result<Answer, StoreError>> {
        self.shared.ask(self.life, key, request)
    }
}

/// Waits for an answer that says no more than that it is done.
fn done(answer: BoxFuture<Result<Answer, StoreError>>) -> BoxFuture<Result<(), StoreError>> {
    Box::pin(async { answer.await.map(|_| ()) })
}

impl ObjectStore for SimMachine {
    fn put_if_absent(&self, key: &str, value: Bytes) -> BoxFuture<Result<(), StoreError>> {
        done(self.ask(key, Request::PutIfAbsent(value)))
    }

    fn put(&self, key: &str, value: Bytes) -> BoxFuture<Result<(), StoreError>> {
        done(self.ask(key, Request::Put(value)))
    }

    fn get(&self, key: &str) -> BoxFuture<Result<Bytes, StoreError>> {
        self.get_range(key, 0..u64::MAX)
    }

    fn get_range(&self, key: &str, range: Range<u64>) -> BoxFuture<Result<Bytes, StoreError>> {
        let answer = self.ask(key, Request::Get(range));
        Box::pin(async {
            match answer.await? {
                Answer::Content(content) => Ok(content),
                Answer::Done | Answer::Entries(_) => unreachable!("a read yields content"),
            }
        })
    }

    fn list(&self, prefix: &str) -> BoxFuture<Result<Vec<ObjectEntry>, StoreError>> {
        let answer = self.ask(prefix, Request::List);
        Box::pin(async {
            match answer.await? {
                Answer::Entries(entries) => Ok(entries),
                Answer::Done | Answer::Content(_) => unreachable!("a listing yields entries"),
            }
        })
    }

    fn delete(&self, key: &str) -> BoxFuture<Result<(), StoreError>> {
        done(self.ask(key, Request::Delete))
    }
}

/// Time of an operation on a disk.
const DISK_LATENCY: Duration = Duration::from_micros(100);

impl SimMachine {
    /// Does something to the disk after a moment, unless the node is dead by then.
    fn on_disk<T: Send + 'static>(
        &self,
        operation: DiskOperation,
        name: &str,
        act: impl FnOnce(DiskAccess<'_>) -> io::Result<T> + Send + 'static,
    ) -> BoxFuture<io::Result<T>> {
        let (shared, life, name) = (self.shared.clone(), self.life, name.to_owned());
        Box::pin(async move {
            shared.sleep_until(shared.now() + DISK_LATENCY).await;
            let now = shared.now();
            let mut state = shared.lock();
            if !state.is_alive(life) {
                return Err(io::ErrorKind::Interrupted.into());
            }
            let state = &mut *state;
            let actor = life.node.0 as u64;
            let node = state.name(life.node);
            let view = DiskView { node: &node, operation, name: &name, actor };
            let harm = state.rules.harm_of(view, &mut state.choices);
            if let Some(harm) = harm {
                state.struck_count += 1;
                let name = name.clone();
                state.incidents.add(Incident::DiskStruck { node, name, harm });
            }
            let disk = &mut state.nodes[life.node.0].disk;
            let choices = &mut state.choices;
            let result = match harm {
                Some(DiskHarm::Error) => Err(io::Error::other("the disk does not answer")),
                harm => {
                    let actor = actor_named(actor, &name);
                    act(DiskAccess { disk, name: &name, harm, actor, choices })
                }
            };
            let numbers = [actor, xxh3_64(name.as_bytes()), u64::from(result.is_ok())];
            state.trace.add("disk", now, &numbers);
            result
        })
    }
}

/// One operation on a disk, at the moment of its effect.
struct DiskAccess<'a> {
    disk: &'a mut disk::Disk,
    name: &'a str,
    /// What a fault does to it.
    harm: Option<DiskHarm>,
    actor: u64,
    choices: &'a mut Choices,
}

impl DiskAccess<'_> {
    fn write(self, content: Bytes) -> io::Result<()> {
        if self.harm == Some(DiskHarm::Full) {
            let size = self.choices.below("room_left", self.actor, content.len() as u64);
            let size = usize::try_from(size).expect("a file fits into memory");
            self.disk.write(self.name, content.slice(..size));
            return Err(io::ErrorKind::StorageFull.into());
        }
        self.disk.write(self.name, content);
        Ok(())
    }

    fn read(self, offset: u64, size_max: usize) -> io::Result<Bytes> {
        let Self { disk, name, harm, actor, choices } = self;
        let content = disk.read(name, offset, size_max).ok_or(io::ErrorKind::NotFound)?;
        Ok(match harm {
            // At least one byte comes: none would be the end of the file.
            Some(DiskHarm::Short) if 1 < content.len() => {
                let size = 1 + choices.below("short_read", actor, content.len() as u64 - 1);
                content.slice(..usize::try_from(size).expect("a file fits into memory"))
            }
            Some(DiskHarm::Corrupt) => disk::corrupted(&content, "corrupt_read", actor, choices),
            _ => content,
        })
    }
}

/// Turns the absence of a file into an error.
fn found(is_there: bool) -> io::Result<()> {
    if is_there { Ok(()) } else { Err(io::ErrorKind::NotFound.into()) }
}

impl Disk for SimMachine {
    fn write_file(&self, name: &str, content: Bytes) -> BoxFuture<io::Result<()>> {
        self.on_disk(DiskOperation::Write, name, |access| access.write(content))
    }

    fn read(&self, name: &str, offset: u64, size_max: usize) -> BoxFuture<io::Result<Bytes>> {
        self.on_disk(DiskOperation::Read, name, move |access| access.read(offset, size_max))
    }

    fn sync_file(&self, name: &str) -> BoxFuture<io::Result<()>> {
        self.on_disk(DiskOperation::Other, name, |access| found(access.disk.sync(access.name)))
    }

    fn rename_file(&self, from: &str, to: &str) -> BoxFuture<io::Result<()>> {
        let to = to.to_owned();
        self.on_disk(DiskOperation::Other, from, move |access| {
            found(access.disk.rename(access.name, &to))
        })
    }

    fn remove_file(&self, name: &str) -> BoxFuture<io::Result<()>> {
        self.on_disk(DiskOperation::Other, name, |access| {
            access.disk.remove(access.name);
            Ok(())
        })
    }

    fn list_files(&self, directory: &str) -> BoxFuture<io::Result<Vec<String>>> {
        self.on_disk(DiskOperation::Other, directory, |access| Ok(access.disk.list(access.name)))
    }
}

impl Entropy for SimMachine {
    fn choose(&self, site: &'static str, actor: u64) -> u64 {
        // Two nodes that ask the same question get answers of their own.
        let node = (self.life.node.0 as u64 + 1).to_le_bytes();
        let mut name = [0; 16];
        name[..8].copy_from_slice(&node);
        name[8..].copy_from_slice(&actor.to_le_bytes());
        let actor = xxh3_64(&name);
        self.shared.lock().choices.choose(site, actor)
    }
}

impl Observe for SimMachine {
    fn is_observed(&self) -> bool {
        true
    }

    fn observe(&self, observation: &dyn Observation) {
        self.shared.observe(self.life, observation);
    }
}
