//! A process of a cluster: one binary, and the role it plays this time.
//!
//! A job is code, so every process of its cluster runs the same binary, builds the same job, and is
//! told from outside whether it coordinates or works, where it listens and where the others are.

mod run;

use std::{
    net::{IpAddr, Ipv4Addr, SocketAddr},
    path::{Path, PathBuf},
    time::Duration,
};

use floodmark_host::{HostOptions, Secret, machine};
use floodmark_platform::Address;

pub(crate) use self::run::run;
use crate::{Error, options::Options};

/// The port of coordinators, unless another is given.
const COORDINATOR_PORT: u16 = 7100;

/// Time in which a job that is asked to stop takes its last checkpoint, unless another is given.
const STOP_WITHIN: Duration = Duration::from_secs(30);

/// A process of a cluster: its role, and its place.
///
/// Read from the environment ([`Process::from_environment`]) or made by hand, for a `main` with
/// arguments of its own. [`Environment::run_as`](crate::Environment::run_as) runs it.
///
/// # Examples
///
/// ```
/// use floodmark::Process;
/// use std::time::Duration;
///
/// let worker = Process::worker("/mnt/shared", &["127.0.0.1:7100"]).slots(4);
/// let coordinator = Process::coordinator("/mnt/shared").stop_within(Duration::from_secs(10));
/// # let _ = (worker, coordinator);
/// ```
#[derive(Clone, Debug)]
pub struct Process {
    pub(crate) role: Role,
    pub(crate) listen: SocketAddr,
    advertised: Option<IpAddr>,
    store: PathBuf,
    store_size_max: Option<u64>,
    disk: Option<PathBuf>,
    secret: Option<Secret>,
    pub(crate) stop_within: Duration,
    pub(crate) options: Options,
}

/// What a process does for its job.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Role {
    /// It decides.
    Coordinator,
    /// It runs subtasks.
    Worker {
        /// Where coordinators listen.
        coordinators: Vec<Address>,
        /// Subtasks of one vertex it can run.
        slot_count: u32,
    },
}

impl Process {
    /// Creates a coordinator that listens on port 7100 of loopback. `store` is the directory that all
    /// processes share: relative paths of checkpoints, sources and sinks begin there.
    #[doc(alias = "JobManager")]
    pub fn coordinator(store: impl Into<PathBuf>) -> Self {
        let listen = SocketAddr::from((Ipv4Addr::LOCALHOST, COORDINATOR_PORT));
        Self::new(Role::Coordinator, listen, store.into())
    }

    /// Creates a worker with one slot that takes data connections on some port of loopback.
    /// `coordinators`, of which there is at least one, are tried in turn; each is a host and a port.
    ///
    /// # Panics
    ///
    /// When there is no coordinator to be tried.
    #[doc(alias = "TaskManager")]
    pub fn worker(store: impl Into<PathBuf>, coordinators: &[&str]) -> Self {
        assert!(!coordinators.is_empty(), "a worker knows at least one coordinator");
        let coordinators = coordinators.iter().map(|one| Address((*one).to_owned())).collect();
        let listen = SocketAddr::from((Ipv4Addr::LOCALHOST, 0));
        Self::new(Role::Worker { coordinators, slot_count: 1 }, listen, store.into())
    }

    fn new(role: Role, listen: SocketAddr, store: PathBuf) -> Self {
        Self {
            role,
            listen,
            advertised: None,
            store,
            store_size_max: None,
            disk: None,
            secret: None,
            stop_within: STOP_WITHIN,
            options: Options::default(),
        }
    }

    /// Sets where to listen: for workers, if this is a coordinator; for the data of other workers, if
    /// it is a worker. Port 0 lets the system choose. An address other than loopback needs a secret.
    #[must_use]
    pub fn listen(self, address: SocketAddr) -> Self {
        Self { listen: address, ..self }
    }

    /// Sets the address that others are told to connect to, if it is not the one listened on.
    #[must_use]
    pub fn advertise(self, address: IpAddr) -> Self {
        Self { advertised: Some(address), ..self }
    }

    /// Sets what every process of the cluster must know. All have one, or none.
    #[must_use]
    pub fn secret(self, secret: Secret) -> Self {
        Self { secret: Some(secret), ..self }
    }

