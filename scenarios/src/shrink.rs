//! Makes a failure small: fewer faults, workers, records and choices, and the same check speaks.
//!
//! Each step leaves something out and runs the rest. It counts if the same check speaks for the same
//! cause, numbers aside. Order matters: faults first, because they say most to a reader and their
//! absence makes runs shorter; choices last, because every other change makes other choices.

mod parameters;

use std::{
    num::NonZeroUsize,
    thread,
    time::{Duration, Instant},
};

use floodmark_sim::{FaultPlan, RecordedChoice, Tape};
use serde::Serialize;

use crate::{
    Failure, ReplayError, ReplayFile, RunOptions, RunReport, Scenario, run, sweep::cause_of,
};

/// Slots of a worker: a cluster with fewer than the job needs is no smaller case of anything.
const SLOTS_PER_WORKER: u16 = 2;

/// How many records a sample has.
const SAMPLE_SIZES: [usize; 12] = [1, 2, 3, 5, 8, 12, 20, 40, 80, 160, 320, 640];

/// Samples of each size.
const SAMPLE_COUNT: usize = 3;

/// Runs of each sample.
const SAMPLE_ATTEMPT_COUNT: u64 = 5;

/// The site at which the order of tasks is chosen.
const SCHEDULE: &str = "schedule";

/// How long and how hard it is tried.
#[derive(Clone, Copy, Debug)]
pub struct ShrinkOptions {
    /// Real time after which the best so far is the result.
    pub limit: Duration,
    /// Runs at a time.
    pub thread_count: NonZeroUsize,
}

/// How large a case is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct CaseSize {
    /// Faults of the plan.
    pub faults: usize,
    /// Workers of the cluster.
    pub workers: u16,
    /// Subtasks per operator.
    pub parallelism: u16,
    /// Records of the input.
    pub records: usize,
    /// Choices that do not go the plain way.
    pub choices: usize,
}

/// What became of a failure.
#[derive(Debug)]
pub struct Shrunk {
    /// How large it was.
    pub before: CaseSize,
    /// How large it is.
    pub after: CaseSize,
    /// The smallest case that was found.
    pub file: ReplayFile,
    /// Its run.
    pub report: RunReport,
    /// Runs that were made.
    pub run_count: u64,
    /// Real time that it took.
    pub elapsed: Duration,
}

/// Makes a recorded failure smaller. Returns nothing if no check speaks.
///
/// # Errors
///
/// When the catalog has no such scenario.
pub fn shrink(file: &ReplayFile, options: ShrinkOptions) -> Result<Option<Shrunk>, ReplayError> {
    let begin = now();
    let scenario = file.find()?;
    let Some(mut search) = Search::begin(scenario, file, options, begin) else { return Ok(None) };
    let before = search.size(file);
    search.work();
    let after = search.size(&search.best);
    let mut file = search.best.clone();
    let report = file.replay()?;
    file.check = report.failure.as_ref().map(|failure| failure.check.clone());
    file.hash = format!("{:032x}", report.hash);
    let elapsed = begin.elapsed();
    Ok(Some(Shrunk { before, after, file, report, run_count: search.run_count, elapsed }))
}

/// Leaves out what is not needed: halves first, then smaller parts. `holds` finds the first of some
/// candidates that will do.
pub(crate) fn minimise<T: Clone>(
    items: Vec<T>,
    width: usize,
    mut first_that_holds: impl FnMut(&[Vec<T>]) -> Option<usize>,
) -> Vec<T> {
    let mut left = items;
    if left.is_empty() || first_that_holds(&[Vec::new()]).is_some() {
        return Vec::new();
    }
    let mut part = left.len().div_ceil(2);
    while left.len() > 1 {
        let (mut start, mut is_smaller) = (0, false);
        while start < left.len() {
            let starts = (start..left.len()).step_by(part).take(width);
            let without = |start: usize| {
                let end = (start + part).min(left.len());
                [&left[..start], &left[end..]].concat()
            };
            // Leaving out everything was tried before.
            let candidates: Vec<_> = starts.map(without).filter(|rest| !rest.is_empty()).collect();
            match first_that_holds(&candidates) {
                Some(index) => {
                    left = candidates[index].clone();
                    is_smaller = true;
                    start += index * part;
                }
                None => start += width * part,
            }
        }
        if part == 1 && !is_smaller {
            break;
        }
        part = part.div_ceil(2).min(left.len().div_ceil(2)).max(1);
    }
    left
}

