//! What the runtime says about itself, to whoever listens.

use std::{
    any::Any,
    fmt::Debug,
    hash::{Hash, Hasher},
    sync::Arc,
};

/// Something that happened in the runtime: a value with a label.
///
/// Implemented for every plain type that converts into its label and its fields, so a layer above defines the
/// vocabulary and this one passes it on without knowing it.
pub trait Observation: Any + Debug + Send + Sync {
    /// Returns the name of what happened, the same for every occurrence.
    fn label(&self) -> &'static str;

    /// Returns the numbers that tell this occurrence from others, by name.
    fn fields(&self) -> Vec<(&'static str, u64)>;

    /// Feeds the whole value to `hasher`.
    fn feed(&self, hasher: &mut dyn Hasher);

    /// Returns the value itself, for those who know its type.
    fn as_any(&self) -> &dyn Any;

    /// Returns a copy of the value, for those who keep it.
    fn keep(&self) -> Arc<dyn Observation>;
}

impl<T> Observation for T
where
    T: Any + Clone + Debug + Hash + Send + Sync,
    for<'a> &'a T: Into<&'static str> + Into<Vec<(&'static str, u64)>>,
{
    fn label(&self) -> &'static str {
        self.into()
    }

    fn fields(&self) -> Vec<(&'static str, u64)> {
        self.into()
    }

    fn feed(&self, mut hasher: &mut dyn Hasher) {
        self.hash(&mut hasher);
    }

    fn as_any(&self) -> &dyn Any {
        self
    }

    fn keep(&self) -> Arc<dyn Observation> {
        Arc::new(self.clone())
    }
}

/// Takes observations.
pub trait Observe {
    /// Returns whether anyone listens. It does not change while the node runs.
    fn is_observed(&self) -> bool;

    /// Takes one observation. The runtime cannot tell what becomes of it.
    fn observe(&self, observation: &dyn Observation);
}
