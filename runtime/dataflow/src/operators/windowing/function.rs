//! What is kept of a window, and what becomes of it when the window fires.

use std::{marker::PhantomData, sync::Arc};

use floodmark_model::Record;
use floodmark_state::{Data, Key};

use crate::{
    BoxError,
    operators::{Accumulate, Window},
};

use super::{
    context::{Values, WindowContext},
    evictor::{Evictor, EvictorContext},
};

/// A function over the contents of a window, with state and side outputs.
///
/// The value that implements it is shared by all windows of a subtask and is *not* part of any
/// snapshot: what must survive a failure belongs in state.
///
/// # Examples
///
/// ```
/// # mod floodmark { pub use floodmark_dataflow::{*, operators::*}; pub use floodmark_model::*; }
/// use floodmark::{BoxError, Timestamp, Values, WindowContext, WindowProcess};
///
/// /// Emits the end of each window, and its middle value.
/// #[derive(Clone)]
/// struct Median;
///
/// impl WindowProcess for Median {
///     type Key = String;
///     type In = u64;
///     type Out = (Timestamp, u64);
///
///     fn process(
///         &mut self,
///         values: Values<'_, u64>,
///         cx: &mut WindowContext<'_, String, (Timestamp, u64)>,
///     ) -> Result<(), BoxError> {
///         let mut values: Vec<u64> = values.iter().copied().collect();
///         values.sort_unstable();
///         if let Some(median) = values.get(values.len() / 2) {
///             let end = cx.window().end;
///             cx.emit((end, *median));
///         }
///         Ok(())
///     }
/// }
/// ```
#[doc(alias = "ProcessWindowFunction")]
pub trait WindowProcess: Send + 'static {
    /// What the stream is keyed by.
    type Key: Key;
    /// What the windows hold: records, or the one result of an aggregation.
    type In: Data;
    /// What it emits.
    type Out: Data;

    /// Prepares for the first window. Called once in every attempt.
    ///
    /// # Errors
    ///
    /// When the function cannot work; the attempt fails.
    fn open(&mut self) -> Result<(), BoxError> {
        Ok(())
    }

    /// Lets go of what `open` took. Called once in every attempt whose `open` succeeded, when the subtask
    /// is done: at the end of the input, and also when the attempt has failed or is cancelled. Not called
    /// when the process dies. What happened since the last checkpoint may come again, so this is no place
    /// for results. Nobody waits for it: the next attempt may have opened its functions before, in the same
    /// process, so what can be held only once is better taken with patience.
    ///
    /// # Errors
    ///
    /// When it cannot; the error is logged, and changes nothing.
    fn close(&mut self) -> Result<(), BoxError> {
        Ok(())
    }

    /// Processes a window that fires.
    ///
    /// # Errors
    ///
    /// When it cannot be processed; the attempt fails.
    fn process(
        &mut self,
        values: Values<'_, Self::In>,
        cx: &mut WindowContext<'_, Self::Key, Self::Out>,
    ) -> Result<(), BoxError>;

    /// Hears that nothing will come for the window any more, and clears the state that it has for it.
    ///
    /// # Errors
    ///
    /// When it cannot; the attempt fails.
    fn clear(&mut self, _cx: &mut WindowContext<'_, Self::Key, Self::Out>) -> Result<(), BoxError> {
        Ok(())
    }
}

/// Whether contents are needed after a window has fired.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Afterwards {
    /// The window may fire again.
    Keep,
    /// They are dropped.
    Drop,
}

/// Keeps the contents of windows and makes results of them.
pub trait WindowFunction<K: Key, T>: Send {
    /// What is kept per window.
    type Contents: Data;
    /// What is emitted.
    type Out: Data;

    /// Prepares for the first window.
    ///
    /// # Errors
    ///
    /// When a function of the user fails.
    fn open(&mut self) -> Result<(), BoxError> {
        Ok(())
    }

    /// Ends what `open` began.
    ///
    /// # Errors
    ///
    /// When a function of the user fails.
    fn close(&mut self) -> Result<(), BoxError> {
        Ok(())
    }

    /// Adds a record to a window's contents.
    fn add(&mut self, contents: &mut Option<Self::Contents>, record: Record<T>);

    /// Adds the contents of another window that becomes part of this one.
    fn merge(&mut self, contents: &mut Option<Self::Contents>, other: Self::Contents);

    /// Emits the result of contents.
    ///
    /// # Errors
    ///
    /// When a function of the user fails.
    fn fire(
        &mut self,
        contents: &mut Option<Self::Contents>,
        afterwards: Afterwards,
        cx: &mut WindowContext<'_, K, Self::Out>,
    ) -> Result<(), BoxError>;

    /// Hears that the window is forgotten.
    ///
    /// # Errors
    ///
    /// When a function of the user fails.
    fn clear(&mut self, _cx: &mut WindowContext<'_, K, Self::Out>) -> Result<(), BoxError> {
        Ok(())
    }
}