/// The search for a smaller case.
struct Search {
    scenario: &'static Scenario,
    best: ReplayFile,
    check: String,
    cause: String,
    options: RunOptions,
    thread_count: usize,
    begin: Instant,
    limit: Duration,
    /// When the present step ends.
    deadline: Instant,
    run_count: u64,
}

impl Search {
    /// Begins with a case, if it fails.
    fn begin(
        scenario: &'static Scenario,
        file: &ReplayFile,
        options: ShrinkOptions,
        begin: Instant,
    ) -> Option<Self> {
        let alone = RunOptions { is_alone: true, ..RunOptions::default() };
        // Only some failures need more than the run itself to be seen.
        let compared = RunOptions::default();
        let repeated = RunOptions { is_repeated: true, ..RunOptions::default() };
        let (failure, effort) = [alone, compared, repeated].into_iter().find_map(|effort| {
            let failure = run(scenario, file.seed, &with(file, &effort)).failure?;
            Some((failure, effort))
        })?;
        Some(Self {
            scenario,
            best: file.clone(),
            cause: cause_in(&failure.reason),
            check: failure.check,
            options: effort,
            thread_count: options.thread_count.get(),
            begin,
            limit: options.limit,
            deadline: begin + options.limit,
            run_count: 1,
        })
    }

    fn work(&mut self) {
        self.until(0.1, Self::forget_tape);
        self.until(0.35, Self::drop_faults);
        self.until(0.45, Self::shrink_cluster);
        self.until(0.65, Self::sample_records);
        self.until(0.8, Self::drop_records);
        // With less to do, other faults may be idle.
        self.until(0.85, Self::drop_faults);
        self.until(0.9, Self::simplify_faults);
        self.until(1.0, Self::drop_choices);
    }

    /// Takes a step that ends when this share of the time is over.
    fn until(&mut self, share: f64, step: fn(&mut Self)) {
        self.deadline = self.begin + self.limit.mul_f64(share);
        step(self);
    }

    /// Follows the seed, if that is enough: names are looked up in a tape for every choice.
    fn forget_tape(&mut self) {
        let candidate = ReplayFile { tape: Tape::default(), ..self.best.clone() };
        self.adopt_first(vec![candidate]);
    }

    fn drop_faults(&mut self) {
        let (base, width) = (self.best.clone(), self.thread_count);
        let kept = minimise(base.faults.0.clone(), width, |candidates| {
            let case =
                |faults: &Vec<_>| ReplayFile { faults: FaultPlan(faults.clone()), ..base.clone() };
            self.adopt_first(candidates.iter().map(case).collect())
        });
        debug_assert_eq!(kept, self.best.faults.0, "the best is what was adopted last");
    }

    fn shrink_cluster(&mut self) {
        let (workers, parallelism) = self.cluster_of(&self.best);
        let best = self.best.clone();
        let narrow = (1..parallelism).map(|count| {
            let mut case = best.clone();
            case.shape.parallelism = Some(count);
            case
        });
        self.adopt_first(narrow.collect());
        let best = self.best.clone();
        let (_, parallelism) = self.cluster_of(&best);
        let small = (1..workers).filter(|count| parallelism <= count * SLOTS_PER_WORKER);
        let small = small.map(|count| {
            let mut case = best.clone();
            case.shape.worker_count = Some(count);
            case
        });
        self.adopt_first(small.collect());
    }

