//! A stateful stream processor whose whole cluster can run inside a deterministic simulation.
