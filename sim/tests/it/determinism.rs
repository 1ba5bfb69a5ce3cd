//! The same seed is the same run, and a tape stands in for a seed.

use std::time::Duration;

use bytes::Bytes;
use floodmark_platform::Machine;
use floodmark_sim::{
    Direction, DiskFate, Effect, Fault, LinkSelector, Outcome, RunOptions, Seed, StoreSelector,
    Tape, World, run,
};

use crate::{Said, accepted, at, connected, frame, millis, options, schedule};

/// A story in which everything happens: nodes pass a number on, store and observe it, and are struck
/// by every kind of fault.
pub(crate) async fn everything(world: World) -> u64 {
    const LASTS: Duration = Duration::from_millis(700);
    for number in 0..3_u16 {
        world.add_node(&format!("node-{number}"), move |machine| {
            Box::pin(async move {
                let sending = machine.clone();
                machine.spawn("send", async move { send(sending, number).await }).detach();
                loop {
                    receive(&machine).await;
                }
            })
        });
    }
    let (link, store) = (LinkSelector::default(), StoreSelector::default());
    let name = |number: u16| format!("node-{number}");
    let (per_mille, limit, lasts) = (100, 50, LASTS);
    let faults = [
        at(300, Fault::Lose { link: link.clone(), per_mille, limit, lasts }),
        at(400, Fault::Duplicate { link: link.clone(), per_mille, limit, lasts }),
        at(500, Fault::Reorder { link: link.clone(), per_mille, limit, lasts }),
        at(600, Fault::Slow { link: link.clone(), extra: millis(5), lasts }),
        at(700, Fault::StoreError { store, effect: Effect::InDoubt, per_mille, limit, lasts }),
        at(800, Fault::Crash { node: name(1), down_for: Some(lasts), disk: DiskFate::Kept }),
        at(900, Fault::Pause { node: name(2), lasts }),
        at(1_700, Fault::Jump { node: name(0), offset_ms: 9 }),
        at(1_700, Fault::Drift { node: name(0), ppm: 50_000 }),
        at(
            1_800,
            Fault::Partition {
                from: vec![name(0)],
                to: vec![name(1)],
                direction: Direction::OneWay,
                lasts,
            },
        ),
        at(2_600, Fault::Reset { link }),
    ];
    schedule(&world, &faults);
    world.sleep(millis(3_000)).await;
    world.struck_count()
}

async fn send(machine: Machine, number: u16) {
    loop {
        let to = format!("node-{}:1", (number + 1) % 3);
        let mut connection = connected(&machine, &to).await;
        loop {
            let choice = machine.entropy().choose("number", 0);
            let number = choice.to_le_bytes()[0];
            if connection.sender.send(frame("number", number)).await.is_err() {
                break;
            }
            machine.sleep(Duration::from_micros(choice % 20_000)).await;
        }
    }
}

#[expect(clippy::disallowed_types, reason = "its order has to follow from the seed as well")]
async fn receive(machine: &Machine) {
    let mut connection = accepted(machine, 1).await;
    let mut seen = std::collections::HashSet::new();
    while let Some(Ok(payload)) = connection.receiver.receive().await {
        seen.insert(payload[0]);
        let any = *seen.iter().next().unwrap();
        machine.observe(|| Said(u64::from(any)));
        drop(machine.object_store().put("last", payload).await);
        drop(machine.disk().write_file("last", Bytes::copy_from_slice(&[any])).await);
    }
}

fn play(options: RunOptions) -> Outcome<u64> {
    let outcome = run(options, everything);
    assert!(outcome.result.is_ok());
    outcome
}

#[test]
fn a_seed_is_the_same_run_every_time_and_beside_any_other() {
    let (first, second) = std::thread::scope(|scope| {
        let beside: Vec<_> =
            (10..14).map(|seed| scope.spawn(move || play(options(seed)))).collect();
        let pair = (play(options(1)), play(options(1)));
        beside.into_iter().for_each(|run| drop(run.join().unwrap()));
        pair
    });
    assert_eq!(first.hash, second.hash);
    assert_eq!(first.event_count, second.event_count);
    assert_eq!(first.virtual_time, second.virtual_time);
    assert_eq!(first.log, second.log);
    assert_eq!(first.log.len(), 40);
    assert!(200 < first.event_count, "{} events", first.event_count);
    assert!(10 < first.result.unwrap(), "faults have struck");
}

#[test]
fn whether_a_run_is_watched_does_not_change_it() {
    let plain = play(RunOptions::new(Seed(1)));
    assert_eq!(plain.hash, play(options(1)).hash);
    assert_eq!(plain.hash, play(RunOptions { is_recorded: true, ..options(1) }).hash);
    assert!(plain.log.is_empty());
    assert!(plain.tape.0.is_empty());
}

#[test]
fn another_seed_is_another_run() {
    let mut hashes: Vec<u128> = (0..10).map(|seed| play(options(seed)).hash).collect();
    hashes.sort_unstable();
    hashes.dedup();
    assert_eq!(hashes.len(), 10);
}

#[test]
fn a_full_tape_replays_a_run_whatever_the_seed() {
    let first = play(RunOptions { is_recorded: true, ..options(1) });
    let text = serde_json::to_string(&first.tape).unwrap();
    let tape: Tape = serde_json::from_str(&text).unwrap();
    assert_eq!(tape, first.tape);
    let again = play(RunOptions { tape: Some(tape), is_recorded: true, ..options(2) });
    assert_eq!(again.hash, first.hash);
    assert_eq!(again.log, first.log);
    assert_eq!(again.tape, first.tape);
}

#[test]
fn one_choice_of_a_tape_changes_a_run() {
    let first = play(RunOptions { is_recorded: true, ..options(1) });
    let mut tape = first.tape.clone();
    let choice = tape.0.iter_mut().find(|choice| choice.site == "number").unwrap();
    choice.value = !choice.value;
    let edited = play(RunOptions { tape: Some(tape), ..options(1) });
    assert_ne!(edited.hash, first.hash);
}
