//! The machine as a whole: its options, its parts and who listens to it.

use std::{
    fs, io,
    net::{IpAddr, Ipv4Addr},
    path::{Path, PathBuf},
    time::Instant,
};

use floodmark_platform::{Machine, Observation, Observe};
use tokio::runtime::Handle;

use crate::{HostError, Secret, object_store::Directories};

/// Where a machine keeps its things and where it can be reached.
///
/// There is no `Default`: two processes that guess the same directory destroy each other's disk.
#[derive(Clone, Debug)]
pub struct HostOptions {
    /// The directory that keys of the object store are relative to. All nodes of a cluster see the
    /// same one. Created if missing; its path is valid UTF-8.
    ///
    /// A key that begins with `/` is not relative to it: it is an absolute path.
    pub root: PathBuf,

    /// The private directory of this node, shared with no other process. Created if missing.
    pub disk: PathBuf,

    /// The address of this machine to listen on; `None` means loopback, so that nobody outside
    /// this machine can connect unless the user wants it. Any other needs a secret.
    pub bind: Option<IpAddr>,

    /// The address told to other nodes; `None` means the one listened on. Needed when that one
    /// stands for all addresses of the machine, or is behind a translation of addresses.
    pub advertised: Option<IpAddr>,

    /// What every node of the cluster knows and nobody else. With it, both ends of every connection
    /// prove that they know it before anything else is said. Connections are not encrypted, with
    /// or without.
    pub secret: Option<Secret>,

    /// The most bytes that objects below `root` may take, all together; a write beyond that fails as
    /// on a full disk. `None`: as many as there is room for. Counted anew by every write, which costs
    /// a look at every file.
    pub store_size_max: Option<u64>,
}

/// Creates the real machine, which nobody observes.
///
/// # Errors
///
/// When the caller is not inside a tokio runtime, a directory cannot be created, or other nodes
/// could not learn where this one listens.
///
/// # Panics
///
/// Later, if that runtime was built without its drivers of time and I/O (`enable_all`).
///
/// # Examples
///
/// ```
/// use std::time::Duration;
///
/// use floodmark_host::{HostOptions, machine};
///
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # let directory = tempfile::tempdir()?;
/// # let directory = directory.path();
/// let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
/// runtime.block_on(async {
///     let machine = machine(HostOptions {
///         root: directory.join("cluster"),
///         disk: directory.join("node"),
///         bind: None,
///         advertised: None,
///         secret: None,
///         store_size_max: None,
///     })?;
///     machine.sleep(Duration::from_millis(1)).await;
///     assert!(Duration::from_millis(1) <= machine.now());
///     Ok(())
/// })
/// # }
/// ```
pub fn machine(options: HostOptions) -> Result<Machine, HostError> {
    Ok(Machine::new(Host::new(options, None)?))
}

/// Creates the real machine and hands every observation of its runtime to `listener`.
///
/// The listener runs on the thread that observes, in the middle of its work: it must be quick and
/// must not panic. Observations of different threads come at the same time and in no order.
///
/// # Errors
///
/// As [`machine`].
pub fn machine_observed(
    options: HostOptions,
    listener: impl Fn(&dyn Observation) + Send + Sync + 'static,
) -> Result<Machine, HostError> {
    Ok(Machine::new(Host::new(options, Some(Box::new(listener)))?))
}

/// The real machine. Each capability is implemented in the file of its name.
pub(crate) struct Host {
    /// Runs the tasks, the timers and the blocking calls.
    pub(crate) runtime: Handle,
    /// When this machine's clock read zero.
    pub(crate) started: Instant,
    /// The address to listen on.
    pub(crate) bind: IpAddr,
    /// The address told to other nodes.
    pub(crate) advertised: IpAddr,
    /// What peers must know.
    pub(crate) secret: Option<Secret>,
    /// The object store.
    pub(crate) directories: Directories,
    /// The private directory.
    pub(crate) disk: PathBuf,
    listener: Option<Listener>,
}

/// Hears the observations of a machine.
type Listener = Box<dyn Fn(&dyn Observation) + Send + Sync>;

impl Host {
    fn new(options: HostOptions, listener: Option<Listener>) -> Result<Self, HostError> {
        let runtime = Handle::try_current().map_err(|_| HostError::NoRuntime)?;
        let bind = options.bind.unwrap_or(IpAddr::V4(Ipv4Addr::LOCALHOST));
        let advertised = options.advertised.unwrap_or(bind);
        if advertised.is_unspecified() {
            return Err(HostError::Unreachable { bind });
        }
        if !bind.is_loopback() && options.secret.is_none() {
            return Err(HostError::Unprotected { bind });
        }

        let root = create_directory(&options.root)?;
        let disk = create_directory(&options.disk)?;
        let directories = Directories::new(&root, options.store_size_max)
            .map_err(|source| HostError::Directory { path: root, source })?;
        let (started, secret) = (Instant::now(), options.secret);
        Ok(Self { runtime, started, bind, advertised, secret, directories, disk, listener })
    }

