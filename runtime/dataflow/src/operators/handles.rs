//! Handles of keyed state: constants that name a state and know its type.
//!
//! A handle is nothing but a name and types, so it can be a `const`; only a context that stands at a
//! key turns it into that key's state.

use std::time::Duration;

use floodmark_model::KeyPlace;
use floodmark_state::{
    Data, Declaration, Key, KeyedStore, ListForm, ListRef, MapForm, MapRef, Migrations, StateError,
    ValueForm, ValueRef, keys_of,
};

use crate::operators::Aggregate;

/// Names a state and says how it is reached from a key.
///
/// # Examples
///
/// ```
/// # mod floodmark { pub use floodmark_dataflow::{*, operators::*}; pub use floodmark_model::*; pub use floodmark_state::*; }
/// use floodmark::{Context, Data, StateHandle, ValueState};
///
/// const COUNT: ValueState<u64> = ValueState::new("count");
///
/// /// Runs a function on a state of the current key, whatever its kind.
/// fn with<H: StateHandle, T: Data, R>(
///     cx: &mut Context<'_, String, T>,
///     handle: H,
///     function: impl FnOnce(H::Ref<'_, String>) -> R,
/// ) -> R {
///     function(cx.state(handle))
/// }
///
/// fn count_one(cx: &mut Context<'_, String, u64>) {
///     with(cx, COUNT, |mut count| count.update(|count| *count += 1));
/// }
/// ```
pub trait StateHandle {
    /// The state of one key.
    type Ref<'a, K: Key>;

    /// Reaches the state of `key`.
    ///
    /// # Errors
    ///
    /// When the state has another type.
    fn bind<'a, K: Key>(
        self,
        store: &'a mut KeyedStore<K>,
        place: KeyPlace,
        key: &'a K,
    ) -> Result<Self::Ref<'a, K>, StateError>;

    /// Returns every key that has something in the state, with its place.
    ///
    /// # Errors
    ///
    /// When the state has another type.
    fn keys<K: Key>(&self, store: &mut KeyedStore<K>) -> Result<Vec<(K, KeyPlace)>, StateError>;
}

/// Refuses names that are the runtime's own.
pub(crate) const fn check_name(name: &str) {
    let is_ours = !name.is_empty() && name.as_bytes()[0] == b'#';
    assert!(!is_ours, "names that begin with # are the runtime's own");
}

