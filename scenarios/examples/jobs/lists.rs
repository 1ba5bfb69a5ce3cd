//! What a subtask remembers without keys: lists of its own.

use floodmark::{
    BoxError, Environment, InitializeContext, OperatorListState, ProcessFunction, RecordContext,
    Stream,
};

use crate::{Example, input, shown};

pub(crate) const EXAMPLES: &[Example] = &[Example {
    name: "bundles",
    about: "letters in bundles of ten",
    build: |env| shown(bundles(letters(env))),
}];

fn letter(index: u64) -> String {
    format!("letter {index}")
}

fn letters(env: &Environment) -> Stream<String> {
    input(env, "letters", letter)
}

/// Letters that wait for others. A failure does not lose them.
const WAITING: OperatorListState<String> = OperatorListState::new("waiting");

const BUNDLE_LEN: usize = 10;

/// Ties letters together, and counts in a field how many there were. A field is not state: it has to
/// be made up again from the list.
#[derive(Clone)]
struct Bundle {
    waiting_count: usize,
}

impl ProcessFunction for Bundle {
    type In = String;
    type Out = Vec<String>;

    fn initialize(&mut self, cx: &mut InitializeContext<'_>) -> Result<(), BoxError> {
        self.waiting_count = cx.state(WAITING).len();
        Ok(())
    }

    fn on_element(
        &mut self,
        letter: String,
        cx: &mut RecordContext<'_, Vec<String>>,
    ) -> Result<(), BoxError> {
        cx.state(WAITING).push(letter);
        self.waiting_count += 1;
        if self.waiting_count == BUNDLE_LEN {
            let bundle = cx.state(WAITING).get();
            cx.state(WAITING).clear();
            self.waiting_count = 0;
            cx.emit(bundle);
        }
        Ok(())
    }
}

/// Ties letters together in bundles of ten, in their order.
pub(crate) fn bundles(letters: Stream<String>) -> Stream<Vec<String>> {
    letters.process(Bundle { waiting_count: 0 }).uid("bundle").parallelism(1)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{COUNT, simulate, sorted};

    #[test]
    fn no_letter_is_lost_and_none_is_in_two_bundles() {
        let letters: Vec<String> = (0..COUNT).map(letter).collect();
        let expected: Vec<Vec<String>> =
            letters.chunks_exact(BUNDLE_LEN).map(<[String]>::to_vec).collect();
        simulate(|env| bundles(super::letters(env)))
            .check(|bundles| assert_eq!(sorted(bundles.to_vec()), sorted(expected.clone())));
    }
}