    /// Runs `work`, which may block, where it holds up no task. It also finishes if the caller
    /// stops waiting.
    pub(crate) fn run_blocking<T: Send + 'static>(
        &self,
        work: impl FnOnce() -> io::Result<T> + Send + 'static,
    ) -> impl Future<Output = io::Result<T>> + Send + 'static {
        let running = self.runtime.spawn_blocking(work);
        async move { running.await.unwrap_or_else(|gone| Err(io::Error::other(gone))) }
    }
}

impl Observe for Host {
    fn is_observed(&self) -> bool {
        self.listener.is_some()
    }

    fn observe(&self, observation: &dyn Observation) {
        if let Some(listener) = &self.listener {
            listener(observation);
        }
    }
}

/// Creates a directory unless it exists, and returns its path without links.
fn create_directory(path: &Path) -> Result<PathBuf, HostError> {
    fs::create_dir_all(path)
        .and_then(|()| path.canonicalize())
        .map_err(|source| HostError::Directory { path: path.to_owned(), source })
}

#[cfg(test)]
pub(crate) mod tests {
    use std::sync::{Arc, Mutex};

    use super::*;

    /// Returns options that keep everything in `directory`.
    pub(crate) fn options_in(directory: &Path) -> HostOptions {
        HostOptions {
            root: directory.join("root"),
            disk: directory.join("disk"),
            bind: None,
            advertised: None,
            secret: None,
            store_size_max: None,
        }
    }

    /// Creates a machine that keeps everything in `directory`.
    pub(crate) fn machine_in(directory: &Path) -> Machine {
        machine(options_in(directory)).unwrap()
    }

    #[derive(Clone, Debug, Hash)]
    struct Opened(u8);

    impl From<&Opened> for &'static str {
        fn from(_: &Opened) -> Self {
            "opened"
        }
    }

    impl From<&Opened> for Vec<(&'static str, u64)> {
        fn from(opened: &Opened) -> Self {
            vec![("number", opened.0.into())]
        }
    }

    #[tokio::test]
    async fn observations_reach_the_listener() {
        let directory = tempfile::tempdir().unwrap();
        let heard = Arc::new(Mutex::new(Vec::new()));
        let listener = {
            let heard = heard.clone();
            move |observation: &dyn Observation| {
                let value = observation.as_any().downcast_ref::<Opened>().unwrap().0;
                heard.lock().unwrap().push((observation.label(), value));
            }
        };
        let machine = machine_observed(options_in(directory.path()), listener).unwrap();
        machine.observe(|| Opened(7));
        assert_eq!(*heard.lock().unwrap(), [("opened", 7)]);
    }

    #[tokio::test]
    async fn nothing_is_built_for_nobody() {
        let directory = tempfile::tempdir().unwrap();
        let build = || -> Opened { unreachable!("nobody listens") };
        machine_in(directory.path()).observe(build);
    }

    #[test]
    fn no_runtime_is_an_error() {
        let directory = tempfile::tempdir().unwrap();
        let refused = machine(options_in(directory.path())).err().unwrap();
        assert!(matches!(refused, HostError::NoRuntime));
    }

    #[tokio::test]
    async fn a_file_in_the_place_of_a_directory_is_named() {
        let directory = tempfile::tempdir().unwrap();
        fs::write(directory.path().join("root"), "a file").unwrap();
        let refused = machine(options_in(directory.path())).err().unwrap();
        let HostError::Directory { path, .. } = refused else { panic!("{refused}") };
        assert_eq!(path, directory.path().join("root"));
    }

    #[tokio::test]
    async fn listening_everywhere_needs_an_advertised_address() {
        let directory = tempfile::tempdir().unwrap();
        let everywhere = Some(IpAddr::V4(Ipv4Addr::UNSPECIFIED));
        let options = HostOptions { bind: everywhere, ..options_in(directory.path()) };
        let refused = machine(options.clone()).err().unwrap();
        assert!(matches!(refused, HostError::Unreachable { .. }));

        let advertised = Some(IpAddr::V4(Ipv4Addr::new(192, 0, 2, 1)));
        let secret = Some(Secret::from_bytes(b"0123456789abcdef").unwrap());
        assert!(machine(HostOptions { advertised, secret, ..options }).is_ok());
    }

    #[tokio::test]
    async fn without_a_secret_only_this_machine_can_connect() {
        let directory = tempfile::tempdir().unwrap();
        let bind = Some(IpAddr::V4(Ipv4Addr::new(192, 0, 2, 1)));
        let options = HostOptions { bind, ..options_in(directory.path()) };
        let refused = machine(options).err().unwrap();
        assert!(matches!(refused, HostError::Unprotected { .. }), "{refused}");
    }
}
