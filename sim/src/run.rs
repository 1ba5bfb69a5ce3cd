//! One run: a seed, a thread, a world.

use std::{
    panic::{self, AssertUnwindSafe},
    pin::pin,
    sync::mpsc,
    thread,
    time::Duration,
};

use futures_util::{
    FutureExt as _,
    future::{Either, select},
};
use madsim::{runtime::Runtime, time::TimeHandle};
use serde::{Deserialize, Serialize};
use thiserror::Error;

use crate::{
    Chronicle, LinkProfile, LogEntry, Tape, World,
    choice::Choices,
    chronicle::Chronicler,
    panics,
    world::{Shared, State},
};

/// The origin of a run.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Seed(pub u64);

/// How a run is conducted.
#[derive(Clone, Debug)]
pub struct RunOptions {
    /// Decides every choice that the tape does not.
    pub seed: Seed,
    /// Choices made in advance.
    pub tape: Option<Tape>,
    /// Whether the outcome has a tape of all choices.
    pub is_recorded: bool,
    /// Whether the outcome has the last events in words. Slower.
    pub is_verbose: bool,
    /// Keeps a chronicle, in which frames of these kinds are left out unless a fault strikes them.
    /// Slower.
    pub chronicle: Option<&'static [&'static str]>,
    /// Whether choices that the tape does not make go the plain way, and not that of the seed: the
    /// least delay, no damage.
    pub is_plain: bool,
    /// Choices that mean nothing and are made all the same, by a task and an idle node of their own:
    /// they show whether a run depends on what else happens.
    pub dummy_choices: u32,
    /// How long frames take.
    pub links: LinkProfile,
    /// Events after which the run is given up: it does not get anywhere.
    pub event_budget: u64,
    /// Virtual time after which the run is given up.
    pub time_max: Duration,
    /// Real time after which the run is given up: it does not even produce events.
    pub watchdog: Duration,
}

impl RunOptions {
    /// Returns the usual options for `seed`: ten million events, one hour of virtual time, one
    /// minute of real time.
    pub fn new(seed: Seed) -> Self {
        Self {
            seed,
            tape: None,
            is_recorded: false,
            is_verbose: false,
            chronicle: None,
            is_plain: false,
            dummy_choices: 0,
            links: LinkProfile::default(),
            event_budget: 10_000_000,
            time_max: Duration::from_secs(3_600),
            watchdog: Duration::from_secs(60),
        }
    }
}

/// What came of a run.
#[derive(Debug)]
pub struct Outcome<T> {
    /// What the story returned, or why it could not.
    pub result: Result<T, RunError>,
    /// The hash over everything that happened.
    pub hash: u128,
    /// How many events that were.
    pub event_count: u64,
    /// Virtual time that passed.
    pub virtual_time: Duration,
    /// All choices, if the run was recorded.
    pub tape: Tape,
    /// The last events in words, if the run was verbose.
    pub log: Vec<LogEntry>,
    /// What happened, if a chronicle was kept.
    pub chronicle: Chronicle,
}

/// Why a run did not end well.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum RunError {
    /// A check spoke up.
    #[error("{check}: {reason}")]
    Failed {
        /// Which.
        check: &'static str,
        /// What it said.
        reason: String,
        /// When, in virtual time.
        at: Duration,
    },
    /// Too much happened: a livelock.
    #[error("livelock: more than {budget} events")]
    EventBudget {
        /// The budget.
        budget: u64,
    },
    /// Too much virtual time passed.
    #[error("the story was not over after {limit:?} of virtual time")]
    TimeLimit {
        /// The limit.
        limit: Duration,
    },
    /// Too much real time passed without an end: a task does not come back.
    #[error("livelock: the run did not end within {limit:?} of real time")]
    Watchdog {
        /// The limit.
        limit: Duration,
    },
    /// The story itself panicked.
    #[error("the story panicked: {message}")]
    Panicked {
        /// Its words.
        message: String,
    },
}