/// Declares a handle without values in it.
macro_rules! handle {
    ($(#[$doc:meta])* $name:ident<$($type:ident),+> of $item:ty) => {
        $(#[$doc])*
        #[derive(Debug)]
        pub struct $name<$($type: 'static),+>(Declaration<$item>);

        impl<$($type),+> $name<$($type),+> {
            /// Names the state. Two states of one operator have different names.
            ///
            /// # Panics
            ///
            /// When the name begins with `#`: such names are the runtime's own.
            pub const fn new(name: &'static str) -> Self {
                check_name(name);
                Self(Declaration::new(name))
            }

            /// Forgets what is written so long afterwards, on the wall clock of the node. What has
            /// expired is not seen any more, and is removed from time to time. Adding a life time
            /// to a state that was stored without one, or taking it away, makes another type of it.
            ///
            /// # Determinism
            ///
            /// Results that depend on processing time differ between two runs on the same input.
            #[must_use]
            #[doc(alias = "StateTtlConfig")]
            pub const fn ttl(self, ttl: Duration) -> Self {
                Self(self.0.ttl(ttl))
            }

            /// Says in which version the type of what is stored is; without a word, it is the first.
            /// What a checkpoint holds in an older version is migrated, value by value, when a
            /// subtask first uses the state; life times stay. In a checkpoint of a newer version, or
            /// one from which no migration is given, the job fails, and the checkpoint stays as it is.
            ///
            /// # Panics
            ///
            /// When the version is 0.
            #[must_use]
            #[doc(alias = "TypeSerializerSnapshot")]
            pub const fn version(self, version: u32, migrations: Migrations<$item>) -> Self {
                Self(self.0.version(version, migrations))
            }
        }

        impl<$($type),+> Clone for $name<$($type),+> {
            fn clone(&self) -> Self {
                *self
            }
        }

        impl<$($type),+> Copy for $name<$($type),+> {}
    };
}

handle! {
    /// A state of one value per key.
    ///
    /// # Examples
    ///
    /// ```
    /// # use floodmark_dataflow as floodmark;
    /// use floodmark::operators::ValueState;
    /// use std::time::Duration;
    ///
    /// const LAST: ValueState<u64> = ValueState::new("last");
    /// const SEEN: ValueState<bool> = ValueState::new("seen").ttl(Duration::from_secs(3600));
    /// ```
    ///
    /// One that was a `u32` once, and what becomes of those that are stored:
    ///
    /// ```
    /// # use floodmark_dataflow as floodmark;
    /// # use floodmark_state::Migration;
    /// use floodmark::operators::ValueState;
    ///
    /// const TOTAL: ValueState<u64> =
    ///     ValueState::new("total").version(2, &[&Migration(1, |old: u32| u64::from(old))]);
    /// ```
    ValueState<T> of T
}

handle! {
    /// A state of many values per key, in the order in which they were added. With a life time, each
    /// value has its own. What [`version`](Self::version) migrates are the values.
    ///
    /// # Examples
    ///
    /// ```
    /// # mod floodmark { pub use floodmark_dataflow::{*, operators::*}; pub use floodmark_model::*; }
    /// use floodmark::{BoxError, Context, KeyedProcess, ListState};
    ///
    /// const LATEST: ListState<u64> = ListState::new("latest");
    ///
    /// #[derive(Clone)]
    /// struct Latest;
    ///
    /// impl KeyedProcess for Latest {
    ///     type Key = String;
    ///     type In = u64;
    ///     type Out = u64;
    ///
    ///     fn on_element(
    ///         &mut self,
    ///         value: u64,
    ///         cx: &mut Context<'_, String, u64>,
    ///     ) -> Result<(), BoxError> {
    ///         cx.state(LATEST).push(value);
    ///         if cx.state(LATEST).len() == 10 {
    ///             let sum = cx.state(LATEST).iter().sum();
    ///             cx.state(LATEST).clear();
    ///             cx.emit(sum);
    ///         }
    ///         Ok(())
    ///     }
    /// }
    /// ```
    ListState<T> of T
}

handle! {
    /// A state of a map per key. It is read in the order of the entries' names. With a life time,
    /// each entry has its own. What [`version`](Self::version) migrates are the entries, `(name,
    /// value)`: no two of them may come out with one name.
    ///
    /// # Examples
    ///
    /// ```
    /// # mod floodmark { pub use floodmark_dataflow::{*, operators::*}; pub use floodmark_model::*; }
    /// use floodmark::{BoxError, Context, KeyedProcess, MapState};
    ///
    /// const VISITS: MapState<String, u64> = MapState::new("visits");
    ///
    /// #[derive(Clone)]
    /// struct Pages;
    ///
    /// impl KeyedProcess for Pages {
    ///     type Key = String;
    ///     type In = String;
    ///     type Out = u64;
    ///
    ///     fn on_element(
    ///         &mut self,
    ///         value: String,
    ///         cx: &mut Context<'_, String, u64>,
    ///     ) -> Result<(), BoxError> {
    ///         cx.state(VISITS).update(value.clone(), |count| *count += 1);
    ///         let count = cx.state(VISITS).get(&value).unwrap_or(0);
    ///         cx.emit(count);
    ///         Ok(())
    ///     }
    /// }
    /// ```
    MapState<N, V> of (N, V)
}

impl<T: Data> StateHandle for ValueState<T> {
    type Ref<'a, K: Key> = ValueRef<'a, K, T>;

    fn bind<'a, K: Key>(
        self,
        store: &'a mut KeyedStore<K>,
        place: KeyPlace,
        key: &'a K,
    ) -> Result<Self::Ref<'a, K>, StateError> {
        ValueRef::find(store, &self.0, place, key)
    }

    fn keys<K: Key>(&self, store: &mut KeyedStore<K>) -> Result<Vec<(K, KeyPlace)>, StateError> {
        keys_of::<K, ValueForm<T>>(store, &self.0)
    }
}

impl<T: Data> StateHandle for ListState<T> {
    type Ref<'a, K: Key> = ListRef<'a, K, T>;

    fn bind<'a, K: Key>(
        self,
        store: &'a mut KeyedStore<K>,
        place: KeyPlace,
        key: &'a K,
    ) -> Result<Self::Ref<'a, K>, StateError> {
        ListRef::find(store, &self.0, place, key)
    }

    fn keys<K: Key>(&self, store: &mut KeyedStore<K>) -> Result<Vec<(K, KeyPlace)>, StateError> {
        keys_of::<K, ListForm<T>>(store, &self.0)
    }
}

impl<N: Key, V: Data> StateHandle for MapState<N, V> {
    type Ref<'a, K: Key> = MapRef<'a, K, N, V>;

