//! The operators of the library.
//!
//! Each is a plain [`Operator`](crate::Operator): what becomes of a batch, what of a watermark, and
//! what it keeps in a snapshot. How they are put together is the façade's business.

mod async_map;
mod broadcast;
mod collect;
mod context;
mod fallible;
mod generators;
mod handles;
mod interval_join;
mod keyed;
mod lifecycle;
mod lists;
mod process;
mod record_counts;
mod record_process;
mod reduce;
mod session;
mod sliding;
mod stateful;
mod stateless;
mod timer_watch;
#[cfg(test)]
mod trial;
mod two_inputs;
mod watermarks;
mod window;
mod windowing;
mod writer;

pub use async_map::{AsyncCall, AsyncContext, AsyncOperator, AsyncOptions, AsyncRetryStrategy};
pub use broadcast::{
    BroadcastOperator, BroadcastProcess, BroadcastRead, BroadcastWrite, KeyedBroadcastOperator,
    KeyedBroadcastProcess, RuleContext,
};
pub use collect::{CollectMap, Collector};
pub use context::{Context, Timers};
pub use fallible::{ErrorPolicy, Failed, TryFlatMap};
pub use generators::{WatermarkGenerator, WatermarkOutput};
pub use handles::{
    AggregatingRef, AggregatingState, ListState, MapState, ReducingRef, ReducingState, StateHandle,
    ValueState,
};
pub use interval_join::{Interval, IntervalJoinProcess, LateTags, Offset};
pub use keyed::KeyOf;
pub use lists::{InitializeContext, OperatorListState, OperatorStateHandle, UnionListState};
pub use process::{KeyedProcess, ProcessOperator};
pub use record_process::{ProcessFunction, RecordContext, RecordProcessOperator};
pub use reduce::RollingReduce;
pub use session::SessionOperator;
pub use sliding::SlidingOperator;
pub use stateful::Stateful;
pub use stateless::{Filter, ForEach, Map, Timestamped};
pub use two_inputs::{CoProcess, KeyedCoProcess, Mark, OverBoth, OverBothRecords, Sided};
pub use watermarks::{WatermarkOperator, WatermarkStrategy};
pub use window::{
    Accumulate, Aggregate, AggregateWith, FoldWith, ReduceWith, Window, WindowOperator,
    WindowOptions,
};
pub use windowing::{
    Afterwards, Assigner, AtEnd, Buffered, ContinuousEventTimeTrigger,
    ContinuousProcessingTimeTrigger, CountEvictor, CountTrigger, DeltaEvictor, DeltaTrigger,
    EmitResult, EventTimeTrigger, Evicted, Evictor, EvictorContext, Finish, Incremental,
    NeverTrigger, Overlapping, ProcessResult, ProcessingTimeTrigger, PurgingTrigger, SharedEvictor,
    TimeEvictor, Trigger, TriggerContext, TriggerResult, Values, WindowContext, WindowFunction,
    WindowProcess, WindowingOperator, WindowingOptions,
};
pub use writer::{Writer, WriterOperator};
