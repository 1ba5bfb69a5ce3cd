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
    choice::{actor_named, actor_of},
    disk::corrupted,
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
    /// Which node created each object, and when. Those that were there before have no entry.
    created: BTreeMap<String, (NodeId, Duration)>,
    /// How often each operation was asked for by each node on each key, for choices.
    counts: BTreeMap<u64, u64>,
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
    /// Counts an operation, and returns how many there were before.
    fn count(&mut self, actor: u64) -> u64 {
        let count = self.counts.entry(actor).or_default();
        *count += 1;
        *count - 1
    }

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

    /// Returns the objects that a node sees to whom the young ones of others do not show yet.
    fn list_stale(&self, prefix: &str, reader: NodeId, shown_until: Duration) -> Vec<ObjectEntry> {
        let is_shown = |entry: &ObjectEntry| match self.created.get(&entry.key) {
            Some((node, at)) => *node == reader || *at <= shown_until,
            None => true,
        };
        self.list(prefix).into_iter().filter(is_shown).collect()
    }

    /// Keeps in mind who creates an object, or that it is gone.
    fn note(&mut self, key: &str, request: &Request, node: NodeId, now: Duration) {
        match request {
            Request::PutIfAbsent(_) | Request::Put(_) if !self.objects.contains_key(key) => {
                self.created.insert(key.to_owned(), (node, now));
            }
            Request::Delete => {
                self.created.remove(key);
            }
            Request::PutIfAbsent(_) | Request::Put(_) | Request::Get(_) | Request::List => {}
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
    flaw: Flaw,
}

/// What is wrong with the answer to a read, although it looks well.
enum Flaw {
    None,
    /// A byte is changed.
    Corrupt,
    /// What others stored in this time is missing.
    Stale(Duration),
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
        let actor = actor_named(actor_of([life.node.0 as u64, operation as u64]), key);
        let number = self.store.count(actor);
        let name = self.name(life.node);
        let view = OperationView { node: &name, operation, key, actor, number };
        let extra = self.rules.store_delay_of(view);
        let struck = self.rules.failure_of(view, &mut self.choices);
        let cause = struck.map_or(0, |(fault, _)| actor_of([fault.0, actor]));
        let mut effect = struck.map(|(_, effect)| effect);
        if effect == Some(Effect::InDoubt) {
            effect = Some(match self.choices.below("store_doubt", cause, 3) {
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
            Some(Effect::Later) => Fate::Doubt(Some(self.time_in("store_later", cause, LATER))),
            Some(Effect::InDoubt) => unreachable!("what it means was decided above"),
        };
        let flaw = self.flaw_of(view);
        let (node, key) = (name.clone(), key.to_owned());
        if let Some(effect) = effect {
            self.struck_count += 1;
            self.incidents.add(Incident::OperationStruck { node, operation, key, effect });
        } else if Duration::ZERO < extra {
            self.incidents.add(Incident::OperationSlowed { node, operation, key });
        }
        let before = self.time_in("store_latency", actor, LATENCY) + extra;
        let after = self.time_in("store_latency", actor, LATENCY);
        Course { before, after, fate, flaw }
    }

    fn flaw_of(&mut self, view: OperationView<'_>) -> Flaw {
        if self.rules.is_corrupted(view, &mut self.choices) {
            return Flaw::Corrupt;
        }
        match self.rules.staleness_of(view) {
            Duration::ZERO => Flaw::None,
            age => Flaw::Stale(age),
        }
    }

    /// Puts a flaw into an answer.
    fn flawed(&mut self, answer: Answer, flaw: Flaw, asked: (Life, &str, Duration)) -> Answer {
        let (life, key, now) = asked;
        let node = self.name(life.node);
        let actor = actor_named(life.node.0 as u64, key);
        match (answer, flaw) {
            (Answer::Content(content), Flaw::Corrupt) if !content.is_empty() => {
                self.struck_count += 1;
                self.incidents.add(Incident::ObjectCorrupted { node, key: key.to_owned() });
                Answer::Content(corrupted(&content, "corrupt_object", actor, &mut self.choices))
            }
            (Answer::Entries(entries), Flaw::Stale(age)) => {
                let shown = self.store.list_stale(key, life.node, now.saturating_sub(age));
                if shown.len() < entries.len() {
                    self.struck_count += 1;
                    self.incidents.add(Incident::ListingStale { node, prefix: key.to_owned() });
                }
                Answer::Entries(shown)
            }
            (answer, _) => answer,
        }
    }

    fn time_in(&mut self, site: &'static str, actor: u64, range: Range<u64>) -> Duration {
        let span = range.end - range.start;
        Duration::from_nanos(range.start + self.choices.below(site, actor, span))
    }
}

impl Shared {
    /// Lets an operation take effect, now.
    fn apply(
        &self,
        life: Life,
        key: &str,
        request: Request,
        flaw: Flaw,
    ) -> Result<Answer, StoreError> {
        let now = self.now();
        let operation = request.operation();
        let mut state = self.lock();
        let actor = actor_named(actor_of([life.node.0 as u64, operation as u64]), key);
        if !state.is_alive(life) && state.choices.below("effect_of_the_dead", actor, 2) == 1 {
            return Err(StoreError::Failed { key: key.to_owned(), reason: "too late".to_owned() });
        }
        state.store.note(key, &request, life.node, now);
        let answer = state.store.apply(key, request);
        let is_effect = !matches!(operation, Operation::Get | Operation::List) && answer.is_ok();
        let answer = answer.map(|answer| state.flawed(answer, flaw, (life, key, now)));
        if is_effect {
            let change = || What::StoreChanged { operation, key: key.to_owned() };
            state.record(now, life.node, change);
        }
        let content = state.store.objects.get(key).cloned();
        let size = content.as_ref().map_or(0, |content| content.len() as u64);
        let numbers =
            [life.node.0 as u64, xxh3_64(key.as_bytes()), size, u64::from(answer.is_ok())];
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
                Fate::Works => shared.apply(life, &key, request, course.flaw),
                Fate::Fails => Err(failed("the store is not available")),
                Fate::Doubt(effect) => {
                    if let Some(delay) = effect {
                        let (shared, key) = (shared.clone(), key.clone());
                        let late = shared.clone();
                        shared.spawn_apart(async move {
                            late.sleep_until(late.now() + delay).await;
                            // Whether it worked, nobody will hear.
                            drop(late.apply(life, &key, request, Flaw::None));
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
