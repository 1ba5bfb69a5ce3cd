//! What does keyed state cost: an update, a snapshot, the updates after it, and a restore?
//!
//! Varied: the keys of a table. Freezing must not grow with them.

use std::hint::black_box;

use criterion::{BatchSize, BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use floodmark_benches::{Computing, criterion};
use floodmark_model::{KeyGroupLayout, KeyPlace};
use floodmark_state::Table;
use floodmark_wire::key_hash;

const GROUP_COUNT: u16 = 128;

const KEY_COUNTS: [u64; 3] = [1_000, 100_000, 1_000_000];

const LAYOUT: KeyGroupLayout = KeyGroupLayout { group_count: GROUP_COUNT, parallelism: 1 };

fn place_of(key: u64) -> KeyPlace {
    LAYOUT.place_of(key_hash(&key))
}

fn table(key_count: u64) -> Table<u64, u64> {
    let mut table = Table::new(LAYOUT.range_of(0));
    (0..key_count).for_each(|key| table.insert(place_of(key), key, 0));
    table
}

fn update_one_key(c: &mut Criterion<Computing>) {
    let mut group = c.benchmark_group("update_one_key");
    for key_count in KEY_COUNTS {
        group.bench_function(BenchmarkId::from_parameter(key_count), |b| {
            let mut table = table(key_count);
            let mut key = 0;
            b.iter(|| {
                key = (key + 7_919) % key_count;
                if let Some(value) = table.get_mut(place_of(key), &key) {
                    *value += 1;
                }
            });
        });
    }
    group.finish();
}

/// The pause of a checkpoint: every page of the table was written to since the last one.
fn freeze(c: &mut Criterion<Computing>) {
    let mut group = c.benchmark_group("freeze");
    for key_count in KEY_COUNTS {
        group.bench_function(BenchmarkId::from_parameter(key_count), |b| {
            let freeze = |mut table: Table<u64, u64>| (table.freeze("operator", "state"), table);
            b.iter_batched(|| table(key_count), freeze, BatchSize::PerIteration);
        });
    }
    group.finish();
}

fn serialise(c: &mut Criterion<Computing>) {
    let mut group = c.benchmark_group("serialise");
    for key_count in KEY_COUNTS {
        group.bench_function(BenchmarkId::from_parameter(key_count), |b| {
            let mut table = table(key_count);
            b.iter(|| black_box(table.freeze("operator", "state")()));
        });
    }
    group.finish();
}

/// A table pays for a snapshot when it is written to afterwards.
fn update_a_thousand_keys_after_freeze(c: &mut Criterion<Computing>) {
    let mut group = c.benchmark_group("update_a_thousand_keys_after_freeze");
    group.throughput(Throughput::Elements(1_000));
    for key_count in KEY_COUNTS {
        group.bench_function(BenchmarkId::from_parameter(key_count), |b| {
            let mut table = table(key_count);
            let mut key = 0;
            b.iter(|| {
                let frozen = table.freeze("operator", "state");
                for _ in 0..1_000 {
                    key = (key + 7_919) % key_count;
                    if let Some(value) = table.get_mut(place_of(key), &key) {
                        *value += 1;
                    }
                }
                frozen
            });
        });
    }
    group.finish();
}

fn restore(c: &mut Criterion<Computing>) {
    let mut group = c.benchmark_group("restore");
    for key_count in KEY_COUNTS {
        group.throughput(Throughput::Elements(key_count));
        group.bench_function(BenchmarkId::from_parameter(key_count), |b| {
            let sections = [table(key_count).freeze("operator", "state")()];
            b.iter(|| Table::<u64, u64>::restore(LAYOUT.range_of(0), black_box(&sections)));
        });
    }
    group.finish();
}

criterion_group! {
    name = benches;
    config = criterion();
    targets = update_one_key, freeze, update_a_thousand_keys_after_freeze, serialise, restore
}
criterion_main!(benches);
