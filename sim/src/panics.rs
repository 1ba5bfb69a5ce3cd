//! Panics on the threads of runs: values for the code under test, and words for the log.
//!
//! A node that panics is an ordinary event of a simulation, so nothing is printed. The hook keeps the
//! words, since whoever catches the panic inside a node need not pass them on.

use std::{
    any::Any,
    cell::{Cell, RefCell},
    panic::{self, AssertUnwindSafe},
    sync::Once,
    thread,
};

/// The name of threads on which runs happen.
pub(crate) const THREAD_NAME: &str = "simulated-run";

/// What is said of a panic whose words are of another type.
const UNKNOWN: &str = "a panic without a message";

thread_local! {
    /// The words of the last panic on this thread that nobody has taken.
    static LAST: RefCell<Option<String>> = const { RefCell::new(None) };
    /// Whether panics on this thread are nobody's business for now.
    static IS_QUIET: Cell<bool> = const { Cell::new(false) };
}

/// Silences panics on threads of runs; those on other threads are reported as ever.
pub(crate) fn silence() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        let report = panic::take_hook();
        panic::set_hook(Box::new(move |panic| {
            if !IS_QUIET.get() && thread::current().name() != Some(THREAD_NAME) {
                return report(panic);
            }
            let words = text(panic.payload()).unwrap_or(UNKNOWN);
            let words = match panic.location() {
                Some(place) => format!("{words} ({}:{})", place.file(), place.line()),
                None => words.to_owned(),
            };
            LAST.set(Some(words));
        }));
    });
}

/// Calls a function of which it is known that it may panic: nothing is printed if it does.
///
/// # Errors
///
/// The words of the panic.
pub fn quietly<T>(call: impl FnOnce() -> T) -> Result<T, String> {
    silence();
    let was_quiet = IS_QUIET.replace(true);
    let result = panic::catch_unwind(AssertUnwindSafe(call));
    IS_QUIET.set(was_quiet);
    result.map_err(message)
}

/// Takes the words of the last panic on this thread.
pub(crate) fn take() -> Option<String> {
    LAST.take()
}

/// Returns the words of a caught panic.
pub(crate) fn message(panic: Box<dyn Any + Send>) -> String {
    text(&*panic).unwrap_or(UNKNOWN).to_owned()
}

fn text(payload: &(dyn Any + Send)) -> Option<&str> {
    let literal = payload.downcast_ref::<&str>().copied();
    literal.or_else(|| payload.downcast_ref::<String>().map(String::as_str))
}
