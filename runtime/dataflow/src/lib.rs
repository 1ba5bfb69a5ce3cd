//! How records move: channels, gates, alignment, operators, the subtask loop.
//!
//! # Life of a record
//!
//! 1. A [`SplitReader`] yields it in a batch, or a [`ChannelReceiver`] takes the batch off its channel.
//! 2. The [`Head`] of the subtask pushes the batch into the chain.
//! 3. Each operator of the chain turns the batch into another one and pushes that on. One that asks
//!    somebody for each record keeps it until the answer is there, and the subtask asks for answers
//!    between two batches.
//! 4. An [`Exchange`] at the end of the chain puts the record into the open batch of its channel.
//! 5. The [`ChannelSender`] moves the closed batch to a subtask of the same process, or encodes it
//!    into one frame for another.
//!
//! # Life of a barrier
//!
//! A source's subtask loop ([`Subtask`]) is told to trigger, snapshots its positions and emits the
//! barrier into its chain in the same step. The exchanges close their batches and send it on every
//! channel. Each gate reports it to the loop of its subtask, where the [`Alignment`] decides whether
//! to block the channel or, at the last barrier, to take the snapshot and forward. In a subtask
//! without exchanges the barrier ends: its snapshot is frozen, stored in the background and
//! acknowledged to the coordinator.

mod alignment;
mod chain;
mod channel;
mod drift;
mod error;
mod exchange;
mod gate;
mod guarantee;
mod head;
pub mod operators;
mod program;
mod source;
mod subtask;
mod ticker;
mod transaction;
mod turn;
mod uploader;
mod watermark;

pub use alignment::{Alignment, Step};
pub use chain::{
    Chained, Commit, Emitter, Load, OpenContext, Operator, Output, OutputTag, Push, SideOutputs,
    Split, Stage,
};
pub use channel::{ChannelReceiver, ChannelSender, InputEnd, OutputEnd, local_channel};
pub use drift::SourceDrift;
pub use error::{BoxError, Error};
pub use exchange::{
    Broadcast, Exchange, Forward, HashPartitioner, OpenBatches, Partitioner, Rebalance,
};
pub use gate::Gate;
pub use guarantee::{Delivery, Guarantee};
pub use head::{GateHead, Head, Input};
pub use program::{Program, Wiring};
pub use source::{Source, SourceHead, SplitReader};
pub use subtask::{Command, News, Report, Subtask, SubtaskOptions};
pub use transaction::{SinkContext, TransactionId, TransactionSink, TwoPhaseCommit, Work};
pub use watermark::{EndedInputs, WatermarkFloor, WatermarkMerge};
