//! A real browser, for pages that are meant for one.

#![expect(clippy::disallowed_methods, reason = "a test finds its browser by itself")]

use std::{
    env,
    path::Path,
    process::{Command, Stdio},
};

/// What the browser may be called.
const NAMES: [&str; 4] = ["chromium", "chromium-browser", "google-chrome", "google-chrome-stable"];

/// Opens a page, lets its script run, and returns the document that it has become. `hash` is what
/// stands behind `#` in the address.
pub(crate) fn open(page: &Path, hash: &str) -> String {
    let profile = tempfile::tempdir().expect("a directory");
    let output = Command::new(browser())
        .args(["--headless", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage"])
        .args(["--no-first-run", "--disable-background-networking", "--window-size=1400,900"])
        .arg(format!("--user-data-dir={}", profile.path().display()))
        .arg("--virtual-time-budget=4000")
        .arg("--dump-dom")
        .arg(format!("file://{}#{hash}", page.display()))
        .stdin(Stdio::null())
        .output()
        .expect("the browser can be started");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).expect("a document is text")
}

/// Returns the value of an attribute of a document.
pub(crate) fn attribute<'a>(document: &'a str, name: &str) -> &'a str {
    let (_, after) = document.split_once(&format!(" {name}=\"")).unwrap_or_else(|| {
        panic!("the document has no {name}: {document}");
    });
    after.split('"').next().expect("there is a first part")
}

fn browser() -> String {
    if let Ok(named) = env::var("FLOODMARK_BROWSER") {
        return named;
    }
    let paths = env::var_os("PATH").unwrap_or_default();
    let is_there = |name: &&&str| env::split_paths(&paths).any(|path| path.join(name).exists());
    let found = NAMES.iter().find(is_there).unwrap_or_else(|| {
        panic!(
            "this test opens a page in Chromium, and there is none: `./check` installs it, or \
             `apt-get install chromium`; FLOODMARK_BROWSER names another place"
        )
    });
    (*found).to_owned()
}
