//! Turns: how long a subtask may keep its thread to itself.
//!
//! A source that always has input, or an operator whose channel is always full, never has to wait; and
//! a task that never waits is never interrupted. The coordinator, the heartbeats and the uploads run on
//! the same threads: without turns they would starve, and no checkpoint would begin.

use std::{future::poll_fn, task::Poll, time::Duration};

/// Time after which a subtask lets others in. Longer costs less: giving way may wake an idle thread
/// that looks for work in vain, which takes about 20 µs. Shorter lets barriers and heartbeats pass
/// sooner: where every thread is busy, sockets are looked at once in 61 turns.
const TURN_MAX: Duration = Duration::from_millis(1);

/// The turn of a subtask.
#[derive(Debug, Default)]
pub(crate) struct Turn {
    /// When it was first seen to run; absent after it has waited.
    since: Option<Duration>,
}

impl Turn {
    /// Hears that the subtask waits, so that others run.
    pub(crate) fn end(&mut self) {
        self.since = None;
    }

    /// Returns whether the subtask has kept its thread for too long at `now`.
    pub(crate) fn is_over(&mut self, now: Duration) -> bool {
        let since = *self.since.get_or_insert(now);
        let is_over = TURN_MAX <= now.saturating_sub(since);
        if is_over {
            self.end();
        }
        is_over
    }
}

/// Lets all other tasks of the thread run that are ready, once.
pub(crate) async fn give_way() {
    let mut has_given_way = false;
    poll_fn(|cx| {
        if std::mem::replace(&mut has_given_way, true) {
            return Poll::Ready(());
        }
        cx.waker().wake_by_ref();
        Poll::Pending
    })
    .await;
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_turn_is_over_after_its_time_and_begins_anew_after_a_wait() {
        let at = Duration::from_micros;
        let mut turn = Turn::default();
        assert!(!turn.is_over(at(5_000)));
        assert!(!turn.is_over(at(5_999)));
        turn.end();
        assert!(!turn.is_over(at(6_500)));
        assert!(turn.is_over(at(7_500)));
        assert!(!turn.is_over(at(7_501)));
        assert!(turn.is_over(at(8_501)));
    }
}
