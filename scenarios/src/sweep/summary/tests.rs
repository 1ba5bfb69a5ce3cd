//! Tests of summaries.

use super::*;
use crate::sweep::failures::FailedRun;

fn part(seeds: Range<u64>, shard: &str) -> Part {
    Part {
        commit: "abc".to_owned(),
        scenarios: vec!["calm".to_owned()],
        seeds,
        shard: shard.parse().unwrap(),
        end: SweepEnd::Complete,
    }
}

fn summary(part: Part, reached: u64) -> SweepSummary {
    let row = ScenarioSummary {
        run_count: 30,
        probes: vec![("late_records".to_owned(), reached)],
        ..ScenarioSummary::default()
    };
    SweepSummary {
        scenarios: BTreeMap::from([("calm".to_owned(), row)]),
        parts: vec![part],
        ..SweepSummary::default()
    }
}

fn merge(summaries: Vec<SweepSummary>) -> Result<SweepSummary, MergeError> {
    let names = ["a.jsonl", "b.jsonl", "c.jsonl"].map(str::to_owned);
    SweepSummary::merge(names.into_iter().zip(summaries).collect(), MixedCommits::Refused)
}

#[test]
fn what_was_written_is_read_again() {
    let mut summary = summary(part(0..30, "1/1"), 3);
    summary.failures.merge(FailureKind {
        check: "liveness".to_owned(),
        cause: "the job has not ended".to_owned(),
        count: 2,
        runs: vec![FailedRun {
            scenario: "calm".to_owned(),
            seed: 7,
            reason: "the job has not ended".to_owned(),
            report: None,
        }],
    });
    summary.situations.add("calm", 7, &[("worker", "crashed", "restarted")].into());
    let lines = summary.to_lines();
    let read = SweepSummary::from_lines("a.jsonl", &lines.join("\n")).unwrap();
    assert_eq!(read.to_lines(), lines);
    assert_eq!(lines.len(), 4);
    assert!(!read.is_green());
}

#[test]
fn a_probe_is_missed_only_when_all_shards_together_miss_it() {
    let shards = |first, second| {
        let shards = [summary(part(0..60, "1/2"), first), summary(part(0..60, "2/2"), second)];
        merge(shards.into()).unwrap()
    };
    assert!(shards(0, 1).is_green());
    assert_eq!(shards(0, 0).scenarios["calm"].unreached, ["late_records"]);
    assert_eq!(shards(0, 0).run_count(), 60);
    let mut alone = summary(part(0..60, "1/2"), 0);
    alone.finish(part(0..120, "1/2"));
    assert!(alone.is_green(), "a shard cannot tell");
}

#[test]
fn an_interrupted_part_makes_the_whole_interrupted_and_no_probe_missed() {
    let mut stopped = part(30..60, "1/1");
    stopped.end = SweepEnd::Interrupted;
    let merged = merge(vec![summary(part(0..30, "1/1"), 0), summary(stopped, 0)]).unwrap();
    assert_eq!(merged.end(), SweepEnd::Interrupted);
    assert!(merged.is_green());
}

#[test]
fn a_run_does_not_count_twice() {
    let overlap = |a, b| merge(vec![summary(a, 1), summary(b, 1)]).err().map(|e| e.to_string());
    assert_eq!(overlap(part(0..9, "1/2"), part(0..9, "2/2")), None);
    assert_eq!(overlap(part(0..9, "1/1"), part(9..18, "1/1")), None);
    assert_eq!(overlap(part(0..9, "1/2"), part(0..9, "2/4")), None);
    let twice = overlap(part(0..9, "2/2"), part(2..9, "2/3")).unwrap();
    assert_eq!(twice, "a.jsonl and b.jsonl both ran calm with seed 7");
    let mut other = part(0..9, "1/1");
    other.scenarios = vec!["chaos".to_owned()];
    assert_eq!(overlap(part(0..9, "1/1"), other), None);
}

#[test]
fn commits_are_mixed_only_by_wish() {
    let other = Part { commit: "def".to_owned(), ..part(0..9, "1/1") };
    let summaries = || {
        let (a, b) = (summary(part(0..9, "1/1"), 1), summary(other.clone(), 1));
        vec![("a".to_owned(), a), ("b".to_owned(), b)]
    };
    let error = SweepSummary::merge(summaries(), MixedCommits::Refused).unwrap_err();
    assert!(error.to_string().contains("a is of commit abc and b of def"), "{error}");
    assert!(SweepSummary::merge(summaries(), MixedCommits::Allowed).is_ok());
}

#[test]
fn what_is_not_a_summary_is_refused() {
    let error = |text| SweepSummary::from_lines("a.jsonl", text).unwrap_err().to_string();
    assert!(error("{}").starts_with("a.jsonl, line 1: "));
    let lines = summary(part(0..9, "1/1"), 1).to_lines();
    assert!(error(&lines[0]).contains("has no line of the kind `sweep`"));
}