/// Runs `story` in a world of its own, on a thread of its own.
///
/// # Determinism
///
/// The outcome is a function of the options and the story. Runs on other threads do not matter.
pub fn run<T, F, S>(options: RunOptions, story: F) -> Outcome<T>
where
    T: Send + 'static,
    F: FnOnce(World) -> S + Send + 'static,
    S: Future<Output = T> + 'static,
{
    panics::silence();
    let (sender, receiver) = mpsc::channel();
    let limit = options.watchdog;
    let thread = thread::Builder::new().name(panics::THREAD_NAME.to_owned());
    let mut options = options;
    let choices = Choices::new(options.seed.0, options.tape.take(), options.is_recorded)
        .plain(options.is_plain);
    let spawned = thread.spawn(move || {
        // Nobody listens any more when the watchdog was faster.
        let _ = sender.send(run_here(options, choices, story));
    });
    let handle = spawned.expect("the system can start a thread");
    match receiver.recv_timeout(limit) {
        Ok(outcome) => {
            // The thread has nothing left to do but to end.
            let _ = handle.join();
            outcome
        }
        Err(error) => Outcome {
            result: Err(match error {
                mpsc::RecvTimeoutError::Timeout => RunError::Watchdog { limit },
                mpsc::RecvTimeoutError::Disconnected => {
                    RunError::Panicked { message: "the executor gave up".to_owned() }
                }
            }),
            hash: 0,
            event_count: 0,
            virtual_time: Duration::ZERO,
            tape: Tape::default(),
            log: Vec::new(),
            chronicle: Chronicle::default(),
        },
    }
}

fn run_here<T, F, S>(options: RunOptions, mut choices: Choices, story: F) -> Outcome<T>
where
    F: FnOnce(World) -> S,
    S: Future<Output = T> + 'static,
{
    // The order of tasks is a choice like any other, so a tape holds it too.
    let schedule = choices.choose("schedule", 0);
    // Nothing on this thread may hash before: the executor seeds the thread's hash maps.
    let runtime = Runtime::with_seed_and_config(schedule, madsim::Config::default());
    let RunOptions { is_verbose, chronicle, links, event_budget, .. } = options;
    let state = State::new(choices, links, event_budget).verbose(is_verbose).chronicle(chronicle);
    let apart = runtime.create_node().name("world").build();
    let time = runtime.block_on(async { TimeHandle::current() });
    let shared = Shared::new(state, time, apart);
    let world = World { shared: shared.clone() };
    if 0 < options.dummy_choices {
        world.disturb(options.dummy_choices);
    }
    let result = panic::catch_unwind(AssertUnwindSafe(|| {
        runtime.block_on(conduct(shared.clone(), options.time_max, story(world)))
    }));
    let result =
        result.unwrap_or_else(|panic| Err(RunError::Panicked { message: panics::message(panic) }));
    // Tasks that are alive when the runtime is dropped are never freed.
    runtime.block_on(async { shared.end() });
    let empty = State::new(Choices::new(0, None, false), LinkProfile::default(), 0);
    let state = std::mem::replace(&mut *shared.lock(), empty);
    shared.forget_listeners();
    let State { mut trace, choices, ended_at, chronicler, .. } = state;
    Outcome {
        result,
        hash: trace.hash(),
        event_count: trace.event_count(),
        virtual_time: ended_at.expect("the run has ended"),
        tape: choices.into_tape(),
        log: trace.take_log(),
        chronicle: chronicler.map(Chronicler::finish).unwrap_or_default(),
    }
}

/// Runs the story until it ends, the run fails, or time is up.
async fn conduct<T>(
    shared: Shared,
    limit: Duration,
    story: impl Future<Output = T>,
) -> Result<T, RunError> {
    let failure = || shared.lock().failure.clone();
    let stopped = async {
        match select(pin!(shared.failed()), shared.sleep_until(limit)).await {
            Either::Left(_) => failure().expect("the run has failed"),
            Either::Right(_) => RunError::TimeLimit { limit },
        }
    };
    let guarded = AssertUnwindSafe(story).catch_unwind();
    let result = match select(pin!(stopped), pin!(guarded)).await {
        Either::Left((error, _)) => Err(error),
        Either::Right((Ok(value), _)) => failure().map_or(Ok(value), Err),
        Either::Right((Err(panic), _)) => {
            Err(RunError::Panicked { message: panics::message(panic) })
        }
    };
    // Here and not later: the executor does not come back while any task is ready, and in a livelock
    // one always is.
    shared.end();
    result
}
