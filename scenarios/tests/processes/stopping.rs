//! Signals that ask a process to stop.

use nix::sys::signal::Signal;

use crate::cluster::Cluster;

/// Committed lines that a test waits for before it does something, so that it happens mid-run.
const SOME: usize = 100;

#[test]
fn a_job_that_is_stopped_has_committed_what_its_checkpoint_covers_and_goes_on_from_there() {
    let cluster = Cluster::new();
    let rounds =
        [(Signal::SIGTERM, ["worker-1", "worker-2"]), (Signal::SIGINT, ["worker-3", "worker-4"])];
    for (signal, names) in rounds {
        let mut coordinator = cluster.start_coordinator("coordinator");
        let mut workers = cluster.start_pair(names);
        cluster.await_progress(SOME);
        coordinator.signal(signal);
        cluster.await_end(&mut coordinator);
        workers.iter_mut().for_each(|worker| cluster.await_end(worker));
        assert!(coordinator.log().contains("the job stops, to go on"), "{}", coordinator.log());
        // The sinks had time to commit: nothing that is staged waits for the next start.
        for sink in ["departures", "late"] {
            let staged = walk(&cluster.path(&format!("output/{sink}/_staged")));
            assert_eq!(staged, Vec::<String>::new(), "{}", cluster.logs());
        }
    }
    let mut coordinator = cluster.start_coordinator("coordinator");
    let _workers = cluster.start_pair(["worker-5", "worker-6"]);
    cluster.await_end(&mut coordinator);
    cluster.check_output();
}

#[test]
fn a_job_without_workers_is_stopped_as_well() {
    let cluster = Cluster::new();
    let mut coordinator = cluster.start_coordinator("coordinator");
    cluster.await_that("it waits", || coordinator.log().contains("the coordinator rules"));
    coordinator.signal(Signal::SIGTERM);
    cluster.await_end(&mut coordinator);
}

#[test]
fn a_worker_that_leaves_is_replaced_at_once() {
    let mut cluster = Cluster::new();
    // Nobody would notice its silence in time, and no failure is allowed.
    let patient = [("--heartbeat-timeout-ms", "600000"), ("--restarts", "0")];
    cluster.extra = patient.map(|(flag, value)| (flag, value.to_owned())).to_vec();
    let mut coordinator = cluster.start_coordinator("coordinator");
    let [mut leaving, _other] = cluster.start_pair(["worker-1", "worker-2"]);
    cluster.await_progress(SOME);
    leaving.signal(Signal::SIGTERM);
    cluster.await_end(&mut leaving);
    cluster.await_end(&mut coordinator);
    assert!(coordinator.log().contains("a worker has left"), "{}", coordinator.log());
    cluster.check_output();
}

/// Returns the paths of all files below a directory.
fn walk(directory: &str) -> Vec<String> {
    let mut files = Vec::new();
    for entry in std::fs::read_dir(directory).into_iter().flatten().flatten() {
        let path = entry.path().display().to_string();
        if entry.path().is_dir() {
            files.extend(walk(&path));
        } else {
            files.push(path);
        }
    }
    files
}
