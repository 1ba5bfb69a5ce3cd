//! Failover: whether the job is tried again after a failure, and when.

use std::time::Duration;

use floodmark_model::RestartStrategy;

/// The restarts a job has left.
#[derive(Debug)]
pub(crate) struct RestartBudget {
    strategy: RestartStrategy,
    used: u32,
}

/// What follows a failure.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[must_use]
pub(crate) enum Verdict {
    /// Begin another attempt after a pause.
    Restart {
        /// The pause.
        delay: Duration,
    },
    /// The job has failed.
    GiveUp,
}

impl RestartBudget {
    /// Creates the budget that `strategy` grants.
    pub(crate) fn new(strategy: RestartStrategy) -> Self {
        Self { strategy, used: 0 }
    }

    /// Records a failure.
    pub(crate) fn on_failure(&mut self) -> Verdict {
        match self.strategy {
            RestartStrategy::FixedDelay { attempts, delay } if self.used < attempts => {
                self.used += 1;
                Verdict::Restart { delay }
            }
            RestartStrategy::FixedDelay { .. } | RestartStrategy::None => Verdict::GiveUp,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_budget_of_two_restarts_ends_with_the_third_failure() {
        let delay = Duration::from_secs(1);
        let mut budget = RestartBudget::new(RestartStrategy::FixedDelay { attempts: 2, delay });
        let verdicts = [(); 3].map(|()| budget.on_failure());
        let restart = Verdict::Restart { delay };
        assert_eq!(verdicts, [restart, restart, Verdict::GiveUp]);
    }

    #[test]
    fn without_a_strategy_the_first_failure_is_the_last() {
        assert_eq!(RestartBudget::new(RestartStrategy::None).on_failure(), Verdict::GiveUp);
    }
}
