//! How many whole-cluster runs with faults does a core do in a second?
//!
//! Varied: the scenario. `floodmark bench sim` asks the same of a cluster of standard size.

use criterion::{BenchmarkId, Criterion, criterion_group, criterion_main};
use floodmark_benches::{Computing, criterion};
use floodmark_scenarios::{RunOptions, catalog, run};

fn simulated_run(c: &mut Criterion<Computing>) {
    let mut group = c.benchmark_group("simulated_run");
    group.sample_size(20);
    for name in ["calm", "worker_crash", "chaos"] {
        let scenario = catalog::find(name).expect("the scenario is in the catalog");
        group.bench_function(BenchmarkId::from_parameter(name), |b| {
            let mut seed = 0;
            b.iter(|| {
                seed += 1;
                run(scenario, seed, &RunOptions::default())
            });
        });
    }
    group.finish();
}

criterion_group! {
    name = benches;
    config = criterion();
    targets = simulated_run
}
criterion_main!(benches);