/// What becomes of the one result of a window.
pub trait Finish<K: Key, R: Data>: Send {
    /// What is emitted.
    type Out: Data;

    /// Prepares for the first window.
    ///
    /// # Errors
    ///
    /// When a function of the user fails.
    fn open(&mut self) -> Result<(), BoxError> {
        Ok(())
    }

    /// Ends what `open` began.
    ///
    /// # Errors
    ///
    /// When a function of the user fails.
    fn close(&mut self) -> Result<(), BoxError> {
        Ok(())
    }

    /// Emits what becomes of a result.
    ///
    /// # Errors
    ///
    /// When a function of the user fails.
    fn finish(
        &mut self,
        result: R,
        cx: &mut WindowContext<'_, K, Self::Out>,
    ) -> Result<(), BoxError>;

    /// Hears that the window is forgotten.
    ///
    /// # Errors
    ///
    /// When a function of the user fails.
    fn clear(&mut self, _cx: &mut WindowContext<'_, K, Self::Out>) -> Result<(), BoxError> {
        Ok(())
    }
}

/// Emits the result with its key and window.
#[derive(Clone, Copy, Debug, Default)]
pub struct EmitResult;

impl<K: Key, R: Data> Finish<K, R> for EmitResult {
    type Out = (K, Window, R);

    fn finish(
        &mut self,
        result: R,
        cx: &mut WindowContext<'_, K, Self::Out>,
    ) -> Result<(), BoxError> {
        let (key, window) = cx.owner.clone();
        cx.emit((key, window, result));
        Ok(())
    }
}

/// Hands the result to a function.
#[derive(Clone, Copy, Debug)]
pub struct ProcessResult<P>(pub P);

impl<P: WindowProcess> Finish<P::Key, P::In> for ProcessResult<P> {
    type Out = P::Out;

    fn open(&mut self) -> Result<(), BoxError> {
        self.0.open()
    }

    fn close(&mut self) -> Result<(), BoxError> {
        self.0.close()
    }

    fn finish(
        &mut self,
        result: P::In,
        cx: &mut WindowContext<'_, P::Key, P::Out>,
    ) -> Result<(), BoxError> {
        self.0.process(Values::of_result(&result), cx)
    }

    fn clear(&mut self, cx: &mut WindowContext<'_, P::Key, P::Out>) -> Result<(), BoxError> {
        self.0.clear(cx)
    }
}

/// Keeps one accumulator per window, to which each record is added at once.
pub struct Incremental<A, N> {
    accumulate: A,
    finish: N,
}

impl<A, N> Incremental<A, N> {
    /// Accumulates with `accumulate`, and ends with `finish`.
    pub fn new(accumulate: A, finish: N) -> Self {
        Self { accumulate, finish }
    }
}

impl<K, T, A, N> WindowFunction<K, T> for Incremental<A, N>
where
    K: Key,
    A: Accumulate<T>,
    N: Finish<K, A::Out>,
{
    type Contents = A::Acc;
    type Out = N::Out;

    fn open(&mut self) -> Result<(), BoxError> {
        self.finish.open()
    }

    fn close(&mut self) -> Result<(), BoxError> {
        self.finish.close()
    }

    fn add(&mut self, contents: &mut Option<A::Acc>, record: Record<T>) {
        match contents {
            Some(accumulator) => self.accumulate.add(accumulator, record.value),
            None => *contents = Some(self.accumulate.begin(record.value)),
        }
    }

    fn merge(&mut self, contents: &mut Option<A::Acc>, other: A::Acc) {
        *contents = Some(match contents.take() {
            Some(accumulator) => self.accumulate.merge(accumulator, other),
            None => other,
        });
    }

    fn fire(
        &mut self,
        contents: &mut Option<A::Acc>,
        afterwards: Afterwards,
        cx: &mut WindowContext<'_, K, N::Out>,
    ) -> Result<(), BoxError> {
        let accumulator = match afterwards {
            Afterwards::Keep => contents.clone(),
            Afterwards::Drop => contents.take(),
        };
        let Some(accumulator) = accumulator else { return Ok(()) };
        self.finish.finish(self.accumulate.finish(accumulator), cx)
    }

    fn clear(&mut self, cx: &mut WindowContext<'_, K, N::Out>) -> Result<(), BoxError> {
        self.finish.clear(cx)
    }
}

/// An evictor, if there is one.
pub type SharedEvictor<T> = Option<Arc<dyn Evictor<T>>>;

/// Keeps all records and hands them to a function.
pub struct Buffered<T, P> {
    process: P,
    evictor: SharedEvictor<T>,
}

impl<T, P> Buffered<T, P> {
    /// Hands the records that `evictor` leaves to `process`.
    pub fn new(process: P, evictor: SharedEvictor<T>) -> Self {
        Self { process, evictor }
    }
}

