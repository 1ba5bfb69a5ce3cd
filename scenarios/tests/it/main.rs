//! The scenarios themselves, the command that runs them, and the same job on real threads.

mod command;
mod real_threads;
mod replay;
mod sweeps;
