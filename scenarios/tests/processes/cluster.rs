//! A cluster of processes that a test can do things to.

use std::{
    fs,
    net::{Ipv4Addr, SocketAddr, TcpListener},
    os::unix::fs::PermissionsExt as _,
    path::PathBuf,
    process::{Child, Command, ExitStatus, Stdio},
    sync::atomic::{AtomicU16, Ordering},
    thread::sleep,
    time::{Duration, Instant},
};

use floodmark_scenarios::jobs::flights;
use nix::{
    sys::signal::{Signal, kill},
    unistd::Pid,
};
use tempfile::TempDir;

/// Time in which anything that a test waits for must have happened.
const PATIENCE: Duration = Duration::from_secs(60);

/// Pause between two looks.
const LOOK_INTERVAL: Duration = Duration::from_millis(20);

/// Rows of the input: a part of the file, so that a run takes a few seconds.
pub(crate) const ROW_COUNT: usize = 6_000;

/// Rows per second, as long as a test has things to do to the cluster.
pub(crate) const RATE: u32 = 1_500;

/// Silence after which a process is taken for dead.
pub(crate) const HEARTBEAT_TIMEOUT: Duration = Duration::from_millis(1_000);

/// A directory with everything that a cluster has, and where its coordinator listens.
pub(crate) struct Cluster {
    directory: TempDir,
    pub(crate) coordinator: SocketAddr,
    /// What every process is given in place of the usual, or besides.
    pub(crate) extra: Vec<(&'static str, String)>,
}

/// A process that is killed when the test is over.
pub(crate) struct Process {
    child: Child,
    log: PathBuf,
}

/// Where a worker listens and connects, if that is not as usual.
#[derive(Clone, Default)]
pub(crate) struct Place {
    /// Where it looks for the coordinator.
    pub(crate) coordinator: Option<SocketAddr>,
    /// Where it takes data connections.
    pub(crate) listen: Option<SocketAddr>,
    /// The address that it tells others.
    pub(crate) advertise: Option<Ipv4Addr>,
}

impl Cluster {
    /// Prepares a directory with input and secret.
    pub(crate) fn new() -> Self {
        let directory = tempfile::tempdir().expect("a directory");
        let path = directory.path();
        let lines: Vec<&str> = flights::FLIGHTS.lines().take(1 + ROW_COUNT).collect();
        fs::write(path.join("input.csv"), lines.join("\n") + "\n").expect("the input is written");
        fs::write(path.join("secret"), "many a river runs here\n").expect("the secret is written");
        fs::set_permissions(path.join("secret"), fs::Permissions::from_mode(0o600))
            .expect("it is ours");
        Self { directory, coordinator: free_address(Ipv4Addr::LOCALHOST), extra: Vec::new() }
    }

    /// Returns a path in the cluster's directory.
    pub(crate) fn path(&self, name: &str) -> String {
        self.directory.path().join(name).display().to_string()
    }

    /// Starts a coordinator.
    pub(crate) fn start_coordinator(&self, name: &str) -> Process {
        let listen = self.coordinator.to_string();
        self.start(name, "coordinator", &[("--listen", &listen), ("--stop-within", "20")])
    }

    /// Starts a worker. A job has two slots.
    pub(crate) fn start_worker(&self, name: &str, slot_count: u32) -> Process {
        self.start_worker_at(name, slot_count, &Place::default())
    }

    /// Starts two workers that share the job, and waits until it runs. The second one has room for all
    /// of it.
    pub(crate) fn start_pair(&self, names: [&str; 2]) -> [Process; 2] {
        self.start_pair_at(names, &[Place::default(), Place::default()])
    }

    /// As [`Cluster::start_pair`], each at a place of its own.
    pub(crate) fn start_pair_at(&self, names: [&str; 2], places: &[Place; 2]) -> [Process; 2] {
        let first = self.start_worker_at(names[0], 1, &places[0]);
        // Otherwise the second one could be given everything.
        self.await_that("it registers", || first.log().contains("registered worker"));
        let second = self.start_worker_at(names[1], 2, &places[1]);
        for worker in [&first, &second] {
            self.await_that("it takes part", || worker.log().contains("deployed worker"));
        }
        [first, second]
    }

