//! What a window function can reach.

use floodmark_model::{KeyPlace, Record, Timestamp};
use floodmark_platform::Machine;
use floodmark_state::{Data, Key, KeyedStore};
use floodmark_wire::key_hash;

use crate::{
    OutputTag,
    chain::Emitter,
    operators::{StateHandle, Window},
};

/// The values of a window that fires, in the order in which they came.
///
/// # Examples
///
/// ```
/// # mod floodmark { pub use floodmark_dataflow::{*, operators::*}; pub use floodmark_model::*; }
/// use floodmark::Values;
///
/// /// Returns the distance between the smallest and the largest value.
/// fn spread(values: Values<'_, u64>) -> Option<u64> {
///     Some(values.iter().max()? - values.iter().min()?)
/// }
/// ```
#[derive(Debug)]
pub struct Values<'a, T>(Kept<'a, T>);

#[derive(Debug)]
enum Kept<'a, T> {
    Records(&'a [Record<T>]),
    Result(&'a T),
}

impl<T> Clone for Values<'_, T> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<T> Copy for Values<'_, T> {}

impl<T> Clone for Kept<'_, T> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<T> Copy for Kept<'_, T> {}

impl<'a, T> Values<'a, T> {
    pub(super) fn of_records(records: &'a [Record<T>]) -> Self {
        Self(Kept::Records(records))
    }

    pub(super) fn of_result(result: &'a T) -> Self {
        Self(Kept::Result(result))
    }

    /// Returns how many there are. None, if an evictor has left none.
    pub fn len(&self) -> usize {
        match self.0 {
            Kept::Records(records) => records.len(),
            Kept::Result(_) => 1,
        }
    }

    /// Returns whether there are none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Returns the value at a position, if there are so many.
    pub fn get(&self, position: usize) -> Option<&'a T> {
        match self.0 {
            Kept::Records(records) => records.get(position).map(|record| &record.value),
            Kept::Result(result) => (position == 0).then_some(result),
        }
    }

    /// Returns the values.
    pub fn iter(&self) -> impl Iterator<Item = &'a T> + use<'a, T> {
        let values = *self;
        (0..self.len()).filter_map(move |position| values.get(position))
    }

    /// Returns the values in the order of their timestamps; those of one time in the order in which they
    /// came. Costs a sort of as many references.
    ///
    /// # Examples
    ///
    /// ```
    /// # mod floodmark { pub use floodmark_dataflow::{*, operators::*}; pub use floodmark_model::*; }
    /// use floodmark::Values;
    ///
    /// /// Returns by how much a level has risen from the first reading to the last.
    /// fn rise(levels: Values<'_, i64>) -> Option<i64> {
    ///     let levels = levels.by_time();
    ///     Some(**levels.last()? - **levels.first()?)
    /// }
    /// ```
    pub fn by_time(&self) -> Vec<&'a T> {
        match self.0 {
            Kept::Records(records) => {
                let mut records: Vec<_> = records.iter().collect();
                records.sort_by_key(|record| record.timestamp);
                records.into_iter().map(|record| &record.value).collect()
            }
            Kept::Result(result) => vec![result],
        }
    }
}

/// What a window function can reach: one window of one key.
///
/// # Examples
///
/// ```
/// # mod floodmark { pub use floodmark_dataflow::{*, operators::*}; pub use floodmark_model::*; }
/// use floodmark::{ValueState, Values, WindowContext};
///
/// const WINDOW_COUNT: ValueState<u64> = ValueState::new("windows");
///
/// /// Numbers the windows of each key.
/// fn number(values: Values<'_, u64>, cx: &mut WindowContext<'_, String, (u64, usize)>) {
///     cx.state(WINDOW_COUNT).update(|count| *count += 1);
///     let number = cx.state(WINDOW_COUNT).or_default();
///     cx.emit((number, values.len()));
/// }
/// ```
pub struct WindowContext<'a, K, O> {
    pub(super) owner: &'a (K, Window),
    pub(super) place: KeyPlace,
    pub(super) watermark: Timestamp,
    pub(super) machine: &'a Machine,
    pub(super) of_key: &'a mut KeyedStore<K>,
    /// Absent where windows merge.
    pub(super) of_window: Option<&'a mut KeyedStore<(K, Window)>>,
    pub(super) out: &'a mut Emitter<O>,
}

impl<K: Key, O: Data> WindowContext<'_, K, O> {
    /// Returns the key.
    pub fn key(&self) -> &K {
        &self.owner.0
    }

    /// Returns the window.
    pub fn window(&self) -> Window {
        self.owner.1
    }

    /// Returns the event time of the operator: no record at or before it is expected.
    pub fn current_watermark(&self) -> Timestamp {
        self.watermark
    }

    /// Reads the node's clock.
    pub fn current_processing_time(&self) -> Timestamp {
        Timestamp::of_clock(self.machine.clock().wall())
    }

    /// Emits a value with the last timestamp of the window.
    pub fn emit(&mut self, value: O) {
        self.out.emit(self.owner.1.max_timestamp(), value);
    }

    /// Emits a value to a side output, with the last timestamp of the window.
    pub fn emit_to<T: Data>(&mut self, tag: OutputTag<T>, value: T) {
        self.out.emit_to(tag, self.owner.1.max_timestamp(), value);
    }

    /// Returns the key's part of a state that all its windows share.
    ///
    /// # Panics
    ///
    /// When the state was stored with another type, or is used with two types.
    #[doc(alias = "globalState")]
    pub fn state<H: StateHandle>(&mut self, handle: H) -> H::Ref<'_, K> {
        match handle.bind(self.of_key, self.place, &self.owner.0) {
            Ok(bound) => bound,
            Err(error) => panic!("{error}"),
        }
    }

    /// Returns the window's part of a state, which no other window sees. It is not dropped with the
    /// window: that is what [`WindowProcess::clear`](super::WindowProcess::clear) is for.
    ///
    /// # Panics
    ///
    /// When the windows merge, and when the state was stored with another type, or is used with two
    /// types.
    #[doc(alias = "windowState")]
    pub fn window_state<H: StateHandle>(&mut self, handle: H) -> H::Ref<'_, (K, Window)> {
        let Some(store) = &mut self.of_window else {
            panic!("windows that merge have no state of their own")
        };
        let place = KeyPlace { group: self.place.group, hash: key_hash(self.owner) };
        match handle.bind(store, place, self.owner) {
            Ok(bound) => bound,
            Err(error) => panic!("{error}"),
        }
    }
}
