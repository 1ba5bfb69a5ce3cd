//! Cost of keyed state, by number of keys.
//!
//! Questions: what does an update cost, and does freezing a table grow with what is in it?

use std::hint::black_box;

use criterion::{BenchmarkId, Criterion, criterion_group, criterion_main};
use floodmark_model::{KeyGroupLayout, KeyPlace};
use floodmark_state::Table;
use floodmark_wire::key_hash;

const GROUP_COUNT: u16 = 128;

const LAYOUT: KeyGroupLayout = KeyGroupLayout { group_count: GROUP_COUNT, parallelism: 1 };

fn place_of(key: u64) -> KeyPlace {
    LAYOUT.place_of(key_hash(&key))
}

fn table(key_count: u64) -> Table<u64, u64> {
    let mut table = Table::new(LAYOUT.range_of(0));
    (0..key_count).for_each(|key| table.insert(place_of(key), key, 0));
    table
}

fn update_one_key(c: &mut Criterion) {
    let mut group = c.benchmark_group("update_one_key");
    for key_count in [1_000_u64, 100_000] {
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

fn freeze(c: &mut Criterion) {
    let mut group = c.benchmark_group("freeze");
    for key_count in [1_000_u64, 100_000] {
        group.bench_function(BenchmarkId::from_parameter(key_count), |b| {
            let mut table = table(key_count);
            b.iter(|| black_box(table.freeze("operator", "state")));
        });
    }
    group.finish();
}

fn serialise(c: &mut Criterion) {
    let mut group = c.benchmark_group("serialise");
    for key_count in [1_000_u64, 100_000] {
        group.bench_function(BenchmarkId::from_parameter(key_count), |b| {
            let mut table = table(key_count);
            b.iter(|| black_box(table.freeze("operator", "state")()));
        });
    }
    group.finish();
}

criterion_group!(benches, update_one_key, freeze, serialise);
criterion_main!(benches);
