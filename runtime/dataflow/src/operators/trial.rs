//! What a test of a single operator needs: a machine, and somebody downstream who writes down what comes.

mod nowhere;

use std::{
    fmt::{Debug, Write as _},
    sync::{Arc, Mutex},
    time::Duration,
};

use floodmark_model::{
    Attempt, Barrier, Batch, CheckpointId, KeyGroupLayout, SubtaskId, Timestamp, VertexId,
};
use floodmark_state::{Data, RestoredState, Snapshot};

use crate::{
    Chained, Commit, Error, Output, Push, SideOutputs, Stage,
    chain::{OpenContext, Operator, Outlet, Split},
};

/// The only key groups, of the only subtask.
pub(super) const LAYOUT: KeyGroupLayout = KeyGroupLayout { group_count: 1, parallelism: 1 };

/// What happened, line by line. Stands behind an operator, too, and writes down what arrives there.
#[derive(Clone, Default)]
pub(super) struct Log(Arc<Mutex<String>>);

impl Log {
    pub(super) fn say(&self, text: &str) -> Result<(), Error> {
        writeln!(self.0.lock().unwrap(), "{text}").unwrap();
        Ok(())
    }

    pub(super) fn text(&self) -> String {
        self.0.lock().unwrap().clone()
    }
}

impl<T: Data + Debug> Push<T> for Log {
    fn push(&mut self, batch: Batch<T>) -> Result<(), Error> {
        let record = |text: String, (timestamp, value): (Timestamp, &T)| {
            format!("{text} {value:?}@{timestamp}")
        };
        let records = batch.iter().map(|record| (record.timestamp, &record.value));
        self.say(&records.fold("records".to_owned(), record))
    }
}

impl Stage for Log {
    fn open(&mut self, cx: &mut OpenContext<'_>) -> Result<(), Error> {
        self.say(&format!("opens at {}", cx.watermark))
    }

    fn on_split(&mut self, split: Split) -> Result<(), Error> {
        self.say(&format!("{split:?}"))
    }

    fn on_watermark(&mut self, watermark: Timestamp) -> Result<(), Error> {
        self.say(&format!("watermark {watermark}"))
    }

    fn on_idle(&mut self) -> Result<(), Error> {
        self.say("idle")
    }

    fn on_barrier(&mut self, _: Barrier, _: &mut Snapshot) -> Result<(), Error> {
        Ok(())
    }

    fn freeze(&mut self, _: &mut Snapshot) {}

    fn on_complete(&mut self, _: CheckpointId, _: &mut Vec<Commit>) {}

    fn on_end(&mut self, _: &mut Vec<Commit>) -> Result<(), Error> {
        Ok(())
    }

    fn on_tick(&mut self, _: Duration) -> Result<(), Error> {
        Ok(())
    }

    fn next_timer(&mut self) -> Option<Timestamp> {
        None
    }

    fn on_processing_time(&mut self, _: Timestamp) -> Result<(), Error> {
        Ok(())
    }

    fn visit_outlets(&mut self, _: &mut dyn FnMut(&mut dyn Outlet)) {}
}

/// Puts the log behind an operator.
pub(super) fn logged<P: Operator<Out: Debug>>(operator: P, log: &Log) -> Chained<P> {
    let output = Output::new(vec![Box::new(log.clone()) as Box<dyn Push<P::Out>>]);
    Chained::new(operator, output, SideOutputs::default())
}

/// Opens an operator at an event time, with the state of a snapshot if there is one.
pub(super) fn opened<P: Operator<Out: Debug>>(
    operator: P,
    log: &Log,
    from: Option<Snapshot>,
    watermark: Timestamp,
) -> Chained<P> {
    let mut stage = logged(operator, log);
    let files = from.into_iter().map(|snapshot| snapshot.into_parts().0);
    let mut restored = RestoredState::new(files.collect());
    let mut cx = OpenContext {
        machine: &nowhere::machine(),
        attempt: Attempt::default(),
        subtask: SubtaskId { vertex: VertexId(0), index: 0 },
        key_groups: LAYOUT.range_of(0),
        checkpoint: None,
        restored: &mut restored,
        watermark,
        split_count: None,
        drift: None,
        commits: Vec::new(),
        cleanups: Vec::new(),
    };
    stage.open(&mut cx).unwrap();
    assert_eq!(cx.watermark, watermark, "what is beside the operator has its own event time");
    restored.check_all_taken().unwrap();
    stage
}

/// Returns the state of an operator.
pub(super) fn frozen<P: Operator>(stage: &mut Chained<P>) -> Snapshot {
    let mut snapshot = Snapshot::default();
    stage.freeze(&mut snapshot);
    snapshot
}
