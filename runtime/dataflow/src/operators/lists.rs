//! What functions without keys remember: lists of the subtask, named by constants.

use floodmark_state::{
    Data, Declaration, Distribution, Migrations, OperatorListRef, OperatorStore, Place, StateError,
};

use crate::{Error, chain::OpenContext, operators::handles::check_name};

/// Names a list of a subtask.
///
/// # Examples
///
/// ```
/// # mod floodmark { pub use floodmark_dataflow::{*, operators::*}; pub use floodmark_model::*; }
/// use floodmark::{InitializeContext, OperatorListState, OperatorStateHandle};
///
/// const WAITING: OperatorListState<String> = OperatorListState::new("waiting");
///
/// /// Runs a function on a list, whatever its kind.
/// fn with<H: OperatorStateHandle, R>(
///     cx: &mut InitializeContext<'_>,
///     handle: H,
///     function: impl FnOnce(H::Ref<'_>) -> R,
/// ) -> R {
///     function(cx.state(handle))
/// }
///
/// fn waiting_count(cx: &mut InitializeContext<'_>) -> usize {
///     with(cx, WAITING, |waiting| waiting.len())
/// }
/// ```
pub trait OperatorStateHandle {
    /// The list.
    type Ref<'a>;

    /// Reaches the list.
    ///
    /// # Errors
    ///
    /// When the list has another type or another distribution, or the operator has no uid.
    fn bind(self, store: &mut OperatorStore) -> Result<Self::Ref<'_>, StateError>;
}

/// Declares a handle of a list.
macro_rules! list_handle {
    ($(#[$doc:meta])* $name:ident, $distribution:expr) => {
        $(#[$doc])*
        #[derive(Debug)]
        pub struct $name<T: 'static>(Declaration<T>);

        impl<T> $name<T> {
            /// Names the list. Two lists of one operator have different names.
            ///
            /// # Panics
            ///
            /// When the name begins with `#`: such names are the runtime's own.
            pub const fn new(name: &'static str) -> Self {
                check_name(name);
                Self(Declaration::new(name))
            }

            /// Says in which version the elements are, as
            /// [`ValueState::version`](crate::operators::ValueState::version) does.
            ///
            /// # Panics
            ///
            /// When the version is 0.
            #[must_use]
            pub const fn version(self, version: u32, migrations: Migrations<T>) -> Self {
                Self(self.0.version(version, migrations))
            }
        }

        impl<T> Clone for $name<T> {
            fn clone(&self) -> Self {
                *self
            }
        }

        impl<T> Copy for $name<T> {}

        impl<T: Data> OperatorStateHandle for $name<T> {
            type Ref<'a> = OperatorListRef<'a, T>;

            fn bind(self, store: &mut OperatorStore) -> Result<Self::Ref<'_>, StateError> {
                store.list(&self.0, $distribution)
            }
        }
    };
}

list_handle! {
    /// A list of each subtask. When the job is restored, each has its own again.
    ///
    /// # Examples
    ///
    /// ```
    /// # use floodmark_dataflow as floodmark;
    /// use floodmark::operators::OperatorListState;
    ///
    /// const WAITING: OperatorListState<String> = OperatorListState::new("waiting");
    /// ```
    #[doc(alias = "getListState")]
    #[doc(alias = "CheckpointedFunction")]
    OperatorListState, Distribution::Split
}

list_handle! {
    /// A list of each subtask. When the job is restored, each has those of all, one behind the other
    /// in the order of the subtasks.
    ///
    /// A subtask stores what its list holds; so one that is given what all have stored, and writes to
    /// it, had better put back what is its own, or the union has everything once per subtask the next
    /// time. As long as it only reads, what it stores is what it had stored before.
    ///
    /// # Examples
    ///
    /// ```
    /// # use floodmark_dataflow as floodmark;
    /// use floodmark::operators::UnionListState;
    ///
    /// const OFFSETS: UnionListState<(String, u64)> = UnionListState::new("offsets");
    /// ```
    #[doc(alias = "getUnionListState")]
    UnionListState, Distribution::Union
}

/// What a function without keys can reach before the first record: its lists, and which subtask it is
/// in.
///
/// # Examples
///
/// ```
/// # mod floodmark { pub use floodmark_dataflow::{*, operators::*}; pub use floodmark_model::*; }
/// use floodmark::{BoxError, InitializeContext, OperatorListState};
///
/// const WAITING: OperatorListState<String> = OperatorListState::new("waiting");
///
/// /// Returns what was waiting when the checkpoint was taken: for `ProcessFunction::initialize`.
/// fn waiting(cx: &mut InitializeContext<'_>) -> Result<Vec<String>, BoxError> {
///     if cx.is_restored() { Ok(cx.state(WAITING).get()) } else { Ok(Vec::new()) }
/// }
/// ```
#[doc(alias = "FunctionInitializationContext")]
pub struct InitializeContext<'a> {
    pub(crate) lists: &'a mut OperatorStore,
    place: Place,
    is_restored: bool,
}

impl<'a> InitializeContext<'a> {
    /// Returns the context of an operator that opens.
    pub(crate) fn new(lists: &'a mut OperatorStore, place: Place, cx: &OpenContext<'_>) -> Self {
        Self { lists, place, is_restored: cx.checkpoint.is_some() }
    }

    /// Returns a list of the subtask.
    ///
    /// # Panics
    ///
    /// When the list was stored with another type, or is used with two types, or the operator has no
    /// uid.
    pub fn state<H: OperatorStateHandle>(&mut self, handle: H) -> H::Ref<'_> {
        bind(self.lists, handle)
    }

    /// Returns the index of the subtask, from 0.
    pub fn subtask_index(&self) -> u16 {
        self.place.index
    }

    /// Returns the number of subtasks of the operator.
    pub fn parallelism(&self) -> u16 {
        self.place.parallelism
    }

    /// Returns whether the job goes on from a checkpoint.
    pub fn is_restored(&self) -> bool {
        self.is_restored
    }
}

/// Reaches a list, as contexts do.
pub(crate) fn bind<H: OperatorStateHandle>(lists: &mut OperatorStore, handle: H) -> H::Ref<'_> {
    match handle.bind(lists) {
        Ok(bound) => bound,
        Err(error) => panic!("{error}"),
    }
}

/// Takes the lists that were restored for the operator `uid`, one of `parallelism` subtasks.
pub(crate) fn restore(
    uid: &str,
    parallelism: u16,
    cx: &mut OpenContext<'_>,
) -> (OperatorStore, Place) {
    let place = Place { index: cx.subtask.index, parallelism };
    (OperatorStore::new(uid, place, cx.restored), place)
}

/// Says that the lists of an operator are there as soon as it is open.
pub(crate) fn opened(lists: &mut Option<OperatorStore>) -> &mut OperatorStore {
    lists.as_mut().expect("an operator is opened before it is used")
}

/// Returns what a function reported as an error of its operator.
pub(crate) fn reported(operator: &str, done: Result<(), crate::BoxError>) -> Result<(), Error> {
    done.map_err(|source| Error::Operator { operator: operator.to_owned(), source })
}
