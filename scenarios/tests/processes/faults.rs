//! What goes wrong while a job runs, and leaves no trace in its output.

use std::{fs, net::Ipv4Addr};

use nix::sys::signal::Signal;

use crate::{
    cluster::{Cluster, Place, free_address},
    proxy::Wires,
};

/// Committed lines that a test waits for before it does something, so that it happens mid-run.
const SOME: usize = 100;

#[test]
fn without_faults_a_job_comes_to_its_end_and_every_process_to_its() {
    let cluster = Cluster::new();
    // The workers come first, and wait.
    let mut workers = [cluster.start_worker("worker-1", 1), cluster.start_worker("worker-2", 1)];
    let mut coordinator = cluster.start_coordinator("coordinator");
    cluster.await_end(&mut coordinator);
    workers.iter_mut().for_each(|worker| cluster.await_end(worker));
    cluster.check_output();
}

#[test]
fn a_killed_worker_is_replaced() {
    let cluster = Cluster::new();
    let mut coordinator = cluster.start_coordinator("coordinator");
    let [first, second] = cluster.start_pair(["worker-1", "worker-2"]);
    cluster.await_progress(SOME);
    first.kill();
    // The other one has slots enough.
    cluster.await_progress(SOME);
    let _third = cluster.start_worker("worker-3", 2);
    second.kill();
    cluster.await_end(&mut coordinator);
    cluster.check_output();
}

#[test]
fn a_killed_coordinator_goes_on_when_it_is_started_again() {
    let cluster = Cluster::new();
    let coordinator = cluster.start_coordinator("coordinator");
    let mut workers = cluster.start_pair(["worker-1", "worker-2"]);
    cluster.await_progress(SOME);
    coordinator.kill();
    let coordinator = cluster.start_coordinator("coordinator");
    cluster.await_progress(SOME);
    coordinator.kill();
    let mut coordinator = cluster.start_coordinator("coordinator");
    cluster.await_end(&mut coordinator);
    workers.iter_mut().for_each(|worker| cluster.await_end(worker));
    cluster.check_output();
}

#[test]
fn everything_may_be_killed_at_once() {
    let cluster = Cluster::new();
    for names in [["worker-1", "worker-2"], ["worker-3", "worker-4"]] {
        let coordinator = cluster.start_coordinator("coordinator");
        let workers = cluster.start_pair(names);
        cluster.await_progress(SOME);
        coordinator.kill();
        workers.into_iter().for_each(crate::cluster::Process::kill);
    }
    let mut coordinator = cluster.start_coordinator("coordinator");
    let _workers = cluster.start_pair(["worker-5", "worker-6"]);
    cluster.await_end(&mut coordinator);
    cluster.check_output();
}

#[test]
fn a_worker_that_slept_commits_nothing_that_others_have_taken_over() {
    let cluster = Cluster::new();
    let mut coordinator = cluster.start_coordinator("coordinator");
    let [zombie, _other] = cluster.start_pair(["worker-1", "worker-2"]);
    cluster.await_progress(SOME);
    zombie.signal(Signal::SIGSTOP);
    cluster.await_that("its silence is noticed", || coordinator.log().contains("a worker is lost"));
    // The other one has taken over, and goes on while the sleeper wakes up.
    cluster.await_progress(SOME);
    zombie.signal(Signal::SIGCONT);
    cluster.await_that("it notices", || 2 <= zombie.log().matches("registered worker").count());
    cluster.await_end(&mut coordinator);
    cluster.check_output();
}

#[test]
fn a_coordinator_that_slept_leaves_the_job_to_its_successor() {
    let mut cluster = Cluster::new();
    let mut zombie = cluster.start_coordinator("coordinator-1");
    let first = cluster.coordinator;
    let second = free_address(Ipv4Addr::LOCALHOST);
    let (one, other) = (first.to_string(), second.to_string());
    let arguments = [("--coordinator", &*one), ("--coordinator", &other), ("--slots", "1")];
    let _workers = ["worker-1", "worker-2"].map(|name| cluster.start(name, "worker", &arguments));
    cluster.await_progress(SOME);
    zombie.signal(Signal::SIGSTOP);
    cluster.coordinator = second;
    let mut coordinator = cluster.start_coordinator("coordinator-2");
    cluster.await_progress(SOME);
    zombie.signal(Signal::SIGCONT);
    assert_eq!(cluster.await_status(&mut zombie).code(), Some(3), "{}", cluster.logs());
    cluster.await_end(&mut coordinator);
    cluster.check_output();
}

#[test]
fn a_full_disk_is_waited_out() {
    const QUOTA: u64 = 1 << 20;
    let mut cluster = Cluster::new();
    cluster.extra =
        vec![("--store-quota", QUOTA.to_string()), ("--tolerable-failures", "1".to_owned())];
    let mut coordinator = cluster.start_coordinator("coordinator");
    let _workers = cluster.start_pair(["worker-1", "worker-2"]);
    cluster.await_progress(SOME);
    let ballast = cluster.path("store/ballast");
    fs::write(&ballast, vec![0; QUOTA.try_into().expect("it is small")]).expect("it is written");
    // Either snapshots cannot be stored, and the job is restarted, which does not help; or a manifest
    // cannot, and is tried again.
    let sign_count = || {
        let log = coordinator.log();
        log.matches("attempt failed").count() + log.matches("is written again").count()
    };
    cluster.await_that("it is noticed", || 4 <= sign_count());
    let stuck = cluster.lines("output/departures");
    cluster.await_that("it goes on", || 6 <= sign_count());
    assert_eq!(stuck, cluster.lines("output/departures"), "nothing new is covered by a checkpoint");
    fs::remove_file(&ballast).expect("it is there");
    cluster.await_end(&mut coordinator);
    cluster.check_output();
}

#[test]
fn a_worker_that_was_cut_off_commits_nothing_late() {
    let cluster = Cluster::new();
    let wires = Wires::default();
    let elsewhere = Ipv4Addr::new(127, 0, 0, 2);
    // The first worker reaches everybody, and is reached, by wires that can be cut: the data ports
    // are told to the others by another address of loopback, where the proxy listens.
    let to_coordinator = free_address(elsewhere);
    wires.forward(to_coordinator, cluster.coordinator);
    let place = |coordinator| {
        let listen = free_address(Ipv4Addr::LOCALHOST);
        wires.forward((elsewhere, listen.port()).into(), listen);
        Place { coordinator, listen: Some(listen), advertise: Some(elsewhere) }
    };
    let mut coordinator = cluster.start_coordinator("coordinator");
    let places = [place(Some(to_coordinator)), place(None)];
    let [cut_off, _other] = cluster.start_pair_at(["worker-1", "worker-2"], &places);
    cluster.await_progress(SOME);
    wires.cut();
    cluster.await_that("the silence is noticed", || {
        coordinator.log().contains("a worker is lost")
            && cut_off.log().contains("the coordinator is lost")
    });
    cluster.await_progress(SOME);
    wires.mend();
    cluster.await_that("it is back", || 2 <= cut_off.log().matches("registered worker").count());
    cluster.await_end(&mut coordinator);
    cluster.check_output();
}
