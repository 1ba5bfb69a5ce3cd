//! Messages of a queue that forgets what was acknowledged.
//!
//! The queue is no part of the cluster. Its partitions are read by offset, and a reader that asks for
//! an offset that is gone is given the first one that is left: what was acknowledged too early is
//! lost without a word. The source acknowledges what no restart will ask for again.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, PoisonError},
    task::{Context, Poll, ready},
    time::Duration,
};

use floodmark::{
    Batch, BoxError, Environment, FileSink, Record, Source, SplitReader,
    platform::{BoxFuture, Machine},
};
use floodmark_sim::{CallError, World};
use serde::{Deserialize, Serialize};

use super::{
    Input, PreparedJob, ScenarioJob, mix,
    outside::{OutsideSystem, Wire},
};

/// The job, with messages that the seed makes up.
pub const JOB: ScenarioJob = ScenarioJob { name: "purging_queue", prepare };

const OUTPUT: &str = "output/messages";
const SYSTEM: &str = "queue";
const PARTITION_COUNT: u16 = 4;
/// Messages of one answer.
const ANSWER_LENGTH: u64 = 8;
/// Time in which a queue is filled.
const FILLED_AFTER_MS: u64 = 6_000;
/// Pause of a reader that has read everything there is, or could not read.
const PAUSE: Duration = Duration::from_millis(25);

/// The queue, shared by all who call it.
#[derive(Clone)]
struct Queue {
    /// All messages, by partition.
    messages: Arc<[Vec<String>]>,
    wire: Arc<Wire>,
    /// Messages that are gone, per partition.
    purged: Arc<Mutex<BTreeMap<u16, u64>>>,
}

/// A place in a partition.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
struct Place {
    partition: u16,
    offset: u64,
}

/// What the queue answers: where the messages begin, and the messages.
type Answer = (u64, Vec<String>);

struct QueueReader {
    queue: Queue,
    machine: Machine,
    place: Place,
    asking: Option<BoxFuture<Result<Answer, CallError>>>,
    pause: Option<BoxFuture<()>>,
}

impl Queue {
    fn length(&self, partition: u16) -> u64 {
        self.messages[usize::from(partition)].len() as u64
    }

    fn message(&self, partition: u16, offset: u64) -> String {
        let offset = usize::try_from(offset).expect("the input fits into memory");
        self.messages[usize::from(partition)][offset].clone()
    }

    fn read(&self, Place { partition, offset }: Place) -> BoxFuture<Result<Answer, CallError>> {
        let queue = self.clone();
        self.wire.call(SYSTEM, "read", move |now_ms| {
            let purged = queue.purged.lock().unwrap_or_else(PoisonError::into_inner);
            let first = offset.max(purged.get(&partition).copied().unwrap_or_default());
            let length = queue.length(partition);
            let there = length.min(length * now_ms / FILLED_AFTER_MS);
            let end = there.min(first + ANSWER_LENGTH);
            (first, (first..end).map(|offset| queue.message(partition, offset)).collect())
        })
    }

    fn acknowledge(&self, Place { partition, offset }: Place) -> BoxFuture<Result<(), CallError>> {
        let purged = self.purged.clone();
        self.wire.call(SYSTEM, "acknowledge", move |_| {
            let mut purged = purged.lock().unwrap_or_else(PoisonError::into_inner);
            let entry = purged.entry(partition).or_default();
            *entry = offset.max(*entry);
        })
    }
}

impl Source for Queue {
    type Out = String;
    type Split = Place;

    fn splits(&self, _: &Machine, _: u16) -> BoxFuture<Result<Vec<Place>, BoxError>> {
        let places = (0..PARTITION_COUNT).map(|partition| Place { partition, offset: 0 });
        let places = places.collect();
        Box::pin(async move { Ok(places) })
    }

    fn read(&self, machine: &Machine, place: Place) -> Box<dyn SplitReader<Self>> {
        let (queue, machine) = (self.clone(), machine.clone());
        Box::new(QueueReader { queue, machine, place, asking: None, pause: None })
    }
}

impl SplitReader<Queue> for QueueReader {
    fn poll_next(&mut self, cx: &mut Context<'_>) -> Poll<Result<Option<Batch<String>>, BoxError>> {
        loop {
            if self.queue.length(self.place.partition) <= self.place.offset {
                return Poll::Ready(Ok(None));
            }
            if let Some(pause) = &mut self.pause {
                ready!(pause.as_mut().poll(cx));
                self.pause = None;
            }
            let (queue, place) = (&self.queue, &self.place);
            let asking = self.asking.get_or_insert_with(|| queue.read(place.clone()));
            let answer = ready!(asking.as_mut().poll(cx));
            self.asking = None;
            match answer {
                Ok((first, messages)) if !messages.is_empty() => {
                    self.place.offset = first + messages.len() as u64;
                    return Poll::Ready(Ok(Some(messages.into_iter().map(Record::from).collect())));
                }
                // Reading changes nothing, so it is simply done again.
                Ok(_) | Err(_) => {
                    let machine = self.machine.clone();
                    self.pause = Some(Box::pin(async move { machine.sleep(PAUSE).await }));
                }
            }
        }
    }

    fn position(&self) -> Place {
        self.place.clone()
    }

    fn on_checkpoint_complete(&mut self, place: &Place) {
        let acknowledged = self.queue.acknowledge(place.clone());
        // One that is lost is made good by the next.
        self.machine
            .spawn("acknowledge", async {
                let _ = acknowledged.await;
            })
            .detach();
    }
}

impl OutsideSystem for Queue {
    fn begin(&self, world: &World) {
        self.wire.begin(world);
        self.purged.lock().unwrap_or_else(PoisonError::into_inner).clear();
    }

    fn end(&self) {
        self.wire.end();
    }

    fn lines(&self) -> Vec<(&'static str, Vec<String>)> {
        Vec::new()
    }

    fn verdict(&self) -> Result<(), (&'static str, String)> {
        Ok(())
    }
}

fn prepare(input: &Input) -> PreparedJob {
    let mut messages = vec![Vec::new(); usize::from(PARTITION_COUNT)];
    for index in input.indices() {
        let partition = index % u64::from(PARTITION_COUNT);
        let text = mix(input.seed ^ mix(index)) % 1_000;
        let partition = usize::try_from(partition).expect("there are few partitions");
        messages[partition].push(format!("{index},{text}"));
    }
    let expected = messages.concat();
    let queue = Queue { messages: messages.into(), wire: Arc::default(), purged: Arc::default() };
    let outside = queue.clone();
    let build = move |env: &Environment| {
        env.source("queue", queue.clone())
            .rebalance()
            .sink("messages", FileSink::new(OUTPUT, |message: &String| message.clone()));
    };
    let expected = BTreeMap::from([(OUTPUT, expected)]);
    PreparedJob { outside: Some(Arc::new(outside)), ..PreparedJob::new(build, expected) }
}
