//! Panics on the threads of runs: values for the code under test, and words for the log.
//!
//! A node that panics is an ordinary event of a simulation, so nothing is printed. The hook keeps the
//! words, since whoever catches the panic inside a node need not pass them on.

use std::{any::Any, cell::RefCell, panic, sync::Once, thread};

/// The name of threads on which runs happen.
pub(crate) const THREAD_NAME: &str = "simulated-run";

/// What is said of a panic whose words are of another type.
const UNKNOWN: &str = "a panic without a message";

thread_local! {
    /// The words of the last panic on this thread that nobody has taken.
    static LAST: RefCell<Option<String>> = const { RefCell::new(None) };
}

/// Silences panics on threads of runs; those on other threads are reported as ever.
pub(crate) fn silence() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        let report = panic::take_hook();
        panic::set_hook(Box::new(move |panic| {
            if thread::current().name() != Some(THREAD_NAME) {
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
