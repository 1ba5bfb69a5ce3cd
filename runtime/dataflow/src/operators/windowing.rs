//! Windows of every kind: assigners, triggers, evictors, and what is done with their contents.
//!
//! ```text
//! record ──assigner──▶ windows ──trigger──▶ Fire ──(evictor)──▶ function ──▶ results
//!                        └─ too late for all of them ──▶ late output
//! ```
//!
//! An [`Assigner`] says which windows a record belongs to, a [`Trigger`] when their contents are
//! handed to the [`WindowFunction`], and an [`Evictor`] what of the contents is left out. Windows that
//! merge (sessions) are merged before a record enters.
//!
//! Tumbling windows over event time with nothing special about them have an operator of their own,
//! [`WindowOperator`](super::WindowOperator), which is faster and gives the same results.
//!
//! # Sources
//!
//! Akidau et al., *The Dataflow Model* (VLDB 2015), for windows, triggers and their accumulation;
//! the order of events within an operator is that of Apache Flink, against whose recorded output it is
//! tested.

mod assigner;
mod context;
mod evictor;
mod function;
mod operator;
mod panes;
mod trigger;
mod triggers;

pub use assigner::{Assigner, Overlapping};
pub use context::{Values, WindowContext};
pub use evictor::{CountEvictor, DeltaEvictor, Evictor, EvictorContext, TimeEvictor};
pub use function::{
    Afterwards, Buffered, EmitResult, Evicted, Finish, Incremental, ProcessResult, SharedEvictor,
    WindowFunction, WindowProcess,
};
pub use operator::{WindowingOperator, WindowingOptions};
pub use trigger::{Trigger, TriggerContext, TriggerResult};
pub use triggers::{
    AtEnd, ContinuousEventTimeTrigger, ContinuousProcessingTimeTrigger, CountTrigger, DeltaTrigger,
    EventTimeTrigger, NeverTrigger, ProcessingTimeTrigger, PurgingTrigger,
};
