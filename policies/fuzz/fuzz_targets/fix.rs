//! `natsguard fix` on anything: no panic, every repair written, and repairing again changes no byte.

#![no_main]

use libfuzzer_sys::fuzz_target;
use natsguard::input::Input;
use natsguard::repair::repair;
use natsguard_policies::policy::Action;
use natsguard_policies::settings::Settings;

/// A cluster around a configuration file, indented for its block scalar.
fn cluster(conf: &str) -> String {
    let conf: String = conf.lines().map(|line| format!("    {line}\n")).collect();
    format!(
        "apiVersion: v1\nkind: ConfigMap\nmetadata: {{name: nats}}\ndata:\n  nats.conf: |2\n{conf}---\n{}",
        include_str!("cluster.yaml")
    )
}

fuzz_target!(|data: &[u8]| {
    // One half of the inputs is a configuration file in a sound workload, the other a whole manifest.
    let Some((first, rest)) = data.split_first() else { return };
    let bytes = match std::str::from_utf8(rest) {
        Ok(conf) if first % 2 == 0 => cluster(conf).into_bytes(),
        _ => rest.to_vec(),
    };
    let settings = Settings::default();
    let mut input = Input::from_bytes("fuzz.yaml", bytes.clone(), None);
    let readable = input.problems.is_empty();
    let outcome = repair(&mut input, &settings);
    let once = input.stream();
    if !readable {
        return;
    }
    if !outcome.unedited.is_empty() {
        // A refused edit leaves the text as it was; aliases and tags are such refusals.
        return;
    }
    assert_eq!(outcome.report.count(Action::Fix), 0, "a repair is left");
    let mut again = Input::from_bytes("fuzz.yaml", once.clone(), None);
    assert!(again.problems.is_empty(), "{:?}", again.problems);
    repair(&mut again, &settings);
    assert!(again.stream() == once, "repairing twice changed a byte");
});
