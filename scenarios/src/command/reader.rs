//! Who reads the output may leave.

use std::{any::Any, panic, process::exit};

/// What a shell tells of a command that was ended by the signal for this, 13.
const READER_LEFT: i32 = 128 + 13;

/// Ends the process without a word when its output cannot be written because nobody reads it any more, as
/// `head` does once it has enough. Everything else that panics is reported as before.
pub(crate) fn leave_with_the_reader() {
    let report = panic::take_hook();
    panic::set_hook(Box::new(move |panic| {
        if has_no_reader(panic.payload()) {
            exit(READER_LEFT);
        }
        report(panic);
    }));
}

/// Returns whether this is the panic of `println!` at a closed pipe.
fn has_no_reader(payload: &(dyn Any + Send)) -> bool {
    let text = payload.downcast_ref::<String>();
    text.is_some_and(|text| text.starts_with("failed printing to stdout: Broken pipe"))
}
