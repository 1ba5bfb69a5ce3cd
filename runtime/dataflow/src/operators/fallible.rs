//! Functions that can fail for a record, and what becomes of the record then.

use std::marker::PhantomData;

use floodmark_model::{Batch, Record};
use floodmark_state::Data;
use serde::{Deserialize, Serialize};

use crate::{
    BoxError, Error, OutputTag,
    chain::{Emitter, Operator},
};

/// What becomes of a record for which a function fails.
///
/// It is for functions without state: what one has changed before it failed would stay changed. A
/// process function that fails always fails the job's attempt.
///
/// # Examples
///
/// ```
/// use floodmark_dataflow::{OutputTag, operators::{ErrorPolicy, Failed}};
///
/// const BROKEN: OutputTag<Failed<String>> = OutputTag::new("broken");
/// let policy = ErrorPolicy::To(BROKEN);
/// # let _ = policy;
/// ```
#[derive(Debug)]
pub enum ErrorPolicy<T> {
    /// The attempt fails, and the job is restarted as its `RestartStrategy` says.
    Fail,
    /// The record goes to this side output, with the reason, and the job goes on. Each record is cloned
    /// before the function takes it.
    To(OutputTag<Failed<T>>),
    /// The record is left out, and the job goes on. The log has a warning for each.
    Skip,
}

/// A record for which a function has failed.
///
/// # Examples
///
/// ```
/// use floodmark_dataflow::operators::Failed;
///
/// let failed = Failed { value: "a dozen".to_owned(), reason: "not a number".to_owned() };
/// assert_eq!(format!("{}: {}", failed.value, failed.reason), "a dozen: not a number");
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Failed<T> {
    /// The record as the function got it.
    pub value: T,
    /// The error in words.
    pub reason: String,
}

impl<T> Clone for ErrorPolicy<T> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<T> Copy for ErrorPolicy<T> {}

/// One record in, any number out, or an error.
pub struct TryFlatMap<T, F> {
    name: &'static str,
    policy: ErrorPolicy<T>,
    map: F,
    value: PhantomData<fn(T)>,
}

impl<T, F> TryFlatMap<T, F> {
    /// Maps with `map`; errors name `name`.
    pub fn new(name: &'static str, policy: ErrorPolicy<T>, map: F) -> Self {
        Self { name, policy, map, value: PhantomData }
    }
}

impl<T, I, F> Operator for TryFlatMap<T, F>
where
    T: Data,
    I: IntoIterator,
    I::Item: Data,
    F: FnMut(T) -> Result<I, BoxError> + Send,
{
    type In = T;
    type Out = I::Item;

    fn on_batch(&mut self, batch: Batch<T>, out: &mut Emitter<I::Item>) -> Result<(), Error> {
        let operator = self.name;
        for Record { timestamp, value } in batch {
            let kept = match self.policy {
                ErrorPolicy::To(tag) => Some((tag, value.clone())),
                ErrorPolicy::Fail | ErrorPolicy::Skip => None,
            };
            match ((self.map)(value), kept) {
                (Ok(values), _) => values.into_iter().for_each(|value| out.emit(timestamp, value)),
                (Err(error), Some((tag, value))) => {
                    out.emit_to(tag, timestamp, Failed { value, reason: error.to_string() });
                }
                (Err(error), None) if matches!(self.policy, ErrorPolicy::Skip) => {
                    tracing::warn!(%error, operator, %timestamp, "a record is left out");
                }
                (Err(source), None) => {
                    return Err(Error::Operator { operator: operator.to_owned(), source });
                }
            }
        }
        Ok(())
    }
}
