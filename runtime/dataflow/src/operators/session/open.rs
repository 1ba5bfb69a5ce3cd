//! The open sessions of a key.

use floodmark_model::Timestamp;
use floodmark_state::Data;
use serde::{Deserialize, Serialize};

use crate::operators::{Accumulate, Window};

/// The open sessions of a key, by start. They do not touch, so the first ends first.
///
/// Most keys have one or none, which lies here: then whoever looks at a key need not look anywhere else.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct Sessions<A> {
    /// The end for which the key is noted, or [`NOWHERE`].
    #[serde(skip, default = "nowhere")]
    pub(super) noted: Timestamp,
    /// Absent only if there are no others either.
    first: Option<Session<A>>,
    others: Vec<Session<A>>,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct Session<A> {
    pub(super) window: Window,
    pub(super) accumulator: A,
}

/// Where a key is noted that has no session. No session ends at the beginning of time.
pub(super) const NOWHERE: Timestamp = Timestamp::MIN;

fn nowhere() -> Timestamp {
    NOWHERE
}

impl<A> Default for Sessions<A> {
    fn default() -> Self {
        Self { noted: NOWHERE, first: None, others: Vec::new() }
    }
}

impl<A> Sessions<A> {
    #[inline]
    pub(super) fn is_empty(&self) -> bool {
        self.first.is_none()
    }

    #[inline]
    pub(super) fn first_end(&self) -> Option<Timestamp> {
        self.first.as_ref().map(|session| session.window.end)
    }

    /// Returns the windows of all sessions, in their order.
    pub(super) fn windows(&self) -> impl Iterator<Item = Window> {
        self.first.iter().chain(&self.others).map(|session| session.window)
    }

    /// Removes and returns the first session.
    #[inline]
    pub(super) fn take_first(&mut self) -> Option<Session<A>> {
        let next = if self.others.is_empty() { None } else { Some(self.others.remove(0)) };
        std::mem::replace(&mut self.first, next)
    }

    /// Adds a session that touches none of the others.
    #[inline]
    pub(super) fn begin(&mut self, mut session: Session<A>) {
        let start = session.window.start;
        match &mut self.first {
            None => self.first = Some(session),
            Some(first) => {
                if start < first.window.start {
                    std::mem::swap(first, &mut session);
                }
                let start = session.window.start;
                let at = self.others.partition_point(|other| other.window.start < start);
                if self.others.is_empty() {
                    // There will hardly ever be a third one.
                    self.others.reserve_exact(1);
                }
                self.others.insert(at, session);
            }
        }
    }
}

impl<A: Data> Sessions<A> {
    /// Adds a value to the session that `window` touches, and makes one of all that it touches. Gives
    /// the value back if there is none.
    #[inline]
    pub(super) fn extend<T>(
        &mut self,
        window: Window,
        value: T,
        accumulate: &mut impl Accumulate<T, Acc = A>,
    ) -> Result<(), T> {
        let Some(number) = self.first_touching(window) else { return Err(value) };
        // All others that it touches come right behind that one.
        while self.others.get(number).is_some_and(|next| next.window.touches(window)) {
            let next = self.others.remove(number);
            let this = self.at_mut(number);
            this.window = this.window.hull(next.window);
            this.accumulator = accumulate.merge(this.accumulator.clone(), next.accumulator);
        }
        let this = self.at_mut(number);
        this.window = this.window.hull(window);
        accumulate.add(&mut this.accumulator, value);
        Ok(())
    }

    /// Returns the number of the first session that `window` touches, if there is one.
    #[inline]
    fn first_touching(&self, window: Window) -> Option<usize> {
        if self.first.as_ref()?.window.touches(window) {
            return Some(0);
        }
        let found = self.others.iter().position(|session| session.window.touches(window));
        found.map(|found| found + 1)
    }

    #[inline]
    fn at_mut(&mut self, number: usize) -> &mut Session<A> {
        match number.checked_sub(1) {
            None => self.first.as_mut().expect("there is a first one"),
            Some(other) => &mut self.others[other],
        }
    }
}
