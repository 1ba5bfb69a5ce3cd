//! A chronicle tells everything that happened, and changes nothing.

#![expect(clippy::wildcard_enum_match_arm, reason = "a test is about a few kinds of happening")]

use std::collections::{BTreeMap, BTreeSet};

use floodmark_sim::{Chronicle, FrameFate, FrameId, Outcome, RunOptions, What, run};

use crate::{determinism::everything, options};

fn kept(quiet_kinds: Option<&'static [&'static str]>) -> Outcome<u64> {
    run(RunOptions { chronicle: quiet_kinds, ..options(3) }, everything)
}

#[test]
fn a_run_with_a_chronicle_is_the_same_run() {
    let (without, with) = (kept(None), kept(Some(&[])));
    assert_eq!(without.hash, with.hash);
    assert_eq!(without.event_count, with.event_count);
    assert!(without.chronicle.0.is_empty());
    assert!(with.chronicle.0.is_sorted_by_key(|happening| happening.at));
}

#[test]
fn crashes_sleep_and_faults_are_told_with_their_ends() {
    let Chronicle(happenings) = kept(Some(&[])).chronicle;
    let about = |node: &str| -> Vec<&'static str> {
        let ours = happenings.iter().filter(|happening| happening.node.as_deref() == Some(node));
        let words = ours.filter_map(|happening| match happening.what {
            What::Crashed => Some("crashed"),
            What::Restarted { .. } => Some("restarted"),
            What::Paused => Some("paused"),
            What::Resumed => Some("resumed"),
            _ => None,
        });
        words.collect()
    };
    assert_eq!(about("node-1"), ["crashed", "restarted"]);
    assert_eq!(about("node-2"), ["paused", "resumed"]);
    let began = happenings.iter().filter_map(|happening| match &happening.what {
        What::FaultBegan { number, .. } => Some(*number),
        _ => None,
    });
    let ended = happenings.iter().filter_map(|happening| match &happening.what {
        What::FaultEnded { number } => Some(*number),
        _ => None,
    });
    assert_eq!(began.collect::<BTreeSet<_>>(), (1..=11).collect());
    assert_eq!(ended.collect::<BTreeSet<_>>(), (1..=11).collect());
    let is_failed_store = |what: &What| matches!(what, What::StoreFailed { .. });
    assert!(happenings.iter().any(|happening| is_failed_store(&happening.what)));
}

#[test]
fn frames_arrive_after_they_were_sent_and_lost_ones_never() {
    let Chronicle(happenings) = kept(Some(&[])).chronicle;
    let mut sent: BTreeMap<FrameId, FrameFate> = BTreeMap::new();
    let mut arrived_count = 0;
    for happening in &happenings {
        match &happening.what {
            What::Sent { frame, fate, .. } => {
                sent.insert(*frame, *fate);
                if *fate == FrameFate::Duplicate {
                    // It takes two numbers, one for each time it comes.
                    let second = FrameId { number: frame.number + 1, ..*frame };
                    sent.insert(second, *fate);
                }
            }
            What::Arrived { frame, .. } => {
                let fate = sent.remove(frame).expect("what arrives was sent, and arrives once");
                assert_ne!(fate, FrameFate::Lose);
                arrived_count += 1;
            }
            _ => {}
        }
    }
    assert!(500 < arrived_count, "{arrived_count} frames arrived");
    assert!(sent.values().any(|fate| *fate == FrameFate::Lose));
}

#[test]
fn quiet_frames_are_told_only_when_a_fault_strikes_them() {
    let Chronicle(happenings) = kept(Some(&["number"])).chronicle;
    let fates: Vec<FrameFate> = happenings
        .iter()
        .filter_map(|happening| match happening.what {
            What::Sent { fate, .. } => Some(fate),
            _ => None,
        })
        .collect();
    assert!(!fates.is_empty());
    assert!(!fates.contains(&FrameFate::Deliver));
    assert!(!happenings.iter().any(|happening| matches!(happening.what, What::Arrived { .. })));
}
