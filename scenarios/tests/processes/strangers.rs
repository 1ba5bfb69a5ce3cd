//! Those who do not belong to the cluster, and those who do not know how to.

use std::{fs, io::Write as _, net::TcpStream};

use crate::cluster::Cluster;

#[test]
fn a_worker_with_another_secret_is_refused_and_both_sides_say_so() {
    let cluster = Cluster::new();
    fs::write(cluster.path("other"), "no river runs in here\n").expect("it is written");
    let coordinator = cluster.start_coordinator("coordinator");
    let address = cluster.coordinator.to_string();
    let other = cluster.path("other");
    let arguments = [("--coordinator", &*address), ("--secret-file", &other)];
    let stranger = cluster.start("stranger", "worker", &arguments);
    cluster.await_that("both sides say so", || {
        stranger.log().contains("the peer has another secret")
            && coordinator.log().contains("a connection is refused")
    });
    assert!(!coordinator.log().contains("a worker registered"), "{}", coordinator.log());
    let log = coordinator.log() + &stranger.log();
    assert!(!log.contains("river"), "nobody tells a secret\n{log}");
}

#[test]
fn garbage_does_no_harm() {
    let cluster = Cluster::new();
    let mut coordinator = cluster.start_coordinator("coordinator");
    cluster.await_that("it listens", || coordinator.log().contains("listening for workers"));
    for _ in 0..50 {
        let mut stream = TcpStream::connect(cluster.coordinator).expect("it listens");
        // It may have hung up.
        let _ = stream.write_all(b"GET / HTTP/1.1\r\nHost: nobody\r\n\r\n");
    }
    let _workers = [cluster.start_worker("worker-1", 1), cluster.start_worker("worker-2", 1)];
    cluster.await_end(&mut coordinator);
    cluster.check_output();
    let refusal_count = coordinator.log().matches("a connection is refused").count();
    assert!(0 < refusal_count && refusal_count < 20, "the log is bounded: {refusal_count}");
}

#[test]
fn what_cannot_be_used_is_told_apart_from_a_job_that_fails() {
    let cluster = Cluster::new();
    let mut open = cluster.start("open", "coordinator", &[("--listen", "0.0.0.0:0")]);
    assert_eq!(cluster.await_status(&mut open).code(), Some(2));
    assert!(open.log().contains("advertised address"), "{}", open.log());

    fs::write(cluster.path("short"), "river\n").expect("it is written");
    let mut short = cluster.start("short", "worker", &[("--secret-file", &cluster.path("short"))]);
    assert_eq!(cluster.await_status(&mut short).code(), Some(2));
    assert!(short.log().contains("it has 5 bytes"), "{}", short.log());

    let input = cluster.path("input.csv");
    let text = fs::read_to_string(&input).expect("it was written");
    fs::write(&input, text + "this is no flight\n").expect("it is written");
    let address = cluster.coordinator.to_string();
    let arguments = [("--listen", &*address), ("--restarts", "1")];
    let mut coordinator = cluster.start("coordinator", "coordinator", &arguments);
    let _workers = [cluster.start_worker("worker-1", 1), cluster.start_worker("worker-2", 1)];
    assert_eq!(cluster.await_status(&mut coordinator).code(), Some(1), "{}", cluster.logs());
}
