//! What the runtime asks of the machine beneath it.
//!
//! Every clock reading, frame, stored object, task and free choice passes through a trait of this
//! crate. The real machine implements them in `host`, the simulated one in `sim`, and nothing above
//! can tell which one it runs on. There is no second door: a call that goes around this crate makes
//! a failing seed impossible to replay.
//!
//! The traits are object-safe and hide behind one cheap handle, [`Machine`], so no code above is
//! generic over the world. The price of the indirection is paid once per batch, never per record.
//!
//! # Examples
//!
//! ```
//! # use floodmark_platform as platform;
//! use platform::{Machine, StoreError};
//!
//! /// Returns the size of an object, wherever the machine keeps its objects.
//! async fn size_bytes(machine: &Machine, key: &str) -> Result<usize, StoreError> {
//!     let object = machine.object_store().get(key).await?;
//!     Ok(object.len())
//! }
//! ```

mod clock;
mod disk;
mod entropy;
mod machine;
mod network;
mod object_store;
mod observe;
mod planted;
mod tasks;

pub use clock::Clock;
pub use disk::Disk;
pub use entropy::Entropy;
pub use machine::{Machine, Platform};
pub use network::{
    Address, Connection, Frame, FrameKind, FrameReceiver, FrameSender, Listener, Network,
};
pub use object_store::{ObjectEntry, ObjectStore, StoreError};
pub use observe::{Observation, Observe};
#[cfg(feature = "planted-bugs")]
pub use planted::{PlantedBug, plant, planted};
pub use tasks::{Abort, TaskError, TaskHandle, Tasks};

/// A boxed future, as the object-safe traits of this crate return it.
pub type BoxFuture<T> = std::pin::Pin<Box<dyn Future<Output = T> + Send + 'static>>;
