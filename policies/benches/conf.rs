//! How fast configurations are parsed, read and edited, in bytes per second.
//!
//! `NATSGUARD_BENCH_FILES=DIR cargo bench -p natsguard-policies --bench conf` also writes the inputs to DIR, for
//! `oracle bench FILE` to time nats-server on the same text.

#![expect(
    clippy::expect_used,
    reason = "a benchmark that cannot do its work ends and says why"
)]

use divan::counter::BytesCount;
use divan::{Bencher, black_box};
use natsguard_policies::conf::{Document, Element, edit_array, is_template};
use std::fmt::Write;

const SIZES: [usize; 3] = [2 << 10, 40 << 10, 1 << 20];

fn main() {
    if let Some(directory) = std::env::var_os("NATSGUARD_BENCH_FILES") {
        for size in SIZES {
            let path = std::path::Path::new(&directory).join(format!("{size}.conf"));
            std::fs::write(path, chart(size)).expect("the directory exists");
        }
    }
    divan::main();
}

/// What the official chart renders, with as many accounts as it takes.
fn chart(size: usize) -> String {
    let mut text = String::from("{\n  \"accounts\": {\n");
    let tail = "    \"$SYS\": {\n      \"users\": [\n        {\n          \"password\": \"s3cret\",\n          \
                \"user\": \"admin\"\n        }\n      ]\n    }\n  },\n  \"cluster\": {\n    \"name\": \"nats\",\n    \
                \"no_advertise\": true,\n    \"port\": 6222,\n    \"routes\": [\n      \
                \"nats://nats-0.nats-headless:6222\",\n      \"nats://nats-1.nats-headless:6222\",\n      \
                \"nats://nats-2.nats-headless:6222\"\n    ]\n  },\n  \"http_port\": 8222,\n  \"jetstream\": {\n    \
                \"max_file_store\": 10Gi,\n    \"max_memory_store\": 0,\n    \"store_dir\": \"/data\"\n  },\n  \
                \"lame_duck_duration\": \"30s\",\n  \"lame_duck_grace_period\": \"10s\",\n  \"pid_file\": \
                \"/var/run/nats/nats.pid\",\n  \"port\": 4222,\n  \"server_name\": \"nats-0\"\n}\n";
    let mut number = 0;
    while text.len() + tail.len() < size {
        let _ = write!(
            text,
            "    # team {number}\n    \"team-{number}\": {{\n      \"jetstream\": {{\n        \"max_mem\": 1Gi,\n        \
             \"max_file\": 10Gi,\n        \"max_streams\": 100\n      }},\n      \"users\": [\n        {{ user: \
             service-{number}, password: \"$2a$11$W2zko751KUvVy59mUTWmpOdWjpEm5qhcCZRd05GjI/sSOT.xtiHyG\" }},\n        \
             {{\n          \"nkey\": \"UC6NLCN7AS34YOJVCYD4PJ3QB7QGLYG5B5IMBT25VW5K4TNUJODM7BOX\",\n          \
             \"permissions\": {{ \"publish\": [\"orders.{number}.>\", \"_INBOX.>\"], \"subscribe\": \"orders.>\" }}\n        \
             }}\n      ]\n    }},\n"
        );
        number += 1;
    }
    text.push_str(tail);
    text
}

/// Tokens and the first error.
#[divan::bench(args = SIZES)]
fn parse(bencher: Bencher, size: usize) {
    let text = chart(size);
    bencher
        .counter(BytesCount::of_str(&text))
        .bench(|| Document::parse(black_box(text.as_bytes())));
}

/// All values; this is what nats-server's `conf.Parse` does.
#[divan::bench(args = SIZES)]
fn read(bencher: Bencher, size: usize) {
    let text = chart(size);
    bencher
        .counter(BytesCount::of_str(&text))
        .bench(|| Document::parse(black_box(text.as_bytes())).read());
}

/// Parse, replace the routes, and check the result, which parses once more.
#[divan::bench(args = SIZES)]
fn edit(bencher: Bencher, size: usize) {
    let text = chart(size);
    let config = Document::parse(text.as_bytes()).read();
    let cluster = config
        .root
        .find(&["cluster"])
        .and_then(|cluster| cluster.as_map());
    let routes = cluster
        .and_then(|cluster| cluster.find(&["routes"]))
        .expect("the chart has routes");
    let span = routes.origin.span.clone();
    let elements: Vec<_> = (0..3)
        .map(|pod| format!("nats://nats-{pod}.nats-headless.default.svc.cluster.local:6222"))
        .map(|route| Element::Replace(vec![route]))
        .collect();
    bencher.counter(BytesCount::of_str(&text)).bench(|| {
        let document = Document::parse(black_box(text.as_bytes()));
        edit_array(&document, span.clone(), &elements, &[])
            .map(|edits| edits.apply(text.as_bytes()))
    });
}

/// The search for templates.
#[divan::bench(args = SIZES)]
fn template(bencher: Bencher, size: usize) {
    let text = chart(size);
    bencher
        .counter(BytesCount::of_str(&text))
        .bench(|| is_template(black_box(text.as_bytes())));
}
