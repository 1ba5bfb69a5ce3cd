//! The façade on the real machine: threads, TCP over loopback, and directories of its own.

mod aligned_sources;
mod async_map;
mod bad_input;
mod busy_sources;
mod exactly_once;
mod explain;
mod hybrid;
mod lifecycle;
mod machine;
mod migration;
mod operator_state;
mod state_size;
mod text_file;
mod timers;
mod windows;
