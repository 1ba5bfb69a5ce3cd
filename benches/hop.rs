//! What does a record pay for a channel inside a process, and from which batch size on is that little?
//!
//! Varied: the records in a batch. Both ends are on one thread, so that no wake-up is measured.

use std::{
    hint::black_box,
    task::{Context, Waker},
};

use criterion::{BatchSize, BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use floodmark_benches::{Computing, criterion};
use floodmark_dataflow::{ChannelReceiver, ChannelSender, local_channel};
use floodmark_host::{HostOptions, machine};
use floodmark_model::{Attempt, Batch, ChannelId, EdgeId, Element, Record, Timestamp};

fn batch(record_count: u64) -> Batch<(u64, i64)> {
    let record = |key| Record { timestamp: Timestamp(0), value: (key, -1) };
    (0..record_count).map(record).collect()
}

fn one_hop(c: &mut Criterion<Computing>) {
    let threads = tokio::runtime::Builder::new_multi_thread().enable_all().build();
    let threads = threads.expect("the system has threads to give");
    let _inside = threads.enter();
    let directory = tempfile::tempdir().expect("there is room for a directory");
    let (root, disk) = (directory.path().join("root"), directory.path().join("disk"));
    let machine = machine(HostOptions {
        root,
        disk,
        bind: None,
        advertised: None,
        secret: None,
        store_size_max: None,
    });
    let machine = machine.expect("the directories can be used");
    let mut group = c.benchmark_group("one_hop");
    for record_count in [1_u64, 16, 256, 1_024] {
        group.throughput(Throughput::Elements(record_count));
        group.bench_function(BenchmarkId::from_parameter(record_count), |b| {
            let channel = ChannelId { edge: EdgeId(0), from: 0, to: 0 };
            let (output, input) = local_channel::<(u64, i64)>();
            let mut sender = ChannelSender::new(Attempt::default(), channel, output);
            let attempt = Attempt::default();
            let mut receiver: ChannelReceiver<(u64, i64)> =
                ChannelReceiver::new(machine.clone(), attempt, channel, input);
            let mut cx = Context::from_waker(Waker::noop());
            let hop = |batch| {
                sender.push(Element::Batch(batch));
                let _ = black_box(sender.poll_flush(&mut cx));
                receiver.poll_next(&mut cx)
            };
            b.iter_batched(|| batch(record_count), hop, BatchSize::SmallInput);
        });
    }
    group.finish();
}

criterion_group! {
    name = benches;
    config = criterion();
    targets = one_hop
}
criterion_main!(benches);
