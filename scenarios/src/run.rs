//! One run of a scenario: a cluster, its faults, and the checks.

use std::time::Duration;

use floodmark_sim::{FaultPlan, RunError, Tape};
use serde::{Deserialize, Serialize};

use crate::{
    Counts, Failure, RunReport, Scenario, Story, atlas,
    checks::{exactly_once, first_difference},
    cluster::{Cluster, Ending, Trial},
    jobs::{Input, Lines, PreparedJob, ScenarioJob, successor},
    provenance::provenance,
};

/// What of a scenario's cluster and input is not as the scenario and the seed say. Shrinking makes
/// runs smaller by it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Shape {
    /// Workers.
    pub worker_count: Option<u16>,
    /// Subtasks per operator, where the job does not fix them.
    pub parallelism: Option<u16>,
    /// Whether operators of one subtask each run as one task, without an exchange between them.
    #[serde(default)]
    pub chains_exchanges: Option<bool>,
    /// The records that there are, by their place in the seed's input, in ascending order.
    pub records: Option<Vec<u64>>,
}

/// How a scenario is run.
#[derive(Clone, Debug, Default)]
pub struct RunOptions {
    /// How cluster and input differ from the scenario's.
    pub shape: Shape,
    /// Faults in place of those of the scenario.
    pub faults: Option<FaultPlan>,
    /// Choices made in advance.
    pub tape: Option<Tape>,
    /// Whether choices that the tape does not make go the plain way, and not that of the seed.
    pub is_plain: bool,
    /// Choices that mean nothing and are made all the same.
    pub dummy_choices: u32,
    /// Whether nothing is done but the run itself: it is not compared with a run without faults, and
    /// a failure has no last events.
    pub is_alone: bool,
    /// Whether no check listens, and nothing is compared with anything. Shows what the checks cost.
    pub is_unchecked: bool,
    /// Whether the report has a tape of all choices.
    pub is_recorded: bool,
    /// Whether the run is done twice, to see whether it does the same.
    pub is_repeated: bool,
    /// Whether the report has an account of the run, from which it can be told. Slower.
    pub is_told: bool,
}

/// Runs one seed of a scenario.
pub fn run(scenario: &'static Scenario, seed: u64, options: &RunOptions) -> RunReport {
    let shape = &options.shape;
    let input = Input { seed, size: scenario.size, kept: shape.records.clone().map(Into::into) };
    let prepared = (scenario.job(seed).prepare)(&input);
    let faults = options.faults.clone().unwrap_or_else(|| (scenario.faults)(seed));
    let cluster = cluster(scenario, &input, &prepared, shape);
    let trial = Trial {
        seed,
        faults: faults.clone(),
        tape: options.tape.clone(),
        is_plain: options.is_plain,
        dummy_choices: options.dummy_choices,
        is_recorded: options.is_recorded,
        is_unchecked: options.is_unchecked,
        is_verbose: false,
        is_told: options.is_told,
        probes: scenario.must_reach,
    };
    let ending = cluster.simulate(trial.clone());
    let verdict = if options.faults.is_none() { fair(&faults) } else { Ok(()) };
    let verdict = verdict.and_then(|()| judge(&cluster, &prepared, &ending, options));
    let verdict = verdict.and_then(|()| {
        if options.is_repeated { repeat(&cluster, &trial, &ending) } else { Ok(()) }
    });
    let mut report = RunReport {
        scenario: scenario.name,
        seed,
        // A recording is not to change its meaning with what seeds draw.
        shape: Shape {
            chains_exchanges: shape.chains_exchanges.or(Some(scenario.chains_exchanges(seed))),
            ..shape.clone()
        },
        is_plain: options.is_plain,
        recording: None,
        hash: ending.hash,
        virtual_time: ending.virtual_time,
        event_count: ending.event_count,
        counts: Counts { faults: faults.0.len() as u64, ..ending.counts },
        reached: ending.reached,
        situations: ending.situations,
        faults,
        tape: ending.tape,
        account: ending.account,
        failure: verdict.err(),
    };
    if let Some(failure) = &mut report.failure
        && !options.is_alone
    {
        // The same run once more, for the sake of its words.
        let mut ending = cluster.simulate(Trial { is_verbose: true, is_told: true, ..trial });
        if failure.check == "exactly_once"
            && let Some(origin) = origin_of(scenario.job(seed), &input, &prepared, &ending)
        {
            failure.reason.push_str(&origin);
        }
        failure.log = std::mem::take(&mut ending.log);
        failure.story = ending.account.map(|account| Story::new(&account, Some(failure)));
    }
    report
}

