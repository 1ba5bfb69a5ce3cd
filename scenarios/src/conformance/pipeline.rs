//! Builds the job of a case, operator by operator.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::{Mutex, PoisonError},
    time::Duration,
};

use floodmark::{
    Collected, Data, Environment, KeyedStream, OutputTag, Stream, Timestamp, WatermarkStrategy,
};

use super::{
    case::Case,
    event::{AsTold, Event, Parameters},
    functions,
    recorder::{MainWriter, SharedLog, SideWriter},
    row::Row,
    script::Script,
    stateless, two_inputs, windows,
};

/// What an operator takes and what it makes.
pub(crate) enum Flow {
    /// The inputs of a case with several, which no operator has brought together yet.
    Inputs(Vec<Stream<Event>>),
    /// Elements.
    Events(Stream<Event>),
    /// Elements with keys, and without for operators that need none.
    Keyed(KeyedStream<String, Event>, Stream<Event>),
    /// What an operator makes of elements.
    Rows(Stream<Row>),
}

/// What an operator of a pipeline is built with.
pub(crate) struct Building<'a> {
    /// Its parameters.
    pub(crate) op: &'a Parameters,
    /// Its place in the pipeline, by which its state is found again.
    pub(crate) uid: String,
    /// Subtasks of an operator whose input has keys; all others have one.
    parallelism: u16,
    outputs: &'a Outputs,
}

/// Where what comes out is written down.
pub(crate) enum Outputs {
    /// With everything that happens on the way.
    Log(SharedLog),
    /// Every record once, whatever happens.
    Collection(Mutex<Collection>),
}

/// The records that came out, by side output; those of the main one have the empty name.
pub(crate) type Collection = BTreeMap<String, Collected<(Timestamp, Row)>>;

impl Outputs {
    /// Returns what takes the place of a log while a job is built for faults.
    pub(crate) fn collection() -> Self {
        Self::Collection(Mutex::default())
    }

    fn take_main<T: Data + Into<Row>>(&self, stream: Stream<T>) {
        match self {
            Self::Log(log) => stream.write("main", MainWriter::new(log.clone())),
            Self::Collection(collection) => collect(collection, "", stream),
        }
    }

    fn take_side(&self, uid: &str, tag: &str, stream: Stream<Event>) {
        match self {
            Self::Log(log) => {
                stream.write(&format!("{uid} {tag}"), SideWriter::new(log.clone(), tag));
            }
            Self::Collection(collection) => collect(collection, tag, stream),
        }
    }
}

fn collect<T: Data + Into<Row>>(collection: &Mutex<Collection>, tag: &str, stream: Stream<T>) {
    let rows = stream.timestamped().map(|(time, value)| (time, value.into()));
    let collected = rows.collect(&format!("collected {tag}"));
    let mut collection = collection.lock().unwrap_or_else(PoisonError::into_inner);
    collection.insert(tag.to_owned(), collected);
}

impl Building<'_> {
    /// Returns the name of the operator.
    pub(crate) fn name(&self) -> &str {
        self.op.text("op").unwrap_or_default()
    }

    /// Gives the operator that made `stream`, and remembers something per key, its uid and subtasks.
    pub(crate) fn keyed<T: Data>(&self, stream: Stream<T>) -> Stream<T> {
        stream.uid(&self.uid).parallelism(self.parallelism)
    }

    /// Says that nobody knows the operator.
    pub(crate) fn unsupported(&self) -> String {
        format!("op {} is not supported", self.name())
    }

    /// Writes the side output `tag` of the operator that made `stream` down, and returns the tag.
    pub(crate) fn record_side<T: Data>(&self, stream: &Stream<T>, tag: OutputTag<Event>) {
        self.outputs.take_side(&self.uid, tag.name(), stream.side_output(tag));
    }
}

/// Returns the tag with a name that is known only when a case is read.
pub(crate) fn tag<T>(name: &str) -> OutputTag<T> {
    static NAMES: Mutex<BTreeSet<&'static str>> = Mutex::new(BTreeSet::new());
    let mut names = NAMES.lock().unwrap_or_else(PoisonError::into_inner);
    if let Some(known) = names.get(name) {
        return OutputTag::new(known);
    }
    // A handful for ever: tags are named in code, and here the code is data.
    let name: &'static str = Box::leak(name.to_owned().into_boxed_str());
    names.insert(name);
    OutputTag::new(name)
}

/// How a job is laid out.
#[derive(Clone, Copy)]
pub(crate) struct Layout {
    /// Time between two steps of the input.
    pub(crate) pace: Duration,
    /// Subtasks of an operator whose input has keys; all others have one.
    pub(crate) parallelism: u16,
}

/// Connects the streams of a case.
///
/// # Errors
///
/// When an operator is not known.
pub(crate) fn build(
    case: &Case,
    env: &Environment,
    outputs: &Outputs,
    Layout { pace, parallelism }: Layout,
) -> Result<(), String> {
    let mut flow = inputs(case, env, pace);
    for (index, op) in case.pipeline.iter().enumerate() {
        let building = Building { op, uid: format!("op-{index}"), parallelism, outputs };
        flow = build_one(&building, flow)?;
    }
    match flow {
        Flow::Events(stream) | Flow::Keyed(_, stream) => outputs.take_main(stream),
        Flow::Rows(stream) => outputs.take_main(stream),
        Flow::Inputs(_) => return Err("the pipeline has no end".to_owned()),
    }
    Ok(())
}

fn inputs(case: &Case, env: &Environment, pace: Duration) -> Flow {
    let mut inputs: Vec<_> = (0..case.input_count)
        .map(|input| {
            let script = Script::new(&case.steps, input, pace);
            let told = WatermarkStrategy::generator(AsTold).timestamps(|step| step.timestamp());
            let steps = env.source(&format!("input-{input}"), script).watermarks(told);
            steps.flat_map(|step| step.into_event())
        })
        .collect();
    if inputs.len() == 1 { Flow::Events(inputs.remove(0)) } else { Flow::Inputs(inputs) }
}

fn build_one(building: &Building<'_>, flow: Flow) -> Result<Flow, String> {
    match building.name() {
        "key_by" | "map_add" | "filter_min" | "repeat" | "as_event" | "watermarks" => {
            stateless::build(building, flow)
        }
        "window" | "window_all" => windows::build(building, flow),
        "process" | "rolling" => functions::build(building, flow),
        "union" | "connect" | "broadcast" | "interval_join" | "window_join" | "co_group" => {
            two_inputs::build(building, flow)
        }
        _ => Err(building.unsupported()),
    }
}

/// Returns an element made of a row, whose event time is the row's.
pub(crate) fn as_event(row: &Row, k: &str, v: &str, ts: i64) -> Event {
    use super::row::Value;
    let k = match row.get(k) {
        Some(Value::Text(text)) => text.clone(),
        Some(value) => value.to_string(),
        None => String::new(),
    };
    let v = match row.get(v) {
        Some(Value::Int(value)) => *value,
        _ => 0,
    };
    Event { k, v, c: String::new(), ts }
}
