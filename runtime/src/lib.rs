//! Floodmark: a stateful stream processor whose whole cluster can run inside a deterministic
//! simulation.
//!
//! A job is a function that takes an [`Environment`] and connects streams. The same function runs
//! for real, on threads and sockets, and in the simulator, where a seed is the whole story of a run.
//!
//! ```
//! use floodmark::{Collected, Environment, Tumbling, WatermarkStrategy, Window};
//! use std::time::Duration;
//!
//! /// Counts words in windows of five seconds.
//! fn word_count(env: &Environment) -> Collected<(String, Window, u64)> {
//!     let words = vec![("to".to_owned(), 1_000), ("be".to_owned(), 2_000), ("to".to_owned(), 3_000)];
//!     env.from_vec("words", words)
//!         .watermarks(
//!             WatermarkStrategy::bounded_out_of_orderness(Duration::from_secs(2))
//!                 .timestamps(|(_, time): &(String, i64)| *time),
//!         )
//!         .key_by(|(word, _)| word.clone())
//!         .window(Tumbling::event_time(Duration::from_secs(5)))
//!         .fold(0, |count, _| *count += 1)
//!         .uid("count")
//!         .collect("counts")
//! }
//!
//! # #[tokio::main]
//! # async fn main() -> Result<(), floodmark::Error> {
//! let env = Environment::new().parallelism(2);
//! let counts = word_count(&env);
//! env.execute("word-count").await?.wait().await?;
//!
//! let mut counts: Vec<_> = counts.values().into_iter().map(|(word, _, n)| (word, n)).collect();
//! counts.sort();
//! assert_eq!(counts, [("be".to_owned(), 1), ("to".to_owned(), 2)]);
//! # Ok(())
//! # }
//! ```

mod cluster;
mod connectors;
mod environment;
mod error;
mod explain;
mod job;
mod options;
mod path;
mod plan;
mod process;
mod stream;
mod windowed;
mod windows;

pub use cluster::{JobHandle, coordinator, coordinator_until, worker};
pub use connectors::{
    Collected, FileSink, Generator, HybridSource, Line, Malformed, MalformedLine, TextFile,
    VecSource,
};
pub use environment::Environment;
pub use error::{Error, ErrorKind};
pub use explain::{Explanation, PathGuarantee};
pub use floodmark_coordinator::JobStatus;
pub use floodmark_dataflow::{
    BoxError, Delivery, EndedInputs, Guarantee, OutputTag, SinkContext, Source, SplitReader,
    TransactionId, TwoPhaseCommit, Work,
    operators::{
        Aggregate, AggregatingRef, AggregatingState, Assigner, AsyncContext, AsyncOptions,
        AsyncRetryStrategy, AtEnd, BroadcastProcess, BroadcastRead, BroadcastWrite, CoProcess,
        Collector, Context, ContinuousEventTimeTrigger, ContinuousProcessingTimeTrigger,
        CountEvictor, CountTrigger, DeltaEvictor, DeltaTrigger, ErrorPolicy, EventTimeTrigger,
        Evictor, EvictorContext, Failed, InitializeContext, Interval, KeyedBroadcastProcess,
        KeyedCoProcess, KeyedProcess, ListState, MapState, NeverTrigger, Offset, OperatorListState,
        OperatorStateHandle, ProcessFunction, ProcessingTimeTrigger, PurgingTrigger, RecordContext,
        ReducingRef, ReducingState, RuleContext, Sided, StateHandle, TimeEvictor, Timers, Trigger,
        TriggerContext, TriggerResult, UnionListState, ValueState, Values, WatermarkGenerator,
        WatermarkOutput, WatermarkStrategy, Window, WindowContext, WindowProcess, Writer,
    },
};
pub use floodmark_host::{HostError, Secret};
pub use floodmark_model::{
    Attempt, Batch, ChannelId, CheckpointConfig, CheckpointId, ClusterConfig, EdgeId, Exchange,
    FileDigest, JobGraph, KeyGroup, LocalCopies, Record, RestartStrategy, RuntimeEvent,
    SectionDigest, SnapshotOrigin, SubtaskId, Term, TimeDomain, Timestamp, VertexId, WorkerId,
};
pub use floodmark_platform as platform;
pub use floodmark_state::{
    Data, Key, ListRef, MapRef, MigrateTo, Migration, Migrations, OperatorListRef, ValueRef,
};
pub use floodmark_wire::name as object_name;
pub use job::Job;
pub use process::Process;
pub use stream::{
    BroadcastStream, Connected, IntervalJoin, Joined, KeyedConnected, KeyedStream, KeyedWithRules,
    Stream, WindowedJoin, WithRules,
};
pub use windowed::WindowedStream;
pub use windows::{DynamicSession, Global, Session, Sliding, Tumbling};

/// The examples of the page on options, compiled and run with everything else.
#[cfg(doctest)]
#[doc = include_str!("../../docs/configuration.md")]
struct ConfigurationPage;

/// The example of the page on guarantees, compiled and run with everything else.
#[cfg(doctest)]
#[doc = include_str!("../../docs/guarantees.md")]
struct GuaranteesPage;

/// The examples of the page on time, compiled and run with everything else.
#[cfg(doctest)]
#[doc = include_str!("../../docs/time.md")]
struct TimePage;

/// The examples of the page on state, compiled and run with everything else.
#[cfg(doctest)]
#[doc = include_str!("../../docs/state.md")]
struct StatePage;

/// The examples of the page on process functions, compiled and run with everything else.
#[cfg(doctest)]
#[doc = include_str!("../../docs/process-functions.md")]
struct ProcessFunctionsPage;

/// The examples of the page on joins, compiled and run with everything else.
#[cfg(doctest)]
#[doc = include_str!("../../docs/joins.md")]
struct JoinsPage;

/// The examples of the page on windows, compiled and run with everything else.
#[cfg(doctest)]
#[doc = include_str!("../../docs/windows.md")]
struct WindowsPage;

/// The examples of the page on requests.
#[cfg(doctest)]
#[doc = include_str!("../../docs/async.md")]
struct AsyncPage;
/// The examples of the page on state without keys.
#[cfg(doctest)]
#[doc = include_str!("../../docs/operator-state.md")]
struct OperatorStatePage;

/// The examples of the page on state whose type changes.
#[cfg(doctest)]
#[doc = include_str!("../../docs/state-migration.md")]
struct StateMigrationPage;
