//! The disks: what a crash leaves of them, and what they do to those who trust them.

use std::{collections::BTreeSet, io, time::Duration};

use bytes::Bytes;
use floodmark_platform::{BoxFuture, Machine};
use floodmark_sim::{DiskFate, DiskSelector, Fault};

use crate::{Notes, at, millis, schedule, told};

const LONG: Duration = Duration::from_secs(60);

/// What a node does with its disk.
type Act<T> = fn(Machine) -> BoxFuture<T>;

/// Has a node act while faults are in force, and returns what it says.
fn under<T: Send + 'static>(seed: u64, faults: Vec<Fault>, act: Act<T>) -> T {
    told(seed, async move |world| {
        let notes = Notes::default();
        let noted = notes.clone();
        let faults: Vec<_> = faults.into_iter().map(|fault| at(0, fault)).collect();
        schedule(&world, &faults);
        world.add_node("node", move |machine| {
            let noted = noted.clone();
            Box::pin(async move {
                machine.sleep(millis(10)).await;
                let said = act(machine).await;
                noted.lock().unwrap().push(said);
            })
        });
        world.sleep(millis(1_000)).await;
        let said = notes.lock().unwrap().pop();
        said.unwrap()
    })
}

/// Has a node act, lose power, and act again in its next life. Returns what it then says.
fn after_power_loss<T: Send + 'static>(
    seed: u64,
    fate: DiskFate,
    first: Act<()>,
    second: Act<T>,
) -> T {
    told(seed, async move |world| {
        let notes = Notes::default();
        let (lives, noted) = (Notes::<()>::default(), notes.clone());
        let node = world.add_node("node", move |machine| {
            let (lives, noted) = (lives.clone(), noted.clone());
            Box::pin(async move {
                let is_first = lives.lock().unwrap().is_empty();
                lives.lock().unwrap().push(());
                if is_first {
                    first(machine).await;
                } else {
                    let said = second(machine).await;
                    noted.lock().unwrap().push(said);
                }
            })
        });
        world.sleep(millis(10)).await;
        world.crash(node);
        world.restart(node, fate);
        world.sleep(millis(10)).await;
        let said = notes.lock().unwrap().pop();
        said.unwrap()
    })
}

fn read(machine: Machine) -> BoxFuture<Option<Bytes>> {
    Box::pin(async move { machine.disk().read_file("file").await.ok() })
}

async fn write(machine: &Machine, name: &str, content: &'static str) {
    machine.disk().write_file(name, Bytes::from_static(content.as_bytes())).await.unwrap();
}

fn write_synced(machine: Machine) -> BoxFuture<()> {
    Box::pin(async move {
        write(&machine, "file", "content").await;
        machine.disk().sync_file("file").await.unwrap();
    })
}

#[test]
fn a_synced_file_survives_unless_the_disk_is_lost() {
    for seed in 0..5 {
        let kept = after_power_loss(seed, DiskFate::Kept, write_synced, read);
        assert_eq!(kept, Some(Bytes::from("content")));
        assert_eq!(after_power_loss(seed, DiskFate::Lost, write_synced, read), None);
    }
}

#[test]
fn an_unsynced_file_may_be_kept_torn_or_lost() {
    let left = |seed| {
        let write: Act<()> =
            |machine| Box::pin(async move { write(&machine, "file", "content").await });
        after_power_loss(seed, DiskFate::Kept, write, read)
    };
    let left: BTreeSet<Option<Bytes>> = (0..40).map(left).collect();
    assert!(left.contains(&None));
    assert!(left.contains(&Some(Bytes::from("content"))));
    assert!(left.iter().flatten().any(|file| !file.is_empty() && file.len() < 7));
}

#[test]
fn of_an_unsynced_file_blocks_in_the_middle_may_be_missing() {
    let left = |seed| {
        let write: Act<()> = |machine| {
            Box::pin(async move {
                let content = Bytes::from(vec![1; 2_048]);
                machine.disk().write_file("file", content).await.unwrap();
            })
        };
        after_power_loss(seed, DiskFate::Kept, write, read).unwrap_or_default()
    };
    let has_hole = |content: Bytes| content.contains(&0) && content.last() == Some(&1);
    assert!((0..40).map(left).any(has_hole));
}

#[test]
fn a_synced_file_takes_the_place_of_another_whole_or_not_at_all() {
    let left = |seed| {
        let replace: Act<()> = |machine| {
            Box::pin(async move {
                write(&machine, "file", "before").await;
                machine.disk().sync_file("file").await.unwrap();
                write(&machine, "file.part", "after").await;
                machine.disk().sync_file("file.part").await.unwrap();
                machine.disk().rename_file("file.part", "file").await.unwrap();
            })
        };
        after_power_loss(seed, DiskFate::Kept, replace, read)
    };
    let left: BTreeSet<Option<Bytes>> = (0..20).map(left).collect();
    assert_eq!(left, BTreeSet::from(["before", "after"].map(|content| Some(content.into()))));
}

