//! Faults on real processes: the `floodmark` command is started, killed, frozen, cut off and robbed
//! of its disk, and its output must be what the model says all the same.
//!
//! Everything happens on loopback and in a directory of its own, needs no rights, and is bounded: what
//! has not happened by a deadline fails the test. Nothing here measures time.

#![cfg(target_os = "linux")]
#![expect(clippy::disallowed_methods, reason = "these tests are about the real machine")]

mod cluster;
mod faults;
mod proxy;
mod stopping;
mod strangers;