/// Adds a record to those that are kept.
fn keep<T>(contents: &mut Option<Vec<Record<T>>>, record: Record<T>) {
    contents.get_or_insert_with(Vec::new).push(record);
}

fn keep_all<T>(contents: &mut Option<Vec<Record<T>>>, mut other: Vec<Record<T>>) {
    contents.get_or_insert_with(Vec::new).append(&mut other);
}

/// Lets an evictor work on both sides of `fire`. Without records a window has no contents.
fn evicting<T: 'static, K: Key, O: Data>(
    contents: &mut Option<Vec<Record<T>>>,
    evictor: &SharedEvictor<T>,
    cx: &mut WindowContext<'_, K, O>,
    fire: impl FnOnce(&[Record<T>], &mut WindowContext<'_, K, O>) -> Result<(), BoxError>,
) -> Result<(), BoxError> {
    let Some(records) = contents else { return Ok(()) };
    let known = EvictorContext { window: cx.owner.1, watermark: cx.watermark };
    if let Some(evictor) = evictor {
        evictor.before(records, &known);
    }
    fire(records, cx)?;
    if let Some(evictor) = evictor {
        evictor.after(records, &known);
    }
    if records.is_empty() {
        *contents = None;
    }
    Ok(())
}

impl<T: Data, P: WindowProcess<In = T>> WindowFunction<P::Key, T> for Buffered<T, P> {
    type Contents = Vec<Record<T>>;
    type Out = P::Out;

    fn open(&mut self) -> Result<(), BoxError> {
        self.process.open()
    }

    fn close(&mut self) -> Result<(), BoxError> {
        self.process.close()
    }

    fn add(&mut self, contents: &mut Option<Vec<Record<T>>>, record: Record<T>) {
        keep(contents, record);
    }

    fn merge(&mut self, contents: &mut Option<Vec<Record<T>>>, other: Vec<Record<T>>) {
        keep_all(contents, other);
    }

    fn fire(
        &mut self,
        contents: &mut Option<Vec<Record<T>>>,
        _: Afterwards,
        cx: &mut WindowContext<'_, P::Key, P::Out>,
    ) -> Result<(), BoxError> {
        evicting(contents, &self.evictor, cx, |records, cx| {
            self.process.process(Values::of_records(records), cx)
        })
    }

    fn clear(&mut self, cx: &mut WindowContext<'_, P::Key, P::Out>) -> Result<(), BoxError> {
        self.process.clear(cx)
    }
}

/// Keeps all records, because an evictor may remove some, and accumulates the others at every firing.
pub struct Evicted<T, A, N> {
    accumulate: A,
    finish: N,
    evictor: SharedEvictor<T>,
    value: PhantomData<fn(T)>,
}

impl<T, A, N> Evicted<T, A, N> {
    /// Accumulates what `evictor` leaves, and ends with `finish`.
    pub fn new(accumulate: A, finish: N, evictor: Arc<dyn Evictor<T>>) -> Self {
        Self { accumulate, finish, evictor: Some(evictor), value: PhantomData }
    }
}

impl<K, T, A, N> WindowFunction<K, T> for Evicted<T, A, N>
where
    K: Key,
    T: Data,
    A: Accumulate<T>,
    N: Finish<K, A::Out>,
{
    type Contents = Vec<Record<T>>;
    type Out = N::Out;

    fn open(&mut self) -> Result<(), BoxError> {
        self.finish.open()
    }

    fn close(&mut self) -> Result<(), BoxError> {
        self.finish.close()
    }

    fn add(&mut self, contents: &mut Option<Vec<Record<T>>>, record: Record<T>) {
        keep(contents, record);
    }

    fn merge(&mut self, contents: &mut Option<Vec<Record<T>>>, other: Vec<Record<T>>) {
        keep_all(contents, other);
    }

    fn fire(
        &mut self,
        contents: &mut Option<Vec<Record<T>>>,
        _: Afterwards,
        cx: &mut WindowContext<'_, K, N::Out>,
    ) -> Result<(), BoxError> {
        let Self { accumulate, finish, evictor, .. } = self;
        evicting(contents, evictor, cx, |records, cx| {
            let mut values = records.iter().map(|record| record.value.clone());
            let begun = match values.next() {
                Some(first) => Some(accumulate.begin(first)),
                // An aggregate of nothing is a result, too; a reduction is none.
                None => accumulate.nothing(),
            };
            let Some(mut accumulator) = begun else { return Ok(()) };
            values.for_each(|value| accumulate.add(&mut accumulator, value));
            finish.finish(accumulate.finish(accumulator), cx)
        })
    }

    fn clear(&mut self, cx: &mut WindowContext<'_, K, N::Out>) -> Result<(), BoxError> {
        self.finish.clear(cx)
    }
}
