//! `policies::conf` against nats-server's own parser: recorded cases, and documents made on the spot.

#![allow(
    clippy::expect_used,
    clippy::print_stderr,
    clippy::indexing_slicing,
    reason = "a test that cannot do its work ends and says why"
)]

#[path = "../../policies/tests/suite/conf/compare.rs"]
mod compare;
mod generate;

use compare::{Answer, Case};
use generate::Generator;
use natsguard_tests::oracle::Oracle;
use std::path::{Path, PathBuf};

fn fixtures() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../policies/fixtures/conf")
}

/// `UPDATE_FIXTURES=1` writes the answers instead of comparing them.
#[test]
fn recorded_answers_are_those_of_nats_server() {
    let path = fixtures().join("cases.json");
    let json = std::fs::read_to_string(&path).expect("the cases are there");
    let mut oracle = Oracle::start();
    let mut cases = compare::load(&json);
    for case in &mut cases {
        case.answer = Some(oracle.ask(&case.bytes(), &case.includes, &case.env));
    }
    let current = compare::store(&cases);
    if std::env::var_os("UPDATE_FIXTURES").is_some() {
        std::fs::write(&path, current).expect("the cases can be written");
        return;
    }
    for (recorded, current) in compare::load(&json).iter().zip(&cases) {
        assert_eq!(
            recorded.answer, current.answer,
            "{}; `UPDATE_FIXTURES=1` records anew",
            current.name
        );
    }
    assert!(
        json == current,
        "the record is not in its canonical form; `UPDATE_FIXTURES=1` records anew"
    );
}

/// `ORACLE_DOCUMENTS` says how many documents to try, `ORACLE_SEED` where to start.
#[test]
fn generated_documents_are_read_as_nats_server_reads_them() {
    let number = |name: &str, default: u64| -> u64 {
        std::env::var(name).map_or(default, |text| text.parse().expect("a number"))
    };
    let (count, seed) = (number("ORACLE_DOCUMENTS", 5_000), number("ORACLE_SEED", 1));
    let corpus = corpus();
    let mut oracle = Oracle::start();
    let mut accepted = 0;
    let mut ask = |case: &Case| -> (Option<String>, bool) {
        let answer: Answer = oracle.ask(&case.bytes(), &case.includes, &case.env);
        (case.disagreement(&answer), answer.ok)
    };
    let mut failures = Vec::new();
    for seed in seed..seed + count {
        let case = Generator::new(seed).case(&corpus);
        let (disagreement, ok) = ask(&case);
        accepted += u64::from(ok);
        if disagreement.is_some() {
            let small = minimize(case, |case| ask(case).0.is_some());
            let why = ask(&small).0.unwrap_or_default();
            failures.push(format!(
                "seed {seed}: {why}\n{:?}\n{small:?}",
                String::from_utf8_lossy(&small.bytes())
            ));
            if failures.len() >= 5 {
                break;
            }
        }
    }
    assert!(failures.is_empty(), "{}", failures.join("\n\n"));
    // A generator that nats-server always refuses would prove little.
    assert!(
        accepted * 4 > count,
        "nats-server accepted only {accepted} of {count} documents"
    );
    eprintln!("{count} documents agree, of which nats-server accepted {accepted}");
}

/// Texts to mutate: the recorded cases and real files.
fn corpus() -> Vec<Vec<u8>> {
    let json = std::fs::read_to_string(fixtures().join("cases.json")).expect("the cases are there");
    let mut corpus: Vec<_> = compare::load(&json).iter().map(Case::bytes).collect();
    let mut files: Vec<_> = std::fs::read_dir(fixtures())
        .expect("fixtures")
        .map(|file| file.expect("a file").path())
        .collect();
    if let Some(more) = std::env::var_os("ORACLE_CORPUS") {
        files.extend(
            std::fs::read_dir(more)
                .expect("a directory")
                .map(|file| file.expect("a file").path()),
        );
    }
    files.sort();
    let real = files.iter().filter(|path| {
        path.extension()
            .is_some_and(|extension| extension == "conf")
    });
    for text in real.map(|path| std::fs::read(path).expect("a file")) {
        // Real files are few; they should count as much as the many small cases.
        corpus.extend(std::iter::repeat_n(text, 30));
    }
    corpus
}

/// Cuts pieces out of a document for as long as the disagreement stays.
fn minimize(mut case: Case, mut fails: impl FnMut(&Case) -> bool) -> Case {
    let mut width = case.bytes().len() / 2;
    while width > 0 {
        let mut at = 0;
        while at < case.bytes().len() {
            let mut bytes = case.bytes();
            bytes.drain(at..(at + width).min(bytes.len()));
            let smaller = Case {
                includes: case.includes.clone(),
                env: case.env.clone(),
                ..Case::of(&case.name, &bytes)
            };
            if fails(&smaller) {
                case = smaller;
            } else {
                at += width;
            }
        }
        width /= 2;
    }
    case
}