    fn bind<'a, K: Key>(
        self,
        store: &'a mut KeyedStore<K>,
        place: KeyPlace,
        key: &'a K,
    ) -> Result<Self::Ref<'a, K>, StateError> {
        MapRef::find(store, &self.0, place, key)
    }

    fn keys<K: Key>(&self, store: &mut KeyedStore<K>) -> Result<Vec<(K, KeyPlace)>, StateError> {
        keys_of::<K, MapForm<N, V>>(store, &self.0)
    }
}

/// A state of one value per key, into which others are combined one by one.
///
/// # Examples
///
/// ```
/// # mod floodmark { pub use floodmark_dataflow::{*, operators::*}; pub use floodmark_model::*; }
/// use floodmark::{BoxError, Context, KeyedProcess, ReducingState};
///
/// const HIGHEST: ReducingState<u64> = ReducingState::new("highest", |left, right| left.max(right));
///
/// #[derive(Clone)]
/// struct Highest;
///
/// impl KeyedProcess for Highest {
///     type Key = String;
///     type In = u64;
///     type Out = u64;
///
///     fn on_element(
///         &mut self,
///         value: u64,
///         cx: &mut Context<'_, String, u64>,
///     ) -> Result<(), BoxError> {
///         cx.state(HIGHEST).add(value);
///         if let Some(highest) = cx.state(HIGHEST).get() {
///             cx.emit(highest);
///         }
///         Ok(())
///     }
/// }
/// ```
#[derive(Clone, Copy, Debug)]
pub struct ReducingState<T: 'static> {
    value: ValueState<T>,
    reduce: fn(T, T) -> T,
}

impl<T> ReducingState<T> {
    /// Names the state, and says what becomes of the value so far and another one.
    ///
    /// # Panics
    ///
    /// When the name begins with `#`: such names are the runtime's own.
    pub const fn new(name: &'static str, reduce: fn(T, T) -> T) -> Self {
        Self { value: ValueState::new(name), reduce }
    }

    /// Forgets the value so long after the last one was added, as [`ValueState::ttl`] does.
    #[must_use]
    pub const fn ttl(self, ttl: Duration) -> Self {
        Self { value: self.value.ttl(ttl), reduce: self.reduce }
    }

    /// Says in which version the value is, as [`ValueState::version`] does.
    ///
    /// # Panics
    ///
    /// When the version is 0.
    #[must_use]
    pub const fn version(self, version: u32, migrations: Migrations<T>) -> Self {
        Self { value: self.value.version(version, migrations), reduce: self.reduce }
    }
}

/// The combined value of one key.
///
/// # Examples
///
/// ```
/// # mod floodmark { pub use floodmark_dataflow::{*, operators::*}; pub use floodmark_model::*; }
/// use floodmark::ReducingRef;
///
/// /// Adds values, and returns the result: `added(cx.state(TOTAL), &[1, 2])`.
/// fn added(mut total: ReducingRef<'_, String, u64>, values: &[u64]) -> u64 {
///     values.iter().for_each(|value| total.add(*value));
///     total.get().unwrap_or(0)
/// }
/// ```
pub struct ReducingRef<'a, K, T: Data> {
    value: ValueRef<'a, K, T>,
    reduce: fn(T, T) -> T,
}

impl<K: Key, T: Data> ReducingRef<'_, K, T> {
    /// Combines a value with what there is.
    pub fn add(&mut self, value: T) {
        let value = match self.value.get() {
            Some(so_far) => (self.reduce)(so_far, value),
            None => value,
        };
        self.value.set(value);
    }

    /// Returns the combined value, if anything was added.
    pub fn get(&self) -> Option<T> {
        self.value.get()
    }

    /// Forgets everything that was added.
    pub fn clear(&mut self) {
        self.value.clear();
    }
}

impl<T: Data> StateHandle for ReducingState<T> {
    type Ref<'a, K: Key> = ReducingRef<'a, K, T>;

    fn bind<'a, K: Key>(
        self,
        store: &'a mut KeyedStore<K>,
        place: KeyPlace,
        key: &'a K,
    ) -> Result<Self::Ref<'a, K>, StateError> {
        Ok(ReducingRef { value: self.value.bind(store, place, key)?, reduce: self.reduce })
    }

    fn keys<K: Key>(&self, store: &mut KeyedStore<K>) -> Result<Vec<(K, KeyPlace)>, StateError> {
        self.value.keys(store)
    }
}

