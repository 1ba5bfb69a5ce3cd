//! What the `floodmark` command can do, a file for each.

pub(crate) mod bench;
pub(crate) mod bugs;
pub(crate) mod cluster;
pub(crate) mod conformance;
pub(crate) mod explain;
pub(crate) mod log;
pub(crate) mod reader;
pub(crate) mod shrink;
pub(crate) mod sweep;
pub(crate) mod view;
