//! Timers on the clock of the node.

use std::{
    collections::BTreeMap,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use floodmark::{
    BoxError, Context, Generator, KeyedProcess, RestartStrategy, TimeDomain, Timestamp, ValueState,
    WatermarkStrategy,
};

use crate::machine::{Folder, run, sorted};

const PAUSE: Duration = Duration::from_millis(250);

/// What a timer was told: its domain, how many timers it stands for, and whether the clock had come
/// so far.
type Fired = (u64, TimeDomain, bool);

const SET: ValueState<u64> = ValueState::new("set");

/// Sets timers in both domains for the first record of a key, fails once if it is told to, and
/// reports every timer that fires.
#[derive(Clone)]
struct Alarm {
    fails: Arc<AtomicBool>,
}

impl KeyedProcess for Alarm {
    type Key = u64;
    type In = u64;
    type Out = Fired;

    fn on_element(&mut self, value: u64, cx: &mut Context<'_, u64, Fired>) -> Result<(), BoxError> {
        if 300 < value && self.fails.swap(false, Ordering::SeqCst) {
            return Err("as planned".into());
        }
        if cx.state(SET).get().is_some() {
            return Ok(());
        }
        cx.state(SET).set(value);
        let mut timers = cx.timers();
        let due = timers.current_processing_time() + PAUSE;
        // Twice is once, and what is deleted never fires.
        timers.register_processing_time(due);
        timers.register_processing_time(due);
        timers.register_processing_time(due + PAUSE);
        timers.delete_processing_time(due + PAUSE);
        // The same number in the other domain is another timer, and far beyond all data.
        timers.register_event_time(due);
        timers.register_event_time(Timestamp(5));
        timers.delete_event_time(due);
        Ok(())
    }

    fn on_timer(
        &mut self,
        time: Timestamp,
        domain: TimeDomain,
        cx: &mut Context<'_, u64, Fired>,
    ) -> Result<(), BoxError> {
        let is_reached = match domain {
            TimeDomain::Event => time <= cx.timers().current_watermark(),
            TimeDomain::Processing => time <= cx.timers().current_processing_time(),
        };
        assert_eq!(cx.timestamp(), time);
        let key = *cx.key();
        cx.emit((key, domain, is_reached));
        Ok(())
    }
}

async fn fired(fails: bool) -> BTreeMap<Fired, usize> {
    let folder = Folder::new();
    let restart = RestartStrategy::FixedDelay { attempts: 1, delay: Duration::from_millis(1) };
    let env = folder.checkpointed().restart(restart).parallelism(2);
    let fails = Arc::new(AtomicBool::new(fails));
    let numbers = env.source("numbers", Generator::new(1_000, |index| index).rate(1_000));
    let strategy = WatermarkStrategy::ascending().timestamps(|_: &u64| 10);
    let fired = numbers
        .watermarks(strategy)
        .key_by(|index| index % 10)
        .process(Alarm { fails: fails.clone() })
        .uid("alarm")
        .collect("fired");
    run(&env).await.expect("the job ends");
    assert!(!fails.load(Ordering::SeqCst), "a failure that was planned happened");
    let mut counts = BTreeMap::new();
    for one in sorted(fired.values()) {
        *counts.entry(one).or_default() += 1;
    }
    counts
}

fn expected() -> BTreeMap<Fired, usize> {
    let keys = (0..10)
        .flat_map(|key| [(key, TimeDomain::Event, true), (key, TimeDomain::Processing, true)]);
    keys.map(|fired| (fired, 1)).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn each_timer_fires_once_in_its_own_domain() {
    assert_eq!(fired(false).await, expected());
}

#[tokio::test(flavor = "multi_thread")]
async fn timers_fire_once_across_a_failure() {
    assert_eq!(fired(true).await, expected());
}

#[tokio::test(flavor = "multi_thread")]
async fn records_can_have_the_time_at_which_they_come_in() {
    let folder = Folder::new();
    let env = folder.environment();
    let stamped = env
        .source("numbers", Generator::new(40, |index| index).rate(400))
        .watermarks(WatermarkStrategy::ingestion_time())
        .timestamped()
        .collect("stamped");
    run(&env).await.unwrap();
    let times: Vec<i64> = stamped.values().iter().map(|(time, _)| time.0).collect();
    assert_eq!(times.len(), 40);
    assert!(times.is_sorted(), "{times:?}");
    // A few come together, the last ones 80 ms after the first, and all well after the year 2020.
    assert!(1_577_836_800_000 < times[0] && times[0] + 60 <= times[39], "{times:?}");
}
