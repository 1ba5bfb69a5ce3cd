//! Time as one node sees it.

use std::time::Duration;

use crate::BoxFuture;

/// The clock of one node.
///
/// Two nodes may disagree by any amount, so no decision may compare readings taken on different
/// nodes.
///
/// # Determinism
///
/// In simulation, readings depend only on the seed and on the calls made so far.
pub trait Clock {
    /// Returns the time since some fixed moment of this node. It never goes back.
    fn now(&self) -> Duration;

    /// Returns the time since the Unix epoch as this node believes it. It may jump either way, so
    /// it is shown to people and given to processing-time functions, and decides nothing else.
    fn wall(&self) -> Duration;

    /// Completes once `now() >= deadline`; at once if that already holds.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future forgets the timer and has no other effect.
    fn sleep_until(&self, deadline: Duration) -> BoxFuture<()>;
}
