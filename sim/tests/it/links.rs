//! Links: order, loss, repetition, partitions and ends of connections.

use std::{io, time::Duration};

use floodmark_platform::{Address, Frame, FrameKind};
use floodmark_sim::{Direction, Fault, LinkSelector, PlannedFault};

use crate::{Notes, accepted, at, connected, frame, millis, schedule, told};

/// What a receiver sees.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Seen {
    Frame(u8),
    End,
    Broken,
}

/// Frames that are sent, and when the first one is.
const COUNT: u8 = 10;
const START: u64 = 100;

/// Has `sender` send frames of the kinds `even` and `odd` to `receiver`, one in ten milliseconds,
/// and returns what arrives and when.
fn deliver(seed: u64, spacing: Duration, faults: &[PlannedFault]) -> Vec<(Duration, Seen)> {
    let faults = faults.to_vec();
    told(seed, async move |world| {
        let notes = Notes::default();
        let (noted, watching) = (notes.clone(), world.clone());
        world.add_node("receiver", move |machine| {
            let (noted, world) = (noted.clone(), watching.clone());
            Box::pin(async move {
                let mut connection = accepted(&machine, 1).await;
                loop {
                    let seen = match connection.receiver.receive().await {
                        Some(Ok(payload)) => Seen::Frame(payload[0]),
                        Some(Err(_)) => Seen::Broken,
                        None => Seen::End,
                    };
                    noted.lock().unwrap().push((world.now(), seen));
                    if !matches!(seen, Seen::Frame(_)) {
                        return;
                    }
                }
            })
        });
        world.add_node("sender", move |machine| {
            Box::pin(async move {
                let start = machine.now() + millis(START);
                let mut connection = connected(&machine, "receiver:1").await;
                for number in 0..COUNT {
                    machine.clock().sleep_until(start + u32::from(number) * spacing).await;
                    let kind = if number % 2 == 0 { "even" } else { "odd" };
                    if connection.sender.send(frame(kind, number)).await.is_err() {
                        return;
                    }
                }
            })
        });
        schedule(&world, &faults);
        world.sleep(millis(10_000)).await;
        notes.lock().unwrap().clone()
    })
}

fn seen(arrivals: &[(Duration, Seen)]) -> Vec<Seen> {
    arrivals.iter().map(|(_, seen)| *seen).collect()
}

/// Checks what arrives, with several seeds.
fn check(faults: &[PlannedFault], expected: &[u8]) {
    let mut all: Vec<Seen> = expected.iter().map(|number| Seen::Frame(*number)).collect();
    all.push(Seen::End);
    for seed in 0..10 {
        assert_eq!(seen(&deliver(seed, millis(10), faults)), all, "seed {seed}");
    }
}

fn of_kind(kind: &str) -> LinkSelector {
    LinkSelector { kind: Some(kind.to_owned()), ..LinkSelector::default() }
}

fn partition(from: &str, to: &str, direction: Direction, lasts: u64) -> Fault {
    let names = |name: &str| vec![name.to_owned()];
    Fault::Partition { from: names(from), to: names(to), direction, lasts: millis(lasts) }
}

const LONG: Duration = Duration::from_secs(60);
const ALL: [u8; 10] = [0, 1, 2, 3, 4, 5, 6, 7, 8, 9];

#[test]
fn frames_arrive_in_order_and_then_the_end() {
    check(&[], &ALL);
}

#[test]
fn only_the_kind_that_is_lost_is_lost() {
    let lose = Fault::Lose { link: of_kind("odd"), per_mille: 1000, limit: 99, lasts: LONG };
    check(&[at(0, lose)], &[0, 2, 4, 6, 8]);
}

#[test]
fn no_more_frames_are_lost_than_the_limit() {
    let lose = Fault::Lose { link: of_kind("odd"), per_mille: 1000, limit: 2, lasts: LONG };
    check(&[at(0, lose)], &[0, 2, 4, 5, 6, 7, 8, 9]);
}

#[test]
fn a_loss_ends_with_its_time() {
    let link = LinkSelector::default();
    let lose = Fault::Lose { link, per_mille: 1000, limit: 99, lasts: millis(START + 45) };
    check(&[at(0, lose)], &[5, 6, 7, 8, 9]);
}

