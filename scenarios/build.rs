//! Tells the binary which commit it was built from: a seed means nothing without it.

use std::process::Command;

fn main() {
    println!("cargo::rerun-if-changed=../.git/HEAD");
    println!("cargo::rerun-if-changed=../.git/logs/HEAD");
    let output = Command::new("git").args(["rev-parse", "--short", "HEAD"]).output();
    // Built from an archive, or without git: the commit stays unknown.
    if let Some(output) = output.ok().filter(|output| output.status.success()) {
        let commit = String::from_utf8_lossy(&output.stdout);
        println!("cargo::rustc-env=FLOODMARK_COMMIT={}", commit.trim());
    }
}
