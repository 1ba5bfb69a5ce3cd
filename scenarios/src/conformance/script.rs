//! A source that yields the steps of a case, each at its time.

use std::{
    sync::Arc,
    task::{Context, Poll, ready},
    time::Duration,
};

use floodmark::{
    Batch, BoxError, Record, Source, SplitReader, Timestamp,
    platform::{BoxFuture, Machine},
};
use serde::{Deserialize, Serialize};

use super::{
    event::{Input, Step},
    recorder::FIRST_STEP,
};

/// The steps of one input, up to its end.
#[derive(Clone)]
pub(crate) struct Script {
    /// With their numbers among the steps of all inputs.
    steps: Arc<Vec<(usize, Step)>>,
    /// The number of the step that ends the input.
    end: usize,
    /// Time between two steps.
    pace: Duration,
}

/// The steps from the `next`-th on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Position {
    next: usize,
}

impl Script {
    /// Creates the source of the steps of `input`, with `pace` between any two steps.
    pub(crate) fn new(steps: &[Step], input: usize, pace: Duration) -> Self {
        let ours = steps.iter().enumerate().filter(|(_, step)| step.input == input);
        let is_end = |step: &Step| step.what == Input::Watermark(Timestamp::MAX);
        let end = ours.clone().find(|(_, step)| is_end(step));
        let end = end.map_or(steps.len(), |(number, _)| number);
        let steps = ours.take_while(|(number, _)| *number < end);
        let steps = steps.map(|(number, step)| (number, step.clone()));
        Self { steps: Arc::new(steps.collect()), end, pace }
    }
}

impl Source for Script {
    type Out = Step;
    type Split = Position;

    fn splits(&self, _: &Machine, _: u16) -> BoxFuture<Result<Vec<Position>, BoxError>> {
        Box::pin(async { Ok(vec![Position { next: 0 }]) })
    }

    fn read(&self, machine: &Machine, split: Position) -> Box<dyn SplitReader<Self>> {
        Box::new(ScriptReader {
            script: self.clone(),
            machine: machine.clone(),
            next: split.next,
            sleep: None,
        })
    }
}

struct ScriptReader {
    script: Script,
    machine: Machine,
    next: usize,
    sleep: Option<BoxFuture<()>>,
}

impl SplitReader<Script> for ScriptReader {
    fn poll_next(&mut self, cx: &mut Context<'_>) -> Poll<Result<Option<Batch<Step>>, BoxError>> {
        let step = self.script.steps.get(self.next);
        let number = step.map_or(self.script.end, |(number, _)| *number);
        let number = u32::try_from(number).expect("a case has few steps");
        let sleep = self.sleep.get_or_insert_with(|| {
            // In the middle of its span, so that no rounding moves it.
            let pace = self.script.pace;
            self.machine.clock().sleep_until(FIRST_STEP + pace * number + pace / 2)
        });
        ready!(sleep.as_mut().poll(cx));
        self.sleep = None;
        self.next += 1;
        Poll::Ready(Ok(step.map(|(_, step)| vec![Record::from(step.clone())])))
    }

    fn position(&self) -> Position {
        Position { next: self.next }
    }
}