#[test]
fn another_direction_is_not_struck() {
    let link = LinkSelector { from: Some("receiver".to_owned()), ..LinkSelector::default() };
    check(&[at(0, Fault::Lose { link, per_mille: 1000, limit: 99, lasts: LONG })], &ALL);
}

#[test]
fn a_duplicate_follows_its_original() {
    let link = of_kind("even");
    let duplicate = Fault::Duplicate { link, per_mille: 1000, limit: 2, lasts: LONG };
    check(&[at(0, duplicate)], &[0, 0, 1, 2, 2, 3, 4, 5, 6, 7, 8, 9]);
}

#[test]
fn reordered_frames_are_overtaken_and_none_is_lost() {
    let link = of_kind("even");
    let reorder = Fault::Reorder { link, per_mille: 1000, limit: 99, lasts: LONG };
    let mut overtaken = 0;
    for seed in 0..10 {
        let mut arrived = seen(&deliver(seed, Duration::ZERO, &[at(0, reorder.clone())]));
        assert_eq!(arrived.pop(), Some(Seen::End));
        overtaken += usize::from(!arrived.is_sorted());
        arrived.sort();
        assert_eq!(arrived, ALL.map(Seen::Frame));
    }
    assert!(5 < overtaken);
}

#[test]
fn a_partition_holds_frames_until_it_heals() {
    let fault = at(START + 35, partition("sender", "receiver", Direction::Both, 1_000));
    check(std::slice::from_ref(&fault), &ALL);
    let arrivals = deliver(1, millis(10), &[fault]);
    let healed = millis(START + 1_035);
    let held = arrivals.iter().filter(|(time, _)| healed <= *time).count();
    let during = arrivals.iter().filter(|(time, _)| millis(START + 35) <= *time && *time < healed);
    assert_eq!(during.count(), 0);
    assert!((6..11).contains(&held));
}

#[test]
fn a_one_way_partition_lets_the_way_back_pass() {
    let latest = |fault: Fault| {
        let arrivals = deliver(3, millis(10), &[at(START + 35, fault)]);
        assert_eq!(seen(&arrivals).len(), 11);
        arrivals[10].0
    };
    let healed = millis(START + 1_035);
    assert!(healed <= latest(partition("sender", "receiver", Direction::OneWay, 1_000)));
    assert!(latest(partition("receiver", "sender", Direction::OneWay, 1_000)) < healed);
}

#[test]
fn a_clog_holds_its_kind_and_what_is_behind_it() {
    let clog = at(0, Fault::Clog { link: of_kind("odd"), lasts: millis(START + 1_000) });
    check(std::slice::from_ref(&clog), &ALL);
    let arrivals = deliver(1, millis(10), &[clog]);
    let before: Vec<_> =
        arrivals.iter().filter(|(time, _)| *time < millis(START + 1_000)).collect();
    assert_eq!(before.len(), 1);
    assert_eq!(before[0].1, Seen::Frame(0));
}

#[test]
fn a_slow_link_takes_longer() {
    let slow = Fault::Slow { link: LinkSelector::default(), extra: millis(500), lasts: LONG };
    let arrivals = deliver(1, millis(10), &[at(0, slow)]);
    assert!(millis(START + 500) <= arrivals[0].0);
}

#[test]
fn a_reset_breaks_the_connection() {
    for seed in 0..10 {
        let reset = Fault::Reset { link: LinkSelector::default() };
        let seen = seen(&deliver(seed, millis(10), &[at(START + 55, reset)]));
        assert_eq!(seen.last(), Some(&Seen::Broken));
        assert!(seen.len() <= 7);
    }
}

#[test]
fn a_sender_without_room_waits() {
    let sent = told(1, async |world| {
        let sent = Notes::default();
        let noted = sent.clone();
        world.add_node("receiver", |machine| {
            Box::pin(async move {
                let mut connection = accepted(&machine, 1).await;
                machine.sleep(millis(1_000)).await;
                drop(connection.receiver.receive().await);
                machine.sleep(LONG).await;
            })
        });
        world.add_node("sender", move |machine| {
            let noted = noted.clone();
            Box::pin(async move {
                let mut connection = connected(&machine, "receiver:1").await;
                loop {
                    let payload = vec![0; 64 << 10].into();
                    let frame = Frame { kind: FrameKind("block"), payload };
                    connection.sender.send(frame).await.unwrap();
                    noted.lock().unwrap().push(());
                }
            })
        });
        world.sleep(millis(900)).await;
        let before = sent.lock().unwrap().len();
        world.sleep(millis(200)).await;
        let after = sent.lock().unwrap().len();
        (before, after)
    });
    assert_eq!(sent, (4, 5));
}

