//! Systems outside the cluster: calls that take time, fail, or do not say what they did.
//!
//! What such a system remembers is the story's own business; this is the network in front of it. As
//! with the object store, a call takes effect at one moment between question and answer, on a task
//! that belongs to no node: the death of the caller does not stop what is under way.

use std::{ops::Range, time::Duration};

use floodmark_platform::BoxFuture;
use thiserror::Error;
use tokio::sync::oneshot;
use xxhash_rust::xxh3::xxh3_64;

use crate::{
    Effect, Incident, World,
    rule::CallView,
    world::{Shared, State},
};

/// The shortest and the longest time of each half of a call.
const LATENCY: Range<u64> = 200_000..3_000_000;

/// How much later an effect in doubt may still come.
const LATER: Range<u64> = 50_000_000..1_500_000_000;

/// How a call can end without an answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum CallError {
    /// The call had no effect.
    #[error("{system} does not {operation}: it is not available")]
    Failed {
        /// Who was called.
        system: &'static str,
        /// What was asked for.
        operation: &'static str,
    },
    /// The call may or may not have had its effect, and may still have it later.
    #[error("{system} does not say whether it did {operation}")]
    InDoubt {
        /// Who was called.
        system: &'static str,
        /// What was asked for.
        operation: &'static str,
    },
}

impl World {
    /// Asks a system outside the cluster for something. `act` is what the system does, at the moment
    /// when it does it.
    ///
    /// # Errors
    ///
    /// When a fault strikes the call.
    pub fn call<T: Send + 'static>(
        &self,
        system: &'static str,
        operation: &'static str,
        act: impl FnOnce() -> T + Send + 'static,
    ) -> BoxFuture<Result<T, CallError>> {
        let (before, effect, later, after) = self.shared.lock().course_of_call(system, operation);
        let (answer, answered) = oneshot::channel();
        let shared = self.shared.clone();
        let now = self.now();
        let numbers = [xxh3_64(system.as_bytes()), xxh3_64(operation.as_bytes())];
        self.shared.lock().trace.add("call", now, &numbers);
        self.shared.spawn_apart(async move {
            shared.sleep_until(shared.now() + before).await;
            let result = match effect {
                None => Ok(act()),
                Some(Effect::Before) => Err(CallError::Failed { system, operation }),
                Some(effect) => {
                    if effect != Effect::Never {
                        act_later(&shared, later, act);
                    }
                    Err(CallError::InDoubt { system, operation })
                }
            };
            shared.sleep_until(shared.now() + after).await;
            // The caller may have died, or may not care.
            let _ = answer.send(result);
        });
        Box::pin(
            async move { answered.await.unwrap_or(Err(CallError::InDoubt { system, operation })) },
        )
    }
}

fn act_later<T: 'static>(
    shared: &Shared,
    later: Duration,
    act: impl FnOnce() -> T + Send + 'static,
) {
    let late = shared.clone();
    shared.spawn_apart(async move {
        late.sleep_until(late.now() + later).await;
        // What came of it, nobody will hear.
        drop(act());
    });
}

impl State {
    /// Decides about a call: how long it takes to have its effect, whether that goes wrong, how much
    /// later it happens if it is in doubt, and how long the answer takes.
    fn course_of_call(
        &mut self,
        system: &'static str,
        operation: &'static str,
    ) -> (Duration, Option<Effect>, Duration, Duration) {
        let actor = xxh3_64(system.as_bytes());
        let view = CallView { system, operation, actor };
        let mut effect = self.rules.failure_of_call(view, &mut self.choices);
        if effect == Some(Effect::InDoubt) {
            effect = Some(match self.choices.below("call_doubt", actor, 3) {
                0 => Effect::Never,
                1 => Effect::After,
                _ => Effect::Later,
            });
        }
        if let Some(effect) = effect {
            self.struck_count += 1;
            self.incidents.add(Incident::CallStruck { system, operation, effect });
        }
        let mut time = |site, range: Range<u64>| {
            let span = range.end - range.start;
            Duration::from_nanos(range.start + self.choices.below(site, actor, span))
        };
        let (before, after) = (time("call_latency", LATENCY), time("call_latency", LATENCY));
        let later =
            if effect == Some(Effect::Later) { time("call_later", LATER) } else { Duration::ZERO };
        (before, effect, later, after)
    }
}