    /// Sets the directory of this process alone, for copies of snapshots. Without one it is a
    /// directory for temporary files, and goes with the process.
    #[must_use]
    pub fn disk(self, directory: impl Into<PathBuf>) -> Self {
        Self { disk: Some(directory.into()), ..self }
    }

    /// Sets the most bytes that the store may hold; a write beyond that fails as on a full disk. Every
    /// write looks at every file of the store, so this is for tests and small stores.
    #[must_use]
    pub fn store_size_max(self, size_bytes: u64) -> Self {
        Self { store_size_max: Some(size_bytes), ..self }
    }

    /// Sets the slots of a worker, at least 1; a coordinator has none. A slot holds one subtask of each
    /// vertex, and a job needs as many as its largest parallelism.
    #[must_use]
    pub fn slots(mut self, count: u32) -> Self {
        assert!(0 < count, "a worker has at least one slot");
        if let Role::Worker { slot_count, .. } = &mut self.role {
            *slot_count = count;
        }
        self
    }

    /// Sets the time that a coordinator has for the last checkpoint when it is asked to stop, 30
    /// seconds unless set. Longer lets a slow store finish; shorter ends before whoever asked loses
    /// patience.
    #[must_use]
    pub fn stop_within(self, time: Duration) -> Self {
        Self { stop_within: time, ..self }
    }

    /// Sets options of the job from a file in TOML, unless its code sets them. They count for
    /// [`Environment::run_as`](crate::Environment::run_as), and more than those of
    /// [`Environment::from_file`](crate::Environment::from_file). All processes of a cluster are given
    /// the same ones.
    ///
    /// # Errors
    ///
    /// As [`Environment::from_file`](crate::Environment::from_file).
    pub fn options_from_file(self, path: impl AsRef<Path>) -> Result<Self, Error> {
        let options = Options::from_file(path.as_ref())?.or(self.options);
        Ok(Self { options, ..self })
    }

    /// Reads role and place from environment variables. `None` if `FLOODMARK_ROLE` is not set.
    ///
    /// | variable | meaning | unless set |
    /// |---|---|---|
    /// | `FLOODMARK_ROLE` | `coordinator` or `worker` | no process of a cluster |
    /// | `FLOODMARK_STORE` | the directory that all processes share | an error |
    /// | `FLOODMARK_COORDINATORS` | for workers: where coordinators listen, separated by commas | `127.0.0.1:7100` |
    /// | `FLOODMARK_SLOTS` | for workers: how many slots | 1 |
    /// | `FLOODMARK_LISTEN` | address and port to listen on | `127.0.0.1:7100`; a worker `127.0.0.1:0` |
    /// | `FLOODMARK_ADVERTISE` | the address that others are told | that of `FLOODMARK_LISTEN` |
    /// | `FLOODMARK_SECRET_FILE` | the file with the shared secret | none; only loopback then |
    /// | `FLOODMARK_DISK` | the directory of this process alone | a temporary one |
    /// | `FLOODMARK_STOP_SECONDS` | for coordinators: time for the last checkpoint | 30 |
    /// | `FLOODMARK_CONFIG` | a file with options of the job, see [`Process::options_from_file`] | none |
    ///
    /// A variable that is empty counts as not set.
    ///
    /// # Errors
    ///
    /// When a variable has no meaning, or the secret or the options cannot be read.
    #[expect(clippy::disallowed_methods, reason = "`main` reads its configuration by this call")]
    pub fn from_environment() -> Result<Option<Self>, Error> {
        Self::from_variables(|name| std::env::var(name).ok())
    }