/// A state of one accumulator per key, to which values are added one by one.
///
/// # Examples
///
/// ```
/// # mod floodmark { pub use floodmark_dataflow::{*, operators::*}; pub use floodmark_model::*; }
/// use floodmark::{Aggregate, AggregatingState, Context};
///
/// /// The number of words, and of their letters.
/// #[derive(Clone, Copy)]
/// struct Letters;
///
/// impl Aggregate for Letters {
///     type In = String;
///     type Acc = (u64, u64);
///     type Out = (u64, u64);
///
///     fn init(&self) -> (u64, u64) {
///         (0, 0)
///     }
///
///     fn add(&self, (words, letters): &mut (u64, u64), word: String) {
///         *words += 1;
///         *letters += word.chars().count() as u64;
///     }
///
///     fn finish(&self, counted: (u64, u64)) -> (u64, u64) {
///         counted
///     }
///
///     fn merge(&self, left: (u64, u64), right: (u64, u64)) -> (u64, u64) {
///         (left.0 + right.0, left.1 + right.1)
///     }
/// }
///
/// const LETTERS: AggregatingState<Letters> = AggregatingState::new("letters", Letters);
///
/// fn add(word: String, cx: &mut Context<'_, u64, (u64, u64)>) {
///     cx.state(LETTERS).add(word);
///     if let Some(counted) = cx.state(LETTERS).get() {
///         cx.emit(counted);
///     }
/// }
/// ```
#[derive(Clone, Copy, Debug)]
pub struct AggregatingState<A: Aggregate> {
    accumulator: ValueState<A::Acc>,
    aggregate: A,
}

impl<A: Aggregate> AggregatingState<A> {
    /// Names the state, and says how values are combined.
    ///
    /// # Panics
    ///
    /// When the name begins with `#`: such names are the runtime's own.
    pub const fn new(name: &'static str, aggregate: A) -> Self {
        Self { accumulator: ValueState::new(name), aggregate }
    }
}

impl<A: Aggregate + Copy> AggregatingState<A> {
    /// Forgets the accumulator so long after the last value was added, as [`ValueState::ttl`] does.
    #[must_use]
    pub const fn ttl(self, ttl: Duration) -> Self {
        Self { accumulator: self.accumulator.ttl(ttl), aggregate: self.aggregate }
    }

    /// Says in which version the accumulator is, as [`ValueState::version`] does.
    ///
    /// # Panics
    ///
    /// When the version is 0.
    #[must_use]
    pub const fn version(self, version: u32, migrations: Migrations<A::Acc>) -> Self {
        let accumulator = self.accumulator.version(version, migrations);
        Self { accumulator, aggregate: self.aggregate }
    }
}

/// The accumulator of one key.
///
/// # Examples
///
/// ```
/// # mod floodmark { pub use floodmark_dataflow::{*, operators::*}; pub use floodmark_model::*; }
/// use floodmark::{Aggregate, AggregatingRef};
///
/// /// Returns the result so far and begins anew: `taken(cx.state(LETTERS))`.
/// fn taken<A: Aggregate>(mut state: AggregatingRef<'_, u64, A>) -> Option<A::Out> {
///     let result = state.get();
///     state.clear();
///     result
/// }
/// ```
pub struct AggregatingRef<'a, K, A: Aggregate> {
    accumulator: ValueRef<'a, K, A::Acc>,
    aggregate: A,
}

impl<K: Key, A: Aggregate> AggregatingRef<'_, K, A> {
    /// Adds a value.
    pub fn add(&mut self, value: A::In) {
        let Self { accumulator, aggregate } = self;
        accumulator.update_or(|| aggregate.init(), |so_far| aggregate.add(so_far, value));
    }

    /// Returns the result so far, if anything was added.
    pub fn get(&self) -> Option<A::Out> {
        self.accumulator.get().map(|accumulator| self.aggregate.finish(accumulator))
    }

    /// Forgets everything that was added.
    pub fn clear(&mut self) {
        self.accumulator.clear();
    }
}

impl<A: Aggregate> StateHandle for AggregatingState<A> {
    type Ref<'a, K: Key> = AggregatingRef<'a, K, A>;

    fn bind<'a, K: Key>(
        self,
        store: &'a mut KeyedStore<K>,
        place: KeyPlace,
        key: &'a K,
    ) -> Result<Self::Ref<'a, K>, StateError> {
        let accumulator = self.accumulator.bind(store, place, key)?;
        Ok(AggregatingRef { accumulator, aggregate: self.aggregate })
    }

    fn keys<K: Key>(&self, store: &mut KeyedStore<K>) -> Result<Vec<(K, KeyPlace)>, StateError> {
        self.accumulator.keys(store)
    }
}