    /// Starts a worker at a place of its own.
    fn start_worker_at(&self, name: &str, slot_count: u32, place: &Place) -> Process {
        let slot_count = slot_count.to_string();
        let coordinator = place.coordinator.unwrap_or(self.coordinator).to_string();
        let mut arguments = vec![("--coordinator", &*coordinator), ("--slots", &slot_count)];
        let listen = place.listen.map(|address| address.to_string());
        if let Some(address) = &listen {
            arguments.push(("--listen", address));
        }
        let advertise = place.advertise.map(|address| address.to_string());
        if let Some(address) = &advertise {
            arguments.push(("--advertise", address));
        }
        self.start(name, "worker", &arguments)
    }

    /// Starts a process, and returns at once. What it is given goes before what all are given, and
    /// that before the usual.
    pub(crate) fn start(&self, name: &str, role: &str, arguments: &[(&str, &str)]) -> Process {
        let log = self.directory.path().join(format!("{name}.log"));
        // A process that is started again goes on in the same file.
        let file = fs::OpenOptions::new().create(true).append(true).open(&log).expect("a log");
        let mut command = Command::new(env!("CARGO_BIN_EXE_floodmark"));
        command.arg(role).stdout(Stdio::null()).stderr(Stdio::from(file));
        command.args(arguments.iter().flat_map(|(flag, value)| [flag, value]));
        let is_given = |flag: &str| arguments.iter().any(|(one, _)| *one == flag);
        let extra = self.extra.iter().filter(|(flag, _)| !is_given(flag));
        command.args(extra.flat_map(|(flag, value)| [*flag, value]));
        let is_extra = |flag: &str| self.extra.iter().any(|(one, _)| *one == flag);
        let usual = self.usual();
        let usual = usual.iter().filter(|(flag, _)| !is_given(flag) && !is_extra(flag));
        command.args(usual.flat_map(|(flag, value)| [*flag, value]));
        Process { child: command.spawn().expect("the command can be started"), log }
    }

    /// Returns what every process is given unless a test says otherwise.
    fn usual(&self) -> Vec<(&'static str, String)> {
        vec![
            ("--job", "flights".to_owned()),
            ("--input", self.path("input.csv")),
            ("--output", self.path("output")),
            ("--store", self.path("store")),
            ("--secret-file", self.path("secret")),
            ("--rate", RATE.to_string()),
            ("--checkpoint-ms", "150".to_owned()),
            ("--restarts", "1000".to_owned()),
            ("--heartbeat-timeout-ms", HEARTBEAT_TIMEOUT.as_millis().to_string()),
        ]
    }

    /// Waits until so many more lines are committed than there are now.
    pub(crate) fn await_progress(&self, more: usize) {
        let count = || self.lines("output/departures").len();
        let begun = count();
        self.await_that("more lines are committed", || begun + more <= count());
    }

    /// Waits until something is so.
    #[track_caller]
    pub(crate) fn await_that(&self, what: &str, is_so: impl Fn() -> bool) {
        let begun = Instant::now();
        while !is_so() {
            assert!(begun.elapsed() < PATIENCE, "in time {what}\n{}", self.logs());
            sleep(LOOK_INTERVAL);
        }
    }

    /// Waits until the process has ended, and demands that it ended well.
    #[track_caller]
    pub(crate) fn await_end(&self, process: &mut Process) {
        let status = self.await_status(process);
        assert!(status.success(), "{status}\n{}", self.logs());
    }

