//! The promises of the object store, kept on a real file system.

use std::{fs, path::Path as FilePath};

use floodmark_platform::Machine;
use tempfile::TempDir;

use super::*;
use crate::machine::tests::machine_in;

/// A machine and the directory its keys are relative to.
struct Bench {
    machine: Machine,
    directory: TempDir,
}

impl Bench {
    fn new() -> Self {
        let directory = tempfile::tempdir().unwrap();
        Self { machine: machine_in(directory.path()), directory }
    }

    fn store(&self) -> &dyn ObjectStore {
        self.machine.object_store()
    }

    fn root(&self) -> PathBuf {
        self.directory.path().canonicalize().unwrap().join("root")
    }

    async fn put_all(&self, keys: &[&str]) {
        for key in keys {
            self.store().put(key, Bytes::from_static(b"value")).await.unwrap();
        }
    }

    /// Lists `prefix` and compares the keys.
    async fn check_list(&self, prefix: &str, want: &[&str]) {
        let entries = self.store().list(prefix).await.unwrap();
        let keys: Vec<&str> = entries.iter().map(|entry| entry.key.as_str()).collect();
        assert_eq!(keys, want, "{prefix:?}");
        assert!(entries.iter().all(|entry| entry.size_bytes == 5));
    }
}

fn not_found<T>(key: &str) -> Result<T, StoreError> {
    Err(StoreError::NotFound { key: key.to_owned() })
}

/// Returns the reason of a failure, which names `path`.
#[track_caller]
fn failure<T: std::fmt::Debug>(result: Result<T, StoreError>, path: &FilePath) -> String {
    let error = result.unwrap_err();
    let StoreError::Failed { reason, .. } = error else { panic!("{error:?}") };
    assert!(reason.contains(path.to_str().unwrap()), "{reason}");
    reason
}

#[tokio::test]
async fn the_last_value_put_is_the_value() {
    let bench = Bench::new();
    for value in ["a first value", "", "second"] {
        bench.store().put("a/b/c", Bytes::from_static(value.as_bytes())).await.unwrap();
        assert_eq!(bench.store().get("a/b/c").await.unwrap(), value);
        assert_eq!(fs::read_to_string(bench.root().join("a/b/c")).unwrap(), value);
    }
}

#[tokio::test]
async fn only_the_first_put_if_absent_succeeds() {
    let bench = Bench::new();
    let key = "checkpoints/7/manifest";
    bench.store().put_if_absent(key, Bytes::from_static(b"first")).await.unwrap();
    let second = bench.store().put_if_absent(key, Bytes::from_static(b"second")).await;
    assert_eq!(second, Err(StoreError::AlreadyExists { key: key.to_owned() }));
    assert_eq!(bench.store().get(key).await.unwrap(), "first");
}

#[tokio::test]
async fn of_concurrent_callers_one_succeeds() {
    let bench = Bench::new();
    let callers: Vec<_> = (0..16_u8)
        .map(|caller| {
            let put = bench.store().put_if_absent("term", Bytes::from(vec![caller]));
            (caller, bench.machine.spawn("caller", put))
        })
        .collect();
    let mut winners = Vec::new();
    for (caller, put) in callers {
        match put.await.unwrap() {
            Ok(()) => winners.push(caller),
            Err(error) => {
                assert_eq!(error, StoreError::AlreadyExists { key: "term".to_owned() });
            }
        }
    }
    assert_eq!(winners.len(), 1);
    assert_eq!(bench.store().get("term").await.unwrap(), winners);
}

#[tokio::test]
async fn no_other_file_is_left_or_listed() {
    let bench = Bench::new();
    bench.put_all(&["a", "a"]).await;
    let absent = Bytes::from_static(b"value");
    bench.store().put_if_absent("b", absent.clone()).await.unwrap();
    bench.store().put_if_absent("b", absent).await.unwrap_err();
    assert_eq!(fs::read_dir(bench.root()).unwrap().count(), 2);

    fs::write(bench.root().join("a#1"), "left by a process that died").unwrap();
    bench.check_list("", &["a", "b"]).await;
    bench.put_all(&["a"]).await;
}

