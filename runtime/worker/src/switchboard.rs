//! Brings together data connections that arrive and subtasks that wait for them.
//!
//! Either may come first: the other worker may have been deployed earlier or later than this one.
//! This module only decides who gets what, so every order can be tested without a network.

use std::collections::BTreeMap;

use floodmark_model::{Attempt, ChannelId};

/// Offered connections `C` and waiting receivers `W`, by attempt and channel.
#[derive(Debug)]
pub struct Switchboard<C, W> {
    /// Everything older is refused.
    attempt: Attempt,
    offered: BTreeMap<(Attempt, ChannelId), C>,
    wanted: BTreeMap<(Attempt, ChannelId), W>,
}

/// What becomes of an offered connection.
#[derive(Debug, PartialEq, Eq)]
#[must_use]
pub enum Offer<C, W> {
    /// A receiver waits for it.
    Taken(C, W),
    /// No receiver yet; it is kept.
    Kept,
    /// It belongs to an attempt that is over.
    Stale,
}

impl<C, W> Switchboard<C, W> {
    /// Creates an empty switchboard.
    pub fn new() -> Self {
        let attempt = Attempt::default();
        Self { attempt, offered: BTreeMap::new(), wanted: BTreeMap::new() }
    }

    /// Begins `attempt`: forgets everything that belongs to older ones.
    pub fn on_attempt(&mut self, attempt: Attempt) {
        assert!(self.attempt <= attempt, "attempts only grow");
        self.attempt = attempt;
        self.offered.retain(|(of, _), _| attempt <= *of);
        self.wanted.retain(|(of, _), _| attempt <= *of);
    }

    /// Takes a connection that says it is `channel` of `attempt`. A second one replaces the first,
    /// which its sender has given up.
    pub fn on_offer(&mut self, attempt: Attempt, channel: ChannelId, offer: C) -> Offer<C, W> {
        if attempt < self.attempt {
            return Offer::Stale;
        }
        match self.wanted.remove(&(attempt, channel)) {
            Some(receiver) => Offer::Taken(offer, receiver),
            None => {
                self.offered.insert((attempt, channel), offer);
                Offer::Kept
            }
        }
    }

    /// Takes a receiver that waits for `channel` of `attempt`, and returns it with its connection if
    /// that is there.
    pub fn on_want(&mut self, attempt: Attempt, channel: ChannelId, receiver: W) -> Option<(C, W)> {
        match self.offered.remove(&(attempt, channel)) {
            Some(offer) => Some((offer, receiver)),
            None => {
                self.wanted.insert((attempt, channel), receiver);
                None
            }
        }
    }
}

impl<C, W> Default for Switchboard<C, W> {
    fn default() -> Self {
        Self::new()
    }
}

#[cfg(test)]
mod tests {
    use floodmark_model::{EdgeId, Term};

    use super::*;

    const CHANNEL: ChannelId = ChannelId { edge: EdgeId(0), from: 0, to: 1 };

    fn attempt(number: u32) -> Attempt {
        Attempt { term: Term(1), number }
    }

    #[test]
    fn either_side_may_come_first() {
        let mut board = Switchboard::new();
        assert_eq!(board.on_offer(attempt(1), CHANNEL, 'c'), Offer::Kept);
        assert_eq!(board.on_want(attempt(1), CHANNEL, 'w'), Some(('c', 'w')));
        assert_eq!(board.on_want(attempt(2), CHANNEL, 'w'), None);
        assert_eq!(board.on_offer(attempt(2), CHANNEL, 'd'), Offer::Taken('d', 'w'));
    }

    #[test]
    fn what_belongs_to_an_older_attempt_is_refused_and_forgotten() {
        let mut board: Switchboard<char, char> = Switchboard::new();
        assert_eq!(board.on_offer(attempt(1), CHANNEL, 'c'), Offer::Kept);
        board.on_attempt(attempt(2));
        assert_eq!(board.on_offer(attempt(1), CHANNEL, 'c'), Offer::Stale);
        assert_eq!(board.on_want(attempt(1), CHANNEL, 'w'), None);
    }

    #[test]
    fn a_connection_of_the_next_attempt_waits_for_its_deployment() {
        let mut board = Switchboard::new();
        assert_eq!(board.on_offer(attempt(2), CHANNEL, 'c'), Offer::Kept);
        board.on_attempt(attempt(2));
        assert_eq!(board.on_want(attempt(2), CHANNEL, 'w'), Some(('c', 'w')));
    }
}
