//! One review of a typical deployment, envelope to answer; the cluster answers at once.

#![expect(
    clippy::expect_used,
    reason = "a benchmark that has no input has nothing to measure"
)]

use std::sync::Arc;
use std::time::Duration;

use arc_swap::ArcSwap;
use divan::{Bencher, black_box};
use natsguard::admission::{Admission, Step};
use natsguard::facts::{Answering, Cluster, Known, Query, Select};
use natsguard_policies::settings::Settings;
use serde_json::{Value, json};
use tokio::runtime::{Builder, Runtime};
use tokio::time::Instant;

fn main() {
    divan::main();
}

struct Manifest(Vec<Value>);

impl Cluster for Manifest {
    fn ask<'a>(&'a self, query: &'a Query) -> Answering<'a> {
        let found = self.0.iter().filter(|object| {
            let is_named = match &query.select {
                Select::Named(name) => object["metadata"]["name"] == *name,
                Select::All => true,
            };
            is_named && object["kind"] == query.resource.kind
        });
        let found: Vec<Value> = found.cloned().collect();
        let known = match (&query.select, found.is_empty()) {
            (Select::Named(_), true) => Known::Absent,
            _ => Known::Objects(Arc::new(found)),
        };
        Box::pin(async { known })
    }
}

fn objects(name: &str) -> Vec<Value> {
    let path = format!("{}/../tests/manifests/{name}", env!("CARGO_MANIFEST_DIR"));
    let text = std::fs::read_to_string(path).expect("the manifest is part of the project");
    serde_saphyr::from_multiple(&text).expect("the manifest is YAML")
}

fn prepared(name: &str, kind: &str) -> (Runtime, Admission, Vec<u8>) {
    let objects = objects(name);
    let object = objects.iter().find(|object| object["kind"] == kind);
    let object = object.expect("the manifest has such an object");
    let group = if kind == "StatefulSet" { "apps" } else { "" };
    let review = json!({
        "apiVersion": "admission.k8s.io/v1", "kind": "AdmissionReview",
        "request": {
            "uid": "u", "kind": {"group": group, "version": "v1", "kind": kind}, "operation": "CREATE",
            "name": object["metadata"]["name"], "namespace": object["metadata"]["namespace"], "object": object
        }
    });
    let body = serde_json::to_vec(&review).expect("JSON can be written");
    let settings = ArcSwap::from_pointee(Settings::default());
    let admission = Admission::new(Arc::new(settings), Arc::new(Manifest(objects)));
    let runtime = Builder::new_current_thread().enable_time().build();
    (runtime.expect("a runtime can be made"), admission, body)
}

fn review(bencher: Bencher<'_, '_>, step: Step, (name, kind): (&str, &str)) {
    let (runtime, admission, body) = prepared(name, kind);
    bencher.bench_local(|| {
        let deadline = Instant::now() + Duration::from_secs(2);
        runtime.block_on(admission.answer(step, black_box(&body), deadline))
    });
}

const REVIEWS: [(&str, &str); 4] = [
    ("sound.yaml", "StatefulSet"),
    ("sound.yaml", "ConfigMap"),
    ("fragile.yaml", "StatefulSet"),
    ("fragile.yaml", "ConfigMap"),
];

#[divan::bench(args = REVIEWS)]
fn mutate(bencher: Bencher<'_, '_>, of: (&str, &str)) {
    review(bencher, Step::Mutate, of);
}

#[divan::bench(args = REVIEWS)]
fn validate(bencher: Bencher<'_, '_>, of: (&str, &str)) {
    review(bencher, Step::Validate, of);
}
