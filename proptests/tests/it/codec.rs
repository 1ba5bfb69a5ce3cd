//! What is written is read, and what was damaged is refused.

use floodmark_model::{
    Attempt, Barrier, ChannelId, CheckpointId, EdgeId, Element, Record, SubtaskId, Term, Timestamp,
    VertexId, WorkerId,
};
use floodmark_wire::{
    DataFrame, StoredFile, SubtaskReport, SubtaskStatus, ToCoordinator, ToWorker, decode_data,
    decode_to_coordinator, decode_to_worker, encode_data,
};
use proptest::prelude::*;

fn attempt() -> impl Strategy<Value = Attempt> {
    any::<(u64, u32)>().prop_map(|(term, number)| Attempt { term: Term(term), number })
}

fn subtask() -> impl Strategy<Value = SubtaskId> {
    any::<(u32, u16)>().prop_map(|(vertex, index)| SubtaskId { vertex: VertexId(vertex), index })
}

fn element() -> impl Strategy<Value = Element<(String, Option<i64>)>> {
    let record = any::<(i64, String, Option<i64>)>().prop_map(|(timestamp, text, number)| Record {
        timestamp: Timestamp(timestamp),
        value: (text, number),
    });
    prop_oneof![
        prop::collection::vec(record, 1..20).prop_map(Element::Batch),
        any::<i64>().prop_map(|watermark| Element::Watermark(Timestamp(watermark))),
        any::<(u64, bool)>().prop_map(|(checkpoint, is_final)| Element::Barrier(Barrier {
            checkpoint: CheckpointId(checkpoint),
            is_final,
        })),
        Just(Element::Idle),
        Just(Element::End),
    ]
}

fn to_coordinator() -> impl Strategy<Value = ToCoordinator> {
    let status = prop_oneof![
        Just(SubtaskStatus::Starting),
        Just(SubtaskStatus::Running),
        Just(SubtaskStatus::Exhausted),
        Just(SubtaskStatus::Finished),
        any::<String>().prop_map(|reason| SubtaskStatus::Failed { reason }),
    ];
    let report =
        (subtask(), status).prop_map(|(subtask, status)| SubtaskReport { subtask, status });
    let file = any::<(String, u64, u64)>().prop_map(|(key, size_bytes, checksum)| StoredFile {
        key,
        size_bytes,
        checksum,
    });
    prop_oneof![
        (any::<u64>(), attempt(), prop::collection::vec(report, 0..5)).prop_map(
            |(worker, attempt, subtasks)| ToCoordinator::Heartbeat {
                worker: WorkerId(worker),
                attempt,
                subtasks,
            }
        ),
        (attempt(), any::<u64>(), subtask(), prop::collection::vec(file, 0..3)).prop_map(
            |(attempt, checkpoint, subtask, files)| ToCoordinator::Acknowledge {
                attempt,
                checkpoint: CheckpointId(checkpoint),
                subtask,
                files,
            }
        ),
    ]
}

proptest! {
    /// Every element comes back as it went, with its attempt, channel and number.
    #[test]
    fn a_data_frame_comes_back_as_it_went(
        attempt in attempt(),
        (edge, from, to) in any::<(u32, u16, u16)>(),
        sequence in any::<u64>(),
        element in element(),
    ) {
        let channel = ChannelId { edge: EdgeId(edge), from, to };
        let frame = DataFrame::Element { attempt, channel, sequence, element };
        prop_assert_eq!(decode_data(&encode_data(&frame)), Ok(frame));
    }

    /// Every control message comes back as it went.
    #[test]
    fn a_message_comes_back_as_it_went(message in to_coordinator(), attempt in attempt()) {
        prop_assert_eq!(decode_to_coordinator(&message.encode()), Ok(message));
        let message = ToWorker::Heartbeat { attempt };
        prop_assert_eq!(decode_to_worker(&message.encode()), Ok(message));
    }

    /// A frame with one changed bit, or cut short, is refused and never misread.
    #[test]
    fn a_damaged_message_is_refused(
        message in to_coordinator(),
        position in any::<prop::sample::Index>(),
        bit in 0_u8..8,
        cut in any::<prop::sample::Index>(),
    ) {
        let bytes = message.encode();
        let mut damaged = bytes.to_vec();
        let position = position.index(damaged.len());
        damaged[position] ^= 1 << bit;
        // The two bytes after the version are padding and mean nothing.
        prop_assume!(!(6..8).contains(&position));
        prop_assert!(decode_to_coordinator(&damaged).is_err());
        prop_assert!(decode_to_coordinator(&bytes[..cut.index(bytes.len())]).is_err());
    }

    /// Arbitrary bytes are refused without a panic.
    #[test]
    fn noise_is_refused(noise in prop::collection::vec(any::<u8>(), 0..200)) {
        prop_assert!(decode_to_coordinator(&noise).is_err());
        prop_assert!(decode_data::<String>(&noise).is_err());
    }
}
