//! What does a record pay for each operator of a chain, beside the same functions called in a loop?
//!
//! Varied: the number of operators. Both sides pay for a copy of their batch.

use std::hint::black_box;

use criterion::{BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use floodmark_benches::{Computing, criterion};
use floodmark_dataflow::{
    Chained, Output, Push, SideOutputs,
    operators::{ForEach, Map},
};
use floodmark_model::{Batch, Record, Timestamp};

const RECORD_COUNT: u64 = 256;

fn batch() -> Batch<u64> {
    (0..RECORD_COUNT).map(|value| Record { timestamp: Timestamp(0), value }).collect()
}

fn step(value: u64) -> u64 {
    value.wrapping_mul(3) ^ 1
}

/// Returns a chain of so many maps and a last operator that looks at every record.
fn chain(operator_count: usize) -> Box<dyn Push<u64>> {
    let last = ForEach::new("look".to_owned(), |value: u64| {
        black_box(value);
        Ok(())
    });
    let none = Output::new(Vec::new());
    let mut chain: Box<dyn Push<u64>> = Box::new(Chained::new(last, none, SideOutputs::default()));
    for _ in 0..operator_count {
        let output = Output::new(vec![chain]);
        chain = Box::new(Chained::new(Map::new(step), output, SideOutputs::default()));
    }
    chain
}

fn push_one_batch(c: &mut Criterion<Computing>) {
    let mut group = c.benchmark_group("push_one_batch");
    group.throughput(Throughput::Elements(RECORD_COUNT));
    for operator_count in [0_usize, 1, 4, 16] {
        group.bench_function(BenchmarkId::new("chain", operator_count), |b| {
            let (mut chain, batch) = (chain(operator_count), batch());
            b.iter(|| chain.push(batch.clone()));
        });
        group.bench_function(BenchmarkId::new("loop", operator_count), |b| {
            let run = |batch: Batch<u64>| {
                for record in batch {
                    black_box((0..operator_count).fold(record.value, |value, _| step(value)));
                }
            };
            let batch = batch();
            b.iter(|| run(batch.clone()));
        });
    }
    group.finish();
}

criterion_group! {
    name = benches;
    config = criterion();
    targets = push_one_batch
}
criterion_main!(benches);
