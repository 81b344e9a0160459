//! The chart knows servers by the table of the policies: `chart/templates/_servers.tpl` is written from it.

use std::fmt::Write as _;
use std::fs;
use std::path::Path;

use natsguard_policies::workload::server::{
    ADDRESS_FLAGS, IMAGE_CONFIGS, IMAGES, OTHER_FORMATS, PROGRAMS, SHELLS, TELLING_FLAGS,
};

const PATH: &str = "chart/templates/_servers.tpl";

/// Longer words cost twice as much to look for.
const CHEAP: usize = 10;

fn list(words: impl IntoIterator<Item = String>) -> String {
    let words: Vec<String> = words.into_iter().map(|word| format!("'{word}'")).collect();
    format!("[{}]", words.join(", "))
}

fn flags<'f>(names: impl IntoIterator<Item = &'f &'static str>) -> String {
    let dashes = |name: &&str| [format!("-{name}"), format!("--{name}")];
    list(names.into_iter().flat_map(dashes))
}

/// The paths on which a mount holds a file: its own and those of its folders, with a slash at the end or without.
fn folders() -> Vec<String> {
    let mut folders = Vec::new();
    for path in IMAGE_CONFIGS {
        for (at, _) in path.match_indices('/').skip(1) {
            folders.extend([path[..at].to_owned(), path[..=at].to_owned()]);
        }
        folders.extend([(*path).to_owned(), format!("{path}/")]);
    }
    folders.sort_unstable();
    folders.dedup();
    folders
}

fn table() -> String {
    let alternatives = |words: &[&str]| words.join("|");
    let program = |name: &&str| format!("line.contains('{}')", &name[..name.len().min(CHEAP)]);
    let programs: Vec<String> = PROGRAMS.iter().map(program).collect();
    let endings = OTHER_FORMATS.iter().map(|ending| format!("{ending}\\x03"));
    let defines = [
        ("images", format!("(^|/)({})([:@]|$)", alternatives(IMAGES))),
        ("programs", programs.join(" || ")),
        ("shells", format!("(^|/)({})$", alternatives(SHELLS))),
        ("otherFormats", list(endings)),
        (
            "tellingFlags",
            flags(TELLING_FLAGS.iter().copied().flatten()),
        ),
        ("addressFlags", flags(ADDRESS_FLAGS)),
        ("defaultPaths", list(folders())),
    ];
    let mut text = "{{/* What a NATS server is, as CEL. Written by tests/chart/servers.rs from policies/src/workload/server.rs. */}}\n".to_owned();
    for (name, define) in defines {
        let _ = write!(
            text,
            "{{{{- define \"natsguard.servers.{name}\" -}}}}\n{define}\n{{{{- end }}}}\n"
        );
    }
    text
}

#[test]
fn the_chart_has_the_table_of_the_policies() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("..").join(PATH);
    let table = table();
    if std::env::var_os("UPDATE").is_some() {
        fs::write(&path, &table).expect("the chart can be written");
    }
    let written = fs::read_to_string(&path).unwrap_or_default();
    assert!(
        written == table,
        "{PATH} is not current; write it with: UPDATE=1 cargo test -p natsguard-tests --test chart servers"
    );
}
