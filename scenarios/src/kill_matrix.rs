//! The kill matrix: how many seeds the simulator needs to find each planted bug, and which check
//! speaks. It measures the simulator, not the runtime.
//!
//! A bug is hunted in several ranges of seeds that have none in common, in each until the first
//! failure, so that the numbers do not hang on one lucky seed. What counts as a kill is strict:
//!
//! - A failure of a seed that fails without the bug as well is no kill.
//! - Only the run with faults is looked at. The one without, which a sweep compares it with, would
//!   find some of the bugs without the simulator's help.
//!
//! The switch of planted bugs is the process's, so one bug is hunted at a time, by all threads.

use std::{
    sync::{Mutex, MutexGuard, PoisonError},
    thread,
    time::{Duration, Instant},
};

use floodmark::platform::{PlantedBug, plant};

use crate::{Failure, RunOptions, Scenario, bugs::Bug, run};

/// Ranges of seeds in which each bug is hunted.
pub const RANGE_COUNT: u64 = 5;

/// Distance between the first seeds of two ranges.
const RANGE_DISTANCE: u64 = 1_000_000;

/// How bugs are hunted.
#[derive(Clone, Copy, Debug)]
pub struct HuntOptions {
    /// Ranges of seeds, each searched until its first failure.
    pub range_count: u64,
    /// Seeds in each range; at most a million.
    pub seed_count: u64,
    /// Threads; each runs one seed at a time.
    pub thread_count: usize,
}

/// What came of the hunt for one bug.
#[derive(Debug)]
pub struct Hunt {
    /// The bug.
    pub bug: &'static Bug,
    /// For each range of seeds the first failure, if one was found.
    pub kills: Vec<Option<Kill>>,
}

/// The first failure in a range of seeds.
#[derive(Clone, Debug)]
pub struct Kill {
    /// The scenario that exposed the bug.
    pub scenario: &'static str,
    /// Its seed.
    pub seed: u64,
    /// The check that spoke.
    pub check: String,
    /// Its reason.
    pub reason: String,
    /// Runs up to this one, which is counted.
    pub run_count: u64,
    /// Events of these runs.
    pub event_count: u64,
    /// Real time of these runs, one after the other.
    pub time: Duration,
    /// Whether the same seed is green without the bug.
    pub is_sound: bool,
}

impl Hunt {
    /// Returns the kills that are the bug's.
    pub fn sound_kills(&self) -> impl Iterator<Item = &Kill> {
        self.kills.iter().flatten().filter(|kill| kill.is_sound)
    }

    /// Returns whether the bug was found in every range.
    pub fn is_found(&self) -> bool {
        self.sound_kills().count() == self.kills.len()
    }

    /// Returns the kills in which a check spoke that the catalogue names.
    pub fn right_count(&self) -> usize {
        let is_right = |kill: &&Kill| self.bug.checks().contains(&kill.check.as_str());
        self.sound_kills().filter(is_right).count()
    }

    /// Returns the median over all ranges of what `measure` says of a kill, and nothing if the bug
    /// survived in half of them.
    pub fn median<T: Ord>(&self, measure: impl Fn(&Kill) -> T) -> Option<T> {
        let mut measured: Vec<T> = self.sound_kills().map(measure).collect();
        measured.sort();
        // Ranges without a kill come last: there, it would have taken longer than any other.
        measured.into_iter().nth(self.kills.len() / 2)
    }
}

/// Hunts a bug. `on_range` hears of each range as its search ends.
///
/// # Panics
///
/// When the bug can neither be planted nor is in a job, or a range has more than a million seeds.
pub fn hunt(bug: &'static Bug, options: HuntOptions, on_range: impl Fn() + Sync) -> Hunt {
    assert!(options.seed_count <= RANGE_DISTANCE, "ranges have no seed in common");
    let scenarios = bug.scenarios();
    assert!(!scenarios.is_empty(), "{} cannot be hunted", bug.id);
    let planting = Planting::of(bug.switch());
    let ranges = (0..options.range_count).map(|_| Range::default()).collect();
    let search =
        Search { scenarios, seed_count: options.seed_count, ranges: Mutex::new(ranges), on_range };
    thread::scope(|scope| {
        for _ in 0..options.thread_count.max(1) {
            scope.spawn(|| search.work());
        }
    });
    drop(planting);
    let ranges = search.ranges.into_inner().unwrap_or_else(PoisonError::into_inner);
    let mut kills: Vec<_> = ranges.into_iter().map(Range::into_kill).collect();
    let _unplanted = one_at_a_time();
    kills.iter_mut().flatten().for_each(|kill| kill.verify(bug));
    Hunt { bug, kills }
}