fn cluster(scenario: &Scenario, input: &Input, prepared: &PreparedJob, shape: &Shape) -> Cluster {
    let (seed, first) = (input.seed, scenario.job(input.seed));
    let built = |prepared: &PreparedJob| {
        let mut environment = scenario.environment(seed);
        if let Some(parallelism) = shape.parallelism {
            environment = environment.parallelism(parallelism);
        }
        if let Some(chains_exchanges) = shape.chains_exchanges {
            environment = environment.chain_exchanges(chains_exchanges);
        }
        (prepared.build)(&environment);
        environment.build(first.name).expect("the jobs of scenarios are well-formed")
    };
    Cluster {
        job: built(prepared),
        successor: successor(first).map(|second| built(&(second.prepare)(input))),
        objects: prepared.objects.clone(),
        outside: prepared.outside.clone(),
        worker_count: shape.worker_count.unwrap_or(scenario.worker_count),
        finishes_within: scenario.finishes_within,
        standby_after: scenario.standby_after.map(|draw| draw(seed)),
        stops_after: scenario.stops_after.map(|draw| draw(seed)),
    }
}

/// Says which records of the input the first wrong line is made of.
fn origin_of(
    job: &ScenarioJob,
    input: &Input,
    prepared: &PreparedJob,
    ending: &Ending,
) -> Option<String> {
    let actual = ending.lines(prepared.expected.keys().copied());
    let (directory, line) = first_difference(&actual, &prepared.expected)?;
    let records = provenance(job, input, directory, &line);
    if records.is_empty() {
        return Some(format!(" — no records make {line:?}"));
    }
    let (word, last) = if records.len() == 1 { ("record", "") } else { ("records", " and ") };
    let records: Vec<String> = records.iter().map(ToString::to_string).collect();
    let (one, others) = records.split_last()?;
    let records = format!("{}{last}{one}", others.join(", "));
    Some(format!(" — {line:?} is made of {word} {records} of the input (counted from 0)"))
}

/// Refuses a scenario that asks for what nobody survives: it would be red for no reason, or green by
/// luck.
fn fair(faults: &FaultPlan) -> Result<(), Failure> {
    let Some(objection) = atlas::objection(faults) else { return Ok(()) };
    Err(Failure {
        check: "atlas".to_owned(),
        reason: objection.to_string(),
        at: Duration::ZERO,
        is_comparison: false,
        log: Vec::new(),
        story: None,
    })
}

/// Compares what a run wrote with what it had to write.
fn judge(
    cluster: &Cluster,
    prepared: &PreparedJob,
    ending: &Ending,
    options: &RunOptions,
) -> Result<(), Failure> {
    let at = ending.virtual_time;
    if let Err(error) = &ending.result {
        return Err(failure_of(error, at));
    }
    if options.is_unchecked {
        return Ok(());
    }
    let speaks = |check: &str, reason: String| Failure {
        check: check.to_owned(),
        reason,
        at,
        is_comparison: false,
        log: Vec::new(),
        story: None,
    };
    let actual = ending.lines(prepared.expected.keys().copied());
    exactly_once(&actual, &prepared.expected)
        .map_err(|reason| speaks("exactly_once", format!("against the naive model: {reason}")))?;
    if options.is_alone {
        return (prepared.law)(&actual).map_err(|reason| speaks("law_of_the_job", reason));
    }
    // What the model confirms is not wrong, so from here to the law it is the other run that is.
    let calm = calm_lines(cluster, prepared, ending)
        .map_err(|error| Failure { is_comparison: true, ..failure_of(&error, at) })?;
    exactly_once(&actual, &calm).map_err(|reason| Failure {
        is_comparison: true,
        ..speaks("exactly_once", format!("against the run without faults: {reason}"))
    })?;
    (prepared.law)(&actual).map_err(|reason| speaks("law_of_the_job", reason))
}

/// Returns what the same cluster writes when nothing goes wrong.
fn calm_lines(
    cluster: &Cluster,
    prepared: &PreparedJob,
    ending: &Ending,
) -> Result<Lines, RunError> {
    let calm = cluster.simulate(Trial { seed: ending.seed, ..Trial::default() });
    let lines = calm.lines(prepared.expected.keys().copied());
    calm.result.map(|()| lines)
}

/// Runs a trial again and compares the hashes.
fn repeat(cluster: &Cluster, trial: &Trial, first: &Ending) -> Result<(), Failure> {
    let second = cluster.simulate(trial.clone());
    if second.hash == first.hash {
        return Ok(());
    }
    Err(Failure {
        check: "determinism".to_owned(),
        reason: format!("one seed, two runs: {:032x} and {:032x}", first.hash, second.hash),
        at: first.virtual_time,
        is_comparison: false,
        log: Vec::new(),
        story: None,
    })
}

fn failure_of(error: &RunError, end: Duration) -> Failure {
    let (check, reason, at) = match error {
        RunError::Failed { check, reason, at } => ((*check).to_owned(), reason.clone(), *at),
        RunError::EventBudget { .. } | RunError::TimeLimit { .. } | RunError::Watchdog { .. } => {
            ("liveness".to_owned(), error.to_string(), end)
        }
        RunError::Panicked { .. } => ("panic".to_owned(), error.to_string(), end),
    };
    Failure { check, reason, at, is_comparison: false, log: Vec::new(), story: None }
}
