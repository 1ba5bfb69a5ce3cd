//! The object store: shared by all nodes, atomic, and not always clear about what it did.
//!
//! An operation takes effect at one moment between its call and its answer, on a task that belongs
//! to no node: the death of the caller does not stop what is under way.

use std::{collections::BTreeMap, ops::Range, time::Duration};

use bytes::Bytes;
use floodmark_platform::{BoxFuture, ObjectEntry, StoreError};
use tokio::sync::oneshot;
use xxhash_rust::xxh3::xxh3_64;

use crate::{
    Effect, Incident, NodeId, Operation, What,
    node::Life,
    rule::OperationView,
    world::{Shared, State},
};

/// The shortest and the longest time of each half of an operation.
const LATENCY: Range<u64> = 200_000..2_000_000;

/// How much later an effect in doubt may still come.
const LATER: Range<u64> = 50_000_000..1_500_000_000;

/// Something that appeared, changed or disappeared in the store.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StoreEffect<'a> {
    /// When.
    pub at: Duration,
    /// Which node asked for it.
    pub node: NodeId,
    /// Which object.
    pub key: &'a str,
    /// Its new content; `None` if it is gone.
    pub content: Option<&'a Bytes>,
}

/// The objects.
#[derive(Default)]
pub(crate) struct Store {
    pub(crate) objects: BTreeMap<String, Bytes>,
}

/// What is asked of the store.
#[derive(Clone)]
pub(crate) enum Request {
    PutIfAbsent(Bytes),
    Put(Bytes),
    Get(Range<u64>),
    List,
    Delete,
}

/// What the store answers.
pub(crate) enum Answer {
    Done,
    Content(Bytes),
    Entries(Vec<ObjectEntry>),
}

impl Request {
    fn operation(&self) -> Operation {
        match self {
            Self::PutIfAbsent(_) => Operation::PutIfAbsent,
            Self::Put(_) => Operation::Put,
            Self::Get(_) => Operation::Get,
            Self::List => Operation::List,
            Self::Delete => Operation::Delete,
        }
    }
}

impl Store {
    fn apply(&mut self, key: &str, request: Request) -> Result<Answer, StoreError> {
        let owned = || key.to_owned();
        match request {
            Request::PutIfAbsent(_) if self.objects.contains_key(key) => {
                Err(StoreError::AlreadyExists { key: owned() })
            }
            Request::PutIfAbsent(content) | Request::Put(content) => {
                self.objects.insert(owned(), content);
                Ok(Answer::Done)
            }
            Request::Get(range) => {
                let object = self.objects.get(key);
                let object = object.ok_or_else(|| StoreError::NotFound { key: owned() })?;
                let bound =
                    |offset: u64| usize::try_from(offset).unwrap_or(usize::MAX).min(object.len());
                let (start, end) = (bound(range.start), bound(range.end));
                Ok(Answer::Content(object.slice(start..end.max(start))))
            }
            Request::List => Ok(Answer::Entries(self.list(key))),
            Request::Delete => {
                self.objects.remove(key);
                Ok(Answer::Done)
            }
        }
    }

    pub(crate) fn list(&self, prefix: &str) -> Vec<ObjectEntry> {
        let under = format!("{}/", prefix.trim_end_matches('/'));
        let objects = self.objects.range(prefix.to_owned()..);
        objects
            .take_while(|(key, _)| key.starts_with(prefix))
            .filter(|(key, _)| *key == prefix || key.starts_with(&under))
            .map(|(key, content)| ObjectEntry {
                key: key.clone(),
                size_bytes: content.len() as u64,
            })
            .collect()
    }
}

/// What is decided about an operation when it is asked for.
struct Course {
    before: Duration,
    after: Duration,
    fate: Fate,
}

enum Fate {
    Works,
    Fails,
    /// In doubt, and the effect comes after this long, or never.
    Doubt(Option<Duration>),
}

impl Fate {
    /// Returns what the operation does, if it does not simply work.
    fn effect(&self) -> Option<Effect> {
        match self {
            Self::Works => None,
            Self::Fails => Some(Effect::Before),
            Self::Doubt(None) => Some(Effect::Never),
            Self::Doubt(Some(Duration::ZERO)) => Some(Effect::After),
            Self::Doubt(Some(_)) => Some(Effect::Later),
        }
    }
}