    /// Tries a few records from the whole length of the input, then more. What a failure needs is
    /// often that records come at all, and a step that leaves out a part of them changes the times of
    /// all others; so each sample has several attempts that differ in the order of tasks.
    fn sample_records(&mut self) {
        let base = self.best.clone();
        let records = self.records_of(&base);
        for size in SAMPLE_SIZES.into_iter().filter(|size| *size < records.len()) {
            let pace = records.len() / size;
            let sample = |offset: usize| {
                let sampled = records.iter().skip(offset * pace / SAMPLE_COUNT).step_by(pace);
                sampled.take(size).copied().collect::<Vec<_>>()
            };
            let variants = |attempt: u64| (0..SAMPLE_COUNT).map(move |offset| (attempt, offset));
            let cases = (0..SAMPLE_ATTEMPT_COUNT).flat_map(variants).map(|(attempt, offset)| {
                let mut case = base.clone();
                case.shape.records = Some(sample(offset));
                // First as it is, then with as little noise as there can be.
                case.is_plain |= 0 < attempt;
                if 1 < attempt {
                    case.tape.0.retain(|choice| choice.site != SCHEDULE);
                    case.tape.0.push(RecordedChoice {
                        site: SCHEDULE.to_owned(),
                        actor: 0,
                        occurrence: 0,
                        value: attempt,
                    });
                }
                case
            });
            if self.adopt_first(cases.collect()).is_some() {
                return;
            }
        }
    }

    fn drop_records(&mut self) {
        let (base, width) = (self.best.clone(), self.thread_count);
        minimise(self.records_of(&base), width, |candidates| {
            let case = |records: &Vec<u64>| {
                let mut case = base.clone();
                case.shape.records = Some(records.clone());
                case
            };
            self.adopt_first(candidates.iter().map(case).collect())
        });
    }

    /// Makes each number of each fault smaller or rounder, if that will do.
    fn simplify_faults(&mut self) {
        for index in 0..self.best.faults.0.len() {
            for change in parameters::CHANGES {
                let fault = &self.best.faults.0[index];
                let case = |fault| {
                    let mut case = self.best.clone();
                    case.faults.0[index] = fault;
                    case
                };
                let candidates = change(fault).into_iter().map(case).collect();
                self.adopt_first(candidates);
            }
        }
    }

    /// Lets choices go the plain way: all of them, those of whole sites, and then single ones.
    fn drop_choices(&mut self) {
        let mut plain = ReplayFile { is_plain: true, ..self.best.clone() };
        if self.adopt_first(vec![plain.clone()]).is_some() {
            return;
        }
        plain.tape = self.recorded(&self.best);
        let mut sites: Vec<String> =
            plain.tape.0.iter().map(|choice| choice.site.clone()).collect();
        sites.sort();
        sites.dedup();
        if self.adopt_first(vec![plain.clone()]).is_none() {
            return;
        }
        let width = self.thread_count;
        let base = plain.clone();
        minimise(sites, width, |candidates| {
            let case = |sites: &Vec<String>| {
                let mut case = base.clone();
                case.tape.0.retain(|choice| sites.contains(&choice.site));
                case
            };
            self.adopt_first(candidates.iter().map(case).collect())
        });
        let base = self.best.clone();
        minimise(base.tape.0.clone(), width, |candidates| {
            let case = |choices: &Vec<RecordedChoice>| ReplayFile {
                tape: Tape(choices.clone()),
                ..base.clone()
            };
            self.adopt_first(candidates.iter().map(case).collect())
        });
    }

    /// Adopts the first case that fails in the same way, unless time is up. Returns which.
    fn adopt_first(&mut self, candidates: Vec<ReplayFile>) -> Option<usize> {
        let mut begun = 0;
        for some in candidates.chunks(self.thread_count) {
            if self.deadline <= now() {
                return None;
            }
            self.run_count += some.len() as u64;
            let search = &*self;
            let verdicts: Vec<bool> = thread::scope(|scope| {
                let fails = |case| scope.spawn(move || search.fails(case));
                let threads: Vec<_> = some.iter().map(fails).collect();
                // A case on which the simulator itself gives up is none.
                threads.into_iter().map(|thread| thread.join().unwrap_or(false)).collect()
            });
            if let Some(index) = verdicts.into_iter().position(|fails| fails) {
                self.best = some[index].clone();
                return Some(begun + index);
            }
            begun += some.len();
        }
        None
    }

