//! Every line of a file comes exactly once, wherever splits and chunks cut it.

use std::collections::BTreeSet;

use floodmark::{Collected, Environment, Line, TextFile};

use crate::machine::{Folder, run, sorted};

const CHUNK_SIZES: [u32; 5] = [1, 2, 7, 64, 1 << 20];
const SPLIT_COUNTS: [u16; 5] = [1, 2, 3, 7, 40];

const MEBIBYTE: usize = 1 << 20;

/// The naive model: all lines with their offsets.
fn model(content: &[u8]) -> Vec<(u64, Vec<u8>)> {
    let mut offset = 0;
    let lines = content.split_inclusive(|byte| *byte == b'\n').map(|line| {
        let start = offset;
        offset += line.len() as u64;
        let line = line.strip_suffix(b"\n").unwrap_or(line);
        (start, line.strip_suffix(b"\r").unwrap_or(line).to_vec())
    });
    lines.collect()
}

fn lines(collected: &Collected<Line>) -> Vec<(u64, Vec<u8>)> {
    sorted(collected.values().into_iter().map(|line| (line.offset, line.content)))
}

/// Reads a file of this content in many ways, in subtasks of one job.
async fn check(content: &[u8]) {
    let folder = Folder::new();
    let path = folder.write("input", content);
    let env = folder.environment().parallelism(2);
    let mut readers = Vec::new();
    for chunk_size in CHUNK_SIZES {
        for split_count in SPLIT_COUNTS {
            let way = format!("{split_count} splits in chunks of {chunk_size}");
            let file = TextFile::new(&path).splits(split_count).chunk_size(chunk_size);
            let all = env.source(&way, file.clone()).collect(&format!("{way}, read"));
            let headless = env.source(&format!("{way}, headless"), file.skip_header());
            let headless = headless.collect(&format!("{way}, headless, read"));
            readers.push((way, all, headless));
        }
    }
    run(&env).await.expect("the job finishes");
    let expected = model(content);
    for (way, all, headless) in readers {
        assert_eq!(lines(&all), expected, "{way}");
        assert_eq!(lines(&headless), expected.get(1..).unwrap_or_default(), "{way}, headless");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn lines_of_all_lengths() {
    let content: String = (0..40).map(|length| format!("{}\n", "x".repeat(length % 11))).collect();
    check(content.as_bytes()).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_last_line_without_an_end() {
    check(b"one\ntwo\nthree").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn line_ends_of_two_bytes() {
    check(b"one\r\n\r\ntwo\r\nthree\rfour\r\n").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_empty_file() {
    check(b"").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_single_line() {
    check(b"a single line\n").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_single_line_end() {
    check(b"\n").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn bytes_that_are_no_text() {
    check(b"\xff\xfe\n\0\n\xc3").await;
}

/// Returns how reading ends when the second line has `size` bytes and this end: the same way,
/// whatever the chunks and splits.
async fn read_long_line(size: usize, end: &str) -> String {
    let folder = Folder::new();
    let content = format!("first\n{}{end}last\n", "x".repeat(size));
    let path = folder.write("input", content);
    let mut results = BTreeSet::new();
    for (chunk_size, split_count) in [(1_000, 1), (64 << 10, 1), (64 << 10, 3), (4 << 20, 2)] {
        let env = folder.environment();
        let file = TextFile::new(&path).chunk_size(chunk_size).splits(split_count);
        let lengths = env.source("lines", file).map(|line| line.content.len()).collect("lengths");
        results.insert(match run(&env).await {
            Ok(()) => format!("{:?}", sorted(lengths.values())),
            Err(error) => folder.anonymous(&error.to_string()),
        });
    }
    results.into_iter().collect::<Vec<_>>().join("\n")
}

#[tokio::test(flavor = "multi_thread")]
async fn the_longest_line_is_read() {
    assert_eq!(read_long_line(MEBIBYTE, "\n").await, "[4, 5, 1048576]");
    assert_eq!(read_long_line(MEBIBYTE, "\r\n").await, "[4, 5, 1048576]");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_longer_line_fails_the_job() {
    let expected = r#"the job failed: lines → map → lengths [0]: operator lines: "<folder>/input": the line at byte 6 is longer than 1 MiB"#;
    assert_eq!(read_long_line(MEBIBYTE + 1, "\n").await, expected);
    assert_eq!(read_long_line(5 * MEBIBYTE, "\n").await, expected);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_chunk_may_be_larger_than_the_longest_line() {
    let folder = Folder::new();
    let content = "line\n".repeat(300_000);
    let path = folder.write("input", &content);
    let env: Environment = folder.environment();
    let lines =
        env.source("lines", TextFile::new(&path).chunk_size(4 << 20)).map(|line| line.offset);
    let lines = lines.collect("offsets");
    run(&env).await.unwrap();
    assert!(lines.values().into_iter().eq((0..content.len() as u64).step_by(5)));
}