/// Held by whoever relies on which bug is switched on.
static SWITCH: Mutex<()> = Mutex::new(());

/// Waits until no bug is switched on, and keeps it so.
///
/// A test that needs a green run holds this while another test of its process may hunt.
pub fn one_at_a_time() -> MutexGuard<'static, ()> {
    SWITCH.lock().unwrap_or_else(PoisonError::into_inner)
}

/// A bug that is switched on, if it has a switch, until this is dropped.
struct Planting(#[expect(dead_code, reason = "held, not read")] MutexGuard<'static, ()>);

impl Planting {
    fn of(bug: Option<PlantedBug>) -> Self {
        let guard = one_at_a_time();
        plant(bug);
        Self(guard)
    }
}

impl Drop for Planting {
    fn drop(&mut self) {
        plant(None);
    }
}

/// The search in all ranges of one bug.
struct Search<F> {
    scenarios: Vec<&'static Scenario>,
    seed_count: u64,
    ranges: Mutex<Vec<Range>>,
    on_range: F,
}

/// The search in one range.
#[derive(Default)]
struct Range {
    /// Seeds that were given out.
    begun: u64,
    /// What the runs cost, by their place in the range.
    costs: Vec<Option<(u64, Duration)>>,
    /// The first failure so far, by its place in the range.
    first: Option<(u64, Kill)>,
    is_done: bool,
}

impl<F: Fn() + Sync> Search<F> {
    fn work(&self) {
        while let Some((range, place)) = self.next() {
            self.run(range, place);
        }
    }

    fn ranges(&self) -> MutexGuard<'_, Vec<Range>> {
        self.ranges.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Returns the next seed to run, as a range and a place in it. All ranges advance together, so
    /// that few seeds behind a failure are run in vain.
    fn next(&self) -> Option<(usize, u64)> {
        let mut ranges = self.ranges();
        let open = ranges.iter_mut().enumerate();
        let open = open.filter(|(_, range)| range.begun < range.end(self.seed_count));
        let (index, range) = open.min_by_key(|(_, range)| range.begun)?;
        range.begun += 1;
        range.costs.push(None);
        Some((index, range.begun - 1))
    }

    fn run(&self, range: usize, place: u64) {
        let turn = usize::try_from(place % self.scenarios.len() as u64);
        let scenario = self.scenarios[turn.expect("there are few scenarios")];
        let seed = range as u64 * RANGE_DISTANCE + place;
        let begin = now();
        let alone = RunOptions { is_alone: true, ..RunOptions::default() };
        let report = run(scenario, seed, &alone);
        let cost = (report.event_count, begin.elapsed());
        let kill = report.failure.map(|failure| Kill::new(scenario.name, seed, failure));
        let mut ranges = self.ranges();
        ranges[range].on_run(place, cost, kill);
        if ranges[range].ends_now(self.seed_count) {
            drop(ranges);
            (self.on_range)();
        }
    }
}

impl Range {
    /// Returns the place behind the last one that has to be run.
    fn end(&self, seed_count: u64) -> u64 {
        self.first.as_ref().map_or(seed_count, |(place, _)| *place + 1)
    }

    fn on_run(&mut self, place: u64, cost: (u64, Duration), kill: Option<Kill>) {
        let slot = usize::try_from(place).expect("a range fits into memory");
        self.costs[slot] = Some(cost);
        if let Some(kill) = kill
            && place < self.end(u64::MAX)
        {
            self.first = Some((place, kill));
        }
    }

    /// Returns whether everything that had to be run has been, for the first time.
    fn ends_now(&mut self, seed_count: u64) -> bool {
        let end = usize::try_from(self.end(seed_count)).expect("a range fits into memory");
        let is_complete =
            self.costs.get(..end).is_some_and(|costs| costs.iter().all(Option::is_some));
        is_complete && !std::mem::replace(&mut self.is_done, true)
    }

    fn into_kill(self) -> Option<Kill> {
        let end = usize::try_from(self.end(0)).expect("a range fits into memory");
        let costs = self.costs[..end].iter().flatten();
        let (_, mut kill) = self.first?;
        kill.run_count = end as u64;
        for (events, time) in costs {
            kill.event_count += events;
            kill.time += *time;
        }
        Some(kill)
    }
}

impl Kill {
    fn new(scenario: &'static str, seed: u64, failure: Failure) -> Self {
        let Failure { check, reason, .. } = failure;
        let time = Duration::ZERO;
        let (run_count, event_count, is_sound) = (0, 0, true);
        Self { scenario, seed, check, reason, run_count, event_count, time, is_sound }
    }

    /// Runs the seed without the bug: if it fails all the same, the bug was not found.
    fn verify(&mut self, bug: &Bug) {
        let scenario = bug.right_scenario(self.scenario);
        self.is_sound = run(scenario, self.seed, &RunOptions::default()).failure.is_none();
    }
}

#[expect(clippy::disallowed_methods, reason = "real time, measured outside of any simulation")]
fn now() -> Instant {
    Instant::now()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn range(costs: &[u64], failures: &[u64]) -> Range {
        let mut range = Range { costs: vec![None; costs.len()], ..Range::default() };
        // The last place first, as it happens when threads overtake each other.
        for (place, events) in costs.iter().enumerate().rev() {
            let place = place as u64;
            let failure = Failure {
                check: "check".to_owned(),
                reason: String::new(),
                at: Duration::ZERO,
                is_comparison: false,
                story: None,
                log: Vec::new(),
            };
            let kill = failures.contains(&place).then(|| Kill::new("calm", place, failure));
            range.on_run(place, (*events, Duration::from_secs(1)), kill);
        }
        range
    }

    #[test]
    fn the_first_failure_of_a_range_counts_whoever_ends_first() {
        let mut range = range(&[10, 20, 30, 40, 50], &[1, 3, 4]);
        assert!(range.ends_now(200));
        assert!(!range.ends_now(200));
        let kill = range.into_kill().unwrap();
        assert_eq!((kill.seed, kill.run_count, kill.event_count), (1, 2, 30));
        assert_eq!(kill.time, Duration::from_secs(2));
        assert_eq!(kill.check, "check");
    }

    #[test]
    fn a_range_without_failure_ends_with_its_last_seed() {
        let mut range = range(&[10, 20], &[]);
        assert!(!range.ends_now(3));
        assert!(range.ends_now(2));
        assert!(range.into_kill().is_none());
    }

    #[test]
    fn a_bug_is_found_when_it_is_found_in_every_range() {
        let bug = Bug::find("M12").unwrap();
        let kill = |check: &str, is_sound| {
            let kill = range(&[1], &[0]).into_kill();
            kill.map(|kill| Kill { check: check.to_owned(), is_sound, ..kill })
        };
        let hunt = |kills| Hunt { bug, kills };
        let right = || kill("two_phase", true);
        assert!(hunt(vec![right(), right()]).is_found());
        assert!(!hunt(vec![right(), None]).is_found());
        assert!(!hunt(vec![right(), kill("two_phase", false)]).is_found());
        let wrong = hunt(vec![right(), kill("liveness", true)]);
        assert!(wrong.is_found());
        assert_eq!(wrong.right_count(), 1);
    }

    #[test]
    fn the_median_counts_survivors_as_slower_than_all_others() {
        let bug = Bug::find("M12").unwrap();
        let kill = |events, is_sound| {
            let mut kill = range(&[events], &[0]).into_kill();
            kill.as_mut().unwrap().is_sound = is_sound;
            kill
        };
        let hunt = |kills| Hunt { bug, kills }.median(|kill| kill.event_count);
        assert_eq!(hunt(vec![kill(3, true), kill(1, true), kill(2, true)]), Some(2));
        assert_eq!(hunt(vec![kill(3, true), None, kill(2, true)]), Some(3));
        assert_eq!(hunt(vec![kill(3, true), None, kill(2, false)]), None);
    }
}