    /// Returns whether a case fails in the same way.
    fn fails(&self, case: &ReplayFile) -> bool {
        let report = run(self.scenario, case.seed, &with(case, &self.options));
        let is_same = |failure: &Failure| {
            failure.check == self.check && cause_in(&failure.reason) == self.cause
        };
        if !report.failure.as_ref().is_some_and(is_same) {
            return false;
        }
        // A cluster that cannot run the job at all never ends, too.
        let is_cluster_of_the_best = case.shape.worker_count == self.best.shape.worker_count
            && case.shape.parallelism == self.best.shape.parallelism;
        is_cluster_of_the_best || self.check != "liveness" || {
            let calm = ReplayFile { faults: FaultPlan::default(), ..case.clone() };
            run(self.scenario, case.seed, &with(&calm, &self.options)).failure.is_none()
        }
    }

    fn recorded(&self, case: &ReplayFile) -> Tape {
        let options = RunOptions { is_recorded: true, is_alone: true, ..case.options() };
        run(self.scenario, case.seed, &options).tape
    }

    fn cluster_of(&self, case: &ReplayFile) -> (u16, u16) {
        let parallelism = || self.scenario.parallelism(case.seed);
        (
            case.shape.worker_count.unwrap_or(self.scenario.worker_count),
            case.shape.parallelism.unwrap_or_else(parallelism),
        )
    }

    fn records_of(&self, case: &ReplayFile) -> Vec<u64> {
        let all = || (0..self.scenario.size as u64).collect();
        case.shape.records.clone().unwrap_or_else(all)
    }

    fn size(&self, case: &ReplayFile) -> CaseSize {
        let (workers, parallelism) = self.cluster_of(case);
        let choices = if case.is_plain { case.tape.0.len() } else { self.recorded(case).0.len() };
        CaseSize {
            faults: case.faults.0.len(),
            workers,
            parallelism,
            records: self.records_of(case).len(),
            choices,
        }
    }
}

/// Returns the cause of a failure, wherever it is met: without what tells one subtask or sink from
/// another.
fn cause_in(reason: &str) -> String {
    let mut cause = cause_of(reason);
    while let Some((before, (_, after))) =
        cause.split_once(" (").and_then(|(before, rest)| Some((before, rest.split_once(')')?)))
    {
        cause = format!("{before}{after}");
    }
    let mut words: Vec<&str> = cause.split(' ').collect();
    for index in 1..words.len() {
        if words[index - 1] == "sink" {
            words[index] = "#";
        }
    }
    words.join(" ")
}

/// Returns the options of a case's run, with as much effort as is needed.
fn with(case: &ReplayFile, effort: &RunOptions) -> RunOptions {
    let RunOptions { is_alone, is_repeated, .. } = *effort;
    RunOptions { is_alone, is_repeated, ..case.options() }
}

#[expect(clippy::disallowed_methods, reason = "the budget is one of the user's time")]
fn now() -> Instant {
    Instant::now()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn left_of(needed: &[u32], width: usize) -> Vec<u32> {
        minimise((0..100).collect(), width, |candidates| {
            let holds = |candidate: &Vec<u32>| needed.iter().all(|item| candidate.contains(item));
            candidates.iter().position(holds)
        })
    }

    #[test]
    fn what_is_needed_stays_and_nothing_else() {
        for width in [1, 3] {
            for needed in [&[][..], &[0], &[99], &[17, 18, 63], &[0, 50, 99]] {
                assert_eq!(left_of(needed, width), needed, "width {width}");
            }
        }
    }
}
