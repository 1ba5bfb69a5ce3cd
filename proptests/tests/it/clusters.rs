//! Whole clusters under generated faults.

use std::{collections::BTreeMap, time::Duration};

use floodmark::{Environment, Generator, Stream, Tumbling, WatermarkStrategy};
use floodmark_scenarios::Simulation;
use floodmark_sim::{
    Direction, DiskFate, Effect, Fault, FaultPlan, LinkSelector, PlannedFault, StoreSelector, When,
};
use proptest::{prelude::*, test_runner::FileFailurePersistence};

const RECORD_COUNT: u64 = 400;
const KEY_COUNT: u64 = 9;
const STEP_MS: i64 = 50;
const WINDOW_MS: i64 = 2_000;

/// A key, the start of a window, and how many records fell into it.
type Count = (u64, i64, u64);

/// Counts records per key and window; they come out of order by up to `disorder` places.
fn counts(env: &Environment, seed: u64, disorder: u16) -> Stream<Count> {
    let bound = Duration::from_millis(50 * 4 * (u64::from(disorder) + 1));
    env.source(
        "records",
        Generator::new(RECORD_COUNT, |index| index).rate(100).disorder(seed, disorder),
    )
    .watermarks(
        WatermarkStrategy::bounded_out_of_orderness(bound)
            .timestamps(|index| i64::try_from(*index).expect("a run is short") * STEP_MS)
            .emit_every(10),
    )
    .key_by(|index| index % KEY_COUNT)
    .window(Tumbling::event_time(Duration::from_millis(2_000)))
    .fold(0_u64, |count, _| *count += 1)
    .uid("count")
    .map(|(key, window, count)| (key, window.start.0, count))
}

/// The naive model: every record in a map.
fn expected() -> Vec<Count> {
    let mut counts: BTreeMap<(u64, i64), u64> = BTreeMap::new();
    for index in 0..RECORD_COUNT {
        let time = i64::try_from(index).expect("a run is short") * STEP_MS;
        *counts.entry((index % KEY_COUNT, time / WINDOW_MS * WINDOW_MS)).or_default() += 1;
    }
    counts.into_iter().map(|((key, start), count)| (key, start, count)).collect()
}

fn millis(range: std::ops::Range<u64>) -> impl Strategy<Value = Duration> {
    range.prop_map(Duration::from_millis)
}

fn node() -> impl Strategy<Value = String> {
    prop_oneof![
        Just("coordinator".to_owned()),
        (1_u8..=3).prop_map(|number| format!("worker-{number}")),
    ]
}

fn frames() -> impl Strategy<Value = LinkSelector> {
    let kind = prop::sample::select(vec![
        "records",
        "barrier",
        "watermark",
        "credit",
        "acknowledgement",
        "trigger",
        "notification",
        "heartbeat",
        "deployment",
        "handshake",
    ]);
    kind.prop_map(|kind| LinkSelector { kind: Some(kind.to_owned()), ..LinkSelector::default() })
}

fn fault() -> impl Strategy<Value = Fault> {
    let lasts = || millis(50..2_000);
    let limit = || 1_u32..5;
    prop_oneof![
        (node(), millis(50..2_000)).prop_map(|(node, down_for)| Fault::Crash {
            node,
            down_for: Some(down_for),
            disk: DiskFate::Kept,
        }),
        (node(), lasts()).prop_map(|(node, lasts)| Fault::Pause { node, lasts }),
        (node(), node(), any::<bool>(), lasts()).prop_map(|(from, to, is_two_way, lasts)| {
            let direction = if is_two_way { Direction::Both } else { Direction::OneWay };
            Fault::Partition { from: vec![from], to: vec![to], direction, lasts }
        }),
        (frames(), limit(), lasts()).prop_map(|(link, limit, lasts)| Fault::Lose {
            link,
            per_mille: 500,
            limit,
            lasts,
        }),
        (frames(), limit(), lasts()).prop_map(|(link, limit, lasts)| Fault::Duplicate {
            link,
            per_mille: 500,
            limit,
            lasts,
        }),
        (any::<bool>(), limit(), lasts()).prop_map(|(is_in_doubt, limit, lasts)| {
            let effect = if is_in_doubt { Effect::InDoubt } else { Effect::Before };
            let store = StoreSelector::default();
            Fault::StoreError { store, effect, per_mille: 500, limit, lasts }
        }),
    ]
}

/// Up to five faults, each at a moment of its own.
pub(crate) fn plan() -> impl Strategy<Value = FaultPlan> {
    let planned = (millis(0..5_000), fault())
        .prop_map(|(time, what)| PlannedFault { when: When::At(time), what });
    prop::collection::vec(planned, 0..6).prop_map(FaultPlan)
}

proptest! {
    #![proptest_config(ProptestConfig {
        cases: 256,
        failure_persistence: Some(Box::new(FileFailurePersistence::Direct(
            "proptest-regressions/clusters.txt",
        ))),
        ..ProptestConfig::default()
    })]

    /// Whatever goes wrong, whatever the order of the input and however the job is cut into subtasks
    /// and epochs: every record is counted once, and no check of the runtime's promises speaks
    /// (watermarks monotone, cuts consistent, restores exact, effects only of complete checkpoints).
    #[test]
    fn every_record_counts_once_under_any_fault_plan(
        seed in any::<u64>(),
        disorder in 0_u16..20,
        parallelism in 1_u16..=4,
        interval in millis(100..900),
        faults in plan(),
    ) {
        let simulation = Simulation::new(move |env| counts(env, seed, disorder))
            .parallelism(parallelism)
            .checkpoint_interval(interval);
        match simulation.run(seed, &faults) {
            Err(failure) => prop_assert!(false, "{}", failure),
            Ok(mut results) => {
                results.sort_unstable();
                prop_assert_eq!(results, expected());
            }
        }
    }
}