    /// As [`Process::from_environment`], with the variables that `lookup` finds.
    ///
    /// # Errors
    ///
    /// As [`Process::from_environment`].
    pub fn from_variables(lookup: impl Fn(&str) -> Option<String>) -> Result<Option<Self>, Error> {
        let lookup = |name: &str| lookup(name).filter(|value| !value.trim().is_empty());
        let Some(role) = lookup("FLOODMARK_ROLE") else { return Ok(None) };
        let store = lookup("FLOODMARK_STORE")
            .ok_or_else(|| invalid("FLOODMARK_STORE", "", "it is not set; name the directory"))?;
        let mut process = match role.as_str() {
            "coordinator" => Self::coordinator(store),
            "worker" => {
                let coordinators = lookup("FLOODMARK_COORDINATORS");
                let coordinators =
                    coordinators.unwrap_or_else(|| format!("127.0.0.1:{COORDINATOR_PORT}"));
                let coordinators: Vec<&str> = coordinators.split(',').map(str::trim).collect();
                coordinators.iter().try_for_each(|one| check_address(one))?;
                Self::worker(store, &coordinators)
            }
            _ => {
                let reason = "it is neither `coordinator` nor `worker`";
                return Err(invalid("FLOODMARK_ROLE", &role, reason));
            }
        };
        if let Some(count) = parsed(lookup, "FLOODMARK_SLOTS", "a number from 1 on")? {
            process = process.slots(std::num::NonZeroU32::get(count));
        }
        if let Some(address) =
            parsed(lookup, "FLOODMARK_LISTEN", "an address and a port like `127.0.0.1:7100`")?
        {
            process = process.listen(address);
        }
        if let Some(address) = parsed(lookup, "FLOODMARK_ADVERTISE", "an address like `192.0.2.1`")?
        {
            process = process.advertise(address);
        }
        if let Some(seconds) = parsed(lookup, "FLOODMARK_STOP_SECONDS", "a number of seconds")? {
            process = process.stop_within(Duration::from_secs(u32::into(seconds)));
        }
        if let Some(directory) = lookup("FLOODMARK_DISK") {
            process = process.disk(directory);
        }
        if let Some(file) = lookup("FLOODMARK_SECRET_FILE") {
            process = process.secret(Secret::read(Path::new(&file))?);
        }
        if let Some(file) = lookup("FLOODMARK_CONFIG") {
            process = process.options_from_file(file)?;
        }
        Ok(Some(process))
    }

    /// Creates the machine that the process runs on, and the directory that goes with it.
    pub(crate) fn machine(&self) -> Result<(floodmark_platform::Machine, Temporary), Error> {
        let temporary = match &self.disk {
            Some(_) => Temporary(None),
            None => {
                let name = format!("floodmark-process-{}", std::process::id());
                Temporary(Some(std::env::temp_dir().join(name)))
            }
        };
        let disk = self.disk.clone().or_else(|| temporary.0.clone());
        let machine = machine(HostOptions {
            root: self.store.clone(),
            disk: disk.expect("the one or the other is there"),
            bind: Some(self.listen.ip()),
            advertised: self.advertised,
            secret: self.secret.clone(),
            store_size_max: self.store_size_max,
        })?;
        Ok((machine, temporary))
    }
}

/// A directory that goes with the process, if there is one.
pub(crate) struct Temporary(Option<PathBuf>);

impl Drop for Temporary {
    fn drop(&mut self) {
        if let Some(directory) = &self.0 {
            // What stays behind is found by nobody.
            let _ = std::fs::remove_dir_all(directory);
        }
    }
}

/// Returns the value of a variable, if it is set.
fn parsed<T: std::str::FromStr>(
    lookup: impl Fn(&str) -> Option<String>,
    name: &'static str,
    what: &str,
) -> Result<Option<T>, Error> {
    let Some(value) = lookup(name) else { return Ok(None) };
    let parsed = value.trim().parse();
    parsed.map(Some).map_err(|_| invalid(name, &value, &format!("it is not {what}")))
}

/// Refuses what is no host and port. Whether there is such a host is found out by connecting.
fn check_address(address: &str) -> Result<(), Error> {
    match address.rsplit_once(':') {
        Some((host, port)) if !host.is_empty() && port.parse::<u16>().is_ok() => Ok(()),
        _ => {
            let reason = "it is not a host and a port like `127.0.0.1:7100`";
            Err(invalid("FLOODMARK_COORDINATORS", address, reason))
        }
    }
}

fn invalid(name: &'static str, value: &str, reason: &str) -> Error {
    Error::Variable { name, value: value.to_owned(), reason: reason.to_owned() }
}

#[cfg(test)]
mod tests {
    use expect_test::{Expect, expect};

    use super::*;

