//! Properties of the parts and of whole clusters.
//!
//! The properties are tests, in `tests/it`. Each compares a part with a model too simple to be wrong,
//! states a law, or runs a whole cluster under a generated fault plan. Inputs that once failed are
//! kept in `proptest-regressions` and are tried first.
