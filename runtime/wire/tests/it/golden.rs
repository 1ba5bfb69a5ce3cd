//! The exact bytes of every format. They lie in object stores and travel between processes of
//! different builds, so a change of bytes is a change of version: whoever updates a snapshot below
//! also raises the version of its format (the fifth and sixth byte), and says in the changelog what
//! becomes of what is already stored.

use std::fmt::{Debug, Write as _};

use bytes::Bytes;
use expect_test::{Expect, expect};
use floodmark_model::{
    Attempt, Barrier, ChannelId, CheckpointId, Edge, EdgeId, Element, Exchange, JobGraph, KeyGroup,
    Record, SubtaskId, Term, Timestamp, Vertex, VertexId, WorkerId,
};
use floodmark_wire::{
    DataFrame, Deployment, Handshake, KeyGroupBytes, LogEntry, Manifest, ReverseFrame, Section,
    SnapshotFile, StoredFile, SubtaskReport, SubtaskStatus, ToCoordinator, ToWorker, WireError,
    decode_data, decode_handshake, decode_log_entry, decode_reverse, decode_snapshot,
    decode_to_coordinator, decode_to_worker, encode_data,
};

const ATTEMPT: Attempt = Attempt { term: Term(2), number: 3 };
const CHECKPOINT: CheckpointId = CheckpointId(0x1_0000_0007);
const CHANNEL: ChannelId = ChannelId { edge: EdgeId(4), from: 5, to: 6 };
const SUBTASK: SubtaskId = SubtaskId { vertex: VertexId(1), index: 2 };

/// Asserts that `value` has these bytes, and that they are `value` again.
fn check<T: Debug + PartialEq>(
    value: &T,
    bytes: Bytes,
    decode: fn(&[u8]) -> Result<T, WireError>,
    expected: Expect,
) {
    expected.assert_eq(&hex(&bytes));
    assert_eq!(decode(&bytes).as_ref(), Ok(value));
}

/// Returns the header of 24 bytes in a line of its own, and the payload in lines of 32.
fn hex(bytes: &[u8]) -> String {
    let (header, payload) = bytes.split_at(24);
    let mut text = String::new();
    for line in std::iter::once(header).chain(payload.chunks(32)) {
        for (index, byte) in line.iter().enumerate() {
            let space = if 0 < index && index % 4 == 0 { " " } else { "" };
            write!(text, "{space}{byte:02x}").expect("writing to memory");
        }
        text.push('\n');
    }
    text
}

fn file() -> StoredFile {
    StoredFile::describe("checkpoints/job/data/x".to_owned(), b"content")
}