#[tokio::test]
async fn what_is_missing_is_not_found() {
    let bench = Bench::new();
    bench.put_all(&["a/b"]).await;
    for key in ["b", "b/c", "a", "a/b/c", "/no/such/file"] {
        assert_eq!(bench.store().get(key).await, not_found(key));
        assert_eq!(bench.store().get_range(key, 0..1).await, not_found(key));
        assert_eq!(bench.store().delete(key).await, Ok(()));
    }
    bench.check_list("", &["a/b"]).await;
}

#[tokio::test]
async fn a_range_is_clipped_at_the_end() {
    let bench = Bench::new();
    bench.store().put("key", Bytes::from_static(b"0123456789")).await.unwrap();
    for (range, want) in [
        (0..10, "0123456789"),
        (0..3, "012"),
        (3..4, "3"),
        (8..100, "89"),
        (9..u64::MAX, "9"),
        (10..11, ""),
        (11..12, ""),
        (u64::MAX..u64::MAX, ""),
        (5..5, ""),
        (Range { start: 6, end: 5 }, ""),
    ] {
        assert_eq!(bench.store().get_range("key", range.clone()).await.unwrap(), want, "{range:?}");
    }
}

#[tokio::test]
async fn a_listing_is_in_key_order_and_ends_at_the_prefix() {
    let bench = Bench::new();
    bench.put_all(&["ab/1", "a/b/2", "a/b-c", "a/10", "a/9", "a/b/1", "b", "a.b"]).await;
    let in_a = ["a/10", "a/9", "a/b-c", "a/b/1", "a/b/2"];
    bench.check_list("a", &in_a).await;
    bench.check_list("a/", &in_a).await;
    bench.check_list("ab", &["ab/1"]).await;
    bench.check_list("a/b", &["a/b/1", "a/b/2"]).await;
    bench.check_list("b", &["b"]).await;
    bench.check_list("missing", &[]).await;
    bench.check_list("b/below/a/file", &[]).await;
    bench.check_list("", &["a.b", "a/10", "a/9", "a/b-c", "a/b/1", "a/b/2", "ab/1", "b"]).await;
}

#[tokio::test]
async fn a_deleted_object_is_gone() {
    let bench = Bench::new();
    bench.put_all(&["a/b", "a/c"]).await;
    bench.store().delete("a/b").await.unwrap();
    bench.store().delete("a/b").await.unwrap();
    assert_eq!(bench.store().get("a/b").await, not_found("a/b"));
    bench.check_list("a", &["a/c"]).await;
}

#[tokio::test]
async fn a_file_of_the_user_is_read_under_its_own_name() {
    const NAMES: &[&str] = &[
        "a b%c.csv",
        "%41",
        "%2E%2E",
        "100%",
        "a#b",
        "a?b&c=d",
        "x[1]{2}",
        "~tilde",
        "back\\slash",
        "quote\"s'",
        "grün.csv",
        "流.csv",
        "...",
        ".hidden",
        "a+b",
        "<>|*^`",
        " ",
    ];
    let bench = Bench::new();
    let directory = bench.root().join("in put");
    fs::create_dir(&directory).unwrap();
    for name in NAMES {
        fs::write(directory.join(name), name).unwrap();
    }

    for prefix in ["in put".to_owned(), directory.to_str().unwrap().to_owned()] {
        let mut keys: Vec<String> = NAMES.iter().map(|name| format!("{prefix}/{name}")).collect();
        keys.sort();
        for (key, name) in NAMES.iter().map(|name| (format!("{prefix}/{name}"), name)) {
            assert_eq!(bench.store().get(&key).await.unwrap(), name, "{key:?}");
        }
        let listed = bench.store().list(&prefix).await.unwrap();
        let listed: Vec<String> = listed.into_iter().map(|entry| entry.key).collect();
        assert_eq!(listed, keys);
    }
}

