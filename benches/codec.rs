//! From how many records on does the frame around them cost nothing?
//!
//! Varied: the records of a batch that is encoded and decoded.

use std::hint::black_box;

use criterion::{BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use floodmark_benches::{Computing, criterion};
use floodmark_model::{Attempt, ChannelId, EdgeId, Element, Record, Timestamp};
use floodmark_wire::{DataFrame, decode_data, encode_data};

/// Returns a frame with `count` records of a key and a value.
fn frame(count: u64) -> DataFrame<(u64, i64)> {
    let record = |key| Record { timestamp: Timestamp(0), value: (key, -1) };
    DataFrame::Element {
        attempt: Attempt::default(),
        channel: ChannelId { edge: EdgeId(0), from: 0, to: 0 },
        sequence: 0,
        element: Element::Batch((0..count).map(record).collect()),
    }
}

fn frame_there_and_back(c: &mut Criterion<Computing>) {
    let mut group = c.benchmark_group("frame_there_and_back");
    for count in [1_u64, 16, 64, 256] {
        let frame = frame(count);
        group.throughput(Throughput::Elements(count));
        group.bench_function(BenchmarkId::from_parameter(count), |b| {
            b.iter(|| decode_data::<(u64, i64)>(&encode_data(black_box(&frame))));
        });
    }
    group.finish();
}

criterion_group! {
    name = benches;
    config = criterion();
    targets = frame_there_and_back
}
criterion_main!(benches);
