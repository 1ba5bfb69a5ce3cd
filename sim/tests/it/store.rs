//! The object store: effects, doubts, and answers that are not what they seem.

use std::{collections::BTreeSet, time::Duration};

use bytes::Bytes;
use floodmark_platform::StoreError;
use floodmark_sim::{Effect, Fault, Operation, StoreSelector};

use crate::{Notes, at, millis, schedule, told};

const LONG: Duration = Duration::from_secs(60);

/// Has a node put an object while puts are struck, and returns the answer and whether the object is
/// there in the end.
fn put(seed: u64, effect: Effect) -> (Result<(), StoreError>, bool) {
    told(seed, async move |world| {
        let notes = Notes::default();
        let noted = notes.clone();
        let store = StoreSelector { operation: Some(Operation::Put), ..StoreSelector::default() };
        let fault = Fault::StoreError { store, effect, per_mille: 1000, limit: 1, lasts: LONG };
        schedule(&world, &[at(0, fault)]);
        world.add_node("writer", move |machine| {
            let noted = noted.clone();
            Box::pin(async move {
                machine.sleep(millis(10)).await;
                let answer = machine.object_store().put("key", Bytes::from("value")).await;
                noted.lock().unwrap().push(answer);
            })
        });
        world.sleep(millis(5_000)).await;
        let answer = notes.lock().unwrap()[0].clone();
        (answer, world.peek("key").is_some())
    })
}

#[test]
fn a_failed_operation_has_no_effect() {
    for seed in 0..5 {
        let (answer, is_there) = put(seed, Effect::Before);
        assert!(matches!(answer, Err(StoreError::Failed { .. })));
        assert!(!is_there);
    }
}

#[test]
fn an_operation_in_doubt_may_or_may_not_have_its_effect() {
    let outcomes: BTreeSet<bool> = (0..20)
        .map(|seed| {
            let (answer, is_there) = put(seed, Effect::InDoubt);
            assert!(matches!(answer, Err(StoreError::InDoubt { .. })));
            is_there
        })
        .collect();
    assert_eq!(outcomes, BTreeSet::from([false, true]));
}

#[test]
fn doubt_can_be_settled_in_advance() {
    for seed in 0..5 {
        for (effect, happens) in [(Effect::After, true), (Effect::Never, false)] {
            let (answer, is_there) = put(seed, effect);
            assert!(matches!(answer, Err(StoreError::InDoubt { .. })));
            assert_eq!(is_there, happens);
        }
    }
}

#[test]
fn of_several_conditional_puts_exactly_one_succeeds() {
    let winners: BTreeSet<u8> = (0..20)
        .map(|seed| {
            let (won, stored) = told(seed, async |world| {
                let notes = Notes::default();
                for number in 0..4_u8 {
                    let noted = notes.clone();
                    world.add_node(&format!("node-{number}"), move |machine| {
                        let noted = noted.clone();
                        Box::pin(async move {
                            let value = Bytes::copy_from_slice(&[number]);
                            let answer = machine.object_store().put_if_absent("key", value).await;
                            match answer {
                                Ok(()) => noted.lock().unwrap().push(number),
                                Err(StoreError::AlreadyExists { .. }) => {}
                                Err(error) => panic!("{error}"),
                            }
                        })
                    });
                }
                world.sleep(millis(1_000)).await;
                let won = notes.lock().unwrap().clone();
                (won, world.peek("key").unwrap()[0])
            });
            assert_eq!(won, [stored]);
            stored
        })
        .collect();
    assert!(1 < winners.len(), "the race is open");
}

#[test]
fn what_a_node_asked_for_before_it_died_may_still_happen() {
    let outcomes: BTreeSet<bool> = (0..20)
        .map(|seed| {
            told(seed, async |world| {
                let writer = world.add_node("writer", |machine| {
                    Box::pin(async move {
                        drop(machine.object_store().put("key", Bytes::new()).await);
                    })
                });
                world.sleep(Duration::from_micros(50)).await;
                world.crash(writer);
                assert_eq!(world.peek("key"), None);
                world.sleep(millis(1_000)).await;
                world.peek("key").is_some()
            })
        })
        .collect();
    assert_eq!(outcomes, BTreeSet::from([false, true]));
}

