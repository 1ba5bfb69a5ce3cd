//! The simulated machine behind the platform: nodes, clock, network, storage, faults, replay.