#[tokio::test]
async fn an_object_is_stored_under_its_own_name() {
    let bench = Bench::new();
    let key = "out put/a b%c.csv";
    bench.store().put(key, Bytes::from_static(b"relative")).await.unwrap();
    assert_eq!(fs::read_to_string(bench.root().join(key)).unwrap(), "relative");

    let path = bench.directory.path().join("elsewhere/a b%c.csv");
    let key = path.to_str().unwrap();
    bench.store().put(key, Bytes::from_static(b"absolute")).await.unwrap();
    assert_eq!(fs::read_to_string(&path).unwrap(), "absolute");
    assert_eq!(bench.store().get(key).await.unwrap(), "absolute");
}

#[tokio::test]
async fn what_cannot_be_a_key_is_refused() {
    let bench = Bench::new();
    for key in [
        "", "/", "a/", "a//b", "//a", ".", "..", "../a", "a/../b", "./a", "a\0b", "a\nb", "a#1",
        "C|",
    ] {
        let value = Bytes::from_static(b"value");
        for result in [
            bench.store().put(key, value.clone()).await,
            bench.store().put_if_absent(key, value).await,
            bench.store().get(key).await.map(|_| ()),
            bench.store().delete(key).await,
        ] {
            assert!(matches!(result, Err(StoreError::Failed { .. })), "{key:?}: {result:?}");
        }
    }
    bench.check_list("", &[]).await;
}

#[tokio::test]
async fn a_write_below_a_file_fails_and_names_the_path() {
    let bench = Bench::new();
    bench.put_all(&["file"]).await;
    let path = bench.root().join("file/below");
    let value = Bytes::from_static(b"value");
    for put in [
        bench.store().put("file/below", value.clone()).await,
        bench.store().put_if_absent("file/below", value).await,
    ] {
        let reason = failure(put, &path);
        assert!(reason.ends_with("Not a directory (os error 20)"), "{reason}");
    }
}

#[tokio::test]
async fn a_write_in_the_place_of_a_directory_fails_and_leaves_nothing() {
    let bench = Bench::new();
    bench.put_all(&["a/b"]).await;
    let put = bench.store().put("a", Bytes::from_static(b"value")).await;
    failure(put, &bench.root().join("a"));
    bench.check_list("", &["a/b"]).await;
    assert_eq!(fs::read_dir(bench.root()).unwrap().count(), 1);
}

#[cfg(unix)]
#[tokio::test]
async fn a_write_into_a_read_only_directory_fails_and_names_the_path() {
    use std::os::unix::fs::PermissionsExt as _;

    let bench = Bench::new();
    let directory = bench.root().join("frozen");
    fs::create_dir(&directory).unwrap();
    fs::set_permissions(&directory, fs::Permissions::from_mode(0o555)).unwrap();
    // Permissions do not bind an administrator, for whom there is nothing to see here.
    if fs::write(directory.join("probe"), "").is_err() {
        let put = bench.store().put("frozen/key", Bytes::from_static(b"value")).await;
        let reason = failure(put, &directory.join("key"));
        assert!(reason.ends_with("Permission denied (os error 13)"), "{reason}");
    }
    fs::set_permissions(&directory, fs::Permissions::from_mode(0o755)).unwrap();
}

#[test]
fn a_write_that_may_have_taken_its_place_is_in_doubt() {
    let generic = |words: &str| Error::Generic { store: "LocalFileSystem", source: words.into() };
    assert!(is_without_effect(&generic("Unable to copy data to file: No space left on device")));
    assert!(!is_without_effect(&generic("Unable to rename file: Input/output error")));
    assert!(!is_without_effect(&generic("words that a later version may choose")));
}
