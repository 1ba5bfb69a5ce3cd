//! What travels in a channel.

use serde::{Deserialize, Serialize};

use crate::{CheckpointId, Timestamp};

/// One datum with its event time.
///
/// # Examples
///
/// ```
/// # use floodmark_model as floodmark;
/// use floodmark::{Record, Timestamp};
///
/// let record = Record { timestamp: Timestamp(1_000), value: "tea" };
/// assert_eq!(record.value, "tea");
/// assert_eq!(Record::from("tea").timestamp, Timestamp::MIN);
/// ```
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Record<T> {
    /// When it happened; [`Timestamp::MIN`] until a watermark strategy has told.
    pub timestamp: Timestamp,
    /// The datum.
    pub value: T,
}

impl<T> From<T> for Record<T> {
    /// Returns the record of a value whose event time is not known yet.
    fn from(value: T) -> Self {
        Self { timestamp: Timestamp::MIN, value }
    }
}

/// Consecutive records of one channel, moved together.
///
/// # Examples
///
/// ```
/// # use floodmark_model as floodmark;
/// use floodmark::{Batch, Record};
///
/// let batch: Batch<u64> = (0..3).map(Record::from).collect();
/// assert_eq!(batch.len(), 3);
/// ```
pub type Batch<T> = Vec<Record<T>>;

/// The mark that separates two epochs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Barrier {
    /// The checkpoint whose epoch ends here.
    pub checkpoint: CheckpointId,
    /// Whether all sources are exhausted, so that no record follows on the channel.
    pub is_final: bool,
}

/// What travels in a channel.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[doc(alias = "StreamElement")]
pub enum Element<T> {
    /// Records.
    Batch(Batch<T>),
    /// A promise that no record with this timestamp or an earlier one follows.
    Watermark(Timestamp),
    /// The end of an epoch.
    Barrier(Barrier),
    /// Nothing will come for a while; do not wait for this channel's watermark. Revoked by the
    /// next batch or watermark.
    Idle,
    /// Nothing follows, ever. Only in jobs without checkpoints.
    End,
}

impl<T> Element<T> {
    /// Returns what the element is, as the network and the traces call it.
    pub fn label(&self) -> &'static str {
        match self {
            Self::Batch(_) => "records",
            Self::Watermark(_) => "watermark",
            Self::Barrier(_) => "barrier",
            Self::Idle => "idle",
            Self::End => "end",
        }
    }
}
