//! Paths as users write them, and keys as the object store takes them.
//!
//! A key has one spelling per object, so that equal keys are equal strings; users have several.
//! `./logs//access.log` and `logs/access.log` are one file, and become one key. A `..` is refused
//! instead of resolved: what it leads to depends on links, which only the real machine knows.

use crate::Error;

/// Returns the key of the object at `path`: without `.`, empty parts and a final slash. An absolute
/// path stays absolute.
///
/// # Errors
///
/// When `path` contains `..`, or nothing is left of it.
pub(crate) fn object_key(path: &str) -> Result<String, Error> {
    let parts: Vec<&str> = path.split('/').filter(|part| !matches!(*part, "" | ".")).collect();
    if parts.contains(&"..") {
        return Err(Error::ParentInPath { path: path.to_owned() });
    }
    if parts.is_empty() {
        return Err(Error::NamelessPath { path: path.to_owned() });
    }
    let root = if path.starts_with('/') { "/" } else { "" };
    Ok(format!("{root}{}", parts.join("/")))
}

#[cfg(test)]
mod tests {
    use expect_test::{Expect, expect};

    use super::*;

    fn check(path: &str, expected: Expect) {
        expected.assert_eq(&object_key(path).unwrap_or_else(|error| error.to_string()));
    }

    #[test]
    fn a_plain_path_is_a_key() {
        check("logs/access.log", expect!["logs/access.log"]);
        check("/var/logs/access.log", expect!["/var/logs/access.log"]);
    }

    #[test]
    fn what_leads_nowhere_is_left_out() {
        check("./access.log", expect!["access.log"]);
        check("logs//./access.log", expect!["logs/access.log"]);
        check("//var/logs//", expect!["/var/logs"]);
        check(".hidden/a..b", expect![".hidden/a..b"]);
    }

    #[test]
    fn a_parent_is_refused() {
        check("../x.csv", expect![[r#"the path "../x.csv" contains `..`; write it without"#]]);
        check("/a/../b", expect![[r#"the path "/a/../b" contains `..`; write it without"#]]);
    }

    #[test]
    fn a_path_without_a_name_is_refused() {
        check("", expect![[r#"the path "" names no file and no directory"#]]);
        check("./", expect![[r#"the path "./" names no file and no directory"#]]);
        check("/", expect![[r#"the path "/" names no file and no directory"#]]);
    }
}
