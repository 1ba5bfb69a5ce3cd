//! Does a barrier cost the same at 1 000 channels as at one?
//!
//! Varied: the input channels of a subtask that aligns one checkpoint.

use std::hint::black_box;

use criterion::{BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use floodmark_benches::{Computing, criterion};
use floodmark_dataflow::Alignment;
use floodmark_model::CheckpointId;

fn align_one_checkpoint(c: &mut Criterion<Computing>) {
    let mut group = c.benchmark_group("align_one_checkpoint");
    for channel_count in [1_usize, 10, 100, 1_000] {
        group.throughput(Throughput::Elements(channel_count as u64));
        group.bench_function(BenchmarkId::from_parameter(channel_count), |b| {
            let mut alignment = Alignment::new(channel_count);
            let mut checkpoint = 0;
            b.iter(|| {
                checkpoint += 1;
                for channel in 0..channel_count {
                    let _ = black_box(alignment.on_barrier(channel, CheckpointId(checkpoint)));
                }
            });
        });
    }
    group.finish();
}

criterion_group! {
    name = benches;
    config = criterion();
    targets = align_one_checkpoint
}
criterion_main!(benches);