impl State {
    fn course_of(&mut self, life: Life, key: &str, operation: Operation) -> Course {
        let actor = life.node.0 as u64;
        let name = self.name(life.node);
        let view = OperationView { node: &name, operation, key, actor };
        let extra = self.rules.store_delay_of(view);
        let mut effect = self.rules.failure_of(view, &mut self.choices);
        if effect == Some(Effect::InDoubt) {
            effect = Some(match self.choices.below("store_doubt", actor, 3) {
                0 => Effect::Never,
                1 => Effect::After,
                _ => Effect::Later,
            });
        }
        let fate = match effect {
            None => Fate::Works,
            Some(Effect::Before) => Fate::Fails,
            Some(Effect::Never) => Fate::Doubt(None),
            Some(Effect::After) => Fate::Doubt(Some(Duration::ZERO)),
            Some(Effect::Later) => Fate::Doubt(Some(self.time_in("store_later", actor, LATER))),
            Some(Effect::InDoubt) => unreachable!("what it means was decided above"),
        };
        let (node, key) = (name.clone(), key.to_owned());
        if let Some(effect) = effect {
            self.struck_count += 1;
            self.incidents.add(Incident::OperationStruck { node, operation, key, effect });
        } else if Duration::ZERO < extra {
            self.incidents.add(Incident::OperationSlowed { node, operation, key });
        }
        let before = self.time_in("store_latency", actor, LATENCY) + extra;
        let after = self.time_in("store_latency", actor, LATENCY);
        Course { before, after, fate }
    }

    fn time_in(&mut self, site: &'static str, actor: u64, range: Range<u64>) -> Duration {
        let span = range.end - range.start;
        Duration::from_nanos(range.start + self.choices.below(site, actor, span))
    }
}

impl Shared {
    /// Lets an operation take effect, now.
    fn apply(&self, life: Life, key: &str, request: Request) -> Result<Answer, StoreError> {
        let now = self.now();
        let operation = request.operation();
        let mut state = self.lock();
        let actor = life.node.0 as u64;
        if !state.is_alive(life) && state.choices.below("effect_of_the_dead", actor, 2) == 0 {
            return Err(StoreError::Failed { key: key.to_owned(), reason: "too late".to_owned() });
        }
        let answer = state.store.apply(key, request);
        let is_effect = !matches!(operation, Operation::Get | Operation::List) && answer.is_ok();
        if is_effect {
            let change = || What::StoreChanged { operation, key: key.to_owned() };
            state.record(now, life.node, change);
        }
        let content = state.store.objects.get(key).cloned();
        let size = content.as_ref().map_or(0, |content| content.len() as u64);
        let numbers = [actor, xxh3_64(key.as_bytes()), size, u64::from(answer.is_ok())];
        state.trace.add("store", now, &numbers);
        drop(state);
        if is_effect {
            self.tell_store_listeners(&StoreEffect {
                at: now,
                node: life.node,
                key,
                content: content.as_ref(),
            });
        }
        answer
    }

    /// Asks the store for something on behalf of a node.
    pub(crate) fn ask(
        &self,
        life: Life,
        key: &str,
        request: Request,
    ) -> BoxFuture<Result<Answer, StoreError>> {
        let operation = request.operation();
        let course = self.lock().course_of(life, key, operation);
        let (answer, answered) = oneshot::channel();
        let (shared, owned) = (self.clone(), key.to_owned());
        self.spawn_apart(async move {
            let key = owned;
            let failed =
                |reason: &str| StoreError::Failed { key: key.clone(), reason: reason.to_owned() };
            shared.sleep_until(shared.now() + course.before).await;
            if let Some(effect) = course.fate.effect() {
                let (now, key) = (shared.now(), key.clone());
                let failed = || What::StoreFailed { operation, key, effect };
                shared.lock().record(now, life.node, failed);
            }
            let result = match course.fate {
                Fate::Works => shared.apply(life, &key, request),
                Fate::Fails => Err(failed("the store is not available")),
                Fate::Doubt(effect) => {
                    if let Some(delay) = effect {
                        let (shared, key) = (shared.clone(), key.clone());
                        let late = shared.clone();
                        shared.spawn_apart(async move {
                            late.sleep_until(late.now() + delay).await;
                            // Whether it worked, nobody will hear.
                            drop(late.apply(life, &key, request));
                        });
                    }
                    let reason = "no answer came back".to_owned();
                    Err(StoreError::InDoubt { key: key.clone(), reason })
                }
            };
            shared.sleep_until(shared.now() + course.after).await;
            // The caller may have died, or may not care.
            let _ = answer.send(result);
        });
        let key = key.to_owned();
        Box::pin(async move {
            let gone = || StoreError::InDoubt { key, reason: "the run is over".to_owned() };
            answered.await.unwrap_or_else(|_| Err(gone()))
        })
    }
}