#[test]
fn a_reign() {
    let entry = LogEntry::Reign { term: Term(2), claim: 0x0102_0304_0506_0708 };
    check(
        &entry,
        entry.encode(),
        decode_log_entry,
        expect![[r#"
        464d6c67 01000000 14000000 00000000 04766c1d 955028b7
        00000000 02000000 00000000 08070605 04030201
    "#]],
    );
}

#[test]
fn a_manifest() {
    let exchange = |id, from, to, exchange| Edge {
        id: EdgeId(id),
        from: VertexId(from),
        to: VertexId(to),
        exchange,
    };
    let vertex = |id, name: &str, is_source| Vertex {
        id: VertexId(id),
        name: name.to_owned(),
        parallelism: 3,
        is_source,
    };
    let job = JobGraph {
        name: "job".to_owned(),
        key_group_count: 128,
        vertices: vec![vertex(0, "source", true), vertex(1, "sink", false)],
        edges: vec![
            exchange(0, 0, 1, Exchange::Forward),
            exchange(1, 0, 1, Exchange::Hash),
            exchange(2, 0, 1, Exchange::Rebalance),
            exchange(3, 0, 1, Exchange::Broadcast),
        ],
    };
    let entry = LogEntry::Manifest(Manifest {
        term: Term(2),
        attempt: ATTEMPT,
        checkpoint: CHECKPOINT,
        is_final: true,
        job,
        snapshots: vec![(SUBTASK, vec![file()])],
    });
    check(
        &entry,
        entry.encode(),
        decode_log_entry,
        expect![[r#"
        464d6c67 01000000 ea000000 00000000 735925e2 0fb58c08
        01000000 02000000 00000000 02000000 00000000 03000000 07000000 01000000
        01030000 00000000 006a6f62 80000200 00000000 00000000 00000600 00000000
        0000736f 75726365 03000101 00000004 00000000 00000073 696e6b03 00000400
        00000000 00000000 00000000 00000100 00000000 00000100 00000000 00000100
        00000100 00000200 00000000 00000100 00000200 00000300 00000000 00000100
        00000300 00000100 00000000 00000100 00000200 01000000 00000000 16000000
        00000000 63686563 6b706f69 6e74732f 6a6f622f 64617461 2f780700 00000000
        000064aa cf6a1ab3 f255
    "#]],
    );
}

#[test]
fn a_snapshot() {
    let part =
        |group, bytes: &[u8]| KeyGroupBytes { group: KeyGroup(group), bytes: bytes.to_vec() };
    let file = SnapshotFile {
        sections: vec![Section {
            operator: "count".to_owned(),
            name: "windows".to_owned(),
            type_name: "u64".to_owned(),
            entry_count: 3,
            groups: vec![part(0, b"ab"), part(127, b"c")],
        }],
    };
    check(
        &file,
        file.encode(),
        decode_snapshot,
        expect![[r#"
        464d736e 01000000 56000000 00000000 4d6a8534 9d0f84c3
        01000000 00000000 05000000 00000000 636f756e 74070000 00000000 0077696e
        646f7773 03000000 00000000 75363403 00000000 00000002 00000000 00000000
        00020000 00000000 0061627f 00010000 00000000 0063
    "#]],
    );
}

#[test]
fn a_handshake() {
    let handshake = Handshake { attempt: ATTEMPT, channel: CHANNEL };
    check(
        &handshake,
        handshake.encode(),
        decode_handshake,
        expect![[r#"
        464d6468 01000000 14000000 00000000 d16d4d0a 9bcba860
        02000000 00000000 03000000 04000000 05000600
    "#]],
    );
}

fn check_element(element: Element<String>, expected: Expect) {
    let frame = DataFrame::Element { attempt: ATTEMPT, channel: CHANNEL, sequence: 8, element };
    check(&frame, encode_data(&frame), decode_data, expected);
}

#[test]
fn a_frame_with_records() {
    let record = |timestamp, value: &str| Record {
        timestamp: Timestamp(timestamp),
        value: value.to_owned(),
    };
    check_element(
        Element::Batch(vec![record(-1, "to"), record(1_000, "be")]),
        expect![[r#"
        464d6466 01000000 50000000 00000000 850eaa6d 726a6d14
        00000000 02000000 00000000 03000000 04000000 05000600 08000000 00000000
        00000000 02000000 00000000 ffffffff ffffffff 02000000 00000000 746fe803
        00000000 00000200 00000000 00006265
    "#]],
    );
}

#[test]
fn a_frame_with_a_watermark() {
    check_element(
        Element::Watermark(Timestamp::MIN),
        expect![[r#"
        464d6466 01000000 2c000000 00000000 e85a8e1a 92926d8d
        00000000 02000000 00000000 03000000 04000000 05000600 08000000 00000000
        01000000 00000000 00000080
    "#]],
    );
}

#[test]
fn a_frame_with_a_barrier() {
    let barrier = Barrier { checkpoint: CHECKPOINT, is_final: true };
    check_element(
        Element::Barrier(barrier),
        expect![[r#"
        464d6466 01000000 2d000000 00000000 8d985151 ae980adc
        00000000 02000000 00000000 03000000 04000000 05000600 08000000 00000000
        02000000 07000000 01000000 01
    "#]],
    );
}

#[test]
fn a_frame_that_says_idle() {
    check_element(
        Element::Idle,
        expect![[r#"
        464d6466 01000000 24000000 00000000 36aac79b e1016d97
        00000000 02000000 00000000 03000000 04000000 05000600 08000000 00000000
        03000000
    "#]],
    );
}

#[test]
fn a_frame_that_says_end() {
    check_element(
        Element::End,
        expect![[r#"
        464d6466 01000000 24000000 00000000 db8fdb98 d742603c
        00000000 02000000 00000000 03000000 04000000 05000600 08000000 00000000
        04000000
    "#]],
    );
}

#[test]
fn a_pulse() {
    let frame = DataFrame::<String>::Pulse { attempt: ATTEMPT, channel: CHANNEL, next: 9 };
    check(
        &frame,
        encode_data(&frame),
        decode_data,
        expect![[r#"
        464d6466 01000000 20000000 00000000 efc707e1 f3156c39
        01000000 02000000 00000000 03000000 04000000 05000600 09000000 00000000
    "#]],
    );
}

#[test]
fn a_reverse_frame() {
    let frame = ReverseFrame { attempt: ATTEMPT, consumed: 7 };
    check(
        &frame,
        frame.encode(),
        decode_reverse,
        expect![[r#"
        464d6472 01000000 14000000 00000000 6f08d250 1495c1f7
        02000000 00000000 03000000 07000000 00000000
    "#]],
    );
}

#[test]
fn a_deployment() {
    let message = ToWorker::Deploy(Deployment {
        attempt: ATTEMPT,
        restored: Some(CHECKPOINT),
        subtasks: vec![(SUBTASK, vec![file()])],
        locations: vec![(SUBTASK, "127.0.0.1:4711".to_owned())],
    });
    check(
        &message,
        message.encode(),
        decode_to_worker,
        expect![[r#"
        464d7477 01000000 81000000 00000000 e16d350d bc8dcd27
        02000000 02000000 00000000 03000000 01070000 00010000 00010000 00000000
        00010000 00020001 00000000 00000016 00000000 00000063 6865636b 706f696e
        74732f6a 6f622f64 6174612f 78070000 00000000 0064aacf 6a1ab3f2 55010000
        00000000 00010000 0002000e 00000000 00000031 32372e30 2e302e31 3a343731
        31
    "#]],
    );
}

#[test]
fn an_acknowledgement() {
    let message = ToCoordinator::Acknowledge {
        attempt: ATTEMPT,
        checkpoint: CHECKPOINT,
        subtask: SUBTASK,
        files: vec![file()],
    };
    check(
        &message,
        message.encode(),
        decode_to_coordinator,
        expect![[r#"
        464d7463 01000000 54000000 00000000 fd9e0681 a08d68ba
        02000000 02000000 00000000 03000000 07000000 01000000 01000000 02000100
        00000000 00001600 00000000 00006368 65636b70 6f696e74 732f6a6f 622f6461
        74612f78 07000000 00000000 64aacf6a 1ab3f255
    "#]],
    );
}

/// The other messages are small: their bytes show above all which number each variant has.
#[test]
fn the_other_messages_to_a_worker() {
    let (attempt, checkpoint) = (ATTEMPT, CHECKPOINT);
    let messages = [
        ToWorker::Registered { term: Term(2) },
        ToWorker::Heartbeat { attempt },
        ToWorker::Trigger { attempt, checkpoint, is_final: true },
        ToWorker::Abort { attempt, checkpoint },
        ToWorker::Notify { attempt, checkpoint, is_final: false },
        ToWorker::Cancel { attempt },
        ToWorker::Stop { attempt, checkpoint },
        ToWorker::End { term: Term(2) },
    ];
    let texts = messages.iter().map(|message| {
        assert_eq!(decode_to_worker(&message.encode()).as_ref(), Ok(message));
        hex(&message.encode())
    });
    expect![[r#"
        464d7477 01000000 0c000000 00000000 3324c844 85d5bb61
        00000000 02000000 00000000
        464d7477 01000000 10000000 00000000 ecc8c611 d70d50a4
        01000000 02000000 00000000 03000000
        464d7477 01000000 19000000 00000000 11b9ca1a 35659612
        03000000 02000000 00000000 03000000 07000000 01000000 01
        464d7477 01000000 18000000 00000000 6ba2f947 a7fe97dd
        04000000 02000000 00000000 03000000 07000000 01000000
        464d7477 01000000 19000000 00000000 eea736ee 35790980
        05000000 02000000 00000000 03000000 07000000 01000000 00
        464d7477 01000000 10000000 00000000 18acfed4 bbda86b6
        06000000 02000000 00000000 03000000
        464d7477 01000000 18000000 00000000 be1c9e22 111ae4d4
        07000000 02000000 00000000 03000000 07000000 01000000
        464d7477 01000000 0c000000 00000000 c0274a9a 7ca6a4d1
        08000000 02000000 00000000
    "#]]
    .assert_eq(&texts.collect::<String>());
}

#[test]
fn how_far_sources_are() {
    let (attempt, subtask, group) = (ATTEMPT, SUBTASK, "tides".to_owned());
    let watermark = Some(Timestamp(-2));
    let report = ToCoordinator::Watermark { attempt, subtask, group: group.clone(), watermark };
    check(
        &report,
        report.encode(),
        decode_to_coordinator,
        expect![[r#"
        464d7463 01000000 2c000000 00000000 ef28058d d130fda5
        05000000 02000000 00000000 03000000 01000000 02000500 00000000 00007469
        64657301 feffffff ffffffff
    "#]],
    );
    let announcement = ToWorker::Announce { attempt, group, least: None };
    check(
        &announcement,
        announcement.encode(),
        decode_to_worker,
        expect![[r#"
        464d7477 01000000 1e000000 00000000 1ee39a85 db168951
        09000000 02000000 00000000 03000000 05000000 00000000 74696465 7300
    "#]],
    );
}

#[test]
fn the_other_messages_to_the_coordinator() {
    let report = |status| SubtaskReport { subtask: SUBTASK, status };
    let worker = WorkerId(0x0102_0304_0506_0708);
    let messages = [
        ToCoordinator::Register { worker, slot_count: 4, data_address: "a:1".to_owned() },
        ToCoordinator::Heartbeat {
            worker,
            attempt: ATTEMPT,
            subtasks: vec![
                report(SubtaskStatus::Starting),
                report(SubtaskStatus::Running),
                report(SubtaskStatus::Exhausted),
                report(SubtaskStatus::Finished),
                report(SubtaskStatus::Failed { reason: "why".to_owned() }),
            ],
        },
        ToCoordinator::Decline {
            attempt: ATTEMPT,
            checkpoint: CHECKPOINT,
            subtask: SUBTASK,
            reason: "why".to_owned(),
        },
        ToCoordinator::Leave { worker },
    ];
    let texts = messages.iter().map(|message| {
        assert_eq!(decode_to_coordinator(&message.encode()).as_ref(), Ok(message));
        hex(&message.encode())
    });
    expect![[r#"
        464d7463 01000000 1b000000 00000000 1ee1e1c3 85b6d4ad
        00000000 08070605 04030201 04000000 03000000 00000000 613a31
        464d7463 01000000 5d000000 00000000 21693718 ee27e9bf
        01000000 08070605 04030201 02000000 00000000 03000000 05000000 00000000
        01000000 02000000 00000100 00000200 01000000 01000000 02000200 00000100
        00000200 03000000 01000000 02000400 00000300 00000000 00007768 79
        464d7463 01000000 29000000 00000000 304415be 53c4895a
        03000000 02000000 00000000 03000000 07000000 01000000 01000000 02000300
        00000000 00007768 79
        464d7463 01000000 0c000000 00000000 e9938862 db7dd487
        04000000 08070605 04030201
    "#]]
    .assert_eq(&texts.collect::<String>());
}
