//! Properties, one file for each part.

mod alignment;
mod codec;
mod key_groups;
mod snapshots;
mod watermarks;
mod windows;
