//! The words of the runtime: ids, key groups, event time, elements, graphs, configuration.
//!
//! Everything here is plain data that several crates must agree on. Nothing here acts: there is no
//! I/O, no task and no clock, so each type can be read, compared and tested alone.

mod config;
mod element;
mod event;
mod execution_graph;
mod id;
mod job_graph;
mod key_group;
mod timestamp;

pub use config::{CheckpointConfig, ClusterConfig, ConfigError, LocalCopies, RestartStrategy};
pub use element::{Barrier, Batch, Element, Record};
pub use event::{FileDigest, RuntimeEvent, SectionDigest, SnapshotOrigin};
pub use execution_graph::{ExecutionGraph, SubtaskChannels};
pub use id::{Attempt, ChannelId, CheckpointId, EdgeId, SubtaskId, Term, VertexId, WorkerId};
pub use job_graph::{Edge, Exchange, JobGraph, Vertex};
pub use key_group::{KEY_GROUP_COUNT_MAX, KeyGroup, KeyGroupLayout, KeyGroupRange, KeyPlace};
pub use timestamp::{TimeDomain, Timestamp};
