//! What is promised about records when something fails.

use std::fmt;

/// How often a record has its effect when something fails on its way. Weaker ones come first.
///
/// # Examples
///
/// The end-to-end guarantee is that of the weakest part:
///
/// ```
/// use floodmark_dataflow::{Delivery, Guarantee};
///
/// let parts = [Guarantee::ExactlyOnce, Delivery::Plain.guarantee()];
/// assert_eq!(parts.into_iter().min(), Some(Guarantee::AtLeastOnce));
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[doc(alias = "CheckpointingMode")]
#[doc(alias = "DeliveryGuarantee")]
pub enum Guarantee {
    /// None: nothing is known of what came before a failure.
    Nothing,
    /// A record can be lost.
    AtMostOnce,
    /// No record is lost. One can have its effect again.
    AtLeastOnce,
    /// No record is lost, and none has its effect twice.
    ExactlyOnce,
}

impl fmt::Display for Guarantee {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Nothing => "nothing",
            Self::AtMostOnce => "at most once",
            Self::AtLeastOnce => "at least once",
            Self::ExactlyOnce => "exactly once",
        })
    }
}

/// How what ends a stream treats records that come again after a failure.
///
/// # Examples
///
/// ```
/// use floodmark_dataflow::{Delivery, Guarantee};
///
/// assert_eq!(Delivery::Transactional.guarantee(), Guarantee::ExactlyOnce);
/// assert_eq!(Delivery::Idempotent.guarantee(), Guarantee::ExactlyOnce);
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Delivery {
    /// It writes them again.
    Plain,
    /// It writes them again over what it wrote before, as one does by key. Until it has caught up, a
    /// reader can see earlier values again.
    Idempotent,
    /// It commits in two phases: what was not committed is discarded, and nothing else comes again.
    Transactional,
}

impl Delivery {
    /// Returns what can be promised of records that end so, if all before them is exactly once.
    pub fn guarantee(self) -> Guarantee {
        match self {
            Self::Plain => Guarantee::AtLeastOnce,
            Self::Idempotent | Self::Transactional => Guarantee::ExactlyOnce,
        }
    }
}