    fn read(variables: &[(&str, &str)]) -> Result<Option<Process>, Error> {
        Process::from_variables(|name| {
            let found = variables.iter().find(|(one, _)| *one == name);
            found.map(|(_, value)| (*value).to_owned())
        })
    }

    #[track_caller]
    fn check(variables: &[(&str, &str)], want: Expect) {
        want.assert_eq(&match read(variables) {
            Ok(None) => "none".to_owned(),
            Ok(Some(Process { role, listen, stop_within, .. })) => {
                format!("{role:?} at {listen}, stops within {stop_within:?}")
            }
            Err(error) => error.to_string(),
        });
    }

    #[test]
    fn without_a_role_there_is_no_process_of_a_cluster() {
        check(&[("FLOODMARK_STORE", "/store")], expect!["none"]);
        check(&[("FLOODMARK_ROLE", " ")], expect!["none"]);
    }

    #[test]
    fn what_is_not_set_is_as_documented() {
        const STORE: (&str, &str) = ("FLOODMARK_STORE", "/store");
        check(
            &[("FLOODMARK_ROLE", "coordinator"), STORE],
            expect!["Coordinator at 127.0.0.1:7100, stops within 30s"],
        );
        check(
            &[("FLOODMARK_ROLE", "worker"), STORE],
            expect![[
                r#"Worker { coordinators: [Address("127.0.0.1:7100")], slot_count: 1 } at 127.0.0.1:0, stops within 30s"#
            ]],
        );
    }

    #[test]
    fn everything_can_be_set() {
        check(
            &[
                ("FLOODMARK_ROLE", "worker"),
                ("FLOODMARK_STORE", "/store"),
                ("FLOODMARK_COORDINATORS", "one:1, [::1]:2"),
                ("FLOODMARK_SLOTS", "3"),
                ("FLOODMARK_LISTEN", "0.0.0.0:9"),
                ("FLOODMARK_STOP_SECONDS", "5"),
            ],
            expect![[
                r#"Worker { coordinators: [Address("one:1"), Address("[::1]:2")], slot_count: 3 } at 0.0.0.0:9, stops within 5s"#
            ]],
        );
    }

    #[test]
    fn what_has_no_meaning_is_refused_by_name() {
        check(
            &[("FLOODMARK_ROLE", "master"), ("FLOODMARK_STORE", "/store")],
            expect![[
                r#"the environment variable FLOODMARK_ROLE is "master": it is neither `coordinator` nor `worker`"#
            ]],
        );
        check(
            &[("FLOODMARK_ROLE", "worker")],
            expect![[
                r#"the environment variable FLOODMARK_STORE is "": it is not set; name the directory"#
            ]],
        );
        for (name, value, want) in [
            (
                "FLOODMARK_SLOTS",
                "0",
                expect![[
                    r#"the environment variable FLOODMARK_SLOTS is "0": it is not a number from 1 on"#
                ]],
            ),
            (
                "FLOODMARK_LISTEN",
                "localhost",
                expect![[
                    r#"the environment variable FLOODMARK_LISTEN is "localhost": it is not an address and a port like `127.0.0.1:7100`"#
                ]],
            ),
            (
                "FLOODMARK_ADVERTISE",
                "192.0.2",
                expect![[
                    r#"the environment variable FLOODMARK_ADVERTISE is "192.0.2": it is not an address like `192.0.2.1`"#
                ]],
            ),
            (
                "FLOODMARK_COORDINATORS",
                "one:1,two",
                expect![[
                    r#"the environment variable FLOODMARK_COORDINATORS is "two": it is not a host and a port like `127.0.0.1:7100`"#
                ]],
            ),
            (
                "FLOODMARK_STOP_SECONDS",
                "soon",
                expect![[
                    r#"the environment variable FLOODMARK_STOP_SECONDS is "soon": it is not a number of seconds"#
                ]],
            ),
            (
                "FLOODMARK_SECRET_FILE",
                "/no/such/file",
                expect!["the secret in /no/such/file: No such file or directory (os error 2)"],
            ),
        ] {
            check(
                &[("FLOODMARK_ROLE", "worker"), ("FLOODMARK_STORE", "/store"), (name, value)],
                want,
            );
        }
    }
}
