//! A sink that writes lines into files, exactly once.
//!
//! ```text
//! <directory>/_staged/<sink>-<subtask>/<transaction>      prepared: stored, not yet part of the result
//! <directory>/part-<sink>-<subtask>-<transaction>         committed
//! ```
//!
//! A transaction becomes visible by `put_if_absent` of its part under a name that no other
//! transaction has, so committing it twice changes nothing. Readers ignore `_staged`.

use std::sync::Arc;

use bytes::Bytes;
use floodmark_dataflow::{BoxError, SinkContext, TransactionId, TwoPhaseCommit, Work};
use floodmark_model::{Record, RuntimeEvent};
use floodmark_platform::{Machine, StoreError, planted};
use serde::{Deserialize, Serialize};

use super::pace::error;
use crate::{Error, path::object_key};

/// Writes one line per record into part files of a directory.
///
/// # Examples
///
/// ```
/// use floodmark::{Environment, FileSink};
///
/// let env = Environment::new();
/// let numbers = env.from_vec("numbers", vec![1, 2, 3]);
/// numbers.sink("squares", FileSink::new("output", |number: &i32| (number * number).to_string()));
/// ```
pub struct FileSink<T> {
    directory: String,
    format: Arc<dyn Fn(&T) -> String + Send + Sync>,
}

/// Lines of an epoch.
pub struct OpenPart {
    part: Part,
    content: Vec<u8>,
}

/// Where an epoch's lines are, and where they go.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Part {
    staged: String,
    visible: String,
}

impl<T> FileSink<T> {
    /// Writes into `directory`, each record as `format` puts it. A format without line ends makes
    /// one line of each record. The path may be relative or absolute, and must not contain `..`.
    pub fn new(directory: &str, format: impl Fn(&T) -> String + Send + Sync + 'static) -> Self {
        Self { directory: directory.to_owned(), format: Arc::new(format) }
    }

    fn staging(&self, cx: &SinkContext) -> Result<String, Error> {
        let directory = object_key(&self.directory)?;
        Ok(format!("{directory}/_staged/{}-{:05}", cx.uid, cx.subtask.index))
    }
}

impl<T: Send + Sync + 'static> TwoPhaseCommit<T> for FileSink<T> {
    type Open = OpenPart;
    type Handle = Part;

    fn begin(&self, cx: &SinkContext, id: TransactionId) -> Result<OpenPart, BoxError> {
        let TransactionId { attempt, index, sequence } = id;
        let name = format!("{:06}-{:06}-{sequence:09}", attempt.term.0, attempt.number);
        let part = Part {
            staged: format!("{}/{name}", self.staging(cx)?),
            // The uid sets apart the sinks of a job that share a directory.
            visible: if planted!(PartNamedWithoutSink) {
                format!("{}/part-{index:05}-{name}", object_key(&self.directory)?)
            } else {
                format!(
                    "{}/part-{}-{index:05}-{name}",
                    object_key(&self.directory)?,
                    cx.uid.replace('/', "-"),
                )
            },
        };
        Ok(OpenPart { part, content: Vec::new() })
    }

    fn write(&self, open: &mut OpenPart, record: Record<T>) -> Result<(), BoxError> {
        open.content.extend_from_slice((self.format)(&record.value).as_bytes());
        open.content.push(b'\n');
        Ok(())
    }

    fn pre_commit(&self, cx: &SinkContext, open: OpenPart) -> Result<(Part, Work), BoxError> {
        let OpenPart { part, content } = open;
        let (machine, key, content) =
            (cx.machine.clone(), part.staged.clone(), Bytes::from(content));
        let work: Work = Box::new(move || {
            let put = machine.object_store().put(&key, content.clone());
            Box::pin(async { put.await.map_err(Into::into) })
        });
        Ok((part, work))
    }

    fn commit(&self, cx: &SinkContext, part: Part) -> Work {
        let machine = cx.machine.clone();
        Box::new(move || Box::pin(publish(machine.clone(), part.clone())))
    }

    fn abort_others(&self, cx: &SinkContext, prepared: Vec<Part>) -> Work {
        let cx = cx.clone();
        // A directory that cannot be named holds nothing; the first record will say so.
        let Ok(staging) = self.staging(&cx) else { return Box::new(|| Box::pin(async { Ok(()) })) };
        let kept: Arc<[String]> = prepared.into_iter().map(|part| part.staged).collect();
        Box::new(move || Box::pin(discard_others(cx.clone(), staging.clone(), kept.clone())))
    }
}

/// Makes a staged part visible. Whether it already is, is decided by the visible name alone.
async fn publish(machine: Machine, part: Part) -> Result<(), BoxError> {
    let Part { staged, visible } = part;
    let content = machine.object_store().get(&staged).await;
    match content {
        Ok(content) => {
            match machine.object_store().put_if_absent(&visible, content.clone()).await {
                Ok(()) => {}
                Err(StoreError::AlreadyExists { .. }) if planted!(PartNamedWithoutSink) => {}
                Err(error @ StoreError::AlreadyExists { .. }) if planted!(CommitNotIdempotent) => {
                    return Err(error.into());
                }
                Err(StoreError::InDoubt { .. }) if planted!(BlindRetry) => {
                    let another = format!("{visible}-again");
                    machine.object_store().put(&another, content.clone()).await?;
                }
                Err(StoreError::AlreadyExists { .. }) => {
                    check_ours(&machine, &visible, &content).await?;
                }
                Err(error) => return Err(error.into()),
            }
        }
        // The staged copy is deleted only after the visible one is there.
        Err(StoreError::NotFound { .. }) if planted!(BlindRetry) => {}
        Err(StoreError::NotFound { .. }) => match machine.object_store().get(&visible).await {
            Ok(_) if !planted!(CommitNotIdempotent) => return Ok(()),
            Ok(_) | Err(StoreError::NotFound { .. }) => {
                return Err(error(format!("the prepared part {staged:?} is lost")));
            }
            Err(error) => return Err(error.into()),
        },
        Err(error) => return Err(error.into()),
    }
    // A staged copy that stays behind is invisible; the next restart removes it.
    if let Err(error) = machine.object_store().delete(&staged).await {
        tracing::debug!(%error, "a staged part stays behind");
    }
    Ok(())
}

/// Tells an earlier commit of a part from the part of another job that writes into the directory:
/// taking the one for the other would lose an epoch without a word.
async fn check_ours(machine: &Machine, visible: &str, content: &Bytes) -> Result<(), BoxError> {
    if machine.object_store().get(visible).await? == *content {
        return Ok(());
    }
    Err(error(format!(
        "the part {visible:?} exists already with other content: another job writes there, or wrote \
         there before its checkpoints were removed"
    )))
}

/// Removes what earlier attempts of this subtask staged and no checkpoint holds.
async fn discard_others(
    cx: SinkContext,
    staging: String,
    kept: Arc<[String]>,
) -> Result<(), BoxError> {
    let (attempt, subtask) = (cx.attempt, cx.subtask);
    // What a newer attempt staged is not ours to judge: this may be a worker that slept.
    let ours = format!("{staging}/{:06}-{:06}", attempt.term.0, attempt.number);
    for entry in cx.machine.object_store().list(&staging).await? {
        let is_older = entry.key < ours || planted!(DiscardsNewerAttempts);
        if is_older && !kept.contains(&entry.key) {
            cx.machine.object_store().delete(&entry.key).await?;
            let transaction = entry.key;
            cx.machine.observe(|| RuntimeEvent::TransactionAborted {
                attempt,
                subtask,
                operator: cx.uid.clone(),
                transaction,
            });
        }
    }
    Ok(())
}
