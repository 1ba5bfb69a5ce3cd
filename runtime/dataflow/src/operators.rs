//! The operators of the library.
//!
//! Each is a plain [`Operator`](crate::Operator): what becomes of a batch, what of a watermark, and
//! what it keeps in a snapshot. How they are put together is the façade's business.

mod generators;
mod keyed;
mod process;
mod reduce;
mod stateless;
mod timer_watch;
mod watermarks;
mod window;
mod windowing;
mod writer;

pub use generators::{WatermarkGenerator, WatermarkOutput};
pub use keyed::KeyOf;
pub use process::{Context, KeyedProcess, ProcessOperator, StateHandle, Timers, ValueState};
pub use reduce::RollingReduce;
pub use stateless::{Filter, FlatMap, ForEach, Map, Timestamped};
pub use watermarks::{WatermarkOperator, WatermarkStrategy};
pub use window::{
    Accumulate, Aggregate, AggregateWith, FoldWith, ReduceWith, Window, WindowOperator,
    WindowOptions,
};
pub use windowing::{
    Afterwards, Assigner, AtEnd, Buffered, ContinuousEventTimeTrigger,
    ContinuousProcessingTimeTrigger, CountEvictor, CountTrigger, DeltaEvictor, DeltaTrigger,
    EmitResult, EventTimeTrigger, Evicted, Evictor, EvictorContext, Finish, Incremental,
    NeverTrigger, ProcessResult, ProcessingTimeTrigger, PurgingTrigger, SharedEvictor, TimeEvictor,
    Trigger, TriggerContext, TriggerResult, Values, WindowContext, WindowFunction, WindowProcess,
    WindowingOperator, WindowingOptions,
};
pub use writer::{Writer, WriterOperator};
