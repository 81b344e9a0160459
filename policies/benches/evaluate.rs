//! One evaluation of a typical StatefulSet with its ConfigMap and Service: what admission does for each review.

#![expect(
    clippy::expect_used,
    reason = "a benchmark that has no input has nothing to measure"
)]

use divan::{Bencher, black_box};
use natsguard_policies::bundle::{Bundle, Object};
use natsguard_policies::engine::{evaluate, repair};
use natsguard_policies::settings::Settings;
use serde_json::Value;

fn main() {
    divan::main();
}

fn objects(name: &str) -> Vec<Object> {
    let path = format!("{}/../tests/manifests/{name}", env!("CARGO_MANIFEST_DIR"));
    let text = std::fs::read_to_string(path).expect("the manifest is part of the project");
    let values: Vec<Value> = serde_saphyr::from_multiple(&text).expect("the manifest is YAML");
    values.into_iter().map(Object::new).collect()
}

#[divan::bench(args = ["sound.yaml", "partitioned.yaml", "secret.yaml", "projected.yaml"])]
fn evaluation(bencher: Bencher<'_, '_>, name: &str) {
    let bundle = Bundle::new(objects(name), None);
    let settings = Settings::default();
    bencher.bench_local(|| evaluate(black_box(&bundle), &settings));
}

#[divan::bench(args = ["sound.yaml", "partitioned.yaml", "secret.yaml"])]
fn evaluation_and_repair(bencher: Bencher<'_, '_>, name: &str) {
    let bundle = Bundle::new(objects(name), None);
    let settings = Settings::default();
    bencher.bench_local(|| repair(black_box(&bundle), &settings));
}

/// Cost must be linear in the number of objects.
#[divan::bench(args = [1, 10, 100, 1000])]
fn clusters(bencher: Bencher<'_, '_>, count: usize) {
    let one = objects("partitioned.yaml");
    let many = (0..count).flat_map(|index| {
        one.iter().cloned().map(move |mut object| {
            object.value["metadata"]["namespace"] = Value::from(format!("ns-{index}"));
            object
        })
    });
    let bundle = Bundle::new(many.collect(), None);
    let settings = Settings::default();
    bencher
        .counter(divan::counter::ItemsCount::new(count))
        .bench_local(|| evaluate(black_box(&bundle), &settings));
}
