//! What a function hears of its life when processes die.

use std::sync::{Arc, Mutex};

use floodmark::{BoxError, Context, Generator, KeyedProcess};
use floodmark_scenarios::Simulation;

/// What happens to a function.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Step {
    Open,
    Use,
    Close,
}

/// Hands on what comes, and writes down its life.
#[derive(Clone, Default)]
struct Told {
    lives: Arc<Mutex<Vec<Vec<Step>>>>,
    life: Option<usize>,
}

impl Told {
    fn note(&self, step: Step) {
        let life = self.life.expect("a function is opened before it is used");
        self.lives.lock().expect("whoever holds the list only pushes")[life].push(step);
    }
}

impl KeyedProcess for Told {
    type Key = u64;
    type In = u64;
    type Out = u64;

    fn open(&mut self) -> Result<(), BoxError> {
        let mut lives = self.lives.lock().expect("whoever holds the list only pushes");
        self.life = Some(lives.len());
        lives.push(vec![Step::Open]);
        Ok(())
    }

    fn on_element(&mut self, value: u64, cx: &mut Context<'_, u64, u64>) -> Result<(), BoxError> {
        cx.emit(value);
        self.note(Step::Use);
        Ok(())
    }

    fn close(&mut self) -> Result<(), BoxError> {
        self.note(Step::Close);
        Ok(())
    }
}

#[test]
fn a_function_is_opened_used_and_closed_once_unless_its_process_dies() {
    let told = Told::default();
    let lives = told.lives.clone();
    let build = move |env: &floodmark::Environment| {
        env.source("numbers", Generator::new(200, |index| index).rate(100))
            .key_by(|number| number % 7)
            .process(told.clone())
            .uid("told")
    };
    Simulation::new(build).seeds(0..100).check(|numbers| assert_eq!(numbers.len(), 200));
    let lives = lives.lock().unwrap();
    for life in &*lives {
        let open_count = life.iter().filter(|step| **step == Step::Open).count();
        let close = life.iter().position(|step| *step == Step::Close);
        assert_eq!((life[0], open_count), (Step::Open, 1), "{life:?}");
        assert!(close.is_none_or(|place| place + 1 == life.len()), "{life:?}");
    }
    let closed_count = lives.iter().filter(|life| life.contains(&Step::Close)).count();
    // Two functions at the end of each run, some that failed, and some whose process died.
    let died_count = lives.len() - closed_count;
    assert!(2 * 100 < closed_count && 10 < died_count, "{closed_count} closed, {died_count} died");
}