#[test]
fn a_receiver_that_moves_to_another_task_is_woken_there() {
    let received = told(1, async |world| {
        let notes = Notes::default();
        let noted = notes.clone();
        world.add_node("receiver", move |machine| {
            let noted = noted.clone();
            Box::pin(async move {
                let mut connection = accepted(&machine, 1).await;
                // The frame is on its way; the first task gives up before it arrives.
                let early = machine.timeout(millis(400), connection.receiver.receive()).await;
                assert!(early.is_none());
                let moved = machine.spawn("moved", async move {
                    connection.receiver.receive().await.unwrap().unwrap()
                });
                let payload = moved.await.unwrap();
                noted.lock().unwrap().push(payload[0]);
            })
        });
        world.add_node("sender", |machine| {
            Box::pin(async move {
                let mut connection = connected(&machine, "receiver:1").await;
                connection.sender.send(frame("only", 7)).await.unwrap();
                machine.sleep(LONG).await;
            })
        });
        let slow = Fault::Slow { link: of_kind("only"), extra: millis(500), lasts: LONG };
        schedule(&world, &[at(0, slow)]);
        world.sleep(millis(2_000)).await;
        notes.lock().unwrap().clone()
    });
    assert_eq!(received, [7]);
}

/// What becomes of an attempt to connect to `other:1`, and how long it takes.
fn connect(prepare: fn(&floodmark_sim::World)) -> (Option<io::ErrorKind>, Duration) {
    told(1, async move |world| {
        let notes = Notes::default();
        let noted = notes.clone();
        world.add_node("other", |machine| Box::pin(async move { machine.sleep(LONG).await }));
        world.add_node("caller", move |machine| {
            let noted = noted.clone();
            Box::pin(async move {
                machine.sleep(millis(10)).await;
                let start = machine.now();
                let answer = machine.network().connect(&Address("other:1".to_owned())).await;
                let kind = answer.err().map(|error| error.kind());
                noted.lock().unwrap().push((kind, machine.now() - start));
            })
        });
        prepare(&world);
        world.sleep(millis(5_000)).await;
        notes.lock().unwrap()[0]
    })
}

#[test]
fn a_live_node_without_a_listener_refuses_at_once() {
    let (kind, time) = connect(|_| {});
    assert_eq!(kind, Some(io::ErrorKind::ConnectionRefused));
    assert!(time < millis(100));
}

#[test]
fn a_dead_node_does_not_answer() {
    let (kind, time) = connect(|world| world.crash(world.node("other").unwrap()));
    assert_eq!(kind, Some(io::ErrorKind::TimedOut));
    assert!(millis(1_000) <= time);
}

#[test]
fn a_node_behind_a_partition_does_not_answer() {
    let (kind, _) = connect(|world| {
        let fault = partition("other", "caller", Direction::OneWay, 1_000);
        schedule(world, &[at(0, fault)]);
    });
    assert_eq!(kind, Some(io::ErrorKind::TimedOut));
}

#[test]
fn a_connection_nobody_accepts_breaks_with_its_listener() {
    let broken = told(1, async |world| {
        let notes = Notes::default();
        let noted = notes.clone();
        world.add_node("other", |machine| {
            Box::pin(async move {
                let listener = machine.network().listen(1).await.unwrap();
                machine.sleep(millis(500)).await;
                drop(listener);
                machine.sleep(LONG).await;
            })
        });
        world.add_node("caller", move |machine| {
            let noted = noted.clone();
            Box::pin(async move {
                let mut connection = connected(&machine, "other:1").await;
                let answer = connection.receiver.receive().await;
                noted.lock().unwrap().push(matches!(answer, Some(Err(_))));
            })
        });
        world.sleep(millis(2_000)).await;
        notes.lock().unwrap().clone()
    });
    assert_eq!(broken, [true]);
}
