//! The open sessions of a key.

use floodmark_model::Timestamp;
use floodmark_state::Data;
use serde::{Deserialize, Serialize};

use crate::operators::{Accumulate, Window};

/// The open sessions of a key, by start. They do not touch, so they are in the order of their ends, too.
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

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Session<A> {
    pub(super) window: Window,
    pub(super) accumulator: A,
}

/// Where a key is noted that has no session. No session ends at the beginning of time.
pub(super) const NOWHERE: Timestamp = Timestamp::MIN;

/// Room for sessions that is given back when there are none.
const ROOM_MAX: usize = 4;

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
        debug_assert!(self.first.is_some() || self.others.is_empty(), "one of them is the first");
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
        let next = if self.others.is_empty() { None } else { Some(self.take_other(0)) };
        std::mem::replace(&mut self.first, next)
    }

    /// Removes one of the others. Much room is not kept for when there are many again.
    fn take_other(&mut self, index: usize) -> Session<A> {
        let other = self.others.remove(index);
        if self.others.is_empty() && ROOM_MAX < self.others.capacity() {
            self.others = Vec::new();
        }
        other
    }

    /// Adds a session that touches none of the others.
    #[inline]
    pub(super) fn begin(&mut self, mut session: Session<A>) {
        match &mut self.first {
            None => self.first = Some(session),
            Some(first) => {
                if session.window.start < first.window.start {
                    std::mem::swap(first, &mut session);
                }
                let start = session.window.start;
                let index = self.others.partition_point(|other| other.window.start < start);
                if self.others.is_empty() {
                    // There will hardly ever be a third one, and these lists are many.
                    self.others.reserve_exact(1);
                }
                self.others.insert(index, session);
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
        let Some(index) = self.first_touching(window) else { return Err(value) };
        // All others that it touches come right behind that one.
        while self.others.get(index).is_some_and(|next| next.window.touches(window)) {
            let next = self.take_other(index);
            let this = self.at_mut(index);
            this.window = this.window.hull(next.window);
            this.accumulator = accumulate.merge(this.accumulator.clone(), next.accumulator);
        }
        let this = self.at_mut(index);
        this.window = this.window.hull(window);
        accumulate.add(&mut this.accumulator, value);
        Ok(())
    }

    /// Returns the index of the first session that `window` touches, if there is one.
    #[inline]
    fn first_touching(&self, window: Window) -> Option<usize> {
        if self.first.as_ref()?.window.touches(window) {
            return Some(0);
        }
        if self.others.is_empty() {
            return None;
        }
        let index = self.others.partition_point(|other| other.window.end < window.start);
        self.others.get(index).filter(|other| other.window.touches(window)).map(|_| index + 1)
    }

    /// Returns the session with this index.
    #[inline]
    fn at_mut(&mut self, index: usize) -> &mut Session<A> {
        match index.checked_sub(1) {
            None => self.first.as_mut().expect("there is a first one"),
            Some(other) => &mut self.others[other],
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::operators::ReduceWith;

    fn window(start: i64, end: i64) -> Window {
        Window { start: Timestamp(start), end: Timestamp(end) }
    }

    /// Begins sessions with one value each, and extends one.
    fn sessions(begin: &[(i64, i64, i64)], (start, end, value): (i64, i64, i64)) -> String {
        let mut sessions = Sessions::default();
        for (start, end, accumulator) in begin {
            sessions.begin(Session { window: window(*start, *end), accumulator: *accumulator });
        }
        let mut add = ReduceWith(|left: i64, right| 10 * left + right);
        let given_back = sessions.extend(window(start, end), value, &mut add).err();
        let mut all = given_back.map(|value| format!("not {value};")).unwrap_or_default();
        while let Some(Session { window, accumulator }) = sessions.take_first() {
            all.push_str(&format!(" {}-{} {accumulator};", window.start.0, window.end.0));
        }
        assert!(sessions.is_empty());
        all
    }

    #[test]
    fn a_value_joins_all_sessions_that_it_touches_in_their_order() {
        let four = [(50, 60, 5), (10, 20, 1), (30, 40, 3), (70, 80, 7)];
        let cases = [
            ((41, 49, 9), "not 9; 10-20 1; 30-40 3; 50-60 5; 70-80 7;"),
            ((0, 9, 9), "not 9; 10-20 1; 30-40 3; 50-60 5; 70-80 7;"),
            ((81, 91, 9), "not 9; 10-20 1; 30-40 3; 50-60 5; 70-80 7;"),
            ((20, 29, 9), " 10-29 19; 30-40 3; 50-60 5; 70-80 7;"),
            ((40, 49, 9), " 10-20 1; 30-49 39; 50-60 5; 70-80 7;"),
            ((20, 30, 9), " 10-40 139; 50-60 5; 70-80 7;"),
            ((40, 70, 9), " 10-20 1; 30-80 3579;"),
            ((0, 100, 9), " 0-100 13579;"),
        ];
        cases.iter().for_each(|(record, expected)| assert_eq!(sessions(&four, *record), *expected));
        assert_eq!(sessions(&[], (1, 2, 9)), "not 9;");
    }
}
