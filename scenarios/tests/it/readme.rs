//! The example of the README, run.

use floodmark::{Environment, Stream, TextFile, Tumbling, WatermarkStrategy};
use std::time::Duration;

fn clicks_per_page(env: &Environment) -> Stream<(String, u64)> {
    env.source("clicks", TextFile::new("input/clicks.txt").rate(500))
        .map(|line| {
            let text = line.text().unwrap_or_default();
            let (time, page) = text.split_once(' ').unwrap_or(("0", text));
            (time.parse().unwrap_or(0), page.to_owned())
        })
        .watermarks(WatermarkStrategy::ascending().timestamps(|click: &(i64, String)| click.0))
        .key_by(|(_, page)| page.clone())
        .window(Tumbling::event_time(Duration::from_secs(60)))
        .fold(0, |count, _| *count += 1)
        .uid("per-minute")
        .map(|(page, _, count)| (page, count))
}

#[test]
fn every_click_counts_once_whatever_fails() {
    floodmark_scenarios::Simulation::new(clicks_per_page)
        .file(
            "input/clicks.txt",
            (0..500).map(|n| format!("{} page-{}\n", n * 500, n % 7)).collect::<String>(),
        )
        .seeds(0..20)
        .check(|counts| assert_eq!(counts.iter().map(|(_, count)| count).sum::<u64>(), 500));
}