    /// Waits until the process has ended.
    #[track_caller]
    pub(crate) fn await_status(&self, process: &mut Process) -> ExitStatus {
        let begun = Instant::now();
        loop {
            if let Some(status) = process.child.try_wait().expect("it is a child") {
                return status;
            }
            assert!(begun.elapsed() < PATIENCE, "it ends in time\n{}", self.logs());
            sleep(LOOK_INTERVAL);
        }
    }

    /// Returns the lines of all committed parts of a directory, sorted; none if there is none yet.
    pub(crate) fn lines(&self, directory: &str) -> Vec<String> {
        let mut lines = Vec::new();
        for entry in fs::read_dir(self.path(directory)).into_iter().flatten().flatten() {
            // A name with a `#` is that of a file that is being written, or was when its process died.
            let name = entry.file_name().to_string_lossy().into_owned();
            if name.starts_with("part-") && !name.contains('#') {
                let text = fs::read_to_string(entry.path()).expect("a part is text");
                lines.extend(text.lines().map(str::to_owned));
            }
        }
        lines.sort();
        lines
    }

    /// Demands that the output is what the model says: every line, and each once.
    #[track_caller]
    pub(crate) fn check_output(&self) {
        let rows: Vec<&str> = flights::FLIGHTS.lines().skip(1).take(ROW_COUNT).collect();
        for (name, mut expected) in flights::expected(&rows, flights::WATERMARK_EVERY) {
            expected.sort();
            assert!(!expected.is_empty());
            let found = self.lines(name);
            if found != expected {
                let missing = expected.iter().filter(|line| !found.contains(line)).count();
                let wrong: Vec<_> = found.iter().filter(|line| !expected.contains(line)).collect();
                let (found, expected) = (found.len(), expected.len());
                panic!(
                    "{name}: {found} lines instead of {expected}, {missing} are missing, {wrong:?} \
                     are wrong\n{}",
                    self.logs()
                );
            }
        }
    }

    /// Returns what the processes have logged, for a test that fails.
    pub(crate) fn logs(&self) -> String {
        let mut names: Vec<_> = fs::read_dir(self.directory.path())
            .expect("it is there")
            .flatten()
            .map(|entry| entry.path())
            .filter(|path| path.extension().is_some_and(|extension| extension == "log"))
            .collect();
        names.sort();
        let log = |path: &PathBuf| {
            let text = fs::read_to_string(path).unwrap_or_default();
            format!("== {}\n{text}", path.display())
        };
        names.iter().map(log).collect()
    }
}

impl Process {
    /// Sends a signal to the process, which has not been waited for.
    pub(crate) fn signal(&self, signal: Signal) {
        let id = i32::try_from(self.child.id()).expect("ids of processes are small");
        kill(Pid::from_raw(id), signal).expect("it is a child");
    }

    /// Ends the process at whatever it is, and waits until it is gone.
    pub(crate) fn kill(mut self) {
        self.end();
    }

    /// Returns what it has logged.
    pub(crate) fn log(&self) -> String {
        fs::read_to_string(&self.log).unwrap_or_default()
    }

    fn end(&mut self) {
        // It may have ended by itself.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        self.end();
    }
}

/// Returns an address that nobody listens on.
///
/// The port lies below those that the system gives to connections, so that nobody gets it by chance,
/// and where tests of other processes begin to look depends on their id.
pub(crate) fn free_address(host: Ipv4Addr) -> SocketAddr {
    static TAKEN: AtomicU16 = AtomicU16::new(0);
    const FIRST: u16 = 10_000;
    const COUNT: u16 = 20_000;
    let begin = u16::try_from(std::process::id() % u32::from(COUNT)).expect("below the count");
    loop {
        let offset = TAKEN.fetch_add(1, Ordering::Relaxed);
        let port = FIRST + (begin.wrapping_mul(31).wrapping_add(offset)) % COUNT;
        let address = SocketAddr::from((host, port));
        // Everywhere, so that no proxy on another address of loopback is in the way.
        if TcpListener::bind((Ipv4Addr::UNSPECIFIED, port)).is_ok() {
            return address;
        }
    }
}