#[test]
fn a_removal_that_was_not_synced_may_be_undone() {
    let left = |seed| {
        let remove: Act<()> = |machine| {
            Box::pin(async move {
                write_synced(machine.clone()).await;
                machine.disk().remove_file("file").await.unwrap();
                assert!(machine.disk().list_files("").await.unwrap().is_empty());
            })
        };
        after_power_loss(seed, DiskFate::Kept, remove, read).is_some()
    };
    assert_eq!((0..20).map(left).collect::<BTreeSet<_>>(), BTreeSet::from([false, true]));
}

#[test]
fn a_short_read_yields_a_part_and_the_rest_follows() {
    let fault = |limit| Fault::ShortRead {
        disk: DiskSelector::default(),
        per_mille: 1000,
        limit,
        lasts: LONG,
    };
    for seed in 0..5 {
        let once: Act<Bytes> = |machine| {
            Box::pin(async move {
                write(&machine, "file", "content").await;
                machine.disk().read("file", 0, 100).await.unwrap()
            })
        };
        let part = under(seed, vec![fault(1)], once);
        assert!(!part.is_empty() && part.len() < 7 && "content".as_bytes().starts_with(&part));
        let whole: Act<Bytes> = |machine| {
            Box::pin(async move {
                write(&machine, "file", "content").await;
                machine.disk().read_file("file").await.unwrap()
            })
        };
        assert_eq!(under(seed, vec![fault(100)], whole), "content");
    }
}

#[test]
fn a_corrupt_read_harms_the_answer_and_rot_harms_the_file() {
    let disk = DiskSelector { node: Some("node".to_owned()), name_part: Some("fil".to_owned()) };
    let read_twice: Act<[u32; 2]> = |machine| {
        Box::pin(async move {
            write(&machine, "file", "content").await;
            machine.sleep(millis(100)).await;
            let mut changed_bits = [0; 2];
            for count in &mut changed_bits {
                let read = machine.disk().read_file("file").await.unwrap();
                let bits = read.iter().zip(b"content").map(|(one, other)| one ^ other);
                *count = bits.map(u8::count_ones).sum();
            }
            changed_bits
        })
    };
    let fault = |disk| Fault::CorruptRead { disk, per_mille: 1000, limit: 1, lasts: LONG };
    assert_eq!(under(1, vec![fault(disk.clone())], read_twice), [1, 0]);
    let elsewhere = DiskSelector { node: Some("another".to_owned()), name_part: None };
    assert_eq!(under(1, vec![fault(elsewhere)], read_twice), [0, 0]);
    let rotten = told(1, async move |world| {
        let notes = Notes::default();
        let noted = notes.clone();
        schedule(&world, &[at(50, Fault::BitRot { disk })]);
        world.add_node("node", move |machine| {
            let noted = noted.clone();
            Box::pin(async move {
                let changed_bits = read_twice(machine).await;
                noted.lock().unwrap().push(changed_bits);
            })
        });
        world.sleep(millis(1_000)).await;
        let said = notes.lock().unwrap().pop();
        said.unwrap()
    });
    assert_eq!(rotten, [1, 1]);
}

#[test]
fn a_full_disk_refuses_writes_and_still_reads() {
    let write_more: Act<(io::ErrorKind, usize, bool)> = |machine| {
        Box::pin(async move {
            let refused = machine.disk().write_file("file", Bytes::from("content")).await;
            let part = machine.disk().read_file("file").await.unwrap();
            machine.sleep(millis(200)).await;
            let has_room = machine.disk().write_file("file", Bytes::from("content")).await.is_ok();
            (refused.unwrap_err().kind(), part.len(), has_room)
        })
    };
    for seed in 0..5 {
        let fault = Fault::DiskFull { disk: DiskSelector::default(), lasts: millis(100) };
        let (refused, size, has_room) = under(seed, vec![fault], write_more);
        assert_eq!(refused, io::ErrorKind::StorageFull);
        assert!(size < 7);
        assert!(has_room, "in the end there is room again");
    }
}

#[test]
fn an_error_of_the_disk_has_no_effect() {
    let try_all: Act<Vec<bool>> = |machine| {
        Box::pin(async move {
            let disk = machine.disk();
            vec![
                disk.write_file("file", Bytes::from("content")).await.is_err(),
                disk.read("file", 0, 1).await.is_err_and(|e| e.kind() != io::ErrorKind::NotFound),
                disk.list_files("").await.is_err(),
                disk.list_files("").await.unwrap().is_empty(),
            ]
        })
    };
    let disk = DiskSelector::default();
    let fault = Fault::DiskError { disk, per_mille: 1000, limit: 3, lasts: LONG };
    assert_eq!(under(1, vec![fault], try_all), [true; 4]);
}
