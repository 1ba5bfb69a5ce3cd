//! Frames of a data connection: one channel of one attempt.
//!
//! ```text
//! sender                               receiver
//!   ── Handshake ─────────────────────────▶   which channel of which attempt this is
//!   ── DataFrame 0, 1, 2, … ──────────────▶   one element each; costs one credit
//!   ── DataFrame::Pulse { next } ─────────▶   "you should have seen everything before `next`"
//!   ◀───────────────── ReverseFrame::Credit   elements consumed so far, in total
//! ```
//!
//! Frames may be lost or repeated. Sequence numbers reveal it; credit is a running total, so that a
//! later one makes up for a lost one; pulses reveal the loss of the last frame before a silence.

use bytes::Bytes;
use floodmark_model::{Attempt, ChannelId, Element};
use serde::{Deserialize, Serialize, de::DeserializeOwned};

use crate::{
    WireError,
    codec::{self, Format},
};

const HANDSHAKE: Format = Format { magic: *b"FMdh", version: 1 };
const DATA: Format = Format { magic: *b"FMdf", version: 1 };
const REVERSE: Format = Format { magic: *b"FMdr", version: 1 };

/// The first frame of a data connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Handshake {
    /// The attempt of the sender.
    pub attempt: Attempt,
    /// The channel it wants to send on.
    pub channel: ChannelId,
}

/// A frame to the receiver.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum DataFrame<T> {
    /// An element.
    Element {
        /// The attempt of the sender.
        attempt: Attempt,
        /// The channel.
        channel: ChannelId,
        /// Position in the channel, from 0.
        sequence: u64,
        /// The element itself.
        element: Element<T>,
    },
    /// A sign of life.
    Pulse {
        /// The attempt of the sender.
        attempt: Attempt,
        /// The channel.
        channel: ChannelId,
        /// The sequence number that the next element will have.
        next: u64,
    },
}

/// A frame back to the sender.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ReverseFrame {
    /// The attempt of the receiver.
    pub attempt: Attempt,
    /// Elements taken from the channel since the attempt began.
    pub consumed: u64,
}

impl Handshake {
    /// Returns the bytes of the frame.
    pub fn encode(&self) -> Bytes {
        codec::encode(HANDSHAKE, self)
    }
}

impl ReverseFrame {
    /// Returns the bytes of the frame.
    pub fn encode(&self) -> Bytes {
        codec::encode(REVERSE, self)
    }
}

/// Returns the bytes of `frame`.
pub fn encode_data<T: Serialize>(frame: &DataFrame<T>) -> Bytes {
    codec::encode(DATA, frame)
}

/// Returns the frame in `bytes`.
///
/// # Errors
///
/// When the bytes are not a whole frame of this version and type.
pub fn decode_data<T: DeserializeOwned>(bytes: &[u8]) -> Result<DataFrame<T>, WireError> {
    codec::decode(DATA, bytes)
}

/// Returns the frame in `bytes`.
///
/// # Errors
///
/// When the bytes are not a whole frame of this version.
pub fn decode_handshake(bytes: &[u8]) -> Result<Handshake, WireError> {
    codec::decode(HANDSHAKE, bytes)
}

/// Returns the frame in `bytes`.
///
/// # Errors
///
/// When the bytes are not a whole frame of this version.
pub fn decode_reverse(bytes: &[u8]) -> Result<ReverseFrame, WireError> {
    codec::decode(REVERSE, bytes)
}
