//! Reminders on the clock of the node: every visit sets one, a second visit within a moment replaces
//! it, and one that fires is noted.
//!
//! What is written does not depend on any clock: the number of every visit of a guest. The timers are
//! there for those who watch them.

use std::{collections::BTreeMap, time::Duration};

use floodmark::{
    BoxError, Context, Environment, FileSink, KeyedProcess, TimeDomain, Timestamp, ValueState,
};
use serde::{Deserialize, Serialize};

use super::{Input, PreparedJob, ScenarioJob, mix};

/// The job, with visits that the seed makes up.
pub const JOB: ScenarioJob = ScenarioJob { name: "reminders", prepare };

const OUTPUT: &str = "output/visits";
const GUEST_COUNT: u64 = 30;

/// What is known of a guest.
#[derive(Clone, Copy, Debug, Default, Serialize, Deserialize)]
struct Guest {
    visit_count: u64,
    reminded_count: u64,
    /// The latest reminder that has not fired.
    reminder: Option<Timestamp>,
}

const GUEST: ValueState<Guest> = ValueState::new("guest");

/// Sets reminders.
#[derive(Clone)]
struct Remind;

impl KeyedProcess for Remind {
    type Key = u64;
    type In = (u64, u64);
    type Out = String;

    fn on_element(
        &mut self,
        (_, random): (u64, u64),
        cx: &mut Context<'_, u64, String>,
    ) -> Result<(), BoxError> {
        let mut guest = cx.state(GUEST).or_default();
        guest.visit_count += 1;
        let mut timers = cx.timers();
        // Every third visit replaces the last reminder; the others add one.
        if random.is_multiple_of(3)
            && let Some(reminder) = guest.reminder.take()
        {
            timers.delete_processing_time(reminder);
        }
        let pause = Duration::from_millis(20 + (random >> 8) % 600);
        let reminder = timers.current_processing_time() + pause;
        timers.register_processing_time(reminder);
        guest.reminder = Some(reminder);
        cx.state(GUEST).set(guest);
        let line = format!("{},{}", cx.key(), guest.visit_count);
        cx.emit(line);
        Ok(())
    }

    fn on_timer(
        &mut self,
        time: Timestamp,
        domain: TimeDomain,
        cx: &mut Context<'_, u64, String>,
    ) -> Result<(), BoxError> {
        if domain != TimeDomain::Processing {
            return Err("no reminder was set in event time".into());
        }
        cx.state(GUEST).update(|guest| {
            guest.reminded_count += 1;
            guest.reminder = guest.reminder.filter(|reminder| *reminder != time);
        });
        Ok(())
    }
}

fn visit(seed: u64, index: u64) -> (u64, u64) {
    let random = mix(seed ^ mix(index));
    (random % GUEST_COUNT, random >> 8)
}

fn prepare(input: &Input) -> PreparedJob {
    let expected = expected(input.seed, &input.indices());
    let input = input.clone();
    PreparedJob::new(move |env| build(env, &input), BTreeMap::from([(OUTPUT, expected)]))
}

fn build(env: &Environment, input: &Input) {
    let seed = input.seed;
    let visits = input.source((0, 1), Duration::from_secs(8), move |index| visit(seed, index));
    env.source("visits", visits)
        .key_by(|(guest, _)| *guest)
        .process(Remind)
        .uid("remind")
        .sink("visits-seen", FileSink::new(OUTPUT, |line: &String| line.clone()));
}

/// The naive model: a counter per guest.
fn expected(seed: u64, indices: &[u64]) -> Vec<String> {
    let mut visits: BTreeMap<u64, u64> = BTreeMap::new();
    let number = |index: &u64| {
        let (guest, _) = visit(seed, *index);
        let number = visits.entry(guest).or_default();
        *number += 1;
        format!("{guest},{number}")
    };
    indices.iter().map(number).collect()
}
