//! Nodes: crashes, restarts, pauses, clocks and panics.

use std::{collections::BTreeSet, time::Duration};

use bytes::Bytes;
use floodmark_platform::TaskError;
use floodmark_sim::{DiskFate, EventSelector, Fault, Incident, NodeId, PlannedFault, When, World};

use crate::{Notes, Said, accepted, at, connected, frame, millis, schedule, tell, told};

const LONG: Duration = Duration::from_secs(60);

/// Adds a node that says something every ten milliseconds.
fn talker(world: &World) -> NodeId {
    world.add_node("talker", |machine| {
        Box::pin(async move {
            for number in 0.. {
                machine.observe(|| Said(number));
                machine.sleep(millis(10)).await;
            }
        })
    })
}

/// Notes who speaks when: the moment and the life.
fn heard(world: &World) -> Notes<(Duration, u32)> {
    let notes = Notes::default();
    let noted = notes.clone();
    world.listen(move |seen| {
        assert_eq!(seen.node_name, "talker");
        noted.lock().unwrap().push((seen.at, seen.incarnation));
    });
    notes
}

#[test]
fn a_dead_node_is_silent_and_a_restart_is_another_life() {
    told(1, async |world| {
        let heard = heard(&world);
        let node = talker(&world);
        world.sleep(millis(100)).await;
        world.crash(node);
        assert!(!world.is_alive(node));
        let count = heard.lock().unwrap().len();
        world.sleep(millis(100)).await;
        assert_eq!(heard.lock().unwrap().len(), count);
        world.restart(node, DiskFate::Kept);
        world.sleep(millis(100)).await;
        let lives: BTreeSet<u32> = heard.lock().unwrap().iter().map(|(_, life)| *life).collect();
        assert_eq!(lives, BTreeSet::from([0, 1]));
    });
}

#[test]
fn a_paused_node_does_nothing_and_then_goes_on_in_the_same_life() {
    told(1, async |world| {
        let heard = heard(&world);
        let node = talker(&world);
        world.sleep(millis(100)).await;
        world.pause(node);
        assert!(world.is_alive(node));
        let count = heard.lock().unwrap().len();
        world.sleep(millis(100)).await;
        assert_eq!(heard.lock().unwrap().len(), count);
        world.resume(node);
        world.sleep(millis(100)).await;
        assert!(count < heard.lock().unwrap().len());
        assert!(heard.lock().unwrap().iter().all(|(_, life)| *life == 0));
    });
}

#[test]
fn frames_wait_for_a_paused_node() {
    told(1, async |world| {
        let notes = Notes::default();
        let (noted, watching) = (notes.clone(), world.clone());
        let receiver = world.add_node("receiver", move |machine| {
            let (noted, world) = (noted.clone(), watching.clone());
            Box::pin(async move {
                let mut connection = accepted(&machine, 1).await;
                while let Some(Ok(payload)) = connection.receiver.receive().await {
                    noted.lock().unwrap().push((world.now(), payload[0]));
                }
            })
        });
        world.add_node("sender", |machine| {
            Box::pin(async move {
                let mut connection = connected(&machine, "receiver:1").await;
                machine.sleep(millis(200)).await;
                for number in 0..3 {
                    connection.sender.send(frame("any", number)).await.unwrap();
                }
                machine.sleep(LONG).await;
            })
        });
        world.sleep(millis(100)).await;
        world.pause(receiver);
        world.sleep(millis(900)).await;
        assert!(notes.lock().unwrap().is_empty());
        world.resume(receiver);
        world.sleep(millis(10)).await;
        let numbers: Vec<u8> = notes.lock().unwrap().iter().map(|(_, number)| *number).collect();
        assert_eq!(numbers, [0, 1, 2]);
    });
}

/// What the peer of a node that crashes sees within a second: nothing, or an error.
fn end_at_peer(seed: u64) -> Option<bool> {
    told(seed, async |world| {
        let notes = Notes::default();
        let noted = notes.clone();
        world.add_node("peer", move |machine| {
            let noted = noted.clone();
            Box::pin(async move {
                let mut connection = accepted(&machine, 1).await;
                let end = connection.receiver.receive().await;
                noted.lock().unwrap().push(matches!(end, Some(Err(_))));
            })
        });
        let node = world.add_node("mortal", |machine| {
            Box::pin(async move {
                let _connection = connected(&machine, "peer:1").await;
                machine.sleep(LONG).await;
            })
        });
        world.sleep(millis(100)).await;
        world.crash(node);
        assert!(notes.lock().unwrap().is_empty(), "news takes time");
        world.sleep(millis(1_000)).await;
        let end = notes.lock().unwrap().first().copied();
        if end.is_none() {
            world.restart(node, DiskFate::Kept);
            world.sleep(millis(100)).await;
            assert_eq!(*notes.lock().unwrap(), [true], "the next life disowns the connection");
        }
        end
    })
}

#[test]
fn a_crash_is_an_error_or_silence_and_never_an_orderly_end() {
    let ends: BTreeSet<Option<bool>> = (0..20).map(end_at_peer).collect();
    assert_eq!(ends, BTreeSet::from([None, Some(true)]));
}

