//! What the catalogue of bugs says of each.

use super::Switch;

/// A mistake that was made once.
#[derive(Debug)]
pub struct Bug {
    /// Its id in this catalogue.
    pub id: &'static str,
    /// Where it was reported, or what it is known as.
    pub source: &'static str,
    /// The mistake in a sentence.
    pub mistake: &'static str,
    /// Whether it can be planted.
    pub state: BugState,
}

/// Whether a bug can be planted.
#[derive(Debug)]
pub enum BugState {
    /// It can be switched on.
    Planted {
        /// The switch.
        bug: Switch,
        /// The scenarios that expose it.
        scenarios: &'static [&'static str],
        /// The checks that may find it, the expected one first.
        checks: &'static [&'static str],
    },
    /// It is in a job: the scenario is the switch.
    BrokenJob {
        /// The mistake in two or three words.
        name: &'static str,
        /// The scenario of the broken job.
        scenario: &'static str,
        /// The same scenario of the right job.
        right: &'static str,
        /// The checks that may find it, the expected one first.
        checks: &'static [&'static str],
    },
    /// The part that it would be planted in exists, and it is not planted.
    Due,
    /// The part that it would be planted in does not exist.
    Waiting {
        /// The part.
        for_what: &'static str,
    },
}
