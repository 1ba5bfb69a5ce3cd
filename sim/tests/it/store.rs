//! The object store and the disks: effects, doubts, and what a crash leaves.

use std::{collections::BTreeSet, time::Duration};

use bytes::Bytes;
use floodmark_platform::StoreError;
use floodmark_sim::{DiskFate, Effect, Fault, Operation, StoreSelector};

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

/// Has a node write a file, crash and start again, and returns what it then finds.
fn file_after_crash(seed: u64, is_synced: bool, fate: DiskFate) -> Option<Bytes> {
    told(seed, async move |world| {
        let notes = Notes::default();
        let noted = notes.clone();
        let node = world.add_node("node", move |machine| {
            let noted = noted.clone();
            Box::pin(async move {
                let found = machine.disk().read_file("file").await.ok();
                noted.lock().unwrap().push(found);
                machine.disk().write_file("file", Bytes::from("content")).await.unwrap();
                if is_synced {
                    machine.disk().sync_file("file").await.unwrap();
                }
                machine.sleep(LONG).await;
            })
        });
        world.sleep(millis(10)).await;
        world.crash(node);
        world.restart(node, fate);
        world.sleep(millis(10)).await;
        notes.lock().unwrap()[1].clone()
    })
}

#[test]
fn a_synced_file_survives_unless_the_disk_is_lost() {
    for seed in 0..5 {
        let kept = file_after_crash(seed, true, DiskFate::Kept);
        assert_eq!(kept, Some(Bytes::from("content")));
        assert_eq!(file_after_crash(seed, true, DiskFate::Lost), None);
    }
}

#[test]
fn an_unsynced_file_may_be_kept_torn_or_lost() {
    let sizes: BTreeSet<Option<usize>> = (0..40)
        .map(|seed| file_after_crash(seed, false, DiskFate::Kept).map(|file| file.len()))
        .collect();
    assert!(sizes.contains(&None));
    assert!(sizes.contains(&Some(7)));
    assert!(sizes.iter().flatten().any(|size| *size < 7));
}
