//! What does a record pay for finding its channel by its key, and does it grow with the parallelism?
//!
//! Varied: the channels. Each time pays for a copy of the batch.

use criterion::{BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use floodmark_benches::{Computing, criterion};
use floodmark_dataflow::{HashPartitioner, Partitioner as _};
use floodmark_model::{Batch, KeyGroupLayout, Record, Timestamp};

const RECORD_COUNT: u64 = 256;

fn partition_one_batch(c: &mut Criterion<Computing>) {
    let mut group = c.benchmark_group("partition_one_batch");
    for parallelism in [1_u16, 4, 16] {
        group.throughput(Throughput::Elements(RECORD_COUNT));
        group.bench_function(BenchmarkId::from_parameter(parallelism), |b| {
            let layout = KeyGroupLayout { group_count: 128, parallelism };
            let mut partitioner = HashPartitioner::new(layout, |value: &u64| value % 1_000);
            let record = |value| Record { timestamp: Timestamp(0), value };
            let input: Batch<u64> = (0..RECORD_COUNT).map(record).collect();
            let mut open = vec![Batch::new(); usize::from(parallelism)];
            b.iter(|| {
                open.iter_mut().for_each(Batch::clear);
                partitioner.partition(input.clone(), &mut open);
            });
        });
    }
    group.finish();
}

criterion_group! {
    name = benches;
    config = criterion();
    targets = partition_one_batch
}
criterion_main!(benches);