#[test]
fn listeners_hear_of_every_effect_and_of_nothing_else() {
    let heard = told(1, async |world| {
        let notes = Notes::default();
        let noted = notes.clone();
        world.listen_store(move |effect| {
            let size = effect.content.map(Bytes::len);
            noted.lock().unwrap().push((effect.key.to_owned(), size));
        });
        world.preload("a/0", Bytes::from("preloaded"));
        world.add_node("writer", |machine| {
            Box::pin(async move {
                machine.object_store().put("a/1", Bytes::from("one")).await.unwrap();
                machine.object_store().put("ab", Bytes::new()).await.unwrap();
                machine.object_store().put_if_absent("a/1", Bytes::new()).await.unwrap_err();
                let listed = machine.object_store().list("a").await.unwrap();
                let keys: Vec<_> = listed.iter().map(|entry| entry.key.as_str()).collect();
                assert_eq!(keys, ["a/0", "a/1"]);
                assert_eq!(machine.object_store().get_range("a/0", 3..6).await.unwrap(), "loa");
                machine.object_store().delete("a/1").await.unwrap();
            })
        });
        world.sleep(millis(1_000)).await;
        assert_eq!(world.peek_list("a"), ["a/0"]);
        notes.lock().unwrap().clone()
    });
    let effects = [("a/1", Some(3)), ("ab", Some(0)), ("a/1", None)];
    assert_eq!(heard, effects.map(|(key, size)| (key.to_owned(), size)));
}

#[test]
fn a_corrupted_read_changes_one_bit_of_the_answer_and_nothing_else() {
    for seed in 0..5 {
        let read = told(seed, async |world| {
            let notes = Notes::default();
            let noted = notes.clone();
            world.preload("data/key", Bytes::from("value"));
            world.preload("other", Bytes::from("value"));
            let store =
                StoreSelector { key_part: Some("data".to_owned()), ..StoreSelector::default() };
            let fault = Fault::StoreCorruption { store, per_mille: 1000, limit: 1, lasts: LONG };
            schedule(&world, &[at(0, fault)]);
            world.add_node("reader", move |machine| {
                let noted = noted.clone();
                Box::pin(async move {
                    machine.sleep(millis(10)).await;
                    for key in ["other", "data/key", "data/key"] {
                        let content = machine.object_store().get(key).await.unwrap();
                        noted.lock().unwrap().push(content);
                    }
                })
            });
            world.sleep(millis(1_000)).await;
            assert_eq!(world.peek("data/key").unwrap(), "value");
            notes.lock().unwrap().clone()
        });
        let changed_bits = |content: &Bytes| -> u32 {
            content.iter().zip(b"value").map(|(one, other)| (one ^ other).count_ones()).sum()
        };
        assert_eq!(read.iter().map(changed_bits).collect::<Vec<_>>(), [0, 1, 0]);
    }
}

#[test]
fn a_stale_listing_lacks_only_what_others_stored_a_moment_ago() {
    let listed = told(1, async |world| {
        let notes = Notes::default();
        let noted = notes.clone();
        world.preload("a/0", Bytes::new());
        let (store, age) = (StoreSelector::default(), millis(500));
        let fault = Fault::StaleListing { store, age, lasts: millis(3_000) };
        schedule(&world, &[at(0, fault)]);
        world.add_node("writer", |machine| {
            Box::pin(async move {
                machine.object_store().put("a/1", Bytes::new()).await.unwrap();
                machine.sleep(millis(1_000)).await;
                machine.object_store().put("a/0", Bytes::from("again")).await.unwrap();
                machine.object_store().put("a/2", Bytes::new()).await.unwrap();
            })
        });
        world.add_node("reader", move |machine| {
            let noted = noted.clone();
            Box::pin(async move {
                machine.sleep(millis(1_100)).await;
                machine.object_store().put("a/3", Bytes::new()).await.unwrap();
                for _ in 0..2 {
                    let entries = machine.object_store().list("a").await.unwrap();
                    let keys = entries.into_iter().map(|entry| entry.key).collect::<Vec<_>>();
                    noted.lock().unwrap().push(keys.join(" "));
                    machine.sleep(millis(1_000)).await;
                }
            })
        });
        world.sleep(millis(4_000)).await;
        notes.lock().unwrap().clone()
    });
    assert_eq!(listed, ["a/0 a/1 a/3", "a/0 a/1 a/2 a/3"]);
}
