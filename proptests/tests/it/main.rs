//! Properties, one file for each part.

mod alignment;
mod clusters;
mod codec;
mod key_groups;
mod scenarios;
mod snapshots;
mod watermarks;
mod windows;