#[test]
fn a_panic_is_an_error_value_and_a_line_of_the_log() {
    let outcome = tell(1, async |world| {
        let notes = Notes::default();
        let noted = notes.clone();
        world.add_node("node", move |machine| {
            let noted = noted.clone();
            Box::pin(async move {
                let task = machine.spawn("fragile", async { panic!("out of {}", "luck") });
                let result: Result<(), TaskError> = task.await;
                noted.lock().unwrap().push(result);
            })
        });
        world.sleep(millis(10)).await;
        notes.lock().unwrap()[0].clone()
    });
    assert_eq!(outcome.result.unwrap(), Err(TaskError::Panicked("out of luck".to_owned())));
    let entry = &outcome.log[0];
    assert_eq!(entry.node, "node");
    assert!(entry.text.starts_with("task fragile panics: out of luck ("), "{}", entry.text);
}

#[test]
fn a_sleeper_whose_clock_slows_down_does_not_wake_early() {
    told(1, async |world| {
        let notes = Notes::default();
        let noted = notes.clone();
        world.add_node("sleeper", move |machine| {
            let noted = noted.clone();
            Box::pin(async move {
                let deadline = machine.now() + millis(1_000);
                machine.clock().sleep_until(deadline).await;
                noted.lock().unwrap().push(deadline <= machine.now());
            })
        });
        let node = "sleeper".to_owned();
        let jump = Fault::Jump { node: node.clone(), offset_ms: -5_000 };
        schedule(&world, &[at(500, jump), at(500, Fault::Drift { node, ppm: -500_000 })]);
        world.sleep(millis(1_400)).await;
        assert!(notes.lock().unwrap().is_empty());
        world.sleep(millis(200)).await;
        assert_eq!(*notes.lock().unwrap(), [true]);
    });
}

#[test]
fn a_fault_follows_the_observation_it_waits_for() {
    told(1, async |world| {
        let heard = heard(&world);
        talker(&world);
        let crash = Fault::Crash {
            node: "talker".to_owned(),
            down_for: Some(millis(500)),
            disk: DiskFate::Kept,
        };
        let event = EventSelector { label: "said".to_owned(), ..EventSelector::default() };
        let when = When::After { event, occurrence: 5, delay: millis(3) };
        schedule(&world, &[PlannedFault { when, what: crash }]);
        world.sleep(millis(100)).await;
        assert_eq!(heard.lock().unwrap().len(), 5);
        assert!(world.has_active_faults());
        world.sleep(millis(500)).await;
        assert!(5 < heard.lock().unwrap().len());
        assert!(!world.has_faults());
    });
}

#[test]
fn a_fault_chooses_its_observation_by_node_and_number() {
    told(1, async |world| {
        let incidents = Notes::default();
        let noted = incidents.clone();
        world.listen_incidents(move |incident| noted.lock().unwrap().push(incident.clone()));
        for name in ["first", "second"] {
            world.add_node(name, |machine| {
                Box::pin(async move {
                    for number in 0..100 {
                        machine.observe(|| Said(number % 10));
                        machine.sleep(millis(10)).await;
                    }
                })
            });
        }
        let event = EventSelector {
            label: "said".to_owned(),
            node: Some("second".to_owned()),
            fields: vec![("number".to_owned(), 7)],
        };
        let when = When::After { event, occurrence: 2, delay: millis(1) };
        let pause = Fault::Pause { node: "first".to_owned(), lasts: millis(100) };
        schedule(&world, &[PlannedFault { when, what: pause }]);
        // The second seven is the seventeenth thing that is said, after 170 ms.
        world.sleep(millis(165)).await;
        assert!(world.is_running(world.node("first").unwrap()));
        world.sleep(millis(30)).await;
        assert!(!world.is_running(world.node("first").unwrap()));
        world.sleep(millis(300)).await;
        let (asleep, awake) = (
            Incident::FellAsleep { node: "first".into() },
            Incident::Woke { node: "first".into() },
        );
        assert_eq!(*incidents.lock().unwrap(), [asleep, awake]);
    });
}

#[test]
fn healing_ends_all_faults_and_cancels_those_to_come() {
    told(1, async |world| {
        let node = world.add_node("node", |machine| {
            Box::pin(async move {
                let found = machine.disk().read_file("file").await.is_ok();
                machine.observe(|| Said(u64::from(found)));
                machine.disk().write_file("file", Bytes::new()).await.unwrap();
                machine.disk().sync_file("file").await.unwrap();
            })
        });
        let crash =
            || Fault::Crash { node: "node".to_owned(), down_for: None, disk: DiskFate::Lost };
        schedule(&world, &[at(100, crash()), at(9_000, crash())]);
        world.sleep(millis(200)).await;
        assert!(!world.is_alive(node));
        assert_eq!(world.pending_fault_count(), 1);
        world.heal();
        assert!(!world.has_faults());
        let found = Notes::default();
        let noted = found.clone();
        world.listen(move |seen| {
            noted.lock().unwrap().push(seen.observation.as_any().downcast_ref::<Said>().unwrap().0);
        });
        world.sleep(millis(20_000)).await;
        assert!(world.is_running(node));
        assert_eq!(*found.lock().unwrap(), [0], "the disk was lost with the crash");
    });
}
